//! The record of everything that a control plane sees, and the waiting for it.
//!
//! Tests take events out by what they look for, in any order, as from a letter box: who expects a
//! request is not disturbed by the end of another stream. A wait that fails shows the whole record.

use std::collections::VecDeque;
use std::fmt;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::kuma::Generation;

/// How many events are kept: enough for any failure's story, bounded for the longest soak.
const KEPT: usize = 100_000;

/// How many of the last events a failed wait shows.
const SHOWN: usize = 60;

/// How often a condition that no event announces (a file's content) is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

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
    /// The generation that was asked.
    pub generation: Generation,
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
        self.headers
            .iter()
            .find(|header| header.0 == name)
            .map(|header| header.1.as_str())
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
        /// The generation that it asks.
        generation: Generation,
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
            Event::StreamOpened {
                stream, generation, ..
            } => write!(f, "stream {stream}: opened, {generation}"),
            Event::Request(request) => {
                write!(
                    f,
                    "stream {}: {:?} {} request, version {:?}, nonce {:?}, node {:?}, {}",
                    request.stream,
                    request.transport,
                    request.generation,
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
            Event::Http {
                server,
                request,
                status,
                ..
            } => write!(
                f,
                "{server:?}: {} {} answered {status}",
                request.method, request.target
            ),
        }
    }
}

/// The record of one control plane. Clones share it.
#[derive(Clone)]
pub struct Events {
    shared: Arc<(Mutex<Record>, Condvar)>,
}

struct Record {
    started: Instant,
    entries: VecDeque<Entry>,
    /// How many entries had to go to keep the record bounded.
    dropped: usize,
}

struct Entry {
    event: Event,
    taken: bool,
}

impl Record {
    fn listing(&self) -> String {
        let hidden = self.entries.len().saturating_sub(SHOWN);
        let mut text = format!("seen so far ({} earlier ones hidden):", self.dropped + hidden);
        for entry in self.entries.iter().skip(hidden) {
            let since = entry.event.at().saturating_duration_since(self.started);
            // Writing to a String cannot fail.
            let _ = write!(text, "\n  {:9.3} s  {}", since.as_secs_f64(), entry.event);
        }
        text
    }
}

impl Events {
    pub(crate) fn new() -> Events {
        let record = Record {
            started: Instant::now(),
            entries: VecDeque::new(),
            dropped: 0,
        };
        Events {
            shared: Arc::new((Mutex::new(record), Condvar::new())),
        }
    }

    pub(crate) fn record(&self, event: Event) {
        let (record, changed) = &*self.shared;
        let mut record = record.lock();
        if record.entries.len() == KEPT {
            record.entries.pop_front();
            record.dropped += 1;
        }
        record.entries.push_back(Entry {
            event,
            taken: false,
        });
        changed.notify_all();
    }

    /// Everything seen so far, whether taken or not.
    #[must_use]
    pub fn seen(&self) -> Vec<Event> {
        let record = self.shared.0.lock();
        record.entries.iter().map(|e| e.event.clone()).collect()
    }

    /// Marks everything seen so far as taken: the next expectation is of something new.
    pub fn discard(&self) {
        for entry in &mut self.shared.0.lock().entries {
            entry.taken = true;
        }
    }

    /// Takes the first event that `pick` accepts, waiting for it if need be; `None` if none comes
    /// in time.
    pub fn take<T>(
        &self,
        timeout: Duration,
        mut pick: impl FnMut(&Event) -> Option<T>,
    ) -> Option<T> {
        let deadline = Instant::now() + timeout;
        let (record, changed) = &*self.shared;
        let mut record = record.lock();
        let mut looked_at = 0;
        loop {
            let first_new = usize::saturating_sub(looked_at, record.dropped);
            for entry in record.entries.range_mut(first_new..) {
                if !entry.taken
                    && let Some(picked) = pick(&entry.event)
                {
                    entry.taken = true;
                    return Some(picked);
                }
            }
            looked_at = record.dropped + record.entries.len();
            let timed_out = changed.wait_until(&mut record, deadline).timed_out();
            if timed_out && looked_at == record.dropped + record.entries.len() {
                return None;
            }
        }
    }

