//! Proxies, as the environment names them, for the API server and for both transports.
//!
//! `cp.invalid` is no name that anyone resolves: who reaches it has gone through the proxy.

use kuma_stand_in::{ApiVersion, Authority, ControlPlane, KumaVersion, Plan, Tls, Validity};

use crate::support::following::at_once;
use crate::support::foreign_servers::{ForeignServer, Proxy};
use crate::support::harness::Launch;
use crate::support::mesh::{EMPTY, backend, file};
use crate::support::secure::shows;

/// The port of the API server that the proxy is asked for.
const API_PORT: u16 = 5681;

#[test]
fn the_api_server_and_both_transports_are_reached_through_the_proxy() {
    let cases = [
        (KumaVersion::V0_7, "gRPC v1alpha1"),
        (KumaVersion::V2_6, "gRPC v1"),
        (KumaVersion::V2_12, "HTTP v1"),
    ];
    for (kuma, protocol) in cases {
        let plane = ControlPlane::start(kuma);
        let proxy = Proxy::to_usual_ports(&plane);
        let daemon = Launch::follow(&format!("http://cp.invalid:{API_PORT}"))
            .variable("HTTP_PROXY", format!("http://{}", proxy.authority()))
            .start();
        let mads = format!("cp.invalid:{}", plane.port());
        daemon.wait_for_log(&format!("connected to MADS at {mads} over {protocol}"));
        daemon.wait_for_file(EMPTY);
        let requests = proxy.requests();
        assert_eq!(requests[0], format!("CONNECT cp.invalid:{API_PORT}"));
        assert!(requests.contains(&format!("CONNECT {mads}")), "{requests:?}");
        assert_eq!(daemon.lines_with("no connection"), 0);
        let spoken = match kuma {
            KumaVersion::V0_7 => ApiVersion::V1Alpha1,
            _ => ApiVersion::V1,
        };
        plane.publish(&[backend(0)]);
        daemon.wait_for_file(&file(spoken, &[backend(0)]));
        plane.restart();
        plane.publish(&[backend(1)]);
        daemon.wait_for_file(&file(spoken, &[backend(1)]));
    }
}

#[test]
fn exceptions_are_reached_without_the_proxy_over_both_transports() {
    for kuma in [KumaVersion::V2_6, KumaVersion::V2_12] {
        let plane = ControlPlane::start(kuma);
        // This machine, by an address that is not that of a loopback.
        let address = format!("http://0.0.0.0:{}", plane.api().address().port());
        for exceptions in ["0.0.0.0", "elsewhere, 0.0.0.0/8", "*"] {
            let proxy = Proxy::start(&[]);
            let launch = Launch::follow(&address).variable("HTTP_PROXY", proxy.authority());
            launch.clone().start().wait_for_file(EMPTY);
            let through = proxy.requests();
            assert!(through.len() >= 2, "{through:?}");

            let daemon = launch.variable("NO_PROXY", exceptions).start();
            daemon.wait_for_log("connected to MADS");
            assert_eq!(proxy.requests(), through, "{exceptions}");
        }
    }
}

#[test]
fn libraries_do_not_look_for_a_proxy_by_themselves() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let proxy = Proxy::start(&[]);
    let address = format!("http://0.0.0.0:{}", plane.api().address().port());
    let daemon = Launch::follow(&address)
        .variable("grpc_proxy", format!("http://{}", proxy.authority()))
        .variable("ALL_PROXY", format!("http://{}", proxy.authority()))
        .variable("all_proxy", format!("http://{}", proxy.authority()))
        .start();
    daemon.wait_for_file(EMPTY);
    assert_eq!(proxy.requests(), [""; 0]);
}

