//! What the tests of TLS have in common: a control plane behind certificates, and a daemon that is
//! given the issuers to trust and the certificate to present.

use kuma_stand_in::{Authority, ControlPlane, KumaVersion, Plan, Tls, Validity};

use crate::support::harness::Launch;

/// What is logged of a connection over TLS.
pub(crate) const CONNECTED: &str = "over HTTP v1 with TLS";

/// A control plane of the present kind, with TLS on both ports.
pub(crate) fn plane(tls: &Tls) -> ControlPlane {
    let plan = Plan {
        tls: Some(tls.clone()),
        api_tls: Some(tls.clone()),
        ..Plan::new(KumaVersion::V2_12)
    };
    plan.start().expect("free ports")
}

/// A server for this machine's names, with a certificate of an authority.
pub(crate) fn server_of(authority: &Authority) -> Tls {
    Tls::new(&authority.server(&["127.0.0.1", "localhost"], Validity::Valid))
}

/// The API server of a control plane, with TLS.
pub(crate) fn api_url(plane: &ControlPlane) -> String {
    format!("https://{}", plane.api().address())
}

/// MADS of a control plane, with TLS.
pub(crate) fn grpcs_url(plane: &ControlPlane) -> String {
    format!("grpcs://127.0.0.1:{}", plane.port())
}

/// A launch that trusts an authority, by `ca.pem` in its folder.
pub(crate) fn trusting(authority: &Authority, address: &str) -> Launch {
    let launch = Launch::follow(address);
    launch.put("ca.pem", authority.pem());
    launch.argument("--ca-cert-file=ca.pem")
}

/// A launch that shows a client's certificate, by `client.pem` and `client.key` in its folder.
pub(crate) fn showing(launch: Launch, certificate: &str, key: &str) -> Launch {
    launch.put("client.pem", certificate);
    launch.put("client.key", key);
    launch.argument("--client-cert-file=client.pem").argument("--client-key-file=client.key")
}

/// Whether a log shows a secret, be it in the bytes that a library lists in hexadecimal, 16 to a
/// line.
pub(crate) fn shows(log: &str, secret: &str) -> bool {
    let bytes: Vec<u8> = log.lines().flat_map(listed_bytes).collect();
    let is_listed = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
    is_listed || log.contains(secret)
}

fn listed_bytes(line: &str) -> Vec<u8> {
    let listing = line.split_once("TRACE] ").map_or("", |(_, listing)| listing);
    let columns = listing.split(' ').take_while(|column| column.len() == 4);
    columns
        .flat_map(|column| [column.get(..2), column.get(2..)])
        .map_while(|digits| u8::from_str_radix(digits?, 16).ok())
        .collect()
}
