//! Why there is no connection to the control plane.
//!
//! Pure.

use std::fmt;
use std::time::Duration;

use crate::mads::negotiation::{End, NegotiationError};
use crate::mads::transport::resolver::ResolveError;

/// What an attempt failed with, or what ended a connection.
#[derive(Debug)]
pub enum ConnectionError {
    /// MADS was not located.
    Resolve(ResolveError),
    /// MADS was not located within this time.
    ResolveTimeout(Duration),
    /// The pins exclude all that may be spoken there.
    NothingToTry {
        /// `host:port` of MADS.
        authority: String,
    },
    /// Nothing that may be spoken there is served.
    NotServed {
        /// What was tried, and how that ended.
        error: NegotiationError,
        /// What a look at the server has found out beyond that.
        diagnosis: Option<&'static str>,
    },
    /// A source that was served has ended.
    Lost(End),
}

impl fmt::Display for ConnectionError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolve(error) => error.fmt(formatter),
            Self::ResolveTimeout(limit) => write!(
                formatter,
                "MADS was not located within {} s; is a file for the token or for TLS on a disk \
                 that hangs?",
                limit.as_secs()
            ),
            Self::NothingToTry { authority } => write!(
                formatter,
                "nothing left to try at {authority}: over TLS, or below a path, only HTTP v1 can be \
                 spoken, which --api-version or --transport excludes"
            ),
            Self::NotServed { error, diagnosis } => {
                error.fmt(formatter)?;
                diagnosis.map_or(Ok(()), |diagnosis| write!(formatter, "; {diagnosis}"))
            }
            Self::Lost(end) => formatter.write_str(&end.reason),
        }
    }
}

impl std::error::Error for ConnectionError {}
