//! MADS over HTTP, and the API server, as Kuma has them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::net::TcpStream;
use std::time::{Duration, Instant};

use kuma_stand_in::{
    ApiVersion, Body, ControlPlane, Dataplane, HttpAnswer, KumaVersion, Plan, Resource, Role,
    Server,
};
use serde_json::Value;
use support::{Http, SOON};

fn json(body: &str) -> Value {
    serde_json::from_str(body).unwrap()
}

#[test]
fn the_first_poll_is_answered_at_once_and_the_next_when_there_is_news() {
    let plane = ControlPlane::start(KumaVersion::V2_12);
    let mut http = Http::connect(plane.port());
    let first = http.poll("", "30s");
    assert_eq!(first.status, 200);
    let version = plane.version(ApiVersion::V1).unwrap();
    assert_eq!(
        json(&first.body),
        serde_json::json!({"version_info": version, "type_url": ApiVersion::V1.type_url()})
    );
    let seen = plane.events().expect_request(SOON);
    assert_eq!((seen.node_id.as_str(), seen.stream), ("test", 1));
    assert_eq!(seen.http.unwrap().header("host"), Some("x"));

    let started = Instant::now();
    assert_eq!(http.poll(&version, "50ms").status, 304);
    assert!(started.elapsed() >= Duration::from_millis(50));

    std::thread::scope(|scope| {
        let poll = scope.spawn(|| http.poll(&version, "30s"));
        plane.events().expect_request(SOON);
        plane.events().expect_request(SOON);
        plane.publish(&[Dataplane::new("backend", "b-1", "10.0.0.1:1").tag("env", "prod")]);
        let body = json(&poll.join().unwrap().body);
        assert_eq!(
            body["resources"],
            serde_json::json!([{
                "@type": ApiVersion::V1.type_url(),
                "mesh": "default",
                "service": "backend",
                "targets": [{
                    "name": "b-1",
                    "scheme": "http",
                    "address": "10.0.0.1:1",
                    "metrics_path": "/metrics",
                    "labels": {
                        "env": "prod",
                        "envs": ",prod,",
                        "kuma_io_service": "backend",
                        "kuma_io_services": ",backend,",
                    },
                }],
            }])
        );
    });
}

#[test]
fn requests_are_read_strictly() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let mut http = Http::connect(plane.port());
    let path = "/v3/discovery:monitoringassignments";
    for body in
        ["", "no json", r#"{"node":{"id":"a"},"more":1}"#, r#"{"node":{"id":"a","more":1}}"#]
    {
        let answer = http.post(path, body);
        assert_eq!(answer.status, 400, "{body}");
        assert_eq!(json(&answer.body)["title"], "Could not parse request body");
    }
    // Kuma 2.6 panics where there is no node.
    http.send(
        "POST /v3/discovery:monitoringassignments HTTP/1.1\r\n\
         Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
    )
    .unwrap();
    assert_eq!(http.rest().unwrap(), "");
    let mut http = Http::connect(plane.port());
    let good = r#"{"node":{"id":"a"}}"#;
    let answer = http.post(&format!("{path}?fetch-timeout=1d"), good);
    assert_eq!(answer.status, 400);
    assert_eq!(http.post(path, good).status, 200);
    plane.withdraw();
    assert_eq!(http.post(path, good).status, 500);
    for target in ["/config", "/catalog", "/", "/a/b/v3/discovery:monitoringassignments"] {
        assert_eq!(http.get(target, "").status, 404, "{target}");
    }
    assert_eq!(http.get(path, "").status, 405);
    plane.events().expect_http(Server::Mads, "/config", Duration::ZERO);
    plane.set_base_path("/a/b");
    plane.publish(&[]);
    assert_eq!(http.post(&format!("/a/b{path}"), good).status, 200);
    assert_eq!(http.post(path, good).status, 404);
}

#[test]
fn large_answers_are_whole() {
    let plane = ControlPlane::start(KumaVersion::V2_12);
    let many: Vec<Dataplane> = (0..5000)
        .map(|number| Dataplane::new("many", &format!("many-{number}"), "10.0.0.1:5670"))
        .collect();
    plane.publish(&many);
    let answer = Http::connect(plane.port()).poll("", "30s");
    assert!(answer.head.contains("Transfer-Encoding: chunked"));
    assert_eq!(json(&answer.body)["resources"].as_array().unwrap().len(), 5000);
}

