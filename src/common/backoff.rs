//! How long to wait before a retry, and how often to log the same trouble.
//!
//! Pure.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

/// Pauses that grow by a factor of 1.6 up to 30 s, each with ±20 % of jitter. The first one is
/// spread over 0.2 s to 2 s: a control plane that restarts disconnects all daemons of a fleet at
/// one moment, and they must not come back at one moment.
#[derive(Debug, Clone, Default)]
pub struct Backoff {
    failures: i32,
}

impl Backoff {
    const FIRST_SECONDS: RangeInclusive<f64> = 0.2..=2.0;
    const FACTOR: f64 = 1.6;
    const JITTER: f64 = 0.2;
    const LONGEST_SECONDS: f64 = 30.0;

    /// The pause after one more failure. `random` is in `0.0..1.0`.
    pub fn next_pause(&mut self, random: f64) -> Duration {
        if self.failures == 0 {
            self.failures = 1;
            return Self::first_pause(random);
        }
        let base = Self::FACTOR.powi(self.failures);
        // Beyond the longest pause the base no longer matters; stopping here keeps it finite.
        if base < Self::LONGEST_SECONDS {
            self.failures += 1;
        }
        let jitter = 1.0 + Self::JITTER * (2.0 * random - 1.0);
        let seconds = base.min(Self::LONGEST_SECONDS) * jitter;
        Duration::from_secs_f64(seconds.min(Self::LONGEST_SECONDS))
    }

    /// The pause after a first failure, also for whoever reconnects without one.
    pub fn first_pause(random: f64) -> Duration {
        let (shortest, longest) = Self::FIRST_SECONDS.into_inner();
        Duration::from_secs_f64(shortest + (longest - shortest) * random)
    }

    /// Starts again from the first pause.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

/// Lets so many messages through at once, and after that one in each interval: all of them in
/// ordinary life, and a bounded number in a flood. It counts those that it suppresses.
#[derive(Debug, Clone)]
pub struct RateLimit {
    at_once: u32,
    interval: Duration,
    /// When as many may be logged at once as in the beginning; `None` in the beginning.
    full_at: Option<Instant>,
    /// Messages since the last one that was logged.
    suppressed: u32,
    /// Whether one was logged since the end of what they were about before.
    has_logged: bool,
}

/// One a minute.
impl Default for RateLimit {
    fn default() -> Self {
        Self::reminders(1)
    }
}

impl RateLimit {
    /// Nothing was logged yet. `at_once` is at least 1.
    pub const fn new(at_once: u32, interval: Duration) -> Self {
        Self { at_once, interval, full_at: None, suppressed: 0, has_logged: false }
    }

    /// For messages about what may last: several at once, then one a minute.
    pub const fn reminders(at_once: u32) -> Self {
        Self::new(at_once, Duration::from_secs(60))
    }

    /// One more message: where it may be logged, how many were suppressed since the last one that was.
    pub fn allow(&mut self, now: Instant) -> Option<u32> {
        if self.take(now) {
            return Some(self.log());
        }
        self.suppress();
        None
    }

    /// Whether a message may be logged now; where it may, it is taken to be.
    pub fn take(&mut self, now: Instant) -> bool {
        let full_at = self.full_at.map_or(now, |full_at| full_at.max(now));
        let is_allowed = full_at <= now + self.interval * (self.at_once - 1);
        if is_allowed {
            self.full_at = Some(full_at + self.interval);
        }
        is_allowed
    }

    /// A message is logged in any case. Returns how many were suppressed before it.
    pub fn log(&mut self) -> u32 {
        self.has_logged = true;
        std::mem::take(&mut self.suppressed)
    }

    /// A message is not logged.
    pub fn suppress(&mut self) {
        self.suppressed += 1;
    }

    /// How many messages were suppressed since the last one that was logged.
    pub fn suppressed(&self) -> u32 {
        self.suppressed
    }

    /// Whether a message was logged since the last `end`.
    pub fn has_logged(&self) -> bool {
        self.has_logged
    }

    /// What the messages were about is over. Where one was logged, its end is worth a line, and those
    /// that were suppressed are of no interest any more.
    pub fn end(&mut self) -> bool {
        if self.has_logged {
            self.suppressed = 0;
        }
        std::mem::take(&mut self.has_logged)
    }

