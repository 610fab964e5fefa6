//! Which label names are valid and what becomes of the others, and whose labels win. What empty values
//! and names of several maps do to each other is in `properties::file`, for any labels.

use kuma_prometheus_sd::mads::api_version::ApiVersion;
use kuma_prometheus_sd::mads::labels::LabelStyle;

use crate::support::decoded::{Decoded, decode, decode_in};
use crate::support::wire::{V1, V1Target, V1alpha1, pairs};

const NOTHING: &[(&str, &str)] = &[];

/// A v1 assignment of one target, whose own fields are empty but for the address.
fn v1(target: &[(&str, &str)], assignment: &[(&str, &str)]) -> V1 {
    V1 {
        targets: vec![V1Target {
            address: "10.0.0.1:80".to_owned(),
            labels: pairs(target),
            ..V1Target::default()
        }],
        labels: pairs(assignment),
        ..V1::default()
    }
}

/// A v1alpha1 assignment of one target; its address is among its labels.
fn v1alpha1(target: &[(&str, &str)], assignment: &[(&str, &str)]) -> V1alpha1 {
    let mut own = pairs(target);
    own.push(("__address__".to_owned(), "10.0.0.1:80".to_owned()));
    V1alpha1 { targets: vec![own], labels: pairs(assignment), ..V1alpha1::default() }
}

pub(crate) fn decode_v1(assignment: &V1) -> Decoded {
    let assignments = decode(ApiVersion::V1, &[assignment.resource()]).unwrap();
    let from_json = decode(ApiVersion::V1, &[assignment.json_resource()]).unwrap();
    assert_eq!(assignments, from_json);
    assignments
}

pub(crate) fn decode_v1alpha1(assignment: &V1alpha1) -> Decoded {
    decode(ApiVersion::V1alpha1, &[assignment.resource()]).unwrap()
}

/// The labels of the only target, which has the address that all tests here use.
#[track_caller]
pub(crate) fn only_labels(assignments: Decoded) -> Vec<(String, String)> {
    assert_eq!(assignments.skipped, []);
    let [group] = assignments.groups.try_into().unwrap();
    assert_eq!(group.address, "10.0.0.1:80");
    group.labels.into_iter().collect()
}

/// In both maps of both API versions.
#[track_caller]
fn assert_labels(labels: &[(&str, &str)], expected: &[(&str, &str)]) {
    let expected = pairs(expected);
    assert_eq!(only_labels(decode_v1(&v1(labels, NOTHING))), expected);
    assert_eq!(only_labels(decode_v1(&v1(NOTHING, labels))), expected);
    assert_eq!(only_labels(decode_v1alpha1(&v1alpha1(labels, NOTHING))), expected);
    assert_eq!(only_labels(decode_v1alpha1(&v1alpha1(NOTHING, labels))), expected);
}

#[test]
fn a_name_is_made_valid_character_by_character() {
    for (name, expected) in [
        ("env", "env"),
        ("ENV_2", "ENV_2"),
        ("_", "_"),
        ("__meta", "__meta"),
        ("kuma.io/service", "kuma_io_service"),
        ("a-b", "a_b"),
        ("a b", "a_b"),
        ("a:b", "a_b"),
        ("a..b", "a__b"),
        ("a\n", "a_"),
        ("-", "_"),
        ("1", "_1"),
        ("2nd", "_2nd"),
        ("9-9", "_9_9"),
        ("-9", "_9"),
        ("é", "_"),
        ("größe", "gr__e"),
        ("名前", "__"),
        ("🦀", "_"),
        ("1é", "_1_"),
        // Digits and letters to Unicode, but not to Prometheus 2.
        ("٣", "_"),
        ("a２", "a_"),
        ("ﬁ", "_"),
    ] {
        assert_labels(&[(name, "value")], &[(expected, "value")]);
    }
}

#[test]
fn an_empty_name_is_dropped() {
    assert_labels(&[("", "value")], NOTHING);
    assert_labels(&[("", "value"), ("a", "b")], &[("a", "b")]);
}

#[test]
fn an_empty_value_is_left_out() {
    assert_labels(&[("a", ""), ("b", "c")], &[("b", "c")]);
}

#[test]
fn values_stay_as_they_came() {
    let value = " \u{0}\"\\\n\u{7f}é🦀{{}} ";
    assert_labels(&[("a", value)], &[("a", value)]);
}

#[test]
fn where_names_of_one_map_meet_the_one_that_was_valid_as_it_came_wins() {
    assert_labels(&[("a-b", "made"), ("a_b", "came")], &[("a_b", "came")]);
    assert_labels(&[("a_b", "came"), ("a-b", "made")], &[("a_b", "came")]);
    // `~` sorts behind `_`, `-` before it.
    assert_labels(&[("a~b", "made"), ("a_b", "came")], &[("a_b", "came")]);
    assert_labels(&[("1", "made"), ("_1", "came")], &[("_1", "came")]);
}

#[test]
fn where_names_that_were_made_valid_meet_the_first_in_byte_order_wins() {
    assert_labels(&[("a/b", "/"), ("a.b", "."), ("a-b", "-")], &[("a_b", "-")]);
    assert_labels(&[("a.b", "."), ("a-b", "-"), ("a/b", "/")], &[("a_b", "-")]);
    assert_labels(&[("é", "two bytes"), ("~", "one byte")], &[("_", "one byte")]);
    assert_labels(&[("-1", "-"), ("1", "digit")], &[("_1", "-")]);
}

