//! What the daemon says over gRPC, request by request, in both API versions.

use std::time::{Duration, Instant};

use kuma_stand_in::{Answers, ApiVersion, ControlPlane, Event, Kuma, Resource, Transport};

use crate::harness::{Daemon, Launch, SOON};
use crate::mesh::{EMPTY, backend, file, undecodable};

/// google.rpc.Code.INVALID_ARGUMENT.
const INVALID_ARGUMENT: i32 = 3;

/// The longest that a first NACK waits.
const LONGEST_FIRST_PAUSE: Duration = Duration::from_millis(2000);

/// Each test once for each API version.
macro_rules! in_both_api_versions {
    ($($test:ident,)*) => {
        mod v1 {
            $(#[test] fn $test() { super::$test(super::ApiVersion::V1); })*
        }
        mod v1alpha1 {
            $(#[test] fn $test() { super::$test(super::ApiVersion::V1Alpha1); })*
        }
    };
}

in_both_api_versions! {
    the_first_request_names_the_client_and_the_type_and_no_version,
    an_answer_is_acked_with_its_version_and_nonce,
    a_bad_resource_is_nacked_with_the_last_accepted_version_and_named,
    a_first_answer_that_is_bad_is_nacked_with_no_version,
    a_nack_waits_longer_each_time_until_something_is_accepted,
    a_version_can_be_rejected_and_then_accepted,
    another_type_is_nacked_and_named,
    a_nack_says_no_more_than_4_kib,
    a_good_answer_makes_a_waiting_nack_needless,
    a_new_stream_resumes_with_the_last_accepted_version_and_no_nonce,
    an_envelope_that_cannot_be_decoded_ends_the_stream,
}

/// A control plane that answers by script alone, and serves one API version over gRPC.
fn scripted(api_version: ApiVersion) -> ControlPlane {
    let plane = ControlPlane::start(kuma(api_version));
    plane.set_answers(Answers::Scripted);
    plane
}

fn kuma(api_version: ApiVersion) -> Kuma {
    match api_version {
        ApiVersion::V1Alpha1 => Kuma::V0_7,
        ApiVersion::V1 => Kuma::V2_6,
    }
}

fn good(number: usize) -> Resource {
    Resource::Dataplane(backend(number))
}

/// A daemon whose stream is open and has sent its first request.
fn connected(plane: &ControlPlane) -> Daemon {
    let daemon = Launch::follow(&plane.grpc_url()).start();
    plane.events().expect_request(SOON);
    daemon
}

fn the_first_request_names_the_client_and_the_type_and_no_version(api_version: ApiVersion) {
    let plane = scripted(api_version);
    let _daemon = Launch::follow(&plane.grpc_url())
        .argument("--name=prometheus-01")
        .start();
    let first = plane.events().expect_request(SOON);
    assert_eq!(first.transport, Transport::Grpc);
    assert_eq!(first.api_version, api_version);
    assert_eq!(first.node_id, "prometheus-01");
    assert_eq!(first.type_url, api_version.type_url());
    assert_eq!(first.version_info, "");
    assert_eq!(first.nonce, "");
    assert_eq!(first.error_detail, None);
}

fn an_answer_is_acked_with_its_version_and_nonce(api_version: ApiVersion) {
    let plane = scripted(api_version);
    let daemon = connected(&plane);
    for number in 0..3 {
        let (version, nonce) = (format!("version-{number}"), format!("nonce-{number}"));
        plane.respond(&version, &nonce, api_version.type_url(), vec![good(number)]);
        let ack = plane.events().expect_ack(SOON);
        assert_eq!(ack.version_info, version);
        assert_eq!(ack.nonce, nonce);
        assert_eq!(ack.node_id, "kuma_sd");
        assert_eq!(ack.type_url, api_version.type_url());
        daemon.wait_for_file(&file(api_version, &[backend(number)]));
    }
}

fn a_bad_resource_is_nacked_with_the_last_accepted_version_and_named(api_version: ApiVersion) {
    let plane = scripted(api_version);
    let daemon = connected(&plane);
    let type_url = api_version.type_url();
    plane.respond("good", "1", type_url, vec![good(0)]);
    plane.events().expect_ack(SOON);
    daemon.wait_for_file(&file(api_version, &[backend(0)]));

    plane.respond(
        "bad",
        "2",
        type_url,
        vec![good(1), undecodable(api_version)],
    );
    let (nack, error) = plane.events().expect_nack(SOON);
    assert_eq!(nack.version_info, "good");
    assert_eq!(nack.nonce, "2");
    assert_eq!(error.code, INVALID_ARGUMENT);
    // The control plane sends resources in any order.
    let named = [
        "resource 0 cannot be decoded: ",
        "resource 1 cannot be decoded: ",
    ];
    assert!(
        named.iter().any(|text| error.message.starts_with(text)),
        "{}",
        error.message
    );
    assert_eq!(daemon.file(), Some(file(api_version, &[backend(0)])));
    daemon.wait_for_log("WARN ] rejected a response, so the last good list stays: resource ");
}

fn a_first_answer_that_is_bad_is_nacked_with_no_version(api_version: ApiVersion) {
    let plane = scripted(api_version);
    let daemon = connected(&plane);
    let bad = vec![undecodable(api_version)];
    plane.respond("bad", "1", api_version.type_url(), bad);
    let (nack, _) = plane.events().expect_nack(SOON);
    assert_eq!(nack.version_info, "");
    assert_eq!(nack.nonce, "1");
    assert_eq!(daemon.file(), None);
}

fn a_nack_waits_longer_each_time_until_something_is_accepted(api_version: ApiVersion) {
    let plane = ControlPlane::start(kuma(api_version));
    let bad = || vec![undecodable(api_version)];
    plane.publish_raw(api_version, api_version.type_url(), bad());
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

    plane.publish_raw(api_version, api_version.type_url(), bad());
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

fn a_version_can_be_rejected_and_then_accepted(api_version: ApiVersion) {
    let plane = scripted(api_version);
    let daemon = connected(&plane);
    let type_url = api_version.type_url();
    plane.respond("same", "1", type_url, vec![undecodable(api_version)]);
    plane.events().expect_nack(SOON);
    plane.respond("same", "2", type_url, vec![good(0)]);
    let ack = plane.events().expect_ack(SOON);
    assert_eq!(
        (ack.version_info.as_str(), ack.nonce.as_str()),
        ("same", "2")
    );
    daemon.wait_for_file(&file(api_version, &[backend(0)]));
}

fn another_type_is_nacked_and_named(api_version: ApiVersion) {
    let plane = scripted(api_version);
    let daemon = connected(&plane);
    let other = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
    plane.respond("1", "1", other, Vec::new());
    let (nack, error) = plane.events().expect_nack(SOON);
    assert_eq!(nack.type_url, api_version.type_url());
    assert_eq!(nack.nonce, "1");
    assert!(error.message.contains(other), "{}", error.message);

    let foreign = Resource::Raw {
        type_url: other.to_owned(),
        value: Vec::new(),
        json: serde_json::json!({"@type": other}),
    };
    plane.respond("2", "2", api_version.type_url(), vec![foreign]);
    let (nack, error) = plane.events().expect_nack(SOON);
    assert_eq!(nack.nonce, "2");
    let text = format!("resource 0 has the unexpected type {other:?}");
    assert_eq!(error.message, text);
    assert_eq!(daemon.file(), None);
}

fn a_nack_says_no_more_than_4_kib(api_version: ApiVersion) {
    let plane = scripted(api_version);
    let daemon = connected(&plane);
    plane.respond("1", "1", &"é".repeat(5000), Vec::new());
    let (_, error) = plane.events().expect_nack(SOON);
    assert!((4000..=4096).contains(&error.message.len()));
    let line = daemon.wait_for_log("rejected");
    assert!(line.len() < 1000, "{line}");
}

fn a_good_answer_makes_a_waiting_nack_needless(api_version: ApiVersion) {
    let plane = scripted(api_version);
    let daemon = connected(&plane);
    let type_url = api_version.type_url();
    plane.respond("1", "1", type_url, vec![undecodable(api_version)]);
    plane.respond("2", "2", type_url, Vec::new());
    let ack = plane.events().expect_ack(SOON);
    assert_eq!((ack.version_info.as_str(), ack.nonce.as_str()), ("2", "2"));
    daemon.wait_for_file(EMPTY);
    // A NACK of the first would come within this time.
    plane.events().expect_no_request(LONGEST_FIRST_PAUSE);
}

fn a_new_stream_resumes_with_the_last_accepted_version_and_no_nonce(api_version: ApiVersion) {
    let plane = scripted(api_version);
    let daemon = connected(&plane);
    let type_url = api_version.type_url();
    plane.respond("accepted", "1", type_url, vec![good(0)]);
    let ack = plane.events().expect_ack(SOON);
    // A rejected version is none to resume with.
    plane.respond("rejected", "2", type_url, vec![undecodable(api_version)]);
    plane.events().expect_nack(SOON);
    plane.close_streams(14, "going away");

    let resumed = plane.events().expect_request(SOON);
    assert_ne!(resumed.stream, ack.stream);
    assert_eq!(resumed.version_info, "accepted");
    assert_eq!(resumed.nonce, "");
    assert_eq!(resumed.error_detail, None);
    assert_eq!(resumed.node_id, "kuma_sd");
    assert_eq!(resumed.type_url, type_url);
    assert_eq!(daemon.file(), Some(file(api_version, &[backend(0)])));
    daemon.wait_for_log("UNAVAILABLE going away");
}

fn an_envelope_that_cannot_be_decoded_ends_the_stream(api_version: ApiVersion) {
    let plane = scripted(api_version);
    let daemon = connected(&plane);
    plane.respond("1", "1", api_version.type_url(), vec![good(0)]);
    plane.events().expect_ack(SOON);
    plane.send_bytes(&[0x0a, 0x7f, 0xff]);
    let resumed = plane.events().expect_request(SOON);
    assert_eq!(
        (resumed.version_info.as_str(), resumed.nonce.as_str()),
        ("1", "")
    );
    daemon.wait_for_log("sent a response that cannot be decoded");
}

#[test]
fn v1alpha1_is_spoken_where_v1_is_unimplemented() {
    let plane = ControlPlane::start(Kuma::V1_1);
    let daemon = Launch::follow(&plane.grpc_url()).start();
    let (_, api_version) = plane.events().expect_stream_opened(SOON);
    assert_eq!(api_version, ApiVersion::V1Alpha1);
    daemon.wait_for_file(EMPTY);
    daemon.wait_for_log("gRPC v1 is not served here");
    daemon.wait_for_log(" over gRPC v1alpha1");
    // In the same attempt, not in a later one.
    assert_eq!(daemon.lines_with("next attempt"), 0);
}

#[test]
fn a_pinned_generation_is_the_only_one_that_is_spoken() {
    let cases = [
        ("auto", ApiVersion::V1),
        ("v1", ApiVersion::V1),
        ("v1alpha1", ApiVersion::V1Alpha1),
    ];
    for (pin, expected) in cases {
        // It serves both.
        let plane = ControlPlane::start(Kuma::V1_2);
        let daemon = Launch::follow(&plane.grpc_url())
            .argument(format!("--api-version={pin}"))
            .start();
        let first = plane.events().expect_request(SOON);
        assert_eq!(first.api_version, expected, "{pin}");
        daemon.wait_for_file(EMPTY);
    }
}

#[test]
fn a_pinned_generation_that_is_not_served_is_an_error_that_is_retried() {
    let cases = [
        (Kuma::V0_7, "v1", Kuma::V2_6),
        (Kuma::V2_6, "v1alpha1", Kuma::V1_1),
    ];
    for (kuma, pin, other) in cases {
        let plane = ControlPlane::start(kuma);
        let daemon = Launch::follow(&plane.grpc_url())
            .argument(format!("--api-version={pin}"))
            .start();
        let line = daemon.wait_for_log("no connection to the control plane");
        assert!(line.contains("next attempt in"), "{line}");
        assert!(daemon.log().contains("unknown service"), "{}", daemon.log());
        let streams = plane.events().seen();
        let opened = |event: &&Event| matches!(event, Event::StreamOpened { .. });
        assert_eq!(streams.iter().filter(opened).count(), 0);
        plane.upgrade_to(other);
        daemon.wait_for_file(EMPTY);
    }
}

#[test]
fn a_version_is_never_taken_from_one_generation_to_the_other() {
    let plane = ControlPlane::start(Kuma::V2_6);
    let daemon = connected(&plane);
    let ack = plane.events().expect_ack(SOON);
    assert_ne!(ack.version_info, "");
    for kuma in [Kuma::V0_7, Kuma::V2_6] {
        plane.upgrade_to(kuma);
        let first = plane.events().expect_request(SOON);
        assert_eq!(
            (first.version_info.as_str(), first.nonce.as_str()),
            ("", "")
        );
        let ack = plane.events().expect_ack(SOON);
        assert_eq!(Some(ack.version_info), plane.version(first.api_version));
    }
    assert_eq!(daemon.file().as_deref(), Some(EMPTY));
}
