//! The connection to the control plane, as a state machine: when to connect, over what, what to
//! answer and when, how long to wait after a failure, and what to tell about it.
//!
//! Pure: no I/O, no clock, no log. `step` is told what happened and when, and answers what to do;
//! the receiver thread does it. Every connection starts from the top, with finding out where MADS
//! is and what it serves, so that a control plane may change its API version under a running
//! daemon.

use std::time::{Duration, Instant};

use crate::common::backoff::{Backoff, RateLimit, Reminder};
use crate::mads::assignment::SkippedTarget;
use crate::mads::endpoint::{Endpoint, Question};
use crate::mads::negotiation::{End, EndKind, Negotiation, Pins, Protocol, UnreadyAttempts};
use crate::mads::outage::Outage;
use crate::mads::polling::{POLL_INTERVAL, PollSchedule};
use crate::mads::report::{Report, WayNote};
use crate::mads::session::{Accepted, Rejected, Request, Response, Session};
use crate::mads::transport::address::Security;
use crate::snapshot::Snapshot;
use crate::snapshot::Target;

/// The longest time until a gRPC channel is ready; it covers name resolution, TCP and HTTP/2.
pub const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// The longest time for finding out where MADS is. The resolver has a limit of its own, whose error
/// says more; this one is for what that does not cover, such as a token file on a disk that hangs.
const RESOLVE_DEADLINE: Duration = Duration::from_secs(15);

/// The longest time for finding out why a server closed the connection, which has a limit of its own.
const DIAGNOSIS_DEADLINE: Duration = Duration::from_secs(5);

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

/// A stream that has been up for this long was a good one, even if nothing came over it.
const GOOD_STREAM: Duration = Duration::from_secs(60);

/// So many rejections are told at once; after that, one a minute.
const REJECTIONS_TOLD_AT_ONCE: u32 = 2;

/// So many notes about the way to MADS are told at once; after that, one a minute.
const WAYS_TOLD_AT_ONCE: u32 = 2;

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// The time that `deadline` named has come. Harmless at any other time.
    Time,
    /// A question to the API server was answered, or could not be asked.
    Asked(Question),
    /// The answer to `Action::Resolve`; an error says what failed, in words.
    Resolved(Result<Endpoint, String>),
    /// The gRPC channel is connected, or the answer to a poll has begun.
    Ready,
    /// A response has come.
    Response(Response),
    /// The control plane has nothing newer than what was accepted (HTTP 304).
    Unchanged,
    /// The source is at its end, or could not begin.
    Ended(End),
    /// The answer to `Action::Diagnose`: what was found out, for an operator.
    Diagnosed(Option<&'static str>),
    /// Connect anew at once.
    HangUp,
}

/// What to do.
#[derive(Debug)]
pub enum Action {
    /// Find out where MADS is, and answer with `Event::Resolved`.
    Resolve,
    /// Open a source and send it a first request.
    Open(Endpoint, Protocol, Request),
    /// Find out why a server hung up without a word, and answer with `Event::Diagnosed`.
    Diagnose(Endpoint),
    /// Send a request over the open source.
    Send(Request),
    /// Give the newest list to the writer.
    HandOver(Snapshot),
    /// Drop the source; nothing that it still says counts.
    Close,
    /// Tell what happened.
    Report(Report),
}

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
    rejection_rate_limit: RateLimit,
    rejection_is_told: bool,
    untold_rejections: u32,
    skipped: Vec<SkippedTarget>,
    skipped_reminder: Reminder,
    unknown_service_is_told: bool,
    unknown_service_reminder: Reminder,
    told_way: Option<WayNote>,
    way_rate_limit: RateLimit,
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
    Diagnosing(String, Instant),
}

