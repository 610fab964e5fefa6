//! HTTP as both users of it need it: the questions to the API server, and the polls of MADS.
//!
//! One place decides about proxies, trust, redirects, limits in time, and the words for what went
//! wrong.

use std::io::{self, ErrorKind};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ureq::tls::TlsConfig;
use ureq::{Agent, Error};

use crate::address::Security;
use crate::excerpt::excerpt;
use crate::proxy::Proxies;
use crate::tls::{self, TlsFileError, TlsSettings, TlsStamp};

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

    /// A client with connections of its own, for one server. `Agent::shutdown` ends whatever it
    /// is doing.
    ///
    /// # Errors
    /// Where TLS is needed and one of its files cannot be used.
    pub fn agent(&self, host: &str, port: u16, security: Security) -> Result<Agent, TlsFileError> {
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
            .build()
            .new_agent())
    }
}

/// A client of one server that outlives its certificates: the files for TLS are looked at before
/// each use, and where one has changed, connections are made anew.
#[derive(Debug)]
pub struct Client {
    settings: HttpSettings,
    host: String,
    port: u16,
    security: Security,
    current: Mutex<(TlsStamp, Agent)>,
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
        // The stamp first: a file that changes in between is read again at the next use.
        let stamp = settings.tls.stamp();
        let agent = settings.agent(host, port, security)?;
        Ok(Self {
            settings: settings.clone(),
            host: host.to_owned(),
            port,
            security,
            current: Mutex::new((stamp, agent)),
        })
    }

    /// The agent for the next request.
    ///
    /// # Errors
    /// Where TLS is needed and one of its files cannot be used.
    pub fn agent(&self) -> Result<Agent, TlsFileError> {
        let stamp = self.settings.tls.stamp();
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if self.security == Security::Tls && current.0 != stamp {
            let agent = self.settings.agent(&self.host, self.port, self.security)?;
            *current = (stamp, agent);
        }
        Ok(current.1.clone())
    }

    /// How the server is reached, in words to follow its URL; empty for the direct way.
    #[must_use]
    pub fn way(&self) -> String {
        self.settings.way(&self.host, self.port, self.security)
    }

    /// Ends what is under way.
    pub fn shutdown(&self) {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.1.clone().shutdown();
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
