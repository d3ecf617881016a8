//! Where documents go, and how they are written there: standard output, or a file for each.

use std::{
    collections::HashSet,
    fs,
    io::{self, Write},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use quire_extract::{Chunk, ChunkOptions, Document, ParseError, chunks, markdown};
use serde::Serialize;
use serde_json::{Value, json};

use super::{ExtractError, Format};

/// Writes one document.
#[derive(Clone, Copy, Debug)]
pub(super) struct Writer {
    format: Format,
    options: ChunkOptions,
    /// The output holds several documents, so each has to say which it is.
    named: bool,
}

impl Writer {
    /// For one file, or for `several` in one output.
    pub(super) fn new(format: Format, options: ChunkOptions, several: bool) -> Self {
        Self {
            format,
            options,
            named: several,
        }
    }

    /// The outcome of one file as bytes; of a failure only where lines of JSON are read by a program.
    fn bytes(self, path: &Path, outcome: &Result<Document, ParseError>) -> io::Result<Vec<u8>> {
        let file = path.to_string_lossy();
        match outcome {
            Ok(document) => self.document(&file, document),
            Err(error) if self.named && self.format == Format::Json => {
                let error = json!({"code": error.code(), "message": error.to_string()});
                line(&Failed { file: &file, error })
            }
            Err(_) => Ok(Vec::new()),
        }
    }

    fn document(self, file: &str, document: &Document) -> io::Result<Vec<u8>> {
        match self.format {
            Format::Md if self.named => Ok(format!(
                "<!-- file {} -->\n{}\n",
                one_line(file),
                markdown::document(document)
            )
            .into()),
            Format::Md => Ok(markdown::document(document).into()),
            Format::Text if self.named => Ok(format!(
                "==> {} <==\n{}\n",
                one_line(file),
                markdown::plain(document)
            )
            .into()),
            Format::Text => Ok(markdown::plain(document).into()),
            Format::Json if self.named => line(&Read { file, document }),
            Format::Json => line(document),
            Format::Chunks => {
                let mut bytes = Vec::new();
                for chunk in chunks(document, self.options) {
                    bytes.extend(line(&Piece { file, chunk })?);
                }
                Ok(bytes)
            }
        }
    }

    fn extension(self) -> &'static str {
        match self.format {
            Format::Md => "md",
            Format::Json => "json",
            Format::Text => "txt",
            Format::Chunks => "jsonl",
        }
    }
}

/// A line about a document.
#[derive(Serialize)]
struct Read<'a> {
    file: &'a str,
    document: &'a Document,
}

/// A line about a file that could not be read.
#[derive(Serialize)]
struct Failed<'a> {
    file: &'a str,
    error: Value,
}

/// A line about a piece.
#[derive(Serialize)]
struct Piece<'a> {
    file: &'a str,
    #[serde(flatten)]
    chunk: Chunk,
}

fn line(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(value)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// A name cannot end the comment or the line that it stands in.
fn one_line(name: &str) -> String {
    name.replace("--", "- -").replace(char::is_control, " ")
}

/// Where the documents go.
#[derive(Debug)]
pub(super) enum Output {
    /// One after another.
    Stdout(Writer),
    /// A file for each.
    Directory(Directory),
}

/// A directory that is being filled.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    writer: Writer,
    /// Names that are taken by earlier files of this run.
    taken: HashSet<String>,
}

