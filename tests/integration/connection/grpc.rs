//! What there is of ACKs and NACKs over gRPC alone; what holds over every transport is in `contract`.

use std::time::{Duration, Instant};

use kuma_stand_in::{Answers, ApiVersion, ControlPlane, Event, KumaVersion};

use crate::support::harness::{Daemon, Launch, SOON};
use crate::support::mesh::{EMPTY, backend, undecodable};

/// The longest that a first NACK waits.
const LONGEST_FIRST_PAUSE: Duration = Duration::from_millis(2000);

const V1: ApiVersion = ApiVersion::V1;

/// A control plane that answers by script alone, and a daemon that has sent its first request.
fn scripted() -> (ControlPlane, Daemon) {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    plane.set_answers(Answers::Scripted);
    let daemon = Launch::follow(&plane.grpc_url()).start();
    plane.events().expect_request(SOON);
    (plane, daemon)
}

#[test]
fn a_nack_waits_longer_each_time_until_something_is_accepted() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let bad = || vec![undecodable(V1)];
    plane.publish_raw(V1, V1.type_url(), bad());
    let _daemon = Launch::follow(&plane.grpc_url()).start();
    plane.events().expect_request(SOON);
    // As Kuma does, the control plane answers each NACK with the same snapshot at once.
    for shortest in [0.2, 1.28, 2.048] {
        let pause = nacked_after(&plane);
        assert!(
            pause.as_secs_f64() >= shortest,
            "{pause:?}, not {shortest} s"
        );
    }
    plane.publish(&[backend(0)]);
    let accepted = |event: &Event| match event {
        Event::Request(request) => (request.error_detail.is_none()).then_some(()),
        _ => None,
    };
    plane.events().expect("an ACK", SOON, accepted);
    plane.events().discard();

    plane.publish_raw(V1, V1.type_url(), bad());
    let pause = nacked_after(&plane).as_secs_f64();
    let next = 3.27;
    assert!(
        (0.2..next).contains(&pause),
        "{pause} s is not the first pause again"
    );
}

/// The time from the next answer to the NACK of it.
fn nacked_after(plane: &ControlPlane) -> Duration {
    let answered = plane.events().expect("an answer", SOON, answered_at);
    plane.events().expect_nack(SOON).0.at - answered
}

fn answered_at(event: &Event) -> Option<Instant> {
    match event {
        Event::Answered { at, .. } => Some(*at),
        _ => None,
    }
}

#[test]
fn a_nack_says_no_more_than_4_kib() {
    let (plane, daemon) = scripted();
    plane.respond("1", "1", &"é".repeat(5000), Vec::new());
    let (_, error) = plane.events().expect_nack(SOON);
    assert!((4000..=4096).contains(&error.message.len()));
    let line = daemon.wait_for_log("rejected");
    assert!(line.len() < 1000, "{line}");
}

#[test]
fn a_good_answer_makes_a_waiting_nack_needless() {
    let (plane, daemon) = scripted();
    let type_url = V1.type_url();
    plane.respond("1", "1", type_url, vec![undecodable(V1)]);
    plane.respond("2", "2", type_url, Vec::new());
    let ack = plane.events().expect_ack(SOON);
    assert_eq!((ack.version_info.as_str(), ack.nonce.as_str()), ("2", "2"));
    daemon.wait_for_file(EMPTY);
    // A NACK of the first would come within this time.
    plane.events().expect_no_request(LONGEST_FIRST_PAUSE);
}
