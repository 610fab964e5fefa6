//! What a fault may cost: a while of a daemon's life, with its processor time, its log and its file
//! before and after.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use kuma_stand_in::{ApiVersion, ControlPlane, Event, HttpRequest, Server};

use crate::support::harness::{Daemon, SOON};

/// For how long a fault is watched.
pub(crate) const WHILE: Duration = Duration::from_secs(10);

/// After any outage the daemon is back within this time: the longest pause, and an attempt.
pub(crate) const BACK_WITHIN: Duration = Duration::from_secs(45);

/// How many lines a fault may be worth in that time, at the level info.
const LINES: usize = 4;

/// The growth of memory that is no growth: what an allocator keeps, and C-core's buffers.
const MEMORY_KIB: u64 = 32 << 10;

/// What changes when a file is written: its inode and its time of modification.
pub(crate) fn written(path: &Path) -> Option<(u64, i64, i64)> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.ino(), metadata.mtime(), metadata.mtime_nsec()))
}

/// Watches a daemon for a while, and sees that its file stays untouched, that its log stays short,
/// that its memory does not grow, and that it uses no more than so many hundredths of one core.
#[track_caller]
pub(crate) fn assert_quiet(fault: &str, daemon: &Daemon, hundredths: u32) {
    let (file, lines) = (written(daemon.output_path()), daemon.log().lines().count());
    let before = daemon.figures();
    thread::sleep(WHILE);
    let after = daemon.figures();
    assert_eq!(written(daemon.output_path()), file, "{fault}: the file was touched");
    let told = daemon.log().lines().count() - lines;
    let used = after.cpu - before.cpu;
    let grown = after.resident_kib.saturating_sub(before.resident_kib);
    println!("{fault}: {used:?} of processor time, {told} lines and {grown} KiB more in {WHILE:?}");
    assert!(told <= LINES, "{fault}: {told} lines");
    assert!(used <= WHILE * hundredths / 100, "{fault}: {used:?}");
    assert!(grown <= MEMORY_KIB, "{fault}: {grown} KiB more");
}

/// A list of an earlier control plane.
pub(crate) const OLD: &str = "[\n{\"targets\":[\"10.9.9.9:1\"],\"labels\":{\"mesh\":\"old\"}}\n]\n";

/// Waits until a client has said that it has the list of API version v1 or v1alpha1 last published:
/// by an ACK, or by a poll that waits for the next.
#[track_caller]
pub(crate) fn expect_settled(plane: &ControlPlane) {
    let versions: Vec<_> = ApiVersion::ALL.map(|api_version| plane.version(api_version)).into();
    plane.events().expect("an acknowledgement", SOON, |event| match event {
        Event::Request(request) => {
            versions.contains(&Some(request.version_info.clone())).then_some(())
        }
        _ => None,
    });
}

/// What each server was asked, apart from discovery.
pub(crate) fn asked(plane: &ControlPlane) -> Vec<(Server, HttpRequest)> {
    let request = |event| match event {
        Event::Http { server, request, .. } => Some((server, request)),
        _ => None,
    };
    plane.events().seen().into_iter().filter_map(request).collect()
}
