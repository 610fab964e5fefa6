//! A source that is open, or being opened: how far it has come, and when its phase ends by itself.
//!
//! Pure.

use std::time::{Duration, Instant};

use crate::mads::connection::CONNECT_LIMIT;
use crate::mads::negotiation::{End, EndKind, Negotiation, Protocol};
use crate::mads::polling::PollSchedule;
use crate::mads::session::Request;

/// The longest time until the first poll over HTTP is answered. The HTTP client gives up before that:
/// after 10 s each for the name and for connecting, and 11 s for the answer.
const FIRST_POLL_DEADLINE: Duration = Duration::from_secs(35);

/// The longest time for any other poll. The HTTP client gives up before that: after 20 s for the
/// answer to begin, and 300 s for it to end.
const POLL_DEADLINE: Duration = Duration::from_secs(330);

/// A server that is ready and does not refuse for this long is taken to serve the protocol: Kuma
/// sends nothing to a stream that resumes with the current version, and with MeshMetric backends
/// for other clients only it may never send a first answer. Refusals take one round trip.
const REFUSAL_TIME: Duration = Duration::from_secs(1);

/// A source on behalf of the connection.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) negotiation: Negotiation,
    pub(super) phase: Phase,
    /// The pace of polls over HTTP.
    pub(super) polls: PollSchedule,
    /// A request that has to wait: a NACK, or the next poll.
    pub(super) due: Option<(Instant, Request)>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Phase {
    /// Opened then; nothing has been heard.
    Opening(Instant),
    /// The server has been ready since then, and may still refuse.
    Ready(Instant),
    /// The same, but it has had the time to refuse, so it is taken to serve this protocol.
    Assumed(Instant),
    /// The server has served this protocol since then.
    Accepted(Instant),
}

impl Open {
    /// When this phase ends by itself; never where an accepted stream is silent.
    pub(super) fn phase_deadline(&self) -> Option<Instant> {
        match (self.negotiation.protocol, self.phase) {
            (_, Phase::Ready(since)) => Some(since + REFUSAL_TIME),
            (Protocol::Grpc(_), Phase::Opening(since)) => Some(since + CONNECT_LIMIT),
            (Protocol::Grpc(_), Phase::Assumed(_) | Phase::Accepted(_)) => None,
            (Protocol::Http, Phase::Opening(since)) => Some(since + FIRST_POLL_DEADLINE),
            (Protocol::Http, _) if self.due.is_some() => None,
            (Protocol::Http, _) => Some(self.polls.started + POLL_DEADLINE),
        }
    }

    /// The end of this phase, where it is one of the source: the server was too slow.
    pub(super) fn timed_out(&self, now: Instant) -> End {
        let authority = self.negotiation.endpoint.authority();
        let (kind, what) = match self.phase {
            Phase::Opening(_) => (EndKind::Unready, "become ready"),
            _ => (EndKind::Outage, "answer a poll"),
        };
        let elapsed = self.polls.elapsed(now).as_secs();
        let reason = format!("{authority} did not {what} within {elapsed} s");
        End { kind, reason }
    }

    /// When to answer a rejected response: after the pause, and over HTTP with a poll.
    pub(super) fn after_pause(&self, now: Instant, pause: Duration) -> Instant {
        match self.negotiation.protocol {
            Protocol::Grpc(_) => now + pause,
            Protocol::Http => self.polls.next(now + pause),
        }
    }

    /// Whether a proxy has cut a poll for which the control plane had nothing new.
    pub(super) fn is_cut_by_proxy(&mut self, now: Instant) -> bool {
        matches!(self.phase, Phase::Accepted(_)) && self.polls.is_cut_by_proxy(now)
    }
}

impl Phase {
    pub(super) fn since(self) -> Instant {
        match self {
            Self::Opening(since)
            | Self::Ready(since)
            | Self::Assumed(since)
            | Self::Accepted(since) => since,
        }
    }
}
