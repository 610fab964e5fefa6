//! A wall clock that jumps, by days and backwards: timers are monotonic, so nothing is put off and
//! nothing is hurried. The daemon is given such a clock by the library libfaketime.

use std::fs;
use std::path::PathBuf;

use kuma_stand_in::{ControlPlane, KumaVersion};

use crate::support::harness::{Daemon, Launch, SOON, program, wait_until};
use crate::support::lists;
use crate::support::not_tried::not_tried;

/// The library, where it is installed.
fn library() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").ok()?;
    folders
        .filter_map(|folder| Some(folder.ok()?.path().join("faketime/libfaketimeMT.so.1")))
        .find(|library| library.exists())
}

#[test]
fn a_wall_clock_that_jumps_changes_nothing() {
    if program() != env!("CARGO_BIN_EXE_kuma-prometheus-sd") {
        println!("left to the other binary: a static program takes no library");
        return;
    }
    let Some(library) = library() else {
        not_tried("libfaketime is not installed");
        return;
    };
    let plane = ControlPlane::serving(KumaVersion::V2_6, &lists::list(1, 3));
    let launch = Launch::follow(&plane.grpc_url());
    let clock = launch.folder().join("clock");
    launch.put("clock", "+0\n");
    let daemon = launch
        .clone()
        .variable("LD_PRELOAD", library)
        .variable("FAKETIME_TIMESTAMP_FILE", clock)
        .variable("FAKETIME_CACHE_DURATION", "1")
        .variable("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .start();
    daemon.wait_for_file(&lists::file(1, 3));
    let mut number = 1;
    for jump in ["+40d\n", "-400d\n"] {
        let before = month(&daemon);
        launch.put("clock", jump);
        // Lists are followed all the time, before and after the clock has jumped.
        let has_jumped = wait_until(SOON, || {
            number += 1;
            plane.publish(&lists::list(number, 3));
            daemon.wait_for_file(&lists::file(number, 3));
            month(&daemon) != before
        });
        assert!(has_jumped, "the daemon's clock did not jump");

        // And so is the pause before the next connection what it always is.
        let connections = daemon.lines_with("connected to MADS");
        number += 1;
        plane.fault_proxy().cut();
        plane.publish(&lists::list(number, 3));
        daemon.wait_for_log_count("connected to MADS", connections + 1);
        daemon.wait_for_file(&lists::file(number, 3));
    }
}

/// The year and month of the last line of the log.
fn month(daemon: &Daemon) -> String {
    let log = daemon.log();
    let last = log.lines().last().unwrap_or_default();
    last.chars().take("[2026-11".len()).collect()
}
