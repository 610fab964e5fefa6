//! What holds over every transport and in every API version: one suite, run against each source.
//!
//! `peer.rs` knows how each of them says it; here is what is said.

use kuma_stand_in::{Answers, ApiVersion, HttpAnswer, Resource};
use serde_json::json;

use crate::harness::SOON;
use crate::mesh::{EMPTY, backend, backends, undecodable};
use crate::peer::{OLD, Peer, Source};

/// Each test once for each source.
macro_rules! for_each_source {
    ($($test:ident,)*) => {
        mod grpc_v1 {
            $(#[test] fn $test() { super::$test(&super::Peer::start(super::Source::GrpcV1)); })*
        }
        mod grpc_v1alpha1 {
            $(#[test] fn $test() {
                super::$test(&super::Peer::start(super::Source::GrpcV1alpha1));
            })*
        }
        mod http {
            $(#[test] fn $test() { super::$test(&super::Peer::start(super::Source::Http)); })*
        }
        mod https {
            $(#[test] fn $test() { super::$test(&super::Peer::start(super::Source::Https)); })*
        }
    };
}

for_each_source! {
    the_first_request_names_client_and_type_and_gets_the_first_list,
    an_empty_first_list_empties_the_file,
    each_list_replaces_the_one_before,
    a_rejected_list_leaves_the_last_good_one,
    a_first_list_that_is_rejected_leaves_the_old_file,
    a_version_can_be_rejected_and_then_accepted,
    after_a_rejection_the_next_version_can_be_accepted,
    another_type_is_rejected,
    a_resource_of_another_type_is_rejected,
    a_resource_that_is_cut_short_is_rejected,
    a_lost_connection_is_resumed_with_the_last_accepted_version,
    a_control_plane_without_a_list_is_waited_for,
    an_error_of_the_server_is_told_and_recovered_from,
    an_envelope_that_cannot_be_decoded_is_told_and_recovered_from,
    what_is_unknown_is_ignored,
}

fn the_first_request_names_client_and_type_and_gets_the_first_list(peer: &Peer) {
    let daemon = peer.launch.clone().argument("--name=prometheus-02").start();
    let first = peer.plane.events().expect_request(SOON);
    assert_eq!(first.transport, peer.source.transport());
    assert_eq!(first.api_version, peer.api_version());
    assert_eq!(first.type_url, peer.api_version().type_url());
    assert_eq!(first.node_id, "prometheus-02");
    assert_eq!(
        (first.version_info.as_str(), first.nonce.as_str()),
        ("", "")
    );
    if let Some(http) = first.http {
        assert_eq!(http.method, "POST");
        assert_eq!(http.parameter("fetch-timeout"), Some("1000ms"));
        assert_eq!(http.header("content-type"), Some("application/json"));
        assert_eq!(http.header("accept"), Some("application/json"));
        let body: serde_json::Value = serde_json::from_slice(&http.body).unwrap();
        let expected = json!({
            "version_info": "",
            "node": {"id": "prometheus-02"},
            "type_url": first.type_url,
        });
        assert_eq!(body, expected);
    }
    peer.answer("1", &backends(3));
    peer.expect_accepted("1");
    daemon.wait_for_file(&peer.file(&backends(3)));
}

fn an_empty_first_list_empties_the_file(peer: &Peer) {
    let daemon = peer.start_with_old_file();
    peer.answer("1", &[]);
    peer.expect_accepted("1");
    daemon.wait_for_file(EMPTY);
}

fn each_list_replaces_the_one_before(peer: &Peer) {
    let daemon = peer.start_with_old_file();
    let lists = [backends(2), vec![backend(7)], backends(5), Vec::new()];
    for (list, version) in lists.iter().zip(["1", "2", "3", "4"]) {
        peer.answer(version, list);
        peer.expect_accepted(version);
        daemon.wait_for_file(&peer.file(list));
    }
}

fn a_rejected_list_leaves_the_last_good_one(peer: &Peer) {
    let daemon = peer.start_with_old_file();
    peer.answer("good", &backends(2));
    peer.expect_accepted("good");
    daemon.wait_for_file(&peer.file(&backends(2)));
    let mixed = vec![
        Resource::Dataplane(backend(9)),
        undecodable(peer.api_version()),
    ];
    peer.answer_with("bad", mixed);
    peer.expect_rejected("good");
    assert_eq!(daemon.file(), Some(peer.file(&backends(2))));
    daemon.wait_for_log("WARN ] rejected a response, so the last good list stays: resource ");
}

fn a_first_list_that_is_rejected_leaves_the_old_file(peer: &Peer) {
    let daemon = peer.start_with_old_file();
    peer.answer_with("bad", vec![undecodable(peer.api_version())]);
    peer.expect_rejected("");
    assert_eq!(daemon.file().as_deref(), Some(OLD));
}

fn a_version_can_be_rejected_and_then_accepted(peer: &Peer) {
    let daemon = peer.start_with_old_file();
    peer.answer_with("same", vec![undecodable(peer.api_version())]);
    peer.expect_rejected("");
    peer.answer("same", &backends(1));
    peer.expect_accepted("same");
    daemon.wait_for_file(&peer.file(&backends(1)));
}

fn after_a_rejection_the_next_version_can_be_accepted(peer: &Peer) {
    let daemon = peer.start_with_old_file();
    peer.answer("1", &backends(1));
    peer.expect_accepted("1");
    peer.answer_with("2", vec![undecodable(peer.api_version())]);
    peer.expect_rejected("1");
    peer.answer("3", &backends(3));
    peer.expect_accepted("3");
    daemon.wait_for_file(&peer.file(&backends(3)));
}

fn another_type_is_rejected(peer: &Peer) {
    let daemon = peer.start_with_old_file();
    let other = match peer.api_version() {
        ApiVersion::V1 => ApiVersion::V1Alpha1,
        ApiVersion::V1Alpha1 => ApiVersion::V1,
    };
    peer.answer_typed("1", other.type_url(), Vec::new());
    peer.expect_rejected("");
    daemon.wait_for_log(&format!("unexpected type {:?}", other.type_url()));
    assert_eq!(daemon.file().as_deref(), Some(OLD));
}

fn a_resource_of_another_type_is_rejected(peer: &Peer) {
    let daemon = peer.start_with_old_file();
    let type_url = "type.googleapis.com/google.protobuf.Empty";
    let resource = Resource::Raw {
        type_url: type_url.to_owned(),
        value: Vec::new(),
        json: json!({"@type": type_url}),
    };
    peer.answer_with("1", vec![resource]);
    peer.expect_rejected("");
    daemon.wait_for_log(&format!("resource 0 has the unexpected type {type_url:?}"));
    assert_eq!(daemon.file().as_deref(), Some(OLD));
}

fn a_resource_that_is_cut_short_is_rejected(peer: &Peer) {
    let daemon = peer.start_with_old_file();
    let targets_field = match peer.api_version() {
        ApiVersion::V1 => 4,
        ApiVersion::V1Alpha1 => 2,
    };
    let resource = Resource::Raw {
        type_url: peer.api_version().type_url().to_owned(),
        // A target of 127 bytes, of which none follow.
        value: vec![targets_field << 3 | 2, 127],
        json: json!({"@type": peer.api_version().type_url(), "targets": [{"labels": 127}]}),
    };
    peer.answer_with("1", vec![resource]);
    peer.expect_rejected("");
    assert_eq!(daemon.file().as_deref(), Some(OLD));
}

fn a_lost_connection_is_resumed_with_the_last_accepted_version(peer: &Peer) {
    let daemon = peer.start_with_old_file();
    peer.answer("1", &backends(2));
    let accepted = peer.expect_accepted("1");
    peer.plane.front().cut();
    let resumed = peer.plane.events().expect_request(SOON);
    assert_ne!(resumed.stream, accepted.stream);
    assert_eq!(
        (resumed.version_info.as_str(), resumed.nonce.as_str()),
        ("1", "")
    );
    assert_eq!(daemon.file(), Some(peer.file(&backends(2))));
    peer.answer("2", &backends(1));
    peer.expect_accepted("2");
    daemon.wait_for_file(&peer.file(&backends(1)));
}

fn a_control_plane_without_a_list_is_waited_for(peer: &Peer) {
    peer.plane.set_answers(Answers::Faithful);
    peer.plane.withdraw();
    let daemon = peer.start_with_old_file();
    if peer.is_http() {
        daemon.wait_for_log("status 500: Could not fetch MonitoringAssignments");
    }
    assert_eq!(daemon.file().as_deref(), Some(OLD));
    peer.plane.publish(&backends(2));
    daemon.wait_for_file(&peer.file(&backends(2)));
    // Silence over gRPC is no error, a 500 is one.
    assert_eq!(daemon.lines_with("next attempt") > 0, peer.is_http());
}

fn an_error_of_the_server_is_told_and_recovered_from(peer: &Peer) {
    let daemon = peer.start_with_old_file();
    peer.answer("1", &backends(2));
    peer.expect_accepted("1");
    for (http_status, grpc_status, title) in [(500, 13, "Broken"), (429, 8, "Too much")] {
        if peer.is_http() {
            peer.plane
                .answer_http(HttpAnswer::error(http_status, title, "so it is"));
        } else {
            peer.plane.close_streams(grpc_status, title);
        }
        daemon.wait_for_log(title);
        let resumed = peer.plane.events().expect_request(SOON);
        assert_eq!(
            (resumed.version_info.as_str(), resumed.nonce.as_str()),
            ("1", "")
        );
        assert_eq!(daemon.file(), Some(peer.file(&backends(2))));
    }
    peer.answer("2", &backends(1));
    peer.expect_accepted("2");
    daemon.wait_for_file(&peer.file(&backends(1)));
}

fn an_envelope_that_cannot_be_decoded_is_told_and_recovered_from(peer: &Peer) {
    let daemon = peer.start_with_old_file();
    peer.answer("1", &backends(2));
    peer.expect_accepted("1");
    if peer.is_http() {
        let cut = r#"{"version_info":"2","resources":[{"#;
        peer.plane
            .answer_http(HttpAnswer::new(200, "application/json", cut));
    } else {
        // A resource of 127 bytes, of which none follow.
        peer.plane.send_bytes(&[2 << 3 | 2, 127]);
    }
    daemon.wait_for_log("cannot be decoded");
    let resumed = peer.plane.events().expect_request(SOON);
    assert_eq!(
        (resumed.version_info.as_str(), resumed.nonce.as_str()),
        ("1", "")
    );
    assert_eq!(daemon.file(), Some(peer.file(&backends(2))));
    peer.answer("2", &backends(1));
    peer.expect_accepted("2");
    daemon.wait_for_file(&peer.file(&backends(1)));
}

fn what_is_unknown_is_ignored(peer: &Peer) {
    let daemon = peer.start_with_old_file();
    peer.answer_with_unknown_fields("1");
    peer.expect_accepted("1");
    daemon.wait_for_file(match peer.source {
        Source::GrpcV1alpha1 => concat!(
            "[\n",
            r#"{"targets":["10.0.0.1:80"],"labels":{"instance":"n","job":"s"}}"#,
            "\n]\n"
        ),
        _ => concat!(
            "[\n",
            r#"{"targets":["10.0.0.1:80"],"labels":{"dataplane":"n","instance":"n","job":"s","#,
            r#""service":"s"}}"#,
            "\n]\n"
        ),
    });
}
