//! How the weights of `Q4_K` and `Q6_K` lie in memory for the kernels of `tile`.
//!
//! Files have one row of weights after the other. Here 16 rows, which are 16 columns of the product, are one tile: a vector of 512 bits
//! has four weights of each, so that one instruction serves 16 results and nothing is summed across a vector. A *word* is such a group
//! of four bytes; a tile has 64 word vectors for each block of 256 weights.
//!
//! The scales belong to sub-blocks of 32 (`Q4_K`) or 16 (`Q6_K`) weights, and products are summed in pairs of 16 bits before they are
//! scaled. So a word takes two weights from a sub-block and two from the one 32 weights later, and one vector scales both halves.
//! Word `i` of the pair of 32s number `p` holds the weights `64p + 2i`, `64p + 2i + 1`, and the same plus 32.
//!
//! The weights keep their bits, four or six: a token has to read them all, and memory is slower than the kernel. The tiles take 3 %
//! more room than the file (`Q4_K`: the scales are unpacked to bytes).

use candle_core::quantized::GgmlDType;

/// Columns of a tile: 32-bit lanes of the widest vector.
pub(super) const COLUMNS: usize = 16;
/// Weights of one column in a tile.
pub(super) const BLOCK: usize = 256;
/// Bytes of a vector.
pub(super) const LINE: usize = 64;
/// Sub-blocks of 64 in a block: a word's two halves come from the two halves of one.
pub(super) const PAIRS: usize = 4;
/// Words of one column in such a sub-block.
pub(super) const WORDS: usize = 16;

/// Where the factors of the scales are in a tile of either format, as f16 in the first half of the line. Before them are the scales, 32
/// bytes for each two lines of words or more; behind them the words, in the order in which they are used, because only then
/// does the processor fetch them ahead.
pub(super) const FACTORS: usize = 4;
/// Where the minimums of `Q4_K` start, laid out like the scales: two bytes a column for each pair. Their factors are in the second half
/// of the line of factors.
pub(super) const Q4_MINIMUMS: usize = 2;
/// Lines of each pair in `Q4_K`: words, `i` in the lower halves of the bytes and `i + 8` in the upper.
pub(super) const Q4_PAIR: usize = WORDS / 2;
/// Lines of a `Q4_K` tile.
pub(super) const Q4_LINES: usize = FACTORS + 1 + PAIRS * Q4_PAIR;
/// Lines with the upper two bits, at the start of each pair in `Q6_K`: a byte has those of the words `i`, `i + 4`, `i + 8`, `i + 12`.
pub(super) const Q6_UPPER: usize = WORDS / 4;
/// Lines of each pair in `Q6_K`: the upper two bits, then the lower four as in `Q4_K`.
pub(super) const Q6_PAIR: usize = Q6_UPPER + Q4_PAIR;
/// Lines of a `Q6_K` tile.
pub(super) const Q6_LINES: usize = FACTORS + 1 + PAIRS * Q6_PAIR;

/// Bytes of a block in a file.
const Q4_BYTES: usize = 144;
const Q6_BYTES: usize = 210;

/// A format that has a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Q4,
    Q6,
}

impl Format {
    pub(super) fn of(dtype: GgmlDType) -> Option<Self> {
        match dtype {
            GgmlDType::Q4K => Some(Self::Q4),
            GgmlDType::Q6K => Some(Self::Q6),
            _ => None,
        }
    }

    /// Lines of a tile.
    pub(super) fn lines(self) -> usize {
        match self {
            Self::Q4 => Q4_LINES,
            Self::Q6 => Q6_LINES,
        }
    }

    fn block_bytes(self) -> usize {
        match self {
            Self::Q4 => Q4_BYTES,
            Self::Q6 => Q6_BYTES,
        }
    }

