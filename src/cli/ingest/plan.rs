//! What is to be sent: every file with what is asked about it, in the order of the input.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use quire_store::Password;

use super::{
    IngestArgs,
    sources::{self, Source},
    walk::{self, Found},
};
use crate::{
    error::FieldError,
    manifest::{self, Entry},
};

/// Lines of a list: beyond it the names alone are a burden, and a directory serves better.
const MAX_LINES: usize = 1_000_000;

/// Longest name of a batch, in characters of at most four bytes.
const NAME_CHARS: usize = 60;

/// Why there is nothing to send. Each names the input.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum PlanError {
    /// There is nothing with this name.
    #[error("{0}: there is no such file or directory, and no file fits it as a pattern")]
    Missing(String),
    /// It cannot be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// What.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// A list has wrong lines.
    #[error("{path}: {}", lines(errors))]
    BadList {
        /// The list.
        path: String,
        /// What is wrong.
        errors: Vec<FieldError>,
    },
    /// A list beside other sources.
    #[error("{0} is a list; give it alone")]
    ListAmongOthers(String),
    /// Nothing is asked.
    #[error(
        "{0}: nothing is asked about it; give the question as the last argument, or in the list's column \"prompt\""
    )]
    NoPrompt(String),
    /// The question is blank.
    #[error("the question is blank")]
    BlankPrompt,
    /// No file of a kind that is read.
    #[error("there is no PDF, CSV, image or other document in {0}")]
    Nothing(String),
}

/// What is asked about a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) prompt: String,
    pub(super) priority: i32,
    /// As RFC 3339.
    pub(super) scheduled_at: Option<String>,
    /// Opens the file, if it is encrypted.
    pub(super) password: Option<Password>,
}

/// A file to be sent.
#[derive(Clone, Debug)]
pub(super) struct Planned {
    pub(super) path: PathBuf,
    /// Its name in the results: as in the list, or below its directory.
    pub(super) reference: String,
    /// Shared by all files with the same question.
    pub(super) asked: Arc<Asked>,
    /// A key of the list's own.
    pub(super) key: Option<String>,
}

/// Everything that is to be sent.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) files: Vec<Planned>,
    /// What the batch is called.
    pub(super) name: String,
    /// What tells this batch from every other.
    pub(super) identity: String,
    /// Files in directories that are of no kind that is read.
    pub(super) skipped: usize,
}

impl Plan {
    /// Looks at the sources.
    pub(super) fn new(args: &IngestArgs) -> Result<Self, PlanError> {
        let (inputs, prompt) = sources::split(&args.inputs, args.prompt.as_deref());
        if prompt.is_some_and(|prompt| prompt.trim().is_empty()) {
            return Err(PlanError::BlankPrompt);
        }
        let gathered = gather(inputs, prompt, args.priority)?;
        if gathered.files.is_empty() {
            return Err(PlanError::Nothing(inputs.join(", ")));
        }
        let identity = match &args.name {
            Some(name) => format!("name:{name}"),
            None => format!("{}\n{}", absolute(inputs), prompt.unwrap_or_default()),
        };
        let name = match &args.name {
            Some(name) => name.clone(),
            None => shown(inputs, prompt),
        };
        Ok(Self {
            files: gathered.files,
            name,
            identity,
            skipped: gathered.skipped,
        })
    }

    /// `2 files of other kinds are left out`
    pub(super) fn skipped_text(&self) -> String {
        match self.skipped {
            0 => "no file is left out".to_owned(),
            1 => "1 file of another kind is left out".to_owned(),
            n => format!("{n} files of other kinds are left out"),
        }
    }
}

#[derive(Default)]
struct Gathered {
    files: Vec<Planned>,
    skipped: usize,
}

fn gather(inputs: &[String], prompt: Option<&str>, priority: i32) -> Result<Gathered, PlanError> {
    let mut gathered = Gathered::default();
    let asked = prompt.map(|prompt| {
        Arc::new(Asked {
            prompt: prompt.to_owned(),
            priority,
            scheduled_at: None,
            password: None,
        })
    });
    for input in inputs {
        let found = match sources::look(input)? {
            Source::List(path) if inputs.len() > 1 => {
                return Err(PlanError::ListAmongOthers(path.display().to_string()));
            }
            Source::List(path) => {
                gathered.files = list(&path, prompt, priority)?;
                return Ok(gathered);
            }
            Source::File(path) => Found::file(path, input),
            Source::Directory(path) => walk::directory(&path)?,
            Source::Pattern(pattern) => walk::pattern(&pattern)?,
        };
        gathered.skipped += found.skipped;
        for (path, reference) in found.files {
            let asked = asked
                .clone()
                .ok_or_else(|| PlanError::NoPrompt(reference.clone()))?;
            gathered.files.push(Planned {
                path,
                reference,
                asked,
                key: None,
            });
        }
    }
    Ok(gathered)
}

