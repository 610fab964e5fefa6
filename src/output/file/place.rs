//! Where the output is, and the names of what lies beside it.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::{ClaimError, WriteError};

/// Symbolic links that are followed before they are called a loop, as Linux does it.
const LINK_LIMIT: usize = 40;

/// The random part of a temporary name, in hexadecimal digits.
const RANDOM_DIGITS: usize = 16;

/// The path that is replaced, with all that follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    path: PathBuf,
}

impl Place {
    /// Follows `given` as long as it is a symbolic link, also to a file that does not exist yet.
    pub(super) fn of(given: &Path) -> Result<Self, WriteError> {
        let mut path = given.to_owned();
        for _ in 0..LINK_LIMIT {
            match fs::read_link(&path) {
                Ok(target) => path = path.parent().unwrap_or(Path::new("")).join(target),
                // Not a link, not there, or not to be looked at: whoever opens it will say so.
                Err(_) => return Ok(Self { path }),
            }
        }
        Err(WriteError::new("follow the symbolic link", given)(io::Error::other(
            "too many of them",
        )))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Refuses what can never be an output.
    pub(super) fn require_file(&self) -> Result<(), ClaimError> {
        let path = &self.path;
        let not_a_file = |what| ClaimError::NotAFile { path: path.clone(), what };
        let bytes = path.as_os_str().as_encoded_bytes();
        if path.file_name().is_none() || bytes.ends_with(b"/") || bytes.ends_with(b"/.") {
            return Err(not_a_file("a directory"));
        }
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_file() => Ok(()),
            Ok(metadata) if metadata.is_dir() => Err(not_a_file("a directory")),
            Ok(_) => Err(not_a_file("a device, a pipe or a socket")),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(ClaimError::Failed(WriteError::new("look at", path)(error))),
        }
    }

    pub(super) fn directory(&self) -> &Path {
        parent(&self.path)
    }

    /// The nearest directory that is there: missing ones are made in it.
    pub(super) fn nearest_directory(&self) -> &Path {
        let mut directory = self.directory();
        while fs::symlink_metadata(directory).is_err() && directory != Path::new(".") {
            directory = parent(directory);
        }
        directory
    }

    pub(super) fn lock_path(&self) -> PathBuf {
        self.path.with_file_name(self.hidden_name(".lock"))
    }

    /// A new name beside the output. It must not end as Prometheus' globs for file_sd do.
    pub(super) fn temporary_path(&self) -> PathBuf {
        let suffix = format!(".{:016x}.tmp", fastrand::u64(..));
        self.path.with_file_name(self.hidden_name(&suffix))
    }

    pub(super) fn is_temporary_name(&self, name: &OsStr) -> bool {
        let prefix = self.hidden_name(".");
        name.as_encoded_bytes()
            .strip_prefix(prefix.as_encoded_bytes())
            .and_then(|rest| rest.strip_suffix(b".tmp"))
            .is_some_and(|random| {
                random.len() == RANDOM_DIGITS && random.iter().all(u8::is_ascii_hexdigit)
            })
    }

    fn hidden_name(&self, suffix: &str) -> OsString {
        let mut name = OsString::from(".");
        name.push(self.path.file_name().unwrap_or_default());
        name.push(suffix);
        name
    }
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
