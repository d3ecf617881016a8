//! What the pinned apalis-postgres does by itself, and what our guards make of it.
//!
//! Each failure found before quire was built (`research/queue.md`, section 1) has a test: on a database with apalis' own migrations
//! only it must still fail, on ours it must not. When a test fails because the shipped side has become good, a new version has
//! mended it and the guard can go.
//!
//! | # | Failure of apalis-postgres 1.0.0 | Test here | Guard |
//! |---|---|---|---|
//! | 1 | no heartbeat while fetched tickets wait | `runtime::a_worker_beats_only_..` | `batch_size(1)` in `workers/src/queues.rs`, held by `check-invariants.sh` |
//! | 2 | same name after a crash: its tickets are stranded | `names::a_restart_under_the_same_name_..` | a name per start (ULID); our reaper (`workers/reap.rs`) |
//! | 3 | a name in use is not refused | `names::a_name_in_use_is_..` | session lock in `register_worker` |
//! | 4 | a failed task comes again at once | `tries::a_failed_task_..` | trigger `quire_guard` |
//! | 5 | `RetryAfterError` knows no pause and no end | `runtime::a_task_that_asks_to_come_later_..` | never used (`check-invariants.sh`); trigger |
//! | 6 | a panic outside its lifecycle leaves the row `Running` | `runtime::a_panic_..` | no such layer (`check-invariants.sh`); attempt in a task of its own; trigger |
//! | 7 | `AbortError` is final after one try | `runtime::an_abort_..` | never used (`check-invariants.sh`) |
//! | 8 | a task that kills its worker is tried for ever | `tries::a_task_that_kills_..` | trigger; crash budget (`store::rules`) |
//! | 9 | the fetch reads the whole table | `tables::a_fetch_..` | our `get_jobs` |
//! | 10 | the sweep reads the whole table | `tables::a_sweep_..` | index `quire_jobs_active` |
//! | 11, 12 | nobody is told of a task that becomes due | `tables::nobody_is_told_..` | `poll_with_interval`; scheduled jobs are pushed when due |
//! | 13 | wake-ups are lost; a failed listener stays silent | `names::a_listener_..`, `workers/src/wakeups.rs` | looks after each notification, interval poll |
//! | 14 | times are cut to whole seconds, so early | `tries::a_task_for_later_..` | `quire.jobs.due_at` |
//! | 15 | a database error ends the worker and drops what runs | `runtime::a_database_error_..` | restart with a pause; attempts in tasks of their own; the fence |
//! | 16 | `persist_results(false)` means no acknowledgement | `runtime::without_results_..` | never used (`check-invariants.sh`) |
//! | 17 | one repeated key fails a whole batch | `tries::a_repeated_key_..` | `on conflict` in `jobs/create.rs` |
//! | 18 | a graceful stop charges tickets that never ran | `tries::a_hand_back_..` | `batch_size(1)`; attempts are counted in `quire.jobs` |
//! | 19 | cancelling reaches only the same process | `store/tests/store/lease.rs` | fence and notification of our own |
//! | - | a late `lock` takes a ticket from its owner | `names::a_late_lock_..` | the ticket can be claimed once |

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod names;
mod runtime;
mod support;
mod tables;
mod tries;
