//! The connection to the control plane, as a state machine: when to connect, over what, what to
//! answer and when, how long to wait after a failure, and what to tell about it.
//!
//! Pure: no I/O, no clock, no log. `step` is told what happened and when, and answers what to do;
//! the receiver thread does it. Every connection starts from the top, with finding out where MADS
//! is and what it serves, so that a control plane may change its generation under a running
//! daemon.

use std::fmt;
use std::time::{Duration, Instant};

use crate::assignment::{Generation, SkippedTarget, Target};
use crate::backoff::{Backoff, Reminder};
use crate::endpoint::{Endpoint, Security};
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

/// After this many attempts in a row in which something accepted connections but did not speak
/// HTTP/2, HTTP is tried as well.
const UNREADY_ATTEMPTS: u32 = 2;

/// What a source speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// A bidirectional gRPC stream.
    Grpc(Generation),
    /// HTTP long polling, which exists in v1 only.
    Http,
}

impl Protocol {
    /// The generation of the assignments that it brings.
    #[must_use]
    pub fn generation(self) -> Generation {
        match self {
            Self::Grpc(generation) => generation,
            Self::Http => Generation::V1,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Grpc(generation) => write!(formatter, "gRPC {generation}"),
            Self::Http => formatter.write_str("HTTP v1"),
        }
    }
}

/// What the operator pinned; `None` leaves it to negotiation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pins {
    /// The only generation to speak.
    pub generation: Option<Generation>,
    /// The only transport to use.
    pub transport: Option<Transport>,
}

/// A way to carry assignments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// gRPC streams.
    Grpc,
    /// HTTP long polling.
    Http,
}

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// The time that `deadline` named has come. Harmless at any other time.
    Time,
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
    /// Connect anew at once.
    HangUp,
}

/// Why a source ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// What it says about the server.
    pub kind: EndKind,
    /// What happened, to what, fit for a log line.
    pub reason: String,
}

/// What the end of a source says about the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndKind {
    /// A definite answer: the server does not know this generation (UNIMPLEMENTED, 404).
    UnknownService,
    /// A definite answer: the server does not speak this transport (HTTP/1 instead of HTTP/2).
    UnknownTransport,
    /// Something accepts connections, but they end before the server has said anything.
    Unready,
    /// Anything else: an outage, which says nothing about what is served.
    Outage,
}

/// What to do.
#[derive(Debug)]
pub enum Action {
    /// Find out where MADS is, and answer with `Event::Resolved`.
    Resolve,
    /// Open a source and send it a first request.
    Open(Endpoint, Protocol, Request),
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
    /// Attempts in a row that found something that accepts connections without speaking HTTP/2.
    unready_attempts: u32,
    /// When the control plane went away; `None` while it is there.
    away_since: Option<Instant>,
    was_connected: bool,
    /// Whether the present absence has been told of.
    absence_told: bool,
    trouble_reminder: Reminder,
    rejection_reminder: Reminder,
    skipped: Vec<SkippedTarget>,
    skipped_reminder: Reminder,
    told_way: Option<WayNote>,
}

#[derive(Debug)]
enum State {
    /// Nothing is open until then.
    Idle(Instant),
    /// It is being found out where MADS is.
    Resolving,
    /// A source is open, or being opened.
    Open(Box<Open>),
}

