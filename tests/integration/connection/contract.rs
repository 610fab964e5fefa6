//! What holds over every transport and in every API version: one suite, run against each source.
//!
//! `support/peer.rs` knows how each of them says it; here is what is said.

use kuma_stand_in::{Answers, ApiVersion, HttpAnswer, Resource};
use serde_json::json;

use crate::support::harness::SOON;
use crate::support::mesh::{backend, backends};
use crate::support::observe::OLD;
use crate::support::peer::{Peer, Source};

/// Each test once for each source.
macro_rules! for_each_source {
    ($($test:ident,)*) => {
        mod grpc_v1 {
            $(#[test] fn $test() { super::$test(super::Source::GrpcV1); })*
        }
        mod grpc_v1alpha1 {
            $(#[test] fn $test() { super::$test(super::Source::GrpcV1alpha1); })*
        }
        mod http {
            $(#[test] fn $test() { super::$test(super::Source::Http); })*
        }
        mod https {
            $(#[test] fn $test() { super::$test(super::Source::Https); })*
        }
    };
}

for_each_source! {
    the_first_request_names_client_and_type_and_gets_the_first_list,
    each_list_replaces_the_one_before,
    a_rejected_list_leaves_the_last_good_one_until_the_next,
    a_first_list_that_is_rejected_leaves_the_old_file,
    a_version_can_be_rejected_and_then_accepted,
    a_lost_connection_is_resumed_with_the_last_accepted_version,
    a_control_plane_without_a_list_is_waited_for,
    a_fault_of_the_server_is_reported_and_recovered_from,
}

fn the_first_request_names_client_and_type_and_gets_the_first_list(source: Source) {
    let peer = Peer::start(source);
    let daemon = peer.launch.clone().argument("--name=prometheus-02").start();
    let first = peer.plane.events().expect_request(SOON);
    assert_eq!(first.transport, source.transport());
    assert_eq!(first.api_version, peer.api_version());
    assert_eq!(first.type_url, peer.api_version().type_url());
    assert_eq!(first.node_id, "prometheus-02");
    assert_eq!((&*first.version_info, &*first.nonce), ("", ""));
    assert_eq!(first.error_detail, None);
    if let Some(http) = first.http {
        assert_eq!(http.method, "POST");
        let target = "/v3/discovery:monitoringassignments?fetch-timeout=1000ms";
        assert_eq!(http.target, target);
        assert_eq!(http.header("content-type"), Some("application/json"));
        assert_eq!(http.header("accept"), Some("application/json"));
        assert_eq!(http.header("authorization"), None);
        let body: serde_json::Value = serde_json::from_slice(&http.body).unwrap();
        let expected = json!({
            "version_info": "",
            "node": {"id": "prometheus-02"},
            "type_url": first.type_url,
        });
        assert_eq!(body, expected);
    }
    peer.answer("1", &backends(3));
    let next = peer.expect_accepted("1");
    assert_eq!(next.node_id, "prometheus-02");
    assert_eq!(next.type_url, first.type_url);
    daemon.wait_for_file(&peer.file(&backends(3)));
}

fn each_list_replaces_the_one_before(source: Source) {
    let peer = Peer::start(source);
    let daemon = peer.start_with_old_file();
    let lists = [Vec::new(), backends(2), vec![backend(7)], backends(5), Vec::new()];
    for (list, version) in lists.iter().zip(["1", "2", "3", "4", "5"]) {
        peer.answer(version, list);
        peer.expect_accepted(version);
        daemon.wait_for_file(&peer.file(list));
    }
}

fn a_rejected_list_leaves_the_last_good_one_until_the_next(source: Source) {
    let peer = Peer::start(source);
    let daemon = peer.start_with_old_file();
    peer.answer("good", &backends(2));
    peer.expect_accepted("good");
    daemon.wait_for_file(&peer.file(&backends(2)));
    let mixed = vec![Resource::Dataplane(backend(9)), Resource::undecodable(peer.api_version())];
    peer.answer_with("bad", mixed);
    if let Some(reason) = peer.expect_rejected("good") {
        // The control plane sends resources in any order.
        let starts = [0, 1].map(|index| format!("resource {index} cannot be decoded: "));
        let is_named = starts.iter().any(|start| reason.starts_with(start));
        assert!(is_named, "{reason}");
    }
    assert_eq!(daemon.file(), Some(peer.file(&backends(2))));
    daemon.wait_for_log("WARN ] rejected a response, so the last good list stays: resource ");
    peer.answer("next", &backends(3));
    peer.expect_accepted("next");
    daemon.wait_for_file(&peer.file(&backends(3)));
}

fn a_first_list_that_is_rejected_leaves_the_old_file(source: Source) {
    let api_version = Peer::start(source).api_version();
    let type_url = api_version.type_url();
    let other = match api_version {
        ApiVersion::V1 => ApiVersion::V1Alpha1.type_url(),
        ApiVersion::V1Alpha1 => ApiVersion::V1.type_url(),
    };
    let raw = |type_url: &str, value: &[u8], json| Resource::Raw {
        type_url: type_url.to_owned(),
        value: value.to_vec(),
        json,
    };
    // A target of 127 bytes, of which none follow.
    let targets_field = match api_version {
        ApiVersion::V1 => 4,
        ApiVersion::V1Alpha1 => 2,
    };
    let cut = raw(
        type_url,
        &[targets_field << 3 | 2, 127],
        json!({"@type": type_url, "targets": [{"labels": 127}]}),
    );
    let empty = "type.googleapis.com/google.protobuf.Empty";
    let foreign = raw(empty, &[], json!({"@type": empty}));
    for (response_type, resources, text) in [
        (other, vec![], format!("unexpected type {other:?}")),
        (type_url, vec![foreign], format!("resource 0 has the unexpected type {empty:?}")),
        (type_url, vec![cut], "resource 0 cannot be decoded".into()),
    ] {
        let peer = Peer::start(source);
        let daemon = peer.start_with_old_file();
        peer.answer_typed("1", response_type, resources);
        if let Some(reason) = peer.expect_rejected("") {
            assert!(reason.contains(&text), "{reason}");
        }
        daemon.wait_for_log(&text);
        assert_eq!(daemon.file().as_deref(), Some(OLD));
    }
}

fn a_version_can_be_rejected_and_then_accepted(source: Source) {
    let peer = Peer::start(source);
    let daemon = peer.start_with_old_file();
    peer.answer_with("same", vec![Resource::undecodable(peer.api_version())]);
    peer.expect_rejected("");
    peer.answer("same", &backends(1));
    peer.expect_accepted("same");
    daemon.wait_for_file(&peer.file(&backends(1)));
}

fn a_lost_connection_is_resumed_with_the_last_accepted_version(source: Source) {
    let peer = Peer::start(source);
    let daemon = peer.start_with_old_file();
    peer.answer("1", &backends(2));
    let accepted = peer.expect_accepted("1");
    // A rejected version is none to resume with.
    peer.answer_with("rejected", vec![Resource::undecodable(peer.api_version())]);
    peer.expect_rejected("1");
    peer.plane.fault_proxy().cut();
    let resumed = peer.expect_resumed("1");
    assert_ne!(resumed.stream, accepted.stream);
    assert_eq!(daemon.file(), Some(peer.file(&backends(2))));
    peer.answer("2", &backends(1));
    peer.expect_accepted("2");
    daemon.wait_for_file(&peer.file(&backends(1)));
}

fn a_control_plane_without_a_list_is_waited_for(source: Source) {
    let peer = Peer::start(source);
    peer.plane.set_answers(Answers::Faithful);
    peer.plane.withdraw();
    let daemon = peer.start_with_old_file();
    // Silence over gRPC is healthy, so it is reported as a connection after a while; a 500 is an error.
    daemon.wait_for_log(match peer.is_http() {
        true => "status 500: Could not fetch MonitoringAssignments",
        false => "connected to MADS",
    });
    assert_eq!(daemon.file().as_deref(), Some(OLD));
    peer.plane.publish(&backends(2));
    daemon.wait_for_file(&peer.file(&backends(2)));
    assert_eq!(daemon.lines_with("next attempt") > 0, peer.is_http());
}

fn a_fault_of_the_server_is_reported_and_recovered_from(source: Source) {
    let peer = Peer::start(source);
    let daemon = peer.start_with_old_file();
    peer.answer("1", &backends(2));
    peer.expect_accepted("1");
    let cut = r#"{"version_info":"2","resources":[{"#;
    // The last is an envelope with a resource of 127 bytes, of which none follow.
    for (http, grpc_status, text) in [
        (HttpAnswer::error(500, "Broken", "so it is"), 13, "Broken"),
        (HttpAnswer::error(429, "Busy", "so it is"), 8, "Busy"),
        (HttpAnswer::new(200, "application/json", cut), 0, "cannot be decoded"),
    ] {
        match (peer.is_http(), grpc_status) {
            (true, _) => peer.plane.answer_http(http),
            (false, 0) => assert_eq!(peer.plane.send_bytes(&[2 << 3 | 2, 127]), 1),
            (false, status) => assert_eq!(peer.plane.close_streams(status, text), 1),
        }
        daemon.wait_for_log(text);
        peer.expect_resumed("1");
        assert_eq!(daemon.file(), Some(peer.file(&backends(2))));
    }
    peer.answer("2", &backends(1));
    peer.expect_accepted("2");
    daemon.wait_for_file(&peer.file(&backends(1)));
}
