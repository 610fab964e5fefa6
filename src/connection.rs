//! The connection to the control plane, as a state machine: when to connect, over what, what to
//! answer and when, how long to wait after a failure, and what to tell about it.
//!
//! Pure: no I/O, no clock, no log. `step` is told what happened and when, and answers what to do;
//! the receiver thread does it. Every connection starts from the top, with finding out where MADS
//! is and what it serves, so that a control plane may change its generation under a running
//! daemon.

use std::time::{Duration, Instant};

use crate::absence::Absence;
use crate::address::Security;
use crate::assignment::{SkippedTarget, Target};
use crate::backoff::{Allowance, Backoff, Reminder};
use crate::endpoint::Endpoint;
use crate::endpoint::Question;
use crate::negotiation::{End, EndKind, Negotiation, Pins, Protocol, UnreadyAttempts};
use crate::report::{Report, WayNote};
use crate::session::{Accepted, Rejected, Request, Response, Session};

/// The longest time until a gRPC channel is ready; it covers name resolution, TCP and HTTP/2.
pub const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// A gRPC stream whose channel is ready and that was not refused for this long is accepted: with
/// named MeshMetric backends only, Kuma may never send a first answer.
const SILENT_ACCEPTANCE: Duration = Duration::from_secs(5);

/// A stream that has been up for this long was a good one, even if nothing came over it.
const GOOD_STREAM: Duration = Duration::from_secs(60);

/// Polls over HTTP start at least this far apart.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

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
    /// The gRPC channel is connected.
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

/// A complete list, accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// All targets of the mesh.
    pub targets: Vec<Target>,
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
    absence: Absence,
    rejection_allowance: Allowance,
    rejection_is_told: bool,
    untold_rejections: u32,
    skipped: Vec<SkippedTarget>,
    skipped_reminder: Reminder,
    told_way: Option<WayNote>,
    way_allowance: Allowance,
}

#[derive(Debug)]
enum State {
    /// Nothing is open until then.
    Idle(Instant),
    /// It is being found out where MADS is.
    Resolving,
    /// A source is open, or being opened.
    Open(Box<Open>),
    /// The attempt has failed for this reason, and perhaps more can be found out.
    Diagnosing(String),
}

