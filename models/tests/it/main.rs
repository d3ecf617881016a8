//! The integration tests of `quire-models`, in one binary.

mod bert;
mod hub_server;
mod minilm;
mod pull;
