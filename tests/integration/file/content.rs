//! What stands in the output file, and when it is written: always one complete list that the
//! control plane has sent, and never the same one twice.

use std::fs;

use kuma_stand_in::{Answers, ApiVersion, ControlPlane, Dataplane, KumaVersion, Plan, free_port};

use crate::support::harness::{Launch, SOON, on_its_port};
use crate::support::mesh::{EMPTY, backend, backends, file, file_v1};
use crate::support::observe::{OLD, written};

#[test]
fn an_empty_first_answer_makes_an_empty_list() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let launch = Launch::follow(&plane.grpc_url());
    fs::write(launch.output_path(), OLD).unwrap();
    let daemon = launch.start();
    daemon.wait_for_file("[]\n");
    plane.events().expect_request(SOON);
    plane.events().expect_ack(SOON);
}

#[test]
fn it_follows_the_mesh_as_it_grows_and_shrinks() {
    for kuma in [KumaVersion::V0_7, KumaVersion::V2_6, KumaVersion::V2_12] {
        let api_version = match kuma {
            KumaVersion::V0_7 => ApiVersion::V1Alpha1,
            _ => ApiVersion::V1,
        };
        let plane = ControlPlane::start(kuma);
        let daemon = Launch::follow(&plane.grpc_url()).start();
        for count in [0, 1, 40, 7, 0, 3] {
            let mesh = backends(count);
            plane.publish(&mesh);
            daemon.wait_for_file(&file(api_version, &mesh));
        }
        // Others in the place of all: nothing of a removed target is left.
        let others = [Dataplane::new("web", "web-01", "[fd00::1]:80").in_mesh("second")];
        plane.publish(&others);
        daemon.wait_for_file(&file(api_version, &others));
    }
}

#[test]
fn it_has_one_group_a_line_sorted_by_mesh_service_and_instance() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let daemon = Launch::follow(&plane.grpc_url()).start();
    let mut api = Dataplane::new("api", "api-01", "192.168.0.4:5670");
    api.metrics_path = "/stats \"quoted\"".to_owned();
    api.scheme = "https".to_owned();
    plane.publish(&[
        Dataplane::new("backend", "backend-02", "192.168.0.1:5670"),
        Dataplane::new("backend", "backend-01", "192.168.0.9:5670").tag("env", "prod"),
        Dataplane::new("backend", "backend-01", "192.168.0.10:5670").in_mesh("another"),
        api,
    ]);
    daemon.wait_for_file(concat!(
        "[\n",
        r#"{"targets":["192.168.0.10:5670"],"labels":{"__metrics_path__":"/metrics","#,
        r#""__scheme__":"http","dataplane":"backend-01","instance":"backend-01","job":"backend","#,
        r#""kuma_io_service":"backend","kuma_io_services":",backend,","mesh":"another","#,
        r#""service":"backend"}},"#,
        "\n",
        r#"{"targets":["192.168.0.4:5670"],"labels":{"__metrics_path__":"/stats \"quoted\"","#,
        r#""__scheme__":"https","dataplane":"api-01","instance":"api-01","job":"api","#,
        r#""kuma_io_service":"api","kuma_io_services":",api,","mesh":"default","#,
        r#""service":"api"}},"#,
        "\n",
        r#"{"targets":["192.168.0.9:5670"],"labels":{"__metrics_path__":"/metrics","#,
        r#""__scheme__":"http","dataplane":"backend-01","env":"prod","envs":",prod,","#,
        r#""instance":"backend-01","job":"backend","kuma_io_service":"backend","#,
        r#""kuma_io_services":",backend,","mesh":"default","service":"backend"}},"#,
        "\n",
        r#"{"targets":["192.168.0.1:5670"],"labels":{"__metrics_path__":"/metrics","#,
        r#""__scheme__":"http","dataplane":"backend-02","instance":"backend-02","job":"backend","#,
        r#""kuma_io_service":"backend","kuma_io_services":",backend,","mesh":"default","#,
        r#""service":"backend"}}"#,
        "\n]\n",
    ));
}

