//! What a control plane sees and does, one event after the other.

use std::fmt;
use std::time::Instant;

use crate::kuma_version::ApiVersion;

/// The number of a gRPC stream, or of an HTTP connection; never used twice by a control plane.
pub type StreamId = u64;

/// The transport that a request came over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A gRPC stream.
    Grpc,
    /// HTTP long polling, with or without TLS.
    Http,
}

/// One of the control plane's two servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// The monitoring assignment discovery service.
    Mads,
    /// The API server.
    Api,
}

/// Why a response was rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorDetail {
    /// A gRPC status code.
    pub code: i32,
    /// Text for people.
    pub message: String,
}

/// A discovery request, over any transport.
#[derive(Clone, Debug)]
pub struct SeenRequest {
    /// The stream or connection that it came on.
    pub stream: StreamId,
    /// The transport that it came over.
    pub transport: Transport,
    /// The API version that was asked.
    pub api_version: ApiVersion,
    /// The version that was last accepted.
    pub version_info: String,
    /// The nonce of the response that is ACKed or NACKed; empty in a first request and over HTTP.
    pub nonce: String,
    /// The node's id.
    pub node_id: String,
    /// The type URL that is asked for.
    pub type_url: String,
    /// Set in a NACK.
    pub error_detail: Option<ErrorDetail>,
    /// The HTTP request that it came in, over HTTP.
    pub http: Option<HttpRequest>,
    /// When it was read.
    pub at: Instant,
}

/// An HTTP request as it came.
#[derive(Clone, Debug, Default)]
pub struct HttpRequest {
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl HttpRequest {
    /// The value of a header, by its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|header| header.0 == name).map(|header| header.1.as_str())
    }

    /// The target without its query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The value of a parameter of the query, as it is written.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let query = self.target.split_once('?')?.1;
        query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|pair| pair.0 == name)
            .map(|pair| pair.1)
    }
}

/// Something that a control plane saw or did.
#[derive(Clone, Debug)]
pub enum Event {
    /// A connection was accepted.
    Connected {
        /// By which server.
        server: Server,
        /// When.
        at: Instant,
    },
    /// A gRPC stream began.
    StreamOpened {
        /// Its number.
        stream: StreamId,
        /// The API version that it asks.
        api_version: ApiVersion,
        /// When.
        at: Instant,
    },
    /// A discovery request came.
    Request(SeenRequest),
    /// A discovery response was given to a stream, or to an HTTP connection.
    Answered {
        /// Its number.
        stream: StreamId,
        /// What was answered, for people.
        answer: String,
        /// When.
        at: Instant,
    },
    /// A gRPC stream ended.
    StreamClosed {
        /// Its number.
        stream: StreamId,
        /// When.
        at: Instant,
    },
    /// An HTTP request came that is no discovery request.
    Http {
        /// To which server.
        server: Server,
        /// What came.
        request: HttpRequest,
        /// The status of the answer.
        status: u16,
        /// When.
        at: Instant,
    },
}

impl Event {
    /// When it happened.
    #[must_use]
    pub fn at(&self) -> Instant {
        match self {
            Event::Request(request) => request.at,
            Event::Connected { at, .. }
            | Event::StreamOpened { at, .. }
            | Event::Answered { at, .. }
            | Event::StreamClosed { at, .. }
            | Event::Http { at, .. } => *at,
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Connected { server, .. } => write!(f, "{server:?}: connected"),
            Event::StreamOpened { stream, api_version, .. } => {
                write!(f, "stream {stream}: opened, {api_version}")
            }
            Event::Request(request) => {
                write!(
                    f,
                    "stream {}: {:?} {} request, version {:?}, nonce {:?}, node {:?}, {}",
                    request.stream,
                    request.transport,
                    request.api_version,
                    request.version_info,
                    request.nonce,
                    request.node_id,
                    request.type_url,
                )?;
                match &request.error_detail {
                    Some(error) => write!(f, ", rejecting: {} {}", error.code, error.message),
                    None => Ok(()),
                }
            }
            Event::Answered { stream, answer, .. } => {
                write!(f, "stream {stream}: answered {answer}")
            }
            Event::StreamClosed { stream, .. } => write!(f, "stream {stream}: closed"),
            Event::Http { server, request, status, .. } => {
                write!(f, "{server:?}: {} {} answered {status}", request.method, request.target)
            }
        }
    }
}
