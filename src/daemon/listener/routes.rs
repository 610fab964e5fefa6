//! What is served at which path.

use std::io::Write;
use std::sync::{Arc, Weak};

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;

use super::page;
use super::request::{Refusal, Request};
use super::response::{Body, Response};
use crate::daemon::metrics::Format;
use crate::daemon::observed::SharedObserved;
use crate::snapshot::Snapshot;

const OK: &str = "200 OK";
const UNAVAILABLE: &str = "503 Service Unavailable";

/// With the header that responses of this status must have.
const METHOD_NOT_ALLOWED: &str = "405 Method Not Allowed\r\nAllow: GET, HEAD";

/// Answers requests from what was observed.
pub(super) struct Routes {
    observed: SharedObserved,
    checks_host: bool,
    /// The list that was last compressed, as scrapers come back for the same one. It is not kept for
    /// this.
    compressed: (Weak<Snapshot>, Arc<[u8]>),
}

impl Routes {
    pub(super) fn new(observed: SharedObserved, checks_host: bool) -> Self {
        Self { observed, checks_host, compressed: (Weak::new(), Arc::default()) }
    }

    pub(super) fn answer(&mut self, request: Result<Request, Refusal>) -> Response {
        match request {
            Ok(request) if request.is_head => self.get(&request).without_body(),
            Ok(request) => self.get(&request),
            Err(Refusal::Malformed) => {
                Response::line("400 Bad Request", "not a request of HTTP/1\n")
            }
            Err(Refusal::HeadTooLarge) => {
                let status = "431 Request Header Fields Too Large";
                Response::line(status, "the head of the request is too large\n")
            }
            Err(Refusal::MethodNotAllowed) => {
                Response::line(METHOD_NOT_ALLOWED, "only GET and HEAD are served\n")
            }
        }
    }

    fn get(&mut self, request: &Request) -> Response {
        if self.checks_host && !request.is_host_local {
            return Response::line(
                "421 Misdirected Request",
                "the Host of the request must be an IP address or localhost; see the guide on reverse \
                 proxies\n",
            );
        }
        let ok = |content_type, text| Response::new(OK, content_type, Body::Text(text));
        match request.path.as_str() {
            "/" => {
                let observed = self.observed.lock().clone();
                let html = page::render(&observed, &request.query, Timestamp::now());
                ok("text/html; charset=utf-8", html)
            }
            "/page.css" => ok("text/css; charset=utf-8", page::STYLE.to_owned()),
            "/page.js" => ok("text/javascript; charset=utf-8", page::SCRIPT.to_owned()),
            "/metrics" => self.metrics(request.prefers_openmetrics),
            "/targets" => self.targets(request.accepts_gzip),
            "/-/healthy" => match self.observed.lock().metrics.is_responsive {
                true => Response::line(OK, "healthy\n"),
                false => Response::line(UNAVAILABLE, "a thread is late; see the log\n"),
            },
            "/-/ready" => match self.observed.lock().status.list {
                Some(_) => Response::line(OK, "ready\n"),
                None => Response::line(UNAVAILABLE, "no list is in the file yet\n"),
            },
            _ => Response::line("404 Not Found", "nothing is served at this path; see /\n"),
        }
    }

    fn metrics(&self, prefers_openmetrics: bool) -> Response {
        let (format, content_type) = match prefers_openmetrics {
            true => {
                (Format::OpenMetrics, "application/openmetrics-text; version=1.0.0; charset=utf-8")
            }
            false => (Format::Prometheus, "text/plain; version=0.0.4; charset=utf-8"),
        };
        let metrics = self.observed.lock().metrics.clone();
        Response::new(OK, content_type, Body::Text(metrics.encode(format)))
    }

    /// The list as Prometheus' `http_sd_configs` wants it. Before the first list there is none: an empty
    /// one would drop all targets.
    fn targets(&mut self, accepts_gzip: bool) -> Response {
        let Some(list) = self.observed.lock().list.clone() else {
            return Response::line(UNAVAILABLE, "there is no list of the control plane yet\n");
        };
        let body =
            if accepts_gzip { Body::Compressed(self.compress(&list)) } else { Body::List(list) };
        Response::new(OK, "application/json", body)
    }

    fn compress(&mut self, list: &Arc<Snapshot>) -> Arc<[u8]> {
        let (compressed, bytes) = &self.compressed;
        if Weak::as_ptr(compressed) == Arc::as_ptr(list) {
            return Arc::clone(bytes);
        }
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        let compressed = encoder.write_all(list.bytes()).and_then(|()| encoder.finish());
        let bytes: Arc<[u8]> = compressed.expect("writing to memory cannot fail").into();
        self.compressed = (Arc::downgrade(list), Arc::clone(&bytes));
        bytes
    }
}
