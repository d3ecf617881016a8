//! ZIP archives of files that can be read: their pages one after another, in the order of their names.

use super::nested::Nested;
use super::parts::Parts;
use crate::error::ParseError;
use crate::formats::{Format, Input, Output};
use crate::media::MediaType;
use crate::request::ParseRequest;

/// Most files that are read; more are named as left out.
const MAX_FILES: usize = 500;

/// Reads ZIP archives.
#[derive(Debug)]
pub(super) struct Archive;

impl Format for Archive {
    fn media(&self) -> &[MediaType] {
        &[MediaType::Zip]
    }

    fn parse(
        &self,
        input: &mut Input,
        request: &ParseRequest,
        out: &mut dyn Output,
    ) -> Result<(), ParseError> {
        let mut parts = Parts::open(input)?;
        let mut names = parts.names();
        names.retain(|name| !is_hidden(name));
        names.sort_unstable();
        if names.is_empty() {
            return Err(ParseError::Damaged("the archive holds no file".to_owned()));
        }
        let mut nested = Nested::new(out, 0);
        for (index, name) in names.iter().enumerate() {
            if index >= MAX_FILES {
                nested.skip(name, &format!("only {MAX_FILES} files are read"));
                continue;
            }
            match parts.read(name) {
                Ok(Some(bytes)) => nested.file(name, bytes, request)?,
                Ok(None) => {}
                Err(error) => nested.skip(name, &error.to_string()),
            }
        }
        nested.finish();
        Ok(())
    }
}

/// What file managers leave behind. Steps that only climb are no name: nothing is written, so they lead nowhere.
fn is_hidden(name: &str) -> bool {
    name.split('/')
        .any(|step| (step.starts_with('.') && !matches!(step, "." | "..")) || step == "__MACOSX")
}

#[cfg(test)]
mod tests {
    use crate::formats::parts::container;
    use crate::formats::testing::Collected;
    use crate::media::MediaType;

    #[test]
    fn files_follow_one_another_and_what_cannot_be_read_is_named() {
        let inner = container(&[("x.txt", b"hidden")]);
        let bytes = container(&[
            ("b.md", b"# Second".as_slice()),
            ("a.txt", b"First, page one.\x0cFirst, page two."),
            ("c.csv", b"ship,toll\ncog,4\nhulk,7\n"),
            ("d.csv", b"ship,length\ncog,20\nhulk,30\n"),
            ("e.zip", &inner),
            ("f.exe", b"MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff"),
            ("__MACOSX/a.txt", b"junk"),
        ]);
        let out = Collected::of(MediaType::Zip, &bytes);
        assert_eq!(
            out.texts(),
            [
                "First, page one.",
                "First, page two.",
                "Second",
                "ship | length\ncog | 20\nhulk | 30"
            ]
        );
        let numbers: Vec<u32> = out.pages.iter().map(|page| page.number).collect();
        assert_eq!(numbers, [1, 2, 3, 4]);
        assert_eq!(out.table.as_ref().unwrap().rows, 2);
        assert_eq!(out.codes(), ["file_left_out"; 2]);
        assert_eq!(
            out.metadata["files"],
            "a.txt (pages 1-2); b.md (page 3); c.csv; d.csv (page 4)"
        );
    }
}
