//! How long to wait before a retry, and how often to speak of the same trouble.
//!
//! Pure. Both state machines use it: a control plane that is away and a disk that is full deserve
//! the same patience.

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
    #[must_use]
    pub fn first_pause(random: f64) -> Duration {
        let (shortest, longest) = Self::FIRST_SECONDS.into_inner();
        Duration::from_secs_f64(shortest + (longest - shortest) * random)
    }

    /// Starts again from the first pause.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

/// Lets a message through at most once a minute, and counts what it held back.
#[derive(Debug, Clone, Default)]
pub struct Reminder {
    next: Option<Instant>,
    held_back: u32,
}

impl Reminder {
    /// The shortest time between two messages about one trouble.
    pub const INTERVAL: Duration = Duration::from_secs(60);

    /// How many messages were held back since the last one, where one may be given now.
    pub fn due(&mut self, now: Instant) -> Option<u32> {
        if self.next.is_some_and(|next| now < next) {
            self.held_back += 1;
            return None;
        }
        self.next = Some(now + Self::INTERVAL);
        Some(std::mem::take(&mut self.held_back))
    }

    /// What it is about is over, and so is the count; the next message waits for its turn all the same.
    pub fn forget(&mut self) {
        self.held_back = 0;
    }
}

/// Lets so many messages through at once, and after that one in each interval: all of them in
/// ordinary life, and a bounded number in a flood.
#[derive(Debug, Clone)]
pub struct RateLimit {
    at_once: u32,
    interval: Duration,
    left: u32,
    /// Since when the next one is being earned.
    earning_since: Instant,
}

impl RateLimit {
    /// All of it is left.
    #[must_use]
    pub fn new(at_once: u32, interval: Duration, start: Instant) -> Self {
        Self {
            at_once,
            interval,
            left: at_once,
            earning_since: start,
        }
    }

    /// Takes one, where there is one left.
    pub fn take(&mut self, now: Instant) -> bool {
        while self.left < self.at_once && now >= self.earning_since + self.interval {
            self.left += 1;
            self.earning_since += self.interval;
        }
        if self.left == self.at_once {
            self.earning_since = now;
        }
        let is_left = self.left > 0;
        self.left -= u32::from(is_left);
        is_left
    }
}

#[cfg(test)]
mod tests {
    use super::{Backoff, RateLimit, Reminder};
    use std::time::{Duration, Instant};

    #[test]
    fn pauses_grow_by_1_6_and_stay_at_30_seconds() {
        let mut backoff = Backoff::default();
        let pauses: Vec<f64> = (0..9)
            .map(|_| backoff.next_pause(0.5).as_secs_f64())
            .collect();
        let expected = [
            1.1,
            1.6,
            2.56,
            4.096,
            6.5536,
            10.485_76,
            16.777_216,
            26.843_545_6,
            30.0,
        ];
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

    #[test]
    fn an_allowance_is_spent_at_once_and_earned_one_by_one() {
        let start = Instant::now();
        let mut rate_limit = RateLimit::new(2, Duration::from_secs(10), start);
        let mut taken_at = |seconds| rate_limit.take(start + Duration::from_secs(seconds));
        let taken: Vec<bool> = [100, 101, 102, 109, 110, 111, 120, 200, 201, 202]
            .map(&mut taken_at)
            .to_vec();
        let expected = [
            true, true, false, false, true, false, true, true, true, false,
        ];
        assert_eq!(taken, expected);
    }

    #[test]
    fn a_reminder_speaks_once_a_minute_and_counts_the_rest() {
        let start = Instant::now();
        let mut reminder = Reminder::default();
        assert_eq!(reminder.due(start), Some(0));
        assert_eq!(reminder.due(start + Duration::from_secs(1)), None);
        assert_eq!(reminder.due(start + Duration::from_secs(59)), None);
        assert_eq!(reminder.due(start + Duration::from_secs(60)), Some(2));
        assert_eq!(reminder.due(start + Duration::from_secs(119)), None);
    }
}
