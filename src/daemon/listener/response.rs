//! A response: its head, and the bytes that follow.
//!
//! Pure. Every response says that nothing of it may be kept, framed, or taken for another type, and that
//! a page may load from here only.

use std::sync::Arc;

use crate::snapshot::Snapshot;

/// The lines that every head has. There are no inline scripts or styles, so none need be allowed.
const SECURITY_HEADERS: &str = "\
Cache-Control: no-store\r
Content-Security-Policy: default-src 'none'; style-src 'self'; script-src 'self'; form-action 'self'; \
base-uri 'none'; frame-ancestors 'none'\r
Cross-Origin-Resource-Policy: same-origin\r
Referrer-Policy: no-referrer\r
X-Content-Type-Options: nosniff\r
X-Frame-Options: DENY\r
Connection: close\r
";

/// A response as it goes over the wire.
#[derive(Debug)]
pub(super) struct Response {
    head: Vec<u8>,
    body: Body,
}

/// What follows the head.
#[derive(Debug, Clone)]
pub(super) enum Body {
    Text(String),
    List(Arc<Snapshot>),
    Compressed(Arc<[u8]>),
}

impl Body {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::List(list) => list.bytes(),
            Self::Compressed(bytes) => bytes,
        }
    }
}

impl Response {
    /// A response with a status such as `200 OK`.
    pub(super) fn new(status: &str, content_type: &str, body: Body) -> Self {
        let length = body.bytes().len();
        let mut head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n{SECURITY_HEADERS}"
        );
        if matches!(body, Body::Compressed(_)) {
            head.push_str("Content-Encoding: gzip\r\n");
        }
        head.push_str("\r\n");
        Self { head: head.into_bytes(), body }
    }

    /// A line of text.
    pub(super) fn line(status: &str, text: &str) -> Self {
        let body = Body::Text(text.to_owned());
        Self::new(status, "text/plain; charset=utf-8", body)
    }

    /// What list it sends, by where that is in memory.
    pub(super) fn list(&self) -> Option<*const u8> {
        match &self.body {
            Body::List(_) | Body::Compressed(_) => Some(self.body.bytes().as_ptr()),
            Body::Text(_) => None,
        }
    }

    /// The head alone.
    pub(super) fn without_body(self) -> Self {
        Self { body: Body::Text(String::new()), ..self }
    }

    /// What is left to be sent after so many bytes, or the first part of it.
    pub(super) fn bytes_from(&self, sent: usize) -> &[u8] {
        match sent.checked_sub(self.head.len()) {
            Some(sent) => &self.body.bytes()[sent..],
            None => &self.head[sent..],
        }
    }
}
