//! Long polling over HTTP: by which connection, and how far apart.

use std::time::Duration;

use kuma_stand_in::{ApiVersion, Body, ControlPlane, Event, HttpAnswer, KumaVersion};
use serde_json::json;

use crate::support::following::at_once;
use crate::support::harness::{Launch, SOON};
use crate::support::mesh::{backend, file_v1};
use crate::support::observe::expect_settled;

/// Polls start at least this far apart.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// By how much the first of several polls may be seen later than it was sent, on a busy machine.
const SLACK: Duration = Duration::from_millis(500);

#[test]
fn one_connection_carries_all_polls() {
    let plane = ControlPlane::serving(KumaVersion::V2_12, &[backend(0)]);
    let daemon = Launch::follow(&plane.http_url()).start();
    for number in 1..3 {
        daemon.wait_for_file(&file_v1(&[backend(number - 1)]));
        expect_settled(&plane);
        plane.publish(&[backend(number)]);
    }
    daemon.wait_for_file(&file_v1(&[backend(2)]));
    let events = plane.events().seen().into_iter();
    let streams: Vec<_> = events
        .filter_map(|event| match event {
            Event::Request(request) => Some(request.stream),
            _ => None,
        })
        .collect();
    assert!(streams.len() >= 3);
    assert!(streams.iter().all(|stream| *stream == streams[0]), "{streams:?}");
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
