//! The connection to the control plane, as a state machine: when to connect, over what, what to
//! answer and when, how long to wait after a failure, and what to log about it.
//!
//! Pure: no I/O, no clock, no log. `step` takes in what happened and when, and answers what to do. Every
//! connection starts from the top, with finding out where MADS is and what it serves, so that a control
//! plane may change its API version under a running daemon.

mod error;
mod event;
mod open;
mod target_warnings;

use std::time::{Duration, Instant};

use crate::common::backoff::{Backoff, RateLimit};
use crate::common::machine::Machine;
use crate::mads::endpoint::Endpoint;
use crate::mads::negotiation::{
    End, EndKind, Negotiation, NegotiationError, Pins, Protocol, UNREADY_ATTEMPTS,
};
use crate::mads::outage::Outage;
use crate::mads::polling::{POLL_INTERVAL, PollSchedule};
use crate::mads::report::Report;
use crate::mads::session::{Accepted, Rejected, Response, Session};
use crate::mads::transport::address::Security;
pub use error::ConnectionError;
pub use event::{Action, Event, NetworkAction};
use open::{Open, Phase};
use target_warnings::TargetWarnings;

/// The longest time until a gRPC channel is ready; it covers name resolution, TCP and HTTP/2.
pub const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// The longest time for finding out where MADS is. The resolver has a limit of its own, whose error
/// says more; this one is for what that does not cover, such as a token file on a disk that hangs.
const RESOLVE_DEADLINE: Duration = Duration::from_secs(15);

/// The longest time for finding out why a server closed the connection, which has a limit of its own.
const DIAGNOSIS_DEADLINE: Duration = Duration::from_secs(5);

/// A stream that has been up for this long was a good one, even if nothing came over it.
const GOOD_STREAM: Duration = Duration::from_secs(60);

/// So many rejections are logged at once; after that, one a minute.
const REJECTIONS_LOGGED_AT_ONCE: u32 = 2;

/// So many warnings about where MADS is are logged at once; after that, one a minute.
const ENDPOINT_WARNINGS_AT_ONCE: u32 = 2;

/// The state machine.
#[derive(Debug)]
pub struct Connection {
    pins: Pins,
    address_security: Security,
    session: Session,
    state: State,
    backoff: Backoff,
    /// How many in a row, see `UNREADY_ATTEMPTS`.
    unready_attempts: u32,
    outage: Outage,
    rejections: RateLimit,
    target_warnings: TargetWarnings,
    /// The warning about where MADS is that was logged last, while it holds.
    endpoint_warning: Option<String>,
    endpoint_warnings: RateLimit,
}

#[derive(Debug)]
enum State {
    /// Nothing is open until then.
    Idle(Instant),
    /// It is being found out where MADS is, since then.
    Resolving(Instant),
    /// A source is open, or being opened.
    Open(Box<Open>),
    /// The attempt has failed for this reason, and since then it is being looked whether more can
    /// be found out.
    Diagnosing(NegotiationError, Instant),
}

impl Machine for Connection {
    type Event = Event;
    type Action = Action;

    const TIME: Event = Event::Time;

    /// `None` while only the network can change anything, which is on a gRPC stream that the server has
    /// accepted: keepalive ends it where the peer is gone.
    fn deadline(&self) -> Option<Instant> {
        let open = match &self.state {
            State::Idle(until) => return Some(*until),
            State::Resolving(since) => return Some(*since + RESOLVE_DEADLINE),
            State::Diagnosing(_, since) => return Some(*since + DIAGNOSIS_DEADLINE),
            State::Open(open) => open,
        };
        let due = open.due.as_ref().map(|(due, _)| *due);
        [due, open.phase_deadline()].into_iter().flatten().min()
    }

