//! What the doctor found: one line for each thing looked at, with what to do about it.

use std::fmt::{Display, Write as _};

use serde::Serialize;

/// How good or bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// As it should be.
    Ok,
    /// Worth knowing, and nothing is wrong.
    Note,
    /// Works, but not as well as it could.
    Warning,
    /// Does not work.
    Problem,
}

/// One line.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Finding {
    /// What was looked at.
    pub(super) area: &'static str,
    pub(super) level: Level,
    /// What was found.
    pub(super) says: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) remedy: Option<String>,
}

impl Finding {
    pub(super) fn ok(area: &'static str, says: impl Into<String>) -> Self {
        Self::new(area, Level::Ok, says.into(), None)
    }

    pub(super) fn note(area: &'static str, says: impl Into<String>) -> Self {
        Self::new(area, Level::Note, says.into(), None)
    }

    pub(super) fn warning(
        area: &'static str,
        says: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::new(area, Level::Warning, says.into(), Some(remedy.into()))
    }

    pub(super) fn problem(
        area: &'static str,
        says: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::new(area, Level::Problem, says.into(), Some(remedy.into()))
    }

    fn new(area: &'static str, level: Level, says: String, remedy: Option<String>) -> Self {
        Self {
            area,
            level,
            says,
            remedy,
        }
    }

    /// The line for a person; `colour` for a terminal.
    pub(super) fn line(&self, colour: bool) -> String {
        let (word, code) = match self.level {
            Level::Ok => ("ok", "32"),
            Level::Note => ("note", "36"),
            Level::Warning => ("warning", "33"),
            Level::Problem => ("problem", "31;1"),
        };
        let word = paint(format!("{word:<7}"), code, colour);
        let mut line = format!("  {word}  {:<15} {}", self.area, self.says);
        if let Some(remedy) = &self.remedy {
            let remedy = paint(format!("-> {remedy}"), "1", colour);
            // Under the text that it belongs to. Writing to a string cannot fail.
            let _ = write!(line, "\n{:27}{remedy}", "");
        }
        line
    }
}

/// The text in a colour of the terminal.
pub(super) fn paint(text: impl Display, code: &str, colour: bool) -> String {
    if colour {
        format!("\x1b[{code}m{text}\x1b[0m")
    } else {
        text.to_string()
    }
}

/// `1 problem and 2 warnings`; what all lines together mean.
pub(super) fn summary(findings: &[Finding]) -> String {
    let count = |level| findings.iter().filter(|f| f.level == level).count();
    let plural = |count: usize, word: &str| {
        let end = if count == 1 { "" } else { "s" };
        format!("{count} {word}{end}")
    };
    match (count(Level::Problem), count(Level::Warning)) {
        (0, 0) => "Everything is in order.".to_owned(),
        (0, warnings) => format!("{}; quire works all the same.", plural(warnings, "warning")),
        (problems, 0) => format!("{}.", plural(problems, "problem")),
        (problems, warnings) => format!(
            "{} and {}.",
            plural(problems, "problem"),
            plural(warnings, "warning")
        ),
    }
}

/// The worst of all.
pub(super) fn worst(findings: &[Finding]) -> Level {
    let levels = findings.iter().map(|finding| finding.level);
    levels.max().unwrap_or(Level::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_reads_as_a_sentence_and_the_remedy_stands_below_it() {
        let finding = Finding::warning("models", "not installed", "run `quire models pull`");
        assert_eq!(
            finding.line(false),
            "  warning  models          not installed\n                           -> run `quire models pull`"
        );
        assert!(finding.line(true).contains("\x1b[33mwarning\x1b[0m"));
    }

    #[test]
    fn the_summary_counts_what_matters() {
        let (ok, note) = (Finding::ok("a", "b"), Finding::note("a", "b"));
        let warning = Finding::warning("a", "b", "c");
        let problem = Finding::problem("a", "b", "c");
        assert_eq!(summary(&[ok.clone(), note]), "Everything is in order.");
        assert_eq!(
            summary(&[ok.clone(), warning.clone()]),
            "1 warning; quire works all the same."
        );
        let all = [ok, warning.clone(), warning, problem];
        assert_eq!(summary(&all), "1 problem and 2 warnings.");
        assert_eq!(worst(&all), Level::Problem);
    }
}
