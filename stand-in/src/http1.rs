//! HTTP/1.1 by hand: reading requests, writing answers of every kind.
//!
//! No server library lets a test send a truncated, endless or dripping body, and the well-formed
//! part that is needed here is small.

use std::io::{self, BufRead, Read, Write};

use crate::event::HttpRequest;
use crate::http_answer::{Body, HttpAnswer};
use crate::listener::Connection;

/// The longest head that is read: request line and headers.
const MAX_HEAD: u64 = 64 * 1024;

/// The longest body that is read. Discovery requests are a few hundred bytes.
const MAX_BODY: u64 = 1024 * 1024;

/// Go's `net/http` frames a body in chunks if it did not know its length when it wrote the head,
/// which for Kuma's answers is the case above this size.
const GO_WRITE_BUFFER: usize = 2048;

/// Go's answer to what is no HTTP.
pub(crate) const BAD_REQUEST: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    Content-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n400 Bad Request";

/// Go's answer to plaintext HTTP on a TLS port.
pub(crate) const PLAINTEXT_TO_TLS: &[u8] =
    b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

/// Reads the next request of a connection. `None` where the connection ended before it.
///
/// # Errors
///
/// `InvalidData` if it is no HTTP/1 request; the connection's errors otherwise.
pub(crate) fn read_request(reader: &mut impl BufRead) -> io::Result<Option<HttpRequest>> {
    let mut head = reader.by_ref().take(MAX_HEAD);
    let line = read_line(&mut head)?;
    if line.is_empty() {
        return Ok(None);
    }
    let mut words = line.split(' ');
    let (Some(method), Some(target), Some("HTTP/1.1" | "HTTP/1.0"), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(bad("no request line"));
    };
    let mut request = HttpRequest {
        method: method.to_owned(),
        target: target.to_owned(),
        ..HttpRequest::default()
    };
    loop {
        let line = read_line(&mut head)?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or_else(|| bad("no header"))?;
        let header = (name.to_ascii_lowercase(), value.trim().to_owned());
        request.headers.push(header);
    }
    request.body = read_body(&request, reader)?;
    Ok(Some(request))
}

fn read_body(request: &HttpRequest, reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let chunked = request
        .header("transfer-encoding")
        .is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"));
    let mut body = Vec::new();
    if !chunked {
        let length = match request.header("content-length") {
            Some(length) => length.parse().map_err(|_| bad("no Content-Length"))?,
            None => 0,
        };
        read_exactly(reader, length, &mut body)?;
        return Ok(body);
    }
    loop {
        let line = read_line(reader)?;
        let length = u64::from_str_radix(&line, 16).map_err(|_| bad("no chunk length"))?;
        read_exactly(reader, length, &mut body)?;
        if !read_line(reader)?.is_empty() {
            return Err(bad("no end of a chunk"));
        }
        if length == 0 {
            return Ok(body);
        }
    }
}

fn read_exactly(reader: &mut impl BufRead, length: u64, body: &mut Vec<u8>) -> io::Result<()> {
    if length > MAX_BODY - body.len() as u64 {
        return Err(bad("too long a body"));
    }
    if reader.take(length).read_to_end(body)? as u64 != length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}

/// A line without its end; empty at the end of the connection, too.
fn read_line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line)?;
    let ended = line.pop_if(|byte| *byte == b'\n').is_some();
    line.pop_if(|byte| *byte == b'\r');
    match String::from_utf8(line) {
        Ok(line) if ended || line.is_empty() => Ok(line),
        _ => Err(bad("no line")),
    }
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Writes an answer. Returns whether the connection can go on after it.
///
/// # Errors
///
/// Those of the connection.
pub(crate) fn write_answer(
    writer: &mut impl Write,
    answer: &HttpAnswer,
    connection: &Connection,
) -> io::Result<bool> {
    let (status, headers, body) = match answer {
        HttpAnswer::Response { status, headers, body } => (*status, headers, body),
        HttpAnswer::Raw(bytes) => {
            writer.write_all(bytes)?;
            writer.flush()?;
            return Ok(false);
        }
        HttpAnswer::Silence => {
            connection.wait_for_end();
            return Ok(false);
        }
    };
    let mut head = format!("HTTP/1.1 {status} {}\r\n", reason(status));
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let bodiless = status == 304 || status == 204;
    let chunked = matches!(body, Body::Full(bytes) if bytes.len() > GO_WRITE_BUFFER);
    let framing = match body {
        Body::Full(_) if bodiless => String::new(),
        Body::Full(_) if chunked => "Transfer-Encoding: chunked\r\n".to_owned(),
        Body::Full(bytes) => format!("Content-Length: {}\r\n", bytes.len()),
        Body::Truncated { promised, .. } => format!("Content-Length: {promised}\r\n"),
        Body::Drip { bytes, .. } => format!("Content-Length: {}\r\n", bytes.len()),
        Body::Endless(_) => "Transfer-Encoding: chunked\r\n".to_owned(),
    };
    write!(writer, "{head}{framing}\r\n")?;
    match body {
        Body::Full(_) if bodiless => {}
        Body::Full(bytes) if chunked => {
            for chunk in bytes.chunks(32 * 1024) {
                write_chunk(writer, chunk)?;
            }
            write_chunk(writer, &[])?;
        }
        Body::Full(bytes) => writer.write_all(bytes)?,
        Body::Truncated { sent, .. } => {
            writer.write_all(sent)?;
            writer.flush()?;
            return Ok(false);
        }
        Body::Endless(bytes) => loop {
            write_chunk(writer, bytes)?;
        },
        Body::Drip { bytes, pause } => {
            for byte in bytes {
                writer.write_all(&[*byte])?;
                writer.flush()?;
                if !connection.pause(*pause) {
                    return Ok(false);
                }
            }
        }
    }
    writer.flush()?;
    Ok(true)
}

/// An empty chunk is the last one.
fn write_chunk(writer: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    write!(writer, "{:x}\r\n", bytes.len())?;
    writer.write_all(bytes)?;
    writer.write_all(b"\r\n")
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        415 => "Unsupported Media Type",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Something",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_with_a_length_and_in_chunks_follow_each_other() {
        let mut bytes: &[u8] = b"POST /a?x=1 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi\
            POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
        let first = read_request(&mut bytes).unwrap().unwrap();
        assert_eq!((first.path(), first.body.as_slice()), ("/a", &b"hi"[..]));
        assert_eq!(first.parameter("x"), Some("1"));
        assert_eq!(first.header("host"), Some("h"));
        let second = read_request(&mut bytes).unwrap().unwrap();
        assert_eq!((second.path(), second.body.as_slice()), ("/b", &b"abc"[..]));
        assert!(read_request(&mut bytes).unwrap().is_none());
    }

    #[test]
    fn what_is_no_request_is_said_to_be_none() {
        for mut bytes in [&b"\x16\x03\x01\x02\x00"[..], b"hello\r\n\r\n", b"GET / HT"] {
            let error = read_request(&mut bytes).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
    }
}