    fn step(&mut self, now: Instant, random: f64, event: Event) -> Vec<Action> {
        // Each arm sets the state that follows; what stands here meanwhile does not matter.
        let state = std::mem::replace(&mut self.state, State::Idle(now));
        match (state, event) {
            (state, Event::Reconnect) => self.reconnect(now, random, &state),
            (State::Idle(until), Event::Time) if until <= now => {
                self.state = State::Resolving(now);
                vec![NetworkAction::Resolve.into()]
            }
            (State::Resolving(_), Event::Resolved(Ok(endpoint))) => {
                self.resolved(now, random, endpoint)
            }
            (State::Resolving(_), Event::Resolved(Err(error))) => {
                self.unresolved(now, random, ConnectionError::Resolve(error))
            }
            (State::Resolving(since), Event::ProbeFinished(probe)) => {
                self.state = State::Resolving(since);
                vec![Action::Report(Report::ProbeFinished(probe))]
            }
            (State::Resolving(since), Event::Time) if since + RESOLVE_DEADLINE <= now => {
                let error = ConnectionError::ResolveTimeout(RESOLVE_DEADLINE);
                self.unresolved(now, random, error)
            }
            (State::Diagnosing(error, _), Event::Diagnosed(diagnosis)) => {
                self.fail(now, random, ConnectionError::NotServed { error, diagnosis })
            }
            (State::Diagnosing(error, since), Event::Time) if since + DIAGNOSIS_DEADLINE <= now => {
                let diagnosis = None;
                self.fail(now, random, ConnectionError::NotServed { error, diagnosis })
            }
            (State::Open(open), event) => self.step_open(now, random, open, event),
            // What an abandoned attempt still has to say does not count.
            (state, _) => {
                self.state = state;
                Vec::new()
            }
        }
    }
}

impl Connection {
    /// A machine that wants to connect at `start`.
    pub fn new(session: Session, pins: Pins, address_security: Security, start: Instant) -> Self {
        Self {
            pins,
            address_security,
            session,
            state: State::Idle(start),
            backoff: Backoff::default(),
            unready_attempts: 0,
            outage: Outage::new(start),
            rejections: RateLimit::reminders(REJECTIONS_LOGGED_AT_ONCE),
            target_warnings: TargetWarnings::default(),
            endpoint_warning: None,
            endpoint_warnings: RateLimit::reminders(ENDPOINT_WARNINGS_AT_ONCE),
        }
    }

    /// The same for whoever has one attempt only: where a server hangs up without a word, HTTP is
    /// tried in that attempt already.
    pub fn single_attempt(mut self) -> Self {
        self.unready_attempts = UNREADY_ATTEMPTS - 1;
        self
    }

    fn step_open(
        &mut self,
        now: Instant,
        random: f64,
        mut open: Box<Open>,
        event: Event,
    ) -> Vec<Action> {
        let result = match event {
            Event::Time => self.time(now, &mut open),
            Event::Ready => {
                self.unready_attempts = 0;
                if matches!(open.phase, Phase::Opening(_)) {
                    open.phase = Phase::Ready(now);
                }
                Ok(Vec::new())
            }
            Event::Response(response) => Ok(self.response(now, random, &mut open, response)),
            Event::Unchanged => Ok(self.unchanged(now, &mut open)),
            Event::Ended(end)
                if end.kind == EndKind::GatewayTimeout && open.is_cut_by_proxy(now) =>
            {
                Ok(self.unchanged(now, &mut open))
            }
            Event::Ended(end) => Err(end),
            Event::ProbeFinished(_)
            | Event::Resolved(_)
            | Event::Diagnosed(_)
            | Event::Reconnect => Ok(Vec::new()),
        };
        match result {
            Ok(actions) => {
                self.state = State::Open(open);
                actions
            }
            Err(end) => self.ended(now, random, *open, end),
        }
    }

    /// Not at once: a whole fleet may have been asked to reconnect at one moment.
    fn reconnect(&mut self, now: Instant, random: f64, state: &State) -> Vec<Action> {
        self.backoff.reset();
        self.outage.reload();
        let soon = now + Backoff::first_pause(random);
        self.state = State::Idle(match state {
            State::Idle(until) => soon.min(*until),
            _ => soon,
        });
        vec![Action::Report(Report::Reconnecting), NetworkAction::Close.into()]
    }

