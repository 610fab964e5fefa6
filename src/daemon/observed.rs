//! What is known of the daemon from outside its threads: the status, the metrics, the list, and what
//! was last logged.
//!
//! The receiver and the writer send what they observe, and wait for nobody. The main thread takes it in;
//! the listener reads it.

use std::collections::VecDeque;
use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use log::Level;

use crate::common::wording::Targets;
use crate::daemon::metrics::Metrics;
use crate::daemon::status::Status;
use crate::mads;
use crate::output::report::Report;
use crate::snapshot::Snapshot;

/// So many events are kept, and so many errors.
const KEPT: usize = 10;

/// What a thread observes.
#[derive(Debug)]
pub(super) enum Observation {
    /// The connection reports something.
    Connection(mads::report::Report),
    /// A list was accepted.
    List(Arc<Snapshot>),
    /// The output reports something.
    Output(Report),
    /// An attempt to write the file, or to flush what was written, ended.
    Replaced {
        /// How many bytes it was to have.
        bytes: usize,
        /// How long that took.
        took: Duration,
        /// Whether they are in the file, on disk.
        is_success: bool,
    },
}

/// Something that was logged.
#[derive(Debug, Clone)]
pub(super) struct Logged {
    /// When.
    pub time: Timestamp,
    /// How important it is.
    pub level: Level,
    /// The message.
    pub message: String,
}

/// All that is known.
#[derive(Debug, Clone)]
pub(super) struct Observed {
    /// How the daemon is doing.
    pub status: Status,
    /// What was counted.
    pub metrics: Metrics,
    /// The path of the file.
    pub output: String,
    /// The last accepted list; `None` before the first.
    pub list: Option<Arc<Snapshot>>,
    /// When the file was last written, and what that has changed.
    pub last_change: Option<(Timestamp, String)>,
    /// What was last logged of the connection and the file, the newest first.
    pub events: VecDeque<Logged>,
    /// The warnings and errors among what was logged, the newest first.
    pub errors: VecDeque<Logged>,
}

/// The same, shared by the main thread and the listener.
#[derive(Debug, Clone)]
pub(super) struct SharedObserved(Arc<Mutex<Observed>>);

impl SharedObserved {
    /// Of a daemon that starts at `start` and is to follow `address` and to write `output`.
    #[must_use]
    pub(super) fn new(address: String, output: String, start: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(Observed {
            status: Status::new(address, start),
            metrics: Metrics::new(start),
            output,
            list: None,
            last_change: None,
            events: VecDeque::new(),
            errors: VecDeque::new(),
        })))
    }

    /// Takes in what threads observed until now.
    pub(super) fn take(&self, observations: impl Iterator<Item = Observation>) {
        let mut observed = self.lock();
        observations.for_each(|observation| observed.take(Timestamp::now(), observation));
    }

    /// How the daemon is doing, in one line.
    #[must_use]
    pub(super) fn status(&self) -> String {
        self.lock().status.to_string()
    }

    /// To read or change it; whoever holds it does nothing that waits.
    pub(super) fn lock(&self) -> MutexGuard<'_, Observed> {
        // Whoever panicked has left each value whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observed {
    /// Takes in what a thread observed at `now`.
    pub(super) fn take(&mut self, now: Timestamp, observation: Observation) {
        match observation {
            Observation::Connection(report) => {
                self.metrics.connection(now, &report);
                self.keep(now, report.level(), &report);
                self.status.connection(now, &report);
            }
            Observation::Output(report) => {
                if let Report::Written { targets, changes, .. } = &report {
                    let targets = Targets(*targets);
                    self.last_change = Some((now, format!("wrote {targets}: {changes}")));
                }
                self.keep(now, report.level(), &report);
                self.status.output(now, &report);
            }
            Observation::List(list) => {
                // Where nothing has changed, the decoder has handed over the same list again.
                let last = self.list.as_ref();
                let is_changed = last.is_none_or(|last| !Arc::ptr_eq(last, &list));
                self.metrics.list(now, list.groups(), is_changed);
                self.list = Some(list);
            }
            Observation::Replaced { bytes, took, is_success } => {
                self.metrics.replaced(now, bytes, took, is_success);
            }
        }
    }

    /// Keeps what an operator sees in the log by default.
    fn keep(&mut self, time: Timestamp, level: Level, report: &impl Display) {
        let limits = [(Level::Info, &mut self.events), (Level::Warn, &mut self.errors)];
        for (limit, list) in limits {
            if level <= limit {
                list.truncate(KEPT - 1);
                list.push_front(Logged { time, level, message: report.to_string() });
            }
        }
    }
}
