//! Which targets of a resource are skipped, what is read of it, and which resources spoil a whole
//! response.

use kuma_prometheus_sd::mads::api_version::ApiVersion;
use kuma_prometheus_sd::mads::assignment::{
    Decoder, OverLimit, Problem, Resource, ResourceError, SkippedTarget,
};
use kuma_prometheus_sd::mads::envelope;
use kuma_prometheus_sd::mads::labels::LabelStyle;
use kuma_prometheus_sd::mads::transport::http;

use crate::support::decoded::decode;
use crate::support::wire::{
    V1, V1Target, V1alpha1, field, json_resource, pairs, protobuf_resource,
};
use crate::unit::labels::{decode_v1, decode_v1alpha1, only_labels};

#[test]
fn a_v1_target_without_an_address_is_skipped_and_named() {
    let target = |name: &str, address: &str| V1Target {
        name: name.to_owned(),
        address: address.to_owned(),
        // A label is no address in v1.
        labels: pairs(&[("__address__", "10.9.9.9:9")]),
        ..V1Target::default()
    };
    let assignment = V1 {
        mesh: "default".to_owned(),
        service: "backend".to_owned(),
        targets: vec![target("a", "a:1"), target("b", ""), target("c", "c:1")],
        ..V1::default()
    };
    let found = decode_v1(&assignment);
    let addresses: Vec<_> = found.groups.iter().map(|group| &group.address).collect();
    assert_eq!(addresses, ["a:1", "c:1"]);
    assert_eq!(found.count, 1);
    assert_eq!(found.skipped, [skipped("default/backend", "b")]);
    assert_eq!(found.skipped[0].to_string(), r#"target "b" of assignment "default/backend""#);
}

#[test]
fn a_v1alpha1_target_without_an_address_is_skipped_and_named() {
    let assignment = V1alpha1 {
        name: "/meshes/default/dataplanes/backend-01".to_owned(),
        targets: vec![
            pairs(&[("instance", "a"), ("__address__", "")]),
            pairs(&[("instance", "b"), ("__address__", "b:1")]),
            pairs(&[]),
        ],
        // An assignment's address is no target's.
        labels: pairs(&[("__address__", "10.9.9.9:9"), ("instance", "shared")]),
    };
    let found = decode_v1alpha1(&assignment);
    let addresses: Vec<_> = found.groups.iter().map(|group| &group.address).collect();
    assert_eq!(addresses, ["b:1"]);
    let name = "/meshes/default/dataplanes/backend-01";
    assert_eq!(found.skipped, [skipped(name, "a"), skipped(name, "shared")]);
}

fn skipped(assignment: &str, target: &str) -> SkippedTarget {
    SkippedTarget { assignment: assignment.to_owned(), target: target.to_owned() }
}

#[test]
fn an_assignment_without_targets_counts_as_an_assignment() {
    let nothing = V1::default();
    let found = decode(ApiVersion::V1, &[nothing.resource(), nothing.resource()]).unwrap();
    assert_eq!(found.count, 2);
    assert_eq!(found.targets, 0);
    assert_eq!(found.snapshot.bytes(), b"[]\n");
    let nothing = V1alpha1::default();
    assert_eq!(decode_v1alpha1(&nothing).count, 1);
    assert_eq!(decode(ApiVersion::V1, &[]).unwrap().count, 0);
}

#[test]
fn json_takes_null_the_other_spelling_and_unknown_fields() {
    let json = r#"{
        "versionInfo": "7", "canary": false, "control_plane": {"identifier": "x"},
        "typeUrl": "type.googleapis.com/kuma.observability.v1.MonitoringAssignment",
        "resources": [{
            "@type": "type.googleapis.com/kuma.observability.v1.MonitoringAssignment",
            "mesh": null, "service": "web", "future": {"a": [1]}, "labels": null,
            "targets": [{
                "name": null, "address": "10.0.0.1:80", "metricsPath": "/m", "more": true,
                "labels": {"env": "prod"}
            }]
        }]
    }"#;
    let response = http::decode(json.as_bytes().to_vec()).unwrap();
    assert_eq!(response.version, "7");
    assert_eq!(response.type_url, ApiVersion::V1.type_url());
    let found = decode(ApiVersion::V1, &response.resources).unwrap();
    let expected =
        [("__metrics_path__", "/m"), ("env", "prod"), ("job", "web"), ("service", "web")];
    assert_eq!(only_labels(found), pairs(&expected));
}

