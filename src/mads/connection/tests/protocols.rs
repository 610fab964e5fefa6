//! What is tried at an endpoint, and in which order.

use super::*;

#[test]
fn an_unknown_service_moves_on_to_the_next_protocol_at_once() {
    let mut story = opening();
    story.play(vec![
        (0.1, Event::Ready, &[]),
        (0.1, ended(EndKind::UnknownService), &["close", OPEN_V1ALPHA1]),
        (0.2, ended(EndKind::UnknownService), &["close", OPEN_HTTP]),
        (0.3, ended(EndKind::UnknownService), &["close"]),
        (1.4, Event::Time, &["resolve"]),
    ]);
    story.assert_logged(&[
        "no connection to the control plane: no MADS at cp:5676: gRPC v1: UnknownService; \
         gRPC v1alpha1: UnknownService; HTTP v1: UnknownService; \
         the file stays as it is, next attempt in 1.1 s",
    ]);
}

#[test]
fn an_http_1_answer_moves_on_to_http_and_skips_the_other_grpc_version() {
    let mut story = opening();
    story.play(vec![(0.1, ended(EndKind::UnknownTransport), &["close", OPEN_HTTP])]);
}

#[test]
fn an_outage_never_moves_on_to_another_protocol() {
    let mut story = opening();
    story.play(vec![
        (0.1, ended(EndKind::Outage), &["close"]),
        (1.2, Event::Time, &["resolve"]),
        (1.2, found(), &[OPEN_V1]),
        (1.2, ended(EndKind::Outage), &["close"]),
        (2.8, Event::Time, &["resolve"]),
        (2.8, found(), &[OPEN_V1]),
        (2.8, ended(EndKind::Outage), &["close"]),
    ]);
}

#[test]
fn a_channel_that_is_not_ready_twice_in_a_row_has_http_tried_as_well() {
    let mut story = opening();
    story.play(vec![
        (10.0, Event::Time, &["close", "diagnose"]),
        (10.0, Event::Diagnosed(None), &["close"]),
        (11.1, Event::Time, &["resolve"]),
        (11.1, found(), &[OPEN_V1]),
        (12.0, ended(EndKind::Unready), &["close", OPEN_HTTP]),
        (12.1, good("a", ""), &["hand over 0"]),
        (13.0, Event::Time, &[POLL_A]),
        (14.0, ended(EndKind::Outage), &["close"]),
        (15.1, Event::Time, &["resolve"]),
        (15.1, found(), &["open gRPC v1 at cp:5676, version \"a\""]),
        (15.2, ended(EndKind::Unready), &["close", "diagnose"]),
    ]);
}

#[test]
fn a_refusal_that_comes_late_moves_on_all_the_same() {
    let mut story = opening();
    story.play(vec![
        (0.1, Event::Ready, &[]),
        (1.1, Event::Time, &[]),
        (2.0, ended(EndKind::UnknownService), &["close", OPEN_V1ALPHA1]),
    ]);
}

#[test]
fn every_connect_starts_from_the_top_and_a_version_stays_in_its_api_version() {
    let mut story = connected();
    story.play(vec![
        (100.0, ended(EndKind::Outage), &["close"]),
        (101.1, Event::Time, &["resolve"]),
        (101.1, found(), &["open gRPC v1 at cp:5676, version \"a\""]),
        (101.1, ended(EndKind::UnknownService), &["close", OPEN_V1ALPHA1]),
        (101.2, good_v1alpha1("b", "1"), &["hand over 0", "ACK version \"b\", nonce \"1\""]),
        (200.0, ended(EndKind::Outage), &["close"]),
        (201.1, Event::Time, &["resolve"]),
        (201.1, found(), &[OPEN_V1]),
    ]);
}

#[test]
fn pins_leave_only_what_they_name() {
    let grpc_v1 = Protocol::Grpc(ApiVersion::V1);
    let grpc_v1alpha1 = Protocol::Grpc(ApiVersion::V1alpha1);
    let (v1, v1alpha1) = (Some(ApiVersion::V1), Some(ApiVersion::V1alpha1));
    let (grpc, http) = (Some(Transport::Grpc), Some(Transport::Http));
    let rows: [(Option<ApiVersion>, Option<Transport>, &[Protocol]); 9] = [
        (None, None, &[grpc_v1, grpc_v1alpha1, Protocol::Http]),
        (v1, None, &[grpc_v1, Protocol::Http]),
        (v1alpha1, None, &[grpc_v1alpha1]),
        (None, grpc, &[grpc_v1, grpc_v1alpha1]),
        (None, http, &[Protocol::Http]),
        (v1, grpc, &[grpc_v1]),
        (v1, http, &[Protocol::Http]),
        (v1alpha1, grpc, &[grpc_v1alpha1]),
        (v1alpha1, http, &[]),
    ];
    for (api_version, transport, expected) in rows {
        let mut story = new_story(Pins { api_version, transport });
        story.step(0.0, Event::Time);
        let mut opened = story.step(0.0, found());
        for protocol in expected {
            let open = format!("open {protocol} at cp:5676, version \"\"");
            assert_eq!(opened.last(), Some(&open), "{api_version:?} {transport:?}");
            opened = story.step(0.0, ended(EndKind::UnknownService));
        }
        assert_eq!(opened, ["close"], "{api_version:?} {transport:?}");
        let advice = "; --api-version or --transport allows nothing else, leave it out; ";
        let is_pinned = api_version.is_some() || transport.is_some();
        let is_advised = is_pinned && !expected.is_empty();
        assert_eq!(story.logged[0].contains(advice), is_advised, "{:?}", story.logged);
    }
}

#[test]
fn tls_and_a_base_path_mean_http() {
    for address in ["https://cp:5676", "http://cp:5676/kuma"] {
        let mut story = new_story(Pins::default());
        story.step(0.0, Event::Time);
        assert_eq!(story.step(0.0, Event::Resolved(Ok(at(address)))), [OPEN_HTTP]);
        let mut story = new_story(Pins { transport: Some(Transport::Grpc), ..Pins::default() });
        story.step(0.0, Event::Time);
        assert_eq!(story.step(0.0, Event::Resolved(Ok(at(address)))), ["close"]);
        story.assert_logged(&[
            "no connection to the control plane: nothing left to try at cp:5676: over TLS, or below \
             a path, only HTTP v1 can be spoken, which --api-version or --transport excludes; the \
             file stays as it is, next attempt in 1.1 s",
        ]);
    }
}
