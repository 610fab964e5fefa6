//! The heartbeat of a thread: before it waits, or does what may block, it sets a deadline for its next
//! sign of life. The watchdog sees whether the deadline is met.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The longest wait without a sign of life, also where there is nothing to wait for.
pub const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// What one event may take: a list rendered, a file flushed, on a slow and busy machine.
const WORK_LIMIT: Duration = Duration::from_secs(10);

/// So many bytes of a response are decoded in a second at least.
const DECODED_A_SECOND: usize = 1 << 20;

/// One thread's deadline, shared with the watchdog.
#[derive(Debug, Clone)]
pub struct Heartbeat {
    start: Instant,
    /// Milliseconds after `start`.
    deadline: Arc<AtomicU64>,
}

impl Heartbeat {
    /// A thread that is about to start.
    #[must_use]
    pub fn new(start: Instant) -> Self {
        let heartbeat = Self { start, deadline: Arc::default() };
        heartbeat.working(start);
        heartbeat
    }

    /// The thread begins to do something that may block.
    pub fn working(&self, now: Instant) {
        self.set_deadline(now + WORK_LIMIT);
    }

    /// The thread begins to decode a response of so many bytes, which nothing but the processor can
    /// hold up.
    pub fn decoding(&self, now: Instant, bytes: usize) {
        let seconds = (bytes / DECODED_A_SECOND) as u64;
        self.set_deadline(now + WORK_LIMIT + Duration::from_secs(seconds));
    }

    /// The thread begins to wait, until `deadline` at the latest; returns when to wake it.
    #[must_use]
    pub fn waiting(&self, now: Instant, deadline: Option<Instant>) -> Instant {
        let longest = now + LONGEST_WAIT;
        let wake_at = deadline.map_or(longest, |deadline| deadline.min(longest));
        self.set_deadline(wake_at.max(now) + WORK_LIMIT);
        wake_at
    }

    /// For how long the thread has been overdue; `None` while it meets its deadline.
    #[must_use]
    pub fn overdue(&self, now: Instant) -> Option<Duration> {
        let deadline = Duration::from_millis(self.deadline.load(Ordering::Relaxed));
        now.saturating_duration_since(self.start).checked_sub(deadline)
    }

    fn set_deadline(&self, deadline: Instant) {
        let milliseconds = deadline.saturating_duration_since(self.start).as_millis();
        let milliseconds = u64::try_from(milliseconds).unwrap_or(u64::MAX);
        self.deadline.store(milliseconds, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::{Heartbeat, LONGEST_WAIT, WORK_LIMIT};
    use std::time::{Duration, Instant};

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_thread_that_works_is_overdue_after_ten_seconds() {
        let start = Instant::now();
        let heartbeat = Heartbeat::new(start);
        assert_eq!(heartbeat.overdue(start + WORK_LIMIT - SECOND), None);
        assert_eq!(heartbeat.overdue(start + WORK_LIMIT + SECOND), Some(SECOND));
        heartbeat.working(start + WORK_LIMIT + SECOND);
        assert_eq!(heartbeat.overdue(start + WORK_LIMIT + SECOND), None);
    }

    #[test]
    fn a_thread_that_decodes_has_a_second_more_for_each_mib() {
        let start = Instant::now();
        let heartbeat = Heartbeat::new(start);
        heartbeat.decoding(start, 200 << 20);
        let limit = WORK_LIMIT + 200 * SECOND;
        assert_eq!(heartbeat.overdue(start + limit - SECOND), None);
        assert_eq!(heartbeat.overdue(start + limit + SECOND), Some(SECOND));
    }

    #[test]
    fn a_thread_that_waits_is_woken_at_its_deadline_or_for_a_sign_of_life() {
        let start = Instant::now();
        let heartbeat = Heartbeat::new(start);
        let rows = [
            (Some(start + SECOND), start + SECOND),
            (Some(start + 2 * LONGEST_WAIT), start + LONGEST_WAIT),
            (None, start + LONGEST_WAIT),
        ];
        for (deadline, wake_at) in rows {
            assert_eq!(heartbeat.waiting(start, deadline), wake_at);
            assert_eq!(heartbeat.overdue(wake_at + WORK_LIMIT - SECOND), None);
            assert!(heartbeat.overdue(wake_at + WORK_LIMIT + SECOND).is_some());
        }
    }

    #[test]
    fn a_deadline_in_the_past_does_not_make_a_thread_overdue() {
        let start = Instant::now();
        let heartbeat = Heartbeat::new(start);
        let now = start + 100 * SECOND;
        let _ = heartbeat.waiting(now, Some(start));
        assert_eq!(heartbeat.overdue(now + SECOND), None);
    }
}
