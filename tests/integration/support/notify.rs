//! A service manager that listens, as systemd does: a socket for datagrams, and what came over it.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::harness::{Launch, SOON};

/// The listening end.
pub(crate) struct Manager {
    socket: UnixDatagram,
    /// What `NOTIFY_SOCKET` is to be.
    address: OsString,
    _folder: TempDir,
}

impl Manager {
    /// One at a path, as systemd has it.
    pub(crate) fn listen() -> Manager {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = folder.path().join("notify");
        Manager {
            socket: UnixDatagram::bind(&path).expect("a socket can be bound"),
            address: path.into_os_string(),
            _folder: folder,
        }
    }

    /// One in the abstract namespace, as systemd has it in some containers.
    pub(crate) fn listen_at_abstract_name() -> Manager {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        // The folder's name is nobody else's.
        let name = folder.path().to_string_lossy().into_owned();
        let address = SocketAddr::from_abstract_name(&name).expect("it is short");
        Manager {
            socket: UnixDatagram::bind_addr(&address).expect("a socket can be bound"),
            address: format!("@{name}").into(),
            _folder: folder,
        }
    }

    /// A daemon that notifies this manager of its state.
    pub(crate) fn manage(&self, launch: Launch) -> Launch {
        launch.variable("NOTIFY_SOCKET", &self.address)
    }

    /// Makes it so busy that nothing more can be sent to it until it listens again. One at a path only.
    pub(crate) fn overwhelm(&self) {
        // A sender has a buffer of its own, which may be full before the manager's queue is
        // (net.unix.max_dgram_qlen): it is full when a new sender cannot send anything.
        let senders: Vec<UnixDatagram> = std::iter::from_fn(|| {
            let sender = UnixDatagram::unbound().expect("a socket can be made");
            sender.set_nonblocking(true).expect("it is open");
            let send = || sender.send_to(b"OTHER=1", &self.address).is_ok();
            let is_queued = send();
            while is_queued && send() {}
            is_queued.then_some(sender)
        })
        .collect();
        assert!(!senders.is_empty(), "nothing could be sent");
    }

    /// The next message; `None` where none comes in time.
    pub(crate) fn next(&self, timeout: Duration) -> Option<String> {
        let mut message = [0; 4096];
        // A time-out of nothing would mean for ever.
        let timeout = timeout.max(Duration::from_millis(1));
        self.socket.set_read_timeout(Some(timeout)).expect("it is not nothing");
        match self.socket.recv(&mut message) {
            Ok(length) => Some(String::from_utf8_lossy(&message[..length]).into_owned()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("cannot listen: {error}"),
        }
    }

    /// Waits for a message that begins like this, and returns all until then.
    #[track_caller]
    pub(crate) fn expect(&self, beginning: &str) -> Vec<String> {
        let deadline = Instant::now() + SOON;
        let mut messages = Vec::new();
        while let Some(message) = self.next(deadline.saturating_duration_since(Instant::now())) {
            messages.push(message);
            if messages.last().is_some_and(|last| last.starts_with(beginning)) {
                return messages;
            }
        }
        panic!("not told within {SOON:?}: {beginning:?}; but: {messages:?}");
    }

    /// All notifications since the last look.
    pub(crate) fn rest(&self) -> Vec<String> {
        std::iter::from_fn(|| self.next(Duration::ZERO)).collect()
    }
}
