//! A client of another process's server that takes the server over when that process ends.
//!
//! Two questions asked at once without a server run one database between them, and the one that is answered first must not take
//! it from the other. Only who asks for it inherits: a long-running process leaves the server to its owner's next start.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::error::{AtPath as _, EmbeddedError};
use super::home::Home;
use super::{Owned, own};

/// Between two looks whether the owner is gone: what waits for the database is answered within a second.
const LOOK: Duration = Duration::from_millis(100);

/// The thread that waits for the owner's end.
#[derive(Debug)]
pub(super) struct Heir {
    /// Dropping it ends the waiting.
    leave: Sender<()>,
    thread: JoinHandle<Option<Owned>>,
}

impl Heir {
    /// Waits from now on.
    pub(super) fn wait(home: Home) -> Result<Self, EmbeddedError> {
        let (leave, left) = channel();
        let directory = home.directory().to_owned();
        let thread = Builder::new()
            .name("postgres heir".to_owned())
            .spawn(move || inherit(&home, &left))
            .at("start a thread for", &directory)?;
        Ok(Self { leave, thread })
    }

    /// Waits no longer; the server, if it was inherited.
    pub(super) fn leave(self) -> Option<Owned> {
        drop(self.leave);
        self.thread.join().ok().flatten()
    }
}

fn inherit(home: &Home, left: &Receiver<()>) -> Option<Owned> {
    while left.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
        match home
            .try_lock()
            .and_then(|lock| lock.map(|lock| own(home, lock)).transpose())
        {
            Ok(None) => {}
            Ok(Some(owned)) => {
                tracing::info!("the owner of the database server has ended, going on with it");
                return Some(owned);
            }
            Err(error) => {
                tracing::warn!(error = %error, "the database server could not be taken over, trying again");
            }
        }
    }
    None
}
