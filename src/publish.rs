//! The output file on disk: claimed by one daemon, replaced atomically, compared, and cleaned up
//! around. The only place that touches the output.
//!
//! A reader sees the old list or the new one, never a part of either: the bytes go into a
//! temporary file beside the output, are flushed to disk, and take the output's name by a rename.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File, Metadata, OpenOptions, Permissions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Access, access};

use crate::output::Inspection;
use crate::render::Content;

/// More of a foreign file than this is not read; it only serves to count what changes.
const READ_LIMIT: u64 = 512 << 20;

/// Symbolic links that are followed before they are called a loop, as Linux does it.
const LINK_LIMIT: usize = 40;

/// The random part of a temporary name, in hexadecimal digits.
const RANDOM_DIGITS: usize = 16;

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
    },
    /// The file system refused something that every write needs.
    Failed(WriteError),
}

/// A failed act on the file system: which one, on what, and what the system said.
#[derive(Debug)]
pub struct WriteError {
    act: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl WriteError {
    fn new(act: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self { act, path, source }
    }

    /// Whether there is no room on the disk, or no quota left.
    fn is_disk_full(&self) -> bool {
        matches!(
            self.source.kind(),
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded
        )
    }
}

impl fmt::Display for WriteError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "cannot {} {}: {}",
            self.act,
            self.path.display(),
            self.source
        )
    }
}

impl std::error::Error for WriteError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

impl fmt::Display for ClaimError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAFile { path, what } => {
                write!(
                    formatter,
                    "the output {} is {what}, not a file",
                    path.display()
                )
            }
            Self::Held { lock } => write!(
                formatter,
                "another kuma-prometheus-sd writes this output (it holds {}); stop it, or give \
                 another --output-file",
                lock.display()
            ),
            Self::Failed(error) => error.fmt(formatter),
        }
    }
}

impl std::error::Error for ClaimError {}

/// The output file, held by this process until it ends.
#[derive(Debug)]
pub struct OutputFile {
    path: PathBuf,
    mode: u32,
    /// `None` while the disk is too full to make the lock file.
    lock: Option<File>,
    /// What the file held, and how it looked, when this process last knew its bytes.
    seen: Option<(Fingerprint, Arc<Content>)>,
}

