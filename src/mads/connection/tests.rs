//! The connection as tables: at a time, an event, and what is to be done then.

use std::time::{Duration, Instant};

use log::Level;
use serde_json::value::RawValue;

use super::{Action, Connection, Event, NetworkAction};
use crate::common::machine::Machine;
use crate::mads::api_version::ApiVersion;
use crate::mads::assignment::Resource;
use crate::mads::endpoint::{Endpoint, Origin, Silence, WithoutMads};
use crate::mads::negotiation::{End, EndKind, Pins, Protocol, Transport};
use crate::mads::session::{Request, Response, Session};
use crate::mads::transport::address::Security;

/// No jitter.
const MIDDLE: f64 = 0.5;

struct Story {
    connection: Connection,
    start: Instant,
    told: Vec<String>,
}

impl Story {
    fn new(pins: Pins) -> Self {
        let start = Instant::now();
        let session = Session::new("kuma_sd".to_owned());
        let connection = Connection::new(session, pins, Security::Plaintext, start);
        Self {
            connection,
            start,
            told: Vec::new(),
        }
    }

    /// What is to be done at `seconds`, in words; what is to be told above debug is kept.
    fn step(&mut self, seconds: f64, event: Event) -> Vec<String> {
        let now = self.start + Duration::from_secs_f64(seconds);
        let actions = self.connection.step(now, MIDDLE, event);
        let mut words = Vec::new();
        for action in actions {
            match action {
                Action::Report(report) if report.level() <= Level::Info => {
                    self.told.push(report.to_string());
                }
                Action::Report(_) => {}
                action => words.push(in_words(&action)),
            }
        }
        words
    }

    /// Plays a table; every deadline must be the one that the table waits for with `time`.
    #[track_caller]
    fn play(&mut self, rows: Vec<(f64, Event, &[&str])>) {
        for (seconds, event, expected) in rows {
            if let Event::Time = event {
                assert_eq!(
                    self.deadline(),
                    Some(seconds),
                    "the deadline before {seconds} s"
                );
            }
            let described = format!("{event:?}");
            assert_eq!(
                self.step(seconds, event),
                expected,
                "{described} at {seconds} s"
            );
        }
    }

    /// Seconds since the start, to the millisecond.
    fn deadline(&self) -> Option<f64> {
        let deadline = self.connection.deadline()?;
        let milliseconds = (deadline - self.start).as_micros().div_ceil(1000);
        Some(milliseconds as f64 / 1000.0)
    }

    #[track_caller]
    fn assert_told(&mut self, expected: &[&str]) {
        assert_eq!(std::mem::take(&mut self.told), expected);
    }
}

fn in_words(action: &Action) -> String {
    match action {
        Action::Network(NetworkAction::Resolve) => "resolve".to_owned(),
        Action::Network(NetworkAction::Open(endpoint, protocol, request)) => {
            assert!(request.nonce.is_empty(), "a first request has no nonce");
            assert_eq!(request.api_version, protocol.api_version());
            let authority = endpoint.authority();
            format!(
                "open {protocol} at {authority}, version {:?}",
                request.version
            )
        }
        Action::Network(NetworkAction::Send(request)) => request_in_words(request),
        Action::HandOver(snapshot) => format!("hand over {}", snapshot.targets.len()),
        Action::Network(NetworkAction::Diagnose(_)) => "diagnose".to_owned(),
        Action::Network(NetworkAction::Close) => "close".to_owned(),
        Action::Report(_) => unreachable!("reports are kept apart"),
    }
}

fn request_in_words(request: &Request) -> String {
    let Request {
        version,
        nonce,
        rejection,
        hold,
        ..
    } = request;
    let name = match rejection {
        None => "ACK",
        Some(_) => "NACK",
    };
    // Over HTTP there is no nonce.
    let hold = match nonce.as_str() {
        "" => format!(", hold {} s", hold.as_secs()),
        _ => String::new(),
    };
    format!("{name} version {version:?}, nonce {nonce:?}{hold}")
}

fn endpoint() -> Endpoint {
    Endpoint {
        host: "cp".to_owned(),
        port: 5676,
        security: Security::Plaintext,
        base_path: String::new(),
        origin: Origin::Address,
        without_mads: None,
    }
}

fn found() -> Event {
    Event::Resolved(Ok(endpoint()))
}

