//! Over TLS: where it is spoken, whom the daemon trusts, and how it tells one failure of that from
//! another.

use kuma_stand_in::{
    Authority, ControlPlane, Event, KumaVersion, Plan, SeenRequest, Tls, Transport, Validity,
};

use crate::support::foreign_servers::expect_waiting_poll;
use crate::support::harness::{Launch, SOON, localhost_is_known};
use crate::support::mesh::{EMPTY, backend, file_v1};
use crate::support::secure::{CONNECTED, api_url, grpcs_url, plane, server_of, trusting};

#[track_caller]
fn expect_poll(plane: &ControlPlane) -> SeenRequest {
    let request = plane.events().expect_request(SOON);
    assert_eq!(request.transport, Transport::Http);
    request
}

#[test]
fn mads_is_followed_over_https_where_the_address_is_its_own() {
    let authority = Authority::new("the authority");
    let plane = plane(&server_of(&authority));
    for address in [plane.http_url(), grpcs_url(&plane)] {
        plane.publish(&[backend(0)]);
        let daemon = trusting(&authority, &address).start();
        daemon.wait_for_file(&file_v1(&[backend(0)]));
        daemon.wait_for_log(CONNECTED);
        expect_poll(&plane);
        plane.publish(&[backend(1)]);
        daemon.wait_for_file(&file_v1(&[backend(1)]));
        // An address of grpcs is MADS itself: no API server is looked for.
        let is_grpcs = address.starts_with("grpcs");
        assert_eq!(daemon.lines_with("GET ") == 0, is_grpcs, "{address}");
    }
}

#[test]
fn a_name_is_verified_as_well_as_an_address() {
    if !localhost_is_known() {
        return;
    }
    let authority = Authority::new("the authority");
    let identity = authority.server(&["localhost"], Validity::Valid);
    let plane = plane(&Tls::new(&identity));
    let address = format!("https://localhost:{}", plane.api().address().port());
    let daemon = trusting(&authority, &address).start();
    daemon.wait_for_file(EMPTY);
    daemon.wait_for_log("connected to MADS at localhost:");
}

#[test]
fn an_https_api_server_leads_to_mads_over_tls() {
    let authority = Authority::new("the authority");
    let plane = plane(&server_of(&authority));
    let daemon = trusting(&authority, &api_url(&plane)).start();
    daemon.wait_for_file(EMPTY);
    let line = daemon.wait_for_log(CONNECTED);
    assert!(line.contains("as /config of the API server says"), "{line}");
    assert_eq!(daemon.lines_with("plaintext"), 0);
    assert_eq!(daemon.lines_with("WARN"), 0);
}

#[test]
fn plaintext_after_an_https_address_is_warned_of() {
    let authority = Authority::new("the authority");
    let plan = Plan {
        api_tls: Some(server_of(&authority)),
        ..Plan::new(KumaVersion::V2_12)
    };
    let plane = plan.start().expect("free ports");
    let daemon = trusting(&authority, &api_url(&plane)).start();
    daemon.wait_for_file(EMPTY);
    let authority = format!("127.0.0.1:{}", plane.port());
    let line = daemon.wait_for_log("WARN ");
    let text = format!("MADS at {authority} in plaintext, although --cp-address is https");
    assert!(line.contains(&text), "{line}");
    let line = daemon.wait_for_log("connected to MADS");
    assert!(!line.contains("TLS"), "{line}");

    // It is no news when it happens again.
    expect_waiting_poll(&plane);
    plane.restart();
    daemon.wait_for_log_count("asking for MADS", 4);
    plane.publish(&[backend(0)]);
    daemon.wait_for_file(&file_v1(&[backend(0)]));
    assert_eq!(daemon.lines_with("although --cp-address is https"), 1);
}

#[test]
fn the_system_trust_store_counts_where_no_authority_is_given() {
    let authority = Authority::new("the authority");
    let other = Authority::new("another").pem();
    let plane = plane(&server_of(&authority));
    let unknown = "of an unknown issuer";
    for (store, given, expected) in [
        (authority.pem(), None, None),
        (authority.pem(), Some(&other), Some(unknown)),
        (other.clone(), None, Some(unknown)),
        (String::new(), None, Some("--ca-cert-file")),
    ] {
        let mut launch = Launch::follow(&api_url(&plane)).variable("SSL_CERT_FILE", "store.pem");
        launch.put("store.pem", store);
        if let Some(given) = given {
            launch.put("ca.pem", given);
            launch = launch.argument("--ca-cert-file=ca.pem");
        }
        let daemon = launch.start();
        match expected {
            None => daemon.wait_for_file(EMPTY),
            Some(text) => {
                let line = daemon.wait_for_trouble();
                assert!(line.contains(text), "{text:?}: {line}");
            }
        }
    }
}

#[test]
fn failures_of_verification_are_distinguished() {
    let authority = Authority::new("the authority");
    let other = Authority::new("another");
    let here = ["127.0.0.1", "localhost"];
    let cases = [
        (
            other.server(&here, Validity::Valid),
            "the server's certificate is of an unknown issuer; \
             give the issuer's certificate as --ca-cert-file",
        ),
        (
            authority.server(&["other.invalid"], Validity::Valid),
            "the server's certificate is for another name (",
        ),
        (
            authority.server(&here, Validity::Expired),
            "the server's certificate has expired (",
        ),
        (
            authority.server(&here, Validity::NotYet),
            "the server's certificate is not valid yet (",
        ),
    ];
    for (identity, expected) in cases {
        let plane = plane(&Tls::new(&identity));
        for address in [api_url(&plane), grpcs_url(&plane)] {
            let daemon = trusting(&authority, &address).start();
            let line = daemon.wait_for_trouble();
            assert!(line.contains(expected), "{expected:?} is not in: {line}");
            let texts = [
                "unknown issuer",
                "another name",
                "has expired",
                "not valid yet",
            ];
            let told = texts.iter().filter(|text| line.contains(*text)).count();
            assert_eq!(told, 1, "{line}");
            assert_eq!(daemon.file(), None);
        }
    }
}

#[test]
fn nothing_is_asked_of_a_server_that_is_not_trusted() {
    let plane = plane(&server_of(&Authority::new("the authority")));
    let daemon = trusting(&Authority::new("another"), &api_url(&plane)).start();
    daemon.wait_for_trouble();
    let asked = plane
        .events()
        .seen()
        .into_iter()
        .filter(|event| matches!(event, Event::Http { .. } | Event::Request(_)));
    assert_eq!(asked.count(), 0);
}

#[test]
fn skipping_verification_is_warned_of_at_every_start() {
    let identity = Authority::new("nobody").server(&["other.invalid"], Validity::Expired);
    let plane = plane(&Tls::new(&identity));
    for argument in ["--tls-skip-verify", "--tls-skip-verify=true"] {
        let launch = Launch::follow(&api_url(&plane)).argument(argument);
        for _ in 0..2 {
            let daemon = launch.start();
            let line = daemon.wait_for_log("WARN ");
            assert!(
                line.contains("--tls-skip-verify: any server is trusted"),
                "{line}"
            );
            daemon.wait_for_log(CONNECTED);
            daemon.wait_for_file(EMPTY);
            daemon.terminate();
        }
    }
    let launch = Launch::follow(&api_url(&plane)).argument("--tls-skip-verify=false");
    let daemon = launch.start();
    daemon.wait_for_trouble();
    assert_eq!(daemon.lines_with("any server is trusted"), 0);
}
