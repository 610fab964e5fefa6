//! An HTTP/1.1 server, with or without TLS: a thread for each connection, kept alive between
//! requests.

use std::io::{self, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::thread;
use std::time::Duration;

use crate::event::HttpRequest;
use crate::http_answer::HttpAnswer;
use crate::http1;
use crate::listener::{Connection, Listener};
use crate::tls::Tls;

/// What answers requests. It is given the connection, to see whether its client is still there.
pub(crate) type Handler = dyn Fn(&HttpRequest, &Connection) -> HttpAnswer + Send + Sync;

/// The running server. Dropping it ends its connections.
pub(crate) struct HttpServer {
    listener: Listener,
}

impl HttpServer {
    /// Starts on a port, or on a free one. `connected` makes the handler of a new connection.
    pub(crate) fn start(
        name: &'static str,
        port: Option<u16>,
        tls: Option<Tls>,
        connected: impl Fn() -> Box<Handler> + Send + Sync + 'static,
    ) -> io::Result<HttpServer> {
        let listener = Listener::start(name, port, move |connection| {
            // How a connection ends is for its client to see.
            let _ = serve(&connection, tls.as_ref(), &*connected());
        })?;
        Ok(HttpServer { listener })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// The port, its connections, and the means to close it.
    pub(crate) fn listener(&self) -> &Listener {
        &self.listener
    }
}

/// Whether a client accepts what a route gives: JSON, where that is announced, or else something
/// that only those accept who accept anything.
pub(crate) fn is_accepted(request: &HttpRequest, announces_json: bool) -> bool {
    let Some(accept) = request.header("accept") else {
        return true;
    };
    let mut ranges = accept.split(',').filter_map(|range| range.split(';').next()).map(str::trim);
    ranges.any(|range| range == "*/*" || (announces_json && range == "application/json"))
}

fn serve(connection: &Connection, tls: Option<&Tls>, handler: &Handler) -> io::Result<()> {
    let Some(tls) = tls else {
        return converse(&connection.stream, connection, handler);
    };
    let mut first = [0];
    connection.stream.peek(&mut first)?;
    // A record of a TLS handshake. Go recognizes HTTP by its method, and ends everything else.
    if first[0] == 0x16 {
        let mut stream = tls.accept(&connection.stream)?;
        let ended = converse(&mut stream, connection, handler);
        stream.conn.send_close_notify();
        stream.flush()?;
        return ended;
    }
    if first[0].is_ascii_uppercase() && !is_http2(connection)? {
        (&connection.stream).write_all(http1::PLAINTEXT_TO_TLS)?;
    }
    connection.stream.shutdown(Shutdown::Write)?;
    connection.wait_for_end();
    Ok(())
}

/// `POST` and the preface of HTTP/2 have their first letter in common, so one byte does not do; a
/// peer that sends no second one is not waited for long.
fn is_http2(connection: &Connection) -> io::Result<bool> {
    let mut start = [0; 2];
    for _ in 0..1000 {
        match connection.stream.peek(&mut start)? {
            1 if start[0] == b'P' => thread::sleep(Duration::from_millis(1)),
            length => return Ok(start[..length] == *b"PR"),
        }
    }
    Ok(false)
}

/// Answers requests until the connection ends.
fn converse(
    stream: impl Read + Write,
    connection: &Connection,
    handler: &Handler,
) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let request = match http1::read_request(&mut reader) {
            Ok(Some(request)) => request,
            Ok(None) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                reader.get_mut().write_all(http1::BAD_REQUEST)?;
                reader.get_mut().flush()?;
                connection.stream.shutdown(Shutdown::Write)?;
                connection.wait_for_end();
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let answer = handler(&request, connection);
        let close =
            request.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        let mut writer = io::BufWriter::new(reader.get_mut());
        if !http1::write_answer(&mut writer, &answer, connection)? || close {
            return Ok(());
        }
    }
}
