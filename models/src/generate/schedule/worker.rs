//! The thread of a model.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::Instant;

use crate::error::ModelError;

use super::super::gguf::Gguf;
use super::super::kv::Cache;
use super::super::network::Network;
use super::super::text::Vocabulary;
use super::slot::Slot;
use super::{Event, Job, Limits};

/// Tokens of a prompt in one step while nobody else is being written for: products are at their best.
const CHUNK_ALONE: usize = 512;
/// The same while others stream: about 0.17 s of one core at the 214 tokens/s that `make bench-models` shows, in whole tiles of rows
/// for one thread and for two.
const CHUNK_SHARED: usize = 36;

/// The state of the thread.
pub(super) struct Worker {
    path: PathBuf,
    vocabulary: Arc<Vocabulary>,
    limits: Limits,
    jobs: Receiver<Job>,
    /// Requests without a slot, in order.
    waiting: VecDeque<Job>,
    active: Vec<Slot>,
    /// None until the first request, and after a time without any.
    loaded: Option<Loaded>,
}

struct Loaded {
    network: Network,
    cache: Cache,
}

impl Worker {
    pub(super) fn new(
        path: PathBuf,
        vocabulary: Arc<Vocabulary>,
        limits: Limits,
        jobs: Receiver<Job>,
    ) -> Self {
        Self {
            path,
            vocabulary,
            limits,
            jobs,
            waiting: VecDeque::new(),
            active: Vec::new(),
            loaded: None,
        }
    }

    /// Works until the scheduler is dropped and everything handed in has ended.
    pub(super) fn run(mut self) {
        while self.receive() {
            self.drop_ended();
            match self.load() {
                Ok(()) => {
                    self.admit();
                    self.step();
                }
                Err(error) => self.refuse_all(&error),
            }
        }
    }

    /// Takes new requests; sleeps when there is nothing to do. False when there will never be anything again.
    fn receive(&mut self) -> bool {
        if self.active.is_empty() && self.waiting.is_empty() {
            match self.sleep() {
                Some(job) => self.enqueue(job),
                None => return false,
            }
        }
        loop {
            match self.jobs.try_recv() {
                Ok(job) => self.enqueue(job),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => {
                    return !(self.active.is_empty() && self.waiting.is_empty());
                }
            }
        }
    }

