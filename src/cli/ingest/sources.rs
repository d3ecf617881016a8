//! What the arguments mean: which of them is the question, and what each of the others names.

use std::path::{Path, PathBuf};

use super::plan::PlanError;
use crate::manifest;

/// Characters that make a name a pattern, where there is no file of that name.
const WILD: [char; 3] = ['*', '?', '['];

/// Bytes of a CSV file that are looked at for its header.
const HEADER: usize = 4096;

/// What an argument names.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A list of files.
    List(PathBuf),
    /// One file.
    File(PathBuf),
    /// A directory with all below it.
    Directory(PathBuf),
    /// A pattern.
    Pattern(String),
}

/// Splits the arguments into sources and question. The last argument is the question, unless it is given as an option or names
/// something that is there.
pub(super) fn split<'a>(
    inputs: &'a [String],
    option: Option<&'a str>,
) -> (&'a [String], Option<&'a str>) {
    match inputs.split_last() {
        Some((last, sources))
            if option.is_none() && !sources.is_empty() && !Path::new(last).exists() =>
        {
            (sources, Some(last))
        }
        _ => (inputs, option),
    }
}

/// What an argument names.
pub(super) fn look(input: &str) -> Result<Source, PlanError> {
    let path = PathBuf::from(input);
    let Ok(metadata) = path.metadata() else {
        return if input.contains(WILD) {
            Ok(Source::Pattern(input.to_owned()))
        } else {
            Err(PlanError::Missing(input.to_owned()))
        };
    };
    if metadata.is_dir() {
        Ok(Source::Directory(path))
    } else if is_list(&path)? {
        Ok(Source::List(path))
    } else {
        Ok(Source::File(path))
    }
}

/// JSON lines are always a list; CSV is one if it has the column that makes it one.
fn is_list(path: &Path) -> Result<bool, PlanError> {
    let extension = path
        .extension()
        .map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    match extension.as_deref() {
        Some("jsonl" | "ndjson") => Ok(true),
        Some("csv" | "tsv") => {
            let head = head(path).map_err(|source| PlanError::Unreadable {
                path: path.display().to_string(),
                source,
            })?;
            let text = String::from_utf8_lossy(&head);
            let first = text.lines().next().unwrap_or_default();
            Ok(manifest::is_header(first.trim_start_matches('\u{feff}')))
        }
        _ => Ok(false),
    }
}

fn head(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut head = Vec::new();
    std::fs::File::open(path)?
        .take(HEADER as u64)
        .read_to_end(&mut head)?;
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn the_last_argument_is_the_question_unless_it_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let there = dir.path().to_str().unwrap();
        let inputs = texts(&[there, "Why?"]);
        assert_eq!(split(&inputs, None), (&inputs[..1], Some("Why?")));
        let inputs = texts(&[there, there]);
        assert_eq!(split(&inputs, None), (&inputs[..], None));
        let inputs = texts(&["none", "a"]);
        assert_eq!(split(&inputs, Some("Why?")), (&inputs[..], Some("Why?")));
        let inputs = texts(&["Why?"]);
        assert_eq!(
            split(&inputs, None),
            (&inputs[..], None),
            "a question needs a source"
        );
    }

    #[test]
    fn sources_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let look = |path: &Path| look(path.to_str().unwrap()).unwrap();
        let table = write("table.csv", "station,level\n");
        assert_eq!(look(&table), Source::File(table.clone()));
        let list = write("list.csv", "\u{feff}File;Prompt\n");
        assert_eq!(look(&list), Source::List(list.clone()));
        let lines = write("a.JSONL", "");
        assert_eq!(look(&lines), Source::List(lines.clone()));
        let odd = write("odd[1].pdf", "");
        assert_eq!(
            look(&odd),
            Source::File(odd.clone()),
            "a name that is there is no pattern"
        );
        assert_eq!(look(dir.path()), Source::Directory(dir.path().to_owned()));
        let wild = dir.path().join("*.pdf");
        assert!(matches!(look(&wild), Source::Pattern(_)));
    }
}
