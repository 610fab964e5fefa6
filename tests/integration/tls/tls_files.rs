//! The files of TLS: issuers to trust, certificates to show, and their replacement while the daemon
//! runs.

use kuma_stand_in::{Authority, ControlPlane, HttpAnswer, KumaVersion, Tls, Validity};

use crate::support::following::at_once;
use crate::support::harness::{Daemon, Launch};
use crate::support::mesh::{EMPTY, backend, file_v1};
use crate::support::observe::expect_settled;
use crate::support::secure::{api_url, grpcs_url, plane, server_of, showing, trusting};

#[test]
fn a_demanded_certificate_that_is_missing_or_of_another_authority_is_reported_with_the_flags() {
    let authority = Authority::new("the authority");
    let identity = authority.server(&["127.0.0.1"], Validity::Valid);
    let plane = plane(&Tls::demanding(&identity, &authority));
    let other = Authority::new("another").client("prometheus-01");
    let missing = [api_url(&plane), grpcs_url(&plane)].map(|url| trusting(&authority, &url));
    let launch = trusting(&authority, &api_url(&plane));
    let other = showing(launch, &other.certificate_pem, &other.key_pem);
    for launch in missing.into_iter().chain([other]) {
        let daemon = launch.start();
        let line = daemon.wait_for_trouble();
        for flag in ["--client-cert-file", "--client-key-file"] {
            assert!(line.contains(flag), "{flag} is not in: {line}");
        }
    }
}

#[test]
fn files_that_cannot_be_used_are_named_and_read_again() {
    let authority = Authority::new("the authority");
    let identity = authority.server(&["127.0.0.1"], Validity::Valid);
    let plane = plane(&Tls::demanding(&identity, &authority));
    let client = authority.client("prometheus-01");
    let (certificate, key) = (client.certificate_pem.as_str(), client.key_pem.as_str());
    let other_key = authority.client("another").key_pem;
    let ca = authority.pem();
    let no_certificate = "client.pem has no certificate in PEM";
    let no_key = "client.key has no private key in PEM";
    let cases = [
        ("missing", certificate, key, "cannot read ca.pem: "),
        ("", certificate, key, "ca.pem has no certificate in PEM"),
        ("-----BEGIN CERTIFICATE-----\nMIIB\n", certificate, key, "ca.pem "),
        (&ca, "", key, no_certificate),
        (&ca, key, key, no_certificate),
        (&ca, certificate, "", no_key),
        (&ca, certificate, certificate, no_key),
        (&ca, certificate, &other_key, "client.key cannot be used: "),
    ];
    let address = api_url(&plane);
    at_once(cases, |(given_ca, given_certificate, given_key, expected)| {
        let launch = Launch::follow(&address).argument("--ca-cert-file=ca.pem");
        if given_ca != "missing" {
            launch.put("ca.pem", given_ca);
        }
        let launch = showing(launch, given_certificate, given_key);
        let mut daemon = launch.start();
        let line = daemon.wait_for_trouble();
        assert!(line.contains(expected), "{expected}: {line}");
        assert!(!line.contains("PRIVATE"), "{line}");
        assert!(daemon.is_running(), "{line}");

        launch.put("ca.pem", &ca);
        launch.put("client.pem", certificate);
        launch.put("client.key", key);
        daemon.wait_for_file(EMPTY);
    });
}

/// A control plane with a certificate that can be replaced, and a daemon that has its list.
fn followed() -> (Authority, Tls, ControlPlane, Launch, Daemon) {
    let authority = Authority::new("the authority");
    let tls = server_of(&authority);
    let plane = plane(&tls);
    let launch = trusting(&authority, &api_url(&plane));
    let daemon = following(&launch);
    (authority, tls, plane, launch, daemon)
}

/// A daemon that follows `plane` and has its list.
fn following(launch: &Launch) -> Daemon {
    let daemon = launch.start();
    daemon.wait_for_file(EMPTY);
    daemon
}

#[test]
fn an_issuer_that_is_replaced_on_disk_is_trusted_at_the_next_connect() {
    let (_authority, tls, plane, launch, daemon) = followed();

    let successor = Authority::new("the next authority");
    tls.rotate(&server_of(&successor));
    plane.fault_proxy().cut();
    daemon.wait_for_log("of an unknown issuer");
    launch.put("ca.pem", successor.pem());
    plane.publish(&[backend(0)]);
    daemon.wait_for_file(&file_v1(&[backend(0)]));
}

#[test]
fn a_client_certificate_that_is_replaced_is_shown_at_the_next_connect() {
    let authority = Authority::new("the authority");
    let clients = Authority::new("of clients");
    let identity = authority.server(&["127.0.0.1"], Validity::Valid);
    let tls = Tls::demanding(&identity, &clients);
    let plane = plane(&tls);
    let client = clients.client("prometheus-01");
    let launch = trusting(&authority, &api_url(&plane));
    let launch = showing(launch, &client.certificate_pem, &client.key_pem);
    let daemon = following(&launch);

    let successors = Authority::new("the next of clients");
    tls.rotate(&Tls::demanding(&identity, &successors));
    plane.fault_proxy().cut();
    daemon.wait_for_trouble();
    let client = successors.client("prometheus-01");
    launch.put("client.pem", &client.certificate_pem);
    launch.put("client.key", &client.key_pem);
    plane.publish(&[backend(0)]);
    daemon.wait_for_file(&file_v1(&[backend(0)]));
}

#[test]
fn tls_may_come_and_go_with_what_the_api_server_says() {
    let authority = Authority::new("the authority");
    let secure = plane(&server_of(&authority));
    let plain = ControlPlane::start(KumaVersion::V2_12);
    let daemon = following(&trusting(&authority, &plain.api_url()));
    let config = |plane: &ControlPlane, tls: bool| {
        let mads = serde_json::json!({"port": plane.port(), "tlsEnabled": tls});
        let document = serde_json::json!({"monitoringAssignmentServer": mads});
        plain.api().set("/config", HttpAnswer::json(200, &document));
    };
    expect_settled(&plain);
    config(&secure, true);
    secure.publish(&[backend(1)]);
    plain.fault_proxy().cut();
    daemon.wait_for_file(&file_v1(&[backend(1)]));

    expect_settled(&secure);
    config(&plain, false);
    plain.publish(&[backend(2)]);
    secure.fault_proxy().cut();
    daemon.wait_for_file(&file_v1(&[backend(2)]));
}
