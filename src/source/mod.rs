//! Where responses come from: the only place that knows a wire.
//!
//! A source is opened with a first request, takes further ones, and says what happens as events
//! of the connection. It never decides and never retries: its end is an event like others.

pub mod background;
pub mod envelope;
#[cfg(feature = "grpc")]
pub mod grpc;
pub mod http;

use crate::connection::Event;
use crate::session::Request;
use background::BackgroundDied;

/// The largest response that is received, in bytes: a list of some 700,000 dataplanes.
pub const RESPONSE_LIMIT: usize = 256 << 20;

/// The limit in the words of an error.
pub(crate) const RESPONSE_LIMIT_TEXT: &str = "the response is larger than the limit of 256 MiB";

/// An open source. Dropping it ends it, and with it what goes on over the network.
pub enum Source {
    /// A bidirectional stream.
    #[cfg(feature = "grpc")]
    Grpc(Box<grpc::Stream>),
    /// Long polling.
    Http(http::Poller),
}

impl Source {
    /// Sends a request; how that goes comes from `poll`.
    pub fn send(&mut self, request: Request) {
        match self {
            #[cfg(feature = "grpc")]
            Self::Grpc(stream) => stream.send(&request),
            Self::Http(poller) => poller.send(request),
        }
    }

    /// What has happened, if anything; to be called whenever the waker was woken.
    ///
    /// # Errors
    /// Where a thread of the source is no more.
    pub fn poll(&mut self) -> Result<Option<Event>, BackgroundDied> {
        match self {
            #[cfg(feature = "grpc")]
            Self::Grpc(stream) => Ok(stream.poll()),
            Self::Http(poller) => poller.poll(),
        }
    }
}