/// The files of a list lie beside it.
fn list(path: &Path, prompt: Option<&str>, priority: i32) -> Result<Vec<Planned>, PlanError> {
    let shown = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|source| PlanError::Unreadable {
        path: shown.clone(),
        source,
    })?;
    let entries = manifest::parse(&bytes, MAX_LINES).map_err(|errors| PlanError::BadList {
        path: shown,
        errors,
    })?;
    let beside = path.parent().unwrap_or(Path::new(""));
    entries
        .into_iter()
        .map(|entry| planned(beside, entry, prompt, priority))
        .collect()
}

fn planned(
    beside: &Path,
    entry: Entry,
    prompt: Option<&str>,
    priority: i32,
) -> Result<Planned, PlanError> {
    let prompt = entry.prompt.or_else(|| prompt.map(str::to_owned));
    let asked = Asked {
        prompt: prompt.ok_or_else(|| PlanError::NoPrompt(entry.file.clone()))?,
        priority: entry.priority.unwrap_or(priority),
        scheduled_at: entry.scheduled_at.map(|at| at.to_rfc3339()),
        password: entry.password,
    };
    Ok(Planned {
        path: beside.join(&entry.file),
        reference: entry.reference.unwrap_or(entry.file),
        asked: Arc::new(asked),
        key: entry.key,
    })
}

/// The sources as they are found from anywhere.
fn absolute(inputs: &[String]) -> String {
    let absolute = inputs.iter().map(|input| {
        let path = Path::new(input);
        let path = path
            .canonicalize()
            .or_else(|_| std::path::absolute(path))
            .unwrap_or_else(|_| path.to_owned());
        path.display().to_string()
    });
    absolute.collect::<Vec<_>>().join("\n")
}

fn shown(inputs: &[String], prompt: Option<&str>) -> String {
    let sources = inputs.join(" ");
    let whole = match prompt {
        Some(prompt) => format!("{sources}: {prompt}"),
        None => sources,
    };
    whole
        .chars()
        .filter(|c| !c.is_control())
        .take(NAME_CHARS)
        .collect()
}

fn lines(errors: &[FieldError]) -> String {
    let lines: Vec<&str> = errors.iter().map(|error| &*error.message).collect();
    lines.join("; ")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: IngestArgs,
    }

    fn plan(args: &[&str]) -> Result<Plan, PlanError> {
        let args = ["ingest"].iter().chain(args);
        Plan::new(&Line::parse_from(args).args)
    }

    fn write(path: &Path, text: &str) {
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn a_list_says_what_is_asked() {
        let dir = tempfile::tempdir().unwrap();
        let list = dir.path().join("list.csv");
        write(
            &list,
            "file,prompt,reference\na.pdf,Why?,first\nsub/b.pdf,,\n",
        );
        let plan = plan(&[list.to_str().unwrap(), "How?"]).unwrap();
        assert_eq!(plan.files[0].reference, "first");
        assert_eq!(plan.files[0].asked.prompt, "Why?");
        assert_eq!(plan.files[1].reference, "sub/b.pdf");
        assert_eq!(plan.files[1].asked.prompt, "How?");
        assert_eq!(plan.files[1].path, dir.path().join("sub/b.pdf"));
    }

    #[test]
    fn what_cannot_be_sent_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        write(&dir.path().join("a.pdf"), "x");
        write(&dir.path().join("list.jsonl"), "{\"file\":\"a.pdf\"}\n{}\n");
        let error = |args: &[&str]| plan(args).unwrap_err().to_string();
        assert!(error(&[&at("none.pdf"), "Why?"]).contains("none.pdf"));
        assert!(error(&[&at("a.pdf")]).contains("nothing is asked"));
        assert!(error(&[&at("a.pdf"), " "]).contains("blank"));
        assert!(error(&[&at("list.jsonl"), "x"]).contains("line 2: file is required"));
        assert!(error(&[&at("list.jsonl"), &at("a.pdf"), "x"]).contains("alone"));
        let empty = dir.path().join("empty");
        std::fs::create_dir(&empty).unwrap();
        assert!(error(&[empty.to_str().unwrap(), "x"]).contains("no PDF"));
    }

    #[test]
    fn the_same_command_has_the_same_identity() {
        let dir = tempfile::tempdir().unwrap();
        write(&dir.path().join("a.csv"), "station,level\n");
        let source = dir.path().to_str().unwrap();
        let identity = |args: &[&str]| plan(args).unwrap().identity;
        let same = identity(&[source, "Why?"]);
        assert_eq!(identity(&[&format!("{source}/"), "Why?"]), same);
        assert_ne!(identity(&[source, "How?"]), same);
        assert_ne!(identity(&[source, "Why?", "--name", "x"]), same);
        assert_eq!(
            identity(&[source, "How?", "--name", "x"]),
            identity(&[source, "Why?", "--name", "x"])
        );
    }
}
