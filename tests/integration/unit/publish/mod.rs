//! The output file on a real disk.

mod claim;
mod disk;
mod inspect;
mod links;
mod replace;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use kuma_prometheus_sd::output::file::{ClaimError, OutputFile};
use kuma_prometheus_sd::snapshot::Snapshot;
use tempfile::TempDir;

use crate::support::decoded::{group, snapshot};

/// How long a child may take to start.
const PATIENCE: Duration = Duration::from_secs(10);

/// A list of so many targets.
pub(crate) fn list(targets: usize) -> Arc<Snapshot> {
    let numbered = |number| {
        let instance = format!("dataplane-{number}");
        group(&format!("10.0.0.1:{number}"), &[("instance", &instance)])
    };
    snapshot(&(0..targets).map(numbered).collect::<Vec<_>>())
}

/// An output that can be claimed, without problems that may pass.
#[track_caller]
pub(crate) fn claim(path: &Path) -> OutputFile {
    claim_with_mode(path, 0o644)
}

#[track_caller]
pub(crate) fn claim_with_mode(path: &Path, mode: u32) -> OutputFile {
    // A child that another test is just starting holds a copy of a lock that is given back here,
    // until it has become the new program.
    let deadline = Instant::now() + PATIENCE;
    loop {
        match OutputFile::claim(path, mode) {
            Ok((output, warnings)) => {
                assert!(warnings.is_empty(), "{warnings:?}");
                return output;
            }
            Err(ClaimError::Held { .. }) if Instant::now() < deadline => thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    }
}

/// The text of the error of a claim.
#[track_caller]
pub(crate) fn refusal(path: &Path) -> String {
    OutputFile::claim(path, 0o644).unwrap_err().to_string()
}

pub(crate) fn folder() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("kuma.json");
    (folder, path)
}
