//! EXIF as a map from field names to text, without positions, previews and makers' private data.

use std::collections::BTreeMap;

use exif::{Context, In, Reader, Tag, Value};

use crate::document::clean_text;
use crate::limits::truncate;

/// Most fields that are kept.
const MAX_FIELDS: usize = 128;

/// Most bytes of one field.
const MAX_VALUE: usize = 256;

/// Where the positions begin; a damaged block may leave it among the fields.
const POSITION: Tag = Tag(Context::Tiff, 0x8825);

/// Fields that say nothing to a reader.
const OPAQUE: [Tag; 3] = [Tag::MakerNote, Tag::UserComment, Tag::ExifVersion];

/// The fields of a raw EXIF block; as many as can be read of a damaged one.
pub(super) fn describe(raw: Vec<u8>) -> BTreeMap<String, String> {
    let mut reader = Reader::new();
    reader.continue_on_error(true);
    let parsed = reader
        .read_raw(raw)
        .or_else(|error| error.distill_partial_result(|_| ()));
    let Ok(exif) = parsed else {
        return BTreeMap::new();
    };
    let told = exif
        .fields()
        .filter(|field| field.ifd_num == In::PRIMARY && is_told(field.tag, &field.value));
    told.take(MAX_FIELDS)
        .map(|field| {
            let text = field.display_value().with_unit(&exif).to_string();
            (
                field.tag.to_string(),
                clean_text(truncate(&text, MAX_VALUE)).into_owned(),
            )
        })
        .collect()
}

fn is_told(tag: Tag, value: &Value) -> bool {
    let is_position = tag.context() == Context::Gps || tag == POSITION;
    let is_readable = !matches!(value, Value::Undefined(..) | Value::Unknown(..));
    // A field without a name is shown by its number, which says nothing either.
    !is_position && is_readable && tag.description().is_some() && !OPAQUE.contains(&tag)
}

#[cfg(test)]
mod tests {
    use exif::Field;
    use exif::experimental::Writer;

    use super::*;

    fn block(fields: &[Field]) -> Vec<u8> {
        let mut writer = Writer::new();
        for field in fields {
            writer.push_field(field);
        }
        let mut raw = std::io::Cursor::new(Vec::new());
        writer.write(&mut raw, false).unwrap();
        raw.into_inner()
    }

    fn text(tag: Tag, text: &str) -> Field {
        Field {
            tag,
            ifd_num: In::PRIMARY,
            value: Value::Ascii(vec![text.as_bytes().to_vec()]),
        }
    }

    #[test]
    fn fields_are_named_and_positions_left_out() {
        let told = describe(block(&[
            text(Tag::Make, "Quire"),
            text(Tag::GPSLatitudeRef, "N"),
            text(Tag::GPSAreaInformation, "home"),
            text(Tag::DateTimeOriginal, "2024:01:31 10:30:00"),
        ]));
        assert_eq!(
            told.keys().collect::<Vec<_>>(),
            ["DateTimeOriginal", "Make"]
        );
        assert!(told["Make"].contains("Quire"));
    }

    #[test]
    fn long_values_are_cut_and_rubbish_is_nothing() {
        let told = describe(block(&[text(Tag::ImageDescription, &"x".repeat(10_000))]));
        assert!(told["ImageDescription"].len() <= MAX_VALUE);
        assert!(describe(b"II*\0\xff\xff\xff\xff".to_vec()).is_empty());
        assert!(describe(Vec::new()).is_empty());
    }
}