#[derive(Debug)]
struct Open {
    endpoint: Endpoint,
    protocol: Protocol,
    /// What to try where this protocol is not served, in order.
    alternatives: Vec<Protocol>,
    /// What was not served here, and why.
    refusals: Vec<String>,
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
            unready_attempts: 0,
            away_since: Some(start),
            was_connected: false,
            absence_told: false,
            trouble_reminder: Reminder::default(),
            rejection_reminder: Reminder::default(),
            skipped: Vec::new(),
            skipped_reminder: Reminder::default(),
            told_way: None,
        }
    }

    /// When `Event::Time` is wanted next; `None` while only the network can change anything.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let open = match &self.state {
            State::Idle(until) => return Some(*until),
            State::Resolving => return None,
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
                self.unready_attempts = 0;
                if matches!(open.phase, Phase::Opening(_)) {
                    open.phase = Phase::Ready(now);
                }
                self.keep(open, Vec::new())
            }
            Event::Response(response) => self.response(now, random, open, response),
            Event::Unchanged => self.unchanged(now, open),
            Event::Ended(end) => self.ended(now, random, *open, end),
            Event::Resolved(_) | Event::HangUp => self.keep(open, Vec::new()),
        }
    }

    fn keep(&mut self, open: Box<Open>, actions: Vec<Action>) -> Vec<Action> {
        self.state = State::Open(open);
        actions
    }

    fn hang_up(&mut self, now: Instant) -> Vec<Action> {
        self.backoff.reset();
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
            Err(reason) => return self.fail(now, random, reason),
        };
        let mut actions = Vec::new();
        let way = WayNote::about(&endpoint, self.address_security);
        if self.told_way != way {
            self.told_way.clone_from(&way);
            actions.extend(way.map(|note| Action::Report(Report::Way(note))));
        }
        let mut protocols = protocols(&endpoint, self.pins);
        if protocols.is_empty() {
            let reason = format!(
                "nothing left to try at {}: --api-version and --transport exclude what could be there",
                endpoint.authority()
            );
            return self.fail(now, random, reason);
        }
        let protocol = protocols.remove(0);
        actions.extend(self.open(now, endpoint, protocol, protocols, Vec::new()));
        actions
    }

    fn open(
        &mut self,
        now: Instant,
        endpoint: Endpoint,
        protocol: Protocol,
        alternatives: Vec<Protocol>,
        refusals: Vec<String>,
    ) -> Vec<Action> {
        let request = self.session.first_request(protocol.generation());
        let open = Open {
            endpoint: endpoint.clone(),
            protocol,
            alternatives,
            refusals,
            phase: Phase::Opening(now),
            requested: now,
            due: None,
        };
        self.state = State::Open(Box::new(open));
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
                    open.endpoint.authority(),
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
        match self.session.receive(open.protocol.generation(), response) {
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
        }));
        if self.skipped != assignments.skipped {
            self.skipped.clone_from(&assignments.skipped);
            if !assignments.skipped.is_empty() {
                let quiet = self.skipped_reminder.due(now).is_none();
                let targets = assignments.skipped;
                actions.push(Action::Report(Report::Skipped { targets, quiet }));
            }
        }
        actions.push(Action::HandOver(Snapshot {
            targets: assignments.targets,
        }));
        // A NACK that still waits is for an older response: the control plane would ignore it.
        open.due = None;
        match open.protocol {
            Protocol::Grpc(_) => {
                open.requested = now;
                actions.push(Action::Send(ack));
            }
            Protocol::Http => open.due = Some((open.next_poll(), ack)),
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
        // A NACK that already waits is replaced, not delayed further.
        let at = match open.due {
            Some((at, _)) => at,
            None => now + self.backoff.next_pause(random),
        };
        open.due = Some((at, rejected.nack));
        actions.push(Action::Report(Report::Rejected {
            reason: rejected.reason,
            pause: at.saturating_duration_since(now),
            held_back: self.rejection_reminder.due(now),
        }));
    }

    fn unchanged(&mut self, now: Instant, mut open: Box<Open>) -> Vec<Action> {
        let mut actions = self.connected(now, &mut open);
        if now >= open.next_poll() {
            self.backoff.reset();
        }
        let poll = self.session.first_request(open.protocol.generation());
        open.due = Some((open.next_poll(), poll));
        actions.push(Action::Report(Report::Unchanged));
        self.keep(open, actions)
    }

    /// The server serves this protocol; says so where that is news.
    fn connected(&mut self, now: Instant, open: &mut Open) -> Vec<Action> {
        if let Phase::Accepted(_) = open.phase {
            return Vec::new();
        }
        open.phase = Phase::Accepted(open.phase.since());
        self.unready_attempts = 0;
        let away_since = self.away_since.take();
        let report = Report::Connected {
            protocol: open.protocol,
            endpoint: open.endpoint.clone(),
            outage: away_since
                .filter(|_| self.was_connected || self.absence_told)
                .map(|since| now.saturating_duration_since(since)),
            quiet: self.was_connected && !self.absence_told,
        };
        self.was_connected = true;
        self.absence_told = false;
        vec![Action::Report(report)]
    }

    fn ended(&mut self, now: Instant, random: f64, mut open: Open, end: End) -> Vec<Action> {
        match open.phase {
            Phase::Accepted(since) if now.saturating_duration_since(since) >= GOOD_STREAM => {
                self.backoff.reset();
            }
            Phase::Accepted(_) => {}
            Phase::Opening(_) | Phase::Ready(_) => match self.alternative(&mut open, end.kind) {
                Some(next) => return self.open_alternative(now, open, next, end.reason),
                None => open
                    .refusals
                    .push(format!("{}: {}", open.protocol, end.reason)),
            },
        }
        let reason = match open.refusals.len() {
            0 | 1 => end.reason,
            _ => format!(
                "no MADS at {}: {}",
                open.endpoint.authority(),
                open.refusals.join("; ")
            ),
        };
        self.fail(now, random, reason)
    }

    /// What to try next in the same attempt, where the end was a definite answer.
    fn alternative(&mut self, open: &mut Open, kind: EndKind) -> Option<Protocol> {
        let only_http = match kind {
            EndKind::UnknownService => false,
            EndKind::UnknownTransport => true,
            EndKind::Unready => {
                self.unready_attempts += 1;
                if self.unready_attempts < UNREADY_ATTEMPTS {
                    return None;
                }
                true
            }
            EndKind::Outage => return None,
        };
        if only_http {
            open.alternatives
                .retain(|protocol| *protocol == Protocol::Http);
        }
        if open.alternatives.is_empty() {
            None
        } else {
            Some(open.alternatives.remove(0))
        }
    }

    fn open_alternative(
        &mut self,
        now: Instant,
        open: Open,
        next: Protocol,
        reason: String,
    ) -> Vec<Action> {
        let Open {
            endpoint,
            protocol,
            alternatives,
            mut refusals,
            ..
        } = open;
        refusals.push(format!("{protocol}: {reason}"));
        let mut actions = vec![
            Action::Close,
            Action::Report(Report::NotServed { protocol, reason }),
        ];
        actions.extend(self.open(now, endpoint, next, alternatives, refusals));
        actions
    }

    fn fail(&mut self, now: Instant, random: f64, reason: String) -> Vec<Action> {
        let pause = self.backoff.next_pause(random);
        self.state = State::Idle(now + pause);
        let away_since = *self.away_since.get_or_insert(now);
        let held_back = self.trouble_reminder.due(now);
        self.absence_told |= held_back.is_some();
        let report = Report::Trouble {
            reason,
            retry_in: pause,
            lasting: now.saturating_duration_since(away_since),
            held_back,
        };
        vec![Action::Close, Action::Report(report)]
    }
}

