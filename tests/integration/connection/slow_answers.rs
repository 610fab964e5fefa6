//! Answers over HTTP that take their time: one that falls silent in the middle is given up after
//! 30 s, over TLS and through a proxy too; one that comes slowly is not.

use std::time::{Duration, Instant};

use kuma_stand_in::{
    ApiVersion, Authority, Body, ControlPlane, HttpAnswer, KumaVersion, Plan, Tls, Validity,
};
use serde_json::json;

use crate::support::following::at_once;
use crate::support::foreign_servers::Proxy;
use crate::support::harness::{Launch, SOON};
use crate::support::mesh::{EMPTY, backend, file_v1};
use crate::support::observe::expect_settled;

/// A body may be silent for so long.
const SILENCE_LIMIT: Duration = Duration::from_secs(30);

/// Long enough to be seen as longer than that.
const LONGER: Duration = Duration::from_secs(35);

/// What a busy machine may take until it is noticed.
const SLACK: Duration = Duration::from_secs(10);

fn empty_list() -> Vec<u8> {
    let list = json!({"version_info": "slow", "type_url": ApiVersion::V1.type_url()});
    list.to_string().into_bytes()
}

/// A list that comes byte by byte.
fn drip(pause: Duration) -> HttpAnswer {
    let bytes = empty_list();
    HttpAnswer::with_body(200, Body::Drip { bytes, pause })
}

#[test]
fn a_body_that_falls_silent_is_given_up_after_30_seconds() {
    let ways = [(false, false), (false, true), (true, false), (true, true)];
    at_once(ways, |(is_tls, is_proxied)| {
        let authority = Authority::new("the authority");
        let identity = authority.server(&["cp.invalid", "127.0.0.1"], Validity::Valid);
        let plan =
            Plan { tls: is_tls.then(|| Tls::new(&identity)), ..Plan::new(KumaVersion::V2_12) };
        let plane = plan.start().expect("a free port");
        plane.publish(&[backend(0)]);
        let proxy = Proxy::start(&[]);
        let mut address = plane.http_url();
        let mut way = String::new();
        if is_proxied {
            address = address.replace("127.0.0.1", "cp.invalid");
            way = format!(" through the proxy {}", proxy.authority());
        }
        let mut launch = Launch::follow(&address)
            .variable("HTTP_PROXY", proxy.authority())
            .variable("HTTPS_PROXY", proxy.authority())
            .variable("NO_PROXY", "127.0.0.1");
        if is_tls {
            launch.put("ca.pem", authority.pem());
            launch = launch.argument("--ca-cert-file=ca.pem");
        }
        let daemon = launch.start();
        daemon.wait_for_file(&file_v1(&[backend(0)]));
        expect_settled(&plane);

        let silent_since = Instant::now();
        plane.answer_http(drip(SOON * 10));
        let line = daemon.wait_for_trouble();
        let silence = silent_since.elapsed();
        assert!(line.contains(&format!("POST {address}/")), "{line}");
        let text = format!("{way}: the answer broke off: no more of it came within 30 s;");
        assert!(line.contains(&text), "{text:?}: {line}");
        assert!((SILENCE_LIMIT..SILENCE_LIMIT + SLACK).contains(&silence), "{silence:?}");
        assert_eq!(daemon.file(), Some(file_v1(&[backend(0)])));
        plane.publish(&[backend(1)]);
        daemon.wait_for_file(&file_v1(&[backend(1)]));
    });
}

#[test]
fn a_list_that_comes_slowly_is_waited_for() {
    let plane = ControlPlane::serving(KumaVersion::V2_12, &[backend(0)]);
    let daemon = Launch::follow(&plane.http_url()).start();
    daemon.wait_for_file(&file_v1(&[backend(0)]));
    expect_settled(&plane);
    let count = u32::try_from(empty_list().len()).expect("it is short");
    plane.answer_http(drip(LONGER / count));
    daemon.wait_for_file(EMPTY);
    assert_eq!(daemon.lines_with("no connection"), 0);
}
