//! The owner's password of older encryption (revisions 2 to 4).
//!
//! hayro opens files with the user's password only. Up to revision 4 the user's password is stored encrypted with the owner's, so it
//! can be had from that (ISO 32000-1, algorithm 7). From revision 5 on both passwords open the file by themselves and nothing is
//! needed here.

use lopdf::{Dictionary, Document, Object};
use md5::{Digest, Md5};

/// Fills passwords up to 32 bytes (ISO 32000-1, algorithm 2).
const PADDING: [u8; 32] = [
    0x28, 0xBF, 0x4E, 0x5E, 0x4E, 0x75, 0x8A, 0x41, 0x64, 0x00, 0x4E, 0x56, 0xFF, 0xFA, 0x01, 0x08,
    0x2E, 0x2E, 0x00, 0xB6, 0xD0, 0x68, 0x3E, 0x80, 0x2F, 0x0C, 0xA9, 0xFE, 0x64, 0x53, 0x69, 0x7A,
];

/// Times that the key is hashed again from revision 3 on.
const ROUNDS: usize = 50;

/// What `/Encrypt` says, as far as it is needed.
struct Encryption {
    revision: i64,
    key_bytes: usize,
    owner_entry: Vec<u8>,
}

/// The user's password of the encrypted file `bytes`, if `owner_password` is the owner's.
///
/// Whether it is cannot be told here: a wrong one gives a wrong user's password, which then does not open the file.
pub(super) fn user_password(bytes: &[u8], owner_password: &str) -> Option<String> {
    let document = Document::load_mem(bytes).ok()?;
    let (_, entry) = document
        .dereference(document.trailer.get(b"Encrypt").ok()?)
        .ok()?;
    let encryption = Encryption::read(entry.as_dict().ok()?)?;
    let padded = encryption.decrypt(owner_password.as_bytes());
    let length = (0..=padded.len()).find(|&length| PADDING.starts_with(&padded[length..]))?;
    String::from_utf8(padded[..length].to_vec()).ok()
}

impl Encryption {
    fn read(dictionary: &Dictionary) -> Option<Self> {
        let number = |key: &[u8]| dictionary.get(key).and_then(Object::as_i64).ok();
        let revision = number(b"R")?;
        let version = number(b"V")?;
        let bits = match version {
            1 => 40,
            // The length of version 4 stands in its crypt filters and is always 128.
            4 => 128,
            _ => number(b"Length").unwrap_or(40),
        };
        let owner_entry = dictionary.get(b"O").and_then(Object::as_str).ok()?.to_vec();
        let is_known = matches!(revision, 2..=4)
            && (40..=128).contains(&bits)
            && owner_entry.len() >= PADDING.len();
        is_known.then_some(Self {
            revision,
            key_bytes: bits as usize / 8,
            owner_entry,
        })
    }

    fn decrypt(&self, owner_password: &[u8]) -> Vec<u8> {
        let kept = &owner_password[..owner_password.len().min(PADDING.len())];
        let mut hash = Md5::new()
            .chain_update(kept)
            .chain_update(&PADDING[..PADDING.len() - kept.len()])
            .finalize();
        if self.revision >= 3 {
            for _ in 0..ROUNDS {
                hash = Md5::digest(hash);
            }
        }
        let key = &hash[..self.key_bytes];
        let mut data = self.owner_entry[..PADDING.len()].to_vec();
        // From revision 3 on the entry was encrypted 20 times, each time with another variant of the key.
        let variants = if self.revision >= 3 { 20u8 } else { 1 };
        for variant in (0..variants).rev() {
            let key: Vec<u8> = key.iter().map(|byte| byte ^ variant).collect();
            rc4(&key, &mut data);
        }
        data
    }
}

fn rc4(key: &[u8], data: &mut [u8]) {
    let mut state: [u8; 256] = std::array::from_fn(|index| index as u8);
    let mut swap_with = 0u8;
    for index in 0..256 {
        swap_with = swap_with
            .wrapping_add(state[index])
            .wrapping_add(key[index % key.len()]);
        state.swap(index, usize::from(swap_with));
    }
    let (mut first, mut second) = (0u8, 0u8);
    for byte in data {
        first = first.wrapping_add(1);
        second = second.wrapping_add(state[usize::from(first)]);
        state.swap(usize::from(first), usize::from(second));
        let index = state[usize::from(first)].wrapping_add(state[usize::from(second)]);
        *byte ^= state[usize::from(index)];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rc4_gives_the_published_test_vector() {
        let mut data = *b"Plaintext";
        rc4(b"Key", &mut data);
        assert_eq!(data, [0xBB, 0xF3, 0x16, 0xE8, 0xD9, 0x40, 0xAF, 0x0A, 0xD3]);
    }

    #[test]
    fn what_the_owner_encrypted_is_decrypted() {
        for (revision, key_bytes) in [(2, 5), (3, 16)] {
            let mut entry = PADDING.to_vec();
            entry.splice(0..0, *b"user").for_each(drop);
            entry.truncate(PADDING.len());
            let mut encryption = Encryption {
                revision,
                key_bytes,
                owner_entry: vec![0; PADDING.len()],
            };
            // RC4 undoes itself, so decrypting nothing gives the key stream.
            let key_stream = encryption.decrypt(b"owner");
            encryption.owner_entry = entry
                .iter()
                .zip(&key_stream)
                .map(|(byte, key)| byte ^ key)
                .collect();
            let padded = encryption.decrypt(b"owner");
            assert!(padded.starts_with(b"user") && PADDING.starts_with(&padded[4..]));
        }
    }

    #[test]
    fn a_file_without_encryption_has_no_passwords() {
        let mut writer = super::super::pdf_writer::PdfWriter::new();
        assert_eq!(
            user_password(
                &writer
                    .page(&super::super::pdf_writer::Content::default())
                    .finish(),
                "owner"
            ),
            None
        );
        assert_eq!(user_password(b"no file", "owner"), None);
    }
}
