//! The alphabet of byte-level vocabularies, and text out of bytes that come a few at a time.
//!
//! GPT-2 writes each byte as a printable character: printable Latin-1 stands for itself, the others for characters from U+0100 on, in
//! order. All families here use it.

use tokenizers::models::bpe::Vocab;

/// First of the characters that stand for bytes which cannot be printed.
const SHIFTED: u32 = 0x100;

/// Characters to bytes.
pub(super) struct Alphabet {
    /// By character; those of no byte are none.
    bytes: Vec<Option<u8>>,
}

impl Alphabet {
    pub(super) fn new() -> Self {
        let mut bytes = vec![None; SHIFTED as usize + 256];
        let mut shifted = SHIFTED;
        for byte in 0..=255u8 {
            let own = matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
            let place = if own { u32::from(byte) } else { shifted };
            shifted += u32::from(!own);
            bytes[place as usize] = Some(byte);
        }
        Self { bytes }
    }

    /// The bytes of a token's text; none when it holds a character of no byte.
    pub(super) fn bytes(&self, token: &str) -> Option<Vec<u8>> {
        let byte = |c: char| self.bytes.get(c as usize).copied().flatten();
        token.chars().map(byte).collect()
    }

    /// How many bytes are no token of their own; without one, a text with that byte could not be encoded whole.
    pub(super) fn missing(&self, vocabulary: &Vocab) -> usize {
        let characters = (0..).zip(&self.bytes).filter(|(_, byte)| byte.is_some());
        let names = characters.filter_map(|(code, _)| char::from_u32(code));
        names
            .filter(|name| !vocabulary.contains_key(name.encode_utf8(&mut [0; 4]) as &str))
            .count()
    }
}

/// Joins bytes to text as soon as a character is whole.
#[derive(Debug, Default)]
pub(in crate::generate) struct Utf8 {
    held: Vec<u8>,
}

impl Utf8 {
    /// The text that is certain after these bytes. What can never become a character is shown as U+FFFD.
    pub(in crate::generate) fn push(&mut self, bytes: &[u8]) -> String {
        self.held.extend_from_slice(bytes);
        let mut text = String::new();
        let mut rest = &self.held[..];
        loop {
            match std::str::from_utf8(rest) {
                Ok(valid) => {
                    text.push_str(valid);
                    rest = &[];
                    break;
                }
                Err(error) => {
                    let (valid, behind) = rest.split_at(error.valid_up_to());
                    text.push_str(&String::from_utf8_lossy(valid));
                    rest = behind;
                    let Some(bad) = error.error_len() else { break };
                    text.push(char::REPLACEMENT_CHARACTER);
                    rest = &rest[bad..];
                }
            }
        }
        self.held = rest.to_vec();
        text
    }

    /// What is left at the end: at most one broken character.
    pub(in crate::generate) fn finish(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.held)).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_alphabet_has_every_byte_once() {
        let alphabet = Alphabet::new();
        let mut found: Vec<u8> = alphabet.bytes.iter().copied().flatten().collect();
        found.sort_unstable();
        assert_eq!(found, (0..=255).collect::<Vec<u8>>());
        assert_eq!(alphabet.bytes("ĠÃ©Ċ").unwrap(), " é\n".as_bytes());
        assert_eq!(alphabet.bytes("漢"), None);
    }

    proptest! {
        #[test]
        fn pieces_give_the_same_text_as_the_whole(bytes in proptest::collection::vec(any::<u8>(), 0..60), cut in 1usize..5) {
            let mut utf8 = Utf8::default();
            let mut text: String = bytes.chunks(cut).map(|piece| utf8.push(piece)).collect();
            text.push_str(&utf8.finish());
            prop_assert_eq!(text, String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn no_piece_holds_half_a_character(text in "\\PC{0,20}", cut in 1usize..5) {
            prop_assume!(!text.contains(char::REPLACEMENT_CHARACTER));
            let mut utf8 = Utf8::default();
            for piece in text.as_bytes().chunks(cut) {
                prop_assert!(!utf8.push(piece).contains(char::REPLACEMENT_CHARACTER));
            }
            prop_assert_eq!(utf8.finish(), "");
        }
    }
}
