//! The service manager, where there is one that listens: systemd, or another that speaks the protocol
//! of `sd_notify(3)`. It is told when the daemon is ready, how it is doing, that it lives, and when it
//! stops.
//!
//! A datagram each, by the standard library: it knows the abstract addresses too, which not every
//! small crate for this does.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process;
use std::time::Duration;

use log::Level;

use crate::common::fields::text;
use crate::common::logging;

/// A manager that does not read what it is told must not hold up the daemon, least of all its end.
const SEND_LIMIT: Duration = Duration::from_millis(100);

/// The service manager, as far as the environment names one.
pub(super) struct ServiceManager {
    /// `None` where there is nobody to tell.
    connection: Option<Connection>,
    watchdog: Option<Duration>,
    is_ready_told: bool,
    /// What it was told last, as it need not be told twice.
    status: String,
}

struct Connection {
    socket: UnixDatagram,
    address: SocketAddr,
    name: OsString,
    /// A manager that cannot be told is worth one line, not one for each message.
    failure_is_told: bool,
}

impl ServiceManager {
    /// The one that `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` name; nobody where they are
    /// unset, or are meant for another process.
    #[must_use]
    pub(super) fn from_environment() -> Self {
        let name = env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty());
        let connection = name.and_then(Connection::new);
        let watchdog = watchdog(
            process::id(),
            env::var("WATCHDOG_PID").ok().as_deref(),
            env::var("WATCHDOG_USEC").ok().as_deref(),
        );
        Self {
            watchdog: watchdog.filter(|_| connection.is_some()),
            connection,
            is_ready_told: false,
            status: String::new(),
        }
    }

    /// How often it wants to hear that the daemon lives; `None` where it does not. Half the time after
    /// which it would act, as `sd_watchdog_enabled(3)` recommends.
    #[must_use]
    pub(super) fn ping_interval(&self) -> Option<Duration> {
        const SHORTEST: Duration = Duration::from_millis(1);
        self.watchdog.map(|watchdog| SHORTEST.max(watchdog / 2))
    }

    /// The start-up checks have passed. To be said until it has been told: a manager that misses it
    /// takes the start for failed.
    pub(super) fn ready(&mut self) {
        self.is_ready_told = self.is_ready_told || self.notify("READY=1");
    }

    /// How the daemon is doing, in words.
    pub(super) fn status(&mut self, status: String) {
        if self.status != status {
            // Each line would be a message of its own.
            if self.notify(&format!("STATUS={}", status.replace('\n', " "))) {
                self.status = status;
            }
        }
    }

    /// The daemon lives, and all its threads meet their deadlines.
    pub(super) fn ping(&mut self) {
        if self.watchdog.is_some() {
            self.notify("WATCHDOG=1");
        }
    }

    /// The daemon ends, as it was asked to.
    pub(super) fn stopping(&mut self) {
        self.notify("STOPPING=1");
    }

    /// Says whether nothing is left to be told.
    fn notify(&mut self, message: &str) -> bool {
        let connection = self.connection.as_mut();
        connection.is_none_or(|connection| connection.send(message))
    }
}

impl Connection {
    /// `None`, and a line in the log, where there can be none.
    fn new(name: OsString) -> Option<Self> {
        let open = || {
            let address = socket_address(&name)?;
            let socket = UnixDatagram::unbound()?;
            socket.set_write_timeout(Some(SEND_LIMIT))?;
            Ok((socket, address))
        };
        match open() {
            Ok((socket, address)) => Some(Self { socket, address, name, failure_is_told: false }),
            Err(error) => {
                warn(&name, &error);
                None
            }
        }
    }

    fn send(&mut self, message: &str) -> bool {
        let sent = self.socket.send_to_addr(message.as_bytes(), &self.address);
        if let Err(error) = &sent
            && !std::mem::replace(&mut self.failure_is_told, true)
        {
            warn(&self.name, error);
        }
        sent.is_ok()
    }
}

fn warn(name: &OsStr, error: &io::Error) {
    let fields = [text("error", error)];
    let name = name.to_string_lossy();
    let message = format_args!(
        "cannot tell the service manager at $NOTIFY_SOCKET {name:?} how the daemon is doing: {error}"
    );
    logging::log(Level::Warn, &fields, message);
}

/// A path, or after an `@` a name in the abstract namespace.
fn socket_address(name: &OsStr) -> io::Result<SocketAddr> {
    match name.as_bytes() {
        [b'@', abstract_name @ ..] => SocketAddr::from_abstract_name(abstract_name),
        [b'/', ..] => SocketAddr::from_pathname(name),
        _ => Err(io::Error::other("neither an absolute path nor an @name")),
    }
}

/// After how long without a ping the manager acts, where it does so for this process.
fn watchdog(own: u32, process: Option<&str>, time: Option<&str>) -> Option<Duration> {
    let is_ours = process.is_none_or(|process| process.parse() == Ok(own));
    let microseconds: u64 = time?.parse().ok()?;
    (is_ours && microseconds > 0).then(|| Duration::from_micros(microseconds))
}

#[cfg(test)]
mod tests {
    use super::{socket_address, watchdog};
    use std::ffi::OsStr;
    use std::time::Duration;

    #[test]
    fn an_address_is_an_absolute_path_or_an_abstract_name() {
        let path = socket_address(OsStr::new("/run/systemd/notify")).unwrap();
        assert!(path.as_pathname().is_some_and(|path| path.ends_with("systemd/notify")));
        assert!(!socket_address(OsStr::new("@notify")).unwrap().is_unnamed());
        assert!(socket_address(OsStr::new("run/notify")).is_err());
        assert!(socket_address(OsStr::new("vsock:2:1234")).is_err());
    }

    #[test]
    fn a_watchdog_counts_where_it_is_for_this_process() {
        let rows = [
            (Some("7"), Some("30000000"), Some(Duration::from_secs(30))),
            (None, Some("1"), Some(Duration::from_micros(1))),
            (Some("8"), Some("30000000"), None),
            (Some("seven"), Some("30000000"), None),
            (Some("7"), None, None),
            (Some("7"), Some("0"), None),
            (Some("7"), Some("soon"), None),
        ];
        for (process, time, expected) in rows {
            let found = watchdog(7, process, time);
            assert_eq!(found, expected, "{process:?} {time:?}");
        }
    }
}
