//! Every form of address and every place that a setting can come from.

use std::fs;

use kuma_stand_in::{ApiVersion, ControlPlane, KumaVersion, Server};

use crate::support::harness::{Launch, SOON};
use crate::support::mesh::{EMPTY, backends, file};
use crate::support::observe::asked;

const URL: &str = "KUMA_MONITORING_ASSIGNMENT_CLIENT_URL";

#[test]
fn the_api_server_of_each_kuma_leads_to_mads() {
    let cases = [
        (KumaVersion::V0_7, "gRPC v1alpha1", "/catalog"),
        (KumaVersion::V1_1, "gRPC v1alpha1", "/config"),
        (KumaVersion::V1_2, "gRPC v1", "/config"),
        (KumaVersion::V2_6, "gRPC v1", "/config"),
        (KumaVersion::V2_12, "HTTP v1", "/config"),
        (KumaVersion::V2_14, "HTTP v1", "/config"),
    ];
    for (kuma, protocol, document) in cases {
        let plane = ControlPlane::start(kuma);
        let daemon = Launch::follow(&plane.api_url()).start();
        let expected = format!(
            "connected to MADS at 127.0.0.1:{} over {protocol}, as {document} of the API server says",
            plane.port()
        );
        daemon.wait_for_log(&expected);
        daemon.wait_for_file(EMPTY);
        let questions: &[&str] = match document {
            "/catalog" => &["/catalog"],
            _ => &["/catalog", "/config"],
        };
        let asked: Vec<_> = asked(&plane).into_iter().map(|(_, http)| http.target).collect();
        assert_eq!(asked, questions, "{kuma}");
    }
}

#[test]
fn the_address_of_mads_itself_works_with_each_kuma_under_each_scheme() {
    let cases = [
        (KumaVersion::V0_7, "gRPC v1alpha1"),
        (KumaVersion::V1_1, "gRPC v1alpha1"),
        (KumaVersion::V1_2, "gRPC v1"),
        (KumaVersion::V2_6, "gRPC v1"),
        (KumaVersion::V2_12, "HTTP v1"),
        (KumaVersion::V2_14, "HTTP v1"),
    ];
    for (kuma, protocol) in cases {
        let plane = ControlPlane::start(kuma);
        for scheme in ["grpc", "http"] {
            let authority = format!("127.0.0.1:{}", plane.port());
            let daemon = Launch::follow(&format!("{scheme}://{authority}")).start();
            daemon.wait_for_log(&format!("connected to MADS at {authority} over {protocol}"));
            daemon.wait_for_file(EMPTY);
            // In the first attempt: a definite answer is no outage.
            assert_eq!(daemon.lines_with("next attempt"), 0, "{kuma}, {scheme}");
        }
        assert!(asked(&plane).iter().all(|(server, _)| *server != Server::Api));
    }
}

#[test]
fn the_environment_gives_what_no_flag_does() {
    let plane = ControlPlane::start(KumaVersion::V1_2);
    let daemon = Launch::bare()
        .argument("run")
        .variable(URL, plane.grpc_url())
        .variable("KUMA_MONITORING_ASSIGNMENT_CLIENT_NAME", "from-the-environment")
        .variable("KUMA_MONITORING_ASSIGNMENT_CLIENT_API_VERSION", "v1alpha1")
        .variable("KUMA_PROMETHEUS_OUTPUT_FILE", "output.json")
        .variable("KUMA_PROMETHEUS_SD_FILE_MODE", "0640")
        .variable("KUMA_PROMETHEUS_SD_LOG_LEVEL", "debug")
        .expecting_output("output.json")
        .start();
    plane.publish(&backends(1));
    daemon.wait_for_file(&file(ApiVersion::V1Alpha1, &backends(1)));
    let first = plane.events().expect_request(SOON);
    assert_eq!(first.node_id, "from-the-environment");
    assert_eq!(first.api_version, ApiVersion::V1Alpha1);
    let mode = fs::metadata(daemon.output_path()).unwrap().permissions();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o640);
    daemon.wait_for_log("DEBUG] ");
}
