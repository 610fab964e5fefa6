//! A life of many reconnects: descriptors, threads and memory do not grow.
//!
//! `RECONNECTS=…` says how many; SIGHUP brings about each as soon as the one before has sent its
//! request. It takes a second or so, as a fleet that is reloaded is spread over two.

use std::time::Instant;

use kuma_stand_in::ControlPlane;

use crate::support::command::from_environment;
use crate::support::following::{TARGETS, following, over_both_transports};
use crate::support::harness::{Daemon, SOON};
use crate::support::lists;

/// Reconnects that an ordinary run waits for: more than what is allowed to be left behind.
const RECONNECTS: u32 = 45;

/// Reconnects until everything is there that stays: pools, caches, threads.
const WARM_UP: u32 = 10;

#[test]
fn reconnects_leave_nothing_behind() {
    let wanted = from_environment("RECONNECTS").unwrap_or(RECONNECTS);
    over_both_transports(|kuma| {
        let (plane, mut daemon) = following(kuma);
        reconnect(&plane, &mut daemon, WARM_UP);
        let before = daemon.figures();
        let start = Instant::now();
        reconnect(&plane, &mut daemon, wanted);
        let after = daemon.figures();
        println!(
            "Kuma {kuma}: {wanted} reconnects in {:?}, from {before:?} to {after:?}",
            start.elapsed()
        );
        assert!(after.descriptors <= before.descriptors + 8, "{after:?}");
        assert!(after.threads <= before.threads + 4, "{after:?}");
        let grown = after.resident_kib.saturating_sub(before.resident_kib);
        assert!(grown <= 8 << 10, "{grown} KiB more");
        plane.publish(&lists::list(2, TARGETS));
        daemon.wait_for_file(&lists::file(2, TARGETS));
    });
}

/// Lets the daemon connect anew so many times, each as soon as the one before has sent its request.
fn reconnect(plane: &ControlPlane, daemon: &mut Daemon, times: u32) {
    for _ in 0..times {
        daemon.signal("HUP");
        plane.events().expect_request(SOON);
    }
}
