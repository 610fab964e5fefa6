//! What is served at each path, and what is refused.

use std::io::Read;

use flate2::read::GzDecoder;
use kuma_stand_in::{ControlPlane, KumaVersion};

use crate::support::harness::{Launch, NOTHING_THERE, SOON, wait_until};
use crate::support::listener::{LISTEN, address_of, ask, connect, get};
use crate::support::mesh::{backends, file_v1};

const TEXT: &str = "text/plain; charset=utf-8";

#[test]
fn each_path_has_its_content_and_nothing_else_is_served() {
    let plane = ControlPlane::serving(KumaVersion::V2_6, &backends(2));
    let daemon = Launch::follow(&plane.grpc_url()).argument(LISTEN).start();
    let file = file_v1(&backends(2));
    daemon.wait_for_file(&file);
    let address = address_of(&daemon);
    assert!(wait_until(SOON, || get(address, "/-/ready").status == 200));
    let rows = [
        ("/", 200, "text/html; charset=utf-8"),
        ("/page.css", 200, "text/css; charset=utf-8"),
        ("/page.js", 200, "text/javascript; charset=utf-8"),
        ("/metrics", 200, "text/plain; version=0.0.4; charset=utf-8"),
        ("/targets", 200, "application/json"),
        ("/-/healthy", 200, TEXT),
        ("/-/ready", 200, TEXT),
        ("/nothing", 404, TEXT),
        ("/metrics/", 404, TEXT),
        ("//targets", 404, TEXT),
        ("/../etc/passwd", 404, TEXT),
    ];
    for (path, status, content_type) in rows {
        let answer = get(address, path);
        assert_eq!(answer.status, status, "{path}");
        for line in [
            format!("content-type: {content_type}").as_str(),
            "cache-control: no-store",
            "x-content-type-options: nosniff",
            "x-frame-options: deny",
            "connection: close",
        ] {
            assert!(answer.has(line), "{path}: no {line} in {}", answer.head);
        }
        let policy =
            "content-security-policy: default-src 'none'; style-src 'self'; script-src 'self'; ";
        assert!(answer.head.contains(policy), "{path}: {}", answer.head);
        assert!(answer.has(&format!("content-length: {}", answer.body.len())), "{path}");
        assert!(!answer.body.is_empty(), "{path}");
    }
    assert_eq!(get(address, "/targets").text(), file);
}

#[test]
fn a_list_is_compressed_for_whoever_asks_for_it() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let daemon = Launch::follow(&plane.grpc_url()).argument(LISTEN).start();
    let address = address_of(&daemon);
    let compressed = || {
        let answer =
            ask(connect(address), "GET /targets HTTP/1.1\r\nAccept-Encoding: gzip\r\n\r\n");
        if answer.status != 200 {
            return None;
        }
        assert!(answer.has("content-encoding: gzip"), "{}", answer.head);
        let mut text = String::new();
        GzDecoder::new(answer.body.as_slice()).read_to_string(&mut text).unwrap();
        Some(text)
    };
    // The second list is not the first one, compressed.
    for count in [100, 101] {
        plane.publish(&backends(count));
        let expected = file_v1(&backends(count));
        assert!(wait_until(SOON, || compressed().as_ref() == Some(&expected)), "{count}");
        assert_eq!(compressed(), Some(expected), "from what was kept");
    }
}

#[test]
fn before_the_first_list_there_is_none_rather_than_an_empty_one_or_the_file_s() {
    let launch = Launch::follow(NOTHING_THERE).argument(LISTEN);
    launch.put("kuma.file_sd.json", file_v1(&backends(1)));
    let daemon = launch.start();
    daemon.wait_for_trouble();
    let address = address_of(&daemon);
    for (path, status) in [("/targets", 503), ("/-/ready", 503), ("/-/healthy", 200), ("/", 200)] {
        let answer = get(address, path);
        assert_eq!(answer.status, status, "{path}");
        assert_ne!(answer.text(), "[]\n", "{path}");
    }
    assert_eq!(daemon.file(), Some(file_v1(&backends(1))));
}

#[test]
fn what_is_no_good_request_is_refused() {
    let daemon = Launch::follow(NOTHING_THERE).argument(LISTEN).start();
    let address = address_of(&daemon);
    let endless = "a".repeat(100_000);
    let rows = [
        ("POST /metrics HTTP/1.1\r\n\r\n", 405),
        ("nonsense\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: rebound.example\r\n\r\n", 421),
        ("GET / HTTP/1.1\r\nHost: localhost:9467\r\n\r\n", 200),
        (&endless, 431),
    ];
    for (request, status) in rows {
        let answer = ask(connect(address), request);
        assert_eq!(answer.status, status, "{request:.60}");
        assert!(answer.has("x-content-type-options: nosniff"), "{request:.60}");
    }
    let answer = ask(connect(address), "POST / HTTP/1.1\r\n\r\n");
    assert!(answer.has("allow: get, head"), "{}", answer.head);
}

#[test]
fn a_head_is_that_of_the_response_to_get() {
    let daemon = Launch::follow(NOTHING_THERE).argument(LISTEN).start();
    let address = address_of(&daemon);
    for (path, host, status) in [("/page.css", "127.0.0.1", 200), ("/", "rebound.example", 421)] {
        let request = |method| format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let head = ask(connect(address), &request("HEAD"));
        assert_eq!(head.status, status);
        assert_eq!(head.head, ask(connect(address), &request("GET")).head);
        assert!(head.body.is_empty(), "{path}");
    }
}
