//! A machine that is suspended and wakes up: SIGSTOP and SIGCONT stand for that. The daemon notices
//! what it has missed, also that its connection is dead.

use std::thread;
use std::time::Duration;

use kuma_stand_in::{Fault, KumaVersion};

use crate::support::following::{TARGETS, at_once, following, over_both_transports};
use crate::support::harness::on_its_port;
use crate::support::lists;

/// A dead peer is noticed within this time.
const NOTICED_WITHIN: Duration = Duration::from_secs(60);

#[test]
fn a_suspended_machine_that_wakes_up_notices_what_it_has_missed() {
    over_both_transports(|kuma| {
        let tests: [fn(KumaVersion); 2] =
            [wakes_up_to_a_restarted_control_plane, wakes_up_to_a_dead_peer];
        at_once(tests, |test| test(kuma));
    });
}

fn wakes_up_to_a_restarted_control_plane(kuma: KumaVersion) {
    let (plane, mut daemon) = following(kuma);
    daemon.signal("STOP");
    plane.go_away();
    plane.publish(&lists::list(2, TARGETS));
    thread::sleep(Duration::from_secs(3));
    on_its_port(|| plane.come_back());
    daemon.signal("CONT");
    daemon.wait_for_file(&lists::file(2, TARGETS));
}

fn wakes_up_to_a_dead_peer(kuma: KumaVersion) {
    let (plane, mut daemon) = following(kuma);
    daemon.signal("STOP");
    plane.fault_proxy().set_fault(Fault::Stall);
    plane.publish(&lists::list(2, TARGETS));
    thread::sleep(Duration::from_secs(3));
    daemon.signal("CONT");
    daemon.wait_for_log_within("no connection to the control plane", NOTICED_WITHIN);
    assert_eq!(daemon.file(), Some(lists::file(1, TARGETS)));
    plane.fault_proxy().set_fault(Fault::None);
    daemon.wait_for_file(&lists::file(2, TARGETS));
}
