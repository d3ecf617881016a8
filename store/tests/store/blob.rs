//! Files and rows: no file is removed that somebody needs, whatever happens at the same time, and none stays that nobody needs.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use quire_store::{
    DeleteOutcome, FileError, FileStore, JobId, NewUpload, Owner, Store, StoredFile, Sweep,
};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::support::{Quire, created, upload, within};

/// Every part of the store.
const WHOLE: u16 = 256;
/// Old enough for everything.
const LONG_AGO: Duration = Duration::from_hours(1_000);

struct Files {
    dir: TempDir,
    files: FileStore,
}

impl Files {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let files = FileStore::open(dir.path()).unwrap();
        Self { dir, files }
    }

    async fn put(&self, content: &[u8]) -> StoredFile {
        put(&self.files, content).await
    }

    fn path(&self, file: &StoredFile) -> PathBuf {
        path(self.dir.path(), &file.sha256)
    }

    fn age(&self, file: &StoredFile) {
        age(&self.path(file));
    }
}

async fn put(files: &FileStore, content: &[u8]) -> StoredFile {
    let mut writer = files.writer(u64::MAX).await.unwrap();
    writer.write(Bytes::copy_from_slice(content)).await.unwrap();
    writer.finish().await.unwrap()
}

fn path(dir: &Path, sha256: &[u8; 32]) -> PathBuf {
    let name = hex::encode(sha256);
    dir.join("files").join(&name[..2]).join(name)
}

fn age(path: &Path) {
    let then = SystemTime::from(quire_store::clock::now()) - LONG_AGO;
    fs::File::open(path).unwrap().set_modified(then).unwrap();
}

async fn job_with(store: &Store, file: StoredFile) -> JobId {
    let new = NewUpload {
        file,
        ..upload("what is this?")
    };
    created(store.create_upload(new).await.unwrap()).id
}

async fn sweep(store: &Store, files: &FileStore) -> Sweep {
    store
        .sweep_files(files, WHOLE, Duration::from_hours(1))
        .await
        .unwrap()
}

/// A store in which one file has a row, so that it is known to belong to the database.
async fn with_one_job() -> (Quire, Files, StoredFile) {
    let (quire, files) = (Quire::new().await, Files::new());
    let file = files.put(b"wanted").await;
    job_with(&quire.store, file.clone()).await;
    let plain = StoredFile {
        hold: quire_store::FileHold::default(),
        ..file
    };
    (quire, files, plain)
}

#[tokio::test]
async fn only_old_files_that_no_row_names_are_removed() {
    let (quire, files, wanted) = with_one_job().await;
    let (old, young) = (files.put(b"old").await, files.put(b"young").await);
    let (old_path, young_path) = (files.path(&old), files.path(&young));
    drop((old, young));
    age(&old_path);
    files.age(&wanted);
    let swept = sweep(&quire.store, &files.files).await;
    assert_eq!(
        swept,
        Sweep {
            removed: 1,
            ..Sweep::default()
        }
    );
    assert!(!old_path.exists() && young_path.exists() && files.path(&wanted).exists());
    assert_eq!(sweep(&quire.store, &files.files).await, Sweep::default());
}

#[tokio::test]
async fn an_upload_holds_its_file_until_its_row_is_there() {
    let (quire, files, _) = with_one_job().await;
    // Frozen between file and row for longer than anything is kept.
    let file = files.put(b"slow").await;
    files.age(&file);
    assert_eq!(sweep(&quire.store, &files.files).await.removed, 0);
    let path = files.path(&file);
    job_with(&quire.store, file).await;
    age(&path);
    assert_eq!(sweep(&quire.store, &files.files).await.removed, 0);
    assert!(path.exists());

    let given_up = files.put(b"given up").await;
    files.age(&given_up);
    let path = files.path(&given_up);
    drop(given_up);
    assert_eq!(sweep(&quire.store, &files.files).await.removed, 1);
    assert!(!path.exists());
}

#[tokio::test]
async fn an_upload_that_finds_its_bytes_there_keeps_them() {
    let (quire, files, _) = with_one_job().await;
    let first = files.put(b"twice").await;
    let path = files.path(&first);
    drop(first);
    age(&path);
    // The file was left by an upload that died, and is needed by the next one.
    let second = files.put(b"twice").await;
    let found = fs::metadata(&path).unwrap().modified().unwrap();
    assert!(
        found.elapsed().unwrap_or_default() < Duration::from_mins(10),
        "it counts as new"
    );
    age(&path);
    assert_eq!(sweep(&quire.store, &files.files).await.removed, 0);
    job_with(&quire.store, second).await;
    age(&path);
    assert_eq!(sweep(&quire.store, &files.files).await.removed, 0);
    assert!(path.exists());
}

