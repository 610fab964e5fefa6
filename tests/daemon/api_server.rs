//! The API server that says where MADS is, or does not: what it is asked, and what becomes of each
//! answer.

use kuma_stand_in::{
    Authority, Body, ControlPlane, Dataplane, Event, HttpAnswer, HttpRequest, Kuma, Server,
};
use serde_json::{Value, json};

use crate::check::{check, failed, passed};
use crate::harness::{Launch, SOON, localhost_is_known};
use crate::mesh::{EMPTY, backend};
use crate::secure::{api_url, plane as secure_plane, server_of, trusting};
use crate::strangers::{Stranger, at_once};

/// `/config` of a control plane, with its port of MADS in a section of this content.
fn set_config(plane: &ControlPlane, section: &Value) {
    let config = json!({"monitoringAssignmentServer": section});
    plane.api().set("/config", HttpAnswer::json(200, &config));
}

/// What each server was asked, apart from discovery.
pub(crate) fn asked(plane: &ControlPlane) -> Vec<(Server, HttpRequest)> {
    let request = |event| match event {
        Event::Http {
            server, request, ..
        } => Some((server, request)),
        _ => None,
    };
    plane
        .events()
        .seen()
        .into_iter()
        .filter_map(request)
        .collect()
}

#[test]
fn the_port_is_that_of_either_field_and_0_is_none() {
    let plane = ControlPlane::start(Kuma::V2_6);
    let port = plane.port();
    let cases = [
        json!({"port": port}),
        json!({"grpcPort": port}),
        json!({"port": 0, "grpcPort": port}),
        json!({"port": port, "grpcPort": 1}),
        json!({"port": port, "grpcPort": 0, "enabled": true, "tlsEnabled": false}),
        json!({"port": port, "enabled": null, "tlsEnabled": null, "grpcPort": null}),
        json!({"port": port, "tlsCertFile": "/x", "aNewerField": {"port": 1}}),
    ];
    for section in cases {
        set_config(&plane, &section);
        let daemon = Launch::follow(&plane.api_url()).start();
        let line = daemon.wait_for_log("connected to MADS");
        let text = format!("127.0.0.1:{port} over gRPC v1, as /config of the API server says");
        assert!(line.contains(&text), "{section}: {line}");
    }
}

#[test]
fn a_port_that_is_none_is_told() {
    let plane = ControlPlane::start(Kuma::V2_6);
    for section in [
        json!({}),
        json!({"port": 0}),
        json!({"port": 0, "grpcPort": 0}),
    ] {
        set_config(&plane, &section);
        let line = Launch::follow(&plane.api_url()).start().wait_for_trouble();
        assert!(
            line.contains("monitoringAssignmentServer has no port"),
            "{line}"
        );
    }
    for section in [
        json!({"port": 70000}),
        json!({"port": "x"}),
        json!({"port": -1}),
    ] {
        set_config(&plane, &section);
        let line = Launch::follow(&plane.api_url()).start().wait_for_trouble();
        assert!(
            line.contains("/config: not the JSON of a Kuma control plane"),
            "{line}"
        );
    }
}

#[test]
fn a_catalog_that_says_nothing_leads_to_config() {
    let answers = [
        HttpAnswer::json(200, &json!({})),
        HttpAnswer::json(200, &json!({"apis": {}})),
        HttpAnswer::json(200, &json!({"apis": {"monitoringAssignment": {"url": ""}}})),
        HttpAnswer::new(200, "text/html", "<html>The interface</html>"),
        HttpAnswer::error(401, "Who", "are you"),
        HttpAnswer::error(405, "Not", "like this"),
    ];
    for answer in answers {
        let plane = ControlPlane::start(Kuma::V2_6);
        plane.api().set("/catalog", answer.clone());
        let daemon = Launch::follow(&plane.api_url()).start();
        daemon.wait_for_log("as /config of the API server says");
        daemon.wait_for_file(EMPTY);
    }
}

