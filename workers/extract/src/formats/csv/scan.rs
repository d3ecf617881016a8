//! Finds the next of three bytes in a text, 64 bytes at a time.
//!
//! Cells are some seven bytes long, so a search that starts anew for each of them pays for starting and for the mispredicted end.
//! Instead 64 bytes are compared at once into a bit mask, which is kept, and the ends of the cells are its bits (the first stage
//! of Langdale and Lemire, "Parsing gigabytes of JSON per second", 2019).

/// Bytes that one mask speaks for.
const BLOCK: usize = 64;

/// Searches one text; [`Scanner::forget`] before another one, or after a change.
#[derive(Debug)]
pub(super) struct Scanner {
    needles: [u8; 3],
    /// Where the block of `mask` begins; no block when it is [`usize::MAX`].
    base: usize,
    /// A bit for every byte of the block that is one of the needles.
    mask: u64,
}

impl Scanner {
    /// A scanner for any of `needles`.
    pub(super) fn new(needles: [u8; 3]) -> Self {
        Self {
            needles,
            base: usize::MAX,
            mask: 0,
        }
    }

    /// Forgets the text seen so far.
    pub(super) fn forget(&mut self) {
        self.base = usize::MAX;
    }

    /// The first needle in `text` at `from` or behind it; the length of the text when there is none.
    #[inline]
    pub(super) fn next(&mut self, text: &[u8], from: usize) -> usize {
        let mut base = from & !(BLOCK - 1);
        let mut ahead = from - base;
        loop {
            if base != self.base {
                if base >= text.len() {
                    return text.len();
                }
                self.mask = mask_at(text, base, self.needles);
                self.base = base;
            }
            let left = self.mask >> ahead;
            if left != 0 {
                return (base + ahead + left.trailing_zeros() as usize).min(text.len());
            }
            base += BLOCK;
            ahead = 0;
        }
    }
}

#[inline]
fn mask_at(text: &[u8], base: usize, needles: [u8; 3]) -> u64 {
    if let Some(block) = text[base..].first_chunk::<BLOCK>() {
        return mask_of(block, needles);
    }
    let rest = &text[base..];
    let mut block = [0; BLOCK];
    block[..rest.len()].copy_from_slice(rest);
    // A needle may be zero, and what is behind the text holds none.
    mask_of(&block, needles) & ((1 << rest.len()) - 1)
}

/// The loop without a branch is what compilers turn into vector instructions; the product gathers the lowest bits of eight bytes.
#[inline]
fn mask_of(block: &[u8; BLOCK], [a, b, c]: [u8; 3]) -> u64 {
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let mut found = [0_u8; BLOCK];
    for (found, &byte) in found.iter_mut().zip(block) {
        *found = u8::from(byte == a) | u8::from(byte == b) | u8::from(byte == c);
    }
    let (words, _) = found.as_chunks::<8>();
    let bits = words
        .iter()
        .map(|word| u64::from_le_bytes(*word).wrapping_mul(GATHER) >> 56);
    bits.enumerate()
        .fold(0, |mask, (index, bits)| mask | bits << (8 * index))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_finds_what_a_plain_search_finds(
            text in prop::collection::vec(prop::sample::select(b"abc,\n\r\0".to_vec()), 0..300),
            from in 0..300_usize,
        ) {
            let needles = [b',', b'\n', 0];
            let expected = |from: usize| {
                let rest = text.get(from..).unwrap_or_default();
                rest.iter().position(|byte| needles.contains(byte)).map_or(text.len(), |at| from + at)
            };
            let mut scanner = Scanner::new(needles);
            let from = from.min(text.len());
            prop_assert_eq!(scanner.next(&text, from), expected(from));
            let mut at = 0;
            while at < text.len() {
                prop_assert_eq!(scanner.next(&text, at), expected(at));
                at = scanner.next(&text, at) + 1;
            }
        }
    }

    #[test]
    fn what_was_forgotten_is_looked_at_again() {
        let mut scanner = Scanner::new(*b",\n\r");
        assert_eq!(scanner.next(b"ab,", 0), 2);
        scanner.forget();
        assert_eq!(scanner.next(b"a,b", 0), 1);
    }
}