/// Uploads of few contents by several tasks, each committed, given up or deleted again, while two sweeps run without any grace.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_file_with_a_row_is_lost_while_uploads_and_sweeps_race() {
    const TASKS: usize = 4;
    const CONTENTS: usize = 8;
    /// Files that the sweeps take from under the uploads before the test is content.
    const REMOVALS: u64 = 30;
    let (quire, files, _) = with_one_job().await;
    // Notes the database in the store.
    sweep(&quire.store, &files.files).await;
    // Only the parts of the store that the contents are in: the others would take most of the time.
    let mut shards = Vec::new();
    for number in 0..CONTENTS {
        let content = format!("content {number}");
        shards.push(i16::from(files.put(content.as_bytes()).await.sha256[0]));
    }
    let removed = Arc::new(AtomicU64::new(0));
    let mut sweeps = JoinSet::new();
    for _ in 0..2 {
        let (store, files, removed) = (
            quire.db.store().await,
            files.files.clone(),
            Arc::clone(&removed),
        );
        let shards = shards.clone();
        sweeps.spawn(async move {
            for shard in shards.iter().cycle() {
                if removed.load(Ordering::Acquire) >= REMOVALS {
                    break;
                }
                sqlx::query("update quire.file_store set next_shard = $1")
                    .bind(shard)
                    .execute(store.pool())
                    .await
                    .unwrap();
                let swept = store.sweep_files(&files, 1, Duration::ZERO).await;
                removed.fetch_add(swept.unwrap().removed, Ordering::AcqRel);
            }
        });
    }
    let mut uploads = JoinSet::new();
    for task in 0..TASKS {
        let (store, files, dir, removed) = (
            quire.store.clone(),
            files.files.clone(),
            files.dir.path().to_owned(),
            Arc::clone(&removed),
        );
        uploads.spawn(async move {
            for round in 0.. {
                let content = format!("content {}", (task + round) % CONTENTS);
                let file = put(&files, content.as_bytes()).await;
                let path = path(&dir, &file.sha256);
                if round % 5 == 4 {
                    continue;
                }
                let job = job_with(&store, file).await;
                assert!(path.exists(), "task {task}, round {round}");
                if removed.load(Ordering::Acquire) >= REMOVALS {
                    break;
                }
                let deleted = store.delete_job(Owner::LOCAL, job, true).await.unwrap();
                assert!(matches!(deleted, DeleteOutcome::Deleted { .. }));
            }
        });
    }
    within("the sweeps remove files between the uploads", async {
        uploads.join_all().await;
        sweeps.join_all().await;
    })
    .await;
    let rows: Vec<Vec<u8>> = sqlx::query_scalar("select distinct sha256 from quire.files")
        .fetch_all(quire.sql())
        .await
        .unwrap();
    assert!(rows.len() > 1);
    for sha256 in rows {
        let path = path(files.dir.path(), sha256.as_slice().try_into().unwrap());
        assert!(path.exists(), "{}", path.display());
    }
}

#[tokio::test]
async fn a_database_that_does_not_know_the_files_removes_none() {
    let (quire, files, wanted) = with_one_job().await;
    assert!(!sweep(&quire.store, &files.files).await.foreign);
    files.age(&wanted);
    // Another database, as a mistaken DATABASE_URL names it.
    let stranger = Quire::new().await;
    sqlx::query("update quire.file_store set id = gen_random_uuid()")
        .execute(stranger.sql())
        .await
        .unwrap();
    let swept = sweep(&stranger.store, &files.files).await;
    assert!(swept.foreign && swept.removed == 0);
    assert!(files.path(&wanted).exists());

    // A store that nobody has claimed yet is not claimed by a database that knows none of its files.
    let unclaimed = Files::new();
    let file = unclaimed.put(b"whose?").await;
    let path = unclaimed.path(&file);
    drop(file);
    age(&path);
    assert!(sweep(&stranger.store, &unclaimed.files).await.foreign);
    assert!(path.exists() && unclaimed.files.database().await.unwrap().is_none());
}

#[tokio::test]
async fn a_missing_file_is_noted_until_it_is_back() {
    let (quire, files, wanted) = with_one_job().await;
    sweep(&quire.store, &files.files).await;
    let aside = files.dir.path().join("aside");
    fs::rename(files.path(&wanted), &aside).unwrap();
    assert_eq!(sweep(&quire.store, &files.files).await.missing, 1);
    assert_eq!(
        sweep(&quire.store, &files.files).await.missing,
        0,
        "it is told once"
    );
    let noted = "select count(*) from quire.files where missing_since is not null";
    assert_eq!(quire.count(noted).await, 1);
    fs::rename(&aside, files.path(&wanted)).unwrap();
    sweep(&quire.store, &files.files).await;
    assert_eq!(quire.count(noted).await, 0);
}

#[tokio::test]
async fn a_file_that_has_rotted_is_noticed_and_healed_by_another_upload() {
    let files = Files::new();
    let stored = files.put(b"sixteen letters.").await;
    let whole = || files.files.open_whole(&stored.sha256, || false);
    whole().await.unwrap();
    fs::write(files.path(&stored), b"sixteen lettres.").unwrap();
    assert!(matches!(whole().await, Err(FileError::Checksum)));
    files.put(b"sixteen letters.").await;
    whole().await.unwrap();
    let stopped = files.files.open_whole(&stored.sha256, || true).await;
    assert!(matches!(stopped, Err(FileError::Stopped)));
    fs::remove_file(files.path(&stored)).unwrap();
    assert!(matches!(whole().await, Err(FileError::Missing)));
}

#[tokio::test]
async fn what_a_dead_upload_left_is_removed_while_the_service_runs() {
    let files = Files::new();
    let incoming = files.dir.path().join("incoming");
    let mut writing = files.files.writer(u64::MAX).await.unwrap();
    writing.write(Bytes::from_static(b"slow")).await.unwrap();
    for entry in fs::read_dir(&incoming).unwrap() {
        age(&entry.unwrap().path());
    }
    let (dead, new) = (incoming.join("dead"), incoming.join("new"));
    fs::write(&dead, b"half").unwrap();
    // Made a moment ago, its writer has not come to lock it yet.
    fs::write(&new, b"").unwrap();
    age(&dead);
    assert_eq!(files.files.remove_abandoned().await.unwrap(), 1);
    assert!(!dead.exists() && new.exists());
    assert_eq!(writing.finish().await.unwrap().bytes, 4);
}
