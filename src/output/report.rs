//! What the file's state machine reports: one event, one line, and how important it is.
//!
//! Pure.

use std::fmt;
use std::time::Duration;

use log::Level;

use crate::common::fields::{Field, field, seconds, text};
use crate::common::wording::{Rounded, Targets, write_suppressed};
use crate::output::changes::Changes;
use crate::output::file::WriteError;

/// One event in the life of the file.
#[derive(Debug)]
pub enum Report {
    /// The file has been replaced.
    Written {
        /// How many target groups it has now.
        targets: usize,
        /// What this write has changed.
        changes: Changes,
        /// What all writes since the last such line have changed, this one among them.
        logged_changes: Changes,
        /// How many targets the list had before, where it has become empty.
        emptied: Option<usize>,
        /// The mode that the file had, where nothing else was to be changed.
        mode: Option<u32>,
        /// How long the file could not be written before that, where that was logged.
        failed_for: Option<Duration>,
        /// Writes since the last such line, where this one is worth a line; `None` else.
        suppressed: Option<u32>,
    },
    /// The list is the one that stands in the file already.
    Unchanged {
        /// How many target groups it has.
        targets: usize,
        /// How long the file could not be written before that, where that was logged.
        failed_for: Option<Duration>,
        /// Whether that is worth a line.
        should_log: bool,
    },
    /// Which targets a write has changed.
    Named(String),
    /// The file is not what it was left as.
    ExternalChange {
        /// What has become of it.
        what: ExternalChange,
        /// Changes since the last such line, where this one is worth a line; `None` else.
        suppressed: Option<u32>,
    },
    /// The path leads elsewhere.
    Moved {
        /// From where to where.
        moved: Moved,
        /// Moves since the last such line, where this one is worth a line; `None` else.
        suppressed: Option<u32>,
    },
    /// The file could not be written; it will be tried again.
    WriteFailed {
        /// The act that failed.
        error: WriteError,
        /// The time until the next attempt; `None` where there will be none.
        retry_in: Option<Duration>,
        /// Failures since the last such line, where this one is worth a line; `None` else.
        suppressed: Option<u32>,
    },
}

/// What has become of a file that nobody else should touch.
#[derive(Debug)]
pub enum ExternalChange {
    /// It is gone.
    Missing,
    /// It has other content.
    Changed,
    /// It has these permissions instead of its own.
    Mode(u32),
    /// It cannot be looked at.
    Unreadable(WriteError),
}

/// A path, or a symbolic link, that leads elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// What was replaced so far.
    pub from: String,
    /// What is replaced from now on.
    pub to: String,
}

impl Report {
    /// How important it is.
    pub fn level(&self) -> Level {
        // Who reads warnings has read of a failure, and is to read of its end.
        let warn_if = |is_warning| if is_warning { Level::Warn } else { Level::Info };
        let (level, should_log) = match self {
            Self::Written { emptied, failed_for, suppressed, .. } => {
                (warn_if(emptied.is_some() || failed_for.is_some()), suppressed.is_some())
            }
            Self::Unchanged { failed_for, should_log, .. } => {
                (warn_if(failed_for.is_some()), *should_log)
            }
            Self::ExternalChange { suppressed, .. } | Self::Moved { suppressed, .. } => {
                (Level::Warn, suppressed.is_some())
            }
            Self::WriteFailed { suppressed, .. } => (Level::Error, suppressed.is_some()),
            Self::Named(_) => (Level::Debug, true),
        };
        if should_log { level } else { Level::Debug }
    }

    /// What its words are made of, but for the file's path.
    pub fn fields(&self) -> Vec<Field> {
        match self {
            Self::Written { targets, logged_changes: changes, failed_for, suppressed, .. } => vec![
                field("targets", *targets),
                field("added", changes.added),
                field("removed", changes.removed),
                field("changed", changes.changed),
                field("suppressed", *suppressed),
                seconds("failing_seconds", *failed_for),
            ],
            Self::Unchanged { targets, failed_for, .. } => {
                vec![field("targets", *targets), seconds("failing_seconds", *failed_for)]
            }
            Self::Named(_) => Vec::new(),
            Self::ExternalChange { suppressed, .. } => vec![field("suppressed", *suppressed)],
            Self::Moved { moved, suppressed } => {
                vec![text("previous_path", &moved.from), field("suppressed", *suppressed)]
            }
            Self::WriteFailed { error, retry_in, suppressed } => vec![
                text("error", error),
                field("suppressed", *suppressed),
                seconds("retry_in_seconds", *retry_in),
            ],
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Written {
                targets,
                logged_changes: changes,
                emptied,
                mode,
                failed_for,
                suppressed,
                ..
            } => {
                match (emptied, mode) {
                    (Some(before), _) => write!(
                        formatter,
                        "the control plane's list is empty now: {} removed; check --name and the \
                         mesh's metrics settings",
                        Targets(*before)
                    )?,
                    (None, Some(mode)) => write!(
                        formatter,
                        "wrote {} to set the mode, which was {mode:04o}: {changes}",
                        Targets(*targets)
                    )?,
                    (None, None) => write!(formatter, "wrote {}: {changes}", Targets(*targets))?,
                }
                write_suppressed(formatter, *suppressed, "write")?;
                match failed_for {
                    Some(failed_for) => write!(
                        formatter,
                        "; the file can be written again after {}",
                        Rounded(*failed_for)
                    ),
                    None => Ok(()),
                }
            }
            Self::Named(names) => formatter.write_str(names),
            Self::Unchanged { targets, failed_for, .. } => {
                write!(formatter, "the file already holds {}", Targets(*targets))?;
                match failed_for {
                    // Nothing was written, so it is not known whether it could be.
                    Some(failed_for) => write!(
                        formatter,
                        ", so it is up to date; writes had failed for {}",
                        Rounded(*failed_for)
                    ),
                    None => Ok(()),
                }
            }
            Self::ExternalChange { what, suppressed } => {
                write!(formatter, "{what}, so it is written again")?;
                write_suppressed(formatter, *suppressed, "change")
            }
            Self::Moved { moved, suppressed } => {
                write!(
                    formatter,
                    "the output is {} now, as a symbolic link was changed or replaced; {} is no \
                     longer written",
                    moved.to, moved.from
                )?;
                write_suppressed(formatter, *suppressed, "change")
            }
            Self::WriteFailed { error, retry_in, suppressed } => {
                write!(formatter, "cannot write the file: {error}")?;
                write_suppressed(formatter, *suppressed, "failure")?;
                match retry_in {
                    Some(pause) => write!(formatter, "; next attempt in {}", Rounded(*pause)),
                    None => formatter.write_str("; giving up, as the daemon is ending"),
                }
            }
        }
    }
}

impl fmt::Display for ExternalChange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => formatter.write_str("the file is gone"),
            Self::Changed => formatter.write_str("the file was changed by somebody else"),
            Self::Mode(mode) => {
                write!(formatter, "the file's mode was changed to {mode:04o} by somebody else")
            }
            Self::Unreadable(error) => error.fmt(formatter),
        }
    }
}
