//! Which item of the batch a received file is, and what is asked about it.

use std::collections::{HashMap, VecDeque};

use chrono::{DateTime, Utc};
use quire_store::{AnswerOptions, BatchId, ItemPlace, Password};

use super::form::{Defaults, Fields};
use crate::manifest::Entry;

/// What is asked about one file, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// Where it stands; the name of the file is filled in when it came.
    pub(super) place: ItemPlace,
    /// The client gave the key: it is the job's own, in any batch.
    pub(super) has_own_key: bool,
    /// `None`: nothing is.
    pub(super) prompt: Option<String>,
    pub(super) priority: i32,
    pub(super) scheduled_at: Option<DateTime<Utc>>,
    pub(super) password: Option<Password>,
    pub(super) options: AnswerOptions,
}

/// The list of what comes.
pub(super) struct Plan {
    defaults: Defaults,
    /// What the manifest says, by the name of the file; the same name may come several times.
    by_name: HashMap<String, VecDeque<Asked>>,
    /// Index of the next file that the manifest does not name.
    next: i64,
}

impl Plan {
    /// The plan of a form; `behind` is the first free index of the batch.
    pub(super) fn new(fields: Fields, behind: i64) -> Self {
        let first = fields.first_index.unwrap_or(behind);
        let mut plan = Self {
            defaults: fields.defaults,
            by_name: HashMap::new(),
            next: first,
        };
        for entry in fields.manifest.unwrap_or_default() {
            let name = entry.file.clone();
            let asked = plan.ask(entry);
            plan.by_name.entry(name).or_default().push_back(asked);
        }
        plan
    }

    /// What is asked about the next file that came under `name`.
    pub(super) fn take(&mut self, name: &str) -> Asked {
        if let Some(asked) = self.by_name.get_mut(name).and_then(VecDeque::pop_front) {
            return asked;
        }
        self.ask(Entry::default())
    }

    /// What the manifest names and did not come, in order.
    pub(super) fn missing(&mut self) -> Vec<Asked> {
        let left = std::mem::take(&mut self.by_name);
        let mut missing: Vec<_> = left.into_values().flatten().collect();
        missing.sort_by_key(|asked| asked.place.position);
        missing
    }

    fn ask(&mut self, entry: Entry) -> Asked {
        let position = entry.index.unwrap_or(self.next);
        // One behind the other, whatever the entries with an index of their own say.
        self.next += 1;
        let has_own_key = entry.key.is_some();
        Asked {
            place: ItemPlace {
                key: entry.key.unwrap_or_else(|| position.to_string()),
                position,
                reference: entry.reference,
                file_name: entry.file,
            },
            has_own_key,
            prompt: entry.prompt.or_else(|| self.defaults.prompt.clone()),
            priority: entry.priority.unwrap_or(self.defaults.priority),
            scheduled_at: entry.scheduled_at.or(self.defaults.scheduled_at),
            password: entry.password.or_else(|| self.defaults.password.clone()),
            options: AnswerOptions {
                model: entry.model.or_else(|| self.defaults.options.model.clone()),
                schema: self.defaults.options.schema.clone(),
            },
        }
    }
}

impl Asked {
    /// The key of the job. A key of the client's is good in every batch, so that a list sent again gives the same jobs; an
    /// index is one place of one batch.
    pub(super) fn job_key(&self, batch: BatchId) -> String {
        if self.has_own_key {
            self.place.key.clone()
        } else {
            format!("batch:{batch}:{}", self.place.key)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(entries: Vec<Entry>, first_index: Option<i64>) -> Plan {
        let fields = Fields {
            name: None,
            defaults: Defaults {
                prompt: Some("all".into()),
                priority: 3,
                scheduled_at: None,
                password: None,
                options: AnswerOptions::default(),
            },
            first_index,
            manifest: Some(entries),
            hash: [0; 32],
        };
        Plan::new(fields, 10)
    }

    fn entry(file: &str, prompt: Option<&str>) -> Entry {
        Entry {
            file: file.into(),
            prompt: prompt.map(str::to_owned),
            ..Entry::default()
        }
    }

    fn taken(plan: &mut Plan, name: &str) -> (i64, String) {
        let asked = plan.take(name);
        (asked.place.position, asked.prompt.unwrap())
    }

    #[test]
    fn the_order_is_that_of_the_list_and_then_that_of_the_files() {
        let mut plan = plan(vec![entry("a", Some("one")), entry("b", None)], None);
        assert_eq!(taken(&mut plan, "b"), (11, "all".into()));
        assert_eq!(taken(&mut plan, "x"), (12, "all".into()));
        assert_eq!(taken(&mut plan, "a"), (10, "one".into()));
        assert_eq!(taken(&mut plan, "y"), (13, "all".into()));
        assert_eq!(plan.missing(), []);
    }

    #[test]
    fn a_file_that_is_listed_twice_is_two_items() {
        let mut plan = plan(
            vec![
                entry("a", Some("one")),
                entry("a", Some("two")),
                entry("b", None),
            ],
            Some(0),
        );
        assert_eq!(taken(&mut plan, "a"), (0, "one".into()));
        assert_eq!(taken(&mut plan, "a"), (1, "two".into()));
        let missing = plan.missing();
        assert_eq!(missing.len(), 1);
        assert_eq!(missing[0].place.file_name, "b");
    }

    #[test]
    fn only_a_key_of_the_clients_is_good_in_every_batch() {
        let batch = BatchId(uuid::Uuid::nil());
        let mut plan = plan(
            vec![Entry {
                key: Some("k".into()),
                index: Some(77),
                ..entry("a", None)
            }],
            Some(0),
        );
        let own = plan.take("a");
        assert_eq!((own.place.position, own.job_key(batch)), (77, "k".into()));
        let derived = plan.take("b");
        assert_eq!(derived.place.key, "1");
        assert_eq!(derived.job_key(batch), format!("batch:{batch}:1"));
    }
}
