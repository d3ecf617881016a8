//! Sends what the server does not have, several requests at the same time, small files together.
//!
//! Every file is hashed before it is sent: its key says whether the server has it already, from a run that was killed or from
//! one that ended long ago. A request that fails is sent again whole, which the keys make harmless.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use futures_util::future::try_join_all;
use parking_lot::Mutex;
use tokio::task::spawn_blocking;
use uuid::Uuid;

use super::{
    IngestError,
    key::{self, BatchKey},
    pace::Patience,
    plan::{Plan, Planned},
    screen::Progress,
};
use crate::cli::client::{Client, ClientError, batch::Outgoing};

/// Files in one request: what the server commits together.
const TOGETHER: usize = 32;

/// Bytes in one request, unless a single file has more: what is sent again when the connection breaks.
const TOGETHER_BYTES: u64 = 8 * 1024 * 1024;

/// The first bytes of a key's text: enough to tell ten million apart, and small to keep.
pub(super) type ShortKey = [u8; 16];

/// Sends the files of a plan.
pub(super) struct Sender<'a> {
    client: &'a Client,
    batch: Uuid,
    plan: &'a Plan,
    key: &'a BatchKey,
    progress: &'a Arc<Progress>,
    patience: &'a Patience,
    /// What the server had when we began.
    known: Mutex<HashSet<ShortKey>>,
    /// The next file.
    next: Mutex<usize>,
    sent: Mutex<Sent>,
}

/// What became of the files on our side.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// Places in the input by key.
    pub(super) places: HashMap<ShortKey, usize>,
    /// Files that the input names again with the same question: one job, two places.
    pub(super) twins: BTreeMap<usize, usize>,
    /// Files that could not be sent, and why.
    pub(super) unsent: BTreeMap<usize, String>,
}

impl<'a> Sender<'a> {
    /// Nothing happens yet.
    pub(super) fn new(
        client: &'a Client,
        batch: Uuid,
        plan: &'a Plan,
        key: &'a BatchKey,
        progress: &'a Arc<Progress>,
        patience: &'a Patience,
    ) -> Self {
        Self {
            client,
            batch,
            plan,
            key,
            progress,
            patience,
            known: Mutex::default(),
            next: Mutex::default(),
            sent: Mutex::default(),
        }
    }

    /// What became of the files, once all were sent.
    pub(super) fn into_sent(self) -> Sent {
        self.sent.into_inner()
    }

