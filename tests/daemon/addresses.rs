//! Every form of address and every place that a setting can come from.

use std::fs;

use kuma_stand_in::{ApiVersion, ControlPlane, Event, HttpAnswer, Kuma, Server};

use crate::harness::{Launch, SOON, localhost_is_known};
use crate::mesh::{EMPTY, backends, file, file_v1};

const URL: &str = "KUMA_MONITORING_ASSIGNMENT_CLIENT_URL";
const OLDER_URL: &str = "KUMA_CONTROL_PLANE_API_SERVER_URL";

/// Names and values.
type Variables<'a> = &'a [(&'a str, &'a str)];

/// What the API server was asked, in order.
fn asked(plane: &ControlPlane) -> Vec<String> {
    let path = |event| match event {
        Event::Http {
            server: Server::Api,
            request,
            ..
        } => Some(request.target),
        _ => None,
    };
    plane.events().seen().into_iter().filter_map(path).collect()
}

#[test]
fn the_api_server_of_each_kuma_leads_to_mads() {
    let cases = [
        (Kuma::V0_7, "gRPC v1alpha1", "/catalog"),
        (Kuma::V1_1, "gRPC v1alpha1", "/config"),
        (Kuma::V1_2, "gRPC v1", "/config"),
        (Kuma::V2_6, "gRPC v1", "/config"),
        (Kuma::V2_12, "HTTP v1", "/config"),
        (Kuma::V2_14, "HTTP v1", "/config"),
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
        assert_eq!(asked(&plane), questions, "{kuma}");
    }
}

#[test]
fn the_address_of_mads_itself_works_with_each_kuma_under_each_scheme() {
    let cases = [
        (Kuma::V0_7, "gRPC v1alpha1"),
        (Kuma::V1_1, "gRPC v1alpha1"),
        (Kuma::V1_2, "gRPC v1"),
        (Kuma::V2_6, "gRPC v1"),
        (Kuma::V2_12, "HTTP v1"),
        (Kuma::V2_14, "HTTP v1"),
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
        assert_eq!(asked(&plane), [""; 0]);
    }
}

#[test]
fn a_name_is_resolved_to_an_address() {
    if !localhost_is_known() {
        return;
    }
    let plane = ControlPlane::start(Kuma::V2_6);
    for address in [
        format!("grpc://localhost:{}", plane.port()),
        format!("http://localhost:{}/", plane.api().address().port()),
    ] {
        Launch::follow(&address).start().wait_for_file(EMPTY);
    }
}

#[test]
fn a_loopback_host_in_the_catalog_is_the_control_planes_view_of_itself() {
    let plane = ControlPlane::start(Kuma::V0_7);
    for host in ["localhost", "127.0.0.2", "0.0.0.0", "[::1]"] {
        let url = format!("grpc://{host}:{}", plane.port());
        let catalog = serde_json::json!({"apis": {"monitoringAssignment": {"url": url}}});
        plane.api().set("/catalog", HttpAnswer::json(200, &catalog));
        let daemon = Launch::follow(&plane.api_url()).start();
        daemon.wait_for_log(&format!("connected to MADS at 127.0.0.1:{}", plane.port()));
    }
}

#[test]
fn http_long_polling_keeps_the_base_path_of_the_address() {
    let mesh = backends(2);
    let plane = ControlPlane::start(Kuma::V2_12);
    plane.set_base_path("/a/b");
    plane.publish(&mesh);
    let daemon = Launch::follow(&format!("{}/a/b/", plane.http_url())).start();
    daemon.wait_for_file(&file_v1(&mesh));
    let http = plane
        .events()
        .expect_request(SOON)
        .http
        .expect("it came over HTTP");
    assert_eq!(
        http.target,
        "/a/b/v3/discovery:monitoringassignments?fetch-timeout=1000ms"
    );
}

#[test]
fn what_the_api_server_says_is_asked_again_at_each_connect() {
    let [first, second] = [1, 2].map(|count| {
        let plane = ControlPlane::start(Kuma::V2_6);
        plane.publish(&backends(count));
        plane
    });
    let daemon = Launch::follow(&first.api_url()).start();
    daemon.wait_for_file(&file_v1(&backends(1)));
    let moved = serde_json::json!({"monitoringAssignmentServer": {"port": second.port()}});
    first.api().set("/config", HttpAnswer::json(200, &moved));
    first.front().refuse();
    first.front().cut();
    daemon.wait_for_file(&file_v1(&backends(2)));
}

