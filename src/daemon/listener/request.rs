//! The head of a request, as far as the listener needs it.
//!
//! Pure. The library reads HTTP/1; here is what of it counts.

use std::net::{IpAddr, Ipv6Addr};

use httparse::{Header, Status};

/// More header lines than a browser sends.
const MAX_HEADERS: usize = 64;

/// A request that can be answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// Whether the head of the response alone is asked for.
    pub(super) is_head: bool,
    /// The path, as it was sent.
    pub(super) path: String,
    /// What stands after the path's `?`, as it was sent.
    pub(super) query: String,
    /// Whether `Host` names this machine, by an address or as `localhost`, or is missing.
    pub(super) is_host_local: bool,
    /// Whether OpenMetrics is preferred to Prometheus' own text format.
    pub(super) prefers_openmetrics: bool,
    /// Whether the response may be compressed.
    pub(super) accepts_gzip: bool,
}

/// Why a request cannot be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is no HTTP/1.
    Malformed,
    /// It has too many header lines, or too many bytes.
    HeadTooLarge,
    /// It is neither GET nor HEAD.
    MethodNotAllowed,
}

/// Reads the head of a request; `None` where it is not complete yet.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<Request>, Refusal> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Request::new(&mut headers);
    match head.parse(bytes) {
        Ok(Status::Complete(_)) => {}
        Ok(Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(Refusal::HeadTooLarge),
        Err(_) => return Err(Refusal::Malformed),
    }
    let (Some(method), Some(target)) = (head.method, head.path) else {
        return Err(Refusal::Malformed);
    };
    if !["GET", "HEAD"].contains(&method) {
        return Err(Refusal::MethodNotAllowed);
    }
    let (authority, target) = split_authority(target);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let accept = values(head.headers, "accept");
    let openmetrics = quality(&accept, "application/openmetrics-text").unwrap_or(0.0);
    let text = quality(&accept, "text/plain").unwrap_or(0.0);
    let hosts = head.headers.iter().filter(|header| header.name.eq_ignore_ascii_case("host"));
    let mut hosts = hosts.map(|header| str::from_utf8(header.value)).chain(authority.map(Ok));
    let encodings = values(head.headers, "accept-encoding");
    let gzip = quality(&encodings, "gzip").or_else(|| quality(&encodings, "*"));
    Ok(Some(Request {
        is_head: method == "HEAD",
        path: path.to_owned(),
        query: query.to_owned(),
        is_host_local: hosts.all(|host| host.is_ok_and(|host| is_local(host.trim()))),
        prefers_openmetrics: openmetrics > 0.0 && openmetrics >= text,
        accepts_gzip: gzip.is_some_and(|quality| quality > 0.0),
    }))
}

/// The elements of all header lines of a name, which are one list.
fn values<'a>(headers: &[Header<'a>], name: &str) -> Vec<&'a str> {
    headers
        .iter()
        .filter(|header| header.name.eq_ignore_ascii_case(name))
        .filter_map(|header| std::str::from_utf8(header.value).ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect()
}

/// How much `name` is wanted, from 0 to 1, by the first element that names it.
fn quality(elements: &[&str], name: &str) -> Option<f32> {
    let of_element = |element: &&str| {
        let mut parts = element.split(';').map(str::trim);
        let is_named = parts.next()?.eq_ignore_ascii_case(name);
        let given = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok());
        is_named.then_some(given.unwrap_or(1.0))
    };
    elements.iter().find_map(of_element)
}

/// A target as a proxy gets it has the host before the path.
fn split_authority(target: &str) -> (Option<&str>, &str) {
    let Some(rest) = target.strip_prefix("http://") else {
        return (None, target);
    };
    let end = rest.find('/').unwrap_or(rest.len());
    let (authority, target) = rest.split_at(end);
    (Some(authority), if target.is_empty() { "/" } else { target })
}

