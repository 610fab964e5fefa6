//! Watches how often things are tried: a backoff of its own says how long each pause must be.

use std::ops::RangeInclusive;
use std::time::Duration;

use kuma_prometheus_sd::mads::connection::{Action, Event, NetworkAction};
use kuma_prometheus_sd::mads::negotiation::Protocol;
use kuma_prometheus_sd::mads::report::Report;

use super::{Invariant, Verdict};
use crate::control_plane::Sent;
use crate::rng::{milliseconds, seconds};

const CONNECT_LIMIT: Duration = seconds(10);
const FIRST_POLL_LIMIT: Duration = seconds(35);
const RESOLVE_LIMIT: Duration = seconds(15);
const DIAGNOSIS_LIMIT: Duration = seconds(5);
const POLL_INTERVAL: Duration = seconds(1);
const GOOD_STREAM: Duration = seconds(60);

/// How late a thread may wake up.
pub(crate) const LATENESS: Duration = milliseconds(300);

/// What a computation in floating point may be off.
const ROUNDING: Duration = Duration::from_micros(1);

/// Steps of both machines, and wake-ups of their threads, in one second that nothing from outside accounts for, and steps that
/// one event from outside may cause.
const IDLE_STEPS: u32 = 60;
const STEPS_FOR_AN_EVENT: u32 = 6;

/// What counts as one length.
const ONE_MOMENT: Duration = milliseconds(100);

/// The pauses as the design has them: 0.2 s to 2 s, then 1.6 s × 1.6 and so on with ±20 %, never more
/// than 30 s in all.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ExpectedBackoff(u32);

impl ExpectedBackoff {
    pub(crate) fn next_pause(&mut self) -> RangeInclusive<Duration> {
        let base = (0..self.0).fold(1.0, |pause, _| f64::min(pause * 1.6, 30.0));
        let is_first = self.0 == 0;
        self.0 = (self.0 + 1).min(20);
        let pauses = if is_first { [0.2, 2.0] } else { [base * 0.8, f64::min(base * 1.2, 30.0)] };
        let [shortest, longest] = pauses.map(Duration::from_secs_f64);
        shortest.saturating_sub(ROUNDING)..=longest + ROUNDING
    }
}

#[derive(Debug, Default)]
pub(crate) struct PaceWatch {
    backoff: ExpectedBackoff,
    source: Option<Source>,
    /// What is to be found out, since when, and how long that may take.
    question: Option<(&'static str, Duration, Duration)>,
    /// When the machine was asleep last: what was due meanwhile is late.
    woke_up: Duration,
    /// When the attempt failed, and how long the pause must be.
    idle: Option<(Duration, RangeInclusive<Duration>)>,
    /// Whether an attempt is under way, or a source open.
    is_busy: bool,
    /// When the response came that is to be rejected, and how long the pause must be.
    nack: Option<(Duration, RangeInclusive<Duration>)>,
    second: u64,
    steps: u32,
    events: u32,
}

#[derive(Debug)]
struct Source {
    protocol: Protocol,
    opened: Duration,
    /// When it was opened, without the time that the machine has slept since.
    awake_since: Duration,
    ready: Option<Duration>,
    is_connected: bool,
    last_poll: Duration,
}

impl Source {
    /// Whether it has been served for long, and the machine has noticed.
    fn is_good(&self, now: Duration) -> bool {
        self.is_connected && self.ready.is_some_and(|since| now >= since + GOOD_STREAM)
    }
}

impl PaceWatch {
    /// Something reaches a machine from outside.
    pub(crate) fn event_from_outside(&mut self) {
        self.events += 1;
    }

    /// Something reaches the connection, which waits for `deadline`, from outside.
    pub(crate) fn event_before(
        &self,
        now: Duration,
        deadline: Option<Duration>,
        verdict: &mut Verdict,
    ) {
        let due = deadline.map(|deadline| deadline.max(self.woke_up) + LATENESS);
        verdict.require(
            due.is_none_or(|due| now <= due),
            Invariant::DeadlinesHaveTheirTurn,
            || format!("{deadline:?} has passed, and an event is taken in before it"),
        );
    }

