//! The main thread's watchdog over the others: whether they meet the deadlines of their heartbeats, and
//! what is logged where one does not.

use std::path::{Path, PathBuf};
use std::time::Instant;

use log::Level;

use crate::common::backoff::RateLimit;
use crate::common::fields::{seconds, text};
use crate::common::heartbeat::Heartbeat;
use crate::common::logging;
use crate::common::wording::Rounded;

/// Looks whether the threads meet their deadlines, and logs where one does not.
pub(super) struct Watchdog {
    /// Of the receiver.
    pub receiver: Heartbeat,
    /// Of the writer.
    pub writer: Heartbeat,
    output: PathBuf,
    reminders: RateLimit,
}

impl Watchdog {
    /// For threads that are about to start; the writer's is to write `output`.
    pub(super) fn new(start: Instant, output: &Path) -> Self {
        Self {
            receiver: Heartbeat::new(start),
            writer: Heartbeat::new(start),
            output: output.to_owned(),
            reminders: RateLimit::default(),
        }
    }

    /// Whether all threads meet their deadlines.
    pub(super) fn look(&mut self, now: Instant) -> bool {
        let (thread, overdue, hang) = match (self.writer.overdue(now), self.receiver.overdue(now)) {
            (Some(overdue), _) => (
                "writer",
                overdue,
                format!(
                    "the writer thread is {} late; does the file system of {} hang?",
                    Rounded(overdue),
                    self.output.display()
                ),
            ),
            (None, Some(overdue)) => (
                "receiver",
                overdue,
                format!(
                    "the receiver thread is {} late; is the machine starved?",
                    Rounded(overdue)
                ),
            ),
            (None, None) => {
                if self.reminders.end() {
                    log::warn!("all threads are responsive again");
                }
                return true;
            }
        };
        if self.reminders.allow(now).is_some() {
            let fields = [text("thread", thread), seconds("late_seconds", overdue)];
            logging::log(Level::Error, &fields, format_args!("{hang}"));
        }
        false
    }
}
