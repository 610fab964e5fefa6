//! Everything that touches the network: addresses and proxies, TLS, HTTP and gRPC, and who asks the
//! API server. The connection says what to do; what happens comes back as its events.
//!
//! Nothing here decodes an assignment, decides or retries. A source of responses is opened with a
//! first request and takes further ones; its end is an event like others.

pub mod address;
pub mod background;
pub mod diagnosis;
#[cfg(feature = "grpc")]
pub mod grpc;
pub mod http;
pub mod http_client;
pub mod network;
pub mod proxy;
pub mod resolver;
pub mod tls;

/// The largest response that is received, in bytes: a list of some 700,000 dataplanes.
pub const RESPONSE_LIMIT: usize = 256 << 20;

/// The limit in the words of an error.
pub(crate) const RESPONSE_LIMIT_TEXT: &str = "the response is larger than the limit of 256 MiB";
