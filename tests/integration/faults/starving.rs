//! Responses that come faster than they are dealt with, each of them to be rejected: deadlines and
//! signals have their turn all the same.

use std::thread;
use std::time::{Duration, Instant};

use kuma_prometheus_sd::mads::api_version::ApiVersion;
use kuma_stand_in::{ControlPlane, Event, KumaVersion};

use crate::support::following::following;
use crate::support::harness::Daemon;
use crate::support::wire::{V1, V1Target, discovery_response};

/// The time between two responses. Dealing with one takes longer: about 45 ms without optimisation.
const INTERVAL: Duration = Duration::from_millis(20);

/// Good resources before one that nobody can decode.
const GOOD: usize = 5_000;

/// By when the daemon must have done what it would do at once, or after a first pause of 2 s at most.
const LIMIT: Duration = Duration::from_secs(20);

/// What the log has of a rejected response.
const REJECTED: &str = "rejected a response";

const NONCE: &str = "nonce-of-rejected";

/// The bytes of a response that is decoded to its end before it is rejected.
fn rejected_at_its_end() -> Vec<u8> {
    let good = V1 {
        mesh: "default".to_owned(),
        service: "backend".to_owned(),
        targets: vec![V1Target {
            name: "backend-1".to_owned(),
            address: "10.0.0.1:5670".to_owned(),
            scheme: "http".to_owned(),
            ..V1Target::default()
        }],
        ..V1::default()
    };
    let mut resources = vec![good.protobuf(); GOOD];
    // Field 2, 127 bytes long, of which none follow.
    resources.push(vec![0x12, 0x7f]);
    discovery_response("rejected", NONCE, ApiVersion::V1, &resources)
}

/// Sends such responses, whatever the daemon makes of them, until something is so.
#[track_caller]
fn flood_until(plane: &ControlPlane, response: &[u8], what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    let mut sent = 0;
    while !is_so() {
        let elapsed = start.elapsed();
        assert!(elapsed < LIMIT, "not within {elapsed:?}: {what}");
        sent += plane.send_bytes(response);
        thread::sleep(INTERVAL);
    }
    println!("after {:?} and {sent} responses: {what}", start.elapsed());
}

/// A daemon that has begun to reject them.
fn flooded(response: &[u8]) -> (ControlPlane, Daemon) {
    let (plane, daemon) = following(KumaVersion::V2_6);
    let rejects = || daemon.lines_with(REJECTED) > 0;
    flood_until(&plane, response, "the first is rejected", rejects);
    (plane, daemon)
}

#[test]
fn a_nack_is_sent_when_it_is_due_while_responses_come_one_after_another() {
    let response = rejected_at_its_end();
    let (plane, _daemon) = flooded(&response);
    let is_nack = |event: &Event| match event {
        Event::Request(request) => request.error_detail.is_some().then(|| request.nonce.clone()),
        _ => None,
    };
    flood_until(&plane, &response, "a NACK comes", || {
        let nack = plane.events().take(Duration::ZERO, is_nack);
        nack.is_some_and(|nonce| nonce == NONCE)
    });
}

#[test]
fn sighup_is_obeyed_while_responses_come_one_after_another() {
    let response = rejected_at_its_end();
    let (plane, mut daemon) = flooded(&response);
    daemon.signal("HUP");
    flood_until(&plane, &response, "SIGHUP is obeyed", || {
        daemon.lines_with("reconnecting, as asked by SIGHUP") > 0
    });
}
