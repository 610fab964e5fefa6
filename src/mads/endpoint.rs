//! Where MADS is: what the API server of any Kuma says about it, and what to make of that.
//!
//! Pure. `transport/resolver.rs` probes the API server.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

use crate::common::json::Object;
use crate::common::sanitize::sanitize;
use crate::mads::transport::address::{Address, MADS_PORT, Scheme, Security, TLS_IS_SPOKEN};

/// Where MADS is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Its own address. Of the scheme only the security counts.
    pub address: Address,
    /// Who says so.
    pub origin: Origin,
    /// Why MADS may not be served at all, by what the control plane says about itself. That is for
    /// the message where MADS is not reached: it is looked for all the same.
    pub without_mads: Option<&'static str>,
}

impl Address {
    /// This address taken as MADS itself.
    pub fn as_mads(&self) -> Endpoint {
        Endpoint { address: self.clone(), origin: Origin::Address, without_mads: None }
    }
}

impl Endpoint {
    /// `host:port`, with the brackets that IPv6 needs.
    pub fn authority(&self) -> String {
        self.address.authority()
    }

    /// What an operator should know about it, where it was located by an address with this security.
    pub fn warning(&self, address_security: Security) -> Option<String> {
        let why = match &self.origin {
            Origin::Guess(why) => why,
            _ if address_security == Security::Tls
                && self.address.security() == Security::Plaintext =>
            {
                return Some(format!(
                    "the control plane serves MADS at {} in plaintext, although --cp-address is \
                     https; enable TLS for its monitoringAssignmentServer",
                    self.authority()
                ));
            }
            _ => return None,
        };
        let (why, remedy) = match why {
            LocationUnknown::Refused(status) => {
                (format!("the API server refuses /config with status {status}"), "")
            }
            LocationUnknown::TokenRefused { status, path } => (
                format!(
                    "the API server refuses the token in {} with status {status}",
                    path.display()
                ),
                "put a token there that it accepts, or ",
            ),
            LocationUnknown::NoSection => {
                ("the API server's /config does not say where MADS is".to_owned(), "")
            }
        };
        Some(format!(
            "{why}, so MADS is taken to be at its usual port; {remedy}give \
             --cp-address={} instead",
            self.address
        ))
    }
}

/// Who says where MADS is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The address itself is MADS.
    Address,
    /// `/catalog` of the API server (Kuma 0.3 to 0.7).
    Catalog,
    /// `/config` of the API server (Kuma 0.3 and later).
    Config,
    /// Nobody: the API server keeps it to itself, so MADS is taken to be at its usual port.
    Guess(LocationUnknown),
}

/// Why an API server does not say where MADS is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocationUnknown {
    /// It refused `/config` with this status, 401 or 403.
    Refused(u16),
    /// It refused `/config` although it was shown a token.
    TokenRefused {
        /// 401 or 403.
        status: u16,
        /// Where the token was read.
        path: PathBuf,
    },
    /// Its `/config` has no `monitoringAssignmentServer`.
    NoSection,
}

/// A request to the API server, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// What was requested.
    pub url: String,
    /// Such as `status 200`.
    pub outcome: String,
    /// Whether there was an answer, whatever it was.
    pub is_answered: bool,
}

/// What an API server, or whatever is at its address, answers over HTTP to a GET.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The value of `Location`, empty where there is none.
    pub location: String,
    /// The body.
    pub body: String,
}

/// Why an answer does not lead to MADS. All of these may pass, so all are retried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnswerError {
    /// A redirect, which is not followed: it could lead anywhere.
    Redirect {
        /// Where it leads.
        location: String,
    },
    /// The server says that it expects TLS.
    TlsExpected,
    /// A status that says nothing about where MADS is, such as 500 or 503.
    Status(u16),
    /// `/config` is not JSON, so this is no Kuma.
    NotJson(String),
    /// The URL in `/catalog` is none.
    CatalogUrl(String),
    /// `monitoringAssignmentServer.enabled` is false (Kuma 2.14 and later), on a control plane of a
    /// kind that may serve none anyway.
    Disabled(Option<&'static str>),
    /// `monitoringAssignmentServer` names no port that can be used.
    NoPort,
}

impl fmt::Display for AnswerError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Redirect { location } => write!(
                formatter,
                "redirected to {:?}, which is not followed; give that address as --cp-address",
                sanitize(location)
            ),
            Self::TlsExpected => formatter.write_str(TLS_IS_SPOKEN),
            Self::Status(status) => write!(formatter, "status {status}"),
            Self::NotJson(reason) => write!(
                formatter,
                "not the JSON of a Kuma control plane ({reason}); check --cp-address"
            ),
            Self::CatalogUrl(url) => {
                write!(formatter, "the URL of MADS cannot be used: {:?}", sanitize(url))
            }
            Self::Disabled(without_mads) => {
                formatter.write_str("the control plane has MADS disabled; ")?;
                match without_mads {
                    Some(without_mads) => formatter.write_str(without_mads),
                    None => formatter.write_str("set monitoringAssignmentServer.enabled there"),
                }
            }
            Self::NoPort => formatter.write_str(
                "monitoringAssignmentServer has no port; give the address of MADS as --cp-address",
            ),
        }
    }
}

impl std::error::Error for AnswerError {}

