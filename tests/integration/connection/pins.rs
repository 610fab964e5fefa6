//! Pins: what negotiation may not decide.

use kuma_stand_in::{ApiVersion, Authority, ControlPlane, Event, KumaVersion, Serves, Transport};

use crate::support::harness::{Launch, SOON};
use crate::support::mesh::EMPTY;
use crate::support::secure::{api_url, plane, server_of, trusting};

#[test]
fn what_is_pinned_is_the_only_one_that_is_spoken() {
    let (v1, v1alpha1) = (ApiVersion::V1, ApiVersion::V1Alpha1);
    // Each serves both.
    for (pin, kuma, transport, api_version) in [
        ("--transport=grpc", KumaVersion::V2_6, Transport::Grpc, v1),
        ("--transport=http", KumaVersion::V2_6, Transport::Http, v1),
        ("--api-version=auto", KumaVersion::V1_2, Transport::Grpc, v1),
        ("--api-version=v1", KumaVersion::V1_2, Transport::Grpc, v1),
        (
            "--api-version=v1alpha1",
            KumaVersion::V1_2,
            Transport::Grpc,
            v1alpha1,
        ),
    ] {
        let plane = ControlPlane::start(kuma);
        let daemon = Launch::follow(&plane.grpc_url()).argument(pin).start();
        let expected = (transport, api_version);
        let first = plane.events().expect_request(SOON);
        assert_eq!((first.transport, first.api_version), expected, "{pin}");
        daemon.wait_for_file(EMPTY);
        plane.restart();
        plane.events().discard();
        let first = plane.events().expect_request(SOON);
        assert_eq!((first.transport, first.api_version), expected, "{pin}");
    }
}

#[test]
fn a_pin_that_is_not_served_is_an_error_that_is_retried() {
    for (pin, kuma, other) in [
        ("--transport=grpc", KumaVersion::V2_12, KumaVersion::V2_6),
        ("--transport=http", KumaVersion::V0_7, KumaVersion::V2_6),
        ("--api-version=v1", KumaVersion::V0_7, KumaVersion::V2_6),
        (
            "--api-version=v1alpha1",
            KumaVersion::V2_6,
            KumaVersion::V1_1,
        ),
    ] {
        let plane = ControlPlane::start(kuma);
        let daemon = Launch::follow(&plane.grpc_url()).argument(pin).start();
        daemon.wait_for_trouble();
        daemon.wait_for_log_count("no connection to the control plane", 2);
        let is_spoken =
            |event: &Event| matches!(event, Event::Request(_) | Event::StreamOpened { .. });
        assert!(!plane.events().seen().iter().any(is_spoken), "{pin}");
        plane.upgrade_to(other);
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
        let plane = ControlPlane::start(KumaVersion::V2_6);
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
fn a_pin_that_the_api_server_makes_impossible_is_reported() {
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
