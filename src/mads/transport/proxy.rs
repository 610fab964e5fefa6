//! Whether a server is reached through a proxy: decided here, once, for both transports.
//!
//! Pure. `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`, in either case, with the meaning they have
//! for Go programs, Kuma's own among them.

use std::ffi::OsString;
use std::fmt;
use std::net::IpAddr;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::mads::transport::address::{Address, Security, authority};

/// What the environment says about proxies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    http: Variable,
    https: Variable,
    exceptions: Vec<String>,
}

/// What the variable for one scheme says. Where it names no usable proxy, that is an error for whom
/// it counts, and nobody else: it is often set for the whole machine.
type Variable = Option<Result<Proxy, ProxyError>>;

/// An HTTP proxy. It may have a password, so not all of it is for display; the library's `Debug` masks it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy(ureq::Proxy);

impl fmt::Display for Proxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the proxy {}", self.authority())
    }
}

/// A variable of the environment that names no usable proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyError {
    variable: &'static str,
}

impl fmt::Display for ProxyError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "${}: not the address of a proxy of the form http://HOST:PORT",
            self.variable
        )
    }
}

impl std::error::Error for ProxyError {}

impl Proxies {
    /// Reads the variables.
    #[must_use]
    pub fn new(environment: &impl Fn(&str) -> Option<OsString>) -> Self {
        let first = |names: [&'static str; 2]| {
            names.into_iter().find_map(|name| {
                let value = environment(name)?;
                // What is not UTF-8 becomes what is no address.
                let value = value.to_string_lossy().into_owned();
                (!value.is_empty()).then_some((name, value))
            })
        };
        let proxy = |names| first(names).map(|(name, url)| Proxy::new(name, &url));
        let exceptions = first(["NO_PROXY", "no_proxy"]).map(|(_, value)| value);
        Self {
            http: proxy(["HTTP_PROXY", "http_proxy"]),
            https: proxy(["HTTPS_PROXY", "https_proxy"]),
            exceptions: exceptions
                .unwrap_or_default()
                .split(',')
                .map(|entry| entry.trim().to_ascii_lowercase())
                .filter(|entry| !entry.is_empty())
                .collect(),
        }
    }

    /// Whether an address is reached without a proxy, so that it can be looked at directly.
    #[must_use]
    pub fn is_direct(&self, address: &Address) -> bool {
        matches!(self.on_the_way_to(address), Ok(None))
    }

    /// The proxy by which an address is reached; `None` for the direct way.
    ///
    /// # Errors
    /// Where the variable that counts for the address names no usable proxy.
    pub fn on_the_way_to(&self, address: &Address) -> Result<Option<&Proxy>, ProxyError> {
        let host = address.host.to_ascii_lowercase();
        let ip: Option<IpAddr> = host.parse().ok();
        let is_local = host == "localhost" || ip.is_some_and(|ip| ip.is_loopback());
        let is_exception =
            || self.exceptions.iter().any(|entry| covers(entry, &host, ip, address.port));
        if is_local || is_exception() {
            return Ok(None);
        }
        let variable = match address.security() {
            Security::Plaintext => &self.http,
            Security::Tls => &self.https,
        };
        match variable {
            None => Ok(None),
            Some(Ok(proxy)) => Ok(Some(proxy)),
            Some(Err(error)) => Err(error.clone()),
        }
    }
}

impl Proxy {
    fn new(variable: &'static str, url: &str) -> Result<Self, ProxyError> {
        let url = match url.contains("://") {
            true => url.to_owned(),
            false => format!("http://{url}"),
        };
        let parsed = ureq::Proxy::new(&url).map_err(|_| ProxyError { variable })?;
        if parsed.protocol() != ureq::ProxyProtocol::Http {
            return Err(ProxyError { variable });
        }
        Ok(Self(parsed))
    }

    /// Its `host:port`.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = self.0.host().trim_start_matches('[').trim_end_matches(']');
        authority(host, self.0.port())
    }

    /// What it wants to know of its user: the value of `Proxy-Authorization`.
    #[must_use]
    pub fn authorization(&self) -> Option<String> {
        let (user, password) = (self.0.username(), self.0.password());
        user.or(password)?;
        let credentials = format!("{}:{}", user.unwrap_or_default(), password.unwrap_or_default());
        Some(format!("Basic {}", BASE64_STANDARD.encode(credentials)))
    }

    /// In the form of the HTTP library.
    #[must_use]
    pub fn for_http(&self) -> ureq::Proxy {
        self.0.clone()
    }
}

/// Whether an entry of `NO_PROXY` covers a host: `*`, an address, a network, a name with all that
/// ends in it, or `.name` for only what ends in it; each but `*` and a network also with a port.
fn covers(entry: &str, host: &str, ip: Option<IpAddr>, port: u16) -> bool {
    if entry == "*" {
        return true;
    }
    if let Some((network, length)) = entry.split_once('/') {
        let network: Option<IpAddr> = network.parse().ok();
        let length: Option<u32> = length.parse().ok();
        return matches!((network, length, ip), (Some(network), Some(length), Some(ip)) if contains(network, length, ip));
    }
    let entry = match entry.rsplit_once(':') {
        // An IPv6 address has colons of its own.
        Some((name, entry_port)) if !name.contains(':') || name.ends_with(']') => {
            if entry_port.parse() != Ok(port) {
                return false;
            }
            name
        }
        _ => entry,
    };
    let entry = entry.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = entry.parse::<IpAddr>() {
        return ip == Some(address);
    }
    let suffix = entry.strip_prefix('*').unwrap_or(entry);
    match suffix.strip_prefix('.') {
        Some(_) => host.ends_with(suffix),
        None => host == suffix || host.ends_with(&format!(".{suffix}")),
    }
}