#[test]
fn deeply_nested_json_is_an_error() {
    for text in ["[".repeat(1 << 20), "{\"resources\":[".repeat(1 << 20), "\"a".repeat(9)] {
        assert!(http::decode(text.into_bytes()).is_err());
    }
    let nested = format!("{}{}", "[".repeat(1 << 16), "]".repeat(1 << 16));
    let body = format!(r#"{{"resources":[{nested}]}}"#);
    if let Ok(response) = http::decode(body.into_bytes()) {
        assert!(decode(ApiVersion::V1, &response.resources).is_err());
    }
}

#[test]
fn a_resource_of_another_type_spoils_the_response_and_is_named() {
    let v1 = V1::default();
    let foreign = "type.googleapis.com/envoy.api.v2.Cluster";
    for (resource, type_url) in [
        (V1alpha1::default().resource(), ApiVersion::V1alpha1.type_url()),
        (json_resource(&format!(r#"{{"@type":"{foreign}","targets":7}}"#)), foreign),
        (json_resource("{}"), ""),
    ] {
        let error = decode(ApiVersion::V1, &[v1.resource(), resource]).unwrap_err();
        let problem = Problem::UnexpectedType(type_url.to_owned());
        assert_eq!(error, ResourceError { index: 1, problem });
        let text = format!("resource 1 has the unexpected type {type_url:?}");
        assert_eq!(error.to_string(), text);
    }
    let error = decode(ApiVersion::V1alpha1, &[v1.resource()]).unwrap_err();
    assert_eq!(error.index, 0);
    assert!(matches!(error.problem, Problem::UnexpectedType(_)));
}

#[test]
fn a_resource_that_cannot_be_decoded_spoils_the_response_and_is_named() {
    let type_url = ApiVersion::V1.type_url();
    let json = |inner: &str| json_resource(&format!(r#"{{"@type":"{type_url}",{inner}}}"#));
    let protobuf = |api_version, value: &[u8]| protobuf_resource(api_version, value.to_vec());
    let good = V1::default();
    let bad_v1: [Resource; 7] = [
        json(r#""targets":{}"#),
        json(r#""targets":[null]"#),
        json(r#""mesh":7"#),
        json(r#""labels":{"a":1}"#),
        // The mesh is longer than the message; a mesh that is not UTF-8; a varint without an end.
        protobuf(ApiVersion::V1, &[2 << 3 | 2, 9, b'a']),
        protobuf(ApiVersion::V1, &[2 << 3 | 2, 1, 0xff]),
        protobuf(ApiVersion::V1, &[0xff; 11]),
    ];
    for bad in bad_v1 {
        let error = decode(ApiVersion::V1, &[good.resource(), good.resource(), bad.clone()]);
        let error = error.unwrap_err();
        let Problem::Undecodable(reason) = &error.problem else {
            panic!("{bad:?}: {error:?}");
        };
        let text = format!("resource 2 cannot be decoded: {reason}");
        assert_eq!(error.to_string(), text);
    }
    let bad = protobuf(ApiVersion::V1alpha1, &[1 << 3 | 2, 9, b'a']);
    let error = decode(ApiVersion::V1alpha1, &[bad]).unwrap_err();
    assert_eq!(error.index, 0);
    assert!(matches!(error.problem, Problem::Undecodable(_)));
}

/// A protobuf message of these fields, and of unknown ones, as a Kuma to come may add them.
fn message(fields: &[(usize, &[u8])]) -> Vec<u8> {
    let mut message = Vec::new();
    for (number, value) in fields {
        field(*number, value, &mut message);
    }
    // One of each wire type: a number, 8 bytes, a text, 4 bytes.
    message.extend([15 << 3, 7, 15 << 3 | 1, 1, 2, 3, 4, 5, 6, 7, 8]);
    message.extend([15 << 3 | 2, 1, b'x', 15 << 3 | 5, 1, 2, 3, 4]);
    message
}

#[test]
fn unknown_fields_of_a_protobuf_message_are_ignored() {
    let target = message(&[(1, b"n"), (3, b"a:1")]);
    let v1 = message(&[(3, b"s"), (4, &target)]);
    let address = message(&[(1, b"__address__"), (2, b"a:1")]);
    let v1alpha1 = message(&[(2, &message(&[(1, &address)])), (3, &message(&[(1, b"env")]))]);
    for (api_version, assignment) in [(ApiVersion::V1, v1), (ApiVersion::V1alpha1, v1alpha1)] {
        let type_url = api_version.type_url();
        let any = message(&[(1, type_url.as_bytes()), (2, &assignment)]);
        let response = [(1, &b"7"[..]), (2, &any), (4, type_url.as_bytes()), (5, b"nonce")];
        let response = envelope::decode(message(&response)).unwrap();
        let said = (&*response.version, &*response.nonce, &*response.type_url);
        assert_eq!(said, ("7", "nonce", type_url));
        let found = decode(api_version, &response.resources).unwrap();
        let addresses: Vec<_> = found.groups.iter().map(|group| &group.address).collect();
        assert_eq!(addresses, ["a:1"], "{api_version}");
    }
}

#[test]
fn a_response_that_is_rejected_changes_nothing_for_the_next_one() {
    let named = |address: &str| V1 {
        targets: vec![V1Target { address: address.to_owned(), ..V1Target::default() }],
        ..V1::default()
    };
    let good = vec![named("a:1").resource(), named("b:1").resource()];
    let bad = protobuf_resource(ApiVersion::V1, vec![0xff; 11]);
    let mut decoder = Decoder::new(LabelStyle::Original);
    let first = decoder.decode(ApiVersion::V1, good.clone()).unwrap();
    let with_bad = vec![named("c:1").resource(), bad];
    decoder.decode(ApiVersion::V1, with_bad).unwrap_err();
    let again = decoder.decode(ApiVersion::V1, good).unwrap();
    assert!(again.is_unchanged);
    assert_eq!(again.snapshot, first.snapshot);
}

#[test]
fn the_same_bytes_are_another_assignment_in_the_other_api_version() {
    // A target to v1alpha1, and to v1 a mesh of an odd name.
    let address = pairs(&[("__address__", "a:1")]);
    let assignment = V1alpha1 { targets: vec![address], ..V1alpha1::default() };
    let resource = |api_version| vec![protobuf_resource(api_version, assignment.protobuf())];
    let mut decoder = Decoder::new(LabelStyle::Original);
    for (api_version, targets) in
        [(ApiVersion::V1alpha1, 1), (ApiVersion::V1, 0), (ApiVersion::V1alpha1, 1)]
    {
        let found = decoder.decode(api_version, resource(api_version)).unwrap();
        assert_eq!(found.targets, targets, "{api_version}");
    }
}

#[test]
fn a_target_may_have_more_labels_than_are_sorted_as_integers() {
    let labels: Vec<_> =
        (0..70_000).map(|number| (format!("label_{number:05}"), "value".to_owned())).collect();
    let assignment = V1 {
        targets: vec![V1Target {
            address: "10.0.0.1:80".to_owned(),
            labels: labels.clone(),
            ..V1Target::default()
        }],
        ..V1::default()
    };
    let found = decode(ApiVersion::V1, &[assignment.resource()]).unwrap();
    assert_eq!(only_labels(found), labels);
}

fn over_limit(index: usize, limit: OverLimit) -> ResourceError {
    let problem = Problem::OverLimit(limit);
    ResourceError { index, problem }
}

#[test]
fn what_several_resources_would_become_counts_together() {
    let long = "x".repeat(200_000);
    let skipping =
        V1 { service: long.clone(), targets: vec![V1Target::default(); 1500], ..V1::default() };
    let good = || skipping.resource();
    assert!(decode(ApiVersion::V1, &[good()]).is_ok());
    let error = decode(ApiVersion::V1, &[good(), good()]).unwrap_err();
    assert_eq!(error, over_limit(1, OverLimit::List));
    // Labels of two bytes for each of many targets.
    let copied = V1 {
        targets: vec![V1Target::default(); 10_000],
        labels: vec![(String::new(), String::new()); 10_000],
        ..V1::default()
    };
    let error = decode(ApiVersion::V1, &[copied.resource()]).unwrap_err();
    assert_eq!(error, over_limit(0, OverLimit::Fields));
    // Once a resource is known, it counts as before.
    let fields = |name: &str| V1 {
        mesh: name.to_owned(),
        targets: vec![V1Target::default(); 1_000_000],
        ..V1::default()
    };
    let mut with_targets = fields("a");
    with_targets.targets.iter_mut().for_each(|target| target.address = "a:1".to_owned());
    let other = fields("b");
    let mut decoder = Decoder::new(LabelStyle::Original);
    decoder.decode(ApiVersion::V1, vec![with_targets.resource()]).unwrap();
    let both = vec![with_targets.resource(), other.resource()];
    let error = decoder.decode(ApiVersion::V1, both).unwrap_err();
    assert_eq!(error, over_limit(1, OverLimit::Fields));
}

#[test]
fn a_resource_that_would_become_too_much_is_rejected_before_it_is_built() {
    let long = "x".repeat(200_000);
    let named =
        |number: usize| V1Target { address: format!("10.0.0.1:{number}"), ..V1Target::default() };
    let with_label = V1 {
        targets: (0..3000).map(named).collect(),
        labels: pairs(&[("long", &long)]),
        ..V1::default()
    };
    let with_name = V1 {
        service: long.clone(),
        // Each that is skipped is told with the name of its service.
        targets: vec![V1Target::default(); 3000],
        ..V1::default()
    };
    let alpha = V1alpha1 {
        targets: (0..3000)
            .map(|number| vec![("__address__".to_owned(), format!("10.0.0.1:{number}"))])
            .collect(),
        labels: pairs(&[("long", &long)]),
        ..V1alpha1::default()
    };
    let objects = format!(
        r#"{{"@type":"{}","targets":[{}{{}}]}}"#,
        ApiVersion::V1.type_url(),
        "{},".repeat(4_000_000)
    );
    let (v1, v1alpha1) = (ApiVersion::V1, ApiVersion::V1alpha1);
    for (api_version, resource, limit) in [
        (v1, with_label.resource(), OverLimit::List),
        (v1, with_label.json_resource(), OverLimit::List),
        (v1, with_name.resource(), OverLimit::List),
        (v1alpha1, alpha.resource(), OverLimit::List),
        (v1, json_resource(&objects), OverLimit::Fields),
    ] {
        let small = match api_version {
            ApiVersion::V1 => V1::default().resource(),
            ApiVersion::V1alpha1 => V1alpha1::default().resource(),
        };
        let error = decode(api_version, &[small, resource]).unwrap_err();
        assert_eq!(error, over_limit(1, limit));
    }
    let error = over_limit(1, OverLimit::List);
    let text = "resource 1 is too much: the list would take more than 512 MiB";
    assert_eq!(error.to_string(), text);
}
