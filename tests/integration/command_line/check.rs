//! `kuma-prometheus-sd check`: the connection to the control plane, step by step, and that nothing is
//! changed by it.

use kuma_stand_in::{Authority, ControlPlane, KumaVersion};

use crate::support::check::{check, passed};
use crate::support::harness::Launch;
use crate::support::mesh::backends;
use crate::support::secure::{api_url, plane as secure_plane, server_of};

/// Checks a control plane, which passes, and sees that each line begins with what is expected of it,
/// from the first one about a connection to the last one about the list.
#[track_caller]
fn expect_steps(launch: &Launch, address: &str, name: &str, steps: &[&str]) {
    let text = passed(launch);
    let first = format!("control plane {address}, as {name:?}");
    let last = [
        "the output kuma.file_sd.json can probably be written: rights and room were looked at, \
         nothing was written",
        "check passed",
    ];
    let expected = [&[&*first], steps, &last].concat();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), expected.len(), "{text}");
    for (line, expected) in lines.iter().zip(expected) {
        let is_expected = line.starts_with(expected);
        assert!(is_expected, "{line:?} is not {expected:?} in:\n{text}");
    }
}

#[test]
fn grpc_v1_at_mads_itself() {
    let plane = ControlPlane::serving(KumaVersion::V2_6, &backends(3));
    let address = plane.grpc_url();
    let authority = format!("127.0.0.1:{}", plane.port());
    expect_steps(
        &check(&address).argument("--name=prometheus-01"),
        &address,
        "prometheus-01",
        &[
            &format!("asking for MADS at {authority} over gRPC v1"),
            &format!("connected to MADS at {authority} over gRPC v1"),
            "a list has come: 3 assignments with 3 targets, 0 skipped",
        ],
    );
}

#[test]
fn grpc_v1alpha1_by_way_of_the_catalog() {
    let plane = ControlPlane::serving(KumaVersion::V0_7, &backends(2));
    let address = plane.api_url();
    let authority = format!("127.0.0.1:{}", plane.port());
    expect_steps(
        &check(&address),
        &address,
        "kuma_sd",
        &[
            &format!("GET {address}/catalog: status 200"),
            &format!("asking for MADS at {authority} over gRPC v1"),
            &format!("gRPC v1 is not served here: {authority}: UNIMPLEMENTED "),
            &format!("asking for MADS at {authority} over gRPC v1alpha1"),
            &format!("connected to MADS at {authority} over gRPC v1alpha1, as /catalog of the"),
            "a list has come: 2 assignments with 2 targets, 0 skipped",
        ],
    );
}

#[test]
fn http_after_an_http_1_answer_by_way_of_config() {
    let plane = ControlPlane::start(KumaVersion::V2_12);
    let address = plane.api_url();
    let authority = format!("127.0.0.1:{}", plane.port());
    expect_steps(
        &check(&address),
        &address,
        "kuma_sd",
        &[
            &format!("GET {address}/catalog: status 404"),
            &format!("GET {address}/config: status 200"),
            &format!("asking for MADS at {authority} over gRPC v1"),
            &format!("gRPC v1 is not served here: {authority} answers in HTTP/1"),
            &format!("asking for MADS at {authority} over HTTP v1"),
            &format!("connected to MADS at {authority} over HTTP v1, as /config of the API server"),
            "a list has come: 0 assignments with 0 targets, 0 skipped",
            "the list is empty: ",
        ],
    );
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
    expect_steps(
        &launch,
        &address,
        "kuma_sd",
        &[
            certificate,
            &format!("GET {address}/catalog: status 404"),
            &format!("GET {address}/config: status 200"),
            &format!("asking for MADS at {mads} over HTTP v1"),
            certificate,
            &format!("connected to MADS at {mads} over HTTP v1 with TLS, as /config of the API"),
            "a list has come: 0 assignments with 0 targets, 0 skipped",
            "the list is empty: ",
        ],
    );
}

#[test]
fn what_is_unsafe_is_shown_at_the_top() {
    let plane = secure_plane(&server_of(&Authority::new("nobody")));
    let told = passed(&check(&api_url(&plane)).argument("--tls-skip-verify"));
    let line = told.lines().nth(1).unwrap_or_default();
    assert!(line.starts_with("--tls-skip-verify: any server is trusted"), "{told}");

    let plane = ControlPlane::start(KumaVersion::V2_6);
    plane.api().require_token(Some("open-sesame"));
    let launch = check(&plane.api_url()).argument("--cp-token-file=token");
    launch.put("token", "open-sesame");
    let told = passed(&launch);
    let line = told.lines().nth(1).unwrap_or_default();
    assert!(line.starts_with("--cp-token-file: the token is sent in plaintext"), "{told}");
    assert!(!told.contains("open-sesame"), "{told}");
}
