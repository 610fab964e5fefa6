//! What can be known about an output without writing anything, for `check`.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, StatVfs, access, statfs, statvfs};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::lock;
use super::place::Place;
use super::{ClaimError, WriteError};

/// File systems whose files are the kernel's: proc, sysfs, cgroup and cgroup2.
const WITHOUT_FILES: [u64; 4] = [0x9fa0, 0x6265_6572, 0x0027_e0eb, 0x6367_7270];

/// A directory in which only a file's owner may replace it.
const STICKY: u32 = 0o1000;

/// Whether `OutputFile::claim` and `OutputFile::replace` would work on `given`, as far as that can be
/// known without writing. Returns the path that would be replaced.
///
/// # Errors
/// Why not.
pub fn check(given: &Path) -> Result<PathBuf, ClaimError> {
    let place = Place::of(given).map_err(ClaimError::Failed)?;
    place.require_file()?;
    let is_free = lock::require_free(&place.lock_path());
    // A running daemon may be unable to write just now, which is what is to be found out.
    if matches!(is_free, Ok(()) | Err(ClaimError::Held { .. })) {
        may_be_written(&place).map_err(ClaimError::Failed)?;
    }
    is_free?;
    Ok(place.path().to_owned())
}

fn may_be_written(place: &Place) -> Result<(), WriteError> {
    let directory = place.nearest_directory();
    let fails = |act, errno: Errno| WriteError::new(act, directory)(errno.into());
    access(directory, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK)
        .map_err(|errno| fails("write to", errno))?;
    let kind = statfs(directory).map_err(|errno| fails("look at", errno))?;
    if u64::try_from(kind.f_type).is_ok_and(|kind| WITHOUT_FILES.contains(&kind)) {
        let error = io::Error::other("its file system is the kernel's and takes no files");
        return Err(WriteError::new("write to", directory)(error));
    }
    let room = statvfs(directory).map_err(|errno| fails("look at", errno))?;
    if is_full(&room) {
        return Err(fails("write to", Errno::NOSPC));
    }
    let temporary = place.temporary_path();
    let name = temporary.file_name().unwrap_or_default();
    if name.len() as u64 > room.f_namemax {
        return Err(WriteError::new("create", &temporary)(Errno::NAMETOOLONG.into()));
    }
    if is_kept_by_another(place) {
        return Err(WriteError::new("replace", place.path())(io::Error::other(
            "it is another user's, in a directory where only owners may replace their files",
        )));
    }
    Ok(())
}

/// Some file systems do not tell their size, or how many files they may have.
fn is_full(room: &StatVfs) -> bool {
    let (blocks, files) = match geteuid().is_root() {
        true => (room.f_bfree, room.f_ffree),
        false => (room.f_bavail, room.f_favail),
    };
    (room.f_blocks > 0 && blocks == 0) || (room.f_files > 0 && files == 0)
}

fn is_kept_by_another(place: &Place) -> bool {
    let own = geteuid();
    let is_ours = |owner| own.is_root() || own.as_raw() == owner;
    let (directory, file) = (fs::metadata(place.directory()), fs::metadata(place.path()));
    directory.is_ok_and(|directory| directory.mode() & STICKY != 0 && !is_ours(directory.uid()))
        && file.is_ok_and(|file| !is_ours(file.uid()))
}
