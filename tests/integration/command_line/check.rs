//! `kuma-prometheus-sd check`: the connection to the control plane, step by step, and that nothing is
//! changed by it.

use kuma_stand_in::{Authority, ControlPlane, HttpAnswer, KumaVersion};
use serde_json::json;

use crate::support::check::{check, passed, run};
use crate::support::mesh::backends;
use crate::support::secure::{api_url, plane as secure_plane, server_of};

/// The lines of a text, each of which must begin with what is expected of it.
#[track_caller]
fn expect_lines(text: &str, expected: &[&str]) {
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), expected.len(), "{text}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(
            line.starts_with(expected),
            "{line:?} is not {expected:?} in:\n{text}"
        );
    }
}

/// The last lines of a check of a mesh of this size whose output can be written.
const WELL: [&str; 2] = [
    "the output kuma.file_sd.json can probably be written: rights and room were looked at, nothing \
     was written",
    "check passed",
];

#[test]
fn grpc_v1_at_mads_itself() {
    let plane = ControlPlane::serving(KumaVersion::V2_6, &backends(3));
    let address = plane.grpc_url();
    let told = passed(&check(&address).argument("--name=prometheus-01"));
    let authority = format!("127.0.0.1:{}", plane.port());
    expect_lines(
        &told,
        &[
            &format!("control plane {address}, as \"prometheus-01\""),
            &format!("asking for MADS at {authority} over gRPC v1"),
            &format!("connected to MADS at {authority} over gRPC v1"),
            "a list has come: 3 assignments with 3 targets, 0 skipped",
            WELL[0],
            WELL[1],
        ],
    );
}

#[test]
fn grpc_v1alpha1_by_way_of_the_catalog() {
    let plane = ControlPlane::serving(KumaVersion::V0_7, &backends(2));
    let address = plane.api_url();
    let authority = format!("127.0.0.1:{}", plane.port());
    expect_lines(
        &passed(&check(&address)),
        &[
            &format!("control plane {address}, as \"kuma_sd\""),
            &format!("GET {address}/catalog: status 200"),
            &format!("asking for MADS at {authority} over gRPC v1"),
            &format!("gRPC v1 is not served here: {authority}: UNIMPLEMENTED "),
            &format!("asking for MADS at {authority} over gRPC v1alpha1"),
            &format!("connected to MADS at {authority} over gRPC v1alpha1, as /catalog of the"),
            "a list has come: 2 assignments with 2 targets, 0 skipped",
            WELL[0],
            WELL[1],
        ],
    );
}

#[test]
fn http_after_an_http_1_answer_by_way_of_config() {
    let plane = ControlPlane::start(KumaVersion::V2_12);
    let address = plane.api_url();
    let authority = format!("127.0.0.1:{}", plane.port());
    expect_lines(
        &passed(&check(&address)),
        &[
            &format!("control plane {address}, as \"kuma_sd\""),
            &format!("GET {address}/catalog: status 404"),
            &format!("GET {address}/config: status 200"),
            &format!("asking for MADS at {authority} over gRPC v1"),
            &format!("gRPC v1 is not served here: {authority} answers in HTTP/1"),
            &format!("asking for MADS at {authority} over HTTP v1"),
            &format!("connected to MADS at {authority} over HTTP v1, as /config of the API server"),
            "a list has come: 0 assignments with 0 targets, 0 skipped",
            "the list is empty: ",
            WELL[0],
            WELL[1],
        ],
    );
}

#[test]
fn every_kuma_passes_at_both_of_its_addresses() {
    for kuma in KumaVersion::ALL {
        let plane = ControlPlane::start(kuma);
        for address in [plane.api_url(), plane.grpc_url(), plane.http_url()] {
            passed(&check(&address));
        }
    }
}

#[test]
fn https_with_the_issuer_and_the_end_of_each_certificate() {
    let authority = Authority::new("the authority");
    let plane = secure_plane(&server_of(&authority));
    let address = api_url(&plane);
    let launch = check(&address).argument("--ca-cert-file=ca.pem");
    launch.put("ca.pem", authority.pem());
    let mads = format!("127.0.0.1:{}", plane.port());
    let certificate = "the certificate of 127.0.0.1 is issued by \"CN=the authority\" and valid \
                       until Jan  1 00:00:00 2999";
    expect_lines(
        &passed(&launch),
        &[
            &format!("control plane {address}, as \"kuma_sd\""),
            certificate,
            &format!("GET {address}/catalog: status 404"),
            &format!("GET {address}/config: status 200"),
            &format!("asking for MADS at {mads} over HTTP v1"),
            certificate,
            &format!("connected to MADS at {mads} over HTTP v1 with TLS, as /config of the API"),
            "a list has come: 0 assignments with 0 targets, 0 skipped",
            "the list is empty: ",
            WELL[0],
            WELL[1],
        ],
    );
}

#[test]
fn what_is_unsafe_is_shown_at_the_top() {
    let plane = secure_plane(&server_of(&Authority::new("nobody")));
    let told = passed(&check(&api_url(&plane)).argument("--tls-skip-verify"));
    let line = told.lines().nth(1).unwrap_or_default();
    assert!(
        line.starts_with("--tls-skip-verify: any server is trusted"),
        "{told}"
    );

    let plane = ControlPlane::start(KumaVersion::V2_6);
    plane.api().require_token(Some("open-sesame"));
    let launch = check(&plane.api_url()).argument("--cp-token-file=token");
    launch.put("token", "open-sesame");
    let told = passed(&launch);
    let line = told.lines().nth(1).unwrap_or_default();
    assert!(
        line.starts_with("--cp-token-file: the token is sent in plaintext"),
        "{told}"
    );
    assert!(!told.contains("open-sesame"), "{told}");
}

#[test]
fn the_address_that_an_api_server_names_is_shown() {
    let plane = ControlPlane::start(KumaVersion::V2_14);
    let disabled = json!({"monitoringAssignmentServer": {"enabled": false, "port": 1}});
    for (answer, start, text) in [
        (
            HttpAnswer::json(200, &disabled),
            "no connection: GET ",
            "has MADS disabled",
        ),
        (
            HttpAnswer::error(403, "No", "entry"),
            "the API server refuses",
            "--cp-address=grpc://",
        ),
    ] {
        let status = format!("/config: status {}", answer.status());
        plane.api().set("/config", answer);
        let told = run(&check(&plane.api_url())).stdout;
        let is_told = |line: &str| line.starts_with(start) && line.contains(text);
        assert!(told.lines().any(is_told), "{told}");
        assert!(told.contains(&status), "{told}");
    }
}
