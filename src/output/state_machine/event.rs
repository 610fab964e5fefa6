//! What the file's state machine is told, and what it answers.
//!
//! Pure.

use std::fmt;
use std::sync::Arc;

use crate::snapshot::Snapshot;
use crate::output::report::{Moved, Report};

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// The time that `deadline` named has come. Harmless at any other time.
    Time,
    /// The control plane's newest list, rendered.
    Wanted(Arc<Snapshot>),
    /// What `Action::Inspect` found; an error says what failed, in words.
    Inspected(Result<Inspection, String>),
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

/// How far a write came that failed, and what failed, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The old file is in place, as far as the system tells.
    Unwritten(String),
    /// The new file is in place, but a power cut may bring back the old one.
    Unflushed(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unwritten(reason) | Self::Unflushed(reason) => formatter.write_str(reason),
        }
    }
}

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Compare the file with this content, and answer with `Event::Inspected`.
    Inspect(Arc<Snapshot>),
    /// Replace the file by this content, and answer with `Event::Replaced`.
    Replace(Arc<Snapshot>),
    /// Flush the last replacement to the disk, and answer with `Event::Replaced`.
    Flush,
    /// Tell what happened.
    Report(Report),
}
