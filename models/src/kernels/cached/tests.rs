//! The kernels against the definition in f64.

use super::*;

/// Deterministic numbers in -1..1 that f16 holds exactly.
fn numbers(count: usize, seed: usize) -> Vec<f32> {
    (0..count)
        .map(|i| ((i * 37 + seed * 101) % 129) as f32 / 64.0 - 1.0)
        .collect()
}

/// Cached keys and values of one layer for `tokens` tokens, as blocks and as plain rows.
struct Cache {
    blocks: Vec<Vec<f16>>,
    /// Per token: keys of all heads, then values of all heads.
    rows: Vec<Vec<f32>>,
}

fn cache(heads: Heads, tokens: usize) -> Cache {
    let width = heads.kv * heads.size;
    let rows: Vec<Vec<f32>> = (0..tokens).map(|token| numbers(2 * width, token)).collect();
    let blocks = tokens.div_ceil(BLOCK_TOKENS);
    let mut blocks = vec![vec![f16::NAN; heads.layer_numbers()]; blocks];
    for (token, row) in rows.iter().enumerate() {
        for head in 0..heads.kv {
            let block = &mut blocks[token / BLOCK_TOKENS];
            let at = heads.key_at(head, token % BLOCK_TOKENS);
            for i in 0..heads.size {
                block[at + i] = f16::from_f32(row[head * heads.size + i]);
                block[at + heads.value_distance() + i] =
                    f16::from_f32(row[width + head * heads.size + i]);
            }
        }
    }
    Cache { blocks, rows }
}

impl Cache {
    fn views(&self, last: usize) -> Vec<&[f16]> {
        let blocks = self.blocks[..=last / BLOCK_TOKENS].iter();
        blocks.map(Vec::as_slice).collect()
    }
}

fn reference(heads: Heads, cache: &Cache, query: &[f32], position: usize) -> Vec<f32> {
    let (size, width) = (heads.size, heads.kv * heads.size);
    let mut out = vec![0.0; heads.width()];
    for head in 0..heads.count {
        let kv = head / heads.group() * size;
        let query = &query[head * size..][..size];
        let scores: Vec<f64> = (0..=position)
            .map(|token| {
                let key = &cache.rows[token][kv..kv + size];
                let product: f64 = query.iter().zip(key).map(|(q, k)| f64::from(q * k)).sum();
                (product / (size as f64).sqrt()).exp()
            })
            .collect();
        let total: f64 = scores.iter().sum();
        for i in 0..size {
            let weighted = (0..=position)
                .map(|token| scores[token] / total * f64::from(cache.rows[token][width + kv + i]));
            out[head * size + i] = weighted.sum::<f64>() as f32;
        }
    }
    out
}

fn run(heads: Heads, cache: &Cache, first: usize, queries: &[f32]) -> Vec<f32> {
    let mut out = vec![f32::NAN; queries.len()];
    let last = first + queries.len() / heads.width() - 1;
    let span = Span {
        queries,
        out: &mut out,
        first,
        blocks: cache.views(last),
    };
    attend(heads, vec![span]);
    out
}

fn worst(got: &[f32], want: &[f32]) -> f32 {
    got.iter()
        .zip(want)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}

const SHAPES: [Heads; 4] = [
    Heads {
        count: 4,
        kv: 2,
        size: 32,
    },
    Heads {
        count: 3,
        kv: 1,
        size: 16,
    },
    Heads {
        count: 2,
        kv: 2,
        size: 128,
    },
    Heads {
        count: 14,
        kv: 2,
        size: 64,
    },
];

#[test]
fn rows_agree_with_the_definition() {
    for heads in SHAPES {
        let cache = cache(heads, 200);
        for (first, rows) in [
            (0, 1),
            (0, 2),
            (0, 64),
            (0, 200),
            (63, 2),
            (64, 70),
            (130, 37),
        ] {
            let queries = numbers(rows * heads.width(), 7);
            let got = run(heads, &cache, first, &queries);
            for (row, got) in got.chunks_exact(heads.width()).enumerate() {
                let query = &queries[row * heads.width()..][..heads.width()];
                let want = reference(heads, &cache, query, first + row);
                let worst = worst(got, &want);
                assert!(worst < 3e-6, "{heads:?}, {rows} rows from {first}: {worst}");
            }
        }
    }
}

#[test]
fn a_token_agrees_with_the_definition() {
    for heads in SHAPES {
        let cache = cache(heads, 200);
        for position in [0, 1, 62, 63, 64, 127, 199] {
            let query = numbers(heads.width(), position);
            let got = run(heads, &cache, position, &query);
            let want = reference(heads, &cache, &query, position);
            assert!(worst(&got, &want) < 3e-6, "{heads:?} at {position}");
        }
    }
}

#[test]
fn spans_of_one_call_do_not_see_each_other() {
    let heads = SHAPES[0];
    let (one, two) = (cache(heads, 150), cache(heads, 90));
    let (long, single) = (numbers(100 * heads.width(), 1), numbers(heads.width(), 2));
    let mut outs = [vec![0.0; long.len()], vec![0.0; single.len()]];
    let [first, second] = &mut outs;
    let spans = vec![
        Span {
            queries: &long,
            out: first,
            first: 50,
            blocks: one.views(149),
        },
        Span {
            queries: &single,
            out: second,
            first: 89,
            blocks: two.views(89),
        },
    ];
    attend(heads, spans);
    assert_eq!(outs[0], run(heads, &one, 50, &long));
    assert_eq!(outs[1], run(heads, &two, 89, &single));
}

#[test]
fn large_scores_do_not_overflow() {
    let heads = SHAPES[2];
    let cache = cache(heads, 70);
    let queries: Vec<f32> = numbers(2 * heads.width(), 3)
        .iter()
        .map(|x| x * 1e4)
        .collect();
    let out = run(heads, &cache, 68, &queries);
    assert!(out.iter().all(|x| x.abs() <= 1.0));
}
