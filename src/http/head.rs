//! What is checked of every request before a route sees it: the host it asks for, and where it ends.
//!
//! A page of a foreign site can let its own name point to 127.0.0.1 (DNS rebinding). For the browser it then is a page of
//! this server: neither CORS nor the guard of `origins` stops it. The name itself gives it away, because a page cannot
//! change the `Host` that its browser sends. So a server that only this machine reaches answers only to the names of this
//! machine, and to those of the setting `allowed_hosts`.

use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{
    HeaderValue, Version,
    header::{CONNECTION, HOST, TRANSFER_ENCODING},
};

use crate::error::ApiError;

/// The names by which this machine knows itself, as clients write them.
const LOCAL_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// The hosts that a server answers to.
#[derive(Debug)]
pub struct Hosts {
    /// In lower case, without port; `None` = any host.
    names: Option<Vec<String>>,
}

impl Hosts {
    /// The hosts of a server that listens on `bind`. One that other machines reach has names that it cannot know, so it
    /// is restricted only when `allowed` says how.
    pub fn new(bind: &[IpAddr], allowed: &[String]) -> Self {
        let private = bind.iter().all(IpAddr::is_loopback);
        if !private && allowed.is_empty() {
            return Self { names: None };
        }
        let bound = bind.iter().map(|ip| match ip {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        });
        let named = allowed.iter().map(|name| name.to_ascii_lowercase());
        let local = LOCAL_NAMES.map(str::to_owned);
        Self {
            names: Some(local.into_iter().chain(bound).chain(named).collect()),
        }
    }

    /// Whether the server answers to this host, given with or without a port.
    fn allows(&self, host: &str) -> bool {
        let Some(names) = &self.names else {
            return true;
        };
        let name = name_of(host).to_ascii_lowercase();
        names.contains(&name)
    }
}

/// Refuses a request for a foreign host, and ends the connection behind a body that another server may end elsewhere.
pub async fn guard(State(hosts): State<Arc<Hosts>>, request: Request, next: Next) -> Response {
    if let Err(error) = check(&hosts, &request) {
        return error.into_response();
    }
    // A `Content-Length` beside it was dropped by the HTTP library, as RFC 9112 6.1 allows; what it demands in return is
    // that such a connection is not used again. The pair cannot be told from an honest chunked body any more.
    let chunked = request.headers().contains_key(TRANSFER_ENCODING);
    let mut response = next.run(request).await;
    if chunked {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    response
}

fn check(hosts: &Hosts, request: &Request) -> Result<(), ApiError> {
    let mut given = request.headers().get_all(HOST).iter();
    let (header, more) = (given.next(), given.next().is_some());
    // RFC 9112 3.2: exactly one, unless the client is of the time before.
    if more || (header.is_none() && request.version() == Version::HTTP_11) {
        return Err(ApiError::Malformed("Host is not given exactly once".into()));
    }
    // A target with a host of its own goes before the header.
    let target = request.uri().host();
    let header = header.map(|host| host.to_str().unwrap_or_default());
    if target.or(header).is_none_or(|host| hosts.allows(host)) {
        Ok(())
    } else {
        Err(ApiError::ForbiddenHost)
    }
}

/// The host without its port.
fn name_of(host: &str) -> &str {
    let end = match host.strip_prefix('[') {
        Some(literal) => literal.find(']').map(|at| at + 2),
        None => host.find(':'),
    };
    let (name, port) = host.split_at(end.unwrap_or(host.len()));
    let digits = port.strip_prefix(':').unwrap_or(port);
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        name
    } else {
        host
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use axum::body::Body;

    use super::*;

    fn private(allowed: &[&str]) -> Hosts {
        let allowed: Vec<String> = allowed.iter().map(|&name| name.into()).collect();
        Hosts::new(&[Ipv4Addr::LOCALHOST.into()], &allowed)
    }

    #[test]
    fn names_of_this_machine_are_allowed_on_any_port() {
        let hosts = private(&["Quire.example.com"]);
        for host in [
            "localhost",
            "LocalHost:8000",
            "127.0.0.1:8000",
            "[::1]",
            "[::1]:8000",
            "quire.EXAMPLE.com",
            "quire.example.com:443",
        ] {
            assert!(hosts.allows(host), "{host}");
        }
    }

    #[test]
    fn every_other_name_is_refused() {
        let hosts = private(&["quire.example.com"]);
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "evil.example:8000",
            "127.0.0.1.evil.example",
            "127.0.0.1:8000.evil.example",
            "localhost:evil",
            "[::1].evil.example",
            "[::1",
            "user@localhost",
            "127.0.0.10",
            "sub.quire.example.com",
        ] {
            assert!(!hosts.allows(host), "{host}");
        }
    }

    #[test]
    fn a_bound_address_is_a_name_too() {
        let bind = [
            Ipv4Addr::new(127, 0, 0, 2).into(),
            Ipv6Addr::LOCALHOST.into(),
        ];
        let hosts = Hosts::new(&bind, &[]);
        assert!(hosts.allows("127.0.0.2:80") && hosts.allows("[::1]:80"));
        assert!(!hosts.allows("127.0.0.3:80"));
    }

    #[test]
    fn a_public_server_answers_to_every_name_unless_told_otherwise() {
        let bind = [Ipv4Addr::UNSPECIFIED.into()];
        assert!(Hosts::new(&bind, &[]).allows("whatever.example"));
        let told = Hosts::new(&bind, &["a.example".into()]);
        assert!(told.allows("a.example") && !told.allows("b.example"));
    }

    fn request(version: Version, target: &str, hosts: &[&str]) -> Request {
        let mut request = Request::builder().version(version).uri(target);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        request.body(Body::empty()).unwrap()
    }

    #[test]
    fn there_is_exactly_one_host() {
        let checked = |version, target: &str, hosts: &[&str]| {
            check(&private(&[]), &request(version, target, hosts))
        };
        assert!(checked(Version::HTTP_11, "/", &["localhost"]).is_ok());
        assert!(checked(Version::HTTP_10, "/", &[]).is_ok());
        for hosts in [&[][..], &["localhost", "localhost"]] {
            let error = checked(Version::HTTP_11, "/", hosts);
            assert!(matches!(error, Err(ApiError::Malformed(_))), "{hosts:?}");
        }
        for target in ["http://evil.example/", "http://evil.example:8000/health"] {
            let error = checked(Version::HTTP_11, target, &["localhost"]);
            assert!(matches!(error, Err(ApiError::ForbiddenHost)), "{target}");
        }
    }
}