fn response(api_version: ApiVersion, version: &str, nonce: &str) -> Event {
    Event::Response(Response {
        version: version.to_owned(),
        nonce: nonce.to_owned(),
        type_url: api_version.type_url().to_owned(),
        resources: Vec::new(),
    })
}

fn good(version: &str, nonce: &str) -> Event {
    response(ApiVersion::V1, version, nonce)
}

fn bad(version: &str, nonce: &str) -> Event {
    Event::Response(Response {
        version: version.to_owned(),
        nonce: nonce.to_owned(),
        type_url: ApiVersion::V1.type_url().to_owned(),
        resources: vec![Resource::Json(
            RawValue::from_string("\"no assignment\"".to_owned()).unwrap(),
        )],
    })
}

fn ended(kind: EndKind) -> Event {
    let reason = format!("{kind:?}");
    Event::Ended(End { kind, reason })
}

const OPEN_V1: &str = "open gRPC v1 at cp:5676, version \"\"";
const OPEN_V1ALPHA1: &str = "open gRPC v1alpha1 at cp:5676, version \"\"";
const OPEN_HTTP: &str = "open HTTP v1 at cp:5676, version \"\"";
const POLL_A: &str = "ACK version \"a\", nonce \"\", hold 10 s";

/// A connection that accepted version "a" with nonce "1" at the start.
fn connected() -> Story {
    let mut story = Story::new(Pins::default());
    story.play(vec![
        (0.0, Event::Time, &["resolve"]),
        (0.0, found(), &[OPEN_V1]),
        (0.0, Event::Ready, &[]),
        (
            0.0,
            good("a", "1"),
            &["hand over 0", "ACK version \"a\", nonce \"1\""],
        ),
    ]);
    story.assert_told(&["connected to MADS at cp:5676 over gRPC v1"]);
    story
}

#[test]
fn a_response_is_handed_over_and_only_then_acknowledged() {
    let mut story = connected();
    assert_eq!(story.deadline(), None, "silence is healthy");
    story.play(vec![(
        7.0,
        good("b", "2"),
        &["hand over 0", "ACK version \"b\", nonce \"2\""],
    )]);
}

#[test]
fn a_lost_stream_is_resumed_after_a_pause_with_the_last_accepted_version() {
    let mut story = connected();
    story.play(vec![
        (100.0, ended(EndKind::Outage), &["close"]),
        (101.1, Event::Time, &["resolve"]),
        (101.1, found(), &["open gRPC v1 at cp:5676, version \"a\""]),
        (101.1, Event::Ready, &[]),
        (102.1, Event::Time, &[]),
    ]);
    assert_eq!(
        story.deadline(),
        None,
        "a silent stream on a ready channel is healthy"
    );
    story.assert_told(&[
        "no connection to the control plane: Outage; the file stays as it is, next attempt in 1.1 s",
        "connected to MADS at cp:5676 over gRPC v1, after 2.1 s without a connection",
    ]);
}

#[test]
fn a_rejected_response_is_nacked_after_the_growing_pause_and_then_one_is_accepted() {
    let mut story = connected();
    story.play(vec![
        (10.0, bad("b", "2"), &[]),
        (11.1, Event::Time, &["NACK version \"a\", nonce \"2\""]),
        (11.1, bad("b", "3"), &[]),
        (12.7, Event::Time, &["NACK version \"a\", nonce \"3\""]),
        (12.7, bad("b", "4"), &[]),
        (15.26, Event::Time, &["NACK version \"a\", nonce \"4\""]),
        (
            15.3,
            good("b", "5"),
            &["hand over 0", "ACK version \"b\", nonce \"5\""],
        ),
        (20.0, bad("c", "6"), &[]),
        (21.1, Event::Time, &["NACK version \"b\", nonce \"6\""]),
    ]);
}

#[test]
fn rejections_that_are_over_are_not_counted_with_the_next_ones() {
    let mut story = connected();
    for number in 0..5 {
        story.step(10.0 + f64::from(number), bad("b", "2"));
    }
    story.step(20.0, good("c", "3"));
    story.told.clear();
    story.step(1000.0, bad("d", "4"));
    assert_eq!(story.told.len(), 1);
    assert!(
        !story.told[0].contains("more rejection"),
        "{}",
        story.told[0]
    );
}

