//! One request that is being computed.

use crate::error::ModelError;

use super::super::constrain::Constraint;
use super::super::kv::Sequence;
use super::super::network::Input;
use super::super::sample::Sampler;
use super::super::text::Vocabulary;
use super::super::text::bytes::Utf8;
use super::super::text::filter::Stops;
use super::{Event, Job, Reason, StopSign, Usage};

/// A sequence with its request.
pub(super) struct Slot {
    job: Job,
    pub(super) sequence: Sequence,
    /// The token that was chosen last and has not been read yet.
    chosen: Option<u32>,
    sampler: Sampler,
    utf8: Utf8,
    stops: Stops,
    usage: Usage,
    /// The request is over, and its reader knows.
    ended: bool,
}

impl Slot {
    pub(super) fn new(job: Job, sequence: Sequence) -> Self {
        Self {
            chosen: None,
            sampler: Sampler::new(job.request.sampling),
            utf8: Utf8::default(),
            stops: Stops::new(job.request.stops.clone()),
            usage: Usage {
                prompt_tokens: job.request.prompt.len(),
                reused_tokens: sequence.len(),
                answer_tokens: 0,
            },
            ended: false,
            job,
            sequence,
        }
    }

    /// Whether tokens are being chosen; before that the prompt is read.
    pub(super) fn is_writing(&self) -> bool {
        self.chosen.is_some()
    }

    pub(super) fn is_ended(&self) -> bool {
        self.ended
    }

    /// What its request says: cancelled, too late, or fine.
    pub(super) fn check(&self) -> Result<(), ModelError> {
        self.job.request.check()
    }

    /// The same, to be asked while the slot is being computed.
    pub(super) fn stop_sign(&self) -> StopSign {
        self.job.request.stop_sign()
    }

    /// The next tokens to read: the chosen one, or at most `limit` of the prompt.
    pub(super) fn input(&mut self, limit: usize) -> Input<'_> {
        if let Some(chosen) = &self.chosen {
            return Input {
                sequence: &mut self.sequence,
                tokens: std::slice::from_ref(chosen),
                scores: true,
            };
        }
        let rest = &self.job.request.prompt[self.sequence.len()..];
        let tokens = &rest[..limit.min(rest.len())];
        Input {
            scores: tokens.len() == rest.len(),
            sequence: &mut self.sequence,
            tokens,
        }
    }

    /// Tells the reader how much of the prompt has been read.
    pub(super) fn report_prefill(&mut self) {
        let (done, total) = (self.sequence.len(), self.usage.prompt_tokens);
        self.send(Event::Prefill { done, total });
    }

    /// Chooses a token from the scores behind the last one.
    pub(super) fn choose(&mut self, mut scores: Vec<f32>, vocabulary: &Vocabulary) {
        let request = &self.job.request;
        if self.usage.answer_tokens < request.min_tokens {
            for stop in vocabulary.stops() {
                if let Some(score) = scores.get_mut(*stop as usize) {
                    *score = f32::NEG_INFINITY;
                }
            }
        }
        if let Err(error) = self.hold(&mut scores) {
            return self.fail(error);
        }
        let Some(token) = self.sampler.choose(&mut scores) else {
            let nonsense = "the model gives scores that are no numbers".to_owned();
            return self.fail(ModelError::Inference(nonsense));
        };
        if vocabulary.is_stop(token) {
            return self.finish(Reason::Ended);
        }
        let complete = match self.held_to().map(|held| held.accept(token)) {
            Some(Ok(complete)) => complete,
            Some(Err(error)) => return self.fail(error),
            None => false,
        };
        self.usage.answer_tokens += 1;
        let text = self.utf8.push(vocabulary.bytes(token));
        let text = self.stops.push(&text);
        self.send(Event::Token { id: token, text });
        if complete {
            self.finish(Reason::Ended);
        } else if self.stops.is_stopped() {
            self.finish(Reason::Stopped);
        } else if self.usage.answer_tokens >= self.job.request.max_tokens {
            self.exhaust();
        } else {
            self.chosen = Some(token);
        }
    }

    fn held_to(&mut self) -> Option<&mut Constraint> {
        self.job.request.constraint.as_mut()
    }

    /// Takes the tokens out of the choice that the text may not go on with.
    fn hold(&mut self, scores: &mut [f32]) -> Result<(), ModelError> {
        match self.held_to() {
            Some(held) => held.mask(scores),
            None => Ok(()),
        }
    }

    /// There may be no more tokens. Half a text of a wanted shape is none.
    fn exhaust(&mut self) {
        if self.held_to().is_none() {
            return self.finish(Reason::Length);
        }
        let tokens = self.usage.answer_tokens;
        self.fail(ModelError::Schema(format!(
            "the reply is not complete after {tokens} tokens"
        )));
    }

    /// Ends the request with an error.
    pub(super) fn fail(&mut self, error: ModelError) {
        self.job.end(Event::Failed(error));
        self.ended = true;
    }

    fn finish(&mut self, reason: Reason) {
        let mut text = self.utf8.finish();
        text = self.stops.push(&text);
        text.push_str(&self.stops.finish());
        let usage = self.usage;
        tracing::debug!(
            prompt_tokens = usage.prompt_tokens,
            reused_tokens = usage.reused_tokens,
            answer_tokens = usage.answer_tokens,
            ?reason,
            "an answer is complete"
        );
        self.job.end(Event::Done {
            reason,
            text,
            usage,
        });
        self.ended = true;
    }

    /// There is room for every event, so this fails only when nobody reads any more.
    fn send(&mut self, event: Event) {
        if self.job.events.try_send(event).is_err() {
            self.ended = true;
        }
    }
}