/// Whether a host is an address, or a name that never leads elsewhere. A name of somebody else's that
/// leads here is how a web page would read what only this machine may.
fn is_local(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    match bare {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Refusal, Request, parse};

    fn request(headers: &str) -> Request {
        let head = format!("GET /metrics HTTP/1.1\r\n{headers}\r\n");
        parse(head.as_bytes()).unwrap().unwrap()
    }

    #[test]
    fn a_head_is_read_when_it_is_complete() {
        let head = b"HEAD /?filter=a%20b HTTP/1.0\r\n\r\n";
        for end in 0..head.len() {
            assert_eq!(parse(&head[..end]), Ok(None), "{end} bytes");
        }
        let request = parse(head).unwrap().unwrap();
        assert!(request.is_head && request.is_host_local && !request.accepts_gzip);
        assert_eq!((request.path.as_str(), request.query.as_str()), ("/", "filter=a%20b"));
    }

    #[test]
    fn what_is_no_request_for_this_server_is_refused() {
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(65));
        let rows = [
            ("POST / HTTP/1.1\r\n\r\n", Refusal::MethodNotAllowed),
            ("CONNECT a:1 HTTP/1.1\r\n\r\n", Refusal::MethodNotAllowed),
            ("GET / HTTP/2.0\r\n\r\n", Refusal::Malformed),
            ("\u{16}\u{3}\u{1}", Refusal::Malformed),
            (&many, Refusal::HeadTooLarge),
        ];
        for (head, refusal) in rows {
            assert_eq!(parse(head.as_bytes()), Err(refusal), "{head:?}");
        }
    }

    #[test]
    fn a_host_is_local_where_no_name_leads_to_it() {
        let rows = [
            ("127.0.0.1:9467", true),
            ("localhost", true),
            ("LOCALHOST:9467", true),
            ("[::1]:9467", true),
            ("10.0.0.7", true),
            ("rebound.example:9467", false),
            ("localhost.example", false),
            ("127.0.0.1.example:9467", false),
            ("[::1].example", false),
            ("", false),
            ("127.0.0.1\r\nHost: rebound.example", false),
        ];
        for (host, expected) in rows {
            let request = request(&format!("Host: {host}\r\n"));
            assert_eq!(request.is_host_local, expected, "{host}");
        }
    }

    #[test]
    fn the_format_is_the_one_that_is_wanted_most() {
        let prometheus_2 = "application/openmetrics-text;version=1.0.0,\
             application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let rows = [
            (prometheus_2, true),
            ("text/plain;version=0.0.4;q=0.5, application/openmetrics-text;q=0.4", false),
            ("application/openmetrics-text;q=0", false),
            ("text/html,*/*;q=0.8", false),
        ];
        for (accept, expected) in rows {
            let request = request(&format!("Accept: {accept}\r\n"));
            assert_eq!(request.prefers_openmetrics, expected, "{accept}");
        }
    }

    #[test]
    fn gzip_is_used_where_it_is_not_refused() {
        for (encodings, expected) in [
            ("gzip", true),
            ("br, *", true),
            ("br;q=1.0, GZIP;q=0.5", true),
            ("gzip;q=0", false),
            ("*, gzip;q=0", false),
            ("br", false),
        ] {
            let request = request(&format!("Accept-Encoding: {encodings}\r\n"));
            assert_eq!(request.accepts_gzip, expected, "{encodings}");
        }
    }

    #[test]
    fn a_host_that_is_no_text_is_not_local() {
        let head = b"GET / HTTP/1.1\r\nHost: \xff\r\n\r\n";
        assert!(!parse(head).unwrap().unwrap().is_host_local);
    }

    #[test]
    fn a_target_may_have_the_host_before_the_path() {
        let rows = [
            ("http://127.0.0.1:9467/metrics?a=b", "/metrics", "a=b", true),
            ("http://localhost", "/", "", true),
            ("http://rebound.example/metrics", "/metrics", "", false),
        ];
        for (target, path, query, is_host_local) in rows {
            let head = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
            let request = parse(head.as_bytes()).unwrap().unwrap();
            assert_eq!(request.is_host_local, is_host_local, "{target}");
            assert_eq!((request.path.as_str(), request.query.as_str()), (path, query));
        }
    }
}
