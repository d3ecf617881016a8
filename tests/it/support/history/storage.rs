//! I1 and I7: the files.

use std::{
    collections::{HashMap, HashSet},
    fs,
    io::{self, Read as _},
    path::Path,
    time::Duration,
};

use sha2::{Digest as _, Sha256};

use super::{Book, History, Invariant, Violations};

/// A file found in the file store.
#[derive(Clone, Debug)]
pub struct DiskFile {
    /// Its name; half-received files have no hash for a name.
    pub name: String,
    /// SHA-256 of what it holds, in hex.
    pub sha256: String,
    /// Time since it was written.
    pub age: Duration,
    /// Being received, or left so.
    pub incoming: bool,
}

/// Reads the file store in `dir`, hashing every file.
pub fn read_disk(dir: &Path) -> io::Result<Vec<DiskFile>> {
    let mut found = Vec::new();
    for prefix in fs::read_dir(dir.join("files"))? {
        for file in fs::read_dir(prefix?.path())? {
            found.push(read(&file?.path(), false)?);
        }
    }
    for file in fs::read_dir(dir.join("incoming"))? {
        found.push(read(&file?.path(), true)?);
    }
    Ok(found)
}

fn read(path: &Path, incoming: bool) -> io::Result<DiskFile> {
    let mut file = fs::File::open(path)?;
    let mut content = Vec::new();
    file.read_to_end(&mut content)?;
    let age = file.metadata()?.modified()?.elapsed().unwrap_or_default();
    Ok(DiskFile {
        name: path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default(),
        sha256: hex::encode(Sha256::digest(&content)),
        age,
        incoming,
    })
}

pub(super) fn check(history: &History, book: &Book<'_>, found: &mut Violations) {
    let whole: HashSet<&str> = history
        .disk
        .iter()
        .filter(|file| !file.incoming && file.name == file.sha256)
        .map(|file| file.name.as_str())
        .collect();
    let named: HashMap<String, _> = history
        .tables
        .files
        .iter()
        .map(|file| (hex::encode(&file.sha256), file.id))
        .collect();
    for file in &history.disk {
        let grace = history.limits.orphan_grace;
        if file.incoming {
            found.unnamed(Invariant::I7, format!("{} is half received", file.name));
        } else if file.name != file.sha256 {
            let evidence = format!("{} holds {}", file.name, file.sha256);
            found.unnamed(Invariant::I7, evidence);
        } else if !named.contains_key(&file.name) && file.age >= grace {
            let evidence = format!("{} has no row after {:?}", file.name, file.age);
            found.unnamed(Invariant::I7, evidence);
        }
    }
    for (sha256, id) in &named {
        if !whole.contains(sha256.as_str()) {
            let evidence = format!("row {id} has no whole file {sha256}");
            found.unnamed(Invariant::I7, evidence);
        }
    }
    for upload in &history.acknowledged {
        if book.jobs.contains_key(&upload.job) && !whole.contains(upload.sha256.as_str()) {
            let evidence = format!("its bytes {} are not stored", upload.sha256);
            found.of(Invariant::I1, upload.job, evidence);
        }
    }
}