fn contains(network: IpAddr, length: u32, ip: IpAddr) -> bool {
    match (network, ip) {
        (IpAddr::V4(network), IpAddr::V4(ip)) if length <= 32 => {
            let shift = 32 - length;
            let prefix = |address: u32| address.checked_shr(shift).unwrap_or(0);
            prefix(network.to_bits()) == prefix(ip.to_bits())
        }
        (IpAddr::V6(network), IpAddr::V6(ip)) if length <= 128 => {
            let shift = 128 - length;
            let prefix = |address: u128| address.checked_shr(shift).unwrap_or(0);
            prefix(network.to_bits()) == prefix(ip.to_bits())
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{Proxies, Proxy};
    use crate::mads::transport::address::{Address, Scheme};
    use std::ffi::OsString;

    fn proxies(variables: &[(&str, &str)]) -> Proxies {
        Proxies::new(&|name: &str| {
            let value = variables.iter().find(|(variable, _)| *variable == name);
            value.map(|(_, value)| OsString::from(value))
        })
    }

    fn at(scheme: Scheme, host: &str, port: u16) -> Address {
        Address { scheme, host: host.to_owned(), port, path: String::new() }
    }

    #[test]
    fn the_variable_of_the_scheme_counts_in_either_case() {
        let upper = [("HTTP_PROXY", "http://plain:3128"), ("HTTPS_PROXY", "secure:3129")];
        let lower = [("http_proxy", "http://plain:3128"), ("https_proxy", "http://secure:3129")];
        for variables in [upper, lower] {
            let proxies = proxies(&variables);
            let authority = |scheme| {
                let proxy = proxies.on_the_way_to(&at(scheme, "cp", 5676)).unwrap();
                proxy.map(Proxy::authority)
            };
            assert_eq!(authority(Scheme::Http).as_deref(), Some("plain:3128"));
            assert_eq!(authority(Scheme::Https).as_deref(), Some("secure:3129"));
        }
    }

    #[test]
    fn an_empty_variable_counts_as_unset() {
        let proxies = proxies(&[("HTTP_PROXY", ""), ("http_proxy", "http://p:1")]);
        let proxy = proxies.on_the_way_to(&at(Scheme::Http, "cp", 5676));
        assert!(proxy.unwrap().is_some());
    }

    #[test]
    fn exceptions_and_the_own_host_are_reached_directly() {
        let rows = [
            ("", "cp.example.org", true),
            ("", "localhost", false),
            ("", "127.0.0.1", false),
            ("", "::1", false),
            ("*", "cp.example.org", false),
            ("example.org", "cp.example.org", false),
            ("example.org", "example.org", false),
            ("example.org", "badexample.org", true),
            (".example.org", "cp.example.org", false),
            (".example.org", "example.org", true),
            ("*.example.org", "cp.example.org", false),
            (" other , CP.example.org", "cp.example.ORG", false),
            ("cp:5676", "cp", false),
            ("cp:5677", "cp", true),
            ("192.168.0.7", "192.168.0.7", false),
            ("192.168.0.0/16", "192.168.7.7", false),
            ("192.168.0.0/16", "192.169.7.7", true),
            ("0.0.0.0/0", "192.169.7.7", false),
            ("fd00::/8", "fd12::1", false),
            ("[fd12::1]:5676", "fd12::1", false),
            ("fd12::1", "fd12::1", false),
        ];
        for (exceptions, host, is_proxied) in rows {
            let variables = [("HTTP_PROXY", "http://p:3128"), ("NO_PROXY", exceptions)];
            let proxies = proxies(&variables);
            assert_eq!(
                proxies.is_direct(&at(Scheme::Grpc, host, 5676)),
                !is_proxied,
                "NO_PROXY={exceptions:?}, host {host}"
            );
        }
    }

    #[test]
    fn what_is_no_http_proxy_is_an_error_where_it_counts_that_does_not_show_a_password() {
        for url in ["socks5://u:secret@p:1080", "http://", "https://u:secret@p"] {
            let proxies = proxies(&[("HTTPS_PROXY", url), ("NO_PROXY", "no.example")]);
            let error = proxies.on_the_way_to(&at(Scheme::Https, "cp", 5682));
            let error = error.unwrap_err();
            assert_eq!(
                error.to_string(),
                "$HTTPS_PROXY: not the address of a proxy of the form http://HOST:PORT"
            );
            assert!(proxies.is_direct(&at(Scheme::Http, "cp", 5681)));
            for host in ["localhost", "127.0.0.1", "no.example"] {
                assert!(proxies.is_direct(&at(Scheme::Https, host, 5682)), "{host}");
            }
        }
    }

    #[test]
    fn what_a_proxy_wants_to_know_is_decoded_once() {
        let rows = [
            ("http://p:1", None),
            // `u:secret`, `us@er:p:s%s`, `u:`.
            ("http://u:secret@p:1", Some("Basic dTpzZWNyZXQ=")),
            ("http://us%40er:p%3As%25s@p:1", Some("Basic dXNAZXI6cDpzJXM=")),
            ("http://u@p:1", Some("Basic dTo=")),
        ];
        for (url, expected) in rows {
            let proxies = proxies(&[("HTTP_PROXY", url)]);
            let proxy = proxies.on_the_way_to(&at(Scheme::Http, "cp", 1));
            let proxy = proxy.unwrap().unwrap();
            assert_eq!(proxy.authorization().as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn a_proxy_is_shown_without_its_password() {
        let proxies = proxies(&[("HTTP_PROXY", "http://u:secret@p:3128")]);
        assert!(!format!("{proxies:?}").contains("secret"));
    }
}
