//! HTTP as both users of it need it: the questions to the API server, and the polls of MADS.
//!
//! One place decides about proxies, trust, redirects, limits in time, and the words for what went
//! wrong.

use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ureq::config::Config;
use ureq::tls::TlsConfig;
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{ConnectionDetails, Connector, DefaultConnector};
use ureq::{Agent, Error};

use crate::address::Security;
use crate::excerpt::excerpt;
use crate::proxy::Proxies;
use crate::tls::{self, TlsFileError, TlsSettings};

/// The longest time for name resolution, and for connecting, TLS included.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// The longest time until an answer begins; a poll is answered after 30 s at the latest.
const ANSWER_LIMIT: Duration = Duration::from_secs(45);

/// The longest time until an answer ends.
const BODY_LIMIT: Duration = Duration::from_secs(300);

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
    pub fn way(&self, host: &str, port: u16, security: Security) -> String {
        match self.proxies.on_the_way_to(host, port, security) {
            Some(proxy) => format!(" through {proxy}"),
            None => String::new(),
        }
    }

    /// A client for some questions to one server.
    ///
    /// # Errors
    /// Where TLS is needed and one of its files cannot be used.
    pub fn agent(&self, host: &str, port: u16, security: Security) -> Result<Agent, TlsFileError> {
        Ok(self.config(host, port, security)?.new_agent())
    }

    fn config(&self, host: &str, port: u16, security: Security) -> Result<Config, TlsFileError> {
        let tls = match security {
            Security::Plaintext => TlsConfig::default(),
            Security::Tls => self.tls.load()?,
        };
        let proxy = self.proxies.on_the_way_to(host, port, security);
        Ok(Agent::config_builder()
            .user_agent(crate::USER_AGENT)
            .tls_config(tls)
            .proxy(proxy.map(crate::proxy::Proxy::for_http))
            // A status is an answer, and so is a redirect: it is judged, never followed.
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_resolve(Some(CONNECT_LIMIT))
            .timeout_connect(Some(CONNECT_LIMIT))
            .timeout_recv_response(Some(ANSWER_LIMIT))
            .timeout_recv_body(Some(BODY_LIMIT))
            .build())
    }
}

/// A client of one server with one connection. When that is closed, so is the client: whoever
/// wants another one is to find out anew where and how to connect, and reads the files for TLS
/// again.
///
/// Where a server closes the connection by its own announcement after each answer, the client goes
/// on with a new one.
#[derive(Debug)]
pub struct Client {
    settings: HttpSettings,
    host: String,
    port: u16,
    security: Security,
    agent: Mutex<Agent>,
}

impl Client {
    /// A client without a connection yet.
    ///
    /// # Errors
    /// Where TLS is needed and one of its files cannot be used.
    pub fn new(
        settings: &HttpSettings,
        host: &str,
        port: u16,
        security: Security,
    ) -> Result<Self, TlsFileError> {
        let config = settings.config(host, port, security)?;
        Ok(Self {
            settings: settings.clone(),
            host: host.to_owned(),
            port,
            security,
            agent: Mutex::new(agent_of_one_connection(config)),
        })
    }

    /// The agent for the next request.
    #[must_use]
    pub fn agent(&self) -> Agent {
        self.lock().clone()
    }

    /// Takes notice of an answer that has been read: whether its connection is at its end.
    ///
    /// # Errors
    /// Where TLS is needed and one of its files cannot be used.
    pub fn answered(&self, closes: bool) -> Result<(), TlsFileError> {
        if closes {
            let config = self.settings.config(&self.host, self.port, self.security)?;
            *self.lock() = agent_of_one_connection(config);
        }
        Ok(())
    }

    /// How the server is reached, in words to follow its URL; empty for the direct way.
    #[must_use]
    pub fn way(&self) -> String {
        self.settings.way(&self.host, self.port, self.security)
    }

    /// Ends what is under way.
    pub fn shutdown(&self) {
        self.agent().shutdown();
    }

    fn lock(&self) -> MutexGuard<'_, Agent> {
        // An agent is whole at any time, so a panic elsewhere does not spoil it.
        self.agent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn agent_of_one_connection(config: Config) -> Agent {
    // Through a proxy the chain of connectors runs twice: to the proxy, and through it.
    let runs = if config.proxy().is_some() { 2 } else { 1 };
    let limit = ConnectLimit {
        left: AtomicU32::new(runs),
    };
    let connector = limit.chain(DefaultConnector::new());
    Agent::with_parts(config, connector, DefaultResolver::default())
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
        if self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take_one)
            .is_err()
        {
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
            None => excerpt(&error.to_string()),
        },
        Error::Rustls(error) => tls::describe(error),
        Error::Timeout(timeout) => format!("no answer in time ({timeout})"),
        Error::HostNotFound => "the host name does not resolve to an address".to_owned(),
        other => excerpt(&other.to_string()),
    }
}

fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}
