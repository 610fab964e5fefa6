//! Why a server hangs up without a word: perhaps it expects TLS where none is spoken, or the
//! reverse. One handshake shows it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use crate::mads::transport::address::{Address, NO_TLS_IS_SPOKEN, Security, TLS_IS_SPOKEN};
use crate::mads::transport::background::done_by;
use crate::mads::transport::tls;

/// The longest time for one look at a server, all of it together.
pub const LIMIT: Duration = Duration::from_secs(3);

/// What a client of HTTP/2 says first: the preface, and empty settings.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// How an answer of HTTP/1 begins.
const HTTP1: &[u8] = b"HTTP/";

/// What is spoken at an address, where it is not what its scheme asks for: a sentence for an operator.
pub fn diagnose(address: &Address) -> Option<&'static str> {
    let deadline = Instant::now() + LIMIT;
    match address.security() {
        Security::Plaintext => peer_certificate(address, deadline).is_ok().then_some(TLS_IS_SPOKEN),
        Security::Tls => {
            speaks_plaintext(address, deadline).unwrap_or(false).then_some(NO_TLS_IS_SPOKEN)
        }
    }
}

/// The certificate that a server shows by then, in DER, whoever has issued it.
///
/// # Errors
/// Where the server cannot be reached, speaks no TLS or is too slow.
pub fn peer_certificate(address: &Address, deadline: Instant) -> io::Result<Vec<u8>> {
    let name = ServerName::try_from(address.host.clone()).map_err(io::Error::other)?;
    let config = Arc::new(tls::without_verification());
    let connection = ClientConnection::new(config, name).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(connection, connect(address, deadline)?);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    let certificates = stream.conn.peer_certificates().unwrap_or_default();
    let first = certificates.first().ok_or_else(|| io::Error::other("no certificate"))?;
    Ok(first.to_vec())
}

/// Whether an HTTP/2 preface in plaintext is answered with HTTP of any version.
fn speaks_plaintext(address: &Address, deadline: Instant) -> io::Result<bool> {
    let answer = answer_to_preface(address, deadline)?;
    let is_settings_frame = answer[3] == 4 && answer[5..] == [0; 4];
    Ok(answer.starts_with(HTTP1) || is_settings_frame)
}

/// Whether an HTTP/2 preface in plaintext is answered with HTTP/1, so that no gRPC is spoken there. Not
/// where nothing is answered in time.
#[cfg(feature = "grpc")]
pub fn speaks_http1(address: &Address) -> bool {
    let answer = answer_to_preface(address, Instant::now() + LIMIT);
    answer.is_ok_and(|answer| answer.starts_with(HTTP1))
}

fn answer_to_preface(address: &Address, deadline: Instant) -> io::Result<[u8; 9]> {
    let mut stream = connect(address, deadline)?;
    stream.write_all(HTTP2_PREFACE)?;
    let mut answer = [0; 9];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

/// A connection that ends at a time, however the peer behaves: a limit for each read would be
/// begun anew by each byte.
struct Limited {
    stream: TcpStream,
    deadline: Instant,
}

impl Read for Limited {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(left(self.deadline)?))?;
        self.stream.read(buffer)
    }
}

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(left(self.deadline)?))?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// The time until then, which is never none.
fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    match left.is_zero() {
        true => Err(ErrorKind::TimedOut.into()),
        false => Ok(left),
    }
}

/// Connects to the first address that takes a connection; each has its share of the time.
fn connect(address: &Address, deadline: Instant) -> io::Result<Limited> {
    let mut failure = io::Error::other("the name has no address");
    let name = (address.host.clone(), address.port);
    let look_up = move || (name.0.as_str(), name.1).to_socket_addrs();
    let mut addresses = done_by("look-up", deadline, look_up)??;
    while let Some(address) = addresses.next() {
        let candidates = u32::try_from(addresses.len()).unwrap_or(u32::MAX).saturating_add(1);
        match TcpStream::connect_timeout(&address, left(deadline)? / candidates) {
            Ok(stream) => return Ok(Limited { stream, deadline }),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}
