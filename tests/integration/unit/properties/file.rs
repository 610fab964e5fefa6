//! From any assignments to the file.

use kuma_prometheus_sd::mads::api_version::ApiVersion;
use kuma_prometheus_sd::mads::assignment::decode;
use kuma_prometheus_sd::mads::envelope;
use kuma_prometheus_sd::mads::transport::http;
use kuma_prometheus_sd::output::render::{changes, render};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::json;

use super::meaning::{as_group, meaning_of_v1, meaning_of_v1alpha1};
use super::{config, v1, v1alpha1};
use crate::support::prometheus;
use crate::support::wire::{Pairs, V1, V1alpha1, discovery_response};

proptest! {
    #![proptest_config(config(128))]

    #[test]
    fn any_labels_of_v1_give_a_file_that_prometheus_2_accepts(
        assignments in vec(v1(), 0..4),
    ) {
        let resources: Vec<_> = assignments.iter().map(V1::resource).collect();
        let found = decode(ApiVersion::V1, &resources).unwrap();
        let expected: Vec<_> = assignments.iter().flat_map(meaning_of_v1).collect();
        prop_assert_eq!(&found.targets, &expected);
        prop_assert_eq!(found.count, assignments.len());
        let all = assignments.iter().map(|assignment| assignment.targets.len()).sum::<usize>();
        prop_assert_eq!(found.targets.len() + found.skipped.len(), all);
        let groups = prometheus::read(render(&found.targets).bytes());
        let groups = groups.map_err(TestCaseError::fail)?;
        for group in expected.iter().map(as_group) {
            prop_assert_eq!(groups.iter().filter(|other| **other == group).count(), 1);
        }
    }

    #[test]
    fn any_labels_of_v1alpha1_give_a_file_that_prometheus_2_accepts(
        assignments in vec(v1alpha1(), 0..4),
    ) {
        let resources: Vec<_> = assignments.iter().map(V1alpha1::resource).collect();
        let found = decode(ApiVersion::V1alpha1, &resources).unwrap();
        let expected: Vec<_> = assignments.iter().flat_map(meaning_of_v1alpha1).collect();
        prop_assert_eq!(&found.targets, &expected);
        let groups = prometheus::read(render(&found.targets).bytes());
        let groups = groups.map_err(TestCaseError::fail)?;
        for group in expected.iter().map(as_group) {
            prop_assert_eq!(groups.iter().filter(|other| **other == group).count(), 1);
        }
    }

    #[test]
    fn order_and_repetition_do_not_change_the_file(
        assignments in vec(v1(), 1..4),
        order in any::<Vec<Index>>(),
    ) {
        let resources: Vec<_> = assignments.iter().map(V1::resource).collect();
        let targets = decode(ApiVersion::V1, &resources).unwrap().targets;
        let file = render(&targets);
        let mut others = targets.clone();
        others.reverse();
        prop_assert_eq!(&render(&others), &file);
        if !targets.is_empty() {
            for index in &order {
                let again = index.get(&targets).clone();
                others.insert(index.index(others.len()), again);
                others.swap(0, index.index(targets.len()));
            }
        }
        prop_assert_eq!(&render(&others), &file);
        // Also the order of a map's entries.
        let mut reversed = assignments.clone();
        for assignment in &mut reversed {
            assignment.labels.reverse();
            for target in &mut assignment.targets {
                target.labels.reverse();
            }
        }
        let resources: Vec<_> = reversed.iter().rev().map(V1::resource).collect();
        let targets = decode(ApiVersion::V1, &resources).unwrap().targets;
        prop_assert_eq!(&render(&targets), &file);
    }

    #[test]
    fn protobuf_and_json_and_both_api_versions_can_say_the_same(assignment in v1()) {
        let from_protobuf = decode(ApiVersion::V1, &[assignment.resource()]).unwrap();
        let from_json = decode(ApiVersion::V1, &[assignment.json_resource()]).unwrap();
        prop_assert_eq!(&from_protobuf, &from_json);

        let in_v1alpha1 = V1alpha1 {
            targets: from_protobuf.targets.iter().map(|target| {
                let mut labels: Pairs = target.labels.clone().into_iter().collect();
                labels.push(("__address__".to_owned(), target.address.clone()));
                labels
            }).collect(),
            ..V1alpha1::default()
        };
        let from_v1alpha1 = decode(ApiVersion::V1alpha1, &[in_v1alpha1.resource()]).unwrap();
        prop_assert_eq!(from_v1alpha1.targets, from_protobuf.targets);
    }

    #[test]
    fn an_envelope_says_the_same_over_both_transports(
        version in any::<String>(),
        nonce in any::<String>(),
        assignments in vec(v1(), 0..3),
    ) {
        let messages: Vec<_> = assignments.iter().map(V1::protobuf).collect();
        let message = discovery_response(&version, &nonce, ApiVersion::V1, &messages);
        let over_grpc = envelope::decode(message).unwrap();
        let body = json!({
            "version_info": version,
            "type_url": ApiVersion::V1.type_url(),
            "resources": assignments.iter().map(V1::json).collect::<Vec<_>>(),
        });
        let over_http = http::decode(body.to_string().as_bytes()).unwrap();
        prop_assert_eq!(&over_grpc.version, &version);
        prop_assert_eq!(&over_grpc.nonce, &nonce);
        prop_assert_eq!(&over_http.version, &version);
        prop_assert_eq!(&over_http.nonce, "");
        prop_assert_eq!(&over_grpc.type_url, &over_http.type_url);
        prop_assert_eq!(
            decode(ApiVersion::V1, &over_grpc.resources).unwrap(),
            decode(ApiVersion::V1, &over_http.resources).unwrap()
        );
    }

    #[test]
    fn changes_add_up(before in vec(v1(), 0..3), after in vec(v1(), 0..3)) {
        let file = |assignments: &[V1]| {
            render(&assignments.iter().flat_map(meaning_of_v1).collect::<Vec<_>>())
        };
        let (before, after) = (file(&before), file(&after));
        let found = changes(before.bytes(), after.bytes());
        prop_assert_eq!(before.groups() + found.added, after.groups() + found.removed);
        let none = found.added + found.removed + found.changed == 0;
        prop_assert_eq!(none, before == after);
    }
}
