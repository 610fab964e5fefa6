//! `kuma-prometheus-sd check` as a test holds it: whatever it finds, it changes nothing.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::files::entries;
use crate::support::harness::{Finished, Launch};

/// A check of the control plane at an address, with `kuma.file_sd.json` in a folder of its own.
pub(crate) fn check(address: &str) -> Launch {
    Launch::bare().argument("check").argument(format!("--cp-address={address}"))
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
    assert!(finished.stdout.ends_with("\ncheck passed\n"), "{}", finished.stdout);
    finished.stdout
}

/// Runs a check that is to fail, and returns its output.
#[track_caller]
pub(crate) fn failed(launch: &Launch) -> String {
    let finished = run(launch);
    assert_eq!(finished.code, Some(1), "{}", finished.stdout);
    assert!(finished.stdout.ends_with("\ncheck failed\n"), "{}", finished.stdout);
    finished.stdout
}

/// Everything in a folder, at any depth, and the content of the files.
fn contents(folder: &Path) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    let with_content = |path: PathBuf| {
        let content = (!path.is_dir()).then(|| fs::read(&path).expect("a file can be read"));
        (path, content)
    };
    entries(folder).into_iter().map(with_content).collect()
}