    fn unresolved(&mut self, now: Instant, random: f64, error: ConnectionError) -> Vec<Action> {
        self.unready_attempts = 0;
        self.fail(now, random, error)
    }

    fn resolved(&mut self, now: Instant, random: f64, endpoint: Endpoint) -> Vec<Action> {
        let mut actions = Vec::new();
        let authority = endpoint.authority();
        let warning = endpoint.warning(self.address_security);
        // Replicas behind one address may differ in what they say, at every connection anew.
        if warning.is_none() {
            self.endpoint_warning = None;
        } else if warning != self.endpoint_warning && self.endpoint_warnings.allow(now).is_some() {
            self.endpoint_warning.clone_from(&warning);
            let report =
                |warning| Report::EndpointWarning { authority: authority.clone(), warning };
            actions.extend(warning.map(report).map(Action::Report));
        }
        match Negotiation::begin(endpoint, self.pins) {
            Some(negotiation) => actions.extend(self.open(now, negotiation)),
            None => {
                let error = ConnectionError::NothingToTry { authority };
                actions.extend(self.fail(now, random, error));
            }
        }
        actions
    }

    fn open(&mut self, now: Instant, negotiation: Negotiation) -> Vec<Action> {
        let (endpoint, protocol) = (negotiation.endpoint.clone(), negotiation.protocol);
        let request = self.session.first_request(protocol.api_version());
        self.state = State::Open(Box::new(Open {
            negotiation,
            phase: Phase::Opening(now),
            polls: PollSchedule::new(now),
            due: None,
        }));
        vec![
            Action::Report(Report::Opening { protocol, endpoint: endpoint.clone() }),
            NetworkAction::Open(endpoint, protocol, request).into(),
        ]
    }

    /// # Errors
    /// Where the source is given up.
    fn time(&mut self, now: Instant, open: &mut Open) -> Result<Vec<Action>, End> {
        if open.phase_deadline().is_some_and(|deadline| deadline <= now) {
            return match open.phase {
                Phase::Ready(since) => Ok(self.connected(now, open, Phase::Assumed(since))),
                _ => Err(open.timed_out(now)),
            };
        }
        let due = open.due.take_if(|(due, _)| *due <= now);
        let send = due.map(|(_, mut request)| {
            request.hold = open.polls.start(now);
            NetworkAction::Send(request).into()
        });
        Ok(send.into_iter().collect())
    }

    fn response(
        &mut self,
        now: Instant,
        random: f64,
        open: &mut Open,
        response: Response,
    ) -> Vec<Action> {
        let mut actions = self.heard(now, open);
        actions.push(Action::Report(Report::Received {
            version: response.version.clone(),
            nonce: response.nonce.clone(),
            resources: response.resources.len(),
        }));
        let api_version = open.negotiation.protocol.api_version();
        actions.extend(match self.session.receive(api_version, response) {
            Ok(accepted) => self.accept(now, open, accepted),
            Err(rejected) => vec![self.reject(now, random, open, *rejected)],
        });
        actions
    }

    fn accept(&mut self, now: Instant, open: &mut Open, accepted: Accepted) -> Vec<Action> {
        self.backoff.reset();
        let Accepted { assignments, ack } = accepted;
        let mut actions = vec![Action::Report(Report::Accepted {
            version: ack.version.clone(),
            assignments: assignments.count,
            targets: assignments.targets,
            skipped: assignments.skipped.len(),
            ends_rejections: self.rejections.end(),
        })];
        let warnings = self.target_warnings.about(now, &assignments.snapshot, assignments.skipped);
        actions.extend(warnings.map(Action::Report));
        open.polls.accepted(assignments.is_unchanged);
        actions.push(Action::HandOver(assignments.snapshot));
        // A NACK that still waits is for an older response: the control plane would ignore it.
        open.due = None;
        match open.negotiation.protocol {
            Protocol::Grpc(_) => actions.push(NetworkAction::Send(ack).into()),
            Protocol::Http => open.due = Some((open.polls.next(now), ack)),
        }
        actions
    }

