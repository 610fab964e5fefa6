//! The pace of long polling over HTTP: how long the control plane may hold a poll for which it has
//! nothing new, and how far apart polls start.
//!
//! Pure. The connection asks; the HTTP source puts the hold into the URL of a poll.

use std::time::{Duration, Instant};

/// The hold of a connection's first poll: so soon is it known that the server serves MADS, also
/// where it has nothing new.
pub const FIRST_HOLD: Duration = Duration::from_secs(1);

/// The hold of all later polls. Proxies and load balancers cut requests that are silent for longer
/// than their limit, which is 15 s in Envoy unless configured otherwise. It also bounds how late
/// Kuma from 2.7 on sends a new MeshMetric, as that does not end a hold.
const LATER_HOLD: Duration = Duration::from_secs(10);

/// A proxy with the same limit cuts a poll a little after its hold, by our clock: the request has to
/// reach it.
const CUT_SLACK: Duration = Duration::from_millis(500);

/// Polls start at least this far apart.
pub const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// So far apart are polls that are answered at once with the same list again and again.
const LONGEST_INTERVAL: Duration = Duration::from_secs(10);

/// So many equal lists in a row may be chance, such as a control plane that was restarted.
const EQUAL_LISTS: u32 = 3;

/// The polls of one connection.
#[derive(Debug)]
pub struct PollSchedule {
    /// When the poll that is under way, or was the last one, started.
    pub started: Instant,
    /// For how long the control plane may hold it.
    hold: Duration,
    /// For how long it may hold the next ones.
    later_hold: Duration,
    /// Whether the last answer with a list was accepted.
    has_list: bool,
    /// How many equal lists have come after that one.
    equal_lists: u32,
}

impl PollSchedule {
    /// The first poll of a connection starts.
    pub fn new(now: Instant) -> Self {
        Self {
            started: now,
            hold: FIRST_HOLD,
            later_hold: LATER_HOLD,
            has_list: false,
            equal_lists: 0,
        }
    }

    /// The next poll starts; for so long the control plane may hold it.
    pub fn start(&mut self, now: Instant) -> Duration {
        self.started = now;
        self.hold = self.later_hold;
        self.hold
    }

    /// For how long the last poll has been under way.
    pub fn elapsed(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.started)
    }

    /// When the next poll may start, at `now` or later.
    pub fn next(&self, now: Instant) -> Instant {
        now.max(self.started + self.interval())
    }

    /// A list was accepted. Behind a load balancer each replica of a control plane has the same
    /// list under a version of its own, and answers each poll at once.
    pub fn accepted(&mut self, is_unchanged: bool) {
        self.equal_lists =
            if is_unchanged && self.has_list { self.equal_lists.saturating_add(1) } else { 0 };
        self.has_list = true;
    }

    /// The control plane has held the poll, or says that there is nothing new.
    pub fn unchanged(&mut self) {
        self.equal_lists = 0;
    }

    /// A list was rejected, so the next one will be another one.
    pub fn rejected(&mut self) {
        self.has_list = false;
        self.equal_lists = 0;
    }

    /// Whether status 408 or 504 at `now` means that a proxy has cut a poll for which the control
    /// plane had nothing new; then the next ones ask for a hold that the proxy allows. Later than the
    /// whole hold it means that the control plane did not answer.
    pub fn is_cut_by_proxy(&mut self, now: Instant) -> bool {
        let elapsed = self.elapsed(now);
        let is_cut = (FIRST_HOLD..self.hold + CUT_SLACK).contains(&elapsed);
        if is_cut {
            let margin = FIRST_HOLD;
            self.later_hold = elapsed.saturating_sub(margin).max(FIRST_HOLD);
        }
        is_cut
    }

    fn interval(&self) -> Duration {
        let doublings = self.equal_lists.saturating_sub(EQUAL_LISTS - 1).min(8);
        (POLL_INTERVAL * 2_u32.pow(doublings)).min(LONGEST_INTERVAL)
    }
}

#[cfg(test)]
mod tests {
    use super::{FIRST_HOLD, PollSchedule};
    use std::time::{Duration, Instant};

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn equal_lists_in_a_row_slow_polls_down_and_any_other_answer_brings_1_second_back() {
        let start = Instant::now();
        let mut polls = PollSchedule::new(start);
        let mut interval_after = |is_unchanged| {
            polls.accepted(is_unchanged);
            (polls.next(start) - start).as_secs()
        };
        // The first one may be the last connection's.
        let intervals = [true, true, true, true, true, true, true, true, false, false, true]
            .map(&mut interval_after);
        assert_eq!(intervals, [1, 1, 1, 2, 4, 8, 10, 10, 1, 1, 1]);
        for other_answer in [PollSchedule::rejected, PollSchedule::unchanged] {
            for _ in 0..4 {
                polls.accepted(true);
            }
            other_answer(&mut polls);
            assert_eq!(polls.next(start), start + SECOND);
        }
    }

    #[test]
    fn a_poll_that_was_held_for_longer_than_the_interval_is_followed_at_once() {
        let start = Instant::now();
        let polls = PollSchedule::new(start);
        assert_eq!(polls.next(start), start + SECOND);
        assert_eq!(polls.next(start + 7 * SECOND), start + 7 * SECOND);
    }

    #[test]
    fn a_poll_that_a_proxy_cuts_shortens_the_next_holds_and_is_no_outage() {
        let milliseconds = Duration::from_millis;
        let rows = [
            ("at once", milliseconds(10), false, 10 * SECOND),
            ("within the hold", milliseconds(5000), true, 4 * SECOND),
            ("soon", milliseconds(1200), true, FIRST_HOLD),
            ("by a proxy with the same limit", milliseconds(10_100), true, milliseconds(9100)),
            ("after the whole hold", milliseconds(10_600), false, 10 * SECOND),
        ];
        for (what, elapsed, is_cut, later_hold) in rows {
            let start = Instant::now();
            let mut polls = PollSchedule::new(start);
            assert_eq!(polls.start(start), 10 * SECOND);
            assert_eq!(polls.is_cut_by_proxy(start + elapsed), is_cut, "{what}");
            assert_eq!(polls.start(start), later_hold, "{what}");
        }
    }

    #[test]
    fn a_proxy_that_cuts_a_shortened_hold_too_hides_a_control_plane_that_does_not_answer() {
        let start = Instant::now();
        let mut polls = PollSchedule::new(start);
        polls.start(start);
        assert!(polls.is_cut_by_proxy(start + 5 * SECOND));
        polls.start(start);
        assert!(!polls.is_cut_by_proxy(start + 5 * SECOND));
    }
}
