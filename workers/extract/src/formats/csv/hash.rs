//! Hashes of cells, and their first eight bytes as a number, which settles most comparisons.

/// Any number with about as many ones as zeros: the first digits of pi after the point, in hexadecimal.
const KEY: u64 = 0x243F_6A88_85A3_08D3;

/// Hashes cells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hasher {
    key: u64,
}

impl Hasher {
    /// The hasher. Its key is always the same, because an estimate of different values depends on it, and the same bytes must give the
    /// same document. A file that is made to collide costs its own job the time limit.
    pub(crate) fn new() -> Self {
        Self { key: KEY }
    }

    /// Hash of `value`; every bit depends on every byte.
    #[inline]
    pub(crate) fn hash(self, value: &[u8]) -> u64 {
        let length = (value.len() as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut state = self.key ^ length;
        let last = match value.last_chunk::<8>() {
            // The last word overlaps the one before it: a shorter rest would need a loop of its own.
            Some(last) => {
                let (words, _) = value[..value.len() - 1].as_chunks::<8>();
                for word in words {
                    state = fold(state ^ u64::from_le_bytes(*word));
                }
                u64::from_le_bytes(*last)
            }
            None => prefix(value),
        };
        fold(fold(state ^ last) ^ self.key)
    }
}

/// Both halves of the product with an odd constant (the golden ratio's bits), which spreads every input bit.
fn fold(word: u64) -> u64 {
    const ODD: u128 = 0x9E37_79B9_7F4A_7C15;
    let product = u128::from(word) * ODD;
    (product >> 64) as u64 ^ product as u64
}

/// The first eight bytes as a number that is ordered as they are; zeros stand behind a shorter value.
#[inline]
pub(super) fn prefix(value: &[u8]) -> u64 {
    let four = |bytes: &[u8; 4]| u64::from(u32::from_be_bytes(*bytes));
    match (value.first_chunk::<8>(), value.len()) {
        (Some(first), _) => u64::from_be_bytes(*first),
        // Two reads that overlap: the bytes they share fall onto the same place.
        (None, length @ 4..) => {
            let (first, last) = (value.first_chunk(), value.last_chunk());
            let high = first.map_or(0, four) << 32;
            high | last.map_or(0, four) << (8 * (8 - length))
        }
        (None, 0) => 0,
        (None, length) => {
            let at = |index: usize| u64::from(value[index]) << (8 * (7 - index));
            at(0) | at(length / 2) | at(length - 1)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_prefix_is_ordered_as_the_bytes(a in prop::collection::vec(1_u8.., 0..8), b in prop::collection::vec(1_u8.., 0..8)) {
            prop_assert_eq!(prefix(&a).cmp(&prefix(&b)), a.cmp(&b));
        }

        #[test]
        fn equal_bytes_hash_alike_and_others_do_not(a in prop::collection::vec(any::<u8>(), 0..40), b in prop::collection::vec(any::<u8>(), 0..40)) {
            let hasher = Hasher::new();
            prop_assert_eq!(hasher.hash(&a) == hasher.hash(&b), a == b);
        }
    }

    #[test]
    fn every_byte_counts() {
        let hasher = Hasher::new();
        for length in 1..40 {
            let plain = vec![b'x'; length];
            for at in 0..length {
                let mut other = plain.clone();
                other[at] = b'y';
                assert_ne!(hasher.hash(&plain), hasher.hash(&other), "{length} {at}");
            }
        }
    }
}