#[test]
fn a_catalog_that_names_another_host_is_followed_there() {
    if !localhost_is_known() {
        return;
    }
    let mads = ControlPlane::start(Kuma::V0_7);
    let plane = ControlPlane::start(Kuma::V0_7);
    // The host of the API server is a name here, and that of MADS is another's.
    let api = format!("http://localhost:{}", plane.api().address().port());
    let url = format!("grpc://127.0.0.1.nip.invalid:{}", mads.port());
    let catalog = json!({"apis": {"monitoringAssignment": {"url": url}}});
    plane.api().set("/catalog", HttpAnswer::json(200, &catalog));
    let daemon = Launch::follow(&api).start();
    let host = "127.0.0.1.nip.invalid:";
    daemon.wait_for_log(&format!("asking for MADS at {host}{}", mads.port()));
}

#[test]
fn a_catalog_with_an_address_that_is_none_is_told() {
    let plane = ControlPlane::start(Kuma::V0_7);
    let catalog = json!({"apis": {"monitoringAssignment": {"url": "localhost:5676"}}});
    plane.api().set("/catalog", HttpAnswer::json(200, &catalog));
    let line = Launch::follow(&plane.api_url()).start().wait_for_trouble();
    let text = "/catalog: the URL of MADS cannot be used: \"localhost:5676\"";
    assert!(line.contains(text), "{line}");
}

#[test]
fn an_api_server_below_a_path_is_asked_there() {
    let plane = ControlPlane::start(Kuma::V2_6);
    let config = json!({"monitoringAssignmentServer": {"port": plane.port()}});
    plane
        .api()
        .set("/kuma/cp/config", HttpAnswer::json(200, &config));
    let daemon = Launch::follow(&format!("{}/kuma/cp/", plane.api_url())).start();
    daemon.wait_for_log("as /config of the API server says");
    let paths: Vec<_> = asked(&plane)
        .into_iter()
        .map(|(_, request)| request.target)
        .collect();
    assert_eq!(paths, ["/kuma/cp/catalog", "/kuma/cp/config"]);
}

#[test]
fn an_api_server_that_refuses_leads_to_the_usual_port_and_is_told_of() {
    for (status, answer) in [
        (
            401,
            HttpAnswer::error(401, "Invalid authentication data", "no such token"),
        ),
        (
            403,
            HttpAnswer::error(403, "Access Denied", "user \"anonymous\" cannot access"),
        ),
    ] {
        let plane = ControlPlane::start(Kuma::V2_6);
        plane.api().set("/config", answer);
        let daemon = Launch::follow(&plane.api_url()).start();
        let line = daemon.wait_for_log("WARN ");
        let text = format!(
            "the API server refuses /config with status {status}, so MADS is taken to be at its \
             usual port; give --cp-address=grpc://127.0.0.1:5676 instead"
        );
        assert!(line.contains(&text), "{line}");
        daemon.wait_for_log("asking for MADS at 127.0.0.1:5676 over gRPC v1");
    }
}

#[test]
fn an_api_server_that_keeps_mads_to_itself_leads_to_the_usual_port() {
    let documents = [
        json!({"environment": "universal", "mode": "global"}),
        json!({"monitoringAssignmentServer": null}),
        json!({}),
    ];
    for document in documents {
        let plane = ControlPlane::start(Kuma::V2_6);
        plane.api().set("/config", HttpAnswer::json(200, &document));
        let daemon = Launch::follow(&plane.api_url()).start();
        let line = daemon.wait_for_log("WARN ");
        let text = "/config does not say where MADS is, so MADS is taken to be at its usual port; \
                    give --cp-address=grpc://127.0.0.1:5676 instead";
        assert!(line.contains(text), "{line}");
        daemon.wait_for_log("asking for MADS at 127.0.0.1:5676 over gRPC v1");
    }
}

#[test]
fn the_usual_port_of_a_refusing_https_server_is_asked_over_tls() {
    let authority = Authority::new("the authority");
    let plane = secure_plane(&server_of(&authority));
    plane.api().require_token(Some("open-sesame"));
    let daemon = trusting(&authority, &api_url(&plane)).start();
    let line = daemon.wait_for_log("WARN ");
    assert!(
        line.contains("give --cp-address=grpcs://127.0.0.1:5676 instead"),
        "{line}"
    );
    daemon.wait_for_log("asking for MADS at 127.0.0.1:5676 over HTTP v1");
}

