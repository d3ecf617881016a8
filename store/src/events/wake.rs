//! The two notifications: "there are new events of these jobs" and "these attempts have ended".
//!
//! Both are only hints. They carry numbers, never content, and nothing depends on their arrival: events are read from the table,
//! and catch-up and heartbeat find what a lost notification would have said.

use std::fmt::Write as _;

use sqlx::PgConnection;
use uuid::Uuid;

use crate::{error::StoreError, ids::JobId};

/// New events. Payload: `<process> <job>:<first new seq> ...`.
pub(super) const EVENT_CHANNEL: &str = "quire_ev";
/// Ended attempts. Payload: `<process> <job> <attempt>`.
pub(super) const CONTROL_CHANNEL: &str = "quire_ctl";
/// Postgres refuses payloads of 8,000 bytes.
const PAYLOAD_BYTES: usize = 7_500;
/// Jobs that always fit into a payload: each takes a blank, 36 characters, a colon and at most 19 digits.
pub(super) const JOBS_IN_PAYLOAD: i64 = 130;

/// A notification, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wake {
    /// Jobs with new events, each with the number of the first.
    Events(Vec<(JobId, i64)>),
    /// An attempt that has ended.
    Ended(JobId, Uuid),
}

/// Wakes the other processes at commit: each job with the number of its first new event.
pub(super) async fn announce(
    conn: &mut PgConnection,
    process: i64,
    jobs: impl Iterator<Item = (JobId, i64)> + Send,
) -> Result<(), StoreError> {
    let payloads = event_payloads(process, jobs);
    notify(conn, EVENT_CHANNEL, &payloads).await
}

/// Tells the process that runs it, wherever that is, at commit.
pub(crate) async fn notify_ended(
    conn: &mut PgConnection,
    process: i64,
    job: JobId,
    attempt_id: Uuid,
) -> Result<(), StoreError> {
    notify(
        conn,
        CONTROL_CHANNEL,
        &[format!("{process} {job} {attempt_id}")],
    )
    .await
}

/// Reads a payload. `None`: from this process itself, or not one of ours.
pub(super) fn parse(process: i64, channel: &str, payload: &str) -> Option<Wake> {
    let (origin, rest) = payload.split_once(' ')?;
    if origin.parse() == Ok(process) {
        return None;
    }
    match channel {
        EVENT_CHANNEL => rest
            .split(' ')
            .map(parse_event)
            .collect::<Option<_>>()
            .map(Wake::Events),
        CONTROL_CHANNEL => {
            let (job, attempt) = rest.split_once(' ')?;
            Some(Wake::Ended(job.parse().ok()?, attempt.parse().ok()?))
        }
        _ => None,
    }
}

async fn notify(
    conn: &mut PgConnection,
    channel: &str,
    payloads: &[String],
) -> Result<(), StoreError> {
    sqlx::query!(
        "select pg_notify($1, payload)::text from unnest($2::text[]) as payload",
        channel,
        payloads,
    )
    .fetch_all(conn)
    .await?;
    Ok(())
}

fn event_payloads(process: i64, jobs: impl Iterator<Item = (JobId, i64)>) -> Vec<String> {
    let head = process.to_string();
    let mut payloads: Vec<String> = Vec::new();
    for (job, seq) in jobs {
        let mut item = String::new();
        // Writing to a string cannot fail.
        let _ = write!(item, " {job}:{seq}");
        match payloads.last_mut() {
            Some(last) if last.len() + item.len() <= PAYLOAD_BYTES => last.push_str(&item),
            _ => payloads.push(format!("{head}{item}")),
        }
    }
    payloads
}

fn parse_event(item: &str) -> Option<(JobId, i64)> {
    let (job, seq) = item.split_once(':')?;
    Some((job.parse().ok()?, seq.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_job_arrives_in_payloads_that_postgres_takes(
            jobs in proptest::collection::vec((any::<u128>(), 0..i64::MAX), 0..600),
        ) {
            let jobs: Vec<(JobId, i64)> = jobs.into_iter().map(|(id, seq)| (JobId(Uuid::from_u128(id)), seq)).collect();
            let payloads = event_payloads(7, jobs.iter().copied());
            let mut arrived = Vec::new();
            for payload in &payloads {
                prop_assert!(payload.len() < 8_000);
                prop_assert_eq!(parse(7, EVENT_CHANNEL, payload), None);
                let Some(Wake::Events(some)) = parse(8, EVENT_CHANNEL, payload) else { panic!("{payload}") };
                arrived.extend(some);
            }
            prop_assert_eq!(arrived, jobs);
        }

        #[test]
        fn strange_payloads_are_passed_over(payload in ".{0,80}") {
            prop_assert!(!matches!(parse(7, CONTROL_CHANNEL, &payload), Some(Wake::Events(_))));
            parse(7, EVENT_CHANNEL, &payload);
        }
    }

    #[test]
    fn an_ended_attempt_is_understood() {
        let (job, attempt) = (JobId::generate(), crate::clock::random_id());
        let payload = format!("1 {job} {attempt}");
        assert_eq!(
            parse(2, CONTROL_CHANNEL, &payload),
            Some(Wake::Ended(job, attempt))
        );
        assert_eq!(parse(1, CONTROL_CHANNEL, &payload), None);
    }
}
