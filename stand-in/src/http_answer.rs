//! HTTP answers, those of well-behaved servers and the others.

use std::time::Duration;

/// An answer to one HTTP request.
#[derive(Clone, Debug)]
pub enum HttpAnswer {
    /// A status line, headers and a body.
    Response {
        /// The status code.
        status: u16,
        /// Names and values; those that frame the body are added.
        headers: Vec<(String, String)>,
        /// The body, and how it is sent.
        body: Body,
    },
    /// These bytes in place of an answer, and the end of the connection.
    Raw(Vec<u8>),
    /// Nothing, for as long as the client waits.
    Silence,
}

/// The body of an answer.
#[derive(Clone, Debug)]
pub enum Body {
    /// Sent whole.
    Full(Vec<u8>),
    /// Sent, but more was promised: the connection ends early.
    Truncated {
        /// What is sent.
        sent: Vec<u8>,
        /// The length that is promised.
        promised: u64,
    },
    /// These bytes again and again, for as long as the client reads.
    Endless(Vec<u8>),
    /// One byte after the other.
    Drip {
        /// What is sent.
        bytes: Vec<u8>,
        /// The time between two bytes.
        pause: Duration,
    },
}

impl HttpAnswer {
    /// A complete answer.
    #[must_use]
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> HttpAnswer {
        HttpAnswer::Response {
            status,
            headers: vec![("Content-Type".to_owned(), content_type.to_owned())],
            body: Body::Full(body.into()),
        }
    }

    /// A complete answer of JSON.
    #[must_use]
    pub fn json(status: u16, body: &serde_json::Value) -> HttpAnswer {
        HttpAnswer::new(status, "application/json", body.to_string())
    }

    /// Kuma's form of an error, from 2.1 on.
    #[must_use]
    pub fn error(status: u16, title: &str, details: &str) -> HttpAnswer {
        let body = serde_json::json!({"title": title, "detail": details, "details": details});
        HttpAnswer::json(status, &body)
    }

    /// Kuma's form of an error before that.
    #[must_use]
    pub fn old_error(status: u16, title: &str, details: &str) -> HttpAnswer {
        HttpAnswer::json(status, &serde_json::json!({"title": title, "details": details}))
    }

    /// Kuma's answer where nothing is.
    #[must_use]
    pub fn not_found() -> HttpAnswer {
        HttpAnswer::new(404, "text/plain; charset=utf-8", "404: Page Not Found")
    }

    /// Kuma's answer to another method than that of the path.
    #[must_use]
    pub fn method_not_allowed() -> HttpAnswer {
        HttpAnswer::new(405, "text/plain; charset=utf-8", "405: Method Not Allowed")
    }

    /// Kuma's answer to who accepts nothing that it has.
    #[must_use]
    pub fn not_acceptable() -> HttpAnswer {
        HttpAnswer::new(406, "text/plain; charset=utf-8", "406: Not Acceptable")
    }

    /// Kuma's answer to a body that is not said to be JSON.
    #[must_use]
    pub fn unsupported_media_type() -> HttpAnswer {
        let text = "415: Unsupported Media Type";
        HttpAnswer::new(415, "text/plain; charset=utf-8", text)
    }

    /// A redirect.
    #[must_use]
    pub fn redirect(status: u16, location: &str) -> HttpAnswer {
        HttpAnswer::Response {
            status,
            headers: vec![("Location".to_owned(), location.to_owned())],
            body: Body::Full(Vec::new()),
        }
    }

    /// An answer with a body that is sent in another way.
    #[must_use]
    pub fn with_body(status: u16, body: Body) -> HttpAnswer {
        HttpAnswer::Response { status, headers: Vec::new(), body }
    }

    /// Its status; 0 where it has none.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            HttpAnswer::Response { status, .. } => *status,
            HttpAnswer::Raw(_) | HttpAnswer::Silence => 0,
        }
    }
}
