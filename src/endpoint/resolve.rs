//! Asks the API server where MADS is.

use std::fmt;
use std::time::{Duration, Instant};

use ureq::Agent;

use super::{Address, Answer, AnswerError, Endpoint, from_catalog, from_config};
use crate::http_client::{describe, is_not_http};

/// The longest time for all questions together.
const RESOLVE_LIMIT: Duration = Duration::from_secs(10);

/// Why it could not be found out where MADS is.
#[derive(Debug)]
pub enum ResolveError {
    /// The question could not be asked, or was not answered.
    Request {
        /// What was asked.
        url: String,
        /// What went wrong.
        source: ureq::Error,
    },
    /// The answer leads nowhere.
    Answer {
        /// What was asked.
        url: String,
        /// What is wrong with the answer.
        source: AnswerError,
    },
}

impl fmt::Display for ResolveError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request { url, source } => write!(formatter, "GET {url}: {}", describe(source)),
            Self::Answer { url, source } => write!(formatter, "GET {url}: {source}"),
        }
    }
}

impl std::error::Error for ResolveError {}

/// Where MADS is, by way of `address`.
///
/// # Errors
/// Where the API server, or whatever is there, cannot be reached or leads nowhere. All of that may
/// pass.
pub fn resolve(address: &Address, agent: &Agent) -> Result<Endpoint, ResolveError> {
    if !address.may_be_api_server() {
        return Ok(address.as_mads());
    }
    let deadline = Instant::now() + RESOLVE_LIMIT;
    let catalog = address.url(address.scheme.text(), "/catalog");
    let answer = ask(agent, &catalog, deadline)?;
    let found = from_catalog(address, &answer).map_err(|source| ResolveError::Answer {
        url: catalog,
        source,
    })?;
    if let Some(endpoint) = found {
        return Ok(endpoint);
    }
    let config = address.url(address.scheme.text(), "/config");
    let answer = ask(agent, &config, deadline)?;
    from_config(address, &answer).map_err(|source| ResolveError::Answer {
        url: config,
        source,
    })
}

fn ask(agent: &Agent, url: &str, deadline: Instant) -> Result<Answer, ResolveError> {
    let request_error = |source| ResolveError::Request {
        url: url.to_owned(),
        source,
    };
    let request = agent
        .get(url)
        .header("accept", "application/json")
        .config()
        .timeout_global(Some(deadline.saturating_duration_since(Instant::now())))
        .build();
    let mut response = match request.call() {
        Ok(response) => response,
        Err(error) if is_not_http(&error) && url.starts_with("http:") => {
            return Ok(Answer::NotHttp);
        }
        Err(error) => return Err(request_error(error)),
    };
    let location = response.headers().get("location");
    let location = location.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let status = response.status().as_u16();
    let body = response
        .body_mut()
        .read_to_string()
        .map_err(request_error)?;
    Ok(Answer::Http {
        status,
        location,
        body,
    })
}
