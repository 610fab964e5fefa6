//! Locates MADS: probes the API server.

use std::fmt;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ureq::Agent;

use crate::mads::endpoint::{
    Answer, AnswerError, Endpoint, LocationUnknown, Origin, Probe, from_catalog, from_config,
};
use crate::mads::transport::address::{Address, Security};
use crate::mads::transport::diagnosis::diagnose;
use crate::mads::transport::http_client::{
    ERROR_BODY_LIMIT, HttpSettings, SetupError, describe, is_not_http,
};

/// The longest time for all probes together.
const RESOLVE_LIMIT: Duration = Duration::from_secs(10);

/// Kuma up to 1.8 answers 406 to `application/json` alone, whatever it would send.
const ACCEPT: &str = "application/json, */*;q=0.1";

/// The largest answer of an API server; a `/config` has some 10 KiB.
const ANSWER_LIMIT: u64 = 1 << 20;

/// Whom to ask, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolver {
    /// What `--cp-address` says.
    pub address: Address,
    /// How to speak HTTP.
    pub http: HttpSettings,
    /// Holds the bearer token for `/config`. It is read at each use, and sent to this address only.
    pub token_file: Option<PathBuf>,
}

/// Why it could not be found out where MADS is. All of it may pass.
#[derive(Debug)]
pub enum ResolveError {
    /// A probe failed, or was not answered.
    Request {
        /// What was asked.
        url: String,
        /// What went wrong.
        source: ureq::Error,
        /// What a look at the server found out beyond that.
        diagnosis: Option<&'static str>,
    },
    /// The answer leads nowhere.
    Answer {
        /// What was asked.
        url: String,
        /// What is wrong with the answer.
        source: AnswerError,
    },
    /// Nothing can be asked at all.
    Setup(SetupError),
    /// The system refused a thread to ask from.
    Thread(io::Error),
    /// The token cannot be read.
    Token {
        /// Its file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl fmt::Display for ResolveError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request { url, source, diagnosis } => {
                write!(formatter, "GET {url}: {}", describe(source))?;
                diagnosis.map_or(Ok(()), |diagnosis| write!(formatter, "; {diagnosis}"))
            }
            Self::Answer { url, source } => write!(formatter, "GET {url}: {source}"),
            Self::Setup(error) => error.fmt(formatter),
            Self::Thread(error) => write!(formatter, "cannot start a thread: {error}"),
            Self::Token { path, source } => {
                write!(formatter, "cannot read the token in {}: {source}", path.display())
            }
        }
    }
}

impl std::error::Error for ResolveError {}

impl Resolver {
    /// Where MADS is, by way of the address. Each probe is reported when it is finished.
    ///
    /// # Errors
    /// Where the API server, or whatever is there, cannot be reached or leads nowhere.
    pub fn resolve(&self, mut report: impl FnMut(Probe)) -> Result<Endpoint, ResolveError> {
        let address = &self.address;
        if !address.may_be_api_server() {
            return Ok(address.as_mads());
        }
        let agent = self.http.agent(address).map_err(ResolveError::Setup)?;
        let prober = Prober {
            agent,
            address,
            route: self.http.way(address),
            deadline: Instant::now() + RESOLVE_LIMIT,
        };
        match prober.probe("/catalog", None, &mut report, from_catalog)? {
            Some(Some(endpoint)) => return Ok(endpoint),
            Some(None) => {}
            None => return Ok(address.as_mads()),
        }
        let token = self.token_file.as_deref().map(read_token).transpose()?;
        let endpoint = prober.probe("/config", token.as_deref(), &mut report, from_config)?;
        let Some(mut endpoint) = endpoint else {
            return Ok(address.as_mads());
        };
        // Who refuses whoever shows a token, refuses the token.
        if let Origin::Guess(LocationUnknown::Refused(status)) = endpoint.origin
            && let Some(path) = self.token_file.clone()
        {
            endpoint.origin = Origin::Guess(LocationUnknown::TokenRefused { status, path });
        }
        Ok(endpoint)
    }
}

fn read_token(path: &Path) -> Result<String, ResolveError> {
    let error = |source| ResolveError::Token { path: path.to_owned(), source };
    let token = fs::read_to_string(path).map_err(error)?;
    let token = token.trim();
    let unusable = |reason| Err(error(io::Error::new(io::ErrorKind::InvalidData, reason)));
    if token.is_empty() {
        return unusable("it is empty");
    }
    if token.contains(|character: char| !character.is_ascii_graphic()) {
        return unusable("not a valid bearer token");
    }
    Ok(token.to_owned())
}

/// Probes one server, within one time.
struct Prober<'a> {
    agent: Agent,
    address: &'a Address,
    /// How it is reached, to follow its URL in a message.
    route: String,
    deadline: Instant,
}

impl Prober<'_> {
    /// Asks for a path, and takes from the answer what `read` finds in it; `None` where no HTTP is spoken.
    fn probe<T>(
        &self,
        path: &str,
        token: Option<&str>,
        report: &mut impl FnMut(Probe),
        read: impl FnOnce(&Address, &Answer) -> Result<T, AnswerError>,
    ) -> Result<Option<T>, ResolveError> {
        let url = self.address.http_url(path);
        let result = self.get(&url, token);
        let url = format!("{url}{}", self.route);
        let outcome = match &result {
            Ok(Some(answer)) => format!("status {}", answer.status),
            Ok(None) => "no HTTP is spoken there".to_owned(),
            Err(error) => describe(error),
        };
        let is_answered = result.is_ok();
        report(Probe { url: url.clone(), outcome, is_answered });
        match result {
            Ok(answer) => answer
                .map(|answer| read(self.address, &answer))
                .transpose()
                .map_err(|source| ResolveError::Answer { url, source }),
            Err(source) => {
                let is_tls = self.address.security() == Security::Tls;
                let may_be_looked_at = is_tls && is_not_http(&source) && self.route.is_empty();
                let diagnosis = may_be_looked_at.then(|| diagnose(self.address)).flatten();
                Err(ResolveError::Request { url, source, diagnosis })
            }
        }
    }

    /// The answer; `None` where the connection was accepted, but then closed before a byte of HTTP came
    /// back, or answered with something else: a server that speaks gRPC only.
    fn get(&self, url: &str, token: Option<&str>) -> Result<Option<Answer>, ureq::Error> {
        let mut request = self.agent.get(url).header("accept", ACCEPT);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let left = self.deadline.saturating_duration_since(Instant::now());
        let result = request.config().timeout_global(Some(left)).build().call();
        let mut response = match result {
            Ok(response) => response,
            // Over TLS a server that hangs up has not proved to be the one that was meant.
            Err(error) if is_not_http(&error) && self.address.security() == Security::Plaintext => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let location = response.headers().get("location");
        let location = location.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let status = response.status().as_u16();
        let limit = match status {
            200..=299 => ANSWER_LIMIT,
            _ => ERROR_BODY_LIMIT,
        };
        let mut body = Vec::new();
        let reader = response.body_mut().as_reader();
        reader.take(limit).read_to_end(&mut body).map_err(ureq::Error::from)?;
        let body = String::from_utf8_lossy(&body).into_owned();
        Ok(Some(Answer { status, location: location.unwrap_or_default(), body }))
    }
}
