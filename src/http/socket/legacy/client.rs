//! A client of the upload contract for the tests: it adds up what it hears and refuses what does not add up.

use serde_json::Value;

/// What a client knows of the one job it listens to.
#[derive(Default)]
pub(super) struct Client {
    /// The answer so far.
    pub(super) text: String,
    /// The whole answers, in order.
    pub(super) answers: Vec<String>,
    /// The frames that ended a run.
    pub(super) ends: Vec<String>,
    /// The last frame was one of them.
    pub(super) over: bool,
}

impl Client {
    /// Takes a frame.
    pub(super) fn hear(&mut self, text: &str) {
        let frame: Value = serde_json::from_str(text).unwrap();
        let field = |name: &str| frame[name].as_str().unwrap().to_owned();
        self.over = false;
        match frame["type"].as_str().unwrap() {
            "job_update" => {}
            "ai_chunk" => self.add(&field("chunk"), field("partial")),
            "job_completed" => {
                let answer = field("ai_response");
                self.end(text);
                self.answers.push(answer);
            }
            "job_failed" => self.end(text),
            other => panic!("the contract has no {other}"),
        }
    }

    /// `partial` is what was heard and the new part, or the new part alone when the answer begins again.
    fn add(&mut self, part: &str, partial: String) {
        assert!(!part.is_empty(), "a chunk that adds nothing");
        let next = format!("{}{part}", self.text);
        assert!(
            partial == next || partial == part,
            "{partial:?} is neither {next:?} nor {part:?}"
        );
        self.text = partial;
    }

    fn end(&mut self, text: &str) {
        self.ends.push(text.to_owned());
        self.text.clear();
        self.over = true;
    }
}
