//! Text from the network that would move a terminal's cursor or forge lines of the log: over HTTP,
//! from the API server, in every place where there is text. What comes over gRPC is in
//! `process/logging.rs`.

use kuma_stand_in::{Answers, ApiVersion, ControlPlane, HttpAnswer, KumaVersion};
use serde_json::json;

use crate::support::following::at_once;
use crate::support::harness::{Daemon, Launch, SOON};

const EVIL: &str = "evil\u{1b}[2J\u{7}\n[2000-01-01T00:00:00.000Z ERROR] forged\r\u{9b}31m\u{202e}";

#[track_caller]
fn assert_harmless(daemon: Daemon) {
    let log = daemon.terminate().stderr;
    assert!(log.contains("evil"), "{log}");
    let is_harmless = |character: char| character == '\n' || !character.is_control();
    let bad: Vec<_> = log
        .lines()
        .filter(|line| !line.chars().all(is_harmless) || line.starts_with("[2000"))
        .collect();
    assert!(bad.is_empty(), "{bad:#?}");
}

/// Answers of a discovery service.
fn answers() -> Vec<HttpAnswer> {
    let type_url = ApiVersion::V1.type_url();
    let location = b"HTTP/1.1 302 Found\r\nLocation: http://evil\x1b[2J\x07\x9b31m\r\n\
        Content-Length: 0\r\n\r\n";
    let reason = b"HTTP/1.1 500 evil\x1b[2J\r\nContent-Length: 4\r\n\r\nevil";
    let homeless = json!({
        "version_info": EVIL, "type_url": type_url,
        "resources": [{
            "@type": type_url, "mesh": EVIL, "service": EVIL,
            "targets": [{"name": EVIL, "scheme": EVIL, "metrics_path": EVIL}],
        }],
    });
    let unknown = json!({
        "version_info": EVIL, "type_url": type_url, "resources": [{"@type": EVIL}],
    });
    vec![
        HttpAnswer::error(500, EVIL, EVIL),
        HttpAnswer::new(503, "text/plain", EVIL),
        HttpAnswer::new(200, EVIL.lines().next().unwrap_or_default(), "evil\u{1b}"),
        HttpAnswer::json(200, &json!({"version_info": EVIL, "type_url": EVIL})),
        HttpAnswer::json(200, &unknown),
        HttpAnswer::json(200, &homeless),
        HttpAnswer::json(200, &json!({"version_info": {EVIL: 1}, "evil": EVIL})),
        HttpAnswer::Raw(location.to_vec()),
        HttpAnswer::Raw(reason.to_vec()),
        HttpAnswer::Raw(EVIL.as_bytes().to_vec()),
    ]
}

#[test]
fn over_http_it_reaches_no_terminal_as_it_is() {
    at_once(answers(), |answer| {
        let plane = ControlPlane::start(KumaVersion::V2_12);
        plane.set_answers(Answers::Scripted);
        plane.answer_http(answer);
        let daemon = Launch::follow(&plane.http_url())
            .arguments(["--name=evil", "--log-level=trace"])
            .start();
        // The one that was answered, and the one after it.
        plane.events().expect_request(SOON);
        plane.events().expect_request(SOON);
        assert_harmless(daemon);
    });
}

#[test]
fn from_the_api_server_it_reaches_no_terminal_as_it_is() {
    let documents = [
        ("/catalog", json!({"apis": {"monitoringAssignment": {"url": EVIL}}})),
        (
            "/catalog",
            json!({"apis": {"monitoringAssignment": {"url": format!("grpc://{EVIL}:5676")}}}),
        ),
        ("/config", json!({"monitoringAssignmentServer": {"port": EVIL}})),
        ("/config", json!({"monitoringAssignmentServer": EVIL})),
        (
            "/config",
            json!({"monitoringAssignmentServer": {"port": 5676, "apiVersions": [EVIL]}, EVIL: 1}),
        ),
    ];
    at_once(documents, |(path, document)| {
        let plane = ControlPlane::start(KumaVersion::V2_12);
        plane.api().set(path, HttpAnswer::json(200, &document));
        let daemon = Launch::follow(&plane.api_url())
            .arguments(["--name=evil", "--log-level=trace"])
            .start();
        daemon.wait_for_log("next attempt in");
        assert_harmless(daemon);
    });
}
