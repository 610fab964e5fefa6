//! What control planes of Kuma 0.7 to 2.12 sent becomes the file that the original tool wrote,
//! apart from what is changed on purpose: no empty groups for targets that are gone, `[]` for a
//! first empty answer, no labels without a value, and one order.

use std::collections::BTreeMap;

use kuma_prometheus_sd::mads::api_version::ApiVersion;
use kuma_prometheus_sd::mads::envelope;
use kuma_prometheus_sd::mads::labels::LabelStyle;
use kuma_prometheus_sd::mads::session::{Response, Session};
use kuma_prometheus_sd::mads::transport::http;

use crate::support::captures::{self, GrpcStep, HttpStep, OriginalGroup};
use crate::support::prometheus::{Group, groups};
use crate::support::wire::{V1alpha1, discovery_response, pairs};

/// The file at each step.
type Files = Vec<(String, Vec<u8>)>;

/// What the file of a capture must be, at each step.
enum Expected {
    /// The one that the original tool had written; with the number of steps.
    Original(usize),
    /// That of another capture, in which another control plane, or the same over another wire, said the same.
    As(&'static str),
    /// What a test of its own says.
    OfItsOwn,
    /// No file, as it is what the API server answered: see `endpoint::answers`.
    None,
}

const CAPTURES: [(&str, Expected); 16] = [
    ("0.7-A/api-server.json", Expected::None),
    ("0.7-A/grpc-v1alpha1.json", Expected::Original(6)),
    ("1.2-A/api-server.json", Expected::None),
    ("1.2-A/grpc-v1.json", Expected::Original(6)),
    // The original tool of that time could not run against Kuma 1.2.
    ("1.2-A/grpc-v1alpha1.json", Expected::As("0.7-A/grpc-v1alpha1.json")),
    ("1.2-A/http.json", Expected::As("1.2-A/grpc-v1.json")),
    ("2.12-A/api-server.json", Expected::None),
    ("2.12-A/http.json", Expected::As("2.6-A/http.json")),
    ("2.12-M/api-server.json", Expected::None),
    ("2.12-M/http.json", Expected::OfItsOwn),
    ("2.6-A/api-server.json", Expected::None),
    ("2.6-A/grpc-v1.json", Expected::Original(6)),
    ("2.6-A/http.json", Expected::As("2.6-A/grpc-v1.json")),
    ("2.6-M/api-server.json", Expected::None),
    ("2.6-M/grpc-v1.json", Expected::Original(3)),
    ("2.6-M/http.json", Expected::As("2.6-M/grpc-v1.json")),
];

#[test]
fn every_capture_gives_the_original_file_over_each_wire() {
    assert_eq!(captures::all(), CAPTURES.map(|(name, _)| name));
    for (name, expected) in CAPTURES {
        match expected {
            Expected::Original(steps) => assert_original(name, steps),
            Expected::As(other) => assert_eq!(files(name), files(other), "{name}"),
            Expected::OfItsOwn | Expected::None => {}
        }
    }
}

#[test]
fn kuma_1_2_says_the_same_in_both_api_versions_but_for_the_label_service() {
    let without_service = |files: Files| -> Vec<Vec<Group>> {
        let files = files.iter().map(|(_, file)| groups(file));
        let files = files.map(|mut groups| {
            for group in &mut groups {
                group.labels.remove("service");
            }
            groups.sort_by(|left, right| left.address.cmp(&right.address));
            groups
        });
        files.collect()
    };
    let v1 = files("1.2-A/grpc-v1.json");
    for group in v1.iter().flat_map(|(_, file)| groups(file)) {
        assert_eq!(group.labels["service"], group.labels["job"]);
    }
    let v1alpha1 = files("1.2-A/grpc-v1alpha1.json");
    assert_eq!(without_service(v1), without_service(v1alpha1));
}

/// Kuma 2.12 no longer sends a dataplane's tags with MeshMetric.
#[test]
fn kuma_2_12_with_mesh_metric_gives_the_file_of_kuma_2_6_without_tags() {
    let found = files("2.12-M/http.json");
    let expected = captures::load::<Vec<GrpcStep>>("2.6-M/grpc-v1.json");
    assert_eq!(found.len(), expected.len());
    for ((step, file), expected) in found.iter().zip(expected) {
        let original = expected.original_file.as_deref();
        let mut original = without_intended_changes(original.unwrap());
        for group in &mut original {
            let is_tag = |name: &str| name.starts_with("kuma_io_") || name.starts_with("env");
            group.labels.retain(|name, _| !is_tag(name));
            assert_eq!(group.labels.len(), 7);
        }
        assert_eq!(groups(file), original, "{step}");
    }
}

#[test]
fn the_file_has_exactly_these_bytes() {
    let expected = include_str!("golden/2.6-A-gateway-and-two-inbounds.json");
    let files = files("2.6-A/grpc-v1.json");
    let file = files.into_iter().find(|(step, _)| step == "gateway-and-two-inbounds");
    assert_eq!(String::from_utf8(file.unwrap().1).unwrap(), expected);
}

#[test]
fn an_empty_mesh_gives_an_empty_list_whether_it_was_ever_full_or_not() {
    for files in
        [files("0.7-A/grpc-v1alpha1.json"), files("2.6-A/grpc-v1.json"), files("2.12-A/http.json")]
    {
        for (step, file) in files {
            let is_empty = ["empty-mesh", "all-deleted"].contains(&step.as_str());
            assert_eq!(file == b"[]\n", is_empty, "{step}");
        }
    }
}

/// The example of the first README of the original tool.
#[test]
fn the_example_of_the_first_readme_gives_the_group_it_promises() {
    let assignment = V1alpha1 {
        name: "/meshes/default/dataplanes/backend-01".to_owned(),
        targets: vec![pairs(&[
            ("__address__", "192.168.0.1:8080"),
            ("__scheme__", "http"),
            ("__metrics_path__", "/metrics"),
            ("instance", "backend-01"),
            ("dataplane", "backend-01"),
            ("env", "prod"),
        ])],
        labels: pairs(&[("job", "backend"), ("mesh", "default"), ("service", "backend")]),
    };
    let response = discovery_response("1", "1", ApiVersion::V1alpha1, &[assignment.protobuf()]);
    let mut session = Session::new("kuma_sd".to_owned(), LabelStyle::Original);
    let response = envelope::decode(response).unwrap();
    let file = accept(&mut session, ApiVersion::V1alpha1, response);
    let expected = concat!(
        "[\n",
        r#"{"targets":["192.168.0.1:8080"],"labels":{"#,
        r#""__metrics_path__":"/metrics","__scheme__":"http","dataplane":"backend-01","#,
        r#""env":"prod","instance":"backend-01","job":"backend","mesh":"default","#,
        r#""service":"backend"}}"#,
        "\n]\n",
    );
    assert_eq!(String::from_utf8(file).unwrap(), expected);
}

/// The labels of Prometheus' own `kuma_sd`, by its documentation, of a target with the original's labels.
/// In the captures, no tag has the name of a field.
fn as_kuma_sd(group: &Group) -> Group {
    let mut labels = BTreeMap::new();
    for (name, value) in &group.labels {
        let name = match name.as_str() {
            "mesh" | "service" | "dataplane" => format!("__meta_kuma_{name}"),
            // It is the service again, which v1alpha1 has under this name alone.
            "job" => "__meta_kuma_service".to_owned(),
            "instance" | "__scheme__" | "__metrics_path__" => name.clone(),
            _ => format!("__meta_kuma_label_{name}"),
        };
        let before = labels.insert(name, value.clone());
        assert!(before.is_none_or(|before| before == *value));
    }
    Group { address: group.address.clone(), labels }
}

#[test]
fn every_capture_in_the_style_of_kuma_sd_has_the_labels_of_kuma_sd() {
    let by_address = |mut groups: Vec<Group>| {
        groups.sort_by(|left, right| left.address.cmp(&right.address));
        groups
    };
    let mut compared = 0;
    for name in captures::all() {
        let original = files(&name);
        let found = files_in(LabelStyle::KumaSd, &name);
        for ((step, original), (_, found)) in original.iter().zip(found) {
            let expected = groups(original).iter().map(as_kuma_sd).collect();
            let found = groups(&found);
            compared += found.len();
            assert_eq!(by_address(found), by_address(expected), "{name} {step}");
        }
    }
    assert!(compared > 50, "{compared}");
}

#[track_caller]
fn assert_original(name: &str, steps: usize) {
    let files = files(name);
    assert_eq!(files.len(), steps);
    let mut compared = 0;
    for (captured, (step, file)) in captures::load::<Vec<GrpcStep>>(name).iter().zip(files) {
        let expected = match captured.original_file.as_deref() {
            Some(original) => without_intended_changes(original),
            // Where nothing had been there, the original wrote nothing.
            None => Vec::new(),
        };
        assert_eq!(groups(&file), expected, "{name} {step}");
        compared += expected.len();
    }
    assert!(compared > 10);
}

/// The original's groups, as this program means to write them.
fn without_intended_changes(original: &[OriginalGroup]) -> Vec<Group> {
    let mut groups = Vec::new();
    for group in original {
        let [address] = group.targets.as_slice() else {
            assert!(group.targets.is_empty() && group.labels.is_empty());
            continue;
        };
        let mut labels = group.labels.clone();
        labels.retain(|_, value| !value.is_empty());
        groups.push(Group { address: address.clone(), labels });
    }
    groups.sort_by_key(|group| {
        let labels = ["mesh", "service", "instance"];
        let labels = labels.map(|name| group.labels.get(name).cloned().unwrap_or_default());
        (labels, group.address.clone())
    });
    groups
}

/// A whole capture in one session; none where it is of an API server.
fn files(name: &str) -> Files {
    files_in(LabelStyle::Original, name)
}

fn files_in(style: LabelStyle, name: &str) -> Files {
    match name.rsplit_once('/').unwrap().1 {
        "http.json" => over_http(style, name),
        "grpc-v1.json" => over_grpc(style, name, ApiVersion::V1),
        "grpc-v1alpha1.json" => over_grpc(style, name, ApiVersion::V1alpha1),
        _ => Files::new(),
    }
}

fn over_grpc(style: LabelStyle, name: &str, api_version: ApiVersion) -> Files {
    let mut session = Session::new("kuma_sd".to_owned(), style);
    let steps = captures::load::<Vec<GrpcStep>>(name);
    let files = steps.into_iter().map(|captured| {
        let response = envelope::decode(captured.response()).unwrap();
        assert!(!response.nonce.is_empty(), "{name}: {}", captured.step);
        let file = accept(&mut session, api_version, response);
        (captured.step, file)
    });
    files.collect()
}

fn over_http(style: LabelStyle, name: &str) -> Files {
    let mut session = Session::new("kuma_sd".to_owned(), style);
    let steps = captures::load::<Vec<HttpStep>>(name);
    let files = steps.into_iter().map(|captured| {
        assert_eq!(captured.status, 200);
        let response = http::decode(captured.body.into_bytes()).unwrap();
        let file = accept(&mut session, ApiVersion::V1, response);
        (captured.step, file)
    });
    files.collect()
}

fn accept(session: &mut Session, api_version: ApiVersion, response: Response) -> Vec<u8> {
    let (version, nonce) = (response.version.clone(), response.nonce.clone());
    assert!(!version.is_empty());
    let accepted = session.receive(api_version, response).unwrap();
    assert_eq!(accepted.ack.version, version);
    assert_eq!(accepted.ack.nonce, nonce);
    assert_eq!(accepted.ack.rejection, None);
    assert_eq!(accepted.assignments.skipped, []);
    let snapshot = accepted.assignments.snapshot;
    assert_eq!(groups(snapshot.bytes()).len(), snapshot.groups());
    snapshot.bytes().to_vec()
}
