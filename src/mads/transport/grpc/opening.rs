//! The beginning of a gRPC stream: C-core is started only where the server does not answer in HTTP/1.
//!
//! Once C-core runs, its threads wake several times a second until the process ends, also where nothing
//! but HTTP is spoken any more. So before the first stream of the process, and as long as no server has
//! spoken HTTP/2, the server is asked with a preface of HTTP/2 on a connection of its own.

use std::io;
use std::task::Waker;
use std::thread;

use crossbeam_channel::{Receiver, TryRecvError, bounded};

use super::{Runtime, Stream};
use crate::mads::connection::Event;
use crate::mads::negotiation::{End, EndKind};
use crate::mads::session::Request;
use crate::mads::transport::address::Address;
use crate::mads::transport::diagnosis::speaks_http1;
use crate::mads::transport::proxy::Proxy;

/// All that it takes to open a stream.
pub struct Opening {
    /// What C-core's channels share.
    pub runtime: Runtime,
    /// Where.
    pub address: Address,
    /// Through whom.
    pub proxy: Option<Proxy>,
    /// The first request, which says what the stream is about.
    pub request: Request,
    /// Woken when `poll` may have more to say.
    pub waker: Waker,
}

/// A stream, or the question that precedes it.
pub enum GrpcSource {
    /// Whether the server answers in HTTP/1; then what is to be opened, once.
    Asking(Receiver<bool>, Option<Box<Opening>>),
    /// The stream.
    Stream(Box<Stream>),
}

impl Opening {
    /// Opens the stream, or asks first.
    ///
    /// # Errors
    /// Where C-core refuses the call itself; what the network says comes from `poll`.
    pub fn begin(self) -> Result<GrpcSource, End> {
        // A proxy would be asked for another tunnel.
        if !self.runtime.is_started()
            && self.proxy.is_none()
            && let Ok(answer) = self.ask()
        {
            return Ok(GrpcSource::Asking(answer, Some(Box::new(self))));
        }
        self.open()
    }

    fn ask(&self) -> io::Result<Receiver<bool>> {
        let (sender, answer) = bounded(1);
        let address = self.address.clone();
        let waker = self.waker.clone();
        let ask = move || {
            // Nobody may be waiting any more.
            let _ = sender.send(speaks_http1(&address));
            waker.wake();
        };
        thread::Builder::new().name("preface".to_owned()).spawn(ask)?;
        Ok(answer)
    }

    fn open(self) -> Result<GrpcSource, End> {
        let authority = self.address.authority();
        let stream = Stream::open(self);
        stream
            .map(|stream| GrpcSource::Stream(Box::new(stream)))
            .map_err(|error| End::outage(format!("{authority}: {error}")))
    }
}

impl GrpcSource {
    /// Queues a request; `poll` sends it. None is sent before the stream is ready.
    pub fn send(&mut self, request: &Request) {
        if let Self::Stream(stream) = self {
            stream.send(request);
        }
    }

    /// What has happened, if anything; to be called again whenever the waker was woken.
    pub fn poll(&mut self) -> Option<Event> {
        let (answer, opening) = match self {
            Self::Stream(stream) => return stream.poll(),
            Self::Asking(answer, opening) => (answer.try_recv(), opening),
        };
        if answer == Err(TryRecvError::Empty) {
            return None;
        }
        let opening = opening.take()?;
        if answer == Ok(true) {
            let reason = format!("{} answers in HTTP/1", opening.address.authority());
            let kind = EndKind::UnknownTransport;
            return Some(Event::Ended(End { kind, reason }));
        }
        match opening.open() {
            Ok(stream) => {
                *self = stream;
                self.poll()
            }
            Err(end) => Some(Event::Ended(end)),
        }
    }
}
