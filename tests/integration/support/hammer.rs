//! A client that asks a daemon's listener all the time, well and badly, while a test of something else
//! runs: with `HAMMERED_LISTENER` set, as `make faults-with-listener` does, each daemon has one.

use std::env;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

/// What is sent, and how much of what comes back is read before the client goes.
const REQUESTS: [(&[u8], u64); 6] = [
    (b"GET /metrics HTTP/1.1\r\n\r\n", u64::MAX),
    (b"GET / HTTP/1.1\r\n\r\n", u64::MAX),
    (b"GET /targets HTTP/1.1\r\nAccept-Encoding: gzip\r\n\r\n", u64::MAX),
    (b"GET /targets HTTP/1.1\r\n\r\n", 100),
    (b"GET /metrics HTTP/1.1\r\nHos", 0),
    (b"\x16\x03\x01\x02\x00\x01", u64::MAX),
];

/// Some dozen requests a second, so that what they cost does not hide what a fault costs.
const PAUSE: Duration = Duration::from_millis(20);

/// The socket of a daemon that is about to start in a folder, for its environment; `None` where nobody
/// is to ask it. It is asked for as long as the folder is there.
pub(crate) fn listener(folder: &Arc<TempDir>) -> Option<PathBuf> {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    env::var_os("HAMMERED_LISTENER")?;
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let socket = folder.path().join(format!("listener-{number}.sock"));
    let (path, folder) = (socket.clone(), Arc::downgrade(folder));
    thread::spawn(move || hammer(&path, &folder));
    Some(socket)
}

fn hammer(socket: &PathBuf, folder: &Weak<TempDir>) {
    for (request, wanted) in REQUESTS.into_iter().cycle() {
        if folder.strong_count() == 0 {
            return;
        }
        if let Ok(mut stream) = UnixStream::connect(socket) {
            // The daemon may end meanwhile, or stand still.
            let _ = stream.set_read_timeout(Some(PAUSE * 5));
            let _ = stream.write_all(request);
            let _ = stream.take(wanted).read_to_end(&mut Vec::new());
        }
        thread::sleep(PAUSE);
    }
}
