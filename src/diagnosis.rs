//! Why a server hangs up without a word: perhaps it expects TLS where none is spoken, or the
//! reverse. One handshake tells.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use crate::address::{NO_TLS_IS_SPOKEN, Security, TLS_IS_SPOKEN};
use crate::tls;

/// The longest time for connecting, and for each read and write after it.
const LIMIT: Duration = Duration::from_secs(3);

/// What a client of HTTP/2 says first: the preface, and empty settings.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// What is spoken at `host` and `port`, where it is not what `security` asks for: a sentence for
/// an operator.
#[must_use]
pub fn diagnose(host: &str, port: u16, security: Security) -> Option<&'static str> {
    match security {
        Security::Plaintext if peer_certificate(host, port).is_ok() => Some(TLS_IS_SPOKEN),
        Security::Tls if speaks_plaintext(host, port).unwrap_or(false) => Some(NO_TLS_IS_SPOKEN),
        _ => None,
    }
}

/// The certificate that a server shows, in DER, whoever has issued it.
///
/// # Errors
/// Where the server cannot be reached or speaks no TLS.
pub fn peer_certificate(host: &str, port: u16) -> io::Result<Vec<u8>> {
    let config = tls::without_verification();
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(connection, connect(host, port)?);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    let certificates = stream.conn.peer_certificates().unwrap_or_default();
    let first = certificates
        .first()
        .ok_or_else(|| io::Error::other("no certificate"))?;
    Ok(first.to_vec())
}

/// Whether an HTTP/2 preface in plaintext is answered with HTTP of any version.
fn speaks_plaintext(host: &str, port: u16) -> io::Result<bool> {
    let mut stream = connect(host, port)?;
    stream.write_all(HTTP2_PREFACE)?;
    let mut answer = [0; 9];
    stream.read_exact(&mut answer)?;
    let is_settings_frame = answer[3] == 4 && answer[5..] == [0; 4];
    Ok(answer.starts_with(b"HTTP/") || is_settings_frame)
}

fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let addresses = (host, port).to_socket_addrs()?;
    let mut failure = io::Error::other("the name has no address");
    for address in addresses {
        match TcpStream::connect_timeout(&address, LIMIT) {
            Ok(stream) => {
                stream.set_read_timeout(Some(LIMIT))?;
                stream.set_write_timeout(Some(LIMIT))?;
                return Ok(stream);
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}
