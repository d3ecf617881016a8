//! The files below a directory or that fit a pattern, always in the same order: by path, byte for byte.
//!
//! Hidden files and directories stay out, and links to directories are not followed, which could go round in circles.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::plan::PlanError;

/// Ends of names that stand for a kind of file that is read. What a file is, the server decides by its bytes.
const EXTENSIONS: [&str; 21] = [
    "pdf", "csv", "tsv", "png", "jpg", "jpeg", "webp", "gif", "tif", "tiff", "bmp", "xlsx", "docx",
    "pptx", "html", "htm", "md", "markdown", "txt", "eml", "zip",
];

/// What was found: paths with the names that they have in the results.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) files: Vec<(PathBuf, String)>,
    /// Files of other kinds.
    pub(super) skipped: usize,
}

impl Found {
    /// One file that was named.
    pub(super) fn file(path: PathBuf, name: &str) -> Self {
        Self {
            files: vec![(path, name.to_owned())],
            skipped: 0,
        }
    }

    fn add(&mut self, path: PathBuf, reference: String) {
        if is_read(&path) {
            self.files.push((path, reference));
        } else {
            self.skipped += 1;
        }
    }
}

/// Every file below `root`, named from there.
pub(super) fn directory(root: &Path) -> Result<Found, PlanError> {
    let mut found = Found::default();
    let mut open = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        let entries = entries(&dir).map_err(|source| unreadable(&dir, source))?;
        for path in entries {
            let kind = path.symlink_metadata().map(|metadata| metadata.file_type());
            match kind {
                Ok(kind) if kind.is_dir() => open.push(path),
                // A link to a file counts as one; anything else that is no file does not.
                Ok(_) if path.is_file() => {
                    let below = path.strip_prefix(root).unwrap_or(&path);
                    let reference = below.display().to_string();
                    found.add(path, reference);
                }
                // A file that vanished while we looked was not there.
                Ok(_) | Err(_) => {}
            }
        }
    }
    found.files.sort();
    Ok(found)
}

/// Every file that fits a pattern, named by its path.
pub(super) fn pattern(pattern: &str) -> Result<Found, PlanError> {
    let options = glob::MatchOptions {
        require_literal_leading_dot: true,
        require_literal_separator: true,
        ..glob::MatchOptions::default()
    };
    let missing = || PlanError::Missing(pattern.to_owned());
    let paths = glob::glob_with(pattern, options).map_err(|_| missing())?;
    let mut found = Found::default();
    for path in paths {
        let path =
            path.map_err(|error| unreadable(error.path(), io::Error::other(error.to_string())))?;
        if path.is_file() {
            let reference = path.display().to_string();
            found.add(path, reference);
        }
    }
    if found.files.is_empty() && found.skipped == 0 {
        return Err(missing());
    }
    found.files.sort();
    Ok(found)
}

fn entries(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
    }
    Ok(paths)
}

fn is_read(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    EXTENSIONS
        .iter()
        .any(|known| extension.eq_ignore_ascii_case(known))
}

fn unreadable(path: &Path, source: io::Error) -> PlanError {
    PlanError::Unreadable {
        path: path.display().to_string(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "b.pdf",
            "a/z.CSV",
            "a/y.exe",
            "a/.hidden.pdf",
            ".git/x.pdf",
            "a/b/c.jpeg",
            "README",
        ] {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        std::os::unix::fs::symlink(dir.path(), dir.path().join("a/round")).unwrap();
        std::os::unix::fs::symlink(dir.path().join("b.pdf"), dir.path().join("link.pdf")).unwrap();
        dir
    }

    fn names(found: &Found) -> Vec<&str> {
        found.files.iter().map(|(_, name)| name.as_str()).collect()
    }

    #[test]
    fn a_directory_is_read_to_its_ground_in_order() {
        let dir = tree();
        let found = directory(dir.path()).unwrap();
        assert_eq!(
            names(&found),
            ["a/b/c.jpeg", "a/z.CSV", "b.pdf", "link.pdf"]
        );
        assert_eq!(found.skipped, 2);
        assert!(directory(&dir.path().join("none")).is_err());
    }

    #[test]
    fn patterns_reach_below_with_two_stars_only() {
        let dir = tree();
        let find = |text: &str| pattern(&format!("{}/{text}", dir.path().display()));
        assert_eq!(find("*.pdf").unwrap().files.len(), 2);
        assert_eq!(find("a/*").unwrap().skipped, 1);
        assert!(
            find("**/*.jpeg").unwrap().files[0]
                .1
                .ends_with("a/b/c.jpeg")
        );
        assert!(matches!(find("*.bmp"), Err(PlanError::Missing(_))));
    }
}
