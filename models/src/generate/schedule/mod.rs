//! One model, many requests: a thread of its own that computes for all of them at once.
//!
//! Every step of the thread (`worker`) takes one new token of each sequence that is being written and at most one piece of a prompt,
//! smaller when others are streaming, so that a long prompt holds nobody up for long. Requests beyond the slots wait in a bounded
//! queue; one more is refused at once. The weights are loaded at the first request and dropped when none has come for a while.
//!
//! A request ends early when its flag is raised, its deadline passes or its [`Stream`] is dropped; all are looked at between the
//! layers of a step, so also during a long prompt.

mod slot;
#[cfg(test)]
mod tests;
mod worker;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::cancel::CancelFlag;
use crate::error::ModelError;

use super::constrain::Constraint;
use super::sample::Sampling;
use super::text::Vocabulary;

use worker::Worker;

/// Longest wait between two looks at the caller's flag.
const LOOK: Duration = Duration::from_millis(50);

/// What a model may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Sequences that are computed at once.
    pub slots: usize,
    /// Requests that may wait for a slot.
    pub queue: usize,
    /// Memory for keys and values, in bytes; see [`Self::default`].
    pub cache_bytes: u64,
    /// Longest prompt and answer together, in tokens; the model's own limit holds too.
    pub context: usize,
    /// How long the weights stay without a request.
    pub idle: Duration,
}

impl Default for Limits {
    /// For two cores: four sequences of 4,096 tokens of a 0.6B model take 1.9 GB at most, and only what they fill.
    fn default() -> Self {
        Self {
            slots: 4,
            queue: 64,
            cache_bytes: 2 << 30,
            context: 8192,
            idle: Duration::from_mins(10),
        }
    }
}

/// One text to be continued.
#[derive(Clone, Debug)]
pub struct Request {
    /// The prompt in tokens, at least one.
    pub prompt: Vec<u32>,
    /// Longest continuation.
    pub max_tokens: usize,
    /// Fewest tokens before the model may end its turn.
    pub min_tokens: usize,
    /// Texts that end the answer and do not belong to it.
    pub stops: Vec<String>,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// What the text is held to; it ends when that is complete, and fails when its tokens end before.
    pub constraint: Option<Constraint>,
    /// When the answer is of no use any more.
    pub deadline: Option<Instant>,
    /// Raised when it is not wanted any more, and when its stream is dropped: it must be the request's own.
    pub cancel: CancelFlag,
}

impl Request {
    /// A request with the default choice of tokens and nothing that ends it early.
    pub fn new(prompt: Vec<u32>, max_tokens: usize) -> Self {
        Self {
            prompt,
            max_tokens,
            min_tokens: 0,
            stops: Vec::new(),
            sampling: Sampling::default(),
            constraint: None,
            deadline: None,
            cancel: CancelFlag::default(),
        }
    }

    fn check(&self) -> Result<(), ModelError> {
        self.stop_sign().check()
    }

    fn stop_sign(&self) -> StopSign {
        StopSign {
            cancel: self.cancel.clone(),
            deadline: self.deadline,
        }
    }
}

/// Says whether a request should end.
struct StopSign {
    cancel: CancelFlag,
    deadline: Option<Instant>,
}

impl StopSign {
    fn check(&self) -> Result<(), ModelError> {
        self.cancel.check()?;
        match self.deadline {
            Some(deadline) if deadline <= Instant::now() => Err(ModelError::DeadlinePassed),
            _ => Ok(()),
        }
    }
}

/// What becomes of a request, in this order: queued at most once, prefills, tokens, and one end.
#[derive(Debug)]
pub enum Event {
    /// All slots are taken.
    Queued {
        /// Requests before this one.
        position: usize,
    },
    /// A piece of the prompt has been read.
    Prefill {
        /// Tokens read, or known from before.
        done: usize,
        /// Tokens of the prompt.
        total: usize,
    },
    /// A token has been chosen.
    Token {
        /// Its id.
        id: u32,
        /// The text that it completes, which may be empty.
        text: String,
    },
    /// The end, as wanted.
    Done {
        /// Why.
        reason: Reason,
        /// Text that was held back because a stop might have followed.
        text: String,
        /// What it took.
        usage: Usage,
    },
    /// The end, without the whole answer.
    Failed(ModelError),
}

