//! Servers for a Prometheus to scrape, one for each kind that a mesh has.
//!
//! `metrics_servers FOLDER` prints the address of each, and writes the certificate of the authority
//! that Prometheus is to trust to `FOLDER/ca.pem`. They run until their process is ended.

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::{env, fs, io, thread};

use kuma_stand_in::{Authority, MetricsServer, Tls, Validity};

/// The name in the certificate of each dataplane: the `server_name` of `docs/prometheus.yml`.
const NAME: &str = "kuma-metrics.internal";

fn main() -> Result<(), Box<dyn Error>> {
    let folder = env::args().nth(1).ok_or("usage: metrics_servers FOLDER")?;
    let authority = Authority::new("the authority of the metrics");
    let unknown = Authority::new("another authority");
    fs::write(Path::new(&folder).join("ca.pem"), authority.pem())?;

    let tls =
        |issuer: &Authority, name: &str| Some(Tls::new(&issuer.server(&[name], Validity::Valid)));
    let servers = [
        ("dataplane", "/metrics", None),
        ("https dataplane", "/metrics", tls(&authority, NAME)),
        ("https dataplane of another issuer", "/metrics", tls(&unknown, NAME)),
        ("https dataplane of another name", "/metrics", tls(&authority, "other.internal")),
        ("zone ingress", "/stats/prometheus", None),
        ("zone egress", "/stats/prometheus", None),
        ("control plane", "/metrics", None),
    ];
    let mut running = Vec::new();
    let mut stdout = io::stdout();
    for (what, path, tls) in servers {
        let server = MetricsServer::start(path, tls)?;
        writeln!(stdout, "{what}: {}", server.address())?;
        running.push(server);
    }
    stdout.flush()?;
    loop {
        thread::park();
    }
}
