//! The password of an encrypted file on the command line: `--password` or, better, `--password-file`.

use std::{io, path::PathBuf};

use clap::Args;

/// Options of every command that reads files.
#[derive(Args, Clone, Debug, Default)]
pub struct PasswordArgs {
    /// Opens encrypted PDFs. Other users can see it in the list of processes: better --password-file
    #[arg(long, conflicts_with = "password_file")]
    password: Option<String>,
    /// A file whose first line is the password
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

/// The file with the password cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the password in {path}: {source}")]
pub(super) struct PasswordError {
    path: PathBuf,
    source: io::Error,
}

impl PasswordArgs {
    /// The password, if one was given.
    pub(super) fn read(&self) -> Result<Option<String>, PasswordError> {
        let Some(path) = &self.password_file else {
            return Ok(self.password.clone());
        };
        let text = std::fs::read_to_string(path).map_err(|source| PasswordError {
            path: path.clone(),
            source,
        })?;
        Ok(text.lines().next().map(str::to_owned))
    }
}
