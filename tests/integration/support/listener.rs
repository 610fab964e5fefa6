//! A client of the daemon's listener, which says exactly what goes over the wire.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::support::harness::{Daemon, SOON};

/// The argument that lets the system choose the port.
pub(crate) const LISTEN: &str = "--listen-address=127.0.0.1:0";

/// What precedes the address in the log.
const SERVED_AT: &str = "metrics, the list and a status page are served at http://";

/// A response, as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The lines after the status, in lower case.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    #[track_caller]
    pub(crate) fn text(self) -> String {
        String::from_utf8(self.body).expect("the body is UTF-8")
    }

    /// Whether it has a header line, in lower case.
    pub(crate) fn has(&self, line: &str) -> bool {
        self.head.lines().any(|of_head| of_head == line)
    }
}

/// Where a daemon listens, as its log says.
#[track_caller]
pub(crate) fn address_of(daemon: &Daemon) -> SocketAddr {
    let line = daemon.wait_for_log(SERVED_AT);
    let (_, address) = line.split_once(SERVED_AT).expect("it was waited for");
    let address = address.trim().trim_end_matches('/');
    address.parse().expect("an address with a port")
}

/// What is served at a path.
#[track_caller]
pub(crate) fn get(address: SocketAddr, path: &str) -> Answer {
    ask(connect(address), &format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n"))
}

/// What is answered to a request over a Unix socket.
#[track_caller]
pub(crate) fn get_by_unix(socket: &Path, path: &str) -> Answer {
    let stream = UnixStream::connect(socket).expect("the daemon listens");
    stream.set_read_timeout(Some(SOON)).expect("a timeout can be set");
    ask(stream, &format!("GET {path} HTTP/1.1\r\nHost: any.example\r\n\r\n"))
}

/// A connection to a listener.
#[track_caller]
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the daemon listens");
    stream.set_read_timeout(Some(SOON)).expect("a timeout can be set");
    stream
}

/// Sends a request, and reads until the server closes.
#[track_caller]
pub(crate) fn ask(mut stream: impl Read + Write, request: &str) -> Answer {
    stream.write_all(request.as_bytes()).expect("a request can be sent");
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("the response can be read");
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("a whole head");
    let body = bytes.split_off(end + 4);
    let head = String::from_utf8(bytes).expect("the head is UTF-8").to_lowercase();
    let (status, head) = head.split_once("\r\n").expect("a status line");
    let status = status.strip_prefix("http/1.1 ").and_then(|status| status.get(..3));
    let status = status.and_then(|status| status.parse().ok()).expect("a status");
    Answer { status, head: head.to_owned(), body }
}