    /// A machine takes a step, or a thread wakes up for its deadline.
    pub(crate) fn step(&mut self, now: Duration, verdict: &mut Verdict) {
        if self.second != now.as_secs() {
            self.second = now.as_secs();
            self.steps = 0;
            self.events = 0;
        }
        self.steps += 1;
        verdict.require(
            self.steps <= IDLE_STEPS + STEPS_FOR_AN_EVENT * self.events,
            Invariant::NoBusyLoop,
            || format!("{} steps in a second, {} events", self.steps, self.events),
        );
    }

    /// Something happens to the connection.
    pub(crate) fn event(&mut self, now: Duration, event: &Event, sent: Option<&Sent>) {
        if let Event::Reconnect = event {
            self.backoff = ExpectedBackoff::default();
            self.idle = None;
            self.nack = None;
        }
        let Some(source) = &mut self.source else {
            return;
        };
        match event {
            Event::Ready => source.ready = source.ready.or(Some(now)),
            Event::Response(_) => {
                source.ready = source.ready.or(Some(source.opened));
                if sent.is_some_and(|sent| sent.file.is_some()) {
                    self.backoff = ExpectedBackoff::default();
                    self.nack = None;
                }
            }
            Event::Unchanged => {
                source.ready = source.ready.or(Some(source.opened));
                if now >= source.last_poll + POLL_INTERVAL {
                    self.backoff = ExpectedBackoff::default();
                }
            }
            Event::Ended(_) if source.is_good(now) => self.backoff = ExpectedBackoff::default(),
            _ => {}
        }
    }

    /// Whether the next pause is the first one after health.
    pub(crate) fn is_first_pause(&self) -> bool {
        self.backoff.0 == 0
    }

    /// A new connection was asked for, and nothing is tried for `pause`. Returns whether that is a
    /// pause of its own: one that goes on already may end earlier.
    pub(crate) fn reconnects(
        &mut self,
        now: Duration,
        pause: Duration,
        verdict: &mut Verdict,
    ) -> bool {
        let first = ExpectedBackoff::default().next_pause();
        if !std::mem::take(&mut self.is_busy) {
            paused(pause, Duration::ZERO..=*first.end(), verdict);
            return false;
        }
        paused(pause, first.clone(), verdict);
        self.idle = Some((now, first));
        true
    }

    /// The connection wants something done.
    pub(crate) fn action(&mut self, now: Duration, action: &Action, verdict: &mut Verdict) {
        match action {
            Action::Network(NetworkAction::Diagnose(_)) => {
                self.question = Some(("why a server hung up", now, DIAGNOSIS_LIMIT));
            }
            Action::Network(NetworkAction::Resolve) => {
                self.is_busy = true;
                self.question = Some(("where MADS is", now, RESOLVE_LIMIT));
                if let Some((since, pause)) = self.idle.take() {
                    paused(now - since, *pause.start()..=Duration::MAX, verdict);
                }
            }
            Action::Network(NetworkAction::Open(_, protocol, _)) => {
                self.question = None;
                self.source = Some(Source {
                    protocol: *protocol,
                    opened: now,
                    awake_since: now,
                    ready: None,
                    is_connected: false,
                    last_poll: now,
                });
            }
            Action::Network(NetworkAction::Send(request)) => {
                if request.rejection.is_some()
                    && let Some((since, pause)) = self.nack.take()
                {
                    paused(now - since, *pause.start()..=Duration::MAX, verdict);
                }
                let invariant = if request.rejection.is_some() {
                    Invariant::PollsAfterRejectionsOneSecondApart
                } else {
                    Invariant::PollsOneSecondApart
                };
                self.sent(now, invariant, verdict);
            }
            Action::Network(NetworkAction::Close) => {
                self.question = None;
                self.nack = None;
                // It may also have been given up because its deadline has passed.
                if self.source.take().is_some_and(|source| source.is_good(now)) {
                    self.backoff = ExpectedBackoff::default();
                }
            }
            Action::Report(Report::Disconnected { retry_in, .. }) => {
                self.is_busy = false;
                let pause = self.backoff.next_pause();
                paused(*retry_in, pause.clone(), verdict);
                self.idle = Some((now, pause));
            }
            Action::Report(Report::Rejected { pause, .. }) if self.nack.is_none() => {
                let expected = self.backoff.next_pause();
                // Over HTTP a poll may have to wait for its turn.
                let longest = (*expected.end()).max(POLL_INTERVAL);
                paused(*pause, *expected.start()..=longest, verdict);
                self.nack = Some((now, expected));
            }
            Action::Report(Report::Connected { .. }) => {
                if let Some(source) = &mut self.source {
                    source.is_connected = true;
                }
            }
            Action::HandOver(_) | Action::Report(_) => {}
        }
    }

