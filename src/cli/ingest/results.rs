//! Collects the results, puts them into the order of the input, and says what has no answer.
//!
//! The server gives its own order, in which files that were added by a later run come behind the others. So the lines go into
//! a nameless file as they come, and from there, in order, to where they are wanted. A result file appears whole or not at all.

use std::{
    fmt::Write as _,
    fs::File,
    io::{self, BufWriter, Read as _, Seek as _, SeekFrom, Write},
    path::{Path, PathBuf},
};

use serde_json::json;
use uuid::Uuid;

use super::{
    IngestArgs, IngestError,
    pace::Patience,
    plan::Plan,
    screen,
    send::{Sent, short},
};
use crate::cli::client::{Client, ClientError, batch::Line};

/// Failures that are told one by one.
const SHOWN: usize = 20;

/// How the files of this run ended.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    completed: usize,
    /// With a job that has not ended.
    unfinished: usize,
    /// Without an answer, and why.
    failed: Vec<(usize, String)>,
}

impl Outcome {
    /// Every file has an answer, or at least a job when nobody waits for answers.
    pub(super) fn is_good(&self, no_wait: bool) -> bool {
        self.failed.is_empty() && (no_wait || self.unfinished == 0)
    }

    /// Tells it on standard error.
    pub(super) fn show(&self, plan: &Plan, args: &IngestArgs) {
        let (total, failed) = (plan.files.len(), self.failed.len());
        let mut summary = format!(
            "{total} files: {} answered, {failed} failed",
            self.completed
        );
        // Writing to a string cannot fail.
        if self.unfinished > 0 {
            let _ = write!(summary, ", {} not ended", self.unfinished);
        }
        if plan.skipped > 0 {
            let _ = write!(summary, "; {}", plan.skipped_text());
        }
        screen::note(&summary);
        for (index, reason) in self.failed.iter().take(SHOWN) {
            screen::note(&format!("  {}: {reason}", plan.files[*index].reference));
        }
        if failed > SHOWN {
            screen::note(&format!("  and {} more", failed - SHOWN));
        }
        if let Some(out) = args.out.as_deref().filter(|out| !is_stdout(out)) {
            screen::note(&format!("results: {}", out.display()));
        }
    }

    fn count(&mut self, index: usize, status: &str, error: Option<&str>) {
        match status {
            "completed" => self.completed += 1,
            "pending" | "processing" => self.unfinished += 1,
            status => {
                let reason = error.map_or_else(|| format!("the job is {status}"), str::to_owned);
                self.failed.push((index, reason));
            }
        }
    }
}

/// Reads the results and writes them if wanted. `None`: interrupted.
pub(super) async fn collect(
    client: &Client,
    batch: Uuid,
    plan: &Plan,
    sent: &Sent,
    out: Option<&Path>,
    patience: &Patience,
) -> Result<Option<Outcome>, IngestError> {
    let cannot = |source| IngestError::Out {
        path: out
            .unwrap_or(Path::new("a temporary file"))
            .display()
            .to_string(),
        source,
    };
    let read = patience
        .insist(|| async {
            let mut order = Order::new(plan.files.len()).map_err(spoiled)?;
            let mut lines = client.results(batch, out.is_some()).await?;
            while let Some(line) = lines.next().await? {
                // Items of files that are no longer part of the input belong to nobody here.
                if let Some(index) = sent.places.get(&short(&line.key)) {
                    order.take(*index, line).map_err(spoiled)?;
                }
            }
            Ok(order)
        })
        .await?;
    let Some(mut order) = read else {
        return Ok(None);
    };
    for (index, reason) in &sent.unsent {
        order.take_unsent(*index, plan, reason).map_err(cannot)?;
    }
    for (index, first) in &sent.twins {
        order.take_twin(*index, *first).map_err(cannot)?;
    }
    order.note_missing(plan).map_err(cannot)?;
    if let Some(out) = out {
        order.write(out).map_err(cannot)?;
    }
    order.outcome.failed.sort();
    Ok(Some(order.outcome))
}

/// The lines cannot be kept on this machine: not the server's fault, and not worth another try.
fn spoiled(error: io::Error) -> ClientError {
    ClientError::File {
        path: "a temporary file".to_owned(),
        source: error,
    }
}

/// Lines on their way into order.
struct Order {
    spool: BufWriter<File>,
    /// Where the line of each file lies, with its length.
    places: Vec<Option<(u64, u32)>>,
    end: u64,
    outcome: Outcome,
}

impl Order {
    fn new(files: usize) -> io::Result<Self> {
        Ok(Self {
            spool: BufWriter::new(tempfile::tempfile()?),
            places: vec![None; files],
            end: 0,
            outcome: Outcome::default(),
        })
    }

    fn take(&mut self, index: usize, line: Line) -> io::Result<()> {
        if self.places[index].is_some() {
            return Ok(());
        }
        self.outcome
            .count(index, &line.status, line.error.as_deref());
        let line = Line {
            index: index as u64,
            ..line
        };
        self.keep(index, &serde_json::to_vec(&line)?)
    }

