//! The one place where the process reads the wall clock and draws ids and randomness.
//!
//! Everything else takes time as a parameter or lets Postgres say `now()`: leases, due times and heartbeats are judged by the
//! database's clock alone, so that a machine with a wrong clock cannot start a job early or declare a peer dead.

use chrono::{DateTime, Utc};
use rand::Rng as _;
use uuid::Uuid;

/// The current time of this machine.
#[expect(
    clippy::disallowed_methods,
    reason = "this function is the clock the lint points to"
)]
pub fn now() -> DateTime<Utc> {
    Utc::now()
}

/// A fresh id whose order is the order of creation (UUID version 7).
pub fn new_id() -> Uuid {
    Uuid::now_v7()
}

/// A fresh id that says nothing about when it was made (UUID version 4).
pub(crate) fn random_id() -> Uuid {
    Uuid::new_v4()
}

/// A factor in 0.75..1.25 that keeps retries of many jobs from coming back in one wave.
pub(crate) fn jitter() -> f64 {
    rand::rng().random_range(0.75..1.25)
}
