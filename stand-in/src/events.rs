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

use crate::event::{ErrorDetail, Event, HttpRequest, SeenRequest, Server, StreamId};
use crate::kuma_version::ApiVersion;

/// How many events are kept: enough for any failure's story, bounded for the longest soak.
const KEPT: usize = 100_000;

/// How many of the last events a failed wait shows.
const SHOWN: usize = 60;

/// How often a condition that no event announces (a file's content) is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

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
        let record = Record { started: Instant::now(), entries: VecDeque::new(), dropped: 0 };
        Events { shared: Arc::new((Mutex::new(record), Condvar::new())) }
    }

    pub(crate) fn record(&self, event: Event) {
        let (record, changed) = &*self.shared;
        let mut record = record.lock();
        if record.entries.len() == KEPT {
            record.entries.pop_front();
            record.dropped += 1;
        }
        record.entries.push_back(Entry { event, taken: false });
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

    /// Takes the next answer to a discovery request, as it is described for people.
    ///
    /// # Panics
    ///
    /// If none is given within `timeout`.
    #[track_caller]
    pub fn expect_answer(&self, timeout: Duration) -> (StreamId, String) {
        self.expect("an answer", timeout, |event| match event {
            Event::Answered { stream, answer, .. } => Some((*stream, answer.clone())),
            _ => None,
        })
    }

    /// Takes the beginning of the next gRPC stream.
    ///
    /// # Panics
    ///
    /// If none begins within `timeout`.
    #[track_caller]
    pub fn expect_stream_opened(&self, timeout: Duration) -> (StreamId, ApiVersion) {
        self.expect("a new stream", timeout, |event| match event {
            Event::StreamOpened { stream, api_version, .. } => Some((*stream, *api_version)),
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
            Event::Http { server: to, request, .. } if *to == server && request.path() == path => {
                Some(request.clone())
            }
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
