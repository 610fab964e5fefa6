//! HTTP as both users of it need it: the questions to the API server, and the polls of MADS.
//!
//! One place decides about proxies, trust, redirects, limits in time, and the words for what went
//! wrong.

mod tls_connector;

use std::fmt;
use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{ConnectionDetails, Connector, DefaultConnector, NextTimeout};
use ureq::{Agent, Error, Timeout};

use crate::common::sanitize::sanitize;
use crate::mads::transport::address::{Address, Security};
use crate::mads::transport::proxy::{Proxies, Proxy, ProxyError};
use crate::mads::transport::tls::{self, TlsFileError, TlsSettings};
use tls_connector::TlsConnector;

/// The longest time for name resolution, and for connecting, TLS included.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// How long an idle connection is kept: longer than any pause between two polls.
const IDLE_LIMIT: Duration = Duration::from_secs(120);

/// So much of the body of an error is read, in bytes.
pub const ERROR_BODY_LIMIT: u64 = 64 << 10;

/// The longest silence within the body of an answer. A poll is held before its answer begins; once
/// it has begun, silence means that the server is gone, or the network in between. It counts for each
/// read, but all that precedes a body has a shorter limit.
const SILENCE_LIMIT: Duration = Duration::from_secs(30);

/// The longest time until an answer ends: a list of any size over a slow line.
const BODY_LIMIT: Duration = Duration::from_secs(300);

/// What musl says where a name server is silent, or fails itself, as the standard library passes it on.
/// To an operator it reads like advice. No kind of error distinguishes it from a name that does not exist.
const MUSL_TRY_AGAIN: &str = "failed to lookup address information: Try again";

/// Why a server cannot be asked at all.
#[derive(Debug)]
pub enum SetupError {
    /// A file for TLS cannot be used.
    TlsFile(TlsFileError),
    /// There is no usable proxy where one is wanted.
    Proxy(ProxyError),
}

impl fmt::Display for SetupError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TlsFile(error) => error.fmt(formatter),
            Self::Proxy(error) => error.fmt(formatter),
        }
    }
}

impl std::error::Error for SetupError {}

/// What is the same for all requests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HttpSettings {
    /// Whom to trust, and what to show.
    pub tls: TlsSettings,
    /// The way.
    pub proxies: Proxies,
}

impl HttpSettings {
    /// How a server is reached, in words to follow its URL; empty for the direct way.
    #[must_use]
    pub fn way(&self, address: &Address) -> String {
        match self.proxies.on_the_way_to(address) {
            Ok(Some(proxy)) => format!(" through {proxy}"),
            // There will be no connection where no proxy is usable.
            Ok(None) | Err(_) => String::new(),
        }
    }

    /// A client for some questions to one server.
    ///
    /// # Errors
    /// Where TLS is needed and one of its files cannot be used, or a proxy and there is none.
    pub fn agent(&self, address: &Address) -> Result<Agent, SetupError> {
        let connector = DefaultConnector::new().chain(self.tls_connector(address.security())?);
        let config = self.config(address)?;
        Ok(Agent::with_parts(config, connector, DefaultResolver::default()))
    }

    /// A client that makes one connection. Whoever wants another one is to find out anew where and how
    /// to connect, and reads the files for TLS again.
    ///
    /// # Errors
    /// As for `agent`.
    pub fn agent_of_one_connection(&self, address: &Address) -> Result<Agent, SetupError> {
        let tls = self.tls_connector(address.security())?;
        let config = self.config(address)?;
        // Through a proxy the chain of connectors runs twice: to the proxy, and through it.
        let runs = if config.proxy().is_some() { 2 } else { 1 };
        let limit = ConnectLimit { left: AtomicU32::new(runs) };
        let connector = limit.chain(DefaultConnector::new()).chain(tls);
        Ok(Agent::with_parts(config, connector, ResolveOnce::default()))
    }

    fn tls_connector(&self, security: Security) -> Result<TlsConnector, SetupError> {
        Ok(TlsConnector(match security {
            Security::Plaintext => None,
            Security::Tls => Some(Arc::new(self.tls.load().map_err(SetupError::TlsFile)?)),
        }))
    }

    fn config(&self, address: &Address) -> Result<Config, SetupError> {
        let proxy = self.proxies.on_the_way_to(address);
        let proxy = proxy.map_err(SetupError::Proxy)?;
        Ok(Agent::config_builder()
            .user_agent(crate::USER_AGENT)
            .proxy(proxy.map(Proxy::for_http))
            // A status is an answer, and so is a redirect: it is judged, never followed.
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_resolve(Some(CONNECT_LIMIT))
            .timeout_connect(Some(CONNECT_LIMIT))
            .max_idle_age(IDLE_LIMIT)
            .timeout_recv_body(Some(BODY_LIMIT))
            .timeout_per_read(Some(SILENCE_LIMIT))
            .build())
    }
}

/// Resolves a name once. ureq resolves it for each request, also where that goes over a connection
/// that stands: an outage of the name server would end a healthy one.
#[derive(Debug, Default)]
struct ResolveOnce {
    system: DefaultResolver,
    resolved: OnceLock<ResolvedSocketAddrs>,
}

impl Resolver for ResolveOnce {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        if let Some(resolved) = self.resolved.get() {
            return Ok(resolved.clone());
        }
        let resolved = self.system.resolve(uri, config, timeout)?;
        Ok(self.resolved.get_or_init(|| resolved).clone())
    }
}

/// The first link in the chain that makes connections: lets so many through.
#[derive(Debug)]
struct ConnectLimit {
    left: AtomicU32,
}

impl Connector<()> for ConnectLimit {
    type Out = ();

    fn connect(&self, _: &ConnectionDetails, chained: Option<()>) -> Result<Option<()>, Error> {
        let take_one = |left: u32| left.checked_sub(1);
        if self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take_one).is_err() {
            let closed = "the connection was closed between two polls";
            return Err(Error::Io(io::Error::new(ErrorKind::NotConnected, closed)));
        }
        Ok(chained)
    }
}

/// Whether the peer accepted the connection and then did not speak HTTP: it hung up, or sent
/// something else.
#[must_use]
pub fn is_not_http(error: &Error) -> bool {
    match error {
        Error::Io(error) => matches!(
            error.kind(),
            ErrorKind::UnexpectedEof
                | ErrorKind::ConnectionReset
                | ErrorKind::ConnectionAborted
                | ErrorKind::BrokenPipe
        ),
        Error::Protocol(_) => true,
        _ => false,
    }
}

/// What went wrong, in the words of an operator.
#[must_use]
pub fn describe(error: &Error) -> String {
    match error {
        Error::Io(error) => match tls_error(error) {
            Some(error) => tls::describe(error),
            None if error.to_string() == MUSL_TRY_AGAIN => {
                "no name server gives an answer".to_owned()
            }
            None => sanitize(&error.to_string()),
        },
        Error::Timeout(timeout) => describe_timeout(*timeout),
        Error::HostNotFound => "the host name does not resolve to an address".to_owned(),
        other => sanitize(&other.to_string()),
    }
}

fn describe_timeout(timeout: Timeout) -> String {
    let (what, limit) = match timeout {
        Timeout::Resolve => ("its name was not resolved", CONNECT_LIMIT),
        Timeout::Connect => ("no connection", CONNECT_LIMIT),
        Timeout::PerRead => ("the answer broke off: no more of it came", SILENCE_LIMIT),
        Timeout::RecvBody => ("the answer did not end", BODY_LIMIT),
        _ => return "no answer in time".to_owned(),
    };
    format!("{what} within {} s", limit.as_secs())
}

fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}
