//! The address of a control plane or of MADS, as an operator or an API server writes it.
//!
//! Pure.

use std::fmt;
use std::str::FromStr;

use ureq::http::Uri;

/// The port of MADS in every Kuma, unless configured otherwise.
pub const MADS_PORT: u16 = 5676;

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
    /// What stands before `://`.
    #[must_use]
    pub fn text(self) -> &'static str {
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

/// How the connection to a server is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// Anyone in between can read and change what is sent.
    Plaintext,
    /// Encrypted, and the server's certificate is verified.
    Tls,
}

/// Where a server is: the control plane, as `--cp-address` says it, or its MADS.
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
    /// A `@`, as before it stands a user name or password, which would end up in logs.
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
                write!(formatter, "unknown scheme {scheme:?}; use http, https, grpc or grpcs")
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
        // Before anything else, as every other error may quote what was given.
        if text.contains('@') {
            return Err(AddressError::Credentials);
        }
        let (scheme, rest) = text.split_once("://").ok_or(AddressError::Malformed)?;
        let name = scheme.to_ascii_lowercase();
        let scheme = [Scheme::Http, Scheme::Https, Scheme::Grpc, Scheme::Grpcs]
            .into_iter()
            .find(|scheme| scheme.text() == name)
            .ok_or(AddressError::UnknownScheme(name))?;
        if rest.contains(['?', '#']) {
            return Err(AddressError::Query);
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
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
        let path = if path.is_empty() { String::new() } else { format!("/{path}") };
        // musl looks into the hosts file as it is written, and there it is in small letters.
        let host = if host.eq_ignore_ascii_case("localhost") { "localhost" } else { host };
        let address = Self { scheme, host: host.to_owned(), port, path };
        // The parts are ours; whether their characters may stand in a URI is the library's.
        address.to_string().parse::<Uri>().map_err(|_| AddressError::Malformed)?;
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
    /// How the connection to this address is secured.
    #[must_use]
    pub fn security(&self) -> Security {
        self.scheme.security()
    }

    /// Whether an API server may be there, which can name the endpoint of MADS.
    #[must_use]
    pub fn may_be_api_server(&self) -> bool {
        matches!(self.scheme, Scheme::Http | Scheme::Https)
    }

    /// `host:port`, with the brackets that IPv6 needs.
    #[must_use]
    pub fn authority(&self) -> String {
        authority(&self.host, self.port)
    }

    /// The URL of `path` below this address, over HTTP or HTTPS.
    #[must_use]
    pub fn http_url(&self, path: &str) -> String {
        let scheme = match self.security() {
            Security::Plaintext => Scheme::Http,
            Security::Tls => Scheme::Https,
        };
        let base = Self { scheme, ..self.clone() };
        format!("{base}{path}")
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, authority) = (self.scheme.text(), self.authority());
        write!(formatter, "{scheme}://{authority}{}", self.path)
    }
}

/// `host:port`, with the brackets that IPv6 needs.
#[must_use]
pub fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
