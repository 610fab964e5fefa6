//! The control plane's outages, and which of them are told: the start of an outage, a reminder a
//! minute, its end; and of a connection that comes and goes every second only now and then one.
//!
//! Pure.

use std::time::{Duration, Instant};

use crate::common::backoff::{RateLimit, Reminder};

/// So many outages are told of at once; after that, one a minute.
const TOLD_AT_ONCE: u32 = 3;

/// Whether the control plane is there, and what has been told of that.
#[derive(Debug)]
pub struct Outage {
    /// `None` while the control plane is there.
    since: Option<Instant>,
    /// Whether the present outage has been told of.
    is_told: bool,
    /// Whether the connection was given up on purpose, which has been told.
    is_reloading: bool,
    was_ever_there: bool,
    /// For the outages that are told of when they begin.
    rate_limit: RateLimit,
    last_told: Option<Instant>,
    untold_failures: u32,
}

/// The end of an outage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovery {
    /// How long it was; `None` for the first connection, where nothing went wrong before.
    pub outage: Option<Duration>,
    /// Whether it is worth a line.
    pub is_told: bool,
}

/// One more failure to connect, or the loss of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// How long the control plane has been away.
    pub lasting: Duration,
    /// Failures that were not told of since the last one that was; `None` where this one is not
    /// worth a line either.
    pub held_back: Option<u32>,
}

impl Outage {
    /// The control plane has not been there yet.
    #[must_use]
    pub fn new(start: Instant) -> Self {
        Self {
            since: Some(start),
            is_told: false,
            is_reloading: false,
            was_ever_there: false,
            rate_limit: RateLimit::new(TOLD_AT_ONCE, Reminder::INTERVAL, start),
            last_told: None,
            untold_failures: 0,
        }
    }

    /// The connection is given up on purpose, which has been told. That begins no outage: whether
    /// there is one shows the next attempt.
    pub fn reload(&mut self) {
        self.is_reloading = true;
        // Whoever asked for it wants to know at once whether it helps.
        self.last_told = None;
    }

    /// The control plane is there again.
    pub fn end(&mut self, now: Instant) -> Recovery {
        let is_told = self.is_told || self.is_reloading || !self.was_ever_there;
        let outage = self
            .since
            .take()
            .filter(|_| self.was_ever_there || self.is_told)
            .map(|since| now.saturating_duration_since(since));
        if is_told {
            self.untold_failures = 0;
        }
        self.was_ever_there = true;
        self.is_told = false;
        self.is_reloading = false;
        Recovery { outage, is_told }
    }

    /// An attempt failed, or the connection is lost.
    pub fn fail(&mut self, now: Instant) -> Failure {
        let since = *self.since.get_or_insert(now);
        self.is_reloading = false;
        let lasting = now.saturating_duration_since(since);
        let is_reminder_due = self
            .last_told
            .is_none_or(|last| now >= last + Reminder::INTERVAL);
        let is_new = !self.is_told && self.rate_limit.take(now);
        let is_worth_a_line = is_new || is_reminder_due;
        if !is_worth_a_line {
            self.untold_failures += 1;
            return Failure {
                lasting,
                held_back: None,
            };
        }
        self.is_told = true;
        self.last_told = Some(now);
        Failure {
            lasting,
            held_back: Some(std::mem::take(&mut self.untold_failures)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Failure, Outage, Recovery};
    use std::time::{Duration, Instant};

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_first_connection_is_told_without_an_absence() {
        let start = Instant::now();
        let told = Recovery {
            outage: None,
            is_told: true,
        };
        assert_eq!(Outage::new(start).end(start + SECOND), told);
    }

    #[test]
    fn a_lasting_outage_tells_its_start_a_reminder_a_minute_and_its_end() {
        let start = Instant::now();
        let mut outage = Outage::new(start);
        outage.end(start);
        let told: Vec<(u64, Option<u32>)> = (0..150)
            .map(|second| (second, outage.fail(start + SECOND * second as u32)))
            .filter(|(_, failure)| failure.held_back.is_some())
            .map(|(second, failure)| (second, failure.held_back))
            .collect();
        assert_eq!(told, [(0, Some(0)), (60, Some(59)), (120, Some(59))]);
        let end = outage.end(start + SECOND * 150);
        assert_eq!(
            end,
            Recovery {
                outage: Some(SECOND * 150),
                is_told: true
            }
        );
    }

    #[test]
    fn a_connection_that_comes_and_goes_every_second_is_told_now_and_then() {
        let start = Instant::now();
        let mut outage = Outage::new(start);
        outage.end(start);
        let mut lines = 0;
        for second in 0..600 {
            let now = start + SECOND * second;
            lines += u32::from(outage.fail(now).held_back.is_some());
            lines += u32::from(outage.end(now + SECOND / 2).is_told);
        }
        assert_eq!(
            lines,
            2 * (3 + 9),
            "three at once, then one a minute, each with its end"
        );
    }

    #[test]
    fn failures_of_an_outage_that_is_over_are_not_counted_in_the_next_one() {
        let start = Instant::now();
        let mut outage = Outage::new(start);
        outage.end(start);
        for second in 0..3 {
            outage.fail(start + SECOND * second);
        }
        outage.end(start + 3 * SECOND);
        let next = outage.fail(start + 100 * SECOND);
        assert_eq!(next.held_back, Some(0));
    }

    #[test]
    fn a_reload_is_no_outage_unless_the_next_attempt_fails() {
        let start = Instant::now();
        let mut outage = Outage::new(start);
        outage.end(start);
        outage.reload();
        let connected = Recovery {
            outage: None,
            is_told: true,
        };
        assert_eq!(outage.end(start + 2 * SECOND), connected);
        outage.reload();
        let failed = Failure {
            lasting: Duration::ZERO,
            held_back: Some(0),
        };
        assert_eq!(outage.fail(start + 4 * SECOND), failed);
        let connected = Recovery {
            outage: Some(SECOND),
            is_told: true,
        };
        assert_eq!(outage.end(start + 5 * SECOND), connected);
    }

    #[test]
    fn a_failure_after_a_reload_is_told_at_once() {
        let start = Instant::now();
        let mut outage = Outage::new(start);
        assert!(outage.fail(start).held_back.is_some());
        assert!(outage.fail(start + SECOND).held_back.is_none());
        outage.reload();
        assert!(outage.fail(start + 2 * SECOND).held_back.is_some());
        assert!(outage.fail(start + 3 * SECOND).held_back.is_none());
    }

    #[test]
    fn outages_that_are_far_apart_are_all_told() {
        let start = Instant::now();
        let mut outage = Outage::new(start);
        outage.end(start);
        for minute in 1..20 {
            let now = start + 61 * SECOND * minute;
            let told = Failure {
                lasting: Duration::ZERO,
                held_back: Some(0),
            };
            assert_eq!(outage.fail(now), told);
            assert!(outage.end(now + SECOND).is_told);
        }
    }
}