    /// Allows the next message at once.
    pub fn reset(&mut self) {
        self.full_at = None;
    }
}

#[cfg(test)]
mod tests {
    use super::{Backoff, RateLimit};
    use std::time::{Duration, Instant};

    #[test]
    fn pauses_grow_by_1_6_and_stay_at_30_seconds() {
        let mut backoff = Backoff::default();
        let pauses: Vec<f64> = (0..9).map(|_| backoff.next_pause(0.5).as_secs_f64()).collect();
        let expected = [1.1, 1.6, 2.56, 4.096, 6.5536, 10.485_76, 16.777_216, 26.843_545_6, 30.0];
        for (pause, expected) in pauses.iter().zip(expected) {
            assert!((pause - expected).abs() < 1e-6, "{pauses:?}");
        }
    }

    #[test]
    fn the_first_pause_is_spread_over_0_2_to_2_seconds() {
        for (random, milliseconds) in [(0.0, 200), (0.5, 1100), (1.0, 2000)] {
            let pause = Duration::from_millis(milliseconds);
            assert_eq!(Backoff::default().next_pause(random), pause);
            assert_eq!(Backoff::first_pause(random), pause);
        }
    }

    #[test]
    fn later_pauses_vary_by_a_fifth_and_never_exceed_30_seconds() {
        let second = |random| {
            let mut backoff = Backoff::default();
            backoff.next_pause(random);
            backoff.next_pause(random)
        };
        assert_eq!(second(0.0), Duration::from_millis(1280));
        assert!(second(0.999_999) <= Duration::from_millis(1920));
        let mut backoff = Backoff::default();
        let longest = (0..1000).map(|_| backoff.next_pause(0.999_999)).max();
        assert_eq!(longest, Some(Duration::from_secs(30)));
    }

    #[test]
    fn a_reset_starts_from_the_first_pause() {
        let mut backoff = Backoff::default();
        backoff.next_pause(0.5);
        backoff.next_pause(0.5);
        backoff.reset();
        assert_eq!(backoff.next_pause(0.5), Duration::from_millis(1100));
    }

    fn allowed(limit: &mut RateLimit, seconds: &[u64]) -> Vec<Option<u32>> {
        let start = Instant::now();
        let allow = |seconds: &u64| limit.allow(start + Duration::from_secs(*seconds));
        seconds.iter().map(allow).collect()
    }

    #[test]
    fn several_messages_are_allowed_at_once_and_then_one_in_each_interval() {
        let mut limit = RateLimit::new(2, Duration::from_secs(10));
        let seconds = [100, 101, 102, 109, 110, 111, 120, 200, 201, 202];
        let expected =
            [Some(0), Some(0), None, None, Some(2), None, Some(1), Some(0), Some(0), None];
        assert_eq!(allowed(&mut limit, &seconds), expected);
    }

    #[test]
    fn a_reminder_is_allowed_once_a_minute_and_says_how_many_were_suppressed() {
        let mut limit = RateLimit::reminders(1);
        let expected = [Some(0), None, None, Some(2), None];
        assert_eq!(allowed(&mut limit, &[0, 1, 59, 60, 119]), expected);
    }

    #[test]
    fn an_end_is_worth_a_line_where_a_message_was_logged() {
        let mut limit = RateLimit::reminders(1);
        assert!(!limit.end());
        assert_eq!(allowed(&mut limit, &[0, 1]), [Some(0), None]);
        assert!(limit.end());
        assert_eq!(limit.suppressed(), 0);
        limit.suppress();
        assert!(!limit.end(), "nothing was logged since");
        assert_eq!(limit.log(), 1, "so it is still counted");
    }

    #[test]
    fn a_reset_allows_the_next_message() {
        let mut limit = RateLimit::reminders(1);
        let now = Instant::now();
        assert_eq!(limit.allow(now), Some(0));
        assert_eq!(limit.allow(now), None);
        limit.reset();
        assert_eq!(limit.allow(now), Some(1));
        assert_eq!(limit.allow(now), None);
    }
}
