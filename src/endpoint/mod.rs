//! Where MADS is: any `--cp-address`, and what the API server of any Kuma says about it.
//!
//! This file is pure: it reads addresses and judges answers. `resolve.rs` asks the questions.

pub mod resolve;

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::Deserialize;
use ureq::http::Uri;

use crate::excerpt::excerpt;

/// The port of MADS in every Kuma, unless configured otherwise.
const MADS_PORT: u16 = 5676;

/// What to do where TLS is spoken and plaintext was asked for.
pub(crate) const TLS_IS_SPOKEN: &str =
    "TLS is spoken there; give an address with https:// or grpcs://";

/// What to do where plaintext is spoken and TLS was asked for.
pub(crate) const NO_TLS_IS_SPOKEN: &str =
    "no TLS is spoken there; give an address with http:// or grpc://";

/// The scheme of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// The API server, or MADS over HTTP.
    Http,
    /// The same over TLS.
    Https,
    /// MADS itself, as the later releases of the original tool had it.
    Grpc,
    /// MADS itself over TLS.
    Grpcs,
}

impl Scheme {
    fn text(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Grpc => "grpc",
            Self::Grpcs => "grpcs",
        }
    }

    fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
            Self::Grpc | Self::Grpcs => MADS_PORT,
        }
    }

    fn security(self) -> Security {
        match self {
            Self::Http | Self::Grpc => Security::Plaintext,
            Self::Https | Self::Grpcs => Security::Tls,
        }
    }
}

/// How safe the way to a server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// Anyone on the way can read and change what is sent.
    Plaintext,
    /// Encrypted, and the server's certificate is verified.
    Tls,
}

/// What `--cp-address` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// How the address is to be understood.
    pub scheme: Scheme,
    /// A name or an IP address, without the brackets of IPv6.
    pub host: String,
    /// The port that is given, or the scheme's own.
    pub port: u16,
    /// A base path without a slash at its end; empty where there is none.
    pub path: String,
}

/// Why text is no address of a control plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddressError {
    /// Not of the form `scheme://host[:port][/path]`.
    Malformed,
    /// A scheme other than http, https, grpc and grpcs.
    UnknownScheme(String),
    /// No host between `//` and the port or path.
    NoHost,
    /// A port that is not a number from 1 to 65535.
    BadPort(String),
    /// A user name or password before the host; it would end up in logs and process lists.
    Credentials,
    /// A `?query` or `#fragment`, which a base address cannot have.
    Query,
    /// A path in an address of gRPC, which knows none.
    GrpcPath(String),
}

impl fmt::Display for AddressError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => formatter.write_str(
                "not an address of the form http://HOST:PORT, https://…, grpc://… or grpcs://…",
            ),
            Self::UnknownScheme(scheme) => {
                write!(
                    formatter,
                    "unknown scheme {scheme:?}; use http, https, grpc or grpcs"
                )
            }
            Self::NoHost => formatter.write_str("the address has no host"),
            Self::BadPort(port) => {
                write!(formatter, "port {port:?} is not a number from 1 to 65535")
            }
            Self::Credentials => formatter.write_str(
                "a user name or password does not belong in the address; it is not used",
            ),
            Self::Query => formatter.write_str("the address must not have a query or a fragment"),
            Self::GrpcPath(path) => {
                write!(formatter, "an address of gRPC has no path, but {path:?}")
            }
        }
    }
}

impl std::error::Error for AddressError {}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (scheme, rest) = text.split_once("://").ok_or(AddressError::Malformed)?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            "grpc" => Scheme::Grpc,
            "grpcs" => Scheme::Grpcs,
            other => return Err(AddressError::UnknownScheme(other.to_owned())),
        };
        if rest.contains(['?', '#']) {
            return Err(AddressError::Query);
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.contains('@') {
            return Err(AddressError::Credentials);
        }
        let (host, port) = split_authority(authority)?;
        if host.is_empty() {
            return Err(AddressError::NoHost);
        }
        let port = match port {
            None | Some("") => scheme.default_port(),
            Some(port) => parse_port(port)?,
        };
        let path = path.trim_end_matches('/');
        if !path.is_empty() && matches!(scheme, Scheme::Grpc | Scheme::Grpcs) {
            return Err(AddressError::GrpcPath(format!("/{path}")));
        }
        let path = if path.is_empty() {
            String::new()
        } else {
            format!("/{path}")
        };
        let address = Self {
            scheme,
            host: host.to_owned(),
            port,
            path,
        };
        // The parts are ours; whether their characters may stand in a URI is the library's.
        address
            .url("http", "")
            .parse::<Uri>()
            .map_err(|_| AddressError::Malformed)?;
        Ok(address)
    }
}

