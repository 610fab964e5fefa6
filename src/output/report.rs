//! What the file's state machine reports: one event, one line, and how important it is.
//!
//! Pure.

use std::fmt;
use std::time::Duration;

use log::Level;

use crate::common::wording::{Rounded, Targets, write_held_back};
use crate::output::changes::Changes;

/// One event in the life of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// The file has been replaced.
    Written {
        /// How many target groups it has now.
        targets: usize,
        /// What this write has changed, or, where it is told, all writes since the last such line.
        changes: Changes,
        /// How many targets the list had before, where it has become empty.
        emptied: Option<usize>,
        /// The mode that the file had, where nothing else was to be changed.
        mode: Option<u32>,
        /// How long the file could not be written before that, where that was logged.
        trouble: Option<Duration>,
        /// Writes since the last such line, where this one is worth a line; `None` else.
        held_back: Option<u32>,
    },
    /// The list is the one that stands in the file already.
    Unchanged {
        /// How many target groups it has.
        targets: usize,
        /// Whether it is known only now: of the first list, or after a failure.
        first: bool,
        /// How long the file could not be written before that, where that was logged.
        trouble: Option<Duration>,
        /// Whether that is worth a line.
        is_told: bool,
    },
    /// Which targets a write has changed, in words.
    Named(String),
    /// The file is not what it was left as.
    Foreign {
        /// What has become of it.
        what: Foreign,
        /// Changes since the last such line, where this one is worth a line; `None` else.
        held_back: Option<u32>,
    },
    /// The path leads elsewhere.
    Moved {
        /// From where to where.
        moved: Moved,
        /// Moves since the last such line, where this one is worth a line; `None` else.
        held_back: Option<u32>,
    },
    /// The file could not be written; it will be tried again.
    Trouble {
        /// What happened, to what.
        reason: String,
        /// The time until the next attempt; `None` where there will be none.
        retry_in: Option<Duration>,
        /// Failures since the last such line, where this one is worth a line; `None` else.
        held_back: Option<u32>,
    },
}

/// What has become of a file that nobody else should touch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Foreign {
    /// It is gone.
    Missing,
    /// It has other content.
    Changed,
    /// It has these permissions instead of its own.
    Mode(u32),
    /// It cannot be looked at, for this reason.
    Unreadable(String),
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
    /// How loudly to tell it.
    #[must_use]
    pub fn level(&self) -> Level {
        match self {
            Self::Written {
                emptied: Some(_),
                held_back: Some(_),
                ..
            }
            // Who reads warnings has read of the failure, and is to read of its end.
            | Self::Written {
                trouble: Some(_),
                held_back: Some(_),
                ..
            }
            | Self::Unchanged {
                trouble: Some(_), ..
            }
            | Self::Foreign {
                held_back: Some(_), ..
            }
            | Self::Moved {
                held_back: Some(_), ..
            } => Level::Warn,
            Self::Written {
                held_back: Some(_), ..
            }
            | Self::Unchanged { is_told: true, .. } => Level::Info,
            Self::Trouble {
                held_back: Some(_), ..
            } => Level::Error,
            Self::Written { .. }
            | Self::Unchanged { .. }
            | Self::Named(_)
            | Self::Foreign { .. }
            | Self::Moved { .. }
            | Self::Trouble { .. } => Level::Debug,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Written {
                targets,
                changes,
                emptied,
                mode,
                trouble,
                held_back,
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
                write_held_back(formatter, *held_back, "write")?;
                match trouble {
                    Some(trouble) => write!(
                        formatter,
                        "; the file can be written again after {}",
                        Rounded(*trouble)
                    ),
                    None => Ok(()),
                }
            }
            Self::Named(names) => formatter.write_str(names),
            Self::Unchanged {
                targets, trouble, ..
            } => {
                write!(formatter, "the file already holds {}", Targets(*targets))?;
                match trouble {
                    // Nothing was written, so nobody knows whether it could be.
                    Some(trouble) => write!(
                        formatter,
                        "; nothing is left to be written after {} of failures",
                        Rounded(*trouble)
                    ),
                    None => Ok(()),
                }
            }
            Self::Foreign { what, held_back } => {
                write!(formatter, "{what}, so it is written again")?;
                write_held_back(formatter, *held_back, "change")
            }
            Self::Moved { moved, held_back } => {
                write!(
                    formatter,
                    "the output is {} now, as a symbolic link was changed or replaced; {} is no \
                     longer written",
                    moved.to, moved.from
                )?;
                write_held_back(formatter, *held_back, "change")
            }
            Self::Trouble {
                reason,
                retry_in,
                held_back,
            } => {
                write!(formatter, "cannot write the file: {reason}")?;
                write_held_back(formatter, *held_back, "failure")?;
                match retry_in {
                    Some(pause) => write!(formatter, "; next attempt in {}", Rounded(*pause)),
                    None => formatter.write_str("; giving up, as the daemon is ending"),
                }
            }
        }
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => formatter.write_str("the file is gone"),
            Self::Changed => formatter.write_str("the file was changed by somebody else"),
            Self::Mode(mode) => write!(
                formatter,
                "the file's mode was changed to {mode:04o} by somebody else"
            ),
            Self::Unreadable(reason) => formatter.write_str(reason),
        }
    }
}
