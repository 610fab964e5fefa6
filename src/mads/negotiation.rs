//! What is spoken with a control plane: which protocols may be served at an endpoint, in which order
//! they are tried, and which answers move on to the next.
//!
//! Pure. Only a definite "not here" moves on within an attempt, never an outage: a control plane
//! that restarts must not be taken for an older one.

use std::collections::VecDeque;
use std::fmt;

use crate::mads::api_version::ApiVersion;
use crate::mads::endpoint::Endpoint;
use crate::mads::transport::address::Security;

/// After this many attempts in a row in which something accepted connections but did not speak
/// HTTP/2, HTTP is tried as well. A control plane that restarts looks like that once; what stays so may
/// speak HTTP only.
pub const UNREADY_ATTEMPTS: u32 = 2;

/// What a source speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// A bidirectional gRPC stream.
    Grpc(ApiVersion),
    /// HTTP long polling, which exists in v1 only.
    Http,
}

impl Protocol {
    /// The API version of the assignments that it brings.
    pub fn api_version(self) -> ApiVersion {
        match self {
            Self::Grpc(api_version) => api_version,
            Self::Http => ApiVersion::V1,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Grpc(api_version) => write!(formatter, "gRPC {api_version}"),
            Self::Http => formatter.write_str("HTTP v1"),
        }
    }
}

/// What the operator pinned; `None` leaves it to negotiation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pins {
    /// The only API version to speak.
    pub api_version: Option<ApiVersion>,
    /// The only transport to use.
    pub transport: Option<Transport>,
}

/// A way to carry assignments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// gRPC streams.
    Grpc,
    /// HTTP long polling.
    Http,
}

/// Why a source ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// What it says about the server.
    pub kind: EndKind,
    /// What happened, to what, fit for a log line.
    pub reason: String,
}

impl End {
    /// One that says nothing about what is served.
    pub(crate) fn outage(reason: String) -> Self {
        let kind = EndKind::Outage;
        Self { kind, reason }
    }
}

/// What the end of a source says about the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndKind {
    /// A definite answer: the server does not know this API version (UNIMPLEMENTED, 404).
    UnknownService,
    /// A definite answer: the server does not speak this transport (HTTP/1 instead of HTTP/2).
    UnknownTransport,
    /// Something accepts connections, but they end before the server has said anything.
    Unready,
    /// A proxy says that a request took too long (408, 504): an outage, unless it was a poll that the
    /// control plane held.
    GatewayTimeout,
    /// Anything else: an outage, which says nothing about what is served.
    Outage,
}

impl EndKind {
    /// Whether it is a definite answer that this protocol is not served.
    pub fn is_refusal(self) -> bool {
        matches!(self, Self::UnknownService | Self::UnknownTransport)
    }
}

/// One attempt to find what is spoken at an endpoint.
#[derive(Debug)]
pub struct Negotiation {
    /// Where.
    pub endpoint: Endpoint,
    /// What is being tried, or was found.
    pub protocol: Protocol,
    /// What to try where that is not served, in order.
    alternatives: VecDeque<Protocol>,
    /// What was not served here, and why.
    refusals: Vec<(Protocol, String)>,
    /// Whether the operator leaves anything to negotiation.
    is_pinned: bool,
}

impl Negotiation {
    /// An attempt that begins with the first protocol that may be served at `endpoint`; `None`
    /// where the pins exclude all of them.
    pub fn begin(endpoint: Endpoint, pins: Pins) -> Option<Self> {
        let mut alternatives = protocols(&endpoint, pins);
        Some(Self {
            endpoint,
            protocol: alternatives.pop_front()?,
            alternatives,
            refusals: Vec::new(),
            is_pinned: pins != Pins::default(),
        })
    }

    /// Moves on to the next protocol where `end` is a definite answer and there is one. `unready` counts
    /// the attempts in a row that `UNREADY_ATTEMPTS` speaks of.
    pub fn advance(&mut self, end: &End, unready: &mut u32) -> bool {
        self.refusals.push((self.protocol, end.reason.clone()));
        let only_http = match end.kind {
            EndKind::UnknownService => false,
            EndKind::UnknownTransport => true,
            EndKind::Unready => {
                *unready += 1;
                if *unready < UNREADY_ATTEMPTS {
                    return false;
                }
                true
            }
            EndKind::GatewayTimeout | EndKind::Outage => {
                *unready = 0;
                return false;
            }
        };
        if only_http {
            self.alternatives.retain(|protocol| *protocol == Protocol::Http);
        }
        let next = self.alternatives.pop_front();
        self.protocol = next.unwrap_or(self.protocol);
        next.is_some()
    }

    /// The attempt has failed, with this end of the source that was tried last.
    pub fn failed(self, end: End) -> NegotiationError {
        NegotiationError { negotiation: self, end }
    }
}

/// Why nothing is spoken at an endpoint, with all that was tried.
#[derive(Debug)]
pub struct NegotiationError {
    negotiation: Negotiation,
    end: End,
}

impl fmt::Display for NegotiationError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { negotiation, end } = self;
        match negotiation.refusals.as_slice() {
            [] | [_] => formatter.write_str(&end.reason)?,
            refusals => {
                let in_words =
                    |(protocol, reason): &(Protocol, String)| format!("{protocol}: {reason}");
                let refusals: Vec<String> = refusals.iter().map(in_words).collect();
                let authority = negotiation.endpoint.authority();
                write!(formatter, "no MADS at {authority}: {}", refusals.join("; "))?;
            }
        }
        let is_outage = matches!(end.kind, EndKind::GatewayTimeout | EndKind::Outage);
        if negotiation.is_pinned && !is_outage {
            formatter
                .write_str("; --api-version or --transport allows nothing else, leave it out")?;
        }
        match negotiation.endpoint.without_mads {
            Some(without_mads) => write!(formatter, "; {without_mads}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for NegotiationError {}

/// What may be spoken at an endpoint, in the order of trying.
///
/// Kuma's gRPC server negotiates no ALPN, on which C-core insists, so TLS means HTTPS; and gRPC
/// knows no base path.
fn protocols(endpoint: &Endpoint, pins: Pins) -> VecDeque<Protocol> {
    let grpc_is_possible = cfg!(feature = "grpc")
        && endpoint.address.security() == Security::Plaintext
        && endpoint.address.path.is_empty();
    [Protocol::Grpc(ApiVersion::V1), Protocol::Grpc(ApiVersion::V1alpha1), Protocol::Http]
        .into_iter()
        .filter(|protocol| match protocol {
            Protocol::Grpc(_) => grpc_is_possible && pins.transport != Some(Transport::Http),
            Protocol::Http => pins.transport != Some(Transport::Grpc),
        })
        .filter(|protocol| {
            pins.api_version.is_none_or(|api_version| api_version == protocol.api_version())
        })
        .collect()
}