#[test]
fn an_api_server_that_leads_nowhere_is_an_error_that_says_why_and_is_retried() {
    let disabled = serde_json::json!({"monitoringAssignmentServer": {"enabled": false, "port": 1}});
    let portless = serde_json::json!({"monitoringAssignmentServer": {}});
    let cases = [
        (
            "/catalog",
            HttpAnswer::error(503, "Starting", "wait"),
            "/catalog: status 503",
        ),
        (
            "/config",
            HttpAnswer::error(500, "Broken", "really"),
            "/config: status 500",
        ),
        (
            "/config",
            HttpAnswer::redirect(302, "https://elsewhere.example/config"),
            "/config: redirected to \"https://elsewhere.example/config\", which is not followed",
        ),
        (
            "/config",
            HttpAnswer::json(200, &disabled),
            "the control plane has MADS disabled",
        ),
        (
            "/config",
            HttpAnswer::json(200, &portless),
            "monitoringAssignmentServer has no port",
        ),
        (
            "/config",
            HttpAnswer::new(200, "text/html", "<html>Welcome</html>"),
            "/config: not the JSON of a Kuma control plane",
        ),
    ];
    for (path, answer, expected) in cases {
        let plane = ControlPlane::start(Kuma::V2_6);
        plane.api().set(path, answer);
        let daemon = Launch::follow(&plane.api_url()).start();
        let line = daemon.wait_for_log("no connection to the control plane");
        assert!(
            line.contains(expected) && line.contains("next attempt in"),
            "{line}"
        );
        assert_eq!(daemon.file(), None);
        plane.upgrade_to(Kuma::V2_6);
        daemon.wait_for_file(EMPTY);
    }
}

#[test]
fn a_flag_wins_over_the_environment_and_the_newer_variable_over_the_older() {
    let planes = [1, 2, 3].map(|count| {
        let plane = ControlPlane::start(Kuma::V2_6);
        plane.publish(&backends(count));
        plane
    });
    let [flag, newer, older] = planes.each_ref().map(ControlPlane::grpc_url);
    let cases: [(Variables<'_>, Option<&str>, usize); 6] = [
        (&[(URL, &newer), (OLDER_URL, &older)], Some(&flag), 1),
        (&[(URL, &newer), (OLDER_URL, &older)], None, 2),
        (&[(URL, &newer)], None, 2),
        (&[(OLDER_URL, &older)], None, 3),
        (&[(URL, ""), (OLDER_URL, &older)], None, 3),
        (&[(URL, ""), (OLDER_URL, "")], Some(&flag), 1),
    ];
    for (variables, flag, expected) in cases {
        let mut launch = Launch::bare().argument("run");
        for (name, value) in variables {
            launch = launch.variable(name, value);
        }
        if let Some(flag) = flag {
            launch = launch.argument("--cp-address").argument(flag);
        }
        launch.start().wait_for_file(&file_v1(&backends(expected)));
    }
}

#[test]
fn the_environment_gives_what_no_flag_does() {
    let plane = ControlPlane::start(Kuma::V1_2);
    let daemon = Launch::bare()
        .argument("run")
        .variable(URL, plane.grpc_url())
        .variable(
            "KUMA_MONITORING_ASSIGNMENT_CLIENT_NAME",
            "from-the-environment",
        )
        .variable("KUMA_MONITORING_ASSIGNMENT_CLIENT_API_VERSION", "v1alpha1")
        .variable("KUMA_PROMETHEUS_OUTPUT_FILE", "sub/output.json")
        .variable("KUMA_PROMETHEUS_SD_FILE_MODE", "0640")
        .variable("KUMA_PROMETHEUS_SD_LOG_LEVEL", "debug")
        .expecting_output("sub/output.json")
        .start();
    plane.publish(&backends(1));
    daemon.wait_for_file(&file(ApiVersion::V1Alpha1, &backends(1)));
    let first = plane.events().expect_request(SOON);
    assert_eq!(first.node_id, "from-the-environment");
    assert_eq!(first.api_version, ApiVersion::V1Alpha1);
    let mode = fs::metadata(daemon.output_path()).unwrap().permissions();
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777,
        0o640
    );
    daemon.wait_for_log("DEBUG] ");
}

#[test]
fn a_flag_wins_over_each_variable() {
    let plane = ControlPlane::start(Kuma::V1_2);
    let daemon = Launch::follow(&plane.grpc_url())
        .arguments([
            "--name",
            "from-the-flag",
            "--api-version",
            "v1",
            "--file-mode",
            "644",
        ])
        .variable("KUMA_MONITORING_ASSIGNMENT_CLIENT_NAME", "x")
        .variable("KUMA_MONITORING_ASSIGNMENT_CLIENT_API_VERSION", "v1alpha1")
        .variable("KUMA_PROMETHEUS_OUTPUT_FILE", "x.json")
        .variable("KUMA_PROMETHEUS_SD_FILE_MODE", "0600")
        .variable("KUMA_PROMETHEUS_SD_LOG_LEVEL", "off")
        .start();
    daemon.wait_for_file(EMPTY);
    let first = plane.events().expect_request(SOON);
    assert_eq!(first.node_id, "from-the-flag");
    assert_eq!(first.api_version, ApiVersion::V1);
    daemon.wait_for_log("DEBUG] ");
}

#[test]
fn without_any_setting_the_defaults_of_the_original_hold() {
    // Whether anything is at the default address is up to the machine.
    let empty = [
        "KUMA_MONITORING_ASSIGNMENT_CLIENT_NAME",
        "KUMA_PROMETHEUS_OUTPUT_FILE",
    ];
    let launch = Launch::bare().argument("run");
    let launch = empty
        .into_iter()
        .fold(launch, |launch, name| launch.variable(name, ""));
    let daemon = launch.start();
    let line = daemon.wait_for_log(" follows ");
    let expected = "follows http://localhost:5681 as \"kuma_sd\" and writes kuma.file_sd.json";
    assert!(line.ends_with(expected), "{line}");
}
