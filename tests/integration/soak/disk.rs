//! The disk that the output lies on, and what can happen to it and to the file.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::support::command::shell;
use crate::support::files::fill;

/// What somebody writes into the output.
pub(crate) const BY_HAND: &str = "changed by hand";

/// A fault of the disk or of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// No room is left; needs a disk of one's own.
    Full,
    /// It is read-only; needs a disk of one's own.
    ReadOnly,
    /// The file is deleted.
    Deleted,
    /// The file is written by somebody else.
    Edited,
    /// The file gets another mode.
    Unreadable,
    /// The file is a folder now.
    Folder,
    /// The folder is deleted with all that is in it.
    FolderDeleted,
}

pub(crate) struct Disk {
    path: PathBuf,
    is_own: bool,
    fault: Option<Fault>,
    _folder: Option<TempDir>,
}

impl Disk {
    /// A small disk of one's own.
    pub(crate) fn small(path: &Path) -> Disk {
        Disk {
            path: path.to_owned(),
            is_own: true,
            fault: None,
            _folder: None,
        }
    }

    /// A folder like any other.
    pub(crate) fn ordinary() -> Disk {
        let folder = TempDir::new().expect("a temporary folder can be made");
        Disk {
            path: folder.path().to_owned(),
            is_own: false,
            fault: None,
            _folder: Some(folder),
        }
    }

    /// Where the output is.
    pub(crate) fn output(&self) -> PathBuf {
        self.path.join("sd/kuma.file_sd.json")
    }

    /// A fault that can be had here.
    pub(crate) fn any_fault(&self, rng: &mut fastrand::Rng) -> Fault {
        let all = [
            Fault::Full,
            Fault::ReadOnly,
            Fault::Deleted,
            Fault::Edited,
            Fault::Unreadable,
            Fault::Folder,
            Fault::FolderDeleted,
        ];
        let first = if self.is_own { 0 } else { 2 };
        all[rng.usize(first..all.len())]
    }

    /// Lets a fault happen, after the one before has been healed.
    pub(crate) fn suffer(&mut self, fault: Fault) {
        self.heal();
        self.fault = Some(fault);
        let output = self.output();
        // The daemon may write at the same time, and what is to be harmed may not be there.
        let done = match fault {
            Fault::Full => fill(&self.path).map(drop),
            Fault::ReadOnly => {
                let path = self.path.display();
                shell(&format!(
                    "mount --bind {path} {path} && mount -o remount,bind,ro {path}"
                ));
                Ok(())
            }
            Fault::Deleted => fs::remove_file(output),
            Fault::Edited => fs::write(output, BY_HAND),
            Fault::Unreadable => fs::set_permissions(output, Permissions::from_mode(0o000)),
            Fault::Folder => {
                let _ = fs::remove_file(&output);
                fs::create_dir(output)
            }
            Fault::FolderDeleted => fs::remove_dir_all(self.path.join("sd")),
        };
        if let Err(error) = done {
            println!("{fault:?}: {error}");
        }
    }

    /// The disk is well again. What was done to the file is for the daemon to put right.
    pub(crate) fn heal(&mut self) {
        match self.fault.take() {
            Some(Fault::Full) => fs::remove_file(self.path.join("filler")).expect("it was made"),
            Some(Fault::ReadOnly) => shell(&format!("umount --lazy {}", self.path.display())),
            Some(Fault::Folder) => {
                // The daemon cannot have replaced it, but its making may have failed.
                let _ = fs::remove_dir(self.output());
            }
            _ => {}
        }
    }
}
