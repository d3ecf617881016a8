//! The name of an ICC colour profile (ICC.1:2022, 7.2 and 9.2.41): what its `desc` tag says.

use crate::document::clean_text;
use crate::limits::truncate;

/// Tags that are looked through; profiles have some twenty.
const MAX_TAGS: usize = 100;

/// Most bytes of a name.
const MAX_NAME: usize = 200;

/// The name of `profile`; its colour space when it has none, nothing when it is no profile.
pub(super) fn name(profile: &[u8]) -> Option<String> {
    if profile.get(36..40)? != b"acsp" {
        return None;
    }
    let space = String::from_utf8_lossy(profile.get(16..20)?)
        .trim()
        .to_owned();
    let name = description(profile).filter(|name| !name.is_empty());
    let name = name.unwrap_or(space);
    Some(clean_text(truncate(&name, MAX_NAME)).into_owned())
}

fn description(profile: &[u8]) -> Option<String> {
    let number = |at: usize| {
        let bytes = profile.get(at..)?.first_chunk::<4>()?;
        Some(u32::from_be_bytes(*bytes) as usize)
    };
    let tags = number(128)?.min(MAX_TAGS);
    let entry = (0..tags)
        .map(|tag| 132 + 12 * tag)
        .find(|&at| profile.get(at..at + 4) == Some(b"desc"))?;
    let (start, length) = (number(entry + 4)?, number(entry + 8)?);
    let data = profile.get(start..start.checked_add(length)?)?;
    let number = |at: usize| {
        let bytes = data.get(at..)?.first_chunk::<4>()?;
        Some(u32::from_be_bytes(*bytes) as usize)
    };
    match data.get(..4)? {
        // Version 2: a count and that many bytes, the last of them zero.
        b"desc" => {
            let text = data.get(12..12_usize.checked_add(number(8)?)?)?;
            let text = String::from_utf8_lossy(text);
            Some(text.trim_end_matches('\0').trim().to_owned())
        }
        // Version 4: names in several languages, of which the first will do.
        b"mluc" => {
            let (length, offset) = (number(20)?, number(24)?);
            let text = data.get(offset..offset.checked_add(length)?)?;
            let (units, _) = text.as_chunks::<2>();
            let text = char::decode_utf16(units.iter().map(|unit| u16::from_be_bytes(*unit)));
            let text: String = text.map(|c| c.unwrap_or('\u{FFFD}')).collect();
            Some(text.trim_end_matches('\0').trim().to_owned())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A profile whose only tag is `desc` with `data`.
    fn profile(data: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 128];
        bytes[16..20].copy_from_slice(b"RGB ");
        bytes[36..40].copy_from_slice(b"acsp");
        bytes.extend(1_u32.to_be_bytes());
        bytes.extend(b"desc");
        bytes.extend(144_u32.to_be_bytes());
        bytes.extend((data.len() as u32).to_be_bytes());
        bytes.extend(data);
        bytes
    }

    #[test]
    fn both_versions_are_named() {
        let mut second = b"desc\0\0\0\0\0\0\0\x05sRGB\0".to_vec();
        assert_eq!(name(&profile(&second)).as_deref(), Some("sRGB"));
        second[11] = 200;
        assert_eq!(
            name(&profile(&second)).as_deref(),
            Some("RGB"),
            "a length that is a lie"
        );
        let mut fourth = b"mluc\0\0\0\0\0\0\0\x01\0\0\0\x0cenUS\0\0\0\x04\0\0\0\x1c".to_vec();
        fourth.extend("P3".encode_utf16().flat_map(u16::to_be_bytes));
        assert_eq!(name(&profile(&fourth)).as_deref(), Some("P3"));
        assert_eq!(name(b"no profile"), None);
    }

    proptest! {
        #[test]
        fn rubbish_is_survived(data in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = name(&profile(&data));
            let _ = name(&data);
        }
    }
}
