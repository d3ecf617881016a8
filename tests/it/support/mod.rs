//! What the integration tests stand on: a running service, clients, fixtures, a fault proxy.

pub mod app;
pub mod client;
pub mod cluster;
pub mod fixtures;
pub mod history;
pub mod process;
pub mod proxy;
pub mod raw;
pub mod socket;

pub use app::TestApp;
pub use client::Upload;
pub use socket::Socket;