impl Output {
    /// Standard output, or `directory`, which is made if it is not there.
    pub(super) fn open(directory: Option<&Path>, writer: Writer) -> Result<Self, ExtractError> {
        let Some(path) = directory else {
            return Ok(Self::Stdout(writer));
        };
        fs::create_dir_all(path).map_err(|source| ExtractError::Output {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self::Directory(Directory {
            path: path.to_owned(),
            writer: Writer {
                named: false,
                ..writer
            },
            taken: HashSet::new(),
        }))
    }

    /// Writes what became of `path`.
    pub(super) fn write(
        &mut self,
        path: &Path,
        outcome: &Result<Document, ParseError>,
    ) -> io::Result<()> {
        match self {
            Self::Stdout(writer) => {
                let bytes = writer.bytes(path, outcome)?;
                let mut stdout = io::stdout().lock();
                stdout.write_all(&bytes)?;
                stdout.flush()
            }
            Self::Directory(directory) => directory.write(path, outcome),
        }
    }
}

impl Directory {
    fn write(&mut self, path: &Path, outcome: &Result<Document, ParseError>) -> io::Result<()> {
        // Also for files that failed: the name of the next one does not depend on it.
        let name = self.name(path);
        if outcome.is_err() {
            return Ok(());
        }
        let bytes = self.writer.bytes(path, outcome)?;
        // Whole or not at all: another program may wait for the file.
        let mut file = tempfile::NamedTempFile::new_in(&self.path)?;
        file.write_all(&bytes)?;
        let permissions = fs::Permissions::from_mode(0o644);
        file.as_file().set_permissions(permissions)?;
        file.persist(self.path.join(name))?;
        Ok(())
    }

    /// `report.pdf.md`; `report.pdf-2.md` for the second file of the same name.
    fn name(&mut self, path: &Path) -> String {
        let stem = path.file_name().unwrap_or_default().to_string_lossy();
        let extension = self.writer.extension();
        let mut name = format!("{stem}.{extension}");
        let mut number = 2;
        while !self.taken.insert(name.clone()) {
            name = format!("{stem}-{number}.{extension}");
            number += 1;
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use quire_extract::MediaType;

    use super::*;

    fn writer(format: Format, several: bool) -> Writer {
        Writer::new(format, ChunkOptions::default(), several)
    }

    fn text(writer: Writer, outcome: &Result<Document, ParseError>) -> String {
        String::from_utf8(writer.bytes(Path::new("d/a.pdf"), outcome).unwrap()).unwrap()
    }

    #[test]
    fn failures_are_lines_only_among_lines_of_json() {
        let failed = Err(ParseError::PasswordNeeded);
        assert_eq!(
            text(writer(Format::Json, true), &failed),
            "{\"file\":\"d/a.pdf\",\"error\":{\"code\":\"password_needed\",\"message\":\"the file is encrypted and needs a password\"}}\n"
        );
        for (format, several) in [
            (Format::Json, false),
            (Format::Md, true),
            (Format::Chunks, true),
        ] {
            assert_eq!(text(writer(format, several), &failed), "");
        }
    }

    #[test]
    fn every_document_of_several_says_which_it_is() {
        let document = Ok(Document::empty(MediaType::Pdf));
        assert!(
            text(writer(Format::Md, true), &document)
                .starts_with("<!-- file d/a.pdf -->\n<!-- quire pdf")
        );
        assert!(text(writer(Format::Text, true), &document).starts_with("==> d/a.pdf <==\n"));
        assert!(text(writer(Format::Json, true), &document).contains("\"file\":\"d/a.pdf\""));
        assert!(text(writer(Format::Json, false), &document).starts_with("{\"version\":"));
    }

    #[test]
    fn files_of_the_same_name_do_not_overwrite_each_other() {
        let dir = tempfile::tempdir().unwrap();
        let mut output =
            Output::open(Some(&dir.path().join("new")), writer(Format::Md, true)).unwrap();
        let document = Ok(Document::empty(MediaType::Pdf));
        for path in ["a/x.pdf", "b/x.pdf", "y.pdf"] {
            output.write(Path::new(path), &document).unwrap();
        }
        output
            .write(Path::new("z.pdf"), &Err(ParseError::Timeout))
            .unwrap();
        let mut names: Vec<_> = fs::read_dir(dir.path().join("new"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["x.pdf-2.md", "x.pdf.md", "y.pdf.md"]);
    }
}