#[test]
fn a_control_plane_that_restarts_with_other_versions_and_order_changes_nothing() {
    let mesh = backends(50);
    let plane = ControlPlane::start(KumaVersion::V2_6);
    plane.publish(&mesh);
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
    let plane = ControlPlane::start(KumaVersion::V2_6);
    plane.publish(&mesh);
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
    let plane = ControlPlane::start(kuma);
    plane.publish(&mesh);
    let daemon = Launch::follow(&plane.grpc_url()).start();
    daemon.wait_for_file(&file_v1(&mesh));
    plane.publish(&[]);
    daemon.wait_for_file(EMPTY);
}

#[test]
fn a_daemon_can_start_before_its_control_plane() {
    let port = free_port().unwrap();
    let launch = Launch::follow(&format!("grpc://127.0.0.1:{port}"));
    fs::write(launch.output_path(), OLD).unwrap();
    let daemon = launch.start();
    let line = daemon.wait_for_log("no connection to the control plane");
    assert!(line.contains("next attempt in"), "{line}");
    assert_eq!(daemon.file().as_deref(), Some(OLD));

    let plan = Plan {
        port: Some(port),
        ..Plan::new(KumaVersion::V2_6)
    };
    let _plane = on_its_port(|| plan.clone().start());
    daemon.wait_for_file(EMPTY);
    let line = daemon.wait_for_log("connected to MADS");
    assert!(line.contains("without a connection"), "{line}");
}

#[test]
fn a_control_plane_that_is_connected_and_silent_leaves_the_file_as_it_is() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    plane.set_answers(Answers::Scripted);
    let launch = Launch::follow(&plane.grpc_url());
    fs::write(launch.output_path(), OLD).unwrap();
    let before = written(launch.output_path());
    let daemon = launch.start();
    // Silence is healthy, so it is told as a connection after a while.
    daemon.wait_for_log("connected to MADS");
    assert_eq!(written(launch.output_path()), before);
    assert_eq!(daemon.file().as_deref(), Some(OLD));
    assert_eq!(daemon.lines_with("next attempt"), 0);
}

#[test]
fn a_control_plane_that_goes_away_leaves_the_file_as_it_is() {
    let mesh = backends(3);
    let plane = ControlPlane::start(KumaVersion::V2_6);
    plane.publish(&mesh);
    let daemon = Launch::follow(&plane.api_url()).start();
    daemon.wait_for_file(&file_v1(&mesh));
    let before = written(daemon.output_path());
    plane.go_away();
    daemon.wait_for_log_count("next attempt in", 2);
    assert_eq!(written(daemon.output_path()), before);

    plane.publish(&mesh[..2]);
    on_its_port(|| plane.come_back());
    daemon.wait_for_file(&file_v1(&mesh[..2]));
}

#[test]
fn a_target_without_an_address_is_skipped_and_named_and_the_others_are_used() {
    let cases = [
        (
            KumaVersion::V2_6,
            ApiVersion::V1,
            r#"target "backend-00001" of assignment "default/backend""#,
        ),
        (
            KumaVersion::V0_7,
            ApiVersion::V1Alpha1,
            r#"of assignment "/meshes/default/dataplanes/backend-00001""#,
        ),
        (
            KumaVersion::V2_12,
            ApiVersion::V1,
            r#"target "backend-00001" of assignment "default/backend""#,
        ),
    ];
    for (kuma, api_version, name) in cases {
        let plane = ControlPlane::start(kuma);
        let mut homeless = backend(1);
        homeless.address.clear();
        plane.publish(&[backend(0), homeless, backend(2)]);
        let daemon = Launch::follow(&plane.grpc_url()).start();
        daemon.wait_for_file(&file(api_version, &[backend(0), backend(2)]));
        let line = daemon.wait_for_log("WARN ] skipped 1 target without an address: ");
        assert!(line.contains(name), "{line}");
        plane.events().expect_request(SOON);
        let ack = plane.events().expect_request(SOON);
        assert_eq!(Some(ack.version_info), plane.version(api_version));
        assert_eq!(ack.error_detail, None);
    }
}