/// What `/catalog` says: where MADS is, or `None` where `/config` is to be asked.
///
/// # Errors
/// Where the answer is no verdict on the address.
pub fn from_catalog(address: &Address, answer: &Answer) -> Result<Option<Endpoint>, AnswerError> {
    let is_redirect = (300..400).contains(&answer.status);
    if !(is_redirect && has_base_path(address)) {
        require_verdict(answer)?;
    }
    if !(200..300).contains(&answer.status) {
        return Ok(None);
    }
    let Some(url) = catalog_url(&answer.body) else {
        return Ok(None);
    };
    let location: Address = url.parse().map_err(|_| AnswerError::CatalogUrl(url.clone()))?;
    let mut endpoint = location.as_mads();
    endpoint.origin = Origin::Catalog;
    if is_own_view(&endpoint.address.host) {
        endpoint.address.host.clone_from(&address.host);
    }
    Ok(Some(endpoint))
}

/// What `/config` says about MADS.
///
/// # Errors
/// Where the answer is no verdict on the address, or MADS is disabled.
pub fn from_config(address: &Address, answer: &Answer) -> Result<Endpoint, AnswerError> {
    let is_refused = matches!(answer.status, 300..=399 | 401 | 403);
    if is_refused && has_base_path(address) {
        return Ok(address.as_mads());
    }
    require_verdict(answer)?;
    match answer.status {
        200..=299 => {}
        status @ (401 | 403) => return Ok(guess(address, LocationUnknown::Refused(status))),
        // What MADS itself, or an ingress to it, answers to a path that it does not know.
        404 | 405 | 410 => return Ok(address.as_mads()),
        status => return Err(AnswerError::Status(status)),
    }
    let Object(config) = match serde_json::from_str::<Object<Config>>(&answer.body) {
        Ok(config) => config,
        Err(_) if has_base_path(address) => return Ok(address.as_mads()),
        Err(error) => return Err(AnswerError::NotJson(error.to_string())),
    };
    let without_mads = config.without_mads();
    let Some(Object(server)) = config.monitoring_assignment_server else {
        return Ok(Endpoint { without_mads, ..guess(address, LocationUnknown::NoSection) });
    };
    if server.enabled == Some(false) {
        return Err(AnswerError::Disabled(without_mads));
    }
    let port = [server.port, server.grpc_port].into_iter().flatten().find(|port| *port > 0);
    let scheme = match server.tls_enabled {
        Some(true) => Scheme::Grpcs,
        _ => Scheme::Grpc,
    };
    Ok(Endpoint {
        address: of_mads(address, scheme, port.ok_or(AnswerError::NoPort)?),
        origin: Origin::Config,
        without_mads,
    })
}

/// Whether the address has a path. Then an ingress is there, which may forward the path of MADS
/// alone, and answer everything else with a login page or an error of its own.
fn has_base_path(address: &Address) -> bool {
    !address.path.is_empty()
}

/// The usual port, reached no less safely than the address itself.
fn guess(address: &Address, why: LocationUnknown) -> Endpoint {
    let scheme = match address.security() {
        Security::Plaintext => Scheme::Grpc,
        Security::Tls => Scheme::Grpcs,
    };
    Endpoint {
        address: of_mads(address, scheme, MADS_PORT),
        origin: Origin::Guess(why),
        without_mads: None,
    }
}

/// The address of MADS on the host of an API server.
fn of_mads(api_server: &Address, scheme: Scheme, port: u16) -> Address {
    Address { scheme, host: api_server.host.clone(), port, path: String::new() }
}

/// Refuses the statuses that say nothing about where MADS is, whatever was asked.
fn require_verdict(answer: &Answer) -> Result<(), AnswerError> {
    match answer.status {
        300..=399 => Err(AnswerError::Redirect { location: answer.location.clone() }),
        status @ (408 | 429 | 500..) => Err(AnswerError::Status(status)),
        status if is_tls_expected(status, answer.body.as_bytes()) => Err(AnswerError::TlsExpected),
        _ => Ok(()),
    }
}

/// A loopback or unspecified host is the control plane's view of itself, not of its clients.
fn is_own_view(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<IpAddr>()
            .map(|ip| ip.to_canonical())
            .is_ok_and(|ip| ip.is_loopback() || ip.is_unspecified())
}

/// Whether an answer is what a Go server says to a client that does not speak TLS to it.
pub(crate) fn is_tls_expected(status: u16, body: &[u8]) -> bool {
    const GO_SAYS: &[u8] = b"HTTP request to an HTTPS server";
    status == 400 && body.windows(GO_SAYS.len()).any(|window| window == GO_SAYS)
}

/// The URL of MADS in `/catalog`, if there is one.
fn catalog_url(body: &str) -> Option<String> {
    let catalog: Value = serde_json::from_str(body).ok()?;
    let url = catalog.pointer("/apis/monitoringAssignment/url")?;
    url.as_str().filter(|url| !url.is_empty()).map(str::to_owned)
}

/// `/config`, as far as it speaks of MADS.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    monitoring_assignment_server: Option<Object<MonitoringAssignmentServer>>,
    mode: Option<String>,
    environment: Option<String>,
}

impl Config {
    /// Of which kind it is, where control planes of that kind serve no MADS, in some releases or in all.
    fn without_mads(&self) -> Option<&'static str> {
        match (self.mode.as_deref(), self.environment.as_deref()) {
            // None has been seen or read to serve MADS, from Kuma 0.7 to 2.12.
            (Some("global"), _) => Some(
                "this is a global control plane, which serves no MADS; give the address of a zone's \
                 control plane as --cp-address",
            ),
            (_, Some("kubernetes")) => Some(
                "this control plane runs on Kubernetes; from Kuma 3.0 on it serves no MADS there, so \
                 let Prometheus discover the pods by itself",
            ),
            _ => None,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MonitoringAssignmentServer {
    enabled: Option<bool>,
    port: Option<u16>,
    grpc_port: Option<u16>,
    tls_enabled: Option<bool>,
}
