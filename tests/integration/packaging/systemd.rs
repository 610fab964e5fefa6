//! The unit, as systemd's own tools judge it.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::packaging::tree;
use crate::support::command::{command, has, run};

/// What `systemd-analyze security` may say at most; 10 is the worst.
const EXPOSURE: f64 = 1.5;

const UNIT: &str = "kuma-prometheus-sd.service";

/// One of the units, installed with the program that it names.
fn installed(unit: &str) -> (TempDir, PathBuf) {
    let folder = tree::folder();
    let variables = [
        ("BINARY", &*tree::program(folder.path())),
        ("prefix", folder.path()),
        ("sysconfdir", &folder.path().join("etc")),
    ];
    run(&mut tree::installer("install", &variables)).successfully();
    let unit = folder.path().join("etc/systemd/system").join(unit);
    (folder, unit)
}

#[test]
fn systemd_finds_no_fault_with_the_unit_or_the_template() {
    if !has("systemd-analyze") {
        return;
    }
    for unit in [UNIT, "kuma-prometheus-sd@.service"] {
        let (_folder, unit) = installed(unit);
        // Its manual page is not where `man` looks.
        let mut verify = command("systemd-analyze");
        let ended = run(verify.args(["verify", "--man=no"]).arg(unit)).successfully();
        assert_eq!(ended.output, "");
    }
}

#[test]
fn it_is_started_again_after_a_failure_and_its_list_outlives_it() {
    let (_folder, unit) = installed(UNIT);
    let unit = fs::read_to_string(unit).expect("it is there");
    for expected in [
        "Restart=on-failure",
        "RestartSec=5",
        "RestartPreventExitStatus=2",
        "StartLimitIntervalSec=0",
        "StateDirectory=kuma-prometheus-sd",
        "StateDirectoryMode=0755",
        "WorkingDirectory=%S/kuma-prometheus-sd",
    ] {
        let (key, _) = expected.split_once('=').expect("a key and its value");
        let set: Vec<_> = unit.lines().filter(|line| line.split('=').next() == Some(key)).collect();
        assert_eq!(set, [expected]);
    }
    for unwanted in ["RuntimeDirectory=", "DynamicUser=yes"] {
        let is_set = unit.lines().any(|line| line.starts_with(unwanted));
        assert!(!is_set, "{unwanted} would take the list away");
    }
}

#[test]
fn the_service_can_do_little_harm() {
    if !has("systemd-analyze") {
        return;
    }
    let (_folder, unit) = installed(UNIT);
    let mut security = command("systemd-analyze");
    security.args(["security", "--offline=true", "--no-pager"]).arg(unit);
    let ended = run(&mut security).successfully();
    let (_, verdict) = ended
        .output
        .split_once("Overall exposure level for kuma-prometheus-sd.service: ")
        .unwrap_or_else(|| panic!("no verdict: {}", ended.output));
    let exposure: f64 = verdict
        .split_whitespace()
        .next()
        .and_then(|number| number.parse().ok())
        .unwrap_or_else(|| panic!("no number: {verdict}"));
    assert!(exposure <= EXPOSURE, "{}", ended.output);
}
