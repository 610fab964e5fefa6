//! The events and actions of the file's state machine.
//!
//! Pure.

use std::fmt;
use std::sync::Arc;

use crate::output::file::WriteError;
use crate::output::report::{Moved, Report};
use crate::snapshot::Snapshot;

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// The time that `deadline` named has come. Harmless at any other time.
    Time,
    /// The control plane's newest list, rendered.
    Wanted(Arc<Snapshot>),
    /// What `Action::Inspect` found.
    Inspected(Result<Inspection, WriteError>),
    /// How `Action::Replace` or `Action::Flush` went.
    Replaced(Result<(), Failure>),
    /// The path leads elsewhere. What it leads to now is what the other events are about.
    Moved(Moved),
    /// No more lists will come: write what is still to be written, now.
    Finish,
}

/// What stands in the file, compared with what was asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inspection {
    /// Exactly that, readable as it should be.
    Same,
    /// Exactly that, with these permissions instead of its own.
    OtherMode(u32),
    /// Something else: these bytes.
    Different(Vec<u8>),
    /// There is no file.
    Missing,
}

/// How far a write came that failed, and what failed.
#[derive(Debug)]
pub enum Failure {
    /// The old file is in place, as far as the system tells.
    Unwritten(WriteError),
    /// The new file is in place, but a power cut may bring back the old one.
    Unflushed(WriteError),
}

impl std::error::Error for Failure {}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unwritten(error) | Self::Unflushed(error) => error.fmt(formatter),
        }
    }
}

/// What to do.
#[derive(Debug)]
pub enum Action {
    /// Compare the file with this content, and answer with `Event::Inspected`.
    Inspect(Arc<Snapshot>),
    /// Replace the file by this content, and answer with `Event::Replaced`.
    Replace(Arc<Snapshot>),
    /// Flush the last replacement to the disk, and answer with `Event::Replaced`.
    Flush,
    /// Log what happened.
    Report(Report),
}
