//! TLS where plaintext was asked for, and the reverse: the log says which it is and what to give
//! instead, whether the server answers the wrong language or closes the connection without an answer.

use kuma_stand_in::{Authority, ControlPlane, KumaVersion};

use crate::support::following::at_once;
use crate::support::foreign_servers::ForeignServer;
use crate::support::harness::Launch;
use crate::support::secure::{api_url, plane, server_of};

const TLS_IS_SPOKEN: &str = "TLS is spoken there; give an address with https:// or grpcs://";
const NO_TLS_IS_SPOKEN: &str = "no TLS is spoken there; give an address with http:// or grpc://";

/// A control plane with TLS on both ports, whoever issued its certificate.
fn secure_plane() -> ControlPlane {
    plane(&server_of(&Authority::new("the authority")))
}

/// Sees that the first failure at each address, and each of the next, has a diagnosis.
fn expect_diagnosis(expected: &str, addresses: &[String]) {
    at_once(addresses, |address| {
        let daemon = Launch::follow(address).start();
        for count in 1..=3 {
            let line = daemon.wait_for_log_count("no connection to the control plane: ", count);
            assert!(line.contains(expected), "{address}, {count}: {line}");
            // One of the sentences is the other with one word more.
            let is_negated = line.contains("no TLS is spoken");
            assert_eq!(is_negated, expected == NO_TLS_IS_SPOKEN, "{address}: {line}");
        }
        assert_eq!(daemon.file(), None);
    });
}

fn at(scheme: &str, port: u16) -> String {
    format!("{scheme}://127.0.0.1:{port}")
}

#[test]
fn tls_at_an_address_of_plaintext_is_reported() {
    let plane = secure_plane();
    let hangs_up = ForeignServer::that_knows_only_tls(plane.port());
    let addresses = [
        at("http", plane.api().address().port()),
        at("http", plane.port()),
        at("grpc", plane.port()),
        at("http", hangs_up.port()),
        at("grpc", hangs_up.port()),
    ];
    expect_diagnosis(TLS_IS_SPOKEN, &addresses);
}

#[test]
fn plaintext_at_an_address_of_tls_is_reported() {
    let planes =
        [KumaVersion::V0_7, KumaVersion::V2_6, KumaVersion::V2_12].map(ControlPlane::start);
    let hangs_up = ForeignServer::that_knows_no_tls(planes[2].port());
    let mads = planes.iter().map(ControlPlane::port).chain([hangs_up.port()]);
    let mads = mads.flat_map(|port| ["https", "grpcs"].map(|scheme| at(scheme, port)));
    let addresses: Vec<_> = planes[1..].iter().map(api_url).chain(mads).collect();
    expect_diagnosis(NO_TLS_IS_SPOKEN, &addresses);
}

#[test]
fn tls_at_a_grpc_address_with_the_transport_pinned() {
    let plane = secure_plane();
    let server = ForeignServer::that_knows_only_tls(plane.port());
    for (transport, port) in
        [("grpc", server.port()), ("http", server.port()), ("http", plane.port())]
    {
        let daemon =
            Launch::follow(&at("grpc", port)).argument(format!("--transport={transport}")).start();
        let line = daemon.wait_for_trouble();
        assert!(line.contains(TLS_IS_SPOKEN), "{transport}: {line}");
    }
}

#[test]
fn a_server_that_hangs_up_on_everyone_is_not_diagnosed() {
    let server = ForeignServer::that_hangs_up();
    for scheme in ["http", "https", "grpc", "grpcs"] {
        let daemon = Launch::follow(&format!("{scheme}://127.0.0.1:{}", server.port())).start();
        daemon.wait_for_trouble();
        daemon.wait_for_log_count("no connection to the control plane: ", 2);
        assert_eq!(daemon.lines_with("TLS is spoken"), 0, "{scheme}");
    }
}

#[test]
fn what_speaks_neither_http_nor_tls_is_no_control_plane() {
    let server = ForeignServer::that_says(b"220 mail.example ESMTP\r\n");
    for scheme in ["http", "grpc"] {
        let daemon = Launch::follow(&format!("{scheme}://127.0.0.1:{}", server.port())).start();
        daemon.wait_for_trouble();
        assert_eq!(daemon.lines_with("TLS is spoken"), 0, "{scheme}");
    }
    for scheme in ["https", "grpcs"] {
        let daemon = Launch::follow(&format!("{scheme}://127.0.0.1:{}", server.port())).start();
        let line = daemon.wait_for_trouble();
        assert!(line.contains(NO_TLS_IS_SPOKEN), "{line}");
    }
}
