//! Typed ids, so that a file's id can never be passed where a job's is meant.
//!
//! A `JobId` is a UUID version 7 and carries its own creation time: the day derived from it names the event partition of the
//! job, which therefore never changes, whatever happens to the row.

use std::{fmt, str::FromStr};

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock;

/// Who a file, job, event or document belongs to. Every query filters by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Owner(pub Uuid);

impl Owner {
    /// The only principal while authentication is off.
    pub const LOCAL: Self = Self(Uuid::nil());
}

/// A job's id: unguessable enough to be shown, ordered by creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(pub Uuid);

impl JobId {
    /// A fresh id.
    pub fn generate() -> Self {
        Self(clock::new_id())
    }

    /// When the id was made, to the millisecond; the epoch for an id that is not of version 7.
    pub fn created_at(self) -> DateTime<Utc> {
        let millis = self.0.get_timestamp().map_or(0, |stamp| {
            let (seconds, nanos) = stamp.to_unix();
            seconds.saturating_mul(1_000) + u64::from(nanos / 1_000_000)
        });
        let millis = i64::try_from(millis).unwrap_or_default();
        DateTime::from_timestamp_millis(millis).unwrap_or_default()
    }

    /// The UTC day of creation, which names the partition of the job's events.
    pub fn day(self) -> NaiveDate {
        self.created_at().date_naive()
    }
}

/// The id of an uploaded file (one per upload, even when two uploads share their bytes).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FileId(pub Uuid);

impl FileId {
    /// A fresh id.
    pub fn generate() -> Self {
        Self(clock::new_id())
    }
}

/// The id of a batch, ordered by creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BatchId(pub Uuid);

impl BatchId {
    /// A fresh id.
    pub fn generate() -> Self {
        Self(clock::new_id())
    }
}

macro_rules! textual {
    ($($id:ident),+) => {$(
        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $id {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    )+};
}

textual!(Owner, JobId, FileId, BatchId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_id_knows_when_it_was_made() {
        let before = clock::now();
        let made = JobId::generate().created_at();
        assert!((made - before).num_milliseconds().abs() < 60_000);
        assert_eq!(JobId(Uuid::nil()).created_at(), DateTime::UNIX_EPOCH);
    }

    #[test]
    fn ids_are_ordered_by_creation_and_read_back() {
        let ids: Vec<JobId> = (0..1_000).map(|_| JobId::generate()).collect();
        assert!(ids.is_sorted());
        assert_eq!(ids[7].to_string().parse::<JobId>().unwrap(), ids[7]);
        assert!("job-123".parse::<JobId>().is_err());
    }
}
