//! What happens to the process itself: SIGHUP, being stopped as on a machine that is suspended, and
//! a life of thousands of reconnects.

use std::env;
use std::thread;
use std::time::{Duration, Instant};

use kuma_stand_in::{ControlPlane, Fault, Kuma};

use crate::harness::{Daemon, Launch, SOON};
use crate::lists;
use crate::observe::expect_settled;
use crate::process::{Figures, id_of};

/// A dead peer is noticed within this time.
const NOTICED_WITHIN: Duration = Duration::from_secs(60);

/// Reconnects that an ordinary run waits for, and the time it has for each source.
const RECONNECTS: u32 = 1500;
const TIME: Duration = Duration::from_secs(12);

/// Reconnects until everything is there that stays: pools, caches, threads.
const WARM_UP: u32 = 100;

fn following(kuma: Kuma) -> (ControlPlane, Daemon) {
    let plane = ControlPlane::start(kuma);
    plane.publish(&lists::list(1, 20));
    let launch = Launch::follow(&plane.grpc_url()).argument("--log-level=info");
    let daemon = launch.start();
    daemon.wait_for_file(&lists::file(1, 20));
    expect_settled(&plane);
    (plane, daemon)
}

fn over_both_transports(test: impl Fn(Kuma) + Copy + Send) {
    thread::scope(|scope| {
        for kuma in [Kuma::V2_6, Kuma::V2_12] {
            scope.spawn(move || test(kuma));
        }
    });
}

#[test]
fn sighup_connects_anew_at_once() {
    over_both_transports(|kuma| {
        let (plane, mut daemon) = following(kuma);
        plane.events().discard();
        let before = plane.version(kuma_stand_in::Generation::V1);
        daemon.signal("HUP");
        // The new connection resumes with the version of the old one.
        let first = plane.events().expect_request(SOON);
        assert_eq!((Some(first.version_info), first.nonce), (before, String::new()));
        daemon.wait_for_log("connecting anew, as asked by SIGHUP");
        plane.publish(&lists::list(2, 20));
        daemon.wait_for_file(&lists::file(2, 20));
        assert_eq!(daemon.lines_with("next attempt in"), 0);
        assert!(daemon.is_running());
    });
}

#[test]
fn sighup_ends_a_pause() {
    let (plane, daemon) = following(Kuma::V2_6);
    drop(daemon);
    plane.go_away();
    let mut daemon = Launch::follow(&plane.grpc_url()).start();
    // The fifth pause is 5.2 s at least.
    daemon.wait_for_log_count("next attempt in", 5);
    plane.come_back().expect("its ports are free");
    let asked = Instant::now();
    daemon.signal("HUP");
    daemon.wait_for_file(&lists::file(1, 20));
    let elapsed = asked.elapsed();
    assert!(elapsed < Duration::from_secs(5), "{elapsed:?}");
}

#[test]
fn a_suspended_machine_that_wakes_up_notices_what_it_has_missed() {
    thread::scope(|scope| {
        for kuma in [Kuma::V2_6, Kuma::V2_12] {
            scope.spawn(move || wakes_up_to_a_restarted_control_plane(kuma));
            scope.spawn(move || wakes_up_to_a_dead_peer(kuma));
        }
    });
}

fn wakes_up_to_a_restarted_control_plane(kuma: Kuma) {
    let (plane, mut daemon) = following(kuma);
    daemon.signal("STOP");
    plane.go_away();
    plane.publish(&lists::list(2, 20));
    thread::sleep(Duration::from_secs(3));
    plane.come_back().expect("its ports are free");
    daemon.signal("CONT");
    daemon.wait_for_file(&lists::file(2, 20));
}

fn wakes_up_to_a_dead_peer(kuma: Kuma) {
    let (plane, mut daemon) = following(kuma);
    daemon.signal("STOP");
    plane.front().set_fault(Fault::Stall);
    plane.publish(&lists::list(2, 20));
    thread::sleep(Duration::from_secs(3));
    daemon.signal("CONT");
    daemon.wait_for_log_within("no connection to the control plane", NOTICED_WITHIN);
    assert_eq!(daemon.file(), Some(lists::file(1, 20)));
    plane.front().set_fault(Fault::None);
    daemon.wait_for_file(&lists::file(2, 20));
}

#[test]
fn thousands_of_reconnects_leave_nothing_behind() {
    let wanted = env::var("RECONNECTS").ok();
    let wanted: Option<u32> = wanted.map(|text| text.parse().expect("RECONNECTS is a number"));
    over_both_transports(|kuma| {
        let (plane, mut daemon) = following(kuma);
        let process = id_of(&daemon);
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
        plane.publish(&lists::list(2, 20));
        daemon.wait_for_file(&lists::file(2, 20));
    });
}

/// Lets the daemon connect anew so many times, each as soon as the one before has sent its request.
fn reconnect(plane: &ControlPlane, daemon: &mut Daemon, times: u32) {
    for _ in 0..times {
        daemon.signal("HUP");
        plane.events().expect_request(SOON);
    }
}
