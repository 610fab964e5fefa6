//! The output file on disk: claimed by one daemon, replaced atomically, compared, and cleaned up
//! around. The only place that touches the output.
//!
//! A reader sees the old list or the new one, never a part of either: the bytes go into a
//! temporary file beside the output, are flushed to disk, and take the output's name by a rename.

mod error;
mod lock;
mod place;
mod probe;

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use crate::common::heartbeat::Heartbeat;
use crate::output::report::Moved;
use crate::output::state_machine::{Failure, Inspection};
use crate::snapshot::{LIST_LIMIT, Snapshot};
pub use error::{ClaimError, Warning, WriteError};
use lock::Lock;
use place::Place;
pub use probe::check;

/// More of a file than this is not read: it is none of ours, and only serves to count what changes.
const READ_LIMIT: u64 = LIST_LIMIT as u64 + 16;

/// So much is written, flushed or read at a time, before the thread reports progress: a slow disk
/// takes its time for a large file, and must not pass for one that hangs.
const PART: usize = 4 << 20;

/// The output file, held by this process until it ends.
#[derive(Debug)]
pub struct OutputFile {
    /// As it was given: it may be a symbolic link, and that may change.
    given: PathBuf,
    place: Place,
    mode: u32,
    /// `None` while the disk is too full to make the lock file.
    lock: Option<Lock>,
    /// What the file held, and how it looked, when this process last knew its bytes.
    seen: Option<(Fingerprint, Arc<Snapshot>)>,
    /// Where the link has led elsewhere since that was last asked.
    moved: Option<Moved>,
    heartbeat: Heartbeat,
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
    /// # Errors
    /// Where the path names no file, another daemon holds it, or it cannot be written to.
    pub fn claim(given: &Path, mode: u32) -> Result<(Self, Vec<Warning>), ClaimError> {
        let place = Place::of(given).map_err(ClaimError::Failed)?;
        place.require_file()?;
        let mut warnings: Vec<Warning> = Warning::about_name(given).into_iter().collect();
        warnings.extend(make_directories(place.directory()).map_err(ClaimError::Failed)?);
        let mut output = Self {
            given: given.to_owned(),
            place,
            mode,
            lock: None,
            seen: None,
            moved: None,
            heartbeat: Heartbeat::new(Instant::now()),
        };
        match output.hold_lock().and_then(|()| output.try_write().map_err(ClaimError::Failed)) {
            Ok(()) => {}
            Err(ClaimError::Failed(error)) if error.is_disk_full() => {
                warnings.push(Warning::Full(error));
            }
            Err(error) => return Err(error),
        }
        if output.lock.as_ref().is_some_and(|lock| !lock.is_effective) {
            let lock = output.place.lock_path();
            warnings.push(Warning::NoLocks { lock });
        }
        Ok((output, warnings))
    }

    /// The same, for a thread that reports progress by `heartbeat`.
    #[must_use]
    pub fn with_heartbeat(self, heartbeat: Heartbeat) -> Self {
        Self { heartbeat, ..self }
    }