/// The host without brackets, and the port as it is written.
fn split_authority(authority: &str) -> Result<(&str, Option<&str>), AddressError> {
    if let Some(bracketed) = authority.strip_prefix('[') {
        let (host, after) = bracketed.split_once(']').ok_or(AddressError::Malformed)?;
        if host.parse::<std::net::Ipv6Addr>().is_err() {
            return Err(AddressError::Malformed);
        }
        return match after.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if after.is_empty() => Ok((host, None)),
            None => Err(AddressError::Malformed),
        };
    }
    match authority.split_once(':') {
        Some((_, port)) if port.contains(':') => Err(AddressError::Malformed),
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((authority, None)),
    }
}

fn parse_port(port: &str) -> Result<u16, AddressError> {
    let digits_only = port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse::<u16>() {
        Ok(number) if digits_only && number > 0 => Ok(number),
        _ => Err(AddressError::BadPort(port.to_owned())),
    }
}

impl Address {
    /// How safe the way to this address is.
    #[must_use]
    pub fn security(&self) -> Security {
        self.scheme.security()
    }

    /// Whether an API server may be there, which can say where MADS is.
    #[must_use]
    pub fn may_be_api_server(&self) -> bool {
        matches!(self.scheme, Scheme::Http | Scheme::Https)
    }

    /// This address taken as MADS itself.
    #[must_use]
    pub fn as_mads(&self) -> Endpoint {
        Endpoint {
            host: self.host.clone(),
            port: self.port,
            security: self.security(),
            base_path: self.path.clone(),
            origin: Origin::Address,
        }
    }

    fn url(&self, scheme: &str, path: &str) -> String {
        format!(
            "{scheme}://{}{}{path}",
            authority(&self.host, self.port),
            self.path
        )
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.url(self.scheme.text(), ""))
    }
}

/// `host:port`, with the brackets that IPv6 needs.
#[must_use]
pub fn authority(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// Where MADS is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// A name or an IP address, without the brackets of IPv6.
    pub host: String,
    /// The port of MADS.
    pub port: u16,
    /// How safe the way there is.
    pub security: Security,
    /// What comes before the path of the HTTP API; empty where there is none.
    pub base_path: String,
    /// Who says so.
    pub origin: Origin,
}

impl Endpoint {
    /// `host:port`, with the brackets that IPv6 needs.
    #[must_use]
    pub fn authority(&self) -> String {
        authority(&self.host, self.port)
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
    Guess(Silence),
}

/// Why an API server does not say where MADS is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silence {
    /// It refused `/config` with this status, 401 or 403.
    Refused(u16),
    /// Its `/config` has no `monitoringAssignmentServer`.
    NoSection,
}

/// What an API server, or whatever is at its address, answers to a GET.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// An HTTP answer.
    Http {
        /// The status.
        status: u16,
        /// The value of `Location`, where there is one.
        location: Option<String>,
        /// The body.
        body: String,
    },
    /// The connection was accepted, but then closed before a byte of HTTP came back, or answered
    /// with something else: a server that speaks gRPC only.
    NotHttp,
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
    /// `monitoringAssignmentServer.enabled` is false (Kuma 2.14 and later).
    Disabled,
    /// `monitoringAssignmentServer` names no port that can be used.
    NoPort,
}

impl fmt::Display for AnswerError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Redirect { location } => write!(
                formatter,
                "redirected to {:?}, which is not followed; give that address as --cp-address",
                excerpt(location)
            ),
            Self::TlsExpected => formatter.write_str(TLS_IS_SPOKEN),
            Self::Status(status) => write!(formatter, "status {status}"),
            Self::NotJson(reason) => write!(
                formatter,
                "not the JSON of a Kuma control plane ({reason}); check --cp-address"
            ),
            Self::CatalogUrl(url) => {
                write!(
                    formatter,
                    "the URL of MADS cannot be used: {:?}",
                    excerpt(url)
                )
            }
            Self::Disabled => formatter.write_str(
                "the control plane has MADS disabled; set monitoringAssignmentServer.enabled there",
            ),
            Self::NoPort => formatter.write_str("monitoringAssignmentServer has no port"),
        }
    }
}

impl std::error::Error for AnswerError {}