/// Why an answer is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The model ended its turn, or completed what it was held to.
    Ended,
    /// A stop text came.
    Stopped,
    /// It has as many tokens as it may have.
    Length,
}

/// What a request took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Of these, tokens whose keys and values were known from before.
    pub reused_tokens: usize,
    /// Tokens chosen.
    pub answer_tokens: usize,
}

/// The queue of one model.
pub(super) struct Scheduler {
    /// Dropping it ends the thread after what runs.
    jobs: Mutex<Option<SyncSender<Job>>>,
    load: Arc<AtomicUsize>,
    limits: Limits,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
}

/// A request on its way to the worker.
struct Job {
    request: Request,
    events: SyncSender<Event>,
    /// Counts this request among those that wait or run, until its reader hears of the end.
    ticket: Option<Ticket>,
}

impl Job {
    /// Sends the last event. Whoever reads it finds the place of this request free. Nobody may read any more.
    fn end(&mut self, event: Event) {
        self.ticket = None;
        self.events.try_send(event).ok();
    }
}

/// One request that waits or runs.
struct Ticket(Arc<AtomicUsize>);

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The events of one request. Dropping it cancels the request.
pub struct Stream {
    events: Receiver<Event>,
    cancel: CancelFlag,
}

impl Stream {
    /// Waits for the next event, or for the flag of the caller. A model thread that is gone is a failure.
    pub fn next(&self, cancel: &CancelFlag) -> Event {
        let gone = || {
            Event::Failed(ModelError::Inference(
                "the model's thread is gone".to_owned(),
            ))
        };
        loop {
            match self.events.recv_timeout(LOOK) {
                Ok(_) if cancel.is_cancelled() => return Event::Failed(ModelError::Cancelled),
                Ok(event) => return event,
                Err(RecvTimeoutError::Disconnected) => return gone(),
                Err(RecvTimeoutError::Timeout) if cancel.is_cancelled() => {
                    return Event::Failed(ModelError::Cancelled);
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

impl Scheduler {
    /// Starts the thread, which loads nothing yet.
    pub(super) fn start(
        path: &Path,
        vocabulary: Arc<Vocabulary>,
        limits: Limits,
    ) -> Result<Self, ModelError> {
        let (sender, jobs) = sync_channel(limits.queue + limits.slots);
        let worker = Worker::new(path.to_owned(), vocabulary, limits, jobs);
        let thread = thread::Builder::new()
            .name("quire-generate".to_owned())
            .spawn(move || worker.run())
            .map_err(ModelError::io(path))?;
        Ok(Self {
            jobs: Mutex::new(Some(sender)),
            load: Arc::default(),
            limits,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Hands a request in. Its flag is raised when the stream is dropped.
    pub(super) fn submit(&self, request: Request) -> Result<Stream, ModelError> {
        let (prompt, limit) = (request.prompt.len(), self.limits.context);
        if prompt == 0 {
            return Err(ModelError::Inference("the prompt is empty".to_owned()));
        }
        if prompt + request.max_tokens > limit {
            return Err(ModelError::PromptTooLong {
                tokens: prompt,
                limit,
            });
        }
        let before = self.load.fetch_add(1, Ordering::Relaxed);
        let ticket = Ticket(Arc::clone(&self.load));
        if before >= self.limits.queue + self.limits.slots {
            return Err(ModelError::Busy { waiting: before });
        }
        let cancel = request.cancel.clone();
        // Room for every event that the request can have: the worker never waits for a reader.
        let (events, receiver) = sync_channel(prompt + request.max_tokens + 4);
        let job = Job {
            request,
            events,
            ticket: Some(ticket),
        };
        let sent = self.jobs.lock().is_ok_and(|jobs| {
            let jobs = jobs.as_ref();
            jobs.is_some_and(|jobs| jobs.try_send(job).is_ok())
        });
        if !sent {
            let gone = "the model's thread is gone".to_owned();
            return Err(ModelError::Inference(gone));
        }
        Ok(Stream {
            events: receiver,
            cancel,
        })
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        if let Ok(mut jobs) = self.jobs.lock() {
            jobs.take();
        }
        let thread = self.thread.lock().ok().and_then(|mut thread| thread.take());
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the thread of a model has panicked");
        }
    }
}