#[derive(Debug)]
struct Open {
    negotiation: Negotiation,
    phase: Phase,
    /// The pace of polls over HTTP.
    polls: PollSchedule,
    /// A request that has to wait: a NACK, or the next poll.
    due: Option<(Instant, Request)>,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// Opened then; nothing has been heard.
    Opening(Instant),
    /// The server has been ready since then, and may still refuse.
    Ready(Instant),
    /// The same, but it has had the time to refuse, so it is taken to serve this protocol.
    Assumed(Instant),
    /// The server has served this protocol since then.
    Accepted(Instant),
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
            rejection_rate_limit: RateLimit::new(
                REJECTIONS_TOLD_AT_ONCE,
                Reminder::INTERVAL,
                start,
            ),
            rejection_is_told: false,
            untold_rejections: 0,
            skipped: Vec::new(),
            skipped_reminder: Reminder::default(),
            unknown_service_is_told: false,
            unknown_service_reminder: Reminder::default(),
            told_way: None,
            way_rate_limit: RateLimit::new(WAYS_TOLD_AT_ONCE, Reminder::INTERVAL, start),
        }
    }

    /// The same for whoever has one attempt only: where a server hangs up without a word, HTTP is
    /// tried in that attempt already.
    #[must_use]
    pub fn single_attempt(mut self) -> Self {
        self.unready_attempts = UnreadyAttempts::of_a_single_attempt();
        self
    }

    /// When `Event::Time` is wanted next; `None` while only the network can change anything, which
    /// is on a gRPC stream that the server has accepted: keepalive ends it where the peer is gone.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let open = match &self.state {
            State::Idle(until) => return Some(*until),
            State::Resolving(since) => return Some(*since + RESOLVE_DEADLINE),
            State::Diagnosing(_, since) => return Some(*since + DIAGNOSIS_DEADLINE),
            State::Open(open) => open,
        };
        let due = open.due.as_ref().map(|(due, _)| *due);
        [due, open.phase_deadline()].into_iter().flatten().min()
    }

    /// Takes in what happened at `now`. `random`, in `0.0..1.0`, is used for jitter.
    pub fn step(&mut self, now: Instant, random: f64, event: Event) -> Vec<Action> {
        // Each arm sets the state that follows; what stands here meanwhile does not matter.
        let state = std::mem::replace(&mut self.state, State::Idle(now));
        match (state, event) {
            (state, Event::HangUp) => self.hang_up(now, random, &state),
            (State::Idle(until), Event::Time) if until <= now => {
                self.state = State::Resolving(now);
                vec![Action::Resolve]
            }
            (State::Resolving(_), Event::Resolved(resolved)) => {
                self.resolved(now, random, resolved)
            }
            (State::Resolving(since), Event::Asked(question)) => {
                self.state = State::Resolving(since);
                vec![Action::Report(Report::Asked(question))]
            }
            (State::Resolving(since), Event::Time) if since + RESOLVE_DEADLINE <= now => {
                let reason = format!(
                    "it was not found out where MADS is within {} s; does a file for the token or \
                     for TLS lie on a disk that hangs?",
                    RESOLVE_DEADLINE.as_secs()
                );
                self.resolved(now, random, Err(reason))
            }
            (State::Diagnosing(reason, _), Event::Diagnosed(diagnosis)) => {
                let reason = match diagnosis {
                    Some(diagnosis) => format!("{reason}; {diagnosis}"),
                    None => reason,
                };
                self.fail(now, random, reason)
            }
            (State::Diagnosing(reason, since), Event::Time)
                if since + DIAGNOSIS_DEADLINE <= now =>
            {
                self.fail(now, random, reason)
            }
            (State::Open(open), event) => self.step_open(now, random, open, event),
            // What an abandoned attempt still has to say does not count.
            (state, _) => {
                self.state = state;
                Vec::new()
            }
        }
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
            Event::Asked(_) | Event::Resolved(_) | Event::Diagnosed(_) | Event::HangUp => {
                self.keep(open, Vec::new())
            }
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
        vec![Action::Report(Report::HungUp), Action::Close]
    }

    fn resolved(
        &mut self,
        now: Instant,
        random: f64,
        resolved: Result<Endpoint, String>,
    ) -> Vec<Action> {
        let endpoint = match resolved {
            Ok(endpoint) => endpoint,
            Err(reason) => {
                self.unready_attempts.reset();
                return self.fail(now, random, reason);
            }
        };
        let mut actions = Vec::new();
        let way = WayNote::about(&endpoint, self.address_security);
        // Replicas behind one address may differ in what they say, at every connection anew.
        if way.is_none() {
            self.told_way = None;
        } else if way != self.told_way && self.way_rate_limit.take(now) {
            self.told_way.clone_from(&way);
            actions.extend(way.map(|note| Action::Report(Report::Way(note))));
        }
        let authority = endpoint.authority();
        match Negotiation::begin(endpoint, self.pins) {
            Some(negotiation) => actions.extend(self.open(now, negotiation)),
            None => {
                let reason = format!(
                    "nothing left to try at {authority}: over TLS, or below a path, only HTTP v1 \
                     can be spoken, which --api-version or --transport excludes"
                );
                actions.extend(self.fail(now, random, reason));
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
            Action::Open(endpoint, protocol, request),
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
                self.keep(open, vec![Action::Send(request)])
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
        let ends_rejections = std::mem::take(&mut self.rejection_is_told);
        if ends_rejections {
            self.untold_rejections = 0;
        }
        actions.push(Action::Report(Report::Accepted {
            version: ack.version.clone(),
            assignments: assignments.count,
            targets: assignments.targets.len(),
            skipped: assignments.skipped.len(),
            ends_rejections,
        }));
        actions.extend(self.tell_skipped(now, assignments.skipped));
        actions.extend(self.tell_unknown_services(now, &assignments.targets));
        open.polls.accepted(&assignments.targets);
        actions.push(Action::HandOver(Snapshot {
            targets: assignments.targets,
        }));
        // A NACK that still waits is for an older response: the control plane would ignore it.
        open.due = None;
        match open.negotiation.protocol {
            Protocol::Grpc(_) => actions.push(Action::Send(ack)),
            Protocol::Http => open.due = Some((open.polls.next(now), ack)),
        }
    }

    /// Tells which targets are left out, where those are other ones than were told last.
    fn tell_skipped(&mut self, now: Instant, mut skipped: Vec<SkippedTarget>) -> Option<Action> {
        // The order of arrival is random.
        skipped.sort_unstable();
        if skipped == self.skipped {
            return None;
        }
        if skipped.is_empty() {
            self.skipped = skipped;
            return None;
        }
        let quiet = self.skipped_reminder.due(now).is_none();
        if !quiet {
            self.skipped.clone_from(&skipped);
        }
        Some(Action::Report(Report::Skipped {
            targets: skipped,
            quiet,
        }))
    }

    /// Tells where targets have the service that stands for none, and how to give them one.
    fn tell_unknown_services(&mut self, now: Instant, targets: &[Target]) -> Option<Action> {
        let is_unknown = |target: &&Target| {
            target
                .labels
                .get("service")
                .is_some_and(|name| name == "unknown")
        };
        let unknown = targets.iter().filter(is_unknown).count();
        if unknown == 0 {
            self.unknown_service_is_told = false;
            return None;
        }
        if self.unknown_service_is_told {
            return None;
        }
        let quiet = self.unknown_service_reminder.due(now).is_none();
        self.unknown_service_is_told = !quiet;
        Some(Action::Report(Report::UnknownServices {
            unknown,
            targets: targets.len(),
            quiet,
        }))
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
        let is_told = self.rejection_rate_limit.take(now);
        self.rejection_is_told |= is_told;
        self.untold_rejections += 1;
        let held_back = is_told.then(|| std::mem::take(&mut self.untold_rejections) - 1);
        actions.push(Action::Report(Report::Rejected {
            reason: rejected.reason,
            pause: at.saturating_duration_since(now),
            held_back,
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
        let ends_rejections = std::mem::take(&mut self.rejection_is_told);
        if ends_rejections {
            self.untold_rejections = 0;
        }
        actions.push(Action::Report(Report::Unchanged { ends_rejections }));
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
        let end = self.outage.end(now);
        vec![Action::Report(Report::Connected {
            protocol: open.negotiation.protocol,
            endpoint: open.negotiation.endpoint.clone(),
            outage: end.outage,
            is_told: end.is_told,
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
                return self.fail(now, random, end.reason);
            }
        }
        let protocol = open.negotiation.protocol;
        if !open.negotiation.advance(&end, &mut self.unready_attempts) {
            let kind = end.kind;
            let reason = open.negotiation.failure(end);
            if kind != EndKind::Unready {
                return self.fail(now, random, reason);
            }
            self.state = State::Diagnosing(reason, now);
            return vec![Action::Close, Action::Diagnose(open.negotiation.endpoint)];
        }
        let not_served = Report::NotServed {
            protocol,
            reason: end.reason,
        };
        let mut actions = vec![Action::Close, Action::Report(not_served)];
        actions.extend(self.open(now, open.negotiation));
        actions
    }

    fn fail(&mut self, now: Instant, random: f64, reason: String) -> Vec<Action> {
        let pause = self.backoff.next_pause(random);
        self.state = State::Idle(now + pause);
        let failure = self.outage.fail(now);
        let report = Report::Trouble {
            reason,
            retry_in: pause,
            failure,
        };
        vec![Action::Close, Action::Report(report)]
    }
}

impl Open {
    /// When this phase ends by itself; never where an accepted stream is silent.
    fn phase_deadline(&self) -> Option<Instant> {
        match (self.negotiation.protocol, self.phase) {
            (_, Phase::Ready(since)) => Some(since + REFUSAL_TIME),
            (Protocol::Grpc(_), Phase::Opening(since)) => Some(since + CONNECT_LIMIT),
            (Protocol::Grpc(_), Phase::Assumed(_) | Phase::Accepted(_)) => None,
            (Protocol::Http, Phase::Opening(since)) => Some(since + FIRST_POLL_DEADLINE),
            (Protocol::Http, _) if self.due.is_some() => None,
            (Protocol::Http, _) => Some(self.polls.started() + POLL_DEADLINE),
        }
    }

    /// When to answer a rejected response: after the pause, and over HTTP with a poll.
    fn after_pause(&self, now: Instant, pause: Duration) -> Instant {
        match self.negotiation.protocol {
            Protocol::Grpc(_) => now + pause,
            Protocol::Http => self.polls.next(now + pause),
        }
    }

    /// Whether a proxy has cut a poll for which the control plane had nothing new.
    fn is_cut_by_proxy(&mut self, now: Instant) -> bool {
        matches!(self.phase, Phase::Accepted(_)) && self.polls.is_cut_by_proxy(now)
    }
}

impl Phase {
    fn since(self) -> Instant {
        match self {
            Self::Opening(since)
            | Self::Ready(since)
            | Self::Assumed(since)
            | Self::Accepted(since) => since,
        }
    }
}

#[cfg(test)]
mod tests;