#[test]
fn what_is_guessed_is_given_up_when_the_api_server_tells() {
    let plane = ControlPlane::start(Kuma::V2_6);
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
fn a_redirect_is_told_and_not_followed() {
    let other = ControlPlane::start(Kuma::V2_6);
    for path in ["/catalog", "/config"] {
        for status in [301, 302, 303, 307, 308] {
            let plane = ControlPlane::start(Kuma::V2_6);
            let target = format!("{}{path}", other.api_url());
            plane.api().set(path, HttpAnswer::redirect(status, &target));
            let daemon = Launch::follow(&plane.api_url()).start();
            let line = daemon.wait_for_trouble();
            let text = format!(
                "{path}: redirected to {target:?}, which is not followed; give that address as \
                 --cp-address"
            );
            assert!(line.contains(&text), "{status}: {line}");
        }
    }
    assert_eq!(other.events().seen().len(), 0, "{:?}", other.events());
}

#[test]
fn a_server_that_is_busy_or_broken_is_asked_again() {
    let statuses = [408, 429, 500, 502, 503].into_iter();
    let cases = statuses.flat_map(|status| [(status, "/catalog"), (status, "/config")]);
    at_once(cases, |(status, path)| {
        let plane = ControlPlane::start(Kuma::V2_6);
        let answer = HttpAnswer::error(status, "Not", "now");
        plane.api().set(path, answer);
        let daemon = Launch::follow(&plane.api_url()).start();
        let line = daemon.wait_for_trouble();
        assert!(line.contains(&format!("{path}: status {status}")), "{line}");
        plane.upgrade_to(Kuma::V2_6);
        daemon.wait_for_file(EMPTY);
    });
}

#[test]
fn an_answer_that_is_cut_is_told_and_asked_for_again() {
    let answers = [
        HttpAnswer::with_body(
            200,
            Body::Truncated {
                sent: b"{\"monitoringAssignmentServer\":".to_vec(),
                promised: 1000,
            },
        ),
        HttpAnswer::new(
            200,
            "application/json",
            "{\"monitoringAssignmentServer\":{\"port\":",
        ),
        HttpAnswer::new(200, "application/json", b"{\"a\":\"\xff\xfe\"".to_vec()),
    ];
    for answer in answers {
        let plane = ControlPlane::start(Kuma::V2_6);
        plane.api().set("/config", answer);
        let daemon = Launch::follow(&plane.api_url()).start();
        let line = daemon.wait_for_trouble();
        assert!(line.contains("/config: "), "{line}");
        plane.upgrade_to(Kuma::V2_6);
        daemon.wait_for_file(EMPTY);
    }
}

#[test]
fn mads_that_is_disabled_is_told_and_waited_for() {
    let plane = ControlPlane::start(Kuma::V2_14);
    set_config(&plane, &json!({"enabled": false, "port": plane.port()}));
    let daemon = Launch::follow(&plane.api_url()).start();
    let line = daemon.wait_for_trouble();
    let text = "the control plane has MADS disabled; set monitoringAssignmentServer.enabled there";
    assert!(line.contains(text), "{line}");
    daemon.wait_for_log_count(text, 2);
    set_config(&plane, &json!({"enabled": true, "port": plane.port()}));
    daemon.wait_for_file(EMPTY);
}

#[test]
fn a_server_that_hangs_up_on_http_is_taken_for_one_that_knows_grpc_only() {
    let plane = ControlPlane::start(Kuma::V0_7);
    let daemon = Launch::follow(&format!("http://127.0.0.1:{}", plane.port())).start();
    daemon.wait_for_log("/catalog: no HTTP is spoken there");
    daemon.wait_for_log("over gRPC v1alpha1");
    daemon.wait_for_file(EMPTY);
    assert_eq!(daemon.lines_with("next attempt"), 0);
}

#[test]
fn a_silent_server_is_given_up_after_10_seconds_and_asked_again() {
    let begun = Body::Drip {
        bytes: b"{}".to_vec(),
        pause: SOON * 10,
    };
    let answers = [HttpAnswer::Silence, HttpAnswer::with_body(200, begun)];
    at_once(answers, |answer| {
        let plane = ControlPlane::start(Kuma::V2_6);
        plane.api().set("/config", answer);
        let daemon = Launch::follow(&plane.api_url()).start();
        let line = daemon.wait_for_trouble();
        assert!(line.contains("/config: no answer in time"), "{line}");
        plane.upgrade_to(Kuma::V2_6);
        daemon.wait_for_file(EMPTY);
    });
}

#[test]
fn what_is_not_there_is_told_by_its_address() {
    let stranger = Stranger::that_hangs_up();
    let address = format!("127.0.0.1:{}", stranger.port());
    drop(stranger);
    for scheme in ["http", "https", "grpc", "grpcs"] {
        let daemon = Launch::follow(&format!("{scheme}://{address}")).start();
        let line = daemon.wait_for_trouble();
        assert!(line.contains(&address), "{scheme}: {line}");
        assert!(line.to_lowercase().contains("refused"), "{scheme}: {line}");
        assert_eq!(daemon.lines_with("TLS"), 0, "{}", daemon.log());
    }
}

#[test]
fn a_name_that_nobody_resolves_is_told() {
    for scheme in ["http", "https", "grpc", "grpcs"] {
        let daemon = Launch::follow(&format!("{scheme}://cp.invalid")).start();
        let line = daemon.wait_for_trouble();
        assert!(line.contains("cp.invalid"), "{scheme}: {line}");
        // Where the resolver itself is far away, the limit in time may come first.
        let texts = [
            "resol",
            "lookup",
            "no answer in time",
            "did not become ready",
        ];
        let is_told = texts.iter().any(|text| line.contains(text));
        assert!(is_told, "{scheme}: {line}");
    }
}

#[test]
fn polls_need_no_question_to_the_api_server() {
    let plane = ControlPlane::start(Kuma::V2_12);
    let daemon = Launch::follow(&plane.api_url()).start();
    daemon.wait_for_file(EMPTY);
    plane.events().expect_http(Server::Api, "/config", SOON);
    plane.events().expect_request(SOON);
    plane.events().expect_request(SOON);
    assert_eq!(
        asked(&plane).len(),
        2,
        "polls need no question to the API server"
    );
}

#[test]
fn a_status_that_says_nothing_about_where_mads_is_is_told_with_its_question() {
    let plane = ControlPlane::start(Kuma::V2_6);
    for status in [400, 406] {
        plane
            .api()
            .set("/config", HttpAnswer::new(status, "text/plain", "no"));
        let daemon = Launch::follow(&plane.api_url()).start();
        let line = daemon.wait_for_trouble();
        let text = format!("GET {}/config: status {status};", plane.api_url());
        assert!(line.contains(&text), "{line}");
    }
}

#[test]
fn an_ingress_that_forwards_only_discovery_is_followed_below_its_base_path() {
    let plane = ControlPlane::start(Kuma::V2_12);
    plane.set_base_path("/kuma");
    let answers: [&[u8]; 4] = [
        b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: https://login\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n<html></html>",
    ];
    let server = plane.port();
    at_once(answers, |answer| {
        let ingress = Stranger::ingress(server, answer);
        let daemon = Launch::follow(&format!("http://127.0.0.1:{}/kuma", ingress.port())).start();
        daemon.wait_for_file(EMPTY);
    });
}

#[test]
fn a_global_control_plane_is_named_where_mads_is_not_reached_and_is_followed_where_it_is() {
    let plane = ControlPlane::start(Kuma::V2_6);
    let config = |port: u16| {
        let section = json!({"port": port});
        let config = json!({"mode": "global", "monitoringAssignmentServer": section});
        plane.api().set("/config", HttpAnswer::json(200, &config));
    };
    let nobody = Stranger::that_hangs_up();
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
    let plane = ControlPlane::start(Kuma::V2_12);
    plane.publish(&[
        backend(0),
        Dataplane::new("unknown", "dp-1", "10.0.0.9:5670"),
    ]);
    let text = "1 of 2 targets have the service `unknown`; label their Dataplanes with \
                kuma.io/workload";
    let daemon = Launch::follow(&plane.api_url()).start();
    daemon.wait_for_log(&format!("WARN ] {text}"));
    let told = passed(&check(&plane.api_url()));
    assert!(told.contains(text), "{told}");
}
