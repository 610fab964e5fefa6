//! Over TLS: what is warned of, and whom the daemon trusts where it is given no certificate.

use kuma_stand_in::{Authority, KumaVersion, Plan, Tls, Validity};

use crate::support::harness::Launch;
use crate::support::mesh::EMPTY;
use crate::support::secure::{CONNECTED, api_url, plane, server_of, trusting};

#[test]
fn plaintext_after_an_https_address_is_warned_of() {
    let authority = Authority::new("the authority");
    let plan = Plan { api_tls: Some(server_of(&authority)), ..Plan::new(KumaVersion::V2_12) };
    let plane = plan.start().expect("free ports");
    let daemon = trusting(&authority, &api_url(&plane)).start();
    daemon.wait_for_file(EMPTY);
    let authority = format!("127.0.0.1:{}", plane.port());
    let line = daemon.wait_for_log("WARN ");
    let text = format!("MADS at {authority} in plaintext, although --cp-address is https");
    assert!(line.contains(&text), "{line}");
    let line = daemon.wait_for_log("connected to MADS");
    assert!(!line.contains("TLS"), "{line}");
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
fn skipping_verification_is_warned_of_at_every_start() {
    let identity = Authority::new("nobody").server(&["other.invalid"], Validity::Expired);
    let plane = plane(&Tls::new(&identity));
    let launch = Launch::follow(&api_url(&plane)).argument("--tls-skip-verify");
    for _ in 0..2 {
        let daemon = launch.start();
        daemon.wait_for_warning("--tls-skip-verify: any server is trusted");
        daemon.wait_for_log(CONNECTED);
        daemon.wait_for_file(EMPTY);
        daemon.terminate();
    }
    let launch = Launch::follow(&api_url(&plane)).argument("--tls-skip-verify=false");
    let daemon = launch.start();
    daemon.wait_for_trouble();
    assert_eq!(daemon.lines_with("any server is trusted"), 0);
}
