//! Peers that keep a connection busy by sending a byte now and then.

use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::foreign_servers::ForeignServer;
use crate::support::harness::Launch;

/// The longest time for the look that follows a failed attempt, and what a busy machine adds.
const SOON_AFTER: Duration = Duration::from_secs(13);

/// Hangs up on everything but TLS, to which it answers with the beginning of a record, and then
/// with a byte now and then.
fn that_drips_over_tls() -> ForeignServer {
    ForeignServer::start(|mut stream| {
        let mut first = [0; 512];
        let said = stream.read(&mut first)?;
        if said == 0 || first[0] != 0x16 {
            return Ok(());
        }
        // A handshake record of 16,000 bytes, of which a server's hello wants as many.
        stream.write_all(&[0x16, 3, 3, 0x3e, 0x80, 2, 0, 0x3e, 0x7c, 3, 3])?;
        loop {
            thread::sleep(Duration::from_millis(500));
            stream.write_all(&[0])?;
        }
    })
}

#[test]
fn a_look_at_tls_that_drips_in_is_given_up() {
    let server = that_drips_over_tls();
    for scheme in ["http", "grpc"] {
        let start = Instant::now();
        let daemon = Launch::follow(&format!("{scheme}://127.0.0.1:{}", server.port())).start();
        daemon.wait_for_trouble();
        let time = start.elapsed();
        assert!(time < SOON_AFTER, "{scheme}: {time:?}");
    }
}
