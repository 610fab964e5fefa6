//! Long polling over HTTP: what is asked and when, and what becomes of each answer that is no list.

use std::time::Duration;

use kuma_stand_in::{ApiVersion, Body, ControlPlane, Event, HttpAnswer, KumaVersion, SeenRequest};
use serde_json::json;

use crate::support::foreign_servers::at_once;
use crate::support::harness::{Daemon, Launch, SOON};
use crate::support::mesh::{backend, file_v1};
use crate::support::no_list::no_lists;
use crate::support::observe::expect_settled;

/// Polls start at least this far apart.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// By how much the first of several polls may be seen later than it was sent, on a busy machine.
const SLACK: Duration = Duration::from_millis(500);

/// The control plane, and a daemon that has its list and waits for the next.
fn following() -> (ControlPlane, Daemon) {
    let plane = ControlPlane::serving(KumaVersion::V2_12, &[backend(0)]);
    let daemon = Launch::follow(&plane.http_url()).start();
    daemon.wait_for_file(&file_v1(&[backend(0)]));
    expect_settled(&plane);
    plane.events().discard();
    (plane, daemon)
}

#[test]
fn one_connection_carries_all_polls() {
    let (plane, daemon) = following();
    for number in 1..3 {
        plane.publish(&[backend(number)]);
        daemon.wait_for_file(&file_v1(&[backend(number)]));
    }
    let requests = plane.events().seen().into_iter().filter_map(request);
    let streams: Vec<_> = requests.map(|request| request.stream).collect();
    assert!(streams.len() >= 3);
    assert!(
        streams.iter().all(|stream| *stream == streams[0]),
        "{streams:?}"
    );
}

fn request(event: Event) -> Option<SeenRequest> {
    match event {
        Event::Request(request) => Some(request),
        _ => None,
    }
}

#[test]
fn after_a_304_the_next_poll_asks_for_the_same() {
    let (plane, daemon) = following();
    let version = plane.version(ApiVersion::V1).expect("there is a snapshot");
    for _ in 0..2 {
        plane.answer_http(HttpAnswer::with_body(304, Body::Full(Vec::new())));
        let next = plane.events().expect_request(SOON);
        assert_eq!(next.version_info, version);
    }
    assert_eq!(daemon.lines_with("WARN"), 0);
    plane.publish(&[backend(1)]);
    daemon.wait_for_file(&file_v1(&[backend(1)]));
}

/// The times between so many polls that are each answered at once.
fn pauses(plane: &ControlPlane, count: usize) -> Vec<Duration> {
    let mut times = Vec::new();
    for _ in 0..count {
        times.push(plane.events().expect_request(SOON).at);
    }
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[test]
fn polls_that_are_answered_at_once_start_a_second_apart() {
    let list = |version: &str| {
        let type_url = ApiVersion::V1.type_url();
        let list = json!({"version_info": version, "type_url": type_url});
        HttpAnswer::json(200, &list)
    };
    let not_modified = HttpAnswer::with_body(304, Body::Full(Vec::new()));
    // Two replicas behind one balancer answer every poll with another version.
    at_once([list("of the other replica"), not_modified], |answer| {
        let plane = ControlPlane::start(KumaVersion::V2_12);
        plane.answer_every_http(Some(answer));
        let daemon = Launch::follow(&plane.http_url()).start();
        let pauses = pauses(&plane, 5);
        let all: Duration = pauses.iter().sum();
        assert!(all + SLACK >= POLL_INTERVAL * 4, "{pauses:?}");
        // It is no failure either: no backoff that grows.
        assert!(all < POLL_INTERVAL * 9, "{pauses:?}");
        assert_eq!(daemon.lines_with("no connection"), 0);
    });
}

#[test]
fn an_error_is_reported_by_its_title_and_details() {
    let details = "unknown field \"x\"";
    let error = |body: serde_json::Value, status| HttpAnswer::json(status, &body);
    let cases = [
        // As Kuma has it since 2.1: the field of RFC 9457 beside the one of before.
        (
            HttpAnswer::error(400, "Bad body", details),
            "status 400: Bad body: unknown field \"x\";",
        ),
        (
            HttpAnswer::error(500, "Could not fetch", "none"),
            "status 500: Could not fetch: none;",
        ),
        (
            error(json!({"title": "A", "details": "b"}), 401),
            "status 401: A: b;",
        ),
        (
            error(json!({"title": "A", "detail": "b", "status": 429}), 429),
            "status 429: A: b;",
        ),
        (
            error(json!({"title": "A", "details": ""}), 503),
            "status 503: A",
        ),
        (error(json!({"title": "A"}), 503), "status 503: A;"),
        (
            error(json!({"message": "A"}), 503),
            "status 503: {\"message\":\"A\"};",
        ),
    ];
    at_once(cases, |(answer, expected)| {
        let (plane, daemon) = following();
        plane.answer_http(answer);
        let line = daemon.wait_for_trouble();
        assert!(line.contains(expected), "{expected:?}: {line}");
    });
}

#[test]
fn what_is_no_list_is_reported_and_the_file_stays_until_there_is_one() {
    at_once(no_lists(), |(fault, answer, expected)| {
        let (plane, mut daemon) = following();
        plane.answer_http(answer);
        let line = daemon.wait_for_trouble();
        assert!(line.contains(expected), "{fault}: {line}");
        assert!(line.contains("WARN"), "{fault}: {line}");
        assert!(line.contains("the file stays as it is"), "{fault}: {line}");
        assert_eq!(daemon.file(), Some(file_v1(&[backend(0)])), "{fault}");
        plane.publish(&[backend(1)]);
        daemon.wait_for_file(&file_v1(&[backend(1)]));
        assert!(daemon.is_running(), "{fault}");
    });
}
