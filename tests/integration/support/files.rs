//! Files and folders, as tests look at them and fill them.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The permissions of a file.
pub(crate) fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// The names in a folder, sorted.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

/// The temporary files that a daemon has left in a folder.
pub(crate) fn leftovers(folder: &Path) -> Vec<String> {
    let mut names = names(folder);
    names.retain(|name| name.ends_with(".tmp"));
    names
}

/// The path of everything in a folder, at any depth, in order.
pub(crate) fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut unseen = vec![folder.to_owned()];
    while let Some(folder) = unseen.pop() {
        for entry in fs::read_dir(folder).expect("a folder can be listed") {
            let path = entry.expect("a folder can be listed").path();
            if path.is_dir() {
                unseen.push(path.clone());
            }
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Takes all the room for bytes that is left on a disk; returns the file that takes it.
pub(crate) fn fill(disk: &Path) -> io::Result<PathBuf> {
    let path = disk.join("filler");
    let mut filler = File::create(&path)?;
    while filler.write_all(&[b'x'; 4096]).is_ok() {}
    Ok(path)
}
