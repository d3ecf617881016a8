//! Where the installed server's programs are.
//!
//! Distributions keep several major versions side by side and off PATH, so PATH is only the first place looked at. An entry on
//! PATH is often a symbolic link, while the programs find their own libraries and each other beside the real file: links are
//! resolved. Nothing is downloaded.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::error::EmbeddedError;

/// The oldest major version supported: the oldest one that still received fixes when this was written.
pub(super) const OLDEST_MAJOR: u32 = 14;

/// The contributed extensions that the schema uses.
const EXTENSIONS: [&str; 2] = ["pgcrypto", "hstore"];

/// Directories with one entry per major version: parent, what stands before the number, and what comes below it.
const VERSIONED: [(&str, &str, &str); 7] = [
    ("/usr/lib/postgresql", "", "bin"),          // Debian, Ubuntu
    ("/usr", "pgsql-", "bin"),                   // the RPM packages of postgresql.org
    ("/usr/lib", "postgresql", "bin"),           // SUSE
    ("/usr/libexec", "postgresql", ""),          // Alpine
    ("/opt/homebrew/opt", "postgresql@", "bin"), // Homebrew on Apple silicon
    ("/usr/local/opt", "postgresql@", "bin"),    // Homebrew on Intel
    ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
];

/// Directories that hold one version.
const PLAIN: [&str; 3] = ["/opt/homebrew/bin", "/usr/local/pgsql/bin", "/usr/bin"];

/// The programs of one installed major version.
#[derive(Clone, Debug)]
pub(super) struct Binaries {
    directory: PathBuf,
    /// The major version, such as 15.
    pub(super) major: u32,
}

/// Every usable installation, newest major version first; of equals, the one on PATH.
pub(super) fn installed() -> Vec<Binaries> {
    let mut directories: Vec<PathBuf> = Vec::new();
    for directory in on_path()
        .chain(versioned())
        .chain(PLAIN.iter().map(PathBuf::from))
    {
        if holds_server(&directory) && !directories.contains(&directory) {
            directories.push(directory);
        }
    }
    let mut found: Vec<Binaries> = directories
        .into_iter()
        .filter_map(Binaries::examine)
        .collect();
    found.sort_by_key(|binaries| std::cmp::Reverse(binaries.major));
    found
}

impl Binaries {
    /// The program that makes a cluster.
    pub(super) fn initdb(&self) -> PathBuf {
        self.directory.join("initdb")
    }

    /// The server.
    pub(super) fn postgres(&self) -> PathBuf {
        self.directory.join("postgres")
    }

    /// Fails when a contributed extension is known to be missing.
    ///
    /// An installation whose extension directory is not where any packager puts it is let through: `CREATE EXTENSION` tells.
    pub(super) fn check_extensions(&self) -> Result<(), EmbeddedError> {
        let Some(directory) = self.extension_directory() else {
            return Ok(());
        };
        for extension in EXTENSIONS {
            if !directory.join(format!("{extension}.control")).is_file() {
                return Err(EmbeddedError::ExtensionMissing {
                    extension,
                    directory,
                });
            }
        }
        Ok(())
    }

    fn examine(directory: PathBuf) -> Option<Self> {
        let output = Command::new(directory.join("postgres"))
            .arg("-V")
            .output()
            .ok()?;
        let major = parse_major(&String::from_utf8_lossy(&output.stdout))?;
        (major >= OLDEST_MAJOR).then_some(Self { directory, major })
    }

    fn extension_directory(&self) -> Option<PathBuf> {
        let (prefix, major) = (self.directory.parent()?, self.major);
        let shares = [
            PathBuf::from(format!("/usr/share/postgresql/{major}")),
            prefix.join(format!("share/postgresql@{major}")),
            prefix.join(format!("share/postgresql{major}")),
            prefix.join("share/postgresql"),
            prefix.join("share/pgsql"),
            prefix.join("share"),
            PathBuf::from(format!("/usr/share/postgresql{major}")),
        ];
        shares
            .into_iter()
            .map(|share| share.join("extension"))
            // plpgsql is part of every server: where its control file is, the others belong.
            .find(|directory| directory.join("plpgsql.control").is_file())
    }
}

/// The directories behind PATH: where `initdb` or `postgres` really is when that directory holds both, else the entry itself.
fn on_path() -> impl Iterator<Item = PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let entries: Vec<PathBuf> = env::split_paths(&path)
        .filter(|entry| entry.is_absolute())
        .collect();
    entries.into_iter().map(|entry| {
        ["initdb", "postgres"]
            .iter()
            .filter_map(|program| fs::canonicalize(entry.join(program)).ok())
            .filter_map(|real| real.parent().map(Path::to_owned))
            .find(|directory| holds_server(directory))
            .unwrap_or(entry)
    })
}

fn versioned() -> impl Iterator<Item = PathBuf> {
    VERSIONED.iter().flat_map(|(parent, prefix, below)| {
        let entries = fs::read_dir(parent).into_iter().flatten().flatten();
        entries.filter_map(move |entry| {
            let name = entry.file_name();
            let version = name.to_str()?.strip_prefix(prefix)?;
            version.parse::<u32>().ok()?;
            Some(if below.is_empty() {
                entry.path()
            } else {
                entry.path().join(below)
            })
        })
    })
}

fn holds_server(directory: &Path) -> bool {
    directory.join("initdb").is_file() && directory.join("postgres").is_file()
}

/// Reads `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`, and betas such as `19beta1`.
fn parse_major(version: &str) -> Option<u32> {
    let number = version.split_once("(PostgreSQL) ")?.1;
    let end = number
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(number.len());
    number[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_versions_as_packagers_write_them() {
        assert_eq!(
            parse_major("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"),
            Some(15)
        );
        assert_eq!(parse_major("postgres (PostgreSQL) 19beta1\n"), Some(19));
        assert_eq!(parse_major("postgres (PostgreSQL) 9.6.24\n"), Some(9));
        assert_eq!(parse_major("postgres: command not found"), None);
    }

    #[test]
    fn finds_the_installation_of_this_machine_with_its_extensions() {
        let found = installed();
        assert!(found.is_sorted_by_key(|binaries| std::cmp::Reverse(binaries.major)));
        let newest = found
            .first()
            .expect("the tests need an installed PostgreSQL");
        assert!(newest.initdb().is_file());
        assert!(newest.check_extensions().is_ok());
    }

    #[test]
    fn names_the_missing_extension() {
        let installation = tempfile::tempdir().unwrap();
        let extensions = installation.path().join("share/extension");
        fs::create_dir_all(&extensions).unwrap();
        fs::write(extensions.join("plpgsql.control"), "").unwrap();
        fs::write(extensions.join("pgcrypto.control"), "").unwrap();
        let binaries = Binaries {
            directory: installation.path().join("bin"),
            major: 99,
        };
        let error = binaries.check_extensions().unwrap_err().to_string();
        assert!(
            error.contains("hstore") && error.contains("install"),
            "{error}"
        );
    }
}