#[test]
fn over_http_rejections_are_over_where_nothing_new_comes() {
    let mut story = over_http();
    story.step(0.0, Event::Time);
    story.step(0.0, found());
    story.step(0.0, good("a", ""));
    story.step(1.0, bad("b", ""));
    story.told.clear();
    story.step(5.0, Event::Unchanged);
    story.step(6.0, Event::Unchanged);
    story.assert_told(&[
        "the control plane is back at the list that was accepted, so nothing is rejected any more",
    ]);
}

#[test]
fn a_good_response_makes_a_waiting_nack_void() {
    let mut story = connected();
    story.play(vec![
        (10.0, bad("b", "2"), &[]),
        (
            10.5,
            good("c", "3"),
            &["hand over 0", "ACK version \"c\", nonce \"3\""],
        ),
    ]);
    assert_eq!(story.deadline(), None);
}

#[test]
fn a_flood_of_bad_responses_does_not_put_the_nack_off() {
    let mut story = connected();
    story.play(vec![
        (10.0, bad("b", "2"), &[]),
        (10.9, bad("c", "3"), &[]),
        (11.1, Event::Time, &["NACK version \"a\", nonce \"3\""]),
    ]);
}

#[test]
fn another_type_url_is_rejected() {
    let mut story = connected();
    story.play(vec![
        (10.0, response(ApiVersion::V1alpha1, "b", "2"), &[]),
        (11.1, Event::Time, &["NACK version \"a\", nonce \"2\""]),
    ]);
}

#[test]
fn an_unknown_service_moves_on_to_the_next_protocol_at_once() {
    let mut story = Story::new(Pins::default());
    story.play(vec![
        (0.0, Event::Time, &["resolve"]),
        (0.0, found(), &[OPEN_V1]),
        (0.1, Event::Ready, &[]),
        (
            0.1,
            ended(EndKind::UnknownService),
            &["close", OPEN_V1ALPHA1],
        ),
        (0.2, ended(EndKind::UnknownService), &["close", OPEN_HTTP]),
        (0.3, ended(EndKind::UnknownService), &["close"]),
        (1.4, Event::Time, &["resolve"]),
    ]);
    story.assert_told(&[
        "no connection to the control plane: no MADS at cp:5676: gRPC v1: UnknownService; \
         gRPC v1alpha1: UnknownService; HTTP v1: UnknownService; \
         the file stays as it is, next attempt in 1.1 s",
    ]);
}

#[test]
fn an_http_1_answer_moves_on_to_http_and_skips_the_other_grpc_generation() {
    let mut story = Story::new(Pins::default());
    story.play(vec![
        (0.0, Event::Time, &["resolve"]),
        (0.0, found(), &[OPEN_V1]),
        (0.1, ended(EndKind::UnknownTransport), &["close", OPEN_HTTP]),
    ]);
}

