//! The unit, as systemd's own tools judge it.

use std::path::PathBuf;

use tempfile::TempDir;

use crate::shell::{command, has, repository, run};
use crate::tree;

/// What `systemd-analyze security` may say at most; 10 is the worst.
const EXPOSURE: f64 = 1.5;

/// The unit, installed with the program that it names.
fn installed_unit() -> (TempDir, PathBuf) {
    let folder = tree::folder();
    let mut install = command(repository().join("packaging/install.sh"));
    install
        .arg("install")
        .env("BINARY", tree::program(folder.path()))
        .env("prefix", folder.path())
        .env("sysconfdir", folder.path().join("etc"));
    run(&mut install).successfully();
    let unit = "etc/systemd/system/kuma-prometheus-sd.service";
    let unit = folder.path().join(unit);
    (folder, unit)
}

#[test]
fn systemd_finds_no_fault_with_the_unit() {
    if !has("systemd-analyze") {
        return;
    }
    let (_folder, unit) = installed_unit();
    // Its manual page is not where `man` looks.
    let mut verify = command("systemd-analyze");
    let ended = run(verify.args(["verify", "--man=no"]).arg(unit)).successfully();
    assert_eq!(ended.output, "");
}

#[test]
fn the_service_can_do_little_harm() {
    if !has("systemd-analyze") {
        return;
    }
    let (_folder, unit) = installed_unit();
    let mut security = command("systemd-analyze");
    security
        .args(["security", "--offline=true", "--no-pager"])
        .arg(unit);
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
