//! Whether a thread keeps its word: before it waits, or does what may block, it says by when it
//! will be back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The longest wait without a sign of life, also where there is nothing to wait for.
pub const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// What one event may take: a list rendered, a file flushed, on a slow and busy machine.
const WORK_LIMIT: Duration = Duration::from_secs(10);

/// So many bytes of a response are decoded in a second at least.
const DECODED_A_SECOND: usize = 1 << 20;

/// One thread's word, shared with whoever watches it.
#[derive(Debug, Clone)]
pub struct Pulse {
    start: Instant,
    /// Milliseconds after `start`.
    back_by: Arc<AtomicU64>,
}

impl Pulse {
    /// A thread that is about to start.
    #[must_use]
    pub fn new(start: Instant) -> Self {
        let pulse = Self {
            start,
            back_by: Arc::default(),
        };
        pulse.working(start);
        pulse
    }

    /// The thread begins to do something that may block.
    pub fn working(&self, now: Instant) {
        self.promise(now + WORK_LIMIT);
    }

    /// The thread begins to decode a response of so many bytes, which nothing but the processor can
    /// hold up.
    pub fn decoding(&self, now: Instant, bytes: usize) {
        let seconds = (bytes / DECODED_A_SECOND) as u64;
        self.promise(now + WORK_LIMIT + Duration::from_secs(seconds));
    }

    /// The thread begins to wait, until `deadline` at the latest; returns when to wake it.
    #[must_use]
    pub fn waiting(&self, now: Instant, deadline: Option<Instant>) -> Instant {
        let longest = now + LONGEST_WAIT;
        let wake_at = deadline.map_or(longest, |deadline| deadline.min(longest));
        self.promise(wake_at.max(now) + WORK_LIMIT);
        wake_at
    }

    /// For how long the thread has been overdue; `None` while it keeps its word.
    #[must_use]
    pub fn overdue(&self, now: Instant) -> Option<Duration> {
        let back_by = Duration::from_millis(self.back_by.load(Ordering::Relaxed));
        now.saturating_duration_since(self.start)
            .checked_sub(back_by)
    }

    fn promise(&self, back_by: Instant) {
        let milliseconds = back_by.saturating_duration_since(self.start).as_millis();
        let milliseconds = u64::try_from(milliseconds).unwrap_or(u64::MAX);
        self.back_by.store(milliseconds, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::{LONGEST_WAIT, Pulse, WORK_LIMIT};
    use std::time::{Duration, Instant};

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_thread_that_works_is_overdue_after_ten_seconds() {
        let start = Instant::now();
        let pulse = Pulse::new(start);
        assert_eq!(pulse.overdue(start + WORK_LIMIT - SECOND), None);
        assert_eq!(pulse.overdue(start + WORK_LIMIT + SECOND), Some(SECOND));
        pulse.working(start + WORK_LIMIT + SECOND);
        assert_eq!(pulse.overdue(start + WORK_LIMIT + SECOND), None);
    }

    #[test]
    fn a_thread_that_decodes_has_a_second_more_for_each_mib() {
        let start = Instant::now();
        let pulse = Pulse::new(start);
        pulse.decoding(start, 200 << 20);
        let limit = WORK_LIMIT + 200 * SECOND;
        assert_eq!(pulse.overdue(start + limit - SECOND), None);
        assert_eq!(pulse.overdue(start + limit + SECOND), Some(SECOND));
    }

    #[test]
    fn a_thread_that_waits_is_woken_at_its_deadline_or_for_a_sign_of_life() {
        let start = Instant::now();
        let pulse = Pulse::new(start);
        let rows = [
            (Some(start + SECOND), start + SECOND),
            (Some(start + 2 * LONGEST_WAIT), start + LONGEST_WAIT),
            (None, start + LONGEST_WAIT),
        ];
        for (deadline, wake_at) in rows {
            assert_eq!(pulse.waiting(start, deadline), wake_at);
            assert_eq!(pulse.overdue(wake_at + WORK_LIMIT - SECOND), None);
            assert!(pulse.overdue(wake_at + WORK_LIMIT + SECOND).is_some());
        }
    }

    #[test]
    fn a_deadline_in_the_past_is_no_broken_word() {
        let start = Instant::now();
        let pulse = Pulse::new(start);
        let now = start + 100 * SECOND;
        let _ = pulse.waiting(now, Some(start));
        assert_eq!(pulse.overdue(now + SECOND), None);
    }
}
