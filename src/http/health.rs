//! `/health` for people and the proxy contract, `/healthz` and `/readyz` for machines, `/version`.
//!
//! `/health` answers 200 and `healthy` as long as the process serves at all, as its contract has it, and tells beside that
//! which parts are away; whoever wants one answer about everything asks `/readyz`.

use std::{net::IpAddr, time::Duration};

use axum::{Json, extract::State};
use serde::Serialize;
use tokio::time::timeout;
use utoipa::ToSchema;

use crate::{
    app::AppState,
    config::Config,
    error::{ApiError, ErrorBody},
};

/// How long the database may take to answer before it counts as away. Probes commonly give up after 1 to 2 s.
const PING: Duration = Duration::from_secs(1);

/// State of the server. The first two keys and their order are part of the contract.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// Always `healthy`: the process serves.
    #[schema(example = "healthy")]
    status: &'static str,
    /// What the server stands before: itself, in this version.
    backend_client: BackendClient,
    /// Version of the server.
    #[schema(example = "0.1.0")]
    version: &'static str,
    /// The database.
    database: Available,
    /// The model behind the answers.
    models: Models,
    /// The sandbox of the parser; null in a process without workers.
    #[schema(required = true)]
    sandbox: Option<Sandbox>,
}

/// The backend and whether it can do work.
#[derive(Debug, Serialize, ToSchema)]
pub struct BackendClient {
    /// Its address.
    #[schema(example = "http://127.0.0.1:8000")]
    url: String,
    /// Whether it can do work: its database answers.
    available: bool,
}

/// Whether a part answers.
#[derive(Debug, Serialize, ToSchema)]
pub struct Available {
    /// It does.
    available: bool,
}

/// The model behind the answers.
#[derive(Debug, Serialize, ToSchema)]
pub struct Models {
    /// `ready`, `loading`, `not_installed` or `failed`; in all but the first, answers are found by words only.
    #[schema(example = "ready")]
    embedder: &'static str,
    /// Who answers jobs that do not say: `auto`, `extractive`, `generate`, `remote` or a model.
    #[schema(example = "auto")]
    engine: String,
    /// The generative model of this process: `ready`, `loading`, `not_installed` or `failed`.
    #[schema(example = "not_installed")]
    generate: &'static str,
    /// The remote model: `not_set_up`, `ready`, `resting` after failures, `on_trial` before it is trusted again.
    #[schema(example = "not_set_up")]
    remote: &'static str,
}

/// How untrusted files are confined.
#[derive(Debug, Serialize, ToSchema)]
pub struct Sandbox {
    /// The kernel lacks a part of the sandbox.
    degraded: bool,
    /// The parts that are missing.
    missing: Vec<String>,
}

/// Name and version.
#[derive(Debug, Serialize, ToSchema)]
pub struct Version {
    /// `quire`
    #[schema(example = "quire")]
    name: &'static str,
    /// Version of the server.
    #[schema(example = "0.1.0")]
    version: &'static str,
}

/// The server can take uploads.
#[derive(Debug, Serialize, ToSchema)]
pub struct Ready {
    /// `ready`
    #[schema(example = "ready")]
    status: &'static str,
}

/// Tells how the server is. Always 200 while it serves.
#[utoipa::path(get, path = "/health", tag = "operation", responses((status = 200, body = Health)))]
pub async fn health(State(state): State<AppState>) -> Json<Health> {
    let available = database_answers(&state).await;
    Json(Health {
        status: "healthy",
        backend_client: BackendClient {
            url: own_url(&state.config),
            available,
        },
        version: env!("CARGO_PKG_VERSION"),
        database: Available { available },
        models: Models {
            embedder: state.models.state().as_str(),
            engine: state.models.usual().to_string(),
            generate: state.models.generate().as_str(),
            remote: state.models.remote(),
        },
        sandbox: state.workers.as_ref().map(|workers| Sandbox {
            degraded: workers.sandbox.degraded,
            missing: workers.sandbox.missing.clone(),
        }),
    })
}

/// Tells that the process lives.
#[utoipa::path(get, path = "/healthz", tag = "operation", responses((status = 200, body = String, content_type = "text/plain")))]
pub async fn live() -> &'static str {
    "ok\n"
}

/// Tells whether the server can take uploads.
#[utoipa::path(get, path = "/readyz", tag = "operation",
    responses(
        (status = 200, body = Ready),
        (status = 503, body = ErrorBody, description = "`overloaded`: the server is stopping or the database is away"),
    ))]
pub async fn ready(State(state): State<AppState>) -> Result<Json<Ready>, ApiError> {
    if state.shutdown.is_cancelled() || !database_answers(&state).await {
        return Err(ApiError::Overloaded(None));
    }
    Ok(Json(Ready { status: "ready" }))
}

/// Tells which version this is.
#[utoipa::path(get, path = "/version", tag = "operation", responses((status = 200, body = Version)))]
pub async fn version() -> Json<Version> {
    Json(Version {
        name: "quire",
        version: env!("CARGO_PKG_VERSION"),
    })
}

async fn database_answers(state: &AppState) -> bool {
    matches!(timeout(PING, state.store.ping()).await, Ok(Ok(())))
}

/// The address under which this machine reaches the server.
fn own_url(config: &Config) -> String {
    let host = match config.bind.first() {
        Some(IpAddr::V4(ip)) if !ip.is_unspecified() => ip.to_string(),
        Some(IpAddr::V6(ip)) if !ip.is_unspecified() => format!("[{ip}]"),
        _ => "127.0.0.1".to_owned(),
    };
    format!("http://{host}:{}", config.port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Overrides;

    #[test]
    fn the_url_is_one_that_can_be_called() {
        let url = |bind: &str| {
            let mut config = Config::load(None, &Overrides::default()).unwrap();
            config.bind = vec![bind.parse().unwrap()];
            config.port = 8000;
            own_url(&config)
        };
        assert_eq!(url("127.0.0.1"), "http://127.0.0.1:8000");
        assert_eq!(url("0.0.0.0"), "http://127.0.0.1:8000");
        assert_eq!(url("::"), "http://127.0.0.1:8000");
        assert_eq!(url("::1"), "http://[::1]:8000");
    }

    #[test]
    fn health_begins_as_the_contract_has_it() {
        let health = Health {
            status: "healthy",
            backend_client: BackendClient {
                url: "http://127.0.0.1:8000".into(),
                available: true,
            },
            version: "0.1.0",
            database: Available { available: true },
            models: Models {
                embedder: "ready",
                engine: "auto".into(),
                generate: "not_installed",
                remote: "not_set_up",
            },
            sandbox: None,
        };
        assert_eq!(
            serde_json::to_string(&health).unwrap(),
            r#"{"status":"healthy","backend_client":{"url":"http://127.0.0.1:8000","available":true},"version":"0.1.0","database":{"available":true},"models":{"embedder":"ready","engine":"auto","generate":"not_installed","remote":"not_set_up"},"sandbox":null}"#
        );
    }
}
