//! The value of `--listen-address`: where metrics and the list are served.
//!
//! Pure.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

/// How the address of a Unix socket begins.
const UNIX_PREFIX: &str = "unix:";

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    /// An address and a port; port 0 lets the system choose one.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

/// Why nothing can listen there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddressError {
    /// After `unix:` comes no absolute path.
    NotAbsolute,
    /// No address and port.
    Malformed,
}

impl ListenAddress {
    /// Whether only this machine can connect to it.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

impl FromStr for ListenAddress {
    type Err = ListenAddressError;

    fn from_str(text: &str) -> Result<Self, ListenAddressError> {
        if let Some(path) = text.strip_prefix(UNIX_PREFIX) {
            return match path.starts_with('/') {
                true => Ok(Self::Unix(PathBuf::from(path))),
                false => Err(ListenAddressError::NotAbsolute),
            };
        }
        // As other exporters have it: a port alone means all addresses, `localhost` the loopback one.
        let address = match text.strip_prefix("localhost:") {
            Some(port) => format!("{}:{port}", Ipv4Addr::LOCALHOST),
            None if text.starts_with(':') => format!("[::]{text}"),
            None => text.to_owned(),
        };
        let address = address.parse().map_err(|_| ListenAddressError::Malformed)?;
        Ok(Self::Tcp(address))
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(formatter, "http://{address}/"),
            Self::Unix(path) => write!(formatter, "{UNIX_PREFIX}{}", path.display()),
        }
    }
}

impl fmt::Display for ListenAddressError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NotAbsolute => "not an absolute path after unix:, as in unix:/run/sd.sock",
            Self::Malformed => "not an IP address with a port, such as 127.0.0.1:9467",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::ListenAddress;

    #[test]
    fn an_address_has_a_port_or_is_a_path() {
        let rows = [
            ("127.0.0.1:9467", "http://127.0.0.1:9467/", true),
            ("localhost:9467", "http://127.0.0.1:9467/", true),
            ("[::1]:0", "http://[::1]:0/", true),
            ("[::ffff:127.0.0.1]:1", "http://[::ffff:127.0.0.1]:1/", true),
            (":9467", "http://[::]:9467/", false),
            ("10.0.0.7:9467", "http://10.0.0.7:9467/", false),
            ("unix:/run/sd.sock", "unix:/run/sd.sock", true),
        ];
        for (text, shown, is_local) in rows {
            let address: ListenAddress = text.parse().unwrap();
            assert_eq!((address.to_string().as_str(), address.is_local()), (shown, is_local));
        }
    }

    #[test]
    fn what_is_neither_is_refused() {
        for text in
            ["9467", "127.0.0.1", "kuma:9467", "unix:run/sd.sock", "unix:", "http://[::1]:1"]
        {
            assert!(text.parse::<ListenAddress>().is_err(), "{text}");
        }
    }
}
