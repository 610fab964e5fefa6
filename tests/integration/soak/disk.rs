//! The disk that the output lies on, and what can happen to it and to the file.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::support::command::shell;
use crate::support::files::fill;

/// What somebody writes into the output.
pub(crate) const BY_HAND: &str = "changed by hand";

/// A fault of the disk or of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// No room is left.
    Full,
    /// It is read-only.
    ReadOnly,
    /// The file is deleted.
    Deleted,
    /// The file is replaced by somebody else's, at once: in part, a reader could see it as ours.
    Edited,
    /// The file gets another mode.
    Unreadable,
    /// The file is a folder now.
    Folder,
    /// The folder is deleted with all that is in it.
    FolderDeleted,
}

impl Fault {
    pub(crate) fn any(rng: &mut fastrand::Rng) -> Fault {
        let all = [
            Fault::Full,
            Fault::ReadOnly,
            Fault::Deleted,
            Fault::Edited,
            Fault::Unreadable,
            Fault::Folder,
            Fault::FolderDeleted,
        ];
        all[rng.usize(..all.len())]
    }
}

/// A small disk of one's own.
pub(crate) struct Disk {
    path: PathBuf,
    fault: Option<Fault>,
}

impl Disk {
    pub(crate) fn new(path: PathBuf) -> Disk {
        Disk { path, fault: None }
    }

    /// Where the output is.
    pub(crate) fn output(&self) -> PathBuf {
        self.path.join("sd/kuma.file_sd.json")
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
                shell(&format!("mount --bind {path} {path} && mount -o remount,bind,ro {path}"));
                Ok(())
            }
            Fault::Deleted => fs::remove_file(output),
            Fault::Edited => {
                let other = output.with_extension("by-hand");
                fs::write(&other, BY_HAND).and_then(|()| fs::rename(other, output))
            }
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
