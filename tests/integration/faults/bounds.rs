//! A small message that would become something huge: a long label that each of many targets gets, or
//! parts of two bytes by the million. It is rejected with the reason before the memory is taken.

use kuma_prometheus_sd::mads::api_version::ApiVersion;
use kuma_stand_in::{Event, KumaVersion};

use crate::support::following::following_list_of;
use crate::support::harness::SOON;
use crate::support::lists;
use crate::support::wire::{V1, V1Target, discovery_response, pairs};

/// What a message of a few MB may cost on top of an idle daemon.
const COST_MIB: u64 = 150;

/// The bytes of a response with these resources.
fn response(resources: &[Vec<u8>]) -> Vec<u8> {
    discovery_response("huge", "nonce-of-huge", ApiVersion::V1, resources)
}

/// 1.4 MB: a label of 200 kB, and 20,000 targets that each get it.
fn long_label() -> Vec<u8> {
    let target = |number| V1Target {
        name: format!("backend-{number:05}"),
        address: format!("10.0.0.1:{number}"),
        scheme: "http".to_owned(),
        ..V1Target::default()
    };
    let assignment = V1 {
        service: "backend".to_owned(),
        targets: (0..20_000).map(target).collect(),
        labels: pairs(&[("long", &"x".repeat(200_000))]),
        ..V1::default()
    };
    response(&[assignment.protobuf()])
}

/// 6 MB of targets of two bytes each.
fn empty_targets() -> Vec<u8> {
    response(&[[4 << 3 | 2, 0].repeat(3_000_000)])
}

/// 6 MB of resources of two bytes each, which have no type either.
fn empty_resources() -> Vec<u8> {
    [response(&[]), [2 << 3 | 2, 0].repeat(3_000_000)].concat()
}

/// A message, and what is logged of it.
type Case = (&'static str, fn() -> Vec<u8>, &'static str);

#[test]
fn a_small_message_that_would_become_huge_is_rejected_before_it_does() {
    let cases: [Case; 3] = [
        ("a long label", long_label, "the list would take more than 512 MiB"),
        ("empty targets", empty_targets, "more than 24000000 fields"),
        ("empty resources", empty_resources, "resource 0 has the unexpected type \"\""),
    ];
    for (name, message, reason) in cases {
        let (plane, daemon) = following_list_of(KumaVersion::V2_6, 3);
        let before = daemon.figures().peak_kib >> 10;

        let message = message();
        assert_eq!(plane.send_bytes(&message), 1);
        let line = daemon.wait_for_log("rejected a response, so the last good list stays: ");
        let peak = daemon.figures().peak_kib >> 10;
        println!("{name}: {} bytes, {} MiB more at the peak", message.len(), peak - before);
        assert!(line.contains(reason), "{line}");
        let nack = plane.events().expect("a NACK", SOON, |event| match event {
            Event::Request(request) => request.error_detail.clone(),
            _ => None,
        });
        assert!(nack.message.contains(reason), "{nack:?}");
        assert!(peak <= before + COST_MIB, "{name}: {peak} MiB");

        // The stream is as good as before.
        plane.publish(&lists::list(2, 3));
        daemon.wait_for_file(&lists::file(2, 3));
    }
}
