//! Which server a command talks to: the one that was named, the one of this machine, or one of its own for as long as it runs.

use super::{
    client::{Client, ClientError},
    own::{OwnServer, OwnServerError},
};
use crate::config::Config;

/// Why there is no server to talk to.
#[derive(Debug, thiserror::Error)]
pub(super) enum FindError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Own(#[from] OwnServerError),
}

/// A server, and what must be stopped at the end if it is our own. `starting` is called before one is started.
pub(super) async fn server(
    url: Option<&str>,
    config: Config,
    starting: impl FnOnce(),
) -> Result<(Client, Option<OwnServer>), FindError> {
    let here = format!("http://127.0.0.1:{}", config.port);
    let client = Client::new(url.unwrap_or(&here))?;
    match client.probe().await {
        Ok(()) => return Ok((client, None)),
        Err(ClientError::Unreachable { .. }) if url.is_none() => {}
        Err(error) => return Err(error.into()),
    }
    starting();
    let own = OwnServer::start(config).await?;
    Ok((Client::new(own.url())?, Some(own)))
}
