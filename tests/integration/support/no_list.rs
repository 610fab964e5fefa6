//! Answers to a poll over HTTP that are no list.

use kuma_stand_in::{ApiVersion, Body, HttpAnswer};
use serde_json::json;

/// Answers that are no list, and what is logged of each.
pub(crate) fn no_lists() -> Vec<(&'static str, HttpAnswer, &'static str)> {
    let type_url = ApiVersion::V1.type_url();
    let list = json!({"version_info": "1", "type_url": type_url}).to_string();
    let half = list.as_bytes()[..list.len() / 2].to_vec();
    vec![
        (
            "500 with another body",
            HttpAnswer::new(500, "text/plain", "upstream\nis\u{1b}[2J gone"),
            "status 500: upstream is\\u{1b}[2J gone",
        ),
        (
            "502 without a body",
            HttpAnswer::with_body(502, Body::Full(Vec::new())),
            "status 502;",
        ),
        (
            "a redirect",
            HttpAnswer::redirect(307, "http://127.0.0.1:9/elsewhere"),
            "redirected to \"http://127.0.0.1:9/elsewhere\", which is not followed",
        ),
        (
            "a page",
            HttpAnswer::new(200, "text/html", "<html>Log in</html>"),
            "the answer cannot be decoded: ",
        ),
        (
            "nothing",
            HttpAnswer::new(200, "application/json", ""),
            "the answer cannot be decoded: ",
        ),
        (
            "an array",
            HttpAnswer::new(200, "application/json", "[]"),
            "the answer cannot be decoded: ",
        ),
        (
            "half a list",
            HttpAnswer::new(200, "application/json", half.clone()),
            "the answer cannot be decoded: ",
        ),
        (
            "a list that is cut",
            HttpAnswer::with_body(
                200,
                Body::Truncated {
                    sent: half,
                    promised: 4096,
                },
            ),
            "POST http://",
        ),
        (
            "a chunk that is cut",
            HttpAnswer::Raw(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{\"version".to_vec(),
            ),
            "POST http://",
        ),
        (
            "no end of a head",
            HttpAnswer::Raw(b"HTTP/1.1 200 OK\r\nContent-Type: appl".to_vec()),
            "POST http://",
        ),
        (
            "no HTTP",
            HttpAnswer::Raw(b"220 mail.example ESMTP\r\n".to_vec()),
            "POST http://",
        ),
        ("not a word", HttpAnswer::Raw(Vec::new()), "POST http://"),
        (
            "a length over the limit",
            HttpAnswer::with_body(
                200,
                Body::Truncated {
                    sent: b"{".to_vec(),
                    promised: (256 << 20) + 1,
                },
            ),
            "the response is larger than the limit of 256 MiB",
        ),
    ]
}