/// What changes about a file when somebody touches it.
#[derive(Debug, PartialEq, Eq)]
struct Fingerprint {
    device_and_inode: (u64, u64),
    mode: u32,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Fingerprint {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device_and_inode: (metadata.dev(), metadata.ino()),
            mode: metadata.mode(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

impl OutputFile {
    /// Claims the output for this process: follows symbolic links, makes missing directories,
    /// takes the lock, removes what a killed daemon left behind, and tries a write with an empty
    /// file. The output itself is not touched.
    ///
    /// The second value is a problem that may pass, a full disk: writing is tried again later.
    ///
    /// # Errors
    /// Where the path names no file, another daemon holds it, or it cannot be written to.
    pub fn claim(path: &Path, mode: u32) -> Result<(Self, Option<WriteError>), ClaimError> {
        let path = resolve_links(path).map_err(ClaimError::Failed)?;
        require_file(&path)?;
        let mut output = Self {
            path,
            mode,
            lock: None,
            seen: None,
        };
        let directory = output.directory();
        fs::create_dir_all(directory)
            .map_err(WriteError::new("make the directory", directory))
            .map_err(ClaimError::Failed)?;
        match output
            .hold_lock()
            .and_then(|()| output.try_write().map_err(ClaimError::Failed))
        {
            Ok(()) => Ok((output, None)),
            Err(ClaimError::Failed(error)) if error.is_disk_full() => Ok((output, Some(error))),
            Err(error) => Err(error),
        }
    }

    /// Whether `claim` and `replace` would work on `path`, without writing anything.
    ///
    /// # Errors
    /// Why not.
    pub fn check(path: &Path) -> Result<PathBuf, ClaimError> {
        let path = resolve_links(path).map_err(ClaimError::Failed)?;
        require_file(&path)?;
        let output = Self {
            path,
            mode: 0,
            lock: None,
            seen: None,
        };
        let lock = output.lock_path();
        match File::open(&lock) {
            // Taken for a moment only: a daemon that starts just then would be refused.
            Ok(file) if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) => {
                return Err(ClaimError::Held { lock });
            }
            Err(error) if error.kind() != ErrorKind::NotFound => {
                let error = WriteError::new("open the lock file", &lock)(error);
                return Err(ClaimError::Failed(error));
            }
            _ => {}
        }
        let mut directory = output.directory();
        // A directory that is missing would be made in the nearest one that is not.
        while fs::symlink_metadata(directory).is_err() {
            directory = match directory.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => parent,
                _ => Path::new("."),
            };
        }
        access(
            directory,
            Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK,
        )
        .map_err(|error| WriteError::new("write to", directory)(error.into()))
        .map_err(ClaimError::Failed)?;
        Ok(output.path)
    }

    /// The path that is replaced: the one given, with symbolic links followed.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Replaces the file by `content`, on disk when this returns.
    ///
    /// # Errors
    /// The act that failed. The old file is in place then, unless the last act of all failed,
    /// which flushes the directory.
    pub fn replace(&mut self, content: &Arc<Content>) -> Result<(), WriteError> {
        fs::create_dir_all(self.directory())
            .map_err(WriteError::new("make the directory", self.directory()))?;
        self.hold_lock().map_err(|error| match error {
            ClaimError::Failed(error) => error,
            other => WriteError::new("lock", &self.lock_path())(io::Error::other(other)),
        })?;
        let temporary = self.temporary_path();
        let result = self.write_and_rename(&temporary, content);
        if result.is_err() {
            // What matters is why the write failed. A leftover is removed at the next start.
            let _ = fs::remove_file(&temporary);
        }
        result
    }

    /// Compares the file with `expected`, without reading it where nobody has touched it since.
    ///
    /// # Errors
    /// Where there is something that cannot be read.
    pub fn inspect(&mut self, expected: &Arc<Content>) -> Result<Inspection, WriteError> {
        let metadata = match fs::metadata(&self.path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Inspection::Missing),
            Err(error) => return Err(WriteError::new("look at", &self.path)(error)),
        };
        let fingerprint = Fingerprint::of(&metadata);
        if let Some((seen, content)) = &self.seen
            && *seen == fingerprint
            && content == expected
        {
            return Ok(Inspection::Same);
        }
        if !metadata.is_file() && !metadata.is_dir() {
            // To read a pipe would be to wait for whoever writes to it.
            let error = io::Error::other("it is a device, a pipe or a socket");
            return Err(WriteError::new("read", &self.path)(error));
        }
        let bytes = self.read().map_err(WriteError::new("read", &self.path))?;
        if bytes == expected.bytes() && metadata.mode() & 0o7777 == self.mode {
            self.seen = Some((fingerprint, Arc::clone(expected)));
            return Ok(Inspection::Same);
        }
        Ok(Inspection::Different(bytes))
    }

