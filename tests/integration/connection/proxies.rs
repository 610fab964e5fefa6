//! Proxies, as the environment names them, for the API server and for both transports.
//!
//! `cp.invalid` is no name that anyone resolves: who reaches it has gone through the proxy.

use kuma_stand_in::{
    ApiVersion, Authority, ControlPlane, HttpAnswer, KumaVersion, Plan, Tls, Validity,
};

use crate::support::check::{check, passed};
use crate::support::foreign_servers::{ForeignServer, Proxy};
use crate::support::harness::{Launch, SOON, localhost_is_known};
use crate::support::mesh::{EMPTY, backend, file};
use crate::support::secure::shows;

/// The port of the API server that the proxy is asked for.
const API_PORT: u16 = 5681;

/// A proxy by which the API server of a control plane is at its usual port.
fn proxy_to(plane: &ControlPlane) -> Proxy {
    Proxy::start(&[(API_PORT, plane.api().address().port())])
}

#[test]
fn the_api_server_and_both_transports_are_reached_through_the_proxy() {
    let cases = [
        (KumaVersion::V0_7, "gRPC v1alpha1"),
        (KumaVersion::V2_6, "gRPC v1"),
        (KumaVersion::V2_12, "HTTP v1"),
    ];
    for (kuma, protocol) in cases {
        let plane = ControlPlane::start(kuma);
        let proxy = proxy_to(&plane);
        let daemon = Launch::follow(&format!("http://cp.invalid:{API_PORT}"))
            .variable("HTTP_PROXY", format!("http://{}", proxy.authority()))
            .start();
        let mads = format!("cp.invalid:{}", plane.port());
        daemon.wait_for_log(&format!("connected to MADS at {mads} over {protocol}"));
        daemon.wait_for_file(EMPTY);
        let requests = proxy.requests();
        assert_eq!(requests[0], format!("CONNECT cp.invalid:{API_PORT}"));
        assert!(
            requests.contains(&format!("CONNECT {mads}")),
            "{requests:?}"
        );
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
fn https_has_a_proxy_of_its_own() {
    let authority = Authority::new("the authority");
    let tls = Tls::new(&authority.server(&["cp.invalid"], Validity::Valid));
    let plan = Plan {
        tls: Some(tls.clone()),
        api_tls: Some(tls),
        ..Plan::new(KumaVersion::V2_12)
    };
    let plane = plan.start().expect("free ports");
    let proxy = proxy_to(&plane);
    let other = Proxy::start(&[]);
    let launch = Launch::follow(&format!("https://cp.invalid:{API_PORT}"))
        .argument("--ca-cert-file=ca.pem")
        .variable("HTTP_PROXY", other.authority())
        .variable("HTTPS_PROXY", proxy.authority());
    launch.put("ca.pem", authority.pem());
    let daemon = launch.start();
    daemon.wait_for_file(EMPTY);
    daemon.wait_for_log("with TLS");
    let requests = proxy.requests();
    assert!(
        requests.contains(&format!("CONNECT cp.invalid:{}", plane.port())),
        "{requests:?}"
    );
    assert_eq!(other.requests(), [""; 0]);
}

#[test]
fn this_machine_is_reached_without_the_proxy() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let proxy = Proxy::that_refuses("HTTP/1.1 403 Forbidden\r\n\r\n");
    let hosts: &[&str] = match localhost_is_known() {
        true => &["127.0.0.1", "localhost"],
        false => &["127.0.0.1"],
    };
    for host in hosts {
        let port = plane.api().address().port();
        let daemon = Launch::follow(&format!("http://{host}:{port}"))
            .variable("HTTP_PROXY", proxy.authority())
            .start();
        daemon.wait_for_file(EMPTY);
    }
    assert_eq!(proxy.requests(), [""; 0]);
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
fn a_proxy_that_refuses_is_reported_and_tried_again() {
    let proxy =
        Proxy::that_refuses("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
    for scheme in ["http", "grpc"] {
        let daemon = Launch::follow(&format!("{scheme}://cp.invalid:5676"))
            .variable("HTTP_PROXY", proxy.authority())
            .start();
        let line = daemon.wait_for_trouble();
        assert!(line.contains("503"), "{scheme}: {line}");
        assert!(line.to_lowercase().contains("proxy"), "{scheme}: {line}");
        daemon.wait_for_log_count("no connection to the control plane", 2);
        assert_eq!(daemon.lines_with("TLS"), 0, "{}", daemon.log());
    }
}

#[test]
fn a_proxy_that_is_not_there_is_reported() {
    let server = ForeignServer::that_hangs_up();
    let address = format!("127.0.0.1:{}", server.port());
    drop(server);
    for scheme in ["http", "grpc"] {
        let daemon = Launch::follow(&format!("{scheme}://cp.invalid:5676"))
            .variable("HTTP_PROXY", &address)
            .start();
        let line = daemon.wait_for_trouble();
        assert!(line.to_lowercase().contains("refused"), "{scheme}: {line}");
    }
}

#[test]
fn a_proxy_that_hangs_up_is_no_control_plane_that_speaks_grpc_only() {
    let server = ForeignServer::that_hangs_up();
    let daemon = Launch::follow(&format!("http://cp.invalid:{API_PORT}"))
        .variable("HTTP_PROXY", format!("127.0.0.1:{}", server.port()))
        .start();
    daemon.wait_for_trouble();
    daemon.wait_for_log_count("no connection to the control plane", 3);
    assert!(server.accepted() >= 3);
}

#[test]
fn the_password_of_a_proxy_is_sent_to_it_and_logged_nowhere() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let proxy = proxy_to(&plane);
    // `user:open-sesame`, as Basic authentication has it.
    let (password, encoded) = ("open-sesame", "dXNlcjpvcGVuLXNlc2FtZQ==");
    let url = format!("http://user:{password}@{}", proxy.authority());
    for level in ["debug", "trace"] {
        let daemon = Launch::follow(&format!("http://cp.invalid:{API_PORT}"))
            .variable("HTTP_PROXY", &url)
            .argument(format!("--log-level={level}"))
            .start();
        daemon.wait_for_file(EMPTY);
        daemon.wait_for_log("over gRPC v1");
        let log = daemon.terminate().stderr;
        assert!(!shows(&log, password), "{log}");
        assert!(!shows(&log, encoded), "{log}");
    }
    for head in proxy.heads() {
        let line = format!("proxy-authorization: basic {}", encoded.to_lowercase());
        assert!(head.to_lowercase().contains(&line), "{head}");
    }
}

#[test]
fn what_is_no_proxy_ends_no_start_where_it_does_not_count() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    // This machine, by an address that is not that of a loopback.
    let elsewhere = format!("http://0.0.0.0:{}", plane.api().address().port());
    let cases = [
        (plane.api_url(), "HTTP_PROXY", ""),
        (plane.api_url(), "HTTPS_PROXY", ""),
        (elsewhere.clone(), "HTTPS_PROXY", ""),
        (elsewhere, "HTTP_PROXY", "0.0.0.0/8"),
    ];
    for (address, variable, exceptions) in cases {
        let launch = Launch::follow(&address)
            .variable(variable, "socks5://proxy:1080")
            .variable("NO_PROXY", exceptions);
        launch.start().wait_for_file(EMPTY);

        let check = check(&address)
            .variable(variable, "socks5://proxy:1080")
            .variable("NO_PROXY", exceptions);
        passed(&check);
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
        let proxy = proxy_to(&plane);
        let launch = variables
            .iter()
            .fold(launch(&proxy), |launch, (name, value)| {
                launch.variable(name, value)
            });
        let daemon = launch.start();
        daemon.wait_for_log("over gRPC v1");
        daemon.wait_for_file(EMPTY);
        let mads = format!("CONNECT cp.invalid:{}", plane.port());
        assert!(proxy.requests().contains(&mads), "{variables:?}");
    }
}

#[test]
fn a_password_with_percent_signs_means_the_same_over_both_transports() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    for transport in ["grpc", "http"] {
        let proxy = Proxy::start(&[]);
        let url = format!("http://us%40er:open%3Asesame%25@{}", proxy.authority());
        let daemon = Launch::follow(&format!("grpc://cp.invalid:{}", plane.port()))
            .argument(format!("--transport={transport}"))
            .variable("HTTP_PROXY", &url)
            .start();
        daemon.wait_for_file(EMPTY);
        // `us@er:open:sesame%`, as Basic authentication has it.
        let expected = "Basic dXNAZXI6b3BlbjpzZXNhbWUl";
        let heads = proxy.heads();
        assert!(!heads.is_empty());
        for head in heads {
            assert!(head.contains(expected), "{transport}: {head}");
        }
    }
}

#[test]
fn the_token_goes_through_the_tunnel_and_not_to_the_proxy() {
    let plane = ControlPlane::start(KumaVersion::V2_12);
    plane.api().require_token(Some("open-sesame"));
    plane.api().set("/catalog", HttpAnswer::not_found());
    let proxy = proxy_to(&plane);
    let launch = Launch::follow(&format!("http://cp.invalid:{API_PORT}"))
        .argument("--cp-token-file=token")
        .variable("HTTP_PROXY", proxy.authority());
    launch.put("token", "open-sesame\n");
    let daemon = launch.start();
    plane.events().expect_request(SOON);
    daemon.wait_for_file(EMPTY);
    assert!(
        proxy
            .heads()
            .iter()
            .all(|head| !head.contains("open-sesame"))
    );
}
