//! ZIP containers with the same bytes every time, and the damage that some of them need.

use std::io::{Cursor, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// Bit of the flags of an entry that says that it is encrypted.
const ENCRYPTED: u8 = 1;

/// A container with these files.
pub(super) fn container<N: AsRef<str>, B: AsRef<[u8]>>(files: &[(N, B)]) -> Vec<u8> {
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        writer
            .start_file(name.as_ref(), options)
            .expect("a name is good for an entry");
        writer
            .write_all(bytes.as_ref())
            .expect("a vector takes everything");
    }
    writer
        .finish()
        .expect("a vector takes everything")
        .into_inner()
}

/// The same container, with `name` marked as encrypted in its header and in the directory.
pub(super) fn mark_encrypted(mut bytes: Vec<u8>, name: &str) -> Vec<u8> {
    // Signature, length of what stands before the flags, length of what stands before the name.
    for (signature, flags, name_at) in [(b"PK\x03\x04", 6, 30), (b"PK\x01\x02", 8, 46)] {
        let header = (0..bytes.len() - name_at).find(|&at| {
            bytes[at..].starts_with(signature) && bytes[at + name_at..].starts_with(name.as_bytes())
        });
        let header = header.expect("the entry is in the container");
        bytes[header + flags] |= ENCRYPTED;
    }
    bytes
}
