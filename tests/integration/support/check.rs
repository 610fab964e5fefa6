//! `kuma-prometheus-sd check` as a test holds it: whatever it finds, it changes nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::support::harness::{Finished, Launch};

/// A check of the control plane at an address, with `kuma.file_sd.json` in a folder of its own.
pub(crate) fn check(address: &str) -> Launch {
    Launch::bare()
        .argument("check")
        .argument(format!("--cp-address={address}"))
}

/// Runs a check to its end, and sees that it leaves its folder as it was.
#[track_caller]
pub(crate) fn run(launch: &Launch) -> Finished {
    let before = contents(launch.folder());
    let finished = launch.run_to_its_end();
    assert_eq!(contents(launch.folder()), before, "the folder has changed");
    assert_eq!(finished.stderr, "", "{}", finished.stdout);
    finished
}

/// Runs a check that is to succeed, and returns its output.
#[track_caller]
pub(crate) fn passed(launch: &Launch) -> String {
    let finished = run(launch);
    assert_eq!(finished.code, Some(0), "{}", finished.stdout);
    assert!(
        finished.stdout.ends_with("\ncheck passed\n"),
        "{}",
        finished.stdout
    );
    finished.stdout
}

/// Runs a check that is to fail, and returns its output.
#[track_caller]
pub(crate) fn failed(launch: &Launch) -> String {
    let finished = run(launch);
    assert_eq!(finished.code, Some(1), "{}", finished.stdout);
    assert!(
        finished.stdout.ends_with("\ncheck failed\n"),
        "{}",
        finished.stdout
    );
    finished.stdout
}

/// Every file below a folder with its content, and every folder.
fn contents(folder: &Path) -> BTreeMap<String, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder can be read") {
            let path = entry.expect("an entry can be read").path();
            let is_folder = path.is_dir();
            let content = (!is_folder).then(|| fs::read(&path).expect("a file can be read"));
            found.insert(path.to_string_lossy().into_owned(), content);
            if is_folder {
                folders.push(path);
            }
        }
    }
    found
}
