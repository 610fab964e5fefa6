//! The main thread's look at the others: whether they keep their word, and the words where one does
//! not.

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::common::backoff::Reminder;
use crate::common::heartbeat::Pulse;
use crate::common::wording::Rounded;

/// Looks whether the threads keep their word, and tells where one does not.
pub struct Watch {
    /// The receiver's word.
    pub receiver: Pulse,
    /// The writer's word.
    pub writer: Pulse,
    output: PathBuf,
    reminder: Reminder,
    is_told: bool,
}

impl Watch {
    /// For threads that are about to start; the writer's is to write `output`.
    #[must_use]
    pub fn new(start: Instant, output: &Path) -> Self {
        Self {
            receiver: Pulse::new(start),
            writer: Pulse::new(start),
            output: output.to_owned(),
            reminder: Reminder::default(),
            is_told: false,
        }
    }

    /// Says whether all threads keep their word.
    pub fn look(&mut self, now: Instant) -> bool {
        let hang = match (self.writer.overdue(now), self.receiver.overdue(now)) {
            (Some(overdue), _) => format!(
                "the writer thread is {} late; does the file system of {} hang?",
                Rounded(overdue),
                self.output.display()
            ),
            (None, Some(overdue)) => {
                format!(
                    "the receiver thread is {} late; is the machine starved?",
                    Rounded(overdue)
                )
            }
            (None, None) => {
                if std::mem::take(&mut self.is_told) {
                    log::warn!("all threads are responsive again");
                }
                return true;
            }
        };
        if self.reminder.due(now).is_some() {
            self.is_told = true;
            log::error!("{hang}");
        }
        false
    }
}
