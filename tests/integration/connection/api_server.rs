//! The API server that says where MADS is, or does not: what it is asked, and what becomes of each
//! answer.

use kuma_stand_in::{Body, ControlPlane, Dataplane, HttpAnswer, KumaVersion};
use serde_json::json;

use crate::support::check::{check, failed, passed};
use crate::support::following::at_once;
use crate::support::foreign_servers::ForeignServer;
use crate::support::harness::{Launch, SOON};
use crate::support::mesh::{EMPTY, backend};
use crate::support::observe::asked;

/// Answers that do not show where MADS is, the path they answer, and what is logged: one for each way in
/// which an answer reaches `mads::endpoint`, which `unit::endpoint::answers` shows more of.
fn useless_answers(elsewhere: &str) -> Vec<(&'static str, HttpAnswer, String)> {
    let catalog = json!({"apis": {"monitoringAssignment": {"url": "localhost:5676"}}});
    let disabled = json!({"monitoringAssignmentServer": {"enabled": false, "port": 1}});
    let not_utf8 = b"{\"a\":\"\xff\xfe\"".to_vec();
    let cut =
        Body::Truncated { sent: b"{\"monitoringAssignmentServer\":".to_vec(), promised: 1000 };
    let begun = Body::Drip { bytes: b"{}".to_vec(), pause: SOON * 10 };
    let mut answers = vec![
        (
            "/catalog",
            HttpAnswer::json(200, &catalog),
            "the URL of MADS cannot be used: \"localhost:5676\"".to_owned(),
        ),
        (
            "/config",
            HttpAnswer::json(200, &disabled),
            "the control plane has MADS disabled; set monitoringAssignmentServer.enabled there"
                .to_owned(),
        ),
    ];
    let config = |answer, text: &str| ("/config", answer, text.to_owned());
    answers.extend([
        config(HttpAnswer::new(200, "application/json", not_utf8), ""),
        config(HttpAnswer::with_body(200, cut), ""),
        config(HttpAnswer::Silence, "no answer in time"),
        config(HttpAnswer::with_body(200, begun), "no answer in time"),
    ]);
    for path in ["/catalog", "/config"] {
        let busy = HttpAnswer::error(503, "Not", "now");
        answers.push((path, busy, "status 503".to_owned()));
        let target = format!("{elsewhere}{path}");
        let text = format!("redirected to {target:?}, which is not followed; give that address");
        answers.push((path, HttpAnswer::redirect(302, &target), text));
    }
    answers
}

#[test]
fn an_answer_without_an_endpoint_is_reported_and_asked_for_again() {
    let elsewhere = ControlPlane::start(KumaVersion::V2_6);
    at_once(useless_answers(&elsewhere.api_url()), |(path, answer, text)| {
        let plane = ControlPlane::start(KumaVersion::V2_6);
        plane.api().set(path, answer);
        let daemon = Launch::follow(&plane.api_url()).start();
        let line = daemon.wait_for_trouble();
        let text = format!("GET {}{path}: {text}", plane.api_url());
        assert!(line.contains(&text), "{text:?}: {line}");
        assert_eq!(daemon.file(), None);
        // As the API server of a Kuma answers.
        plane.upgrade_to(KumaVersion::V2_6);
        daemon.wait_for_file(EMPTY);
    });
    assert_eq!(elsewhere.events().seen().len(), 0, "{:?}", elsewhere.events());
}

#[test]
fn an_api_server_below_a_path_is_asked_there() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let config = json!({"monitoringAssignmentServer": {"port": plane.port()}});
    plane.api().set("/kuma/cp/config", HttpAnswer::json(200, &config));
    let daemon = Launch::follow(&format!("{}/kuma/cp/", plane.api_url())).start();
    daemon.wait_for_log("as /config of the API server says");
    let paths: Vec<_> = asked(&plane).into_iter().map(|(_, request)| request.target).collect();
    assert_eq!(paths, ["/kuma/cp/catalog", "/kuma/cp/config"]);
}

#[test]
fn what_is_guessed_is_given_up_when_the_api_server_tells() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    plane.api().require_token(Some("open-sesame"));
    let mut daemon = Launch::follow(&plane.api_url()).start();
    daemon.wait_for_log("taken to be at its usual port");
    plane.api().require_token(None);
    // Somebody may listen at the usual port of MADS, and hold it.
    daemon.signal("HUP");
    daemon.wait_for_log(&format!("connected to MADS at 127.0.0.1:{}", plane.port()));
    assert_eq!(daemon.lines_with("taken to be at its usual port"), 1);
}

#[test]
fn a_server_that_hangs_up_on_http_is_taken_for_one_that_knows_grpc_only() {
    let plane = ControlPlane::start(KumaVersion::V0_7);
    let daemon = Launch::follow(&format!("http://127.0.0.1:{}", plane.port())).start();
    daemon.wait_for_log("/catalog: no HTTP is spoken there");
    daemon.wait_for_log("over gRPC v1alpha1");
    daemon.wait_for_file(EMPTY);
    assert_eq!(daemon.lines_with("next attempt"), 0);
}

#[test]
fn an_ingress_that_forwards_only_discovery_is_followed() {
    let plane = ControlPlane::start(KumaVersion::V2_12);
    plane.set_base_path("/kuma");
    // As of a page to log in; other answers are in `unit::endpoint::answers`.
    let answer = b"HTTP/1.1 302 Found\r\nLocation: https://login\r\nContent-Length: 0\r\n\r\n";
    let ingress = ForeignServer::ingress(plane.port(), answer);
    let daemon = Launch::follow(&format!("http://127.0.0.1:{}/kuma", ingress.port())).start();
    daemon.wait_for_file(EMPTY);
}

#[test]
fn a_global_control_plane_is_named_where_mads_is_not_reached() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let config = |port: u16| {
        let section = json!({"port": port});
        let config = json!({"mode": "global", "monitoringAssignmentServer": section});
        plane.api().set("/config", HttpAnswer::json(200, &config));
    };
    let nobody = ForeignServer::that_hangs_up();
    config(nobody.port());
    drop(nobody);
    let launch = Launch::follow(&plane.api_url());
    let daemon = launch.start();
    let line = daemon.wait_for_trouble();
    let text = "; this is a global control plane, which serves no MADS; give the address of a zone's \
                control plane as --cp-address; ";
    assert!(line.contains(text), "{line}");
    let told = failed(&check(&plane.api_url()));
    assert!(told.contains("this is a global control plane"), "{told}");

    config(plane.port());
    daemon.wait_for_file(EMPTY);
}

#[test]
fn targets_without_a_service_are_counted_by_the_daemon_and_by_check() {
    let plane = ControlPlane::serving(
        KumaVersion::V2_12,
        &[backend(0), Dataplane::new("unknown", "dp-1", "10.0.0.9:5670")],
    );
    let text = "1 of 2 targets with the service `unknown`; label their Dataplanes with \
                kuma.io/workload";
    let daemon = Launch::follow(&plane.api_url()).start();
    daemon.wait_for_log(&format!("WARN ] {text}"));
    let told = passed(&check(&plane.api_url()));
    assert!(told.contains(text), "{told}");
}
