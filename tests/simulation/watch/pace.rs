//! Watches how often things are tried: a backoff of its own says how long each pause must be.

use std::ops::RangeInclusive;
use std::time::Duration;

use kuma_prometheus_sd::connection::{Action, Event};
use kuma_prometheus_sd::negotiation::Protocol;
use kuma_prometheus_sd::report::Report;

use super::{Invariant, Verdict};
use crate::control_plane::Sent;
use crate::dice::{milliseconds, seconds};

const CONNECT_LIMIT: Duration = seconds(10);
const POLL_INTERVAL: Duration = seconds(1);
const GOOD_STREAM: Duration = seconds(60);

/// How late a thread may wake up.
pub(crate) const LATENESS: Duration = milliseconds(300);

/// What a computation in floating point may be off.
const ROUNDING: Duration = Duration::from_micros(1);

/// Steps of both machines in one second that nothing from outside accounts for, and steps that
/// one event from outside may cause.
const IDLE_STEPS: u32 = 60;
const STEPS_FOR_AN_EVENT: u32 = 6;

/// The pauses as the design has them: 1 s × 1.6 with ±20 %, never more than 30 s in all.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ExpectedBackoff(u32);

impl ExpectedBackoff {
    pub(crate) fn next_pause(&mut self) -> RangeInclusive<Duration> {
        let base = (0..self.0).fold(1.0, |pause, _| f64::min(pause * 1.6, 30.0));
        self.0 = (self.0 + 1).min(20);
        let longest = f64::min(base * 1.2, 30.0);
        let [shortest, longest] = [base * 0.8, longest].map(Duration::from_secs_f64);
        shortest.saturating_sub(ROUNDING)..=longest + ROUNDING
    }
}

#[derive(Debug, Default)]
pub(crate) struct PaceWatch {
    backoff: ExpectedBackoff,
    source: Option<Source>,
    /// When the attempt failed, and how long the pause must be.
    idle: Option<(Duration, RangeInclusive<Duration>)>,
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

    /// A machine takes a step.
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

    /// The connection is told of an event.
    pub(crate) fn event(&mut self, now: Duration, event: &Event, sent: Option<&Sent>) {
        if let Event::HangUp = event {
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

    /// The connection wants something done.
    pub(crate) fn action(&mut self, now: Duration, action: &Action, verdict: &mut Verdict) {
        match action {
            Action::Resolve => {
                if let Some((since, pause)) = self.idle.take() {
                    paused(now - since, *pause.start()..=Duration::MAX, verdict);
                }
            }
            Action::Open(_, protocol, _) => {
                self.source = Some(Source {
                    protocol: *protocol,
                    opened: now,
                    awake_since: now,
                    ready: None,
                    is_connected: false,
                    last_poll: now,
                });
            }
            Action::Send(request) => {
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
            Action::Close => {
                self.source = None;
                self.nack = None;
            }
            Action::Report(Report::Trouble { retry_in, .. }) => {
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
            Action::HandOver(_) | Action::Diagnose(_) | Action::Report(_) => {}
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
        let Some(source) = &self.source else {
            return;
        };
        verdict.require(
            source.protocol == Protocol::Http
                || source.ready.is_some()
                || now <= source.awake_since + CONNECT_LIMIT + LATENESS,
            Invariant::AttemptEndsInTime,
            || format!("open since {:?}", source.opened),
        );
    }

    /// The machine sleeps through `pause`, as on a suspended computer.
    pub(crate) fn sleeps(&mut self, pause: Duration) {
        if let Some(source) = &mut self.source {
            source.awake_since += pause;
        }
    }
}

fn paused(pause: Duration, expected: RangeInclusive<Duration>, verdict: &mut Verdict) {
    verdict.require(expected.contains(&pause), Invariant::PausesGrow, || {
        format!("{pause:?} is not in {expected:?}")
    });
}
