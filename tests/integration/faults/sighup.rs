//! SIGHUP: the daemon reconnects within 2 s, whatever it is doing, and that is no outage.

use std::time::{Duration, Instant};

use kuma_stand_in::{ApiVersion, KumaVersion};

use crate::support::following::{TARGETS, following, over_both_transports};
use crate::support::harness::{Launch, SOON, on_its_port};
use crate::support::lists;

#[test]
fn sighup_reconnects_with_the_same_version_and_is_no_outage() {
    over_both_transports(|kuma| {
        let (plane, mut daemon) = following(kuma);
        plane.events().discard();
        let before = plane.version(ApiVersion::V1);
        daemon.signal("HUP");
        // The new connection resumes with the version of the old one.
        let first = plane.events().expect_request(SOON);
        assert_eq!((Some(first.version_info), first.nonce), (before, String::new()));
        daemon.wait_for_log("reconnecting, as asked by SIGHUP");
        // The list is the same, so the control plane has nothing to send.
        let line = daemon.wait_for_log_count("connected to MADS", 2);
        assert!(!line.contains("without a connection"), "{line}");
        plane.publish(&lists::list(2, TARGETS));
        daemon.wait_for_file(&lists::file(2, TARGETS));
        assert_eq!(daemon.lines_with("next attempt in"), 0);
        assert!(daemon.is_running());
    });
}

#[test]
fn sighup_ends_a_pause() {
    let (plane, daemon) = following(KumaVersion::V2_6);
    drop(daemon);
    plane.go_away();
    let mut daemon = Launch::follow(&plane.grpc_url()).start();
    // The fifth pause is 5.2 s at least.
    daemon.wait_for_log_count("next attempt in", 5);
    on_its_port(|| plane.come_back());
    let asked = Instant::now();
    daemon.signal("HUP");
    daemon.wait_for_file(&lists::file(1, TARGETS));
    let elapsed = asked.elapsed();
    assert!(elapsed < Duration::from_secs(5), "{elapsed:?}");
}
