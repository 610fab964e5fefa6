//! What an operator should know about where MADS was found.

use std::fmt;

use crate::mads::endpoint::{Endpoint, LocationUnknown, Origin};
use crate::mads::transport::address::Security;

/// What an operator should know about where MADS was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndpointWarning {
    /// The address is https, but MADS is plaintext.
    Plaintext {
        /// `host:port` of MADS.
        authority: String,
    },
    /// The API server did not say where MADS is.
    Guessed {
        /// Why not.
        why: LocationUnknown,
        /// The address that would say it.
        address: String,
    },
}

impl EndpointWarning {
    /// What is odd about an endpoint that was located by an address with this security.
    pub fn about(endpoint: &Endpoint, address_security: Security) -> Option<Self> {
        if let Origin::Guess(why) = &endpoint.origin {
            let why = why.clone();
            let scheme = match endpoint.security {
                Security::Plaintext => "grpc",
                Security::Tls => "grpcs",
            };
            let address = format!("{scheme}://{}", endpoint.authority());
            return Some(Self::Guessed { why, address });
        }
        if address_security == Security::Tls && endpoint.security == Security::Plaintext {
            return Some(Self::Plaintext {
                authority: endpoint.authority(),
            });
        }
        None
    }
}

impl EndpointWarning {
    /// Host and port of MADS.
    pub(super) fn authority(&self) -> &str {
        match self {
            Self::Plaintext { authority } => authority,
            Self::Guessed { address, .. } => {
                address.split_once("://").map_or(address, |(_, rest)| rest)
            }
        }
    }
}

impl fmt::Display for EndpointWarning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plaintext { authority } => write!(
                formatter,
                "the control plane serves MADS at {authority} in plaintext, although --cp-address \
                 is https; enable TLS for its monitoringAssignmentServer"
            ),
            Self::Guessed { why, address } => {
                match why {
                    LocationUnknown::Refused(status) => write!(
                        formatter,
                        "the API server refuses /config with status {status}"
                    ),
                    LocationUnknown::TokenRefused { status, path } => write!(
                        formatter,
                        "the API server refuses the token in {} with status {status}",
                        path.display()
                    ),
                    LocationUnknown::NoSection => {
                        formatter.write_str("the API server's /config does not say where MADS is")
                    }
                }?;
                let remedy = match why {
                    LocationUnknown::TokenRefused { .. } => {
                        "put a token there that it accepts, or "
                    }
                    _ => "",
                };
                write!(
                    formatter,
                    ", so MADS is taken to be at its usual port; {remedy}give \
                     --cp-address={address} instead"
                )
            }
        }
    }
}
