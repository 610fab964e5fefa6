//! A daemon that has the control plane's list, over gRPC and over HTTP; and several at the same time.

use std::thread;

use kuma_stand_in::{ControlPlane, KumaVersion};

use crate::support::harness::{Daemon, Launch};
use crate::support::lists;
use crate::support::observe::expect_settled;

/// How many targets a list has here.
pub(crate) const TARGETS: usize = 20;

/// The control plane with list 1, and a daemon that has it and waits for the next.
pub(crate) fn following(kuma: KumaVersion) -> (ControlPlane, Daemon) {
    following_list_of(kuma, TARGETS)
}

/// The same with so many targets.
pub(crate) fn following_list_of(kuma: KumaVersion, targets: usize) -> (ControlPlane, Daemon) {
    let plane = ControlPlane::serving(kuma, &lists::list(1, targets));
    let launch = Launch::follow(&plane.grpc_url()).argument("--log-level=info");
    let daemon = launch.start();
    daemon.wait_for_file(&lists::file(1, targets));
    expect_settled(&plane);
    (plane, daemon)
}

/// Runs a test over gRPC and over HTTP, at the same time.
pub(crate) fn over_both_transports(test: impl Fn(KumaVersion) + Sync) {
    at_once([KumaVersion::V2_6, KumaVersion::V2_12], test);
}

/// Tests each case at the same time: what takes time here is waiting.
pub(crate) fn at_once<T: Send>(cases: impl IntoIterator<Item = T>, test: impl Fn(T) + Sync) {
    thread::scope(|scope| {
        for case in cases {
            let test = &test;
            scope.spawn(move || test(case));
        }
    });
}
