//! The one place that maps files into memory: tensors of a model file as candle sees them, without a copy.
//!
//! A quantised tensor of candle owns its blocks in a `Vec`. Here the blocks stay in the page cache: several processes share them,
//! and pages that are not needed any more can be given back (see [`MappedFile::release`]). It is also the one place of the crate
//! with `unsafe` code, for the two things that Rust cannot know: that nobody shortens the file while it is mapped (files of the
//! models directory are replaced by renaming, never written in place), and that any bytes are a block (blocks are plain numbers).
//!
//! Not here: what the tensors mean. The ranges come from a header that `generate::gguf` has checked.

#![expect(
    unsafe_code,
    reason = "a memory map and its typed view cannot be made in safe Rust; everything unsafe of the crate is in this file"
)]

use std::fs::File;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::quantized::k_quants::{
    self, BlockQ2K, BlockQ3K, BlockQ4_0, BlockQ4_1, BlockQ4K, BlockQ5_0, BlockQ5_1, BlockQ5K,
    BlockQ6K, BlockQ8_0, BlockQ8_1, BlockQ8K,
};
use candle_core::quantized::{GgmlDType, GgmlType, QStorage, QTensor, QuantizedType};
use candle_core::{CpuStorage, Result as CandleResult};
use half::{bf16, f16};
use memmap2::{Advice, Mmap, UncheckedAdvice};

use crate::error::ModelError;

/// A whole file in memory, read as it is touched.
pub(crate) struct MappedFile {
    path: PathBuf,
    map: Mmap,
}

impl MappedFile {
    /// Maps a file that must not be empty.
    pub(crate) fn open(path: &Path) -> Result<Arc<Self>, ModelError> {
        let file = File::open(path).map_err(ModelError::io(path))?;
        // SAFETY: the map is read-only, and files of the models directory are never changed in place.
        let map = unsafe { Mmap::map(&file) }.map_err(ModelError::io(path))?;
        Ok(Arc::new(Self {
            path: path.to_owned(),
            map,
        }))
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Its bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// Asks the system to read ahead; a hint, whose failure changes nothing.
    pub(crate) fn prefetch(&self) {
        if let Err(error) = self.map.advise(Advice::WillNeed) {
            tracing::debug!(%error, "the system takes no hint to read a model file ahead");
        }
    }

    /// Gives the pages back to the page cache. They count no more as memory of this process until they are touched again.
    pub(crate) fn release(&self) {
        // SAFETY: pages of a read-only map of a file hold nothing that the file does not hold.
        if let Err(error) = unsafe { self.map.unchecked_advise(UncheckedAdvice::DontNeed) } {
            tracing::debug!(%error, "the pages of a model file could not be given back");
        }
    }

    /// The tensor whose `bytes` start at `start`, as rows of blocks. The range must lie in the file.
    pub(crate) fn tensor(
        self: &Arc<Self>,
        start: usize,
        dtype: GgmlDType,
        shape: &[usize],
    ) -> Result<QTensor, ModelError> {
        let blocks = shape.iter().product::<usize>() / dtype.block_size();
        let storage = match dtype {
            GgmlDType::F32 => self.blocks::<f32>(start, blocks),
            GgmlDType::F16 => self.blocks::<f16>(start, blocks),
            GgmlDType::BF16 => self.blocks::<bf16>(start, blocks),
            GgmlDType::Q4_0 => self.blocks::<BlockQ4_0>(start, blocks),
            GgmlDType::Q4_1 => self.blocks::<BlockQ4_1>(start, blocks),
            GgmlDType::Q5_0 => self.blocks::<BlockQ5_0>(start, blocks),
            GgmlDType::Q5_1 => self.blocks::<BlockQ5_1>(start, blocks),
            GgmlDType::Q8_0 => self.blocks::<BlockQ8_0>(start, blocks),
            GgmlDType::Q8_1 => self.blocks::<BlockQ8_1>(start, blocks),
            GgmlDType::Q2K => self.blocks::<BlockQ2K>(start, blocks),
            GgmlDType::Q3K => self.blocks::<BlockQ3K>(start, blocks),
            GgmlDType::Q4K => self.blocks::<BlockQ4K>(start, blocks),
            GgmlDType::Q5K => self.blocks::<BlockQ5K>(start, blocks),
            GgmlDType::Q6K => self.blocks::<BlockQ6K>(start, blocks),
            GgmlDType::Q8K => self.blocks::<BlockQ8K>(start, blocks),
        };
        let storage = storage.ok_or_else(|| {
            ModelError::damaged(&self.path, "has a tensor that lies outside it or askew")
        })?;
        Ok(QTensor::new(QStorage::Cpu(storage), shape)?)
    }

    /// None when the blocks are not all in the file, or do not start where such blocks can.
    fn blocks<T: GgmlType + 'static>(
        self: &Arc<Self>,
        start: usize,
        count: usize,
    ) -> Option<Box<dyn QuantizedType>> {
        let bytes = count.checked_mul(size_of::<T>())?;
        let range = start..start.checked_add(bytes)?;
        let found = self.map.get(range)?;
        if !found.as_ptr().cast::<T>().is_aligned() {
            return None;
        }
        Some(Box::new(Blocks::<T> {
            file: Arc::clone(self),
            start,
            count,
            kind: PhantomData,
        }))
    }
}

/// Blocks of one type inside a mapped file. Made only by [`MappedFile::blocks`], which has checked range and alignment.
struct Blocks<T> {
    file: Arc<MappedFile>,
    start: usize,
    count: usize,
    kind: PhantomData<T>,
}

