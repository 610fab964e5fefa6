//! C-core wakes several times a second once it runs, so it is started for gRPC only.

use std::fs;

use kuma_stand_in::{ControlPlane, KumaVersion};

use crate::support::harness::{Daemon, Launch};
use crate::support::mesh::{backends, file_v1};

/// Whether one of the daemon's threads is one of C-core's.
fn runs_c_core(daemon: &Daemon) -> bool {
    let tasks = fs::read_dir(format!("/proc/{}/task", daemon.process())).unwrap();
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    let names: Vec<String> = names.collect();
    assert!(names.iter().any(|name| name.trim() == "receiver"), "{names:?}");
    names.iter().any(|name| name.starts_with("grpc"))
}

#[test]
fn c_core_is_started_only_where_grpc_is_spoken() {
    for (kuma, expected) in [(KumaVersion::V2_6, true), (KumaVersion::V2_12, false)] {
        let plane = ControlPlane::serving(kuma, &backends(1));
        let daemon = Launch::follow(&plane.api_url()).start();
        daemon.wait_for_file(&file_v1(&backends(1)));
        assert_eq!(runs_c_core(&daemon), expected, "{kuma:?}");
    }
}
