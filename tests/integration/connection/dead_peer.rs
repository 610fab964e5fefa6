//! A peer that disappears without closing the connection, as behind a pulled cable: the daemon notices
//! within 60 s and connects anew. This takes its time, but it is one wait, next to which other tests run.

use std::time::{Duration, Instant};

use kuma_stand_in::{ControlPlane, Fault};

use crate::support::following::over_both_transports;
use crate::support::harness::Launch;
use crate::support::mesh::{EMPTY, backends, file_v1};

/// A dead peer is noticed within this time.
const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn a_peer_that_disappears_without_closing_is_noticed_within_60_seconds() {
    over_both_transports(|kuma| {
        let plane = ControlPlane::start(kuma);
        let daemon = Launch::follow(&plane.grpc_url()).start();
        daemon.wait_for_file(EMPTY);
        plane.fault_proxy().set_fault(Fault::Stall);
        let stalled = Instant::now();
        let line = daemon.wait_for_log_within("no connection to the control plane", LIMIT);
        assert!(stalled.elapsed() <= LIMIT, "{line}");
        assert_eq!(daemon.file().as_deref(), Some(EMPTY));

        plane.publish(&backends(2));
        plane.fault_proxy().set_fault(Fault::None);
        daemon.wait_for_file(&file_v1(&backends(2)));
    });
}