impl<T: GgmlType> Blocks<T> {
    fn as_slice(&self) -> &[T] {
        let first = self.file.map[self.start..].as_ptr().cast::<T>();
        // SAFETY: `count` blocks from `start` lie in the map and are aligned, and every type that `tensor` names is made of
        // numbers, for which all bits are valid.
        unsafe { std::slice::from_raw_parts(first, self.count) }
    }
}

impl<T: GgmlType> QuantizedType for Blocks<T> {
    fn dtype(&self) -> GgmlDType {
        T::DTYPE
    }

    fn matmul_t(
        &self,
        mkn: (usize, usize, usize),
        lhs: &[f32],
        dst: &mut [f32],
    ) -> CandleResult<()> {
        k_quants::matmul(mkn, lhs, self.as_slice(), dst)
    }

    fn matmul_t_f16(
        &self,
        mkn: (usize, usize, usize),
        lhs: &[f16],
        dst: &mut [f16],
    ) -> CandleResult<()> {
        k_quants::matmul_f16(mkn, lhs, self.as_slice(), dst)
    }

    fn embedding(&self, ids: &[u32], rows: usize, hidden: usize) -> CandleResult<CpuStorage> {
        let per_row = hidden / T::BLCK_SIZE;
        let mut out = vec![0.0; ids.len() * hidden];
        for (&id, out) in ids.iter().zip(out.chunks_exact_mut(hidden)) {
            let row = id as usize;
            if row >= rows {
                candle_core::bail!("token {id} is not in the vocabulary of {rows}");
            }
            T::to_float(&self.as_slice()[row * per_row..][..per_row], out);
        }
        Ok(CpuStorage::F32(out))
    }

    fn dequantize(&self, elements: usize) -> CandleResult<CpuStorage> {
        let mut out = vec![0.0; elements];
        T::to_float(self.as_slice(), &mut out);
        Ok(CpuStorage::F32(out))
    }

    fn storage_size_in_bytes(&self) -> usize {
        self.count * size_of::<T>()
    }

    fn as_ptr(&self) -> *const u8 {
        self.as_slice().as_ptr().cast()
    }

    fn block_size(&self) -> usize {
        T::BLCK_SIZE
    }

    /// Mapped weights cannot be written; candle quantises only into storage that it allocated itself.
    fn from_float(&mut self, _: &[f32]) {
        tracing::error!("mapped weights cannot be written");
    }

    /// See [`Self::from_float`].
    fn from_float_imatrix(&mut self, _: &[f32], _: &[f32], _: usize) {
        tracing::error!("mapped weights cannot be written");
    }

    fn size(&self) -> usize {
        self.storage_size_in_bytes()
    }
}

/// The numbers of a tensor as f32, for the few small ones that are used number by number.
pub(crate) fn numbers(tensor: &QTensor) -> Result<Vec<f32>, ModelError> {
    let flat = tensor
        .dequantize(&candle_core::Device::Cpu)?
        .flatten_all()?;
    Ok(flat.to_vec1()?)
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Module, Tensor, quantized::QMatMul};

    use super::*;

    fn owned(dtype: GgmlDType, bytes: &[u8], shape: &[usize]) -> QTensor {
        let storage = QStorage::from_data(bytes.into(), &Device::Cpu, dtype).unwrap();
        QTensor::new(storage, shape).unwrap()
    }

    #[test]
    fn a_mapped_tensor_computes_what_an_owned_one_does() {
        let dense: Vec<f32> = (0..256 * 32)
            .map(|i| ((i * 37) % 101) as f32 * 0.01 - 0.5)
            .collect();
        let dense = Tensor::from_vec(dense, (32, 256), &Device::Cpu).unwrap();
        for dtype in [
            GgmlDType::F32,
            GgmlDType::F16,
            GgmlDType::Q8_0,
            GgmlDType::Q4K,
            GgmlDType::Q6K,
        ] {
            let bytes = QTensor::quantize(&dense, dtype)
                .unwrap()
                .data()
                .unwrap()
                .into_owned();
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), [&[0; 64][..], &bytes].concat()).unwrap();
            let file = MappedFile::open(file.path()).unwrap();
            let mapped = file.tensor(64, dtype, &[32, 256]).unwrap();
            let owned = owned(dtype, &bytes, &[32, 256]);
            assert_eq!(numbers(&mapped).unwrap(), numbers(&owned).unwrap());
            let x = dense.narrow(0, 3, 5).unwrap();
            let ids = Tensor::new(&[31u32, 0], &Device::Cpu).unwrap();
            let rows = |tensor: &QTensor| tensor.embedding(&ids).unwrap().to_vec2::<f32>().unwrap();
            assert_eq!(rows(&mapped), rows(&owned));
            file.release();
            let product = |tensor: QTensor| {
                let product = QMatMul::from_qtensor(tensor).unwrap().forward(&x).unwrap();
                product.to_vec2::<f32>().unwrap()
            };
            assert_eq!(product(mapped), product(owned));
        }
    }

    #[test]
    fn a_tensor_outside_its_file_or_askew_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), [0; 64]).unwrap();
        let file = MappedFile::open(file.path()).unwrap();
        for (start, shape) in [
            (0, [17, 1]),
            (64, [1, 1]),
            (usize::MAX, [1, 1]),
            (2, [1, 1]),
        ] {
            let refused = file.tensor(start, GgmlDType::F32, &shape);
            assert!(
                matches!(refused, Err(ModelError::Damaged { .. })),
                "{start} {shape:?}"
            );
        }
        assert!(file.tensor(0, GgmlDType::F32, &[16, 1]).is_ok());
    }
}
