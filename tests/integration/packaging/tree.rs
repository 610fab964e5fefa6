//! Trees of files: what is in them, and the small program that stands for the real one where only
//! the tree matters.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::support::command::{command, repository};
use crate::support::files::entries;

/// A folder of its own for a test.
pub(crate) fn folder() -> TempDir {
    TempDir::new().expect("a temporary folder can be made")
}

/// A file to install as the program. Copying the real one takes a while.
pub(crate) fn program(folder: &Path) -> PathBuf {
    let path = folder.join("program");
    fs::write(&path, "#!/bin/sh\n").expect("a file can be written");
    path
}

/// `packaging/install.sh WORD`, with these variables.
pub(crate) fn installer(word: &str, variables: &[(&str, &Path)]) -> Command {
    let mut install = command(repository().join("packaging/install.sh"));
    install.arg(word).envs(variables.iter().copied());
    install
}

/// Every file in a folder, as `MODE PATH`, in the order of their paths.
pub(crate) fn files(folder: &Path) -> Vec<String> {
    entries(folder)
        .into_iter()
        .filter(|path| path.is_file())
        .map(|path| describe(folder, &path))
        .collect()
}

/// Every folder in a folder, as `MODE PATH`, in the order of their paths.
pub(crate) fn folders(folder: &Path) -> Vec<String> {
    entries(folder)
        .into_iter()
        .filter(|path| path.is_dir())
        .map(|path| describe(folder, &path))
        .collect()
}

fn describe(folder: &Path, path: &Path) -> String {
    let metadata = fs::symlink_metadata(path).expect("what was listed is there");
    let relative = path.strip_prefix(folder).expect("it is in the folder");
    let mode = metadata.permissions().mode() & 0o7777;
    format!("{mode:o} {}", relative.display())
}