    /// Lays out the rows of a file, each of `depth` blocks. `tiles` has [`Self::lines`] lines for each tile, all zeros.
    pub(super) fn pack(self, rows: &[u8], depth: usize, tiles: &mut [u8]) {
        let row_bytes = depth * self.block_bytes();
        let tile_bytes = self.lines() * LINE;
        let panels = rows.chunks_exact(COLUMNS * row_bytes);
        for (rows, tiles) in panels.zip(tiles.chunks_exact_mut(depth * tile_bytes)) {
            for (column, row) in rows.chunks_exact(row_bytes).enumerate() {
                let blocks = row.chunks_exact(self.block_bytes());
                for (block, tile) in blocks.zip(tiles.chunks_exact_mut(tile_bytes)) {
                    match self {
                        Self::Q4 => pack_q4(block, column, tile),
                        Self::Q6 => pack_q6(block, column, tile),
                    }
                }
            }
        }
    }
}

/// A block is two factors, twelve bytes of scales and minimums, and the weights: of each 64, the first 32 in the lower halves of bytes.
fn pack_q4(block: &[u8], column: usize, tile: &mut [u8]) {
    let (factors, rest) = block.split_at(4);
    let (scales, weights) = rest.split_at(12);
    let (tables, lines) = tile.split_at_mut((FACTORS + 1) * LINE);
    let mut lines = lines.chunks_exact_mut(LINE);
    for weights in weights.as_chunks::<32>().0 {
        for word in (0..WORDS).step_by(2) {
            let both = |at: usize| {
                let (first, second) = (weights[at], weights[at + 16]);
                (first & 15 | second << 4, first >> 4 | second & 0xF0)
            };
            let ((a, c), (b, d)) = (both(word), both(word + 1));
            if let Some(line) = lines.next() {
                line[4 * column..][..4].copy_from_slice(&[a, b, c, d]);
            }
        }
    }
    for sub in 0..2 * PAIRS {
        let (scale, minimum) = scale_and_minimum(scales, sub);
        let at = sub / 2 * 32 + 2 * column + sub % 2;
        tables[at] = scale;
        tables[Q4_MINIMUMS * LINE + at] = minimum;
    }
    let line = &mut tables[FACTORS * LINE..];
    line[2 * column..][..2].copy_from_slice(&factors[..2]);
    line[LINE / 2 + 2 * column..][..2].copy_from_slice(&factors[2..]);
}

/// Six bits each, as the format packs them: the first four pairs whole, the upper bits of the others in the gaps.
fn scale_and_minimum(packed: &[u8], sub: usize) -> (u8, u8) {
    if sub < 4 {
        return (packed[sub] & 63, packed[sub + 4] & 63);
    }
    let low = packed[sub + 4];
    (
        low & 15 | packed[sub - 4] >> 6 << 4,
        low >> 4 | packed[sub] >> 6 << 4,
    )
}

/// A block is the lower four bits, the upper two, 16 scales and a factor. Of each 128 weights, 64 bytes have the lower bits of the
/// first and second 64 in their halves, and 32 bytes the upper ones of four times 32.
fn pack_q6(block: &[u8], column: usize, tile: &mut [u8]) {
    let (lower, rest) = block.split_at(128);
    let (upper, rest) = rest.split_at(64);
    let (scales, factor) = rest.split_at(16);
    for pair in 0..PAIRS {
        let (half, second) = (pair / 2, pair % 2 == 1);
        let weight = |at: usize| {
            let low = lower[half * 64 + at] >> if second { 4 } else { 0 } & 15;
            let shift = 2 * (at / 32) + if second { 4 } else { 0 };
            (low, upper[half * 32 + at % 32] >> shift & 3)
        };
        for word in 0..WORDS {
            let at = [2 * word, 2 * word + 1, 32 + 2 * word, 33 + 2 * word];
            let first = FACTORS + 1 + pair * Q6_PAIR;
            let upper_line = (first + word % 4) * LINE + 4 * column;
            let line = (first + Q6_UPPER + word % 8) * LINE + 4 * column;
            for (byte, at) in at.into_iter().enumerate() {
                let (low, high) = weight(at);
                tile[line + byte] |= low << (word / 8 * 4);
                tile[upper_line + byte] |= high << (word / 4 * 2);
            }
        }
        for half in 0..2 {
            let at = (2 * pair + half) * 32 + 2 * column;
            tile[at] = scales[4 * pair + half];
            tile[at + 1] = scales[4 * pair + half + 2];
        }
    }
    tile[FACTORS * LINE + 2 * column..][..2].copy_from_slice(factor);
}
