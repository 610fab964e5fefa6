//! What can be wrong with an output, in the words of an operator: why it cannot be claimed or written,
//! and what is odd about one that can.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use log::Level;

/// How Prometheus wants the names of its files to end.
const ENDINGS: [&str; 6] = [".json", ".yml", ".yaml", ".JSON", ".YML", ".YAML"];

/// Why the output cannot be claimed.
#[derive(Debug)]
pub enum ClaimError {
    /// The path names something that is no regular file, such as a directory or a device.
    NotAFile {
        /// The path as resolved.
        path: PathBuf,
        /// What it names.
        what: &'static str,
    },
    /// Another daemon writes this file.
    Held {
        /// The file it holds locked.
        lock: PathBuf,
        /// Its number, where the system shows it.
        process: Option<u32>,
    },
    /// Another user has left the lock file, or has a daemon that holds it: which of them, the system
    /// does not show.
    AnotherUsers {
        /// The lock file.
        lock: PathBuf,
        /// The number of its owner.
        owner: u32,
    },
    /// The file system refused something that every write needs.
    Failed(WriteError),
}

/// What an operator should know about a claimed output.
#[derive(Debug)]
pub enum Warning {
    /// There is no room on the disk, which may pass: writing is tried again later.
    Full(WriteError),
    /// The file system has no locks, so nothing keeps a second daemon away.
    NoLocks {
        /// The file that cannot be locked.
        lock: PathBuf,
    },
    /// A directory was made, and others may not enter it.
    Narrow {
        /// The directory.
        directory: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Prometheus does not take a file of this name.
    Name {
        /// The path as given, which is the one that Prometheus reads.
        path: PathBuf,
    },
}

impl Warning {
    /// What there is to say about the name of an output.
    pub fn about_name(path: &Path) -> Option<Self> {
        let bytes = path.as_os_str().as_encoded_bytes();
        let is_known = |ending: &str| bytes.ends_with(ending.as_bytes());
        let path = path.to_owned();
        (!ENDINGS.into_iter().any(is_known)).then_some(Self::Name { path })
    }

    /// How important it is.
    pub fn level(&self) -> Level {
        match self {
            Self::Full(_) => Level::Error,
            _ => Level::Warn,
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(error) => {
                write!(formatter, "{error}; starting nevertheless, as this may pass")
            }
            Self::NoLocks { lock } => write!(
                formatter,
                "the file system of {} has no locks, so see to it yourself that no second daemon \
                 writes this output",
                lock.display()
            ),
            Self::Narrow { directory, mode } => write!(
                formatter,
                "the directory {} was made with mode {mode:04o}, as the umask says, so Prometheus \
                 may not be able to enter it; chmod o+x it, or start with umask 022",
                directory.display()
            ),
            Self::Name { path } => write!(
                formatter,
                "the output {} does not end in .json, .yml or .yaml, so Prometheus will not take \
                 it as a file of file_sd_configs; give another --output-file",
                path.display()
            ),
        }
    }
}

/// A failed act on the file system: which one, on what, and what the system said.
#[derive(Debug)]
pub struct WriteError {
    act: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl WriteError {
    /// `act` is a verb, such as `read`, that failed on `path`.
    pub fn new(act: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self { act, path, source }
    }

    /// Whether there is no room on the disk, or no quota left.
    pub(super) fn is_disk_full(&self) -> bool {
        matches!(self.source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
    }
}

impl fmt::Display for WriteError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "cannot {} {}: {}", self.act, self.path.display(), self.source)
    }
}

impl std::error::Error for WriteError {}

impl fmt::Display for ClaimError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAFile { path, what } => {
                write!(formatter, "the output {} is {what}, not a file", path.display())
            }
            Self::Held { lock, process } => {
                formatter.write_str("another kuma-prometheus-sd writes this output (")?;
                match process {
                    Some(process) => write!(formatter, "process {process}")?,
                    None => formatter.write_str("it")?,
                }
                write!(
                    formatter,
                    " holds {}); stop it, or give another --output-file",
                    lock.display()
                )
            }
            Self::AnotherUsers { lock, owner } => write!(
                formatter,
                "the lock file {} belongs to another user, uid {owner}; remove it if no \
                 kuma-prometheus-sd of that user runs",
                lock.display()
            ),
            Self::Failed(error) => error.fmt(formatter),
        }
    }
}

impl std::error::Error for ClaimError {}