#[test]
fn an_outage_never_moves_on_to_another_protocol() {
    let mut story = Story::new(Pins::default());
    story.play(vec![
        (0.0, Event::Time, &["resolve"]),
        (0.0, found(), &[OPEN_V1]),
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
    let mut story = Story::new(Pins::default());
    story.play(vec![
        (0.0, Event::Time, &["resolve"]),
        (0.0, found(), &[OPEN_V1]),
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
fn each_state_of_an_attempt_has_a_deadline() {
    let http = Pins {
        api_version: None,
        transport: Some(Transport::Http),
    };
    let mut story = Story::new(http);
    story.play(vec![
        (0.0, Event::Time, &["resolve"]),
        (15.0, Event::Time, &["close"]),
        (16.1, Event::Time, &["resolve"]),
        (16.1, found(), &[OPEN_HTTP]),
        (51.1, Event::Time, &["close", "diagnose"]),
        (56.1, Event::Time, &["close"]),
        (57.7, Event::Time, &["resolve"]),
        (57.7, found(), &[OPEN_HTTP]),
        (58.0, good("a", ""), &["hand over 0"]),
        (
            58.7,
            Event::Time,
            &["ACK version \"a\", nonce \"\", hold 10 s"],
        ),
        (388.7, Event::Time, &["close"]),
    ]);
    story.assert_told(&[
        "no connection to the control plane: it was not found out where MADS is within 15 s; does a \
         file for the token or for TLS lie on a disk that hangs?; 15 s without one; the file stays as it is, next \
         attempt in 1.1 s",
        "connected to MADS at cp:5676 over HTTP v1, after 58 s without a connection",
        "no connection to the control plane: cp:5676 did not answer a poll within 330 s; the file \
         stays as it is, next attempt in 1.1 s",
    ]);
}

#[test]
fn a_refusal_that_comes_late_moves_on_all_the_same() {
    let mut story = Story::new(Pins::default());
    story.play(vec![
        (0.0, Event::Time, &["resolve"]),
        (0.0, found(), &[OPEN_V1]),
        (0.1, Event::Ready, &[]),
        (1.1, Event::Time, &[]),
        (
            2.0,
            ended(EndKind::UnknownService),
            &["close", OPEN_V1ALPHA1],
        ),
    ]);
}

#[test]
fn a_server_that_hangs_up_without_a_word_is_diagnosed_before_the_pause() {
    let mut story = Story::new(Pins::default());
    story.play(vec![
        (0.0, Event::Time, &["resolve"]),
        (0.0, found(), &[OPEN_V1]),
        (0.1, ended(EndKind::Unready), &["close", "diagnose"]),
        (
            0.2,
            Event::Diagnosed(Some("TLS is spoken there")),
            &["close"],
        ),
        (1.3, Event::Time, &["resolve"]),
    ]);
    story.assert_told(&[
        "no connection to the control plane: Unready; TLS is spoken there; \
         the file stays as it is, next attempt in 1.1 s",
    ]);
}

#[test]
fn every_connect_finds_out_and_negotiates_from_the_top_and_a_version_stays_in_its_generation() {
    let mut story = connected();
    story.play(vec![
        (100.0, ended(EndKind::Outage), &["close"]),
        (101.1, Event::Time, &["resolve"]),
        (101.1, found(), &["open gRPC v1 at cp:5676, version \"a\""]),
        (
            101.1,
            ended(EndKind::UnknownService),
            &["close", OPEN_V1ALPHA1],
        ),
        (
            101.2,
            response(ApiVersion::V1alpha1, "b", "1"),
            &["hand over 0", "ACK version \"b\", nonce \"1\""],
        ),
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
        let mut story = Story::new(Pins {
            api_version,
            transport,
        });
        story.step(0.0, Event::Time);
        let mut opened = story.step(0.0, found());
        for protocol in expected {
            let open = format!("open {protocol} at cp:5676, version \"\"");
            assert_eq!(opened.last(), Some(&open), "{api_version:?} {transport:?}");
            opened = story.step(0.0, ended(EndKind::UnknownService));
        }
        assert_eq!(opened, ["close"], "{api_version:?} {transport:?}");
    }
}

#[test]
fn tls_and_a_base_path_mean_http() {
    let tls = Endpoint {
        security: Security::Tls,
        ..endpoint()
    };
    let base_path = Endpoint {
        base_path: "/kuma".to_owned(),
        ..endpoint()
    };
    for endpoint in [tls, base_path] {
        let mut story = Story::new(Pins::default());
        story.step(0.0, Event::Time);
        assert_eq!(story.step(0.0, Event::Resolved(Ok(endpoint))), [OPEN_HTTP]);
    }
}

fn over_http() -> Story {
    Story::new(Pins {
        api_version: None,
        transport: Some(Transport::Http),
    })
}

#[test]
fn polls_over_http_start_a_second_apart_and_carry_the_accepted_version() {
    let mut story = over_http();
    story.play(vec![
        (0.0, Event::Time, &["resolve"]),
        (0.0, found(), &[OPEN_HTTP]),
        (0.1, good("a", ""), &["hand over 0"]),
        (1.0, Event::Time, &[POLL_A]),
        (11.0, Event::Unchanged, &[]),
        (11.0, Event::Time, &[POLL_A]),
        (11.1, Event::Unchanged, &[]),
        (12.0, Event::Time, &[POLL_A]),
    ]);
    story.assert_told(&["connected to MADS at cp:5676 over HTTP v1"]);
}

#[test]
fn equal_lists_one_after_another_slow_polls_down() {
    let mut story = over_http();
    story.play(vec![
        (0.0, Event::Time, &["resolve"]),
        (0.0, found(), &[OPEN_HTTP]),
        (0.0, good("a", ""), &["hand over 0"]),
        (1.0, Event::Time, &[POLL_A]),
        (1.0, good("a", ""), &["hand over 0"]),
        (2.0, Event::Time, &[POLL_A]),
        (2.0, good("a", ""), &["hand over 0"]),
        (3.0, Event::Time, &[POLL_A]),
        (3.0, good("a", ""), &["hand over 0"]),
        (5.0, Event::Time, &[POLL_A]),
    ]);
}

#[test]
fn a_poll_that_a_proxy_cuts_is_no_outage_but_on_a_connection_that_was_not_accepted() {
    let mut story = over_http();
    story.play(vec![
        (0.0, Event::Time, &["resolve"]),
        (0.0, found(), &[OPEN_HTTP]),
        (0.1, good("a", ""), &["hand over 0"]),
        (1.0, Event::Time, &[POLL_A]),
        (6.0, ended(EndKind::GatewayTimeout), &[]),
        (
            6.0,
            Event::Time,
            &["ACK version \"a\", nonce \"\", hold 4 s"],
        ),
        (11.0, ended(EndKind::GatewayTimeout), &["close"]),
        (12.1, Event::Time, &["resolve"]),
        (12.1, found(), &["open HTTP v1 at cp:5676, version \"a\""]),
        (17.0, ended(EndKind::GatewayTimeout), &["close"]),
    ]);
}

#[test]
fn a_rejected_poll_is_repeated_after_the_growing_pause_with_the_old_version() {
    let mut story = over_http();
    let nack = "NACK version \"\", nonce \"\", hold 10 s";
    story.play(vec![
        (0.0, Event::Time, &["resolve"]),
        (0.0, found(), &[OPEN_HTTP]),
        (0.0, bad("a", ""), &[]),
        (1.1, Event::Time, &[nack]),
        (1.1, bad("a", ""), &[]),
        (2.7, Event::Time, &[nack]),
        (2.8, good("b", ""), &["hand over 0"]),
        (
            3.7,
            Event::Time,
            &["ACK version \"b\", nonce \"\", hold 10 s"],
        ),
    ]);
}

/// The pause after the next failure, in seconds.
fn pause_after(story: &mut Story, seconds: f64) -> f64 {
    story.step(seconds, ended(EndKind::Outage));
    story.deadline().expect("a failure sets the next attempt") - seconds
}

/// Fails twice, so that the next pause is the third, and connects again over `protocols`.
fn third_attempt(pins: Pins) -> Story {
    let mut story = Story::new(pins);
    for (resolved, failed) in [(0.0, 0.0), (1.1, 1.1)] {
        story.step(resolved, Event::Time);
        story.step(resolved, found());
        story.step(failed, ended(EndKind::Outage));
    }
    story.step(2.7, Event::Time);
    story.step(2.7, found());
    story
}

#[test]
fn only_what_shows_health_resets_the_backoff() {
    const THIRD: f64 = 2.56;
    type Events = Vec<(f64, Event)>;
    let http = Pins {
        api_version: None,
        transport: Some(Transport::Http),
    };
    let rows: [(&str, Pins, Events, f64, f64); 7] = [
        (
            "a mere connect",
            Pins::default(),
            vec![(3.0, Event::Ready)],
            4.0,
            THIRD,
        ),
        (
            "a rejected response",
            Pins::default(),
            vec![(3.0, bad("a", "1"))],
            3.5,
            4.1,
        ),
        (
            "an accepted response",
            Pins::default(),
            vec![(3.0, good("a", "1"))],
            3.5,
            1.1,
        ),
        (
            "a silent stream that was up for less than 60 s",
            Pins::default(),
            vec![(3.0, Event::Ready), (4.0, Event::Time)],
            62.9,
            THIRD,
        ),
        (
            "a silent stream that was up for 60 s",
            Pins::default(),
            vec![(3.0, Event::Ready), (4.0, Event::Time)],
            63.0,
            1.1,
        ),
        (
            "a 304 at once",
            http,
            vec![(2.8, Event::Unchanged)],
            3.0,
            THIRD,
        ),
        (
            "a 304 after a second",
            http,
            vec![(3.7, Event::Unchanged)],
            3.8,
            1.1,
        ),
    ];
    for (what, pins, events, fails_at, expected) in rows {
        let mut story = third_attempt(pins);
        for (seconds, event) in events {
            story.step(seconds, event);
        }
        let pause = pause_after(&mut story, fails_at);
        assert!((pause - expected).abs() < 0.01, "after {what}: {pause} s");
    }
}

#[test]
fn a_hang_up_reconnects_soon_in_any_state() {
    let states: [(&str, Vec<Event>); 3] = [
        ("resolving", vec![Event::Time]),
        ("opening", vec![Event::Time, found()]),
        (
            "connected",
            vec![Event::Time, found(), Event::Ready, good("a", "1")],
        ),
    ];
    for (state, events) in states {
        let mut story = Story::new(Pins::default());
        for event in events {
            story.step(0.0, event);
        }
        assert_eq!(story.step(0.5, Event::Reconnect), ["close"], "{state}");
        assert_eq!(story.deadline(), Some(1.6), "{state}");
        assert_eq!(story.step(1.6, Event::Time), ["resolve"], "{state}");
    }
    // In a long pause.
    let mut story = third_attempt(Pins::default());
    let pause = pause_after(&mut story, 3.0);
    assert!(pause > 2.0, "{pause} s");
    story.step(3.1, Event::Reconnect);
    assert_eq!(story.deadline(), Some(4.2));
}

#[test]
fn one_hang_up_after_another_does_not_put_the_attempt_off() {
    let mut story = connected();
    story.play(vec![
        (10.0, Event::Reconnect, &["close"]),
        (11.0, Event::Reconnect, &["close"]),
        (11.1, Event::Time, &["resolve"]),
    ]);
}

#[test]
fn a_hang_up_on_a_good_connection_is_told_and_is_no_outage() {
    let mut story = connected();
    story.play(vec![
        (10.0, Event::Reconnect, &["close"]),
        (11.1, Event::Time, &["resolve"]),
        (11.1, found(), &["open gRPC v1 at cp:5676, version \"a\""]),
        (11.1, Event::Ready, &[]),
        (12.1, Event::Time, &[]),
    ]);
    story.assert_told(&[
        "reconnecting, as asked by SIGHUP",
        "connected to MADS at cp:5676 over gRPC v1",
    ]);
}

#[test]
fn targets_without_a_service_are_warned_of_once() {
    let targets = |version: &str, services: [&str; 2]| {
        let resources = services.map(|service| {
            let json = format!(
                r#"{{"@type":"{}","mesh":"m","service":"{service}","targets":[{{"name":"n","address":"a"}}]}}"#,
                ApiVersion::V1.type_url()
            );
            Resource::Json(RawValue::from_string(json).unwrap())
        });
        Event::Response(Response {
            version: version.to_owned(),
            nonce: version.to_owned(),
            type_url: ApiVersion::V1.type_url().to_owned(),
            resources: resources.to_vec(),
        })
    };
    let mut story = connected();
    story.step(1.0, targets("b", ["backend", "unknown"]));
    story.step(2.0, targets("c", ["unknown", "unknown"]));
    story.assert_told(&[
        "1 of 2 targets have the service `unknown`; label their Dataplanes with kuma.io/workload",
    ]);
    story.step(100.0, targets("d", ["backend", "backend"]));
    story.step(101.0, targets("e", ["unknown", "unknown"]));
    story.assert_told(&[
        "2 of 2 targets have the service `unknown`; label their Dataplanes with kuma.io/workload",
    ]);
}

#[test]
fn where_mads_is_not_reached_the_kind_of_control_plane_is_told() {
    let mut story = Story::new(Pins::default());
    story.step(0.0, Event::Time);
    story.step(
        0.0,
        Event::Resolved(Ok(Endpoint {
            origin: Origin::Config,
            without_mads: Some(WithoutMads::Global),
            ..endpoint()
        })),
    );
    story.step(0.0, ended(EndKind::Outage));
    story.assert_told(&[
        "no connection to the control plane: Outage; this is a global control plane, which serves \
         no MADS; give the address of a zone's control plane as --cp-address; the file stays as it is, next attempt in 1.1 s",
    ]);
}

#[test]
fn what_an_abandoned_attempt_still_says_does_not_count() {
    let mut story = Story::new(Pins::default());
    story.play(vec![
        (0.0, Event::Time, &["resolve"]),
        (
            0.0,
            Event::Resolved(Err("GET http://cp/config: no".to_owned())),
            &["close"],
        ),
        (0.5, Event::Ready, &[]),
        (0.5, good("a", "1"), &[]),
        (0.5, ended(EndKind::Outage), &[]),
        (0.5, found(), &[]),
        (1.1, Event::Time, &["resolve"]),
        (1.1, good("a", "1"), &[]),
        (1.1, found(), &[OPEN_V1]),
    ]);
}

#[test]
fn time_that_comes_too_early_changes_nothing() {
    let mut story = connected();
    story.play(vec![(10.0, bad("b", "2"), &[])]);
    assert_eq!(story.step(10.5, Event::Time), [""; 0]);
    assert_eq!(story.deadline(), Some(11.1));
}

#[test]
fn an_outage_is_told_at_its_start_once_a_minute_and_at_its_end() {
    let mut story = connected();
    let mut seconds = 100.0;
    story.step(seconds, ended(EndKind::Outage));
    while seconds < 300.0 {
        seconds = story.deadline().expect("an attempt is set");
        story.step(seconds, Event::Time);
        story.step(seconds, Event::Resolved(Err("refused".to_owned())));
    }
    seconds = story.deadline().expect("an attempt is set");
    story.step(seconds, Event::Time);
    story.step(seconds, found());
    story.step(seconds, good("b", "1"));
    let beginnings = [
        "no connection to the control plane: Outage; the file stays as it is",
        "no connection to the control plane: refused; 70 s without one; 7 more failures since",
        "no connection to the control plane: refused; 2 min without one; 1 more failure since",
        "no connection to the control plane: refused; 3 min without one; 1 more failure since",
        "connected to MADS at cp:5676 over gRPC v1, after 4 min without a connection",
    ];
    assert_eq!(story.told.len(), beginnings.len(), "{:#?}", story.told);
    for (line, beginning) in story.told.iter().zip(beginnings) {
        assert!(line.starts_with(beginning), "{line}");
    }
}

#[test]
fn a_guessed_or_less_safe_way_is_told_once_and_again_when_it_changes() {
    let start = Instant::now();
    let session = Session::new("kuma_sd".to_owned());
    let connection = Connection::new(session, Pins::default(), Security::Tls, start);
    let mut story = Story {
        connection,
        start,
        told: Vec::new(),
    };
    let guessed = Origin::Guess(Silence::Refused(403));
    let ways = [
        Endpoint {
            security: Security::Tls,
            origin: guessed.clone(),
            ..endpoint()
        },
        Endpoint {
            security: Security::Tls,
            origin: guessed,
            ..endpoint()
        },
        Endpoint {
            origin: Origin::Config,
            ..endpoint()
        },
    ];
    let mut seconds = 0.0;
    for way in ways {
        story.step(seconds, Event::Time);
        story.step(seconds, Event::Resolved(Ok(way)));
        story.step(seconds, ended(EndKind::Outage));
        seconds = story.deadline().expect("an attempt is set");
    }
    story.told.retain(|line| !line.starts_with("no connection"));
    story.assert_told(&[
        "the API server refuses /config with status 403, so MADS is taken to be at its usual \
         port; give --cp-address=grpcs://cp:5676 instead",
        "the control plane serves MADS at cp:5676 in plaintext, although --cp-address is https; \
         enable TLS for its monitoringAssignmentServer",
    ]);
}

#[test]
fn skipped_targets_are_told_when_they_change() {
    let json = |name: &str| {
        let json = format!(
            r#"{{"@type":"{}","mesh":"m","service":"s","targets":[{{"name":"{name}"}}]}}"#,
            ApiVersion::V1.type_url()
        );
        Resource::Json(RawValue::from_string(json).unwrap())
    };
    let with_target = |version: &str, name: &str| {
        Event::Response(Response {
            version: version.to_owned(),
            nonce: version.to_owned(),
            type_url: ApiVersion::V1.type_url().to_owned(),
            resources: vec![json(name)],
        })
    };
    let mut story = connected();
    story.step(1.0, with_target("b", "one"));
    story.step(2.0, with_target("c", "one"));
    story.assert_told(&[
        "skipped 1 target without an address: target \"one\" of assignment \"m/s\"",
    ]);
    story.step(70.0, with_target("d", "two"));
    story.assert_told(&[
        "skipped 1 target without an address: target \"two\" of assignment \"m/s\"",
    ]);
}