    /// Waits for a request, and drops the weights when none comes for long.
    fn sleep(&mut self) -> Option<Job> {
        if self.loaded.is_some() {
            match self.idle() {
                Ok(job) => return Some(job),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
        self.jobs.recv().ok()
    }

    /// The next request, if it comes while the weights are kept for it.
    fn idle(&mut self) -> Result<Job, RecvTimeoutError> {
        let next = self.jobs.recv_timeout(self.limits.idle);
        if matches!(next, Err(RecvTimeoutError::Timeout)) {
            tracing::info!("a model is unloaded, as nobody has asked it for a while");
            self.loaded = None;
        }
        next
    }

    fn enqueue(&mut self, job: Job) {
        let position = self.waiting.len();
        if self.active.len() + position >= self.limits.slots {
            // Nobody reads any more: seen when its turn comes.
            job.events.try_send(Event::Queued { position }).ok();
        }
        self.waiting.push_back(job);
    }

    fn load(&mut self) -> Result<(), ModelError> {
        if self.loaded.is_some() || self.active.is_empty() && self.waiting.is_empty() {
            return Ok(());
        }
        let start = Instant::now();
        let network = Network::load(&Gguf::open(&self.path)?)?;
        let cache = Cache::new(
            network.config().layers,
            network.heads(),
            self.limits.cache_bytes,
        );
        tracing::info!(
            seconds = start.elapsed().as_secs_f64(),
            family = network.config().family.name,
            "a model is loaded"
        );
        self.loaded = Some(Loaded { network, cache });
        Ok(())
    }

    fn refuse_all(&mut self, error: &ModelError) {
        tracing::error!(%error, "a model could not be loaded");
        for mut job in self.waiting.drain(..) {
            job.end(Event::Failed(ModelError::Inference(error.to_string())));
        }
    }

    /// Ends what is cancelled or too late, and frees its slot.
    fn drop_ended(&mut self) {
        for slot in self.active.iter_mut().filter(|slot| !slot.is_ended()) {
            if let Err(error) = slot.check() {
                slot.fail(error);
            }
        }
        let (ended, active) = std::mem::take(&mut self.active)
            .into_iter()
            .partition(Slot::is_ended);
        self.active = active;
        if let Some(loaded) = &mut self.loaded {
            let ended: Vec<Slot> = ended;
            for slot in ended {
                loaded.cache.end(slot.sequence);
                tracing::debug!(cache.bytes = loaded.cache.bytes(), "a slot is free");
            }
        }
        self.waiting.retain_mut(|job| match job.request.check() {
            Ok(()) => true,
            Err(error) => {
                job.end(Event::Failed(error));
                false
            }
        });
    }

    /// Gives free slots to waiting requests, in order, as memory allows.
    fn admit(&mut self) {
        let Some(Loaded { cache, network }) = &mut self.loaded else {
            return;
        };
        let limit = cache.capacity().min(network.config().context);
        while self.active.len() < self.limits.slots {
            let Some(job) = self.waiting.front() else {
                return;
            };
            let prompt = &job.request.prompt;
            let longest = prompt.len() + job.request.max_tokens;
            if longest > limit {
                let tokens = prompt.len();
                let refused = ModelError::PromptTooLong { tokens, limit };
                if let Some(mut job) = self.waiting.pop_front() {
                    job.end(Event::Failed(refused));
                }
                continue;
            }
            let Some(sequence) = cache.begin(prompt, longest) else {
                return;
            };
            if let Some(job) = self.waiting.pop_front() {
                self.active.push(Slot::new(job, sequence));
            }
        }
    }

    /// One token for everybody who is written for, and a piece of one prompt.
    fn step(&mut self) {
        let Some(Loaded { network, cache }) = &mut self.loaded else {
            return;
        };
        let writing = self.active.iter().any(Slot::is_writing);
        let chunk = if writing { CHUNK_SHARED } else { CHUNK_ALONE };
        let reading = self.active.iter().position(|slot| !slot.is_writing());
        let mut slots: Vec<&mut Slot> = self
            .active
            .iter_mut()
            .enumerate()
            .filter(|(index, slot)| slot.is_writing() || Some(*index) == reading)
            .map(|(_, slot)| slot)
            .collect();
        if slots.is_empty() {
            return;
        }
        let flags: Vec<_> = slots.iter().map(|slot| slot.stop_sign()).collect();
        let stopped = || flags.iter().any(|flag| flag.check().is_err());
        let mut inputs: Vec<_> = slots.iter_mut().map(|slot| slot.input(chunk)).collect();
        let wanted: Vec<bool> = inputs.iter().map(|input| input.scores).collect();
        let scores = network.step(&mut inputs, &stopped);
        drop(inputs);
        match scores {
            // Whose flag it was is found before the next step; the others lose a moment.
            Err(ModelError::Cancelled) => {}
            Err(error) => {
                tracing::error!(%error, "a step of a model has failed");
                for slot in slots {
                    slot.fail(ModelError::Inference(error.to_string()));
                }
            }
            Ok(scores) => {
                let mut scores = scores.into_iter();
                for (slot, wanted) in slots.into_iter().zip(wanted) {
                    cache.remember(&mut slot.sequence);
                    if !slot.is_writing() {
                        slot.report_prefill();
                    }
                    if let Some(scores) = scores.by_ref().take(usize::from(wanted)).next() {
                        slot.choose(scores, &self.vocabulary);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;
    use std::time::Duration;

    use super::super::super::config::Config;
    use super::super::super::testing::{Format, model, tiny};
    use super::super::Request;
    use super::*;

    fn job() -> Job {
        Job {
            request: Request::new(vec![1], 1),
            events: sync_channel(1).0,
            ticket: None,
        }
    }

    #[test]
    fn weights_that_nobody_asks_for_are_dropped_and_loaded_again() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), model(tiny("qwen3"), Format::F16)).unwrap();
        let gguf = Gguf::open(file.path()).unwrap();
        let config = Config::read(&gguf).unwrap();
        let vocabulary = Vocabulary::read(&gguf, config.family, config.vocabulary).unwrap();
        let limits = Limits {
            idle: Duration::ZERO,
            ..Limits::default()
        };
        let (_sender, jobs) = sync_channel(1);
        let path = file.path().to_owned();
        let mut worker = Worker::new(path, Arc::new(vocabulary), limits, jobs);
        for _ in 0..2 {
            worker.enqueue(job());
            worker.load().unwrap();
            assert!(worker.loaded.is_some());
            worker.waiting.clear();
            assert!(matches!(worker.idle(), Err(RecvTimeoutError::Timeout)));
            assert!(worker.loaded.is_none());
        }
        drop(file);
        worker.enqueue(job());
        assert!(worker.load().is_err(), "a file that is gone is an error");
    }
}
