//! The control plane's absences, and which of them are told: the start of an outage, a reminder a
//! minute, its end; and of a connection that comes and goes every second only now and then one.
//!
//! Pure.

use std::time::{Duration, Instant};

use crate::common::backoff::{Allowance, Reminder};

/// So many outages are told of at once; after that, one a minute.
const TOLD_AT_ONCE: u32 = 3;

/// Whether the control plane is there, and what has been told of that.
#[derive(Debug)]
pub struct Absence {
    /// `None` while the control plane is there.
    since: Option<Instant>,
    /// Whether the present absence has been told of.
    is_told: bool,
    /// Whether the connection was given up on purpose, which has been told.
    is_reloading: bool,
    was_ever_there: bool,
    /// For the outages that are told of when they begin.
    allowance: Allowance,
    last_told: Option<Instant>,
    untold_failures: u32,
}

/// The end of an absence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Return {
    /// How long it was; `None` for the first connection, where nothing went wrong before.
    pub absence: Option<Duration>,
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

impl Absence {
    /// The control plane has not been there yet.
    #[must_use]
    pub fn new(start: Instant) -> Self {
        Self {
            since: Some(start),
            is_told: false,
            is_reloading: false,
            was_ever_there: false,
            allowance: Allowance::new(TOLD_AT_ONCE, Reminder::INTERVAL, start),
            last_told: None,
            untold_failures: 0,
        }
    }

    /// The connection is given up on purpose, which has been told. That begins no absence: whether
    /// there is one shows the next attempt.
    pub fn reload(&mut self) {
        self.is_reloading = true;
        // Whoever asked for it wants to know at once whether it helps.
        self.last_told = None;
    }

    /// The control plane is there again.
    pub fn end(&mut self, now: Instant) -> Return {
        let is_told = self.is_told || self.is_reloading || !self.was_ever_there;
        let absence = self
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
        Return { absence, is_told }
    }

    /// An attempt failed, or the connection is lost.
    pub fn fail(&mut self, now: Instant) -> Failure {
        let since = *self.since.get_or_insert(now);
        self.is_reloading = false;
        let lasting = now.saturating_duration_since(since);
        let is_reminder_due = self
            .last_told
            .is_none_or(|last| now >= last + Reminder::INTERVAL);
        let is_new = !self.is_told && self.allowance.take(now);
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
    use super::{Absence, Failure, Return};
    use std::time::{Duration, Instant};

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_first_connection_is_told_without_an_absence() {
        let start = Instant::now();
        let told = Return {
            absence: None,
            is_told: true,
        };
        assert_eq!(Absence::new(start).end(start + SECOND), told);
    }

    #[test]
    fn a_lasting_outage_tells_its_start_a_reminder_a_minute_and_its_end() {
        let start = Instant::now();
        let mut absence = Absence::new(start);
        absence.end(start);
        let told: Vec<(u64, Option<u32>)> = (0..150)
            .map(|second| (second, absence.fail(start + SECOND * second as u32)))
            .filter(|(_, failure)| failure.held_back.is_some())
            .map(|(second, failure)| (second, failure.held_back))
            .collect();
        assert_eq!(told, [(0, Some(0)), (60, Some(59)), (120, Some(59))]);
        let end = absence.end(start + SECOND * 150);
        assert_eq!(
            end,
            Return {
                absence: Some(SECOND * 150),
                is_told: true
            }
        );
    }

    #[test]
    fn a_connection_that_comes_and_goes_every_second_is_told_now_and_then() {
        let start = Instant::now();
        let mut absence = Absence::new(start);
        absence.end(start);
        let mut lines = 0;
        for second in 0..600 {
            let now = start + SECOND * second;
            lines += u32::from(absence.fail(now).held_back.is_some());
            lines += u32::from(absence.end(now + SECOND / 2).is_told);
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
        let mut absence = Absence::new(start);
        absence.end(start);
        for second in 0..3 {
            absence.fail(start + SECOND * second);
        }
        absence.end(start + 3 * SECOND);
        let next = absence.fail(start + 100 * SECOND);
        assert_eq!(next.held_back, Some(0));
    }

    #[test]
    fn a_reload_is_no_outage_unless_the_next_attempt_fails() {
        let start = Instant::now();
        let mut absence = Absence::new(start);
        absence.end(start);
        absence.reload();
        let connected = Return {
            absence: None,
            is_told: true,
        };
        assert_eq!(absence.end(start + 2 * SECOND), connected);
        absence.reload();
        let failed = Failure {
            lasting: Duration::ZERO,
            held_back: Some(0),
        };
        assert_eq!(absence.fail(start + 4 * SECOND), failed);
        let connected = Return {
            absence: Some(SECOND),
            is_told: true,
        };
        assert_eq!(absence.end(start + 5 * SECOND), connected);
    }

    #[test]
    fn a_failure_after_a_reload_is_told_at_once() {
        let start = Instant::now();
        let mut absence = Absence::new(start);
        assert!(absence.fail(start).held_back.is_some());
        assert!(absence.fail(start + SECOND).held_back.is_none());
        absence.reload();
        assert!(absence.fail(start + 2 * SECOND).held_back.is_some());
        assert!(absence.fail(start + 3 * SECOND).held_back.is_none());
    }

    #[test]
    fn outages_that_are_far_apart_are_all_told() {
        let start = Instant::now();
        let mut absence = Absence::new(start);
        absence.end(start);
        for minute in 1..20 {
            let now = start + 61 * SECOND * minute;
            let told = Failure {
                lasting: Duration::ZERO,
                held_back: Some(0),
            };
            assert_eq!(absence.fail(now), told);
            assert!(absence.end(now + SECOND).is_told);
        }
    }
}
