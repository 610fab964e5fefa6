//! What Prometheus scrapes of a mesh: a server with one path of metrics, with or without TLS.
//!
//! A dataplane, a zone proxy and a control plane differ in their path and in who issued their
//! certificate only.

use std::io;
use std::net::SocketAddr;

use crate::http_answer::HttpAnswer;
use crate::http_server::HttpServer;
use crate::tls::Tls;

/// The text format of Prometheus, with the version that all its releases know.
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The running server. Dropping it ends its connections.
pub struct MetricsServer {
    server: HttpServer,
}

impl MetricsServer {
    /// Starts on a free port of 127.0.0.1, and answers this path with one metric; any other with 404.
    ///
    /// # Errors
    ///
    /// If no port is free.
    pub fn start(path: &'static str, tls: Option<Tls>) -> io::Result<MetricsServer> {
        let server = HttpServer::start("stand-in-metrics", None, tls, move || {
            Box::new(move |request, _| match request.path() == path {
                true => HttpAnswer::new(200, CONTENT_TYPE, "stand_in_metric 1\n"),
                false => HttpAnswer::not_found(),
            })
        })?;
        Ok(MetricsServer { server })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }
}
