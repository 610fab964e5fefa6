//! Long polling over HTTP as control planes, proxies and load balancers make it: how long a poll may
//! be held, who may cut it, and how far apart polls are.

use std::thread;
use std::time::Duration;

use kuma_stand_in::{Body, ControlPlane, HttpAnswer, KumaVersion, Resource, SeenRequest};

use crate::support::following::at_once;
use crate::support::harness::{Launch, SOON};
use crate::support::mesh::{EMPTY, backend, file_v1};
use crate::support::peer::{Peer, Source};

/// The time for which a poll asks to be held.
fn hold(request: &SeenRequest) -> Duration {
    let http = request.http.as_ref().expect("it came over HTTP");
    let text = http.parameter("fetch-timeout").expect("each poll has one");
    let milliseconds = text.strip_suffix("ms").expect("it is in milliseconds");
    Duration::from_millis(milliseconds.parse().expect("a number"))
}

const FIRST_HOLD: Duration = Duration::from_secs(1);
const LATER_HOLD: Duration = Duration::from_secs(10);

#[test]
fn the_first_poll_is_held_shortly_and_later_ones_for_10_seconds() {
    let plane = ControlPlane::start(KumaVersion::V2_12);
    let mut daemon = Launch::follow(&plane.http_url()).start();
    daemon.wait_for_file(EMPTY);
    let version = plane.events().expect_request(SOON).version_info;
    assert_eq!(version, "");
    let later = plane.events().expect_request(SOON);
    assert_eq!(hold(&later), LATER_HOLD);
    let version = later.version_info;

    daemon.signal("HUP");
    // The list is the same: were this one held for long, the daemon would be connected as late.
    let first = plane.events().expect_request(SOON);
    assert_eq!((hold(&first), first.version_info), (FIRST_HOLD, version));
    let line = daemon.wait_for_log_count("connected to MADS", 2);
    assert!(!line.contains("without a connection"), "{line}");
    assert_eq!(hold(&plane.events().expect_request(SOON)), LATER_HOLD);
}

#[test]
fn a_poll_that_a_proxy_cuts_is_no_outage_and_the_next_ones_ask_for_less() {
    at_once([408, 504], |status| {
        let peer = Peer::start(Source::Http);
        let daemon = peer.start_with_old_file();
        peer.answer("1", &[backend(0)]);
        peer.expect_accepted("1");
        daemon.wait_for_file(&file_v1(&[backend(0)]));
        // What counts is how long the poll was held.
        thread::sleep(Duration::from_secs(2));
        peer.plane.answer_http(HttpAnswer::new(status, "text/html", "<html>timeout</html>"));
        let next = peer.expect_accepted("1");
        assert!((FIRST_HOLD..LATER_HOLD / 2).contains(&hold(&next)), "{:?}", hold(&next));
        peer.answer("2", &[backend(1)]);
        peer.expect_accepted("2");
        daemon.wait_for_file(&file_v1(&[backend(1)]));
        assert_eq!(daemon.lines_with("no connection"), 0);
    });
}

#[test]
fn a_connection_outlasts_the_pauses_between_rejected_lists() {
    let peer = Peer::start(Source::Http);
    let daemon = peer.start_with_old_file();
    // The seventh pause is longer than the HTTP library keeps an idle connection by itself.
    for number in 0..8 {
        peer.answer_with(&number.to_string(), vec![Resource::undecodable(peer.api_version())]);
        peer.expect_rejected("");
    }
    peer.answer("good", &[backend(0)]);
    peer.expect_accepted("good");
    daemon.wait_for_file(&file_v1(&[backend(0)]));
    assert_eq!(daemon.lines_with("no connection"), 0);
}

#[test]
fn the_body_of_an_error_is_read_to_64_kib_only() {
    let peer = Peer::start(Source::Http);
    let daemon = peer.start_with_old_file();
    let body = Body::Endless(vec![b'x'; 4096]);
    peer.plane.answer_http(HttpAnswer::with_body(503, body));
    let line = daemon.wait_for_trouble();
    // Were it read to the end, the limit of a list would be logged.
    assert!(line.contains(": status 503: xxxx"), "{line}");
}