impl Open {
    /// When this phase ends by itself. Over HTTP the source's own limits end it.
    fn phase_deadline(&self) -> Option<Instant> {
        match (self.protocol, self.phase) {
            (Protocol::Http, _) | (_, Phase::Accepted(_)) => None,
            (_, Phase::Opening(since)) => Some(since + CONNECT_LIMIT),
            (_, Phase::Ready(since)) => Some(since + SILENT_ACCEPTANCE),
        }
    }

    fn next_poll(&self) -> Instant {
        self.requested + POLL_INTERVAL
    }
}

impl Phase {
    fn since(self) -> Instant {
        match self {
            Self::Opening(since) | Self::Ready(since) | Self::Accepted(since) => since,
        }
    }
}

/// What may be spoken at an endpoint, in the order of trying.
///
/// Kuma's gRPC server negotiates no ALPN, on which C-core insists, so TLS means HTTPS; and gRPC
/// knows no base path.
fn protocols(endpoint: &Endpoint, pins: Pins) -> Vec<Protocol> {
    let grpc_is_possible = cfg!(feature = "grpc")
        && endpoint.security == Security::Plaintext
        && endpoint.base_path.is_empty();
    [
        Protocol::Grpc(Generation::V1),
        Protocol::Grpc(Generation::V1alpha1),
        Protocol::Http,
    ]
    .into_iter()
    .filter(|protocol| match protocol {
        Protocol::Grpc(_) => grpc_is_possible && pins.transport != Some(Transport::Http),
        Protocol::Http => pins.transport != Some(Transport::Grpc),
    })
    .filter(|protocol| {
        pins.generation
            .is_none_or(|generation| generation == protocol.generation())
    })
    .collect()
}