#[test]
fn a_poll_that_its_client_leaves_is_given_up() {
    let plane = ControlPlane::start(KumaVersion::V2_12);
    let version = plane.version(ApiVersion::V1).unwrap();
    let mut http = Http::connect(plane.port());
    http.poll("", "30s");
    let body = format!(r#"{{"version_info":"{version}","node":{{"id":"test"}}}}"#);
    let length = body.len();
    http.send(&format!(
        "POST /v3/discovery:monitoringassignments HTTP/1.1\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    ))
    .unwrap();
    plane.events().expect_request(SOON);
    plane.events().expect_request(SOON);
    drop(http);
    let (_, first) = plane.events().expect_answer(SOON);
    assert!(first.starts_with("200"), "{first}");
    let (_, second) = plane.events().expect_answer(SOON);
    assert!(second.starts_with("nobody"), "{second}");
    plane
        .events()
        .wait_for("the end of the connection", SOON, || plane.fault_proxy().connections() == 0);
}

#[test]
fn a_test_can_answer_in_the_control_planes_place() {
    let plane = ControlPlane::start(KumaVersion::V2_12);
    let ask = || {
        let mut http = Http::connect(plane.port());
        http.send(
            "POST /v3/discovery:monitoringassignments HTTP/1.1\r\n\
             Content-Type: application/json\r\nContent-Length: 19\r\n\r\n\
             {\"node\":{\"id\":\"a\"}}",
        )
        .unwrap();
        http
    };
    let scripted = |answer| {
        plane.answer_http(answer);
        ask()
    };

    let page = HttpAnswer::new(200, "text/html", "<html>");
    assert_eq!(scripted(page).answer().body, "<html>");
    let moved = scripted(HttpAnswer::redirect(302, "http://elsewhere/")).answer();
    assert!(moved.head.contains("Location: http://elsewhere/"));

    let cut_off = Body::Truncated { sent: b"abc".to_vec(), promised: 10 };
    let rest = scripted(HttpAnswer::with_body(200, cut_off)).rest().unwrap();
    assert!(rest.ends_with("Content-Length: 10\r\n\r\nabc"), "{rest}");

    let slow = Body::Drip { bytes: b"slow".to_vec(), pause: Duration::from_millis(5) };
    assert_eq!(scripted(HttpAnswer::with_body(200, slow)).answer().body, "slow");

    let raw = HttpAnswer::Raw(b"garbage".to_vec());
    assert_eq!(scripted(raw).rest().unwrap(), "garbage");

    let endless = Body::Endless(b"again ".repeat(1000));
    let mut http = scripted(HttpAnswer::with_body(200, endless));
    for _ in 0..100 {
        http.read_exactly(100_000);
    }
    drop(http);

    plane.events().discard();
    let mut silent = scripted(HttpAnswer::Silence);
    plane.events().expect_answer(SOON);
    plane.fault_proxy().cut();
    assert_eq!(silent.rest().unwrap_or_default(), "");

    let busy = HttpAnswer::error(503, "busy", "for a while");
    plane.answer_every_http(Some(busy));
    for _ in 0..3 {
        assert_eq!(ask().answer().status, 503);
    }
    plane.answer_every_http(None);

    plane.publish_resources(vec![Resource::undecodable(ApiVersion::V1)]);
    assert_eq!(json(&ask().answer().body)["resources"][0]["targets"], "none");
}

#[test]
fn what_is_not_meant_for_a_port_is_answered_as_its_version_does() {
    let handshake = "\x16\x03\x01\x00\x02ab\n";
    let plane = ControlPlane::start(KumaVersion::V0_7);
    for bytes in ["POST / HTTP/1.1\r\n\r\n", handshake] {
        let mut http = Http::connect(plane.port());
        http.send(bytes).unwrap();
        let settings = http.rest().unwrap();
        assert!(settings.starts_with("\0\0\x0c\x04\0"), "{settings:?}");
    }
    plane.upgrade_to(KumaVersion::V1_2);
    let mut http = Http::connect(plane.port());
    http.send(handshake).unwrap();
    let error = http.rest().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);

    plane.upgrade_to(KumaVersion::V2_6);
    let mut http = Http::connect(plane.port());
    http.send(handshake).unwrap();
    assert_eq!(http.answer().status, 400);
}

#[test]
fn documents_are_given_to_those_who_accept_them() {
    let only = "Accept: application/json\r\n";
    let rather = "Accept: application/json, */*;q=0.1\r\n";
    let page = "Accept: text/html\r\n";
    let cases = [
        (KumaVersion::V0_7, "/catalog", [200, 406, 200, 406]),
        (KumaVersion::V0_7, "/config", [200, 406, 200, 406]),
        (KumaVersion::V0_7, "/", [200, 200, 200, 406]),
        (KumaVersion::V1_8, "/config", [200, 406, 200, 406]),
        (KumaVersion::V1_8, "/catalog", [404, 404, 404, 404]),
        (KumaVersion::V2_6, "/config", [200, 200, 200, 406]),
        (KumaVersion::V2_12, "/config", [200, 200, 200, 406]),
    ];
    for (kuma, path, statuses) in cases {
        let plane = ControlPlane::start(kuma);
        let mut api = Http::connect(plane.api().address().port());
        let seen = ["", only, rather, page].map(|accept| api.get(path, accept).status);
        assert_eq!(seen, statuses, "{kuma} {path}");
        assert_eq!(api.post("/config", "{}").status, 405);
    }
}

#[test]
fn a_control_plane_without_mads_says_what_it_is() {
    let roles = [
        (Role::Zone, "universal", "zone"),
        (Role::ZoneOnKubernetes, "kubernetes", "zone"),
        (Role::Global, "universal", "global"),
    ];
    for (role, environment, mode) in roles {
        let plan = Plan { role, ..Plan::new(KumaVersion::V2_12) };
        let plane = plan.start().unwrap();
        let mut api = Http::connect(plane.api().address().port());
        let config = json(&api.get("/config", "").body);
        assert_eq!(config["environment"], environment);
        assert_eq!(config["mode"], mode);
        assert_eq!(config["monitoringAssignmentServer"]["port"], plane.port());
        for _ in 0..2 {
            let mads = TcpStream::connect(("127.0.0.1", plane.port()));
            assert_eq!(mads.is_ok(), role == Role::Zone, "{role:?}");
            plane.go_away();
            plane.come_back().unwrap();
        }
    }
}

#[test]
fn the_api_server_names_the_endpoint_of_mads() {
    let plane = ControlPlane::start(KumaVersion::V0_7);
    let port = plane.port();
    let mut api = Http::connect(plane.api().address().port());
    let catalog = json(&api.get("/catalog", "").body);
    assert_eq!(catalog["apis"]["monitoringAssignment"]["url"], format!("grpc://localhost:{port}"));
    let config =
        |api: &mut Http| json(&api.get("/config", "").body)["monitoringAssignmentServer"].clone();
    assert_eq!(config(&mut api)["grpcPort"], port);
    plane.upgrade_to(KumaVersion::V1_2);
    assert_eq!(api.get("/catalog", "").status, 404);
    assert_eq!(config(&mut api)["grpcPort"], 0);
    assert_eq!(config(&mut api)["port"], port);
    plane.upgrade_to(KumaVersion::V2_14);
    assert_eq!(config(&mut api)["enabled"], true);
    assert_eq!(config(&mut api)["tlsEnabled"], false);
    let poll = api.post("/v3/discovery:monitoringassignments", "{}");
    assert_eq!(poll.status, 404);

    plane.api().require_token(Some("secret"));
    assert_eq!(api.get("/config", "").status, 403);
    assert_eq!(api.get("/config", "Authorization: Bearer no\r\n").status, 401);
    plane.events().discard();
    let allowed = api.get("/config", "Authorization: Bearer secret\r\n");
    assert_eq!(allowed.status, 200);
    let seen = plane.events().expect_http(Server::Api, "/config", SOON);
    assert_eq!(seen.header("authorization"), Some("Bearer secret"));
    plane.api().require_token(None);
    plane.api().set("/config", HttpAnswer::new(500, "text/plain", "oops"));
    assert_eq!(api.get("/config", "").body, "oops");
}

#[test]
fn a_control_plane_that_goes_away_refuses_and_comes_back_on_its_ports() {
    let plane = ControlPlane::start(KumaVersion::V2_12);
    let ports = [plane.port(), plane.api().address().port()];
    let version = plane.version(ApiVersion::V1);
    for _ in 0..3 {
        let mut open = ports.map(Http::connect);
        plane.go_away();
        for port in ports {
            assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
        }
        for http in &mut open {
            assert!(!http.rest().is_ok_and(|rest| !rest.is_empty()));
        }
        plane.come_back().unwrap();
        assert_eq!(Http::connect(ports[0]).poll("", "1s").status, 200);
        assert_eq!(Http::connect(ports[1]).get("/", "").status, 200);
    }
    assert_ne!(plane.version(ApiVersion::V1), version);
}
