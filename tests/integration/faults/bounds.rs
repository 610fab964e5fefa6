//! A small message that would become something huge: a long label that each of many targets gets, or
//! parts of two bytes by the million. It is rejected with the reason before the memory is taken. And a
//! reason that would be huge itself.

use kuma_stand_in::proto::discovery::{Any, DiscoveryResponse};
use kuma_stand_in::proto::mads_v1;
use kuma_stand_in::{ApiVersion, ControlPlane, ErrorDetail, Event, KumaVersion};
use protobuf::Message;

use crate::support::following::following_list_of;
use crate::support::harness::SOON;
use crate::support::lists;

/// What a message of a few MB may cost on top of an idle daemon.
const COST_MIB: u64 = 150;

/// The bytes of a response with these resources.
fn response(resources: Vec<Any>) -> Vec<u8> {
    let response = DiscoveryResponse {
        version_info: "huge".to_owned(),
        nonce: "nonce-of-huge".to_owned(),
        type_url: ApiVersion::V1.type_url().to_owned(),
        resources,
        ..Default::default()
    };
    response.write_to_bytes().expect("it can be serialized")
}

fn any(value: Vec<u8>) -> Any {
    Any {
        type_url: ApiVersion::V1.type_url().to_owned(),
        value,
        ..Default::default()
    }
}

/// 1.4 MB: a label of 200 kB, and 20,000 targets that each get it.
fn long_label() -> Vec<u8> {
    let target = |number| mads_v1::monitoring_assignment::Target {
        name: format!("backend-{number:05}"),
        address: format!("10.0.0.1:{number}"),
        scheme: "http".to_owned(),
        ..Default::default()
    };
    let assignment = mads_v1::MonitoringAssignment {
        service: "backend".to_owned(),
        targets: (0..20_000).map(target).collect(),
        labels: [("long".to_owned(), "x".repeat(200_000))].into(),
        ..Default::default()
    };
    let value = assignment.write_to_bytes().expect("it can be serialized");
    response(vec![any(value)])
}

/// 6 MB of targets of two bytes each.
fn empty_targets() -> Vec<u8> {
    response(vec![any([4 << 3 | 2, 0].repeat(3_000_000))])
}

/// 6 MB of resources of two bytes each.
fn empty_resources() -> Vec<u8> {
    response(vec![Any::default(); 3_000_000])
}

fn expect_nack(plane: &ControlPlane) -> ErrorDetail {
    plane.events().expect("a NACK", SOON, |event| match event {
        Event::Request(request) => request.error_detail.clone(),
        _ => None,
    })
}

/// A message, and what is logged of it.
type Case = (&'static str, fn() -> Vec<u8>, &'static str);

#[test]
fn a_small_message_that_would_become_huge_is_rejected_before_it_does() {
    let cases: [Case; 3] = [
        (
            "a long label",
            long_label,
            "the list would take more than 512 MiB",
        ),
        ("empty targets", empty_targets, "more than 24000000 fields"),
        (
            "empty resources",
            empty_resources,
            "resource 0 has the unexpected type \"\"",
        ),
    ];
    for (name, message, reason) in cases {
        let (plane, daemon) = following_list_of(KumaVersion::V2_6, 3);
        let before = daemon.figures().peak_kib >> 10;

        let message = message();
        assert_eq!(plane.send_bytes(&message), 1);
        let line = daemon.wait_for_log("rejected a response, so the last good list stays: ");
        let peak = daemon.figures().peak_kib >> 10;
        println!(
            "{name}: {} bytes, {} MiB more at the peak",
            message.len(),
            peak - before
        );
        assert!(line.contains(reason), "{line}");
        let nack = expect_nack(&plane);
        assert!(nack.message.contains(reason), "{nack:?}");
        assert!(peak <= before + COST_MIB, "{name}: {peak} MiB");

        // The stream is as good as before.
        plane.publish(&lists::list(2, 3));
        daemon.wait_for_file(&lists::file(2, 3));
    }
}

#[test]
fn a_long_reason_is_cut_in_the_nack_and_in_the_log() {
    let (plane, daemon) = following_list_of(KumaVersion::V2_6, 3);
    let response = DiscoveryResponse {
        type_url: "é".repeat(5000),
        ..Default::default()
    };
    let message = response.write_to_bytes().expect("it can be serialized");
    assert_eq!(plane.send_bytes(&message), 1);
    let length = expect_nack(&plane).message.len();
    assert!((4000..=4096).contains(&length), "{length}");
    let line = daemon.wait_for_log("rejected");
    assert!(line.len() < 1000, "{line}");
}
