//! A control plane that misbehaves for as long as it is asked: every answer over HTTP is a page, a
//! redirect, an error, half a list or the same list again, or drips in; every stream of gRPC is
//! garbled, closed after each answer, or has a list that must be rejected again and again. The last
//! good list stays, nothing is flooded, and when the control plane is well, the daemon is too.

use std::thread;
use std::time::Duration;

use kuma_stand_in::{
    Answers, ApiVersion, Body, ControlPlane, Dataplane, Event, Fault, HttpAnswer, KumaVersion,
    Resource,
};

use crate::support::following::{TARGETS, at_once, following};
use crate::support::lists;
use crate::support::observe::{BACK_WITHIN, WHILE, assert_quiet};

/// The hundredths of a core that a build without optimisation may use while it is answered as often
/// as it asks.
const BUSY: u32 = 5;

/// Requests in that while: polls start at least 1 s apart, and no retry comes sooner.
const REQUESTS: usize = 12;

/// A way to misbehave.
struct Bad {
    name: String,
    kuma: KumaVersion,
    begin: Box<dyn Fn(&ControlPlane) + Send + Sync>,
    end: fn(&ControlPlane),
    /// What is logged of it, where that is an outage.
    told: Option<&'static str>,
}

fn over_http(name: &str, answer: HttpAnswer) -> Bad {
    Bad {
        name: format!("HTTP: {name}"),
        kuma: KumaVersion::V2_12,
        begin: Box::new(move |plane| plane.answer_every_http(Some(answer.clone()))),
        end: |plane| plane.answer_every_http(None),
        told: None,
    }
}

/// The list that the daemon has already, under another version.
fn same_list() -> HttpAnswer {
    let resources: Vec<_> = lists::list(1, TARGETS).iter().map(Dataplane::to_json).collect();
    let body = serde_json::json!({
        "version_info": "again",
        "type_url": ApiVersion::V1.type_url(),
        "resources": resources,
    });
    HttpAnswer::json(200, &body)
}

