//! The control plane's outages, and which of them are logged: the start of an outage, a reminder a
//! minute, its end; and of a connection that comes and goes every second only now and then one.
//!
//! Pure.

use std::time::{Duration, Instant};

use crate::common::backoff::RateLimit;

/// So many outages are logged at once; after that, one a minute.
const LOGGED_AT_ONCE: u32 = 3;

/// Whether the control plane is there, and what has been logged of that.
#[derive(Debug)]
pub struct Outage {
    /// `None` while the control plane is there.
    since: Option<Instant>,
    /// Whether the connection was given up on purpose, which has been logged.
    is_reloading: bool,
    was_ever_there: bool,
    /// For outages that begin.
    beginnings: RateLimit,
    /// For the failures of an outage.
    failures: RateLimit,
}

/// The end of an outage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovery {
    /// How long it was; `None` for the first connection, where nothing went wrong before.
    pub outage: Option<Duration>,
    /// Whether it is worth a line.
    pub should_log: bool,
}

/// One more failure to connect, or the loss of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// How long the control plane has been away.
    pub lasting: Duration,
    /// Failures that were not logged since the last one that was; `None` where this one is not worth a
    /// line either.
    pub suppressed: Option<u32>,
}

impl Outage {
    /// The control plane has not been there yet.
    pub fn new(start: Instant) -> Self {
        Self {
            since: Some(start),
            is_reloading: false,
            was_ever_there: false,
            beginnings: RateLimit::reminders(LOGGED_AT_ONCE),
            failures: RateLimit::default(),
        }
    }

    /// The connection is given up on purpose, which has been logged. That begins no outage: whether
    /// there is one shows the next attempt.
    pub fn reload(&mut self) {
        self.is_reloading = true;
        // Whoever asked for it wants to know at once whether it helps.
        self.failures.reset();
    }

    /// The control plane is there again.
    pub fn end(&mut self, now: Instant) -> Recovery {
        let was_ever_there = std::mem::replace(&mut self.was_ever_there, true);
        let is_reloading = std::mem::take(&mut self.is_reloading);
        let was_logged = self.failures.end();
        let since = self.since.take();
        Recovery {
            outage: since
                .filter(|_| was_ever_there || was_logged)
                .map(|since| now.saturating_duration_since(since)),
            should_log: was_logged || is_reloading || !was_ever_there,
        }
    }

    /// An attempt failed, or the connection is lost.
    pub fn fail(&mut self, now: Instant) -> Failure {
        let since = *self.since.get_or_insert(now);
        self.is_reloading = false;
        if !self.failures.has_logged() && self.beginnings.take(now) {
            self.failures.reset();
        }
        Failure {
            lasting: now.saturating_duration_since(since),
            suppressed: self.failures.allow(now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Failure, Outage, Recovery};
    use std::time::{Duration, Instant};

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_first_connection_is_logged_and_ends_no_outage() {
        let start = Instant::now();
        let logged = Recovery { outage: None, should_log: true };
        assert_eq!(Outage::new(start).end(start + SECOND), logged);
    }

    #[test]
    fn a_lasting_outage_logs_its_start_a_reminder_a_minute_and_its_end() {
        let start = Instant::now();
        let mut outage = Outage::new(start);
        outage.end(start);
        let logged: Vec<(u64, Option<u32>)> = (0..150)
            .map(|second| (second, outage.fail(start + SECOND * second as u32)))
            .filter(|(_, failure)| failure.suppressed.is_some())
            .map(|(second, failure)| (second, failure.suppressed))
            .collect();
        assert_eq!(logged, [(0, Some(0)), (60, Some(59)), (120, Some(59))]);
        let end = outage.end(start + SECOND * 150);
        assert_eq!(end, Recovery { outage: Some(SECOND * 150), should_log: true });
    }

    #[test]
    fn a_connection_that_comes_and_goes_every_second_is_logged_now_and_then() {
        let start = Instant::now();
        let mut outage = Outage::new(start);
        outage.end(start);
        let mut lines = 0;
        for second in 0..600 {
            let now = start + SECOND * second;
            lines += u32::from(outage.fail(now).suppressed.is_some());
            lines += u32::from(outage.end(now + SECOND / 2).should_log);
        }
        assert_eq!(lines, 2 * (3 + 9), "three at once, then one a minute, each with its end");
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
        assert_eq!(next.suppressed, Some(0));
    }

    #[test]
    fn a_reload_is_no_outage_unless_the_next_attempt_fails() {
        let start = Instant::now();
        let mut outage = Outage::new(start);
        outage.end(start);
        outage.reload();
        let connected = Recovery { outage: None, should_log: true };
        assert_eq!(outage.end(start + 2 * SECOND), connected);
        outage.reload();
        let failed = Failure { lasting: Duration::ZERO, suppressed: Some(0) };
        assert_eq!(outage.fail(start + 4 * SECOND), failed);
        let connected = Recovery { outage: Some(SECOND), should_log: true };
        assert_eq!(outage.end(start + 5 * SECOND), connected);
    }

    #[test]
    fn a_failure_after_a_reload_is_logged_at_once() {
        let start = Instant::now();
        let mut outage = Outage::new(start);
        assert!(outage.fail(start).suppressed.is_some());
        assert!(outage.fail(start + SECOND).suppressed.is_none());
        outage.reload();
        assert!(outage.fail(start + 2 * SECOND).suppressed.is_some());
        assert!(outage.fail(start + 3 * SECOND).suppressed.is_none());
    }

    #[test]
    fn outages_that_are_far_apart_are_all_logged() {
        let start = Instant::now();
        let mut outage = Outage::new(start);
        outage.end(start);
        for minute in 1..20 {
            let now = start + 61 * SECOND * minute;
            let logged = Failure { lasting: Duration::ZERO, suppressed: Some(0) };
            assert_eq!(outage.fail(now), logged);
            assert!(outage.end(now + SECOND).should_log);
        }
    }
}
