//! A life of thousands of reconnects: descriptors, threads and memory do not grow.
//!
//! `RECONNECTS=…` says how many; SIGHUP brings about each as soon as the one before has sent its
//! request.

use std::env;
use std::time::{Duration, Instant};

use kuma_stand_in::ControlPlane;

use crate::support::following::{TARGETS, following, over_both_transports};
use crate::support::harness::{Daemon, SOON};
use crate::support::lists;
use crate::support::process::Figures;

/// Reconnects that an ordinary run waits for, and the time it has for each source.
const RECONNECTS: u32 = 1500;
const TIME: Duration = Duration::from_secs(8);

/// Reconnects until everything is there that stays: pools, caches, threads.
const WARM_UP: u32 = 50;

#[test]
fn thousands_of_reconnects_leave_nothing_behind() {
    let wanted = env::var("RECONNECTS").ok();
    let wanted: Option<u32> = wanted.map(|text| text.parse().expect("RECONNECTS is a number"));
    over_both_transports(|kuma| {
        let (plane, mut daemon) = following(kuma);
        let process = daemon.process();
        reconnect(&plane, &mut daemon, WARM_UP);
        let before = Figures::of(process);
        let start = Instant::now();
        let mut done = 0;
        while done < wanted.unwrap_or(RECONNECTS) {
            reconnect(&plane, &mut daemon, 100);
            done += 100;
            if wanted.is_none() && start.elapsed() > TIME {
                break;
            }
        }
        let after = Figures::of(process);
        println!(
            "Kuma {kuma}: {done} reconnects in {:?}, from {before:?} to {after:?}",
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
