//! The place between two pages of a list: opaque to clients, a time and an id to us.
//!
//! A position, not an offset: rows that arrive or vanish between two requests can neither repeat nor hide a job.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::ids::JobId;

/// Bytes of a cursor: microseconds of the time, then the id.
const CURSOR_BYTES: usize = 8 + 16;

/// After which job the next page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobCursor {
    /// What the list is ordered by: when the job was created, or in the list of dead letters ended.
    pub(crate) at: DateTime<Utc>,
    pub(crate) id: JobId,
}

/// A text that is no cursor of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor of this list")]
pub struct BadCursor;

impl fmt::Display for JobCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = [0; CURSOR_BYTES];
        bytes[..8].copy_from_slice(&self.at.timestamp_micros().to_be_bytes());
        bytes[8..].copy_from_slice(self.id.0.as_bytes());
        f.write_str(&hex::encode(bytes))
    }
}

impl FromStr for JobCursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let mut bytes = [0; CURSOR_BYTES];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| BadCursor)?;
        let (micros, id) = bytes.split_at(8);
        let micros = i64::from_be_bytes(micros.try_into().map_err(|_| BadCursor)?);
        let at = DateTime::from_timestamp_micros(micros).ok_or(BadCursor)?;
        let id = Uuid::from_slice(id).map_err(|_| BadCursor)?;
        Ok(Self { at, id: JobId(id) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_reads_back(micros in -1_000_000_000_000_000_i64..4_000_000_000_000_000, id: u128) {
            let cursor = JobCursor {
                at: DateTime::from_timestamp_micros(micros).unwrap(),
                id: JobId(Uuid::from_u128(id)),
            };
            prop_assert_eq!(cursor.to_string().parse::<JobCursor>().unwrap(), cursor);
        }

        #[test]
        fn anything_else_is_refused(text in ".{0,60}") {
            prop_assume!(text.len() != 2 * CURSOR_BYTES);
            prop_assert_eq!(text.parse::<JobCursor>(), Err(BadCursor));
        }
    }
}