/// Answers that are no list, and what is logged of each.
fn no_lists() -> Vec<(&'static str, HttpAnswer, &'static str)> {
    let type_url = ApiVersion::V1.type_url();
    let list = serde_json::json!({"version_info": "1", "type_url": type_url}).to_string();
    let half = list.as_bytes()[..list.len() / 2].to_vec();
    vec![
        (
            "500 with another body",
            HttpAnswer::new(500, "text/plain", "upstream\nis\u{1b}[2J gone"),
            "status 500: upstream is\\u{1b}[2J gone",
        ),
        ("502 without a body", HttpAnswer::with_body(502, Body::Full(Vec::new())), "status 502;"),
        (
            "a redirect",
            HttpAnswer::redirect(307, "http://127.0.0.1:9/elsewhere"),
            "redirected to \"http://127.0.0.1:9/elsewhere\", which is not followed",
        ),
        (
            "a page",
            HttpAnswer::new(200, "text/html", "<html>Log in</html>"),
            "the answer cannot be decoded: ",
        ),
        ("nothing", HttpAnswer::new(200, "application/json", ""), "the answer cannot be decoded: "),
        (
            "an array",
            HttpAnswer::new(200, "application/json", "[]"),
            "the answer cannot be decoded: ",
        ),
        (
            "half a list",
            HttpAnswer::new(200, "application/json", half.clone()),
            "the answer cannot be decoded: ",
        ),
        (
            "a list that is cut",
            HttpAnswer::with_body(200, Body::Truncated { sent: half, promised: 4096 }),
            "POST http://",
        ),
        (
            "a chunk that is cut",
            HttpAnswer::Raw(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{\"version".to_vec(),
            ),
            "POST http://",
        ),
        (
            "no end of a head",
            HttpAnswer::Raw(b"HTTP/1.1 200 OK\r\nContent-Type: appl".to_vec()),
            "POST http://",
        ),
        ("no HTTP", HttpAnswer::Raw(b"220 mail.example ESMTP\r\n".to_vec()), "POST http://"),
        ("not a word", HttpAnswer::Raw(Vec::new()), "POST http://"),
        (
            "a length over the limit",
            HttpAnswer::with_body(
                200,
                Body::Truncated { sent: b"{".to_vec(), promised: (256 << 20) + 1 },
            ),
            "the response is larger than the limit of 256 MiB",
        ),
    ]
}

fn http_answers() -> Vec<Bad> {
    let type_url = ApiVersion::V1.type_url();
    let other = serde_json::json!({
        "version_info": "x", "type_url": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
    });
    let undecodable = serde_json::json!({
        "version_info": "x",
        "type_url": type_url,
        "resources": [{"@type": type_url, "targets": "none"}],
    });
    let drip = Body::Drip { bytes: vec![b' '; 1 << 20], pause: Duration::from_millis(50) };
    let mut bad: Vec<Bad> = no_lists()
        .into_iter()
        .map(|(name, answer, told)| Bad { told: Some(told), ..over_http(name, answer) })
        .collect();
    bad.extend([
        over_http("nothing new, at once", HttpAnswer::with_body(304, Body::Full(Vec::new()))),
        over_http("the same list, at once", same_list()),
        over_http("another type", HttpAnswer::json(200, &other)),
        over_http("a list that cannot be decoded", HttpAnswer::json(200, &undecodable)),
        Bad {
            // Whoever drips is restarted: the rest of its answer is waited for otherwise.
            end: |plane| {
                plane.answer_every_http(None);
                plane.fault_proxy().cut();
            },
            ..over_http("a list that drips in", HttpAnswer::with_body(200, drip))
        },
    ]);
    bad
}

fn grpc_streams() -> Vec<Bad> {
    let over_grpc =
        |name: &str, begin: Box<dyn Fn(&ControlPlane) + Send + Sync>, end: fn(&ControlPlane)| Bad {
            name: format!("gRPC: {name}"),
            kuma: KumaVersion::V2_6,
            begin,
            end,
            told: None,
        };
    let garbled = |every| -> Box<dyn Fn(&ControlPlane) + Send + Sync> {
        Box::new(move |plane| {
            plane.fault_proxy().set_fault(Fault::Garble { every });
            plane.fault_proxy().cut();
        })
    };
    vec![
        over_grpc("garbled from the first byte", garbled(0), heal),
        over_grpc("garbled here and there", garbled(40), heal),
        over_grpc(
            "a list that must be rejected, again at once",
            Box::new(|plane| {
                let v1 = ApiVersion::V1;
                let bad = vec![Resource::undecodable(v1)];
                plane.publish_raw(v1, v1.type_url(), bad);
            }),
            heal,
        ),
        over_grpc(
            "a slow drip",
            Box::new(|plane| {
                let pause = Duration::from_millis(100);
                plane.fault_proxy().set_fault(Fault::Slow { bytes: 1, pause });
                plane.publish(&lists::list(1, TARGETS));
            }),
            heal,
        ),
    ]
}

fn heal(plane: &ControlPlane) {
    plane.fault_proxy().set_fault(Fault::None);
}

#[test]
fn bad_answers_of_every_kind_flood_nothing_and_pass() {
    let bad: Vec<Bad> = http_answers().into_iter().chain(grpc_streams()).collect();
    thread::scope(|scope| {
        scope.spawn(a_stream_that_is_closed_after_every_answer_passes);
        at_once(&bad, passes);
    });
}

fn a_stream_that_is_closed_after_every_answer_passes() {
    let (plane, daemon) = following(KumaVersion::V2_6);
    plane.set_answers(Answers::ThenClose(14));
    thread::scope(|scope| {
        let observer = scope.spawn(|| {
            // Three times both the end and the beginning are logged, and then nothing for a while.
            daemon.wait_for_log_count("closed after the answer", 3);
            assert_quiet("gRPC: closed after every answer", &daemon, BUSY);
        });
        // A resumed stream is answered when there is another version.
        while !observer.is_finished() {
            plane.publish(&lists::list(1, TARGETS));
            thread::sleep(Duration::from_millis(50));
        }
    });
    plane.set_answers(Answers::Faithful);
    plane.publish(&lists::list(2, TARGETS));
    daemon.wait_for_file_within(&lists::file(2, TARGETS), BACK_WITHIN);
}

fn passes(bad: &Bad) {
    let (plane, mut daemon) = following(bad.kuma);

    let before = requests(&plane);
    (bad.begin)(&plane);
    let fault = &bad.name;
    assert_quiet(fault, &daemon, BUSY);
    let asked = requests(&plane) - before;
    println!("{fault}: {asked} requests in {WHILE:?}");
    assert!(asked <= REQUESTS, "{fault}: {asked} requests in {WHILE:?}");
    assert_eq!(daemon.file(), Some(lists::file(1, TARGETS)), "{fault}");
    if let Some(told) = bad.told {
        let line = daemon.wait_for_trouble();
        assert!(line.contains(" WARN ] ") && line.contains(told), "{fault}: {line}");
        assert!(line.contains("the file stays as it is"), "{fault}: {line}");
    }

    (bad.end)(&plane);
    plane.publish(&lists::list(2, TARGETS));
    daemon.wait_for_file_within(&lists::file(2, TARGETS), BACK_WITHIN);
    assert!(daemon.is_running(), "{fault}");
}

fn requests(plane: &ControlPlane) -> usize {
    let is_request = |event: &&Event| matches!(event, Event::Request(_) | Event::Http { .. });
    plane.events().seen().iter().filter(is_request).count()
}