#[test]
fn a_proxy_that_opens_no_tunnel_is_reported_and_tried_again() {
    let refusing =
        Proxy::that_refuses("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
    let hanging_up = ForeignServer::that_hangs_up();
    let [refusing, hanging_up] = [refusing.authority(), format!("127.0.0.1:{}", hanging_up.port())];
    let cases = [
        ("http", &*refusing, "503"),
        ("grpc", &refusing, "503"),
        ("http", "127.0.0.1:1", "refused"),
        ("grpc", "127.0.0.1:1", "refused"),
        // Not the control plane speaks gRPC only.
        ("http", &hanging_up, "get http://cp.invalid:5681/catalog"),
    ];
    at_once(cases, |(scheme, proxy, text)| {
        let daemon = Launch::follow(&format!("{scheme}://cp.invalid:{API_PORT}"))
            .variable("HTTP_PROXY", proxy)
            .start();
        let line = daemon.wait_for_trouble().to_lowercase();
        assert!(line.contains(text) && line.contains("proxy"), "{line}");
        daemon.wait_for_log_count("no connection to the control plane", 3);
        assert_eq!(daemon.lines_with("TLS"), 0, "{}", daemon.log());
    });
}

#[test]
fn the_password_of_a_proxy_is_sent_to_it_and_logged_nowhere() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    for transport in ["grpc", "http"] {
        let proxy = Proxy::to_usual_ports(&plane);
        let url = format!("http://us%40er:open%3Asesame%25@{}", proxy.authority());
        let daemon = Launch::follow(&format!("http://cp.invalid:{API_PORT}"))
            .arguments(["--log-level=trace", &format!("--transport={transport}")])
            .variable("HTTP_PROXY", &url)
            .start();
        daemon.wait_for_file(EMPTY);
        let log = daemon.terminate().stderr;
        // `us@er:open:sesame%`, as Basic authentication has it.
        let encoded = "dXNAZXI6b3BlbjpzZXNhbWUl";
        for secret in ["open:sesame%", "open%3Asesame%25", encoded] {
            assert!(!shows(&log, secret), "{log}");
        }
        let heads = proxy.heads();
        assert!(!heads.is_empty());
        for head in heads {
            let is_sent = head.contains(&format!("Basic {encoded}"));
            assert!(is_sent, "{transport}: {head}");
        }
    }
}

#[test]
fn what_is_no_proxy_ends_no_start_where_it_does_not_count() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    // This machine, by an address that is not that of a loopback.
    let elsewhere = format!("http://0.0.0.0:{}", plane.api().address().port());
    for (address, variable) in [(plane.api_url(), "HTTP_PROXY"), (elsewhere, "HTTPS_PROXY")] {
        let launch = Launch::follow(&address).variable(variable, "socks5://proxy:1080");
        launch.start().wait_for_file(EMPTY);
    }
}

#[test]
fn what_is_no_proxy_is_reported_where_it_turns_out_to_count() {
    let authority = Authority::new("the authority");
    let plan = Plan {
        tls: Some(Tls::new(&authority.server(&["0.0.0.0"], Validity::Valid))),
        ..Plan::new(KumaVersion::V2_12)
    };
    let plane = plan.start().expect("free ports");
    let address = format!("http://0.0.0.0:{}", plane.api().address().port());
    let daemon = Launch::follow(&address)
        .variable("HTTPS_PROXY", "socks5://user:open-sesame@proxy:1080")
        .start();
    let line = daemon.wait_for_trouble();
    let expected = "$HTTPS_PROXY: not the address of a proxy of the form http://HOST:PORT";
    assert!(line.contains(expected), "{line}");
}

#[test]
fn whether_there_is_a_proxy_is_decided_once_for_both_transports() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let launch = |proxy: &Proxy| {
        Launch::follow(&format!("http://cp.invalid:{API_PORT}"))
            .variable("HTTP_PROXY", proxy.authority())
    };
    // What a library below would take for an exception, and this daemon does not.
    let exceptions = [
        [("NO_PROXY", "elsewhere"), ("no_proxy", "cp.invalid")],
        [("NO_PROXY", "alid"), ("no_proxy", "alid")],
        [("NO_PROXY", "elsewhere"), ("no_grpc_proxy", "cp.invalid")],
    ];
    for variables in exceptions {
        let proxy = Proxy::to_usual_ports(&plane);
        let launch = variables
            .iter()
            .fold(launch(&proxy), |launch, (name, value)| launch.variable(name, value));
        let daemon = launch.start();
        daemon.wait_for_log("over gRPC v1");
        daemon.wait_for_file(EMPTY);
        let mads = format!("CONNECT cp.invalid:{}", plane.port());
        assert!(proxy.requests().contains(&mads), "{variables:?}");
    }
}
