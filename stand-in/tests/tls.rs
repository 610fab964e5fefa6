//! MADS and the API server over TLS.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::net::TcpStream;
use std::sync::Arc;

use kuma_stand_in::{
    ApiVersion, Authority, ControlPlane, Identity, KumaVersion, Plan, Tls, Validity,
};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use support::{Http, SOON, Stream};

/// A connection of a client that trusts one authority, up to the end of its handshake.
fn connect(
    port: u16,
    trusted: &Authority,
    name: &'static str,
    client: Option<&Identity>,
) -> std::io::Result<Http<StreamOwned<ClientConnection, TcpStream>>> {
    let mut roots = RootCertStore::empty();
    let pem = trusted.pem();
    roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match client {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let certificate = CertificateDer::from_pem_slice(identity.certificate_pem.as_bytes());
            let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes());
            builder.with_client_auth_cert(vec![certificate.unwrap()], key.unwrap()).unwrap()
        }
    };
    let mut socket = TcpStream::connect(("127.0.0.1", port))?;
    socket.set_read_timeout(Some(SOON))?;
    let name = name.try_into().unwrap();
    let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
    while connection.is_handshaking() {
        connection.complete_io(&mut socket)?;
    }
    assert_eq!(connection.alpn_protocol(), None);
    Ok(Http::over(StreamOwned::new(connection, socket)))
}

fn plane(tls: &Tls) -> ControlPlane {
    let plan =
        Plan { tls: Some(tls.clone()), api_tls: Some(tls.clone()), ..Plan::new(KumaVersion::V2_6) };
    plan.start().unwrap()
}

#[test]
fn mads_and_the_api_server_are_served_over_tls() {
    let authority = Authority::new("the authority");
    let identity = authority.server(&["localhost", "127.0.0.1"], Validity::Valid);
    let plane = plane(&Tls::new(&identity));
    for name in ["localhost", "127.0.0.1"] {
        let mut http = connect(plane.port(), &authority, name, None).unwrap();
        assert_eq!(http.poll("", "30s").status, 200);
        let version = plane.version(ApiVersion::V1).unwrap();
        assert_eq!(http.poll(&version, "10ms").status, 304);
    }
    assert_eq!(plane.http_url(), format!("https://127.0.0.1:{}", plane.port()));
    let api = plane.api().address().port();
    let mut http = connect(api, &authority, "localhost", None).unwrap();
    let config = http.get("/config", "").body;
    assert!(config.contains("\"tlsEnabled\":true"), "{config}");
}

#[test]
fn what_is_wrong_with_a_certificate_is_seen() {
    let authority = Authority::new("the authority");
    let stranger = Authority::new("another authority");
    let valid = authority.server(&["localhost"], Validity::Valid);
    let expired = authority.server(&["localhost"], Validity::Expired);
    let not_yet = authority.server(&["localhost"], Validity::NotYet);
    let foreign = stranger.server(&["localhost"], Validity::Valid);
    let tls = Tls::new(&valid);
    let plane = plane(&tls);
    let error =
        |name| connect(plane.port(), &authority, name, None).err().map(|error| error.to_string());
    assert_eq!(error("localhost"), None);
    assert!(error("example.org").unwrap().contains("not valid for name"));
    for (identity, problem) in
        [(expired, "expired"), (not_yet, "not valid yet"), (foreign, "UnknownIssuer")]
    {
        tls.rotate(&Tls::new(&identity));
        let error = error("localhost").unwrap();
        assert!(error.contains(problem), "{error}");
    }
    tls.rotate(&Tls::new(&valid));
    assert_eq!(error("localhost"), None);
}

#[test]
fn a_client_certificate_may_be_demanded() {
    let authority = Authority::new("the authority");
    let clients = Authority::new("the clients' authority");
    let identity = authority.server(&["localhost"], Validity::Valid);
    let plane = plane(&Tls::demanding(&identity, &clients));
    let client = clients.client("prometheus");
    let mut http = connect(plane.port(), &authority, "localhost", Some(&client)).unwrap();
    assert_eq!(http.poll("", "30s").status, 200);

    // In TLS 1.3 a client learns of its rejection after its part of the handshake.
    let foreign = authority.client("somebody");
    for client in [None, Some(&foreign)] {
        let answered =
            connect(plane.port(), &authority, "localhost", client).and_then(|mut http| {
                http.send("GET / HTTP/1.1\r\n\r\n")?;
                http.rest()
            });
        assert!(answered.is_err(), "{answered:?}");
    }
}

#[test]
fn what_is_not_tls_is_refused_or_ended() {
    let authority = Authority::new("the authority");
    let identity = authority.server(&["localhost"], Validity::Valid);
    let plane = plane(&Tls::new(&identity));
    let get = |port| {
        let mut http = Http::connect(port);
        http.send("GET / HTTP/1.1\r\n\r\n").unwrap();
        http.rest().unwrap()
    };
    let told = |answer: &str| {
        answer.starts_with("HTTP/1.0 400 Bad Request\r\n")
            && answer.ends_with("Client sent an HTTP request to an HTTPS server.\n")
    };
    assert!(told(&get(plane.api().address().port())));
    assert_eq!(get(plane.port()), "", "where gRPC is served, too");
    plane.upgrade_to(KumaVersion::V2_12);
    assert!(told(&get(plane.port())));

    plane.upgrade_to(KumaVersion::V2_6);
    let mut stream = Stream::open(plane.port(), ApiVersion::V1);
    stream.request("", "", None);
    assert_eq!(i32::from(stream.end().code()), 14);
}
