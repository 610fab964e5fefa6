//! From any assignments to the file.

use std::collections::{BTreeMap, BTreeSet};

use kuma_prometheus_sd::mads::api_version::ApiVersion;
use kuma_prometheus_sd::mads::assignment::{Decoder, Resource, SkippedTarget};
use kuma_prometheus_sd::mads::envelope;
use kuma_prometheus_sd::mads::labels::LabelStyle;
use kuma_prometheus_sd::mads::transport::http;
use kuma_prometheus_sd::output::changes::Difference;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, SizeRange};
use serde_json::{Value, json};

use super::meaning::{meaning_of_v1, meaning_of_v1alpha1};
use super::{config, v1, v1alpha1};
use crate::support::decoded::{decode, expected_file, snapshot};
use crate::support::prometheus::Group;
use crate::support::wire::{Pairs, V1, V1alpha1, discovery_response};

/// A resource, and the groups that it means.
type Meant = (Resource, Vec<Group>);

/// Resources of one API version, those of v1 in either encoding.
fn meant(size: impl Into<SizeRange>) -> impl Strategy<Value = (ApiVersion, Vec<Meant>)> {
    let size = size.into();
    let of_v1 = (v1(), any::<bool>()).prop_map(|(assignment, is_json)| {
        let resource = match is_json {
            true => assignment.json_resource(),
            false => assignment.resource(),
        };
        (resource, meaning_of_v1(&assignment))
    });
    let of_v1alpha1 =
        v1alpha1().prop_map(|assignment| (assignment.resource(), meaning_of_v1alpha1(&assignment)));
    prop_oneof![
        vec(of_v1, size.clone()).prop_map(|resources| (ApiVersion::V1, resources)),
        vec(of_v1alpha1, size).prop_map(|resources| (ApiVersion::V1alpha1, resources)),
    ]
}

/// Lists one after the other, each of some of the same resources, in any order, some of them twice.
fn lists() -> impl Strategy<Value = Vec<(ApiVersion, Vec<Meant>)>> {
    let pools = [ApiVersion::V1, ApiVersion::V1alpha1].map(|_| meant(1..6));
    let choices = vec((any::<bool>(), vec(any::<Index>(), 0..8)), 1..6);
    (pools, choices).prop_map(|(pools, choices)| {
        let list = |(is_first, indices): (bool, Vec<Index>)| {
            let (api_version, pool) = &pools[usize::from(!is_first)];
            let list = indices.iter().map(|index| index.get(pool).clone());
            (*api_version, list.collect())
        };
        choices.into_iter().map(list).collect()
    })
}

