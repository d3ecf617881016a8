//! The queue core in virtual time: random lives with faults, every interleaving of a small world, and the same lives on Postgres.
//!
//! - `database`, `entries`, `row`: the rules, with the shipped [`quire_store::transition`] and [`quire_store::rules`] inside.
//! - `plan`, `process`, `world`: clients, processes and the network, drawn from a seed; `witness` judges.
//! - `explore`: two workers and two jobs, a crash anywhere, every order of events.
//! - `replay`: random operations on the store and on the rules, compared after each; this ties the rules to the SQL.
//!
//! A failure prints its seed and the shortest trace that could be found. `QUIRE_SIMULATE_SEED=<seed>` lives that world alone.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod attempts;
mod compare;
mod database;
mod entries;
mod event;
mod explore;
mod lives;
mod ownership;
mod plan;
mod process;
mod real;
mod replay;
mod row;
mod witness;
mod world;