#[test]
fn the_address_is_never_among_the_labels_of_v1() {
    for name in ["__address__", "--address--", "_.address/_"] {
        assert_labels_v1(&[(name, "10.9.9.9:9"), ("a", "b")], &[("a", "b")]);
    }
    // Longer, so another name.
    assert_labels_v1(&[("___address__", "c")], &[("___address__", "c")]);
}

#[track_caller]
fn assert_labels_v1(labels: &[(&str, &str)], expected: &[(&str, &str)]) {
    let expected = pairs(expected);
    assert_eq!(only_labels(decode_v1(&v1(labels, NOTHING))), expected);
    assert_eq!(only_labels(decode_v1(&v1(NOTHING, labels))), expected);
}

#[test]
fn the_address_of_v1alpha1_is_the_targets_label_and_stays_no_label() {
    let labels = &[("--address--", "10.9.9.9:9"), ("a", "b")];
    let expected = pairs(&[("a", "b")]);
    assert_eq!(only_labels(decode_v1alpha1(&v1alpha1(labels, NOTHING))), expected);
    assert_eq!(only_labels(decode_v1alpha1(&v1alpha1(NOTHING, labels))), expected);
    let labels = &[("__address__", "10.9.9.9:9"), ("a", "b")];
    assert_eq!(only_labels(decode_v1alpha1(&v1alpha1(NOTHING, labels))), expected);
}

#[test]
fn in_v1_fields_win_over_labels_of_the_assignment_and_these_over_the_targets() {
    let fields = ["mesh", "service", "job", "dataplane", "instance", "__scheme__"];
    let all = |value: &'static str| {
        let mut labels: Vec<_> = fields.iter().map(|name| (*name, value)).collect();
        labels.extend([("__metrics_path__", value), ("env", value), (value, "x")]);
        pairs(&labels)
    };
    let assignment = V1 {
        mesh: "the mesh".to_owned(),
        service: "the service".to_owned(),
        targets: vec![V1Target {
            name: "the name".to_owned(),
            scheme: "the scheme".to_owned(),
            address: "10.0.0.1:80".to_owned(),
            metrics_path: "the path".to_owned(),
            labels: all("of_target"),
        }],
        labels: all("of_assignment"),
    };
    let expected = pairs(&[
        ("__metrics_path__", "the path"),
        ("__scheme__", "the scheme"),
        ("dataplane", "the name"),
        ("env", "of_assignment"),
        ("instance", "the name"),
        ("job", "the service"),
        ("mesh", "the mesh"),
        ("of_assignment", "x"),
        ("of_target", "x"),
        ("service", "the service"),
    ]);
    assert_eq!(only_labels(decode_v1(&assignment)), expected);
}

#[test]
fn in_the_style_of_kuma_sd_users_labels_have_a_prefix_and_hide_no_field() {
    let own = pairs(&[
        ("mesh", "a"),
        ("job", "a"),
        ("1-x", "a"),
        ("env", "a"),
        ("__address__", "a"),
        ("", "a"),
    ]);
    let assignment = V1 {
        mesh: "the mesh".to_owned(),
        service: "the service".to_owned(),
        targets: vec![V1Target {
            name: "the name".to_owned(),
            scheme: "http".to_owned(),
            address: "10.0.0.1:80".to_owned(),
            metrics_path: "/metrics".to_owned(),
            labels: own,
        }],
        labels: pairs(&[("env", "of_assignment"), ("service", "b")]),
    };
    let expected = pairs(&[
        ("__meta_kuma_dataplane", "the name"),
        ("__meta_kuma_label_1_x", "a"),
        ("__meta_kuma_label___address__", "a"),
        ("__meta_kuma_label_env", "of_assignment"),
        ("__meta_kuma_label_job", "a"),
        ("__meta_kuma_label_mesh", "a"),
        ("__meta_kuma_label_service", "b"),
        ("__meta_kuma_mesh", "the mesh"),
        ("__meta_kuma_service", "the service"),
        ("__metrics_path__", "/metrics"),
        ("__scheme__", "http"),
        ("instance", "the name"),
    ]);
    for resource in [assignment.resource(), assignment.json_resource()] {
        let decoded = decode_in(LabelStyle::KumaSd, ApiVersion::V1, &[resource]).unwrap();
        assert_eq!(only_labels(decoded), expected);
    }
}

#[test]
fn in_the_style_of_kuma_sd_the_labels_that_v1alpha1_has_for_fields_are_fields() {
    let assignment = v1alpha1(
        &[
            ("instance", "the name"),
            ("dataplane", "the name"),
            ("service", "a"),
            ("__scheme__", "https"),
        ],
        &[("mesh", "the mesh"), ("job", "the service"), ("env", "b")],
    );
    let decoded = decode_in(LabelStyle::KumaSd, ApiVersion::V1alpha1, &[assignment.resource()]);
    let expected = pairs(&[
        ("__meta_kuma_dataplane", "the name"),
        ("__meta_kuma_label_env", "b"),
        ("__meta_kuma_label_service", "a"),
        ("__meta_kuma_mesh", "the mesh"),
        ("__meta_kuma_service", "the service"),
        ("__scheme__", "https"),
        ("instance", "the name"),
    ]);
    assert_eq!(only_labels(decoded.unwrap()), expected);
}
