//! The lock that keeps a second daemon off the same output, and who holds it.
//!
//! It is a file beside the output, not the output itself, which is replaced by a rename. It is made
//! for its owner alone: whoever can open a file can lock it too, and keep the daemon from starting.

use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::io::Errno;
use rustix::process::geteuid;

use super::{ClaimError, WriteError};

/// What a file system without locks answers.
const NO_LOCKS: [Errno; 4] = [Errno::NOLCK, Errno::OPNOTSUPP, Errno::INVAL, Errno::NOSYS];

/// The lock of one output, until it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
    /// Whether it keeps anybody away: some file systems have no locks.
    pub(super) is_effective: bool,
}

impl Lock {
    /// Takes the lock.
    pub(super) fn take(path: &Path) -> Result<Self, ClaimError> {
        let file = open(path)?;
        let is_effective = match file.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => return Err(held(path, process_that_holds(path))),
            Err(TryLockError::Error(error)) if has_no_locks(&error) => false,
            Err(TryLockError::Error(error)) => {
                return Err(ClaimError::Failed(WriteError::new("lock", path)(error)));
            }
        };
        Ok(Self { file, is_effective })
    }

    /// Whether this is still the lock at `path`.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        let inode = |metadata: Metadata| (metadata.dev(), metadata.ino());
        match (self.file.metadata(), fs::metadata(path)) {
            (Ok(ours), Ok(theirs)) => inode(ours) == inode(theirs),
            _ => false,
        }
    }
}

/// Refuses where `Lock::take` would, for whoever only asks.
pub(super) fn require_free(path: &Path) -> Result<(), ClaimError> {
    match File::open(path) {
        // Taken for a moment only: a daemon that starts just then would be refused.
        Ok(file) => match file.try_lock() {
            Err(TryLockError::WouldBlock) => Err(held(path, process_that_holds(path))),
            _ => Ok(()),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(unopened(path, error)),
    }
}

fn held(path: &Path, process: Option<u32>) -> ClaimError {
    ClaimError::Held { lock: path.to_owned(), process }
}

/// Opens the lock file, or makes it.
fn open(path: &Path) -> Result<File, ClaimError> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|error| unopened(path, error))
}

/// Why the lock file cannot be opened. Another user's may be held, and nothing says that it is not: the
/// kernel's list of locks is not shown to a service with `ProcSubset=pid`, and has none of another
/// container. So it stays.
fn unopened(path: &Path, error: io::Error) -> ClaimError {
    if error.kind() == ErrorKind::PermissionDenied
        && let Ok(metadata) = fs::metadata(path)
        && metadata.uid() != geteuid().as_raw()
    {
        return match process_that_holds(path) {
            None => ClaimError::AnotherUsers { lock: path.to_owned(), owner: metadata.uid() },
            process => held(path, process),
        };
    }
    ClaimError::Failed(WriteError::new("open the lock file", path)(error))
}

fn has_no_locks(error: &io::Error) -> bool {
    Errno::from_io_error(error).is_some_and(|error| NO_LOCKS.contains(&error))
}

/// The process that holds the lock at `path`, as far as the kernel's list of locks tells.
fn process_that_holds(path: &Path) -> Option<u32> {
    let inode = fs::metadata(path).ok()?.ino();
    holder(&fs::read_to_string("/proc/locks").ok()?, inode)
}

/// A line is `1: FLOCK ADVISORY WRITE 1234 fe:01:5678 0 EOF`: the process, then device and inode. The
/// device is no help, as some file systems have another one there.
fn holder(locks: &str, inode: u64) -> Option<u32> {
    locks.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let (kind, process, file) = (words.next()?, words.nth(2)?, words.next()?);
        let (_, found) = file.rsplit_once(':')?;
        let is_it = kind == "FLOCK" && found.parse() == Ok(inode);
        // A process of another container has no number here.
        is_it.then(|| process.parse().ok().filter(|process| *process > 0))?
    })
}

#[cfg(test)]
mod tests {
    use super::holder;

    #[test]
    fn the_holder_is_read_from_the_list_of_locks() {
        let locks = "1: POSIX  ADVISORY  WRITE 7 fe:01:42 0 EOF\n\
                     2: FLOCK  ADVISORY  WRITE 8 fe:01:4 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 9 fe:01:42 0 EOF\n\
                     3: FLOCK  ADVISORY  WRITE 10 00:1a:42 0 EOF\n\
                     4: FLOCK  ADVISORY  READ 0 00:1a:43 0 EOF\n";
        assert_eq!(holder(locks, 42), Some(10));
        assert_eq!(holder(locks, 4), Some(8));
        assert_eq!(holder(locks, 43), None);
        assert_eq!(holder(locks, 2), None);
        assert_eq!(holder("", 42), None);
    }
}