    /// Asks what the server has from an earlier run; queues again what failed, if wanted. `false`: interrupted.
    pub(super) async fn look(&self, retry_failed: bool) -> Result<bool, IngestError> {
        let looked = self.patience.insist(|| self.read_known()).await?;
        let Some((known, failed)) = looked else {
            return Ok(false);
        };
        *self.known.lock() = known;
        if !retry_failed {
            return Ok(true);
        }
        for job in failed {
            let retried = self
                .patience
                .insist(|| async {
                    match self.client.retry(job).await {
                        // It is queued already.
                        Err(ClientError::Refused(_)) => Ok(()),
                        other => other,
                    }
                })
                .await?;
            if retried.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn read_known(&self) -> Result<(HashSet<ShortKey>, Vec<Uuid>), ClientError> {
        let (mut known, mut failed) = (HashSet::new(), Vec::new());
        let mut lines = self.client.results(self.batch, false).await?;
        while let Some(line) = lines.next().await? {
            // What was refused, or whose job is gone, is sent again.
            let Some(job) = line.job_id else {
                continue;
            };
            known.insert(short(&line.key));
            if matches!(line.status.as_str(), "failed" | "cancelled") {
                failed.push(job);
            }
        }
        Ok((known, failed))
    }

    /// Sends everything. `false`: interrupted.
    pub(super) async fn send(&self, parallel: u8) -> Result<bool, IngestError> {
        try_join_all((0..parallel).map(|_| self.work())).await?;
        Ok(!self.patience.is_stopped())
    }

    /// Sends one group after the other.
    async fn work(&self) -> Result<(), IngestError> {
        while !self.patience.is_stopped() {
            let group = self.group();
            if group.is_empty() {
                break;
            }
            let outgoing = self.prepare(group).await?;
            if !outgoing.is_empty() {
                self.send_group(outgoing).await?;
            }
        }
        Ok(())
    }

    /// The next files that go together.
    fn group(&self) -> std::ops::Range<usize> {
        let mut next = self.next.lock();
        let start = *next;
        let mut bytes = 0;
        while let Some(file) = self.plan.files.get(*next) {
            bytes += file.path.metadata().map_or(0, |metadata| metadata.len());
            let count = *next - start;
            if count >= TOGETHER || (count > 0 && bytes > TOGETHER_BYTES) {
                break;
            }
            *next += 1;
        }
        start..*next
    }

    /// Hashes the files and leaves out what the server has and what cannot be read.
    async fn prepare(&self, group: std::ops::Range<usize>) -> Result<Vec<Outgoing>, IngestError> {
        let mut outgoing = Vec::with_capacity(group.len());
        for index in group {
            let file = &self.plan.files[index];
            let path = file.path.clone();
            let content = spawn_blocking(move || key::content(&path))
                .await
                .map_err(|error| ClientError::Refused(error.to_string()))?;
            let content = match content {
                Ok(content) => content,
                Err(error) => {
                    self.give_up(index, format!("cannot be read: {error}"));
                    continue;
                }
            };
            let key = match &file.key {
                Some(key) => key.clone(),
                None => self.key.item(&file.reference, &file.asked, &content),
            };
            let short = short(&key);
            if self.is_there(index, short) {
                self.progress.add_sent(1);
            } else {
                outgoing.push(line(index, file, key));
            }
        }
        Ok(outgoing)
    }

    /// Whether the server has the file, or this run is about to send it.
    fn is_there(&self, index: usize, key: ShortKey) -> bool {
        let mut sent = self.sent.lock();
        if let Some(first) = sent.places.get(&key).copied() {
            sent.twins.insert(index, first);
            return true;
        }
        sent.places.insert(key, index);
        self.known.lock().contains(&key)
    }

    async fn send_group(&self, mut files: Vec<Outgoing>) -> Result<(), IngestError> {
        loop {
            let progress = Arc::clone(self.progress);
            let sent = move |bytes| progress.add_bytes(bytes);
            let attempt = || self.client.add_files(self.batch, &files, sent.clone());
            match self.patience.insist(attempt).await {
                Ok(Some(items)) => {
                    self.progress.add_sent(items.len());
                    return Ok(());
                }
                Ok(None) => return Ok(()),
                // One file went away or was locked since it was hashed: the others are sent without it.
                Err(ClientError::File { path, source }) => {
                    let lost = files
                        .iter()
                        .position(|file| file.path.display().to_string() == path);
                    let Some(lost) = lost else {
                        return Err(ClientError::File { path, source }.into());
                    };
                    let lost = files.remove(lost);
                    self.give_up(lost.index, format!("cannot be read: {source}"));
                }
                // A single file can be too large for the server; then the file is at fault and not the run.
                Err(ClientError::Refused(reason)) if files.len() == 1 && self.is_alive().await => {
                    self.give_up(files[0].index, reason);
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            }
            if files.is_empty() {
                return Ok(());
            }
        }
    }

    /// The batch is there and open.
    async fn is_alive(&self) -> bool {
        let batch = self.client.batch(self.batch).await;
        batch.is_ok_and(|batch| batch.status != "cancelled")
    }

    fn give_up(&self, index: usize, reason: String) {
        self.progress.add_unsent(1);
        self.sent.lock().unsent.insert(index, reason);
    }
}

fn line(index: usize, file: &Planned, key: String) -> Outgoing {
    let name = file.path.file_name().unwrap_or_default();
    Outgoing {
        file: name.to_string_lossy().into_owned(),
        prompt: file.asked.prompt.clone(),
        priority: Some(file.asked.priority),
        scheduled_at: file.asked.scheduled_at.clone(),
        password: file.asked.password.clone(),
        reference: file.reference.clone(),
        key,
        index,
        path: file.path.clone(),
    }
}

/// The part of a key that is kept.
pub(super) fn short(key: &str) -> ShortKey {
    use sha2::{Digest, Sha256};
    let hash: [u8; 32] = Sha256::digest(key).into();
    let mut short = ShortKey::default();
    short.copy_from_slice(&hash[..size_of::<ShortKey>()]);
    short
}
