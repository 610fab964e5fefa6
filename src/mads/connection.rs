//! The connection to the control plane, as a state machine: when to connect, over what, what to
//! answer and when, how long to wait after a failure, and what to tell about it.
//!
//! Pure: no I/O, no clock, no log. `step` is told what happened and when, and answers what to do;
//! the receiver thread does it. Every connection starts from the top, with finding out where MADS
//! is and what it serves, so that a control plane may change its API version under a running
//! daemon.

mod error;
mod event;
mod open;
mod target_warnings;

use std::time::{Duration, Instant};

use crate::common::backoff::{Backoff, RateLimit};
use crate::common::machine::Machine;
use crate::mads::endpoint::Endpoint;
use crate::mads::negotiation::{
    End, EndKind, Negotiation, NegotiationError, Pins, Protocol, UnreadyAttempts,
};
use crate::mads::outage::Outage;
use crate::mads::polling::{POLL_INTERVAL, PollSchedule};
use crate::mads::report::{EndpointWarning, Report};
use crate::mads::session::{Accepted, Rejected, Response, Session};
use crate::mads::transport::address::Security;
use crate::snapshot::Snapshot;
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
    unready_attempts: UnreadyAttempts,
    outage: Outage,
    rejections: RateLimit,
    target_warnings: TargetWarnings,
    /// The warning about where MADS is that was logged last, while it holds.
    endpoint_warning: Option<EndpointWarning>,
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
            (state, Event::Reconnect) => self.hang_up(now, random, &state),
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
            (State::Resolving(since), Event::ProbeFinished(question)) => {
                self.state = State::Resolving(since);
                vec![Action::Report(Report::ProbeFinished(question))]
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
    #[must_use]
    pub fn new(session: Session, pins: Pins, address_security: Security, start: Instant) -> Self {
        Self {
            pins,
            address_security,
            session,
            state: State::Idle(start),
            backoff: Backoff::default(),
            unready_attempts: UnreadyAttempts::default(),
            outage: Outage::new(start),
            rejections: RateLimit::reminders(REJECTIONS_LOGGED_AT_ONCE),
            target_warnings: TargetWarnings::default(),
            endpoint_warning: None,
            endpoint_warnings: RateLimit::reminders(ENDPOINT_WARNINGS_AT_ONCE),
        }
    }

    /// The same for whoever has one attempt only: where a server hangs up without a word, HTTP is
    /// tried in that attempt already.
    #[must_use]
    pub fn single_attempt(mut self) -> Self {
        self.unready_attempts = UnreadyAttempts::of_a_single_attempt();
        self
    }

    fn step_open(
        &mut self,
        now: Instant,
        random: f64,
        mut open: Box<Open>,
        event: Event,
    ) -> Vec<Action> {
        match event {
            Event::Time => self.time(now, random, open),
            Event::Ready => {
                self.unready_attempts.reset();
                if matches!(open.phase, Phase::Opening(_)) {
                    open.phase = Phase::Ready(now);
                }
                self.keep(open, Vec::new())
            }
            Event::Response(response) => self.response(now, random, open, response),
            Event::Unchanged => self.unchanged(now, open),
            Event::Ended(end)
                if end.kind == EndKind::GatewayTimeout && open.is_cut_by_proxy(now) =>
            {
                self.unchanged(now, open)
            }
            Event::Ended(end) => self.ended(now, random, *open, end),
            Event::ProbeFinished(_)
            | Event::Resolved(_)
            | Event::Diagnosed(_)
            | Event::Reconnect => self.keep(open, Vec::new()),
        }
    }

    fn keep(&mut self, open: Box<Open>, actions: Vec<Action>) -> Vec<Action> {
        self.state = State::Open(open);
        actions
    }

    /// Not at once: a whole fleet may have been asked to reconnect at one moment.
    fn hang_up(&mut self, now: Instant, random: f64, state: &State) -> Vec<Action> {
        self.backoff.reset();
        self.outage.reload();
        let soon = now + Backoff::first_pause(random);
        self.state = State::Idle(match state {
            State::Idle(until) => soon.min(*until),
            _ => soon,
        });
        vec![
            Action::Report(Report::Reconnecting),
            NetworkAction::Close.into(),
        ]
    }

    fn unresolved(&mut self, now: Instant, random: f64, error: ConnectionError) -> Vec<Action> {
        self.unready_attempts.reset();
        self.fail(now, random, error)
    }

    fn resolved(&mut self, now: Instant, random: f64, endpoint: Endpoint) -> Vec<Action> {
        let mut actions = Vec::new();
        let warning = EndpointWarning::about(&endpoint, self.address_security);
        // Replicas behind one address may differ in what they say, at every connection anew.
        if warning.is_none() {
            self.endpoint_warning = None;
        } else if warning != self.endpoint_warning && self.endpoint_warnings.take(now) {
            self.endpoint_warning.clone_from(&warning);
            actions.extend(warning.map(|warning| Action::Report(Report::EndpointWarning(warning))));
        }
        let authority = endpoint.authority();
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
            Action::Report(Report::Opening {
                protocol,
                endpoint: endpoint.clone(),
            }),
            NetworkAction::Open(endpoint, protocol, request).into(),
        ]
    }

    fn time(&mut self, now: Instant, random: f64, mut open: Box<Open>) -> Vec<Action> {
        if open
            .phase_deadline()
            .is_some_and(|deadline| deadline <= now)
        {
            return self.phase_is_over(now, random, open);
        }
        match open.due.take_if(|(due, _)| *due <= now) {
            Some((_, mut request)) => {
                request.hold = open.polls.start(now);
                self.keep(open, vec![NetworkAction::Send(request).into()])
            }
            None => self.keep(open, Vec::new()),
        }
    }

    fn phase_is_over(&mut self, now: Instant, random: f64, mut open: Box<Open>) -> Vec<Action> {
        if let Phase::Ready(since) = open.phase {
            let actions = self.connected(now, &mut open, Phase::Assumed(since));
            return self.keep(open, actions);
        }
        let (authority, elapsed) = (
            open.negotiation.endpoint.authority(),
            open.polls.elapsed(now).as_secs(),
        );
        let end = match open.phase {
            Phase::Opening(_) => End {
                kind: EndKind::Unready,
                reason: format!("{authority} did not become ready within {elapsed} s"),
            },
            _ => End {
                kind: EndKind::Outage,
                reason: format!("{authority} did not answer a poll within {elapsed} s"),
            },
        };
        self.ended(now, random, *open, end)
    }

    fn response(
        &mut self,
        now: Instant,
        random: f64,
        mut open: Box<Open>,
        response: Response,
    ) -> Vec<Action> {
        let mut actions = self.heard(now, &mut open);
        actions.push(Action::Report(Report::Received {
            version: response.version.clone(),
            nonce: response.nonce.clone(),
            resources: response.resources.len(),
        }));
        match self
            .session
            .receive(open.negotiation.protocol.api_version(), response)
        {
            Ok(accepted) => self.accept(now, &mut open, accepted, &mut actions),
            Err(rejected) => self.reject(now, random, &mut open, *rejected, &mut actions),
        }
        self.keep(open, actions)
    }

    fn accept(
        &mut self,
        now: Instant,
        open: &mut Open,
        accepted: Accepted,
        actions: &mut Vec<Action>,
    ) {
        self.backoff.reset();
        let Accepted { assignments, ack } = accepted;
        actions.push(Action::Report(Report::Accepted {
            version: ack.version.clone(),
            assignments: assignments.count,
            targets: assignments.targets.len(),
            skipped: assignments.skipped.len(),
            ends_rejections: self.rejections.end(),
        }));
        let warnings = self
            .target_warnings
            .about(now, &assignments.targets, assignments.skipped);
        actions.extend(warnings.map(Action::Report));
        open.polls.accepted(&assignments.targets);
        actions.push(Action::HandOver(Snapshot {
            targets: assignments.targets,
        }));
        // A NACK that still waits is for an older response: the control plane would ignore it.
        open.due = None;
        match open.negotiation.protocol {
            Protocol::Grpc(_) => actions.push(NetworkAction::Send(ack).into()),
            Protocol::Http => open.due = Some((open.polls.next(now), ack)),
        }
    }

    fn reject(
        &mut self,
        now: Instant,
        random: f64,
        open: &mut Open,
        rejected: Rejected,
        actions: &mut Vec<Action>,
    ) {
        open.polls.rejected();
        // A NACK that already waits is replaced, not delayed further.
        let at = match open.due {
            Some((at, _)) => at,
            None => open.after_pause(now, self.backoff.next_pause(random)),
        };
        open.due = Some((at, rejected.nack));
        actions.push(Action::Report(Report::Rejected {
            reason: rejected.reason,
            pause: at.saturating_duration_since(now),
            suppressed: self.rejections.allow(now),
        }));
    }

    fn unchanged(&mut self, now: Instant, mut open: Box<Open>) -> Vec<Action> {
        let mut actions = self.heard(now, &mut open);
        // An answer that nothing is new, at once and every time, is no sign of health.
        if open.polls.elapsed(now) >= POLL_INTERVAL {
            self.backoff.reset();
        }
        let poll = self
            .session
            .first_request(open.negotiation.protocol.api_version());
        open.polls.unchanged();
        open.due = Some((open.polls.next(now), poll));
        actions.push(Action::Report(Report::Unchanged {
            ends_rejections: self.rejections.end(),
        }));
        self.keep(open, actions)
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
        self.unready_attempts.reset();
        let recovery = self.outage.end(now);
        vec![Action::Report(Report::Connected {
            protocol: open.negotiation.protocol,
            endpoint: open.negotiation.endpoint.clone(),
            outage: recovery.outage,
            should_log: recovery.should_log,
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
            return vec![
                NetworkAction::Close.into(),
                NetworkAction::Diagnose(endpoint).into(),
            ];
        }
        let not_served = Report::NotServed {
            protocol,
            reason: end.reason,
        };
        let mut actions = vec![NetworkAction::Close.into(), Action::Report(not_served)];
        actions.extend(self.open(now, open.negotiation));
        actions
    }

    fn fail(&mut self, now: Instant, random: f64, error: ConnectionError) -> Vec<Action> {
        let pause = self.backoff.next_pause(random);
        self.state = State::Idle(now + pause);
        let failure = self.outage.fail(now);
        let report = Report::Disconnected {
            error,
            retry_in: pause,
            failure,
        };
        vec![NetworkAction::Close.into(), Action::Report(report)]
    }
}

#[cfg(test)]
mod tests;