    /// As [`Events::take`], but fails where nothing comes in time.
    ///
    /// # Panics
    ///
    /// With `what` was expected and everything seen so far, if nothing that `pick` accepts comes
    /// within `timeout`.
    #[track_caller]
    pub fn expect<T>(
        &self,
        what: &str,
        timeout: Duration,
        pick: impl FnMut(&Event) -> Option<T>,
    ) -> T {
        self.take(timeout, pick)
            .unwrap_or_else(|| self.fail(&format!("{what} did not come within {timeout:?}")))
    }

    /// Takes the next discovery request.
    ///
    /// # Panics
    ///
    /// If none comes within `timeout`.
    #[track_caller]
    pub fn expect_request(&self, timeout: Duration) -> SeenRequest {
        self.expect("a request", timeout, |event| match event {
            Event::Request(request) => Some(request.clone()),
            _ => None,
        })
    }

    /// Takes the next ACK: a request with a nonce and without an error.
    ///
    /// # Panics
    ///
    /// If the next request does not come within `timeout`, or is no ACK.
    #[track_caller]
    pub fn expect_ack(&self, timeout: Duration) -> SeenRequest {
        let request = self.expect_request(timeout);
        if request.nonce.is_empty() || request.error_detail.is_some() {
            self.fail(&format!("not an ACK: {request:?}"));
        }
        request
    }

    /// Takes the next NACK: a request with a nonce and an error.
    ///
    /// # Panics
    ///
    /// If the next request does not come within `timeout`, or is no NACK.
    #[track_caller]
    pub fn expect_nack(&self, timeout: Duration) -> (SeenRequest, ErrorDetail) {
        let request = self.expect_request(timeout);
        match &request.error_detail {
            Some(error) if !request.nonce.is_empty() => (request.clone(), error.clone()),
            _ => self.fail(&format!("not a NACK: {request:?}")),
        }
    }

    /// Sees that no discovery request comes for a while.
    ///
    /// # Panics
    ///
    /// If one comes.
    #[track_caller]
    pub fn expect_no_request(&self, during: Duration) {
        let request = self.take(during, |event| match event {
            Event::Request(request) => Some(request.clone()),
            _ => None,
        });
        if let Some(request) = request {
            self.fail(&format!("no request was expected, but came: {request:?}"));
        }
    }

    /// Takes the beginning of the next gRPC stream.
    ///
    /// # Panics
    ///
    /// If none begins within `timeout`.
    #[track_caller]
    pub fn expect_stream_opened(&self, timeout: Duration) -> (StreamId, Generation) {
        self.expect("a new stream", timeout, |event| match event {
            Event::StreamOpened {
                stream, generation, ..
            } => Some((*stream, *generation)),
            _ => None,
        })
    }

    /// Takes the end of the next gRPC stream.
    ///
    /// # Panics
    ///
    /// If none ends within `timeout`.
    #[track_caller]
    pub fn expect_stream_closed(&self, timeout: Duration) -> StreamId {
        self.expect("the end of a stream", timeout, |event| match event {
            Event::StreamClosed { stream, .. } => Some(*stream),
            _ => None,
        })
    }

    /// Takes the next request to a path of a server that is no discovery request.
    ///
    /// # Panics
    ///
    /// If none comes within `timeout`.
    #[track_caller]
    pub fn expect_http(&self, server: Server, path: &str, timeout: Duration) -> HttpRequest {
        let what = format!("a request for {path}");
        self.expect(&what, timeout, |event| match event {
            Event::Http {
                server: to,
                request,
                ..
            } if *to == server && request.path() == path => Some(request.clone()),
            _ => None,
        })
    }

    /// Waits until a condition holds that may be about anything, such as a file's content.
    ///
    /// # Panics
    ///
    /// With `what` was awaited and everything seen so far, if it does not hold within `timeout`.
    #[track_caller]
    pub fn wait_for(&self, what: &str, timeout: Duration, mut condition: impl FnMut() -> bool) {
        let deadline = Instant::now() + timeout;
        while !condition() {
            let now = Instant::now();
            if now >= deadline {
                self.fail(&format!("{what}: not within {timeout:?}"));
            }
            let (record, changed) = &*self.shared;
            changed.wait_until(&mut record.lock(), deadline.min(now + LOOK_AGAIN));
        }
    }

    #[track_caller]
    fn fail(&self, message: &str) -> ! {
        let listing = self.shared.0.lock().listing();
        panic!("{message}\n{listing}");
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shared.0.lock().listing())
    }
}