    fn sent(&mut self, now: Duration, invariant: Invariant, verdict: &mut Verdict) {
        let Some(source) = &mut self.source else {
            return;
        };
        if source.protocol == Protocol::Http {
            verdict.require(now >= source.last_poll + POLL_INTERVAL, invariant, || {
                format!("the last one was {:?} ago", now - source.last_poll)
            });
            source.last_poll = now;
        }
    }

    /// Nothing has happened until `now`.
    pub(crate) fn time_passes(&self, now: Duration, verdict: &mut Verdict) {
        if let Some((what, since, limit)) = self.question {
            verdict.require(now <= since + limit + LATENESS, Invariant::AttemptEndsInTime, || {
                format!("since {since:?} it is asked {what}")
            });
        }
        let Some(source) = &self.source else {
            return;
        };
        let limit = match source.protocol {
            Protocol::Grpc(_) => CONNECT_LIMIT,
            Protocol::Http => FIRST_POLL_LIMIT,
        };
        verdict.require(
            source.ready.is_some() || now <= source.awake_since + limit + LATENESS,
            Invariant::AttemptEndsInTime,
            || format!("open since {:?}", source.opened),
        );
    }

    /// The machine sleeps through `pause`, as on a suspended computer.
    pub(crate) fn sleeps(&mut self, now: Duration, pause: Duration) {
        self.woke_up = now;
        if let Some((_, since, _)) = &mut self.question {
            *since += pause;
        }
        if let Some(source) = &mut self.source {
            source.awake_since += pause;
        }
    }
}

/// Watches whether the daemons of a fleet that all pause from one moment on come back one after
/// another: of `FLEET` first pauses, here of one daemon one after another, no more than `MOST` may be
/// of one length.
#[derive(Debug, Default)]
pub(crate) struct SpreadWatch<const FLEET: usize, const MOST: usize> {
    first_pauses: Vec<Duration>,
}

/// After a lost connection, half may be of one length. That is not the tenth of the real binary's
/// test: the rng give the shortest and the longest pause far more often than chance does, as those
/// are what breaks.
pub(crate) type OutageSpread = SpreadWatch<40, 20>;

/// After SIGHUP, of which a story has about ten, they may not be of one length all.
pub(crate) type ReloadSpread = SpreadWatch<10, 9>;

impl<const FLEET: usize, const MOST: usize> SpreadWatch<FLEET, MOST> {
    pub(crate) fn first_pause(&mut self, pause: Duration, verdict: &mut Verdict) {
        self.first_pauses.push(pause);
        if self.first_pauses.len() < FLEET {
            return;
        }
        let fleet = std::mem::take(&mut self.first_pauses);
        for moment in &fleet {
            let window = *moment..*moment + ONE_MOMENT;
            let returns = fleet.iter().filter(|pause| window.contains(*pause)).count();
            verdict.require(returns <= MOST, Invariant::FleetIsSpread, || {
                format!("{returns} of {FLEET} first pauses are of {moment:?}")
            });
        }
    }
}

fn paused(pause: Duration, expected: RangeInclusive<Duration>, verdict: &mut Verdict) {
    verdict.require(expected.contains(&pause), Invariant::PausesGrow, || {
        format!("{pause:?} is not in {expected:?}")
    });
}
