//! Files on a disk that hangs, for which a named pipe stands here: whoever opens one waits until
//! somebody writes to it.

use std::fs;
use std::process::Command;

use kuma_stand_in::{Authority, ControlPlane, KumaVersion};

use crate::support::harness::{Daemon, Launch, SOON, wait_until};
use crate::support::mesh::EMPTY;
use crate::support::secure::{grpcs_url, plane, server_of};

const REFUSED: &str = "cannot start a thread: 16 of earlier attempts hang; does the disk of a file for the token or TLS hang?";

fn hanging(launch: &Launch, name: &str) {
    let made = Command::new("mkfifo").arg(launch.folder().join(name)).status();
    assert!(made.expect("mkfifo can be run").success());
}

/// A daemon that follows `plane` over TLS, with an authority's file that hangs.
fn follow_with_hanging_authority(plane: &ControlPlane) -> Launch {
    let launch = Launch::follow(&grpcs_url(plane)).argument("--ca-cert-file=ca.pem");
    hanging(&launch, "ca.pem");
    launch
}

/// Sees that a daemon still obeys signals and writes lists.
#[track_caller]
fn expect_obedience(daemon: &mut Daemon, count: usize) {
    daemon.signal("HUP");
    daemon.wait_for_log_count("reconnecting, as asked by SIGHUP", count);
    daemon.wait_for_log_count("asking for MADS at", count + 1);
}

#[test]
fn a_file_for_tls_that_hangs_keeps_the_receiver_from_nothing() {
    let authority = Authority::new("the authority");
    let plane = plane(&server_of(&authority));
    let launch = follow_with_hanging_authority(&plane);
    let mut daemon = launch.start();
    daemon.wait_for_log("asking for MADS at");
    expect_obedience(&mut daemon, 1);
    expect_obedience(&mut daemon, 2);

    fs::remove_file(launch.folder().join("ca.pem")).expect("it is there");
    launch.put("ca.pem", authority.pem());
    daemon.signal("HUP");
    daemon.wait_for_file(EMPTY);
    daemon.terminate();
}

#[test]
fn attempts_that_hang_in_a_file_do_not_add_up_without_a_limit() {
    let authority = Authority::new("the authority");
    let plane = plane(&server_of(&authority));
    let launch = follow_with_hanging_authority(&plane);
    let mut daemon = launch.start();
    daemon.wait_for_log("asking for MADS at");
    let is_refused = |daemon: &Daemon| daemon.lines_with(REFUSED) > 0;
    for attempts in 1..=20 {
        daemon.signal("HUP");
        let begun = || daemon.lines_with("asking for MADS at") > attempts || is_refused(&daemon);
        assert!(wait_until(SOON, begun), "no attempt after {attempts}");
    }
    assert!(is_refused(&daemon), "all attempts hang");
}

#[test]
fn a_token_that_hangs_is_reported_and_read_when_it_is_back() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    plane.api().require_token(Some("open-sesame"));
    let launch = Launch::follow(&plane.api_url()).argument("--cp-token-file=token");
    hanging(&launch, "token");
    let daemon = launch.start();
    daemon.wait_for_trouble();
    fs::remove_file(launch.folder().join("token")).expect("it is there");
    launch.put("token", "open-sesame");
    daemon.wait_for_file(EMPTY);
}