    /// A file that never reached the server has a line too.
    fn take_unsent(&mut self, index: usize, plan: &Plan, reason: &str) -> io::Result<()> {
        self.outcome.count(index, "unsent", Some(reason));
        let file = &plan.files[index];
        let line = json!({
            "index": index, "key": null, "reference": file.reference,
            "file_name": file.path.file_name().unwrap_or_default().to_string_lossy(),
            "job_id": null, "status": "unsent", "error": reason, "error_code": "unsent", "answer": null, "citations": [],
        });
        self.keep(index, line.to_string().as_bytes())
    }

    /// A file that the input names twice has two lines.
    fn take_twin(&mut self, index: usize, first: usize) -> io::Result<()> {
        let Some(place) = self.places[first] else {
            return Ok(());
        };
        self.spool.flush()?;
        let mut line = Vec::new();
        read_at(self.spool.get_mut(), place, &mut line)?;
        self.spool.seek(SeekFrom::End(0))?;
        self.take(index, serde_json::from_slice(&line)?)
    }

    /// The server had it and no longer shows it.
    fn note_missing(&mut self, plan: &Plan) -> io::Result<()> {
        for index in 0..self.places.len() {
            if self.places[index].is_none() {
                self.take_unsent(index, plan, "the server does not show it")?;
            }
        }
        Ok(())
    }

    fn keep(&mut self, index: usize, line: &[u8]) -> io::Result<()> {
        let length = u32::try_from(line.len()).map_err(io::Error::other)?;
        self.spool.write_all(line)?;
        self.places[index] = Some((self.end, length));
        self.end += u64::from(length);
        Ok(())
    }

    fn write(&mut self, out: &Path) -> io::Result<()> {
        if is_stdout(out) {
            return self.write_to(io::stdout().lock());
        }
        let directory = match out.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let mut file = tempfile::Builder::new()
            .prefix(".quire-results-")
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666))
            .tempfile_in(directory)?;
        self.write_to(BufWriter::new(file.as_file_mut()))?;
        file.as_file().sync_all()?;
        file.persist(out).map_err(|error| error.error)?;
        Ok(())
    }

    fn write_to(&mut self, mut out: impl Write) -> io::Result<()> {
        self.spool.flush()?;
        let spool = self.spool.get_mut();
        let mut line = Vec::new();
        for place in self.places.iter().flatten() {
            read_at(spool, *place, &mut line)?;
            line.push(b'\n');
            out.write_all(&line)?;
        }
        out.flush()
    }
}

fn read_at(spool: &mut File, (start, length): (u64, u32), line: &mut Vec<u8>) -> io::Result<()> {
    line.clear();
    spool.seek(SeekFrom::Start(start))?;
    spool.take(u64::from(length)).read_to_end(line)?;
    Ok(())
}

fn is_stdout(out: &Path) -> bool {
    out == Path::new("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(key: &str, status: &str) -> Line {
        Line {
            index: 99,
            key: key.into(),
            reference: None,
            file_name: "a".into(),
            job_id: None,
            status: status.into(),
            error: None,
            error_code: None,
            answer: None,
            citations: None,
        }
    }

    #[test]
    fn lines_come_out_in_the_order_of_the_input() {
        let mut order = Order::new(3).unwrap();
        for (index, status) in [
            (2, "completed"),
            (0, "failed"),
            (1, "pending"),
            (2, "failed"),
        ] {
            order
                .take(index, line(&format!("k{index}"), status))
                .unwrap();
        }
        let mut out = Vec::new();
        order.write_to(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let keys: Vec<String> = text
            .lines()
            .map(|line| {
                let line: serde_json::Value = serde_json::from_str(line).unwrap();
                format!("{}{}", line["index"], line["key"].as_str().unwrap())
            })
            .collect();
        assert_eq!(keys, ["0k0", "1k1", "2k2"]);
        let outcome = &order.outcome;
        assert_eq!(
            (outcome.completed, outcome.unfinished, outcome.failed.len()),
            (1, 1, 1)
        );
        assert!(!outcome.is_good(true));
    }

    #[test]
    fn a_result_file_appears_whole() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out.jsonl");
        let mut order = Order::new(2).unwrap();
        order.take(0, line("k", "completed")).unwrap();
        order.take_twin(1, 0).unwrap();
        order.write(&out).unwrap();
        let text = std::fs::read_to_string(&out).unwrap();
        assert_eq!(text.matches("\"key\":\"k\"").count(), 2, "{text}");
        assert!(text.ends_with("}\n"));
        assert_eq!(
            std::fs::read_dir(dir.path()).unwrap().count(),
            1,
            "nothing else is left"
        );
        assert!(order.write(&dir.path().join("none/out.jsonl")).is_err());
    }
}
