//! Pins: what negotiation may not decide.

use kuma_stand_in::{ApiVersion, ControlPlane, KumaVersion, Transport};

use crate::support::harness::{Launch, SOON};
use crate::support::mesh::EMPTY;

#[test]
fn what_is_pinned_is_the_only_one_that_is_spoken() {
    let (v1, v1alpha1) = (ApiVersion::V1, ApiVersion::V1Alpha1);
    // Each serves both.
    for (pin, kuma, transport, api_version) in [
        ("--transport=http", KumaVersion::V2_6, Transport::Http, v1),
        ("--api-version=auto", KumaVersion::V1_2, Transport::Grpc, v1),
        ("--api-version=v1alpha1", KumaVersion::V1_2, Transport::Grpc, v1alpha1),
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