    fn reject(&mut self, now: Instant, random: f64, open: &mut Open, rejected: Rejected) -> Action {
        open.polls.rejected();
        // A NACK that already waits is replaced, not delayed further.
        let at = match open.due {
            Some((at, _)) => at,
            None => open.after_pause(now, self.backoff.next_pause(random)),
        };
        open.due = Some((at, rejected.nack));
        Action::Report(Report::Rejected {
            reason: rejected.reason,
            pause: at.saturating_duration_since(now),
            suppressed: self.rejections.allow(now),
        })
    }

    fn unchanged(&mut self, now: Instant, open: &mut Open) -> Vec<Action> {
        let mut actions = self.heard(now, open);
        // An answer that nothing is new, at once and every time, is no sign of health.
        if open.polls.elapsed(now) >= POLL_INTERVAL {
            self.backoff.reset();
        }
        let poll = self.session.first_request(open.negotiation.protocol.api_version());
        open.polls.unchanged();
        open.due = Some((open.polls.next(now), poll));
        actions.push(Action::Report(Report::Unchanged { ends_rejections: self.rejections.end() }));
        actions
    }

    /// The server has answered, so it serves this protocol; says so where that is news.
    fn heard(&mut self, now: Instant, open: &mut Open) -> Vec<Action> {
        let phase = Phase::Accepted(open.phase.since());
        match open.phase {
            Phase::Opening(_) | Phase::Ready(_) => self.connected(now, open, phase),
            Phase::Assumed(_) | Phase::Accepted(_) => {
                open.phase = phase;
                Vec::new()
            }
        }
    }

    fn connected(&mut self, now: Instant, open: &mut Open, phase: Phase) -> Vec<Action> {
        open.phase = phase;
        self.unready_attempts = 0;
        vec![Action::Report(Report::Connected {
            protocol: open.negotiation.protocol,
            endpoint: open.negotiation.endpoint.clone(),
            recovery: self.outage.end(now),
        })]
    }

    fn ended(&mut self, now: Instant, random: f64, mut open: Open, end: End) -> Vec<Action> {
        match open.phase {
            Phase::Opening(_) | Phase::Ready(_) => {}
            // A refusal that took longer than one should.
            Phase::Assumed(_) if end.kind.is_refusal() => {}
            Phase::Assumed(since) | Phase::Accepted(since) => {
                if now.saturating_duration_since(since) >= GOOD_STREAM {
                    self.backoff.reset();
                }
                return self.fail(now, random, ConnectionError::Lost(end));
            }
        }
        let protocol = open.negotiation.protocol;
        if !open.negotiation.advance(&end, &mut self.unready_attempts) {
            let kind = end.kind;
            let endpoint = open.negotiation.endpoint.clone();
            let error = open.negotiation.failed(end);
            if kind != EndKind::Unready {
                let diagnosis = None;
                return self.fail(now, random, ConnectionError::NotServed { error, diagnosis });
            }
            self.state = State::Diagnosing(error, now);
            return vec![NetworkAction::Close.into(), NetworkAction::Diagnose(endpoint).into()];
        }
        let not_served = Report::NotServed { protocol, reason: end.reason };
        let mut actions = vec![NetworkAction::Close.into(), Action::Report(not_served)];
        actions.extend(self.open(now, open.negotiation));
        actions
    }

    fn fail(&mut self, now: Instant, random: f64, error: ConnectionError) -> Vec<Action> {
        let pause = self.backoff.next_pause(random);
        self.state = State::Idle(now + pause);
        let failure = self.outage.fail(now);
        let report = Report::Disconnected { error, retry_in: pause, failure };
        vec![NetworkAction::Close.into(), Action::Report(report)]
    }
}

#[cfg(test)]
mod tests;
