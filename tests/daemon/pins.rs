//! Pins: what negotiation may not decide.

use kuma_stand_in::{Authority, ControlPlane, Event, Kuma, SeenRequest, Serves, Transport};

use crate::harness::{Launch, SOON};
use crate::mesh::EMPTY;
use crate::secure::{api_url, plane, server_of, trusting};

#[test]
fn a_pinned_transport_is_the_only_one_that_is_spoken() {
    let cases = [("grpc", Transport::Grpc), ("http", Transport::Http)];
    for (pin, transport) in cases {
        // It serves both.
        let plane = ControlPlane::start(Kuma::V2_6);
        let daemon = Launch::follow(&plane.grpc_url())
            .argument(format!("--transport={pin}"))
            .start();
        assert_eq!(plane.events().expect_request(SOON).transport, transport);
        daemon.wait_for_file(EMPTY);
        plane.restart();
        plane.events().discard();
        assert_eq!(plane.events().expect_request(SOON).transport, transport);
    }
}

#[test]
fn a_pinned_transport_that_is_not_served_is_an_error_that_is_retried() {
    let cases = [("grpc", Kuma::V2_12), ("http", Kuma::V0_7)];
    for (pin, kuma) in cases {
        let plane = ControlPlane::start(kuma);
        let daemon = Launch::follow(&plane.grpc_url())
            .argument(format!("--transport={pin}"))
            .start();
        daemon.wait_for_trouble();
        daemon.wait_for_log_count("no connection to the control plane", 2);
        assert_eq!(
            plane
                .events()
                .seen()
                .into_iter()
                .filter_map(request)
                .count(),
            0,
            "{pin}"
        );
        plane.upgrade_to(Kuma::V2_6);
        daemon.wait_for_file(EMPTY);
    }
}

#[test]
fn pins_that_exclude_all_that_is_there_are_named() {
    let cases = [
        ("--transport=http", "HTTP"),
        ("--api-version=v1alpha1", "v1alpha1"),
    ];
    for (pin, what) in cases {
        let plane = ControlPlane::start(Kuma::V2_6);
        plane.replace_by(Serves {
            grpc_v1alpha1: false,
            grpc_v1: true,
            http_v1: false,
        });
        let daemon = Launch::follow(&plane.grpc_url()).argument(pin).start();
        daemon.wait_for_trouble();
        daemon.wait_for_log(what);
    }
}

#[test]
fn contradictory_pins_are_an_error_of_usage_in_one_line() {
    let cases: [(&[&str], &str); 4] = [
        (
            &["--transport=http", "--api-version=v1alpha1"],
            "--api-version \"v1alpha1\": v1alpha1 is served over gRPC only, not over HTTP",
        ),
        (
            &["--cp-address=grpcs://cp", "--api-version=v1alpha1"],
            "--api-version \"v1alpha1\": v1alpha1 is not served over TLS; give grpc://",
        ),
        (
            &["--cp-address=grpcs://cp", "--transport=grpc"],
            "--transport \"grpc\": over TLS MADS is reached by HTTPS only; leave out the pin",
        ),
        (
            &["--client-cert-file=a.pem"],
            "--client-cert-file \"a.pem\": needs --client-key-file",
        ),
    ];
    for (arguments, expected) in cases {
        for subcommand in ["run", "check"] {
            let finished = Launch::bare()
                .argument(subcommand)
                .arguments(arguments.iter().copied())
                .run_to_its_end();
            assert_eq!(finished.code, Some(2), "{arguments:?}");
            assert_eq!(finished.stdout, "");
            assert_eq!(finished.stderr.lines().count(), 1, "{}", finished.stderr);
            assert!(finished.stderr.contains(expected), "{}", finished.stderr);
        }
    }
}

fn request(event: Event) -> Option<SeenRequest> {
    match event {
        Event::Request(request) => Some(request),
        _ => None,
    }
}

#[test]
fn a_pin_that_the_api_server_makes_impossible_is_told() {
    let identity = Authority::new("the authority");
    let plane = plane(&server_of(&identity));
    let cases = ["--transport=grpc", "--api-version=v1alpha1"];
    for pin in cases {
        let daemon = trusting(&identity, &api_url(&plane)).argument(pin).start();
        let line = daemon.wait_for_trouble();
        let text = format!("nothing left to try at 127.0.0.1:{}", plane.port());
        assert!(line.contains(&text), "{line}");
        let flags = "which --api-version or --transport excludes";
        assert!(line.contains(flags), "{line}");
    }
}