    /// The path that is replaced: the one given, with symbolic links followed.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.place.path()
    }

    /// Where the path has led elsewhere since this was last asked.
    pub fn take_moved(&mut self) -> Option<Moved> {
        self.moved.take()
    }

    /// Replaces the file by `content`, on disk when this returns.
    ///
    /// # Errors
    /// The act that failed, and whether the old file is still in place.
    pub fn replace(&mut self, content: &Arc<Snapshot>) -> Result<(), Failure> {
        self.write_and_rename(content).map_err(Failure::Unwritten)?;
        self.flush()
    }

    /// Makes the last rename survive a power cut, as far as the file system can.
    ///
    /// # Errors
    /// What the system says.
    pub fn flush(&mut self) -> Result<(), Failure> {
        self.heartbeat.working(Instant::now());
        flush_directory(self.place.directory()).map_err(Failure::Unflushed)
    }

    /// Compares the file with `expected`, without reading it where nobody has touched it since.
    ///
    /// # Errors
    /// Where there is something that cannot be read.
    pub fn inspect(&mut self, expected: &Arc<Snapshot>) -> Result<Inspection, WriteError> {
        self.follow_links()?;
        let path = self.place.path();
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Inspection::Missing),
            Err(error) => return Err(WriteError::new("look at", path)(error)),
        };
        let fingerprint = Fingerprint::of(&metadata);
        if let Some((seen, content)) = &self.seen
            && *seen == fingerprint
            && content == expected
        {
            return Ok(Inspection::Same);
        }
        if is_special(&metadata) {
            // To read a pipe would be to wait for whoever writes to it.
            return Err(WriteError::new("read", path)(special()));
        }
        let bytes = self.read().map_err(WriteError::new("read", path))?;
        if bytes != expected.bytes() {
            return Ok(Inspection::Different(bytes));
        }
        let mode = metadata.mode() & 0o7777;
        if mode != self.mode {
            return Ok(Inspection::OtherMode(mode));
        }
        self.seen = Some((fingerprint, Arc::clone(expected)));
        Ok(Inspection::Same)
    }

    fn read(&self) -> io::Result<Vec<u8>> {
        let mut file = File::open(self.place.path())?.take(READ_LIMIT);
        let mut bytes = Vec::new();
        loop {
            self.heartbeat.working(Instant::now());
            let part = (&mut file).take(PART as u64).read_to_end(&mut bytes)?;
            if part == 0 {
                return Ok(bytes);
            }
        }
    }

    /// Follows the path anew, which may be a symbolic link that was changed or replaced. The lock stays
    /// where the file was, and is taken where it is.
    fn follow_links(&mut self) -> Result<(), WriteError> {
        let place = Place::of(&self.given)?;
        if place == self.place {
            return Ok(());
        }
        let before = std::mem::replace(&mut self.place, place);
        self.lock = None;
        self.seen = None;
        self.moved = Some(Moved {
            from: before.path().display().to_string(),
            to: self.place.path().display().to_string(),
        });
        Ok(())
    }

    /// Where this fails, the old file is in place. Only a file system over the network may have done a
    /// rename and say that it failed.
    fn write_and_rename(&mut self, content: &Arc<Snapshot>) -> Result<(), WriteError> {
        self.follow_links()?;
        let path = self.place.path();
        if fs::metadata(path).is_ok_and(|metadata| is_special(&metadata)) {
            return Err(WriteError::new("replace", path)(special()));
        }
        let directory = self.place.directory();
        fs::create_dir_all(directory).map_err(WriteError::new("make the directory", directory))?;
        self.hold_lock().map_err(|error| match error {
            ClaimError::Failed(error) => error,
            other => WriteError::new("lock", &self.place.lock_path())(io::Error::other(other)),
        })?;
        let temporary = self.place.temporary_path();
        let result = self.write_to(&temporary, content).and_then(|file| {
            let path = self.place.path();
            fs::rename(&temporary, path).map_err(WriteError::new("replace", path))?;
            Ok(file)
        });
        if result.is_err() {
            // What matters is why the write failed. A leftover is removed at the next start.
            let _ = fs::remove_file(&temporary);
        }
        // Without its looks, the file will be read to be known again.
        let metadata = result?.metadata().ok();
        self.seen = metadata.map(|metadata| (Fingerprint::of(&metadata), Arc::clone(content)));
        Ok(())
    }

    fn write_to(&self, temporary: &Path, content: &Snapshot) -> Result<File, WriteError> {
        let mut file = create_temporary(temporary)?;
        for (number, part) in content.bytes().chunks(PART).enumerate() {
            if number > 0 {
                file.sync_data().map_err(WriteError::new("flush", temporary))?;
            }
            self.heartbeat.working(Instant::now());
            file.write_all(part).map_err(WriteError::new("write", temporary))?;
        }
        // After the creation, so that the umask does not change it.
        file.set_permissions(Permissions::from_mode(self.mode))
            .map_err(WriteError::new("set the mode of", temporary))?;
        file.sync_all().map_err(WriteError::new("flush", temporary))?;
        Ok(file)
    }

    /// Takes the lock where it is not held, or where its file has gone with its directory.
    fn hold_lock(&mut self) -> Result<(), ClaimError> {
        let path = self.place.lock_path();
        if self.lock.as_ref().is_some_and(|lock| lock.is_at(&path)) {
            return Ok(());
        }
        self.lock = None;
        self.lock = Some(Lock::take(&path)?);
        self.remove_leftovers().map_err(ClaimError::Failed)
    }

    fn try_write(&self) -> Result<(), WriteError> {
        let temporary = self.place.temporary_path();
        create_temporary(&temporary)?;
        fs::remove_file(&temporary).map_err(WriteError::new("remove", &temporary))
    }

    /// Removes the temporary files of a daemon that was killed. Only the holder of the lock may.
    fn remove_leftovers(&self) -> Result<(), WriteError> {
        let directory = self.place.directory();
        let entries = fs::read_dir(directory).map_err(WriteError::new("list", directory))?;
        for entry in entries {
            let entry = entry.map_err(WriteError::new("list", directory))?;
            if self.place.is_temporary_name(&entry.file_name()) {
                let path = entry.path();
                fs::remove_file(&path).map_err(WriteError::new("remove the leftover", &path))?;
            }
        }
        Ok(())
    }
}

/// Prints `list` to stdout, where nothing else may go.
///
/// # Errors
/// What the system says, where it is closed or full.
pub fn print(list: &Snapshot) -> Result<(), WriteError> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(list.bytes())
        .and_then(|()| stdout.flush())
        .map_err(WriteError::new("write to", Path::new("stdout")))
}

/// Neither a file nor a directory. A rename would put a file into the place of a device.
fn is_special(metadata: &Metadata) -> bool {
    !metadata.is_file() && !metadata.is_dir()
}

fn special() -> io::Error {
    io::Error::other("it is a device, a pipe or a socket")
}

/// Makes the missing ones of a path's directories, and warns of the first that others may not enter.
fn make_directories(directory: &Path) -> Result<Option<Warning>, WriteError> {
    let missing: Vec<&Path> = directory
        .ancestors()
        .take_while(|ancestor| !ancestor.as_os_str().is_empty() && !ancestor.exists())
        .collect();
    fs::create_dir_all(directory).map_err(WriteError::new("make the directory", directory))?;
    let narrow = missing.into_iter().rev().find_map(|directory| {
        let mode = fs::metadata(directory).ok()?.mode() & 0o7777;
        let directory = directory.to_owned();
        (mode & 0o001 == 0).then_some(Warning::Narrow { directory, mode })
    });
    Ok(narrow)
}

fn create_temporary(path: &Path) -> Result<File, WriteError> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(WriteError::new("create", path))
}

fn flush_directory(directory: &Path) -> Result<(), WriteError> {
    let unsupported =
        [ErrorKind::InvalidInput, ErrorKind::Unsupported, ErrorKind::PermissionDenied];
    match File::open(directory).and_then(|directory| directory.sync_all()) {
        Err(error) if !unsupported.contains(&error.kind()) => {
            Err(WriteError::new("flush the directory", directory)(error))
        }
        _ => Ok(()),
    }
}
