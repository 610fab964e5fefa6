//! What stands in the output file, and when it is written: always one complete list that the
//! control plane has sent, and never the same one twice.

use kuma_stand_in::{ControlPlane, Dataplane, KumaVersion};

use crate::support::harness::{Launch, SOON};
use crate::support::mesh::{EMPTY, backend, backends, file_v1};
use crate::support::observe::written;

#[test]
fn other_versions_and_another_order_change_nothing() {
    let mesh = backends(50);
    let plane = ControlPlane::serving(KumaVersion::V2_6, &mesh);
    let daemon = Launch::follow(&plane.grpc_url()).start();
    daemon.wait_for_file(&file_v1(&mesh));
    let before = written(daemon.output_path());

    plane.restart();
    daemon.wait_for_log("the file already holds 50 targets");
    assert_eq!(written(daemon.output_path()), before);

    // The same again, as a new version on the same stream.
    plane.publish(&mesh);
    daemon.wait_for_log_count("the file already holds 50 targets", 2);
    assert_eq!(written(daemon.output_path()), before);

    plane.publish(&mesh[1..]);
    daemon.wait_for_file(&file_v1(&mesh[1..]));
    assert_ne!(written(daemon.output_path()), before);
}

#[test]
fn a_daemon_that_restarts_onto_an_equal_file_writes_nothing() {
    let mesh = backends(50);
    let plane = ControlPlane::serving(KumaVersion::V2_6, &mesh);
    let launch = Launch::follow(&plane.grpc_url());
    let daemon = launch.start();
    daemon.wait_for_file(&file_v1(&mesh));
    daemon.terminate();
    let before = written(launch.output_path());

    let daemon = launch.start();
    daemon.wait_for_log("the file already holds 50 targets");
    assert_eq!(written(launch.output_path()), before);
    plane.publish(&mesh[1..]);
    daemon.wait_for_file(&file_v1(&mesh[1..]));
}

#[test]
fn a_snapshot_of_20_mib_is_received_whole() {
    is_received_whole(KumaVersion::V2_6, 8000, 20 << 20);
}

#[test]
fn a_snapshot_over_10_mb_is_received_whole_over_http() {
    is_received_whole(KumaVersion::V2_12, 4500, 10_000_000);
}

#[track_caller]
fn is_received_whole(kuma: KumaVersion, dataplanes: usize, at_least: usize) {
    let long = "x".repeat(1320);
    let mesh: Vec<Dataplane> = backends(dataplanes)
        .into_iter()
        .map(|dataplane| dataplane.tag("long", &long))
        .collect();
    // The tag alone is as long, once as it is and once as a list of one.
    assert!(2 * long.len() * dataplanes >= at_least);
    let plane = ControlPlane::serving(kuma, &mesh);
    let daemon = Launch::follow(&plane.grpc_url()).start();
    daemon.wait_for_file(&file_v1(&mesh));
    plane.publish(&[]);
    daemon.wait_for_file(EMPTY);
}

#[test]
fn a_target_without_an_address_is_skipped_and_named() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let mut homeless = backend(1);
    homeless.address.clear();
    plane.publish(&[backend(0), homeless, backend(2)]);
    let daemon = Launch::follow(&plane.grpc_url()).start();
    daemon.wait_for_file(&file_v1(&[backend(0), backend(2)]));
    daemon.wait_for_log(
        "WARN ] skipped 1 target without an address: target \"backend-00001\" of assignment \
         \"default/backend\"",
    );
    plane.events().expect_request(SOON);
    plane.events().expect_ack(SOON);
}