/// What `/catalog` says: where MADS is, or `None` where the next question is to be asked.
///
/// # Errors
/// Where the answer is no verdict on the address.
pub fn from_catalog(address: &Address, answer: &Answer) -> Result<Option<Endpoint>, AnswerError> {
    let Answer::Http {
        status,
        location,
        body,
    } = answer
    else {
        return Ok(Some(address.as_mads()));
    };
    match *status {
        200..=299 => {}
        300..=399 => return Err(redirect(location.as_deref())),
        408 | 429 | 500.. => return Err(AnswerError::Status(*status)),
        _ if is_tls_expected(*status, body.as_bytes()) => return Err(AnswerError::TlsExpected),
        _ => return Ok(None),
    }
    let Some(url) = serde_json::from_str::<Catalog>(body)
        .ok()
        .and_then(Catalog::mads_url)
    else {
        return Ok(None);
    };
    let told: Address = url
        .parse()
        .map_err(|_| AnswerError::CatalogUrl(url.clone()))?;
    let mut endpoint = told.as_mads();
    endpoint.origin = Origin::Catalog;
    if is_own_view(&endpoint.host) {
        endpoint.host.clone_from(&address.host);
    }
    Ok(Some(endpoint))
}

/// What `/config` says about MADS.
///
/// # Errors
/// Where the answer is no verdict on the address, or MADS is disabled.
pub fn from_config(address: &Address, answer: &Answer) -> Result<Endpoint, AnswerError> {
    let Answer::Http {
        status,
        location,
        body,
    } = answer
    else {
        return Ok(address.as_mads());
    };
    match *status {
        200..=299 => {}
        300..=399 => return Err(redirect(location.as_deref())),
        401 | 403 => return Ok(guess(address, Silence::Refused(*status))),
        408 | 429 | 500.. => return Err(AnswerError::Status(*status)),
        _ if is_tls_expected(*status, body.as_bytes()) => return Err(AnswerError::TlsExpected),
        _ => return Ok(address.as_mads()),
    }
    let config: Config =
        serde_json::from_str(body).map_err(|error| AnswerError::NotJson(error.to_string()))?;
    let Some(server) = config.monitoring_assignment_server else {
        return Ok(guess(address, Silence::NoSection));
    };
    if server.enabled == Some(false) {
        return Err(AnswerError::Disabled);
    }
    let port = [server.port, server.grpc_port]
        .into_iter()
        .flatten()
        .find(|port| *port > 0);
    let security = if server.tls_enabled == Some(true) {
        Security::Tls
    } else {
        Security::Plaintext
    };
    Ok(Endpoint {
        host: address.host.clone(),
        port: port.ok_or(AnswerError::NoPort)?,
        security,
        base_path: String::new(),
        origin: Origin::Config,
    })
}

/// The usual port, reached no less safely than the address itself.
fn guess(address: &Address, silence: Silence) -> Endpoint {
    Endpoint {
        host: address.host.clone(),
        port: MADS_PORT,
        security: address.security(),
        base_path: String::new(),
        origin: Origin::Guess(silence),
    }
}

fn redirect(location: Option<&str>) -> AnswerError {
    AnswerError::Redirect {
        location: location.unwrap_or_default().to_owned(),
    }
}

/// A loopback or unspecified host is the control plane's view of itself, not of its clients.
fn is_own_view(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|ip| ip.is_loopback() || ip.is_unspecified())
}

/// Whether an answer is what a Go server says to a client that does not speak TLS to it.
pub(crate) fn is_tls_expected(status: u16, body: &[u8]) -> bool {
    const GO_SAYS: &[u8] = b"HTTP request to an HTTPS server";
    status == 400 && body.windows(GO_SAYS.len()).any(|window| window == GO_SAYS)
}

/// `/catalog`, as far as it speaks of MADS.
#[derive(Deserialize)]
struct Catalog {
    apis: Option<CatalogApis>,
}

#[derive(Deserialize)]
struct CatalogApis {
    #[serde(rename = "monitoringAssignment")]
    monitoring_assignment: Option<CatalogEntry>,
}

#[derive(Deserialize)]
struct CatalogEntry {
    url: Option<String>,
}

impl Catalog {
    fn mads_url(self) -> Option<String> {
        self.apis?
            .monitoring_assignment?
            .url
            .filter(|url| !url.is_empty())
    }
}

/// `/config`, as far as it speaks of MADS.
#[derive(Deserialize)]
struct Config {
    #[serde(rename = "monitoringAssignmentServer")]
    monitoring_assignment_server: Option<MonitoringAssignmentServer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MonitoringAssignmentServer {
    enabled: Option<bool>,
    port: Option<u16>,
    grpc_port: Option<u16>,
    tls_enabled: Option<bool>,
}