proptest! {
    #![proptest_config(config(256))]

    #[test]
    fn any_labels_give_the_file_that_they_mean((api_version, assignments) in meant(0..4)) {
        let (resources, meaning): (Vec<_>, Vec<_>) = assignments.into_iter().unzip();
        let found = decode(api_version, &resources).unwrap();
        let groups = meaning.concat();
        prop_assert_eq!(found.count, resources.len());
        prop_assert_eq!(found.targets, groups.len());
        prop_assert_eq!(String::from_utf8_lossy(found.snapshot.bytes()), expected_file(&groups));
    }

    /// A decoder takes from the list before what it has decoded already.
    #[test]
    fn each_list_after_others_gives_the_file_that_it_means(lists in lists()) {
        let mut decoder = Decoder::new(LabelStyle::Original);
        let mut before = expected_file(&[]);
        for (api_version, list) in lists {
            let (resources, meaning): (Vec<_>, Vec<_>) = list.into_iter().unzip();
            let found = decoder.decode(api_version, resources.clone()).unwrap();
            let groups = meaning.concat();
            let expected = expected_file(&groups);
            prop_assert_eq!(String::from_utf8_lossy(found.snapshot.bytes()), &*expected);
            prop_assert_eq!(found.targets, groups.len());
            prop_assert_eq!(found.snapshot.groups(), groups.iter().map(|group| {
                (&group.address, &group.labels)
            }).collect::<BTreeSet<_>>().len());
            prop_assert!(!found.is_unchanged || before == expected);
            before = expected;
            // The same once more, in another order.
            let reversed = resources.into_iter().rev().collect();
            let again = decoder.decode(api_version, reversed).unwrap();
            prop_assert!(again.is_unchanged);
            let sorted = |mut skipped: Vec<SkippedTarget>| {
                skipped.sort();
                skipped
            };
            prop_assert_eq!(sorted(again.skipped), sorted(found.skipped));
            prop_assert_eq!(again.targets, found.targets);
        }
    }

    #[test]
    fn the_order_of_a_maps_entries_does_not_change_the_file(assignments in vec(v1(), 1..4)) {
        let mut assignments = assignments;
        for assignment in &mut assignments {
            let targets = assignment.targets.iter_mut().map(|target| &mut target.labels);
            for labels in targets.chain([&mut assignment.labels]) {
                *labels = labels.drain(..).collect::<BTreeMap<_, _>>().into_iter().collect();
            }
        }
        let resources: Vec<_> = assignments.iter().map(V1::resource).collect();
        let file = decode(ApiVersion::V1, &resources).unwrap().snapshot;
        let mut reversed = assignments.clone();
        for assignment in &mut reversed {
            assignment.labels.reverse();
            for target in &mut assignment.targets {
                target.labels.reverse();
            }
        }
        let resources: Vec<_> = reversed.iter().map(V1::resource).collect();
        prop_assert_eq!(&decode(ApiVersion::V1, &resources).unwrap().snapshot, &file);
    }

    #[test]
    fn protobuf_and_json_and_both_api_versions_can_say_the_same(assignment in v1()) {
        let from_protobuf = decode(ApiVersion::V1, &[assignment.resource()]).unwrap();
        let from_json = decode(ApiVersion::V1, &[assignment.json_resource()]).unwrap();
        prop_assert_eq!(&from_protobuf, &from_json);

        let in_v1alpha1 = V1alpha1 {
            targets: from_protobuf.groups.iter().map(|group| {
                let mut labels: Pairs = group.labels.clone().into_iter().collect();
                labels.push(("__address__".to_owned(), group.address.clone()));
                labels
            }).collect(),
            ..V1alpha1::default()
        };
        let from_v1alpha1 = decode(ApiVersion::V1alpha1, &[in_v1alpha1.resource()]).unwrap();
        prop_assert_eq!(from_v1alpha1.snapshot, from_protobuf.snapshot);
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
        let in_json = |assignment: &V1| -> Value {
            serde_json::from_str(&assignment.json_text()).unwrap()
        };
        let body = json!({
            "version_info": version,
            "type_url": ApiVersion::V1.type_url(),
            "resources": assignments.iter().map(in_json).collect::<Vec<_>>(),
        });
        let over_http = http::decode(body.to_string().into_bytes()).unwrap();
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
            snapshot(&assignments.iter().flat_map(meaning_of_v1).collect::<Vec<_>>())
        };
        let (before, after) = (file(&before), file(&after));
        let difference = Difference::between(&before, &after);
        let found = difference.count();
        prop_assert_eq!(Difference::from_file(before.bytes(), &after).count(), found);
        prop_assert_eq!(before.groups() + found.added, after.groups() + found.removed);
        let none = found.added + found.removed + found.changed == 0;
        prop_assert_eq!(none, before == after);
    }

    #[test]
    fn all_groups_are_new_where_the_file_before_is_another_one(
        before in any::<Vec<u8>>(),
        after in vec(v1(), 0..2),
    ) {
        let after = snapshot(&after.iter().flat_map(meaning_of_v1).collect::<Vec<_>>());
        let difference = Difference::from_file(&before, &after);
        prop_assert_eq!(difference.count().added, after.groups());
        prop_assert_eq!(difference.names().starts_with("added "), after.groups() > 0);
    }
}