    fn read(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(&self.path)?
            .take(READ_LIMIT)
            .read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn write_and_rename(
        &mut self,
        temporary: &Path,
        content: &Arc<Content>,
    ) -> Result<(), WriteError> {
        let mut file = create_temporary(temporary)?;
        file.write_all(content.bytes())
            .map_err(WriteError::new("write", temporary))?;
        // After the creation, so that the umask has no say.
        file.set_permissions(Permissions::from_mode(self.mode))
            .map_err(WriteError::new("set the mode of", temporary))?;
        file.sync_all()
            .map_err(WriteError::new("flush", temporary))?;
        fs::rename(temporary, &self.path).map_err(WriteError::new("replace", &self.path))?;
        let metadata = file
            .metadata()
            .map_err(WriteError::new("look at", &self.path))?;
        self.seen = Some((Fingerprint::of(&metadata), Arc::clone(content)));
        sync_directory(self.directory())
    }

    /// Takes the lock where it is not held, or where its file has gone with its directory.
    fn hold_lock(&mut self) -> Result<(), ClaimError> {
        let path = self.lock_path();
        if self
            .lock
            .as_ref()
            .is_some_and(|lock| is_same_file(lock, &path))
        {
            return Ok(());
        }
        self.lock = None;
        let lock = open_lock(&path)
            .map_err(WriteError::new("open the lock file", &path))
            .map_err(ClaimError::Failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(ClaimError::Held { lock: path }),
            Err(TryLockError::Error(error)) => {
                return Err(ClaimError::Failed(WriteError::new("lock", &path)(error)));
            }
        }
        self.lock = Some(lock);
        self.remove_leftovers().map_err(ClaimError::Failed)
    }

    fn try_write(&self) -> Result<(), WriteError> {
        let temporary = self.temporary_path();
        create_temporary(&temporary)?;
        fs::remove_file(&temporary).map_err(WriteError::new("remove", &temporary))
    }

    /// Removes the temporary files of a daemon that was killed. Only the holder of the lock may.
    fn remove_leftovers(&self) -> Result<(), WriteError> {
        let directory = self.directory();
        let entries = fs::read_dir(directory).map_err(WriteError::new("list", directory))?;
        for entry in entries {
            let entry = entry.map_err(WriteError::new("list", directory))?;
            if self.is_temporary_name(&entry.file_name()) {
                let path = entry.path();
                fs::remove_file(&path).map_err(WriteError::new("remove the leftover", &path))?;
            }
        }
        Ok(())
    }

    fn directory(&self) -> &Path {
        match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        }
    }

    fn lock_path(&self) -> PathBuf {
        self.path.with_file_name(self.hidden_name(".lock"))
    }

    /// A new name beside the output. It must not end as Prometheus' globs for file_sd do.
    fn temporary_path(&self) -> PathBuf {
        let suffix = format!(".{:016x}.tmp", fastrand::u64(..));
        self.path.with_file_name(self.hidden_name(&suffix))
    }

    fn is_temporary_name(&self, name: &std::ffi::OsStr) -> bool {
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

/// Follows `path` as long as it is a symbolic link, also to a file that does not exist yet.
fn resolve_links(path: &Path) -> Result<PathBuf, WriteError> {
    let mut resolved = path.to_owned();
    for _ in 0..LINK_LIMIT {
        match fs::read_link(&resolved) {
            Ok(target) => {
                resolved = resolved.parent().unwrap_or(Path::new("")).join(target);
            }
            // Not a link, not there, or not to be looked at: whoever opens it will say so.
            Err(_) => return Ok(resolved),
        }
    }
    Err(WriteError::new("follow the symbolic link", path)(
        io::Error::other("too many of them"),
    ))
}

fn require_file(path: &Path) -> Result<(), ClaimError> {
    let not_a_file = |what| ClaimError::NotAFile {
        path: path.to_owned(),
        what,
    };
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

fn create_temporary(path: &Path) -> Result<File, WriteError> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(WriteError::new("create", path))
}

/// A lock needs no right to write, so a file that another user's daemon has left serves as well.
fn open_lock(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    match options
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o644)
        .open(path)
    {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            File::open(path).map_err(|_| error)
        }
        result => result,
    }
}

fn is_same_file(file: &File, path: &Path) -> bool {
    let inode = |metadata: Metadata| (metadata.dev(), metadata.ino());
    match (file.metadata(), fs::metadata(path)) {
        (Ok(ours), Ok(theirs)) => inode(ours) == inode(theirs),
        _ => false,
    }
}

/// Makes a rename survive a power cut, as far as the file system can.
fn sync_directory(directory: &Path) -> Result<(), WriteError> {
    let unsupported = [
        ErrorKind::InvalidInput,
        ErrorKind::Unsupported,
        ErrorKind::PermissionDenied,
    ];
    match File::open(directory).and_then(|directory| directory.sync_all()) {
        Err(error) if !unsupported.contains(&error.kind()) => {
            Err(WriteError::new("flush the directory", directory)(error))
        }
        _ => Ok(()),
    }
}
