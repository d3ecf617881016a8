//! Our products against candle's on the same weights.

use candle_core::quantized::GgmlDType;

use super::*;

/// Deterministic numbers in -1..1.
fn draw(count: usize, seed: usize) -> Vec<f32> {
    let mut state = seed as u64 + 1;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 40) as f32 / (1u32 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn tensor(dtype: GgmlDType, outputs: usize, inputs: usize) -> QTensor {
    let dense = Tensor::from_vec(
        draw(outputs * inputs, outputs),
        (outputs, inputs),
        &Device::Cpu,
    );
    QTensor::quantize(&dense.unwrap(), dtype).unwrap()
}

/// The same weights, laid out and as candle has them.
fn both(dtype: GgmlDType, outputs: usize, inputs: usize) -> [Matrix; 2] {
    let mut own = Matrix::new(tensor(dtype, outputs, inputs)).unwrap();
    own.lay_out();
    [own, Matrix::new(tensor(dtype, outputs, inputs)).unwrap()]
}

fn run(weights: &[&Matrix], x: &[f32], width: usize) -> Vec<Vec<f32>> {
    let buffers = Buffers::default();
    let results = multiply(weights, x, width, &buffers).unwrap();
    results.iter().map(|one| one.to_vec()).collect()
}

/// Largest difference between two results, in parts of the largest number.
fn worst(a: &[f32], b: &[f32]) -> f32 {
    let largest = b.iter().fold(0.0f32, |top, x| top.max(x.abs()));
    let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, f32::max) / largest
}

#[test]
fn tiles_agree_with_candle() {
    for dtype in [GgmlDType::Q4K, GgmlDType::Q6K] {
        for (outputs, inputs) in [(32, 256), (96, 512), (160, 1280)] {
            let [own, plain] = both(dtype, outputs, inputs);
            for rows in [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 23, 64] {
                let x = draw(rows * inputs, rows);
                let product = |one: &Matrix| run(&[one], &x, inputs).remove(0);
                let (got, want) = (product(&own), product(&plain));
                assert_eq!(got.len(), rows * outputs);
                let worst = worst(&got, &want);
                assert!(
                    worst < 1e-6,
                    "{dtype:?}, {rows} x {inputs} x {outputs}: {worst}"
                );
            }
        }
    }
}

#[test]
fn a_row_has_the_same_bits_in_every_batch() {
    for dtype in [GgmlDType::Q4K, GgmlDType::Q6K] {
        let [own, _] = both(dtype, 64, 512);
        let x = draw(70 * 512, 3);
        let many = run(&[&own], &x, 512).remove(0);
        for rows in [1, 3, 8, 9, 40] {
            let few = run(&[&own], &x[..rows * 512], 512);
            assert_eq!(few[0], many[..rows * 64]);
        }
    }
}

#[test]
fn the_largest_numbers_do_not_overflow() {
    for dtype in [GgmlDType::Q4K, GgmlDType::Q6K] {
        let inputs = 512;
        let dense: Vec<f32> = (0..32 * inputs)
            .map(|i| if i % 64 < 32 { 1.0 } else { -1.0 })
            .collect();
        let dense = Tensor::from_vec(dense, (32, inputs), &Device::Cpu).unwrap();
        let tensor = || QTensor::quantize(&dense, dtype).unwrap();
        let [mut own, plain] = [tensor(), tensor()].map(|one| Matrix::new(one).unwrap());
        own.lay_out();
        for sign in [1.0, -1.0] {
            let x = vec![sign; inputs * 10];
            let product = |one: &Matrix| run(&[one], &x, inputs).remove(0);
            let (got, want) = (product(&own), product(&plain));
            assert!(
                got.iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-2),
                "{dtype:?}"
            );
        }
    }
}

#[test]
fn matrices_with_and_without_tiles_work_together() {
    let [own, plain] = both(GgmlDType::Q4K, 64, 256);
    let other = Matrix::new(tensor(GgmlDType::Q8_0, 48, 256)).unwrap();
    let x = draw(3 * 256, 1);
    let results = run(&[&own, &other, &plain], &x, 256);
    assert_eq!(
        results.iter().map(Vec::len).collect::<Vec<_>>(),
        [192, 144, 192]
    );
    assert!(worst(&results[0], &results[2]) < 1e-6);
}

#[test]
fn rows_of_zeros_and_of_no_numbers_are_zeros() {
    let [own, _] = both(GgmlDType::Q4K, 32, 256);
    for x in [0.0, f32::NAN] {
        let result = run(&[&own], &[x; 256], 256).remove(0);
        assert!(result.iter().all(|x| *x == 0.0));
    }
}