#[derive(Debug)]
struct Open {
    negotiation: Negotiation,
    phase: Phase,
    /// When the last request was sent.
    requested: Instant,
    /// A request that has to wait: a NACK, or the next poll.
    due: Option<(Instant, Request)>,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// Opened then; nothing has been heard.
    Opening(Instant),
    /// The channel has been ready since then; the server may still refuse.
    Ready(Instant),
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
            absence: Absence::new(start),
            rejection_allowance: Allowance::new(REJECTIONS_TOLD_AT_ONCE, Reminder::INTERVAL, start),
            rejection_is_told: false,
            untold_rejections: 0,
            skipped: Vec::new(),
            skipped_reminder: Reminder::default(),
            told_way: None,
            way_allowance: Allowance::new(WAYS_TOLD_AT_ONCE, Reminder::INTERVAL, start),
        }
    }

    /// The same for whoever has one attempt only: where a server hangs up without a word, HTTP is
    /// tried in that attempt already.
    #[must_use]
    pub fn impatient(mut self) -> Self {
        self.unready_attempts = UnreadyAttempts::of_the_impatient();
        self
    }

    /// When `Event::Time` is wanted next; `None` while only the network can change anything.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let open = match &self.state {
            State::Idle(until) => return Some(*until),
            State::Resolving | State::Diagnosing(_) => return None,
            State::Open(open) => open,
        };
        let due = open.due.as_ref().map(|(due, _)| *due);
        [due, open.phase_deadline()].into_iter().flatten().min()
    }

    /// Takes in what happened at `now`. `random`, in `0.0..1.0`, is used for jitter.
    pub fn step(&mut self, now: Instant, random: f64, event: Event) -> Vec<Action> {
        let state = std::mem::replace(&mut self.state, State::Resolving);
        match (state, event) {
            (_, Event::HangUp) => self.hang_up(now),
            (State::Idle(until), Event::Time) if until <= now => vec![Action::Resolve],
            (State::Resolving, Event::Resolved(resolved)) => self.resolved(now, random, resolved),
            (State::Resolving, Event::Asked(question)) => {
                vec![Action::Report(Report::Asked(question))]
            }
            (State::Diagnosing(reason), Event::Diagnosed(diagnosis)) => {
                let reason = match diagnosis {
                    Some(diagnosis) => format!("{reason}; {diagnosis}"),
                    None => reason,
                };
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

    fn hang_up(&mut self, now: Instant) -> Vec<Action> {
        self.backoff.reset();
        self.absence.begin(now);
        self.state = State::Idle(now);
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
        } else if way != self.told_way && self.way_allowance.take(now) {
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
        let mut request = self.session.first_request(protocol.generation());
        if negotiation.is_in_doubt {
            // Without a version a server answers at once, so silence can be told from patience.
            request.version.clear();
        }
        let phase = Phase::Opening(now);
        self.state = State::Open(Box::new(Open {
            negotiation,
            phase,
            requested: now,
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
            if let Phase::Opening(_) = open.phase {
                let reason = format!(
                    "{} did not become ready within {} s",
                    open.negotiation.endpoint.authority(),
                    CONNECT_LIMIT.as_secs()
                );
                return self.ended(
                    now,
                    random,
                    *open,
                    End {
                        kind: EndKind::Unready,
                        reason,
                    },
                );
            }
            let actions = self.connected(now, &mut open);
            return self.keep(open, actions);
        }
        match open.due.take_if(|(due, _)| *due <= now) {
            Some((_, request)) => {
                open.requested = now;
                self.keep(open, vec![Action::Send(request)])
            }
            None => self.keep(open, Vec::new()),
        }
    }

    fn response(
        &mut self,
        now: Instant,
        random: f64,
        mut open: Box<Open>,
        response: Response,
    ) -> Vec<Action> {
        let mut actions = self.connected(now, &mut open);
        actions.push(Action::Report(Report::Received {
            version: response.version.clone(),
            nonce: response.nonce.clone(),
            resources: response.resources.len(),
        }));
        match self
            .session
            .receive(open.negotiation.protocol.generation(), response)
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
            ends_rejections: std::mem::take(&mut self.rejection_is_told),
        }));
        actions.extend(self.tell_skipped(now, assignments.skipped));
        actions.push(Action::HandOver(Snapshot {
            targets: assignments.targets,
        }));
        // A NACK that still waits is for an older response: the control plane would ignore it.
        open.due = None;
        match open.negotiation.protocol {
            Protocol::Grpc(_) => {
                open.requested = now;
                actions.push(Action::Send(ack));
            }
            Protocol::Http => open.due = Some((open.next_poll(now), ack)),
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

    fn reject(
        &mut self,
        now: Instant,
        random: f64,
        open: &mut Open,
        rejected: Rejected,
        actions: &mut Vec<Action>,
    ) {
        // A NACK that already waits is replaced, not delayed further.
        let at = match open.due {
            Some((at, _)) => at,
            None => open.after_pause(now, self.backoff.next_pause(random)),
        };
        open.due = Some((at, rejected.nack));
        let is_told = self.rejection_allowance.take(now);
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
        let mut actions = self.connected(now, &mut open);
        // An answer that nothing is new, at once and every time, is no sign of health.
        if now >= open.requested + POLL_INTERVAL {
            self.backoff.reset();
        }
        let poll = self
            .session
            .first_request(open.negotiation.protocol.generation());
        open.due = Some((open.next_poll(now), poll));
        actions.push(Action::Report(Report::Unchanged));
        self.keep(open, actions)
    }

    /// The server serves this protocol; says so where that is news.
    fn connected(&mut self, now: Instant, open: &mut Open) -> Vec<Action> {
        if let Phase::Accepted(_) = open.phase {
            return Vec::new();
        }
        open.phase = Phase::Accepted(open.phase.since());
        self.unready_attempts.reset();
        let end = self.absence.end(now);
        vec![Action::Report(Report::Connected {
            protocol: open.negotiation.protocol,
            endpoint: open.negotiation.endpoint.clone(),
            absence: end.absence,
            is_told: end.is_told,
        })]
    }

    fn ended(&mut self, now: Instant, random: f64, mut open: Open, end: End) -> Vec<Action> {
        if let Phase::Accepted(since) = open.phase {
            if now.saturating_duration_since(since) >= GOOD_STREAM {
                self.backoff.reset();
            }
            return self.fail(now, random, end.reason);
        }
        let protocol = open.negotiation.protocol;
        if !open.negotiation.advance(&end, &mut self.unready_attempts) {
            let kind = end.kind;
            let reason = open.negotiation.failure(end);
            if kind != EndKind::Unready {
                return self.fail(now, random, reason);
            }
            self.state = State::Diagnosing(reason);
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
        let failure = self.absence.fail(now);
        let report = Report::Trouble {
            reason,
            retry_in: pause,
            failure,
        };
        vec![Action::Close, Action::Report(report)]
    }
}

impl Open {
    /// When this phase ends by itself. Over HTTP the source's own limits end it, as a server may
    /// hold the answer to a first request for 30 s where it has nothing new.
    fn phase_deadline(&self) -> Option<Instant> {
        match (self.negotiation.protocol, self.phase) {
            (_, Phase::Accepted(_)) => None,
            (Protocol::Http, _) if !self.negotiation.is_in_doubt => None,
            (_, Phase::Opening(since)) => Some(since + CONNECT_LIMIT),
            (_, Phase::Ready(since)) => Some(since + SILENT_ACCEPTANCE),
        }
    }

    /// When to answer a rejected response: after the pause, and over HTTP with a poll.
    fn after_pause(&self, now: Instant, pause: Duration) -> Instant {
        match self.negotiation.protocol {
            Protocol::Grpc(_) => now + pause,
            Protocol::Http => self.next_poll(now + pause),
        }
    }

    fn next_poll(&self, now: Instant) -> Instant {
        now.max(self.requested + POLL_INTERVAL)
    }
}

impl Phase {
    fn since(self) -> Instant {
        match self {
            Self::Opening(since) | Self::Ready(since) | Self::Accepted(since) => since,
        }
    }
}

#[cfg(test)]
mod tests;
