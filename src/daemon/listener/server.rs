//! The listener's sockets: all of them on one thread, which waits for them together.
//!
//! A connection has one request and one response. What a client can make the daemon hold is bounded: so
//! many connections, so many bytes of a request, so much time, and no more than two lists. Where another
//! client comes, the oldest connection makes room, so that slow ones keep nobody out.

use std::collections::VecDeque;
use std::fmt;
use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, Shutdown, SocketAddrUnix, SocketFlags, SocketType, accept_with, connect,
    shutdown, socket_with,
};
use rustix::process::{Resource, getrlimit};

use super::request::{self, Refusal, Request};
use super::response::Response;
use crate::cli::listen_address::ListenAddress;

/// More connections than a few scrapers and people need.
const MAX_CONNECTIONS: usize = 32;

/// Longer than the head of any request that is meant for this server.
const HEAD_LIMIT: usize = 8 << 10;

/// By when a request must be complete, counted from the connection's start.
const HEAD_TIME: Duration = Duration::from_secs(5);

/// By when the response must be read, counted from the connection's start. A list of 100,000 targets
/// needs 2 MB/s, or 200 kB/s where it is compressed.
const TOTAL_TIME: Duration = Duration::from_secs(30);

/// Of all descriptors that the process may have, the listener takes one in so many: the rest is for what
/// the daemon is for.
const SHARE_OF_DESCRIPTORS: u64 = 4;

/// So many lists are held for whoever is slow to read: the newest that was asked for, and one more.
const HELD_LISTS: usize = 2;

/// What a client may still send after its response.
const IGNORED_BYTES: usize = 64 << 10;

/// How long to wait where the system can give no more descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// A socket that listens.
#[derive(Debug)]
pub(crate) struct Server {
    socket: OwnedFd,
    address: ListenAddress,
}

/// Nothing can listen at an address.
#[derive(Debug)]
pub struct BindError {
    address: ListenAddress,
    source: io::Error,
}

impl fmt::Display for BindError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, source } = self;
        write!(formatter, "cannot listen at {address}: {source}")?;
        match source.kind() {
            ErrorKind::AddrInUse => {
                formatter.write_str("; stop what listens there, or give another --listen-address")
            }
            _ => Ok(()),
        }
    }
}

impl std::error::Error for BindError {}

impl Server {
    /// Listens at an address. A Unix socket that nobody listens at any more is replaced.
    pub(crate) fn bind(address: &ListenAddress) -> Result<Self, BindError> {
        let bound = match address {
            ListenAddress::Tcp(address) => bind_tcp(*address),
            ListenAddress::Unix(path) => bind_unix(path).map(|socket| (socket, address.clone())),
        };
        match bound {
            Ok((socket, address)) => Ok(Self { socket, address }),
            Err(source) => Err(BindError { address: address.clone(), source }),
        }
    }

    /// Where it listens, with the port that the system has chosen.
    #[must_use]
    pub(crate) fn address(&self) -> &ListenAddress {
        &self.address
    }

    /// Whether a web page could reach it by a host name that its author controls (DNS rebinding), and the
    /// right names are known: those of this machine, where no other one can connect.
    pub(super) fn checks_host(&self) -> bool {
        matches!(self.address, ListenAddress::Tcp(_)) && self.address.is_local()
    }

    /// Answers requests, for ever.
    pub(super) fn run(self, mut answer: impl FnMut(Result<Request, Refusal>) -> Response) {
        let mut connections: VecDeque<Connection> = VecDeque::new();
        let most = most_connections();
        loop {
            let ready = self.wait(&connections);
            let now = Instant::now();
            let mut is_ready = ready[1..].iter();
            connections.retain_mut(|connection| {
                let is_idle = is_ready.next() != Some(&true);
                (is_idle || connection.advance(&mut answer)) && now < connection.deadline()
            });
            if ready[0] {
                self.accept(&mut connections, most, &mut answer);
            }
            keep_newest_lists(&mut connections);
        }
    }

    /// Waits until something can be done, and says with which: this socket, and each connection.
    fn wait(&self, connections: &VecDeque<Connection>) -> Vec<bool> {
        let deadline = connections.iter().map(Connection::deadline).min();
        let timeout = deadline.map(|deadline| {
            let left = deadline.saturating_duration_since(Instant::now());
            Timespec::try_from(left).expect("a few seconds")
        });
        let mut sockets = vec![PollFd::new(&self.socket, PollFlags::IN)];
        sockets.extend(connections.iter().map(|connection| {
            let flags = match connection.state {
                State::Writing { .. } => PollFlags::OUT,
                State::Reading(_) | State::Closing(_) => PollFlags::IN,
            };
            PollFd::new(&connection.socket, flags)
        }));
        // Where it is interrupted, nothing is ready, and it is called again.
        let _ = poll(&mut sockets, timeout.as_ref());
        sockets.iter().map(|socket| !socket.revents().is_empty()).collect()
    }

    /// Takes in one more client. What it asks is often there already.
    fn accept(
        &self,
        connections: &mut VecDeque<Connection>,
        most: usize,
        answer: &mut impl FnMut(Result<Request, Refusal>) -> Response,
    ) {
        match accept_with(&self.socket, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
            Ok(socket) => {
                let mut connection = Connection::new(socket, Instant::now());
                if !connection.advance(answer) {
                    return;
                }
                if connections.len() == most {
                    make_room(connections);
                }
                connections.push_back(connection);
            }
            // A client has gone before it was accepted, or there is none.
            Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => {}
            Err(error) => {
                log::debug!("cannot accept a connection to the listener: {error}");
                make_room(connections);
                thread::sleep(ACCEPT_PAUSE);
            }
        }
    }
}

/// How many connections there may be, by what the process is allowed.
fn most_connections() -> usize {
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let share = usize::try_from(descriptors / SHARE_OF_DESCRIPTORS).unwrap_or(usize::MAX);
    share.clamp(1, MAX_CONNECTIONS)
}

/// Closes the oldest connection, one that is not being answered if there is any.
fn make_room(connections: &mut VecDeque<Connection>) {
    let is_answered = |connection: &Connection| matches!(connection.state, State::Writing { .. });
    let unanswered = connections.iter().position(|connection| !is_answered(connection));
    connections.remove(unanswered.unwrap_or(0));
}

/// Closes connections that hold a list which is neither of the newest that were asked for: a client that
/// does not read would keep it in memory.
fn keep_newest_lists(connections: &mut VecDeque<Connection>) {
    let mut held = Vec::new();
    for list in connections.iter().rev().filter_map(Connection::list) {
        if held.len() < HELD_LISTS && !held.contains(&list) {
            held.push(list);
        }
    }
    connections.retain(|connection| connection.list().is_none_or(|list| held.contains(&list)));
}

fn bind_tcp(address: std::net::SocketAddr) -> io::Result<(OwnedFd, ListenAddress)> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let address = ListenAddress::Tcp(listener.local_addr()?);
    Ok((listener.into(), address))
}

fn bind_unix(path: &Path) -> io::Result<OwnedFd> {
    let listener = match UnixListener::bind(path) {
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            let file = fs::symlink_metadata(path)?;
            if !file.file_type().is_socket() {
                return Err(io::Error::other(
                    "there is a file which is not a socket; remove it, or give another path",
                ));
            }
            if !is_abandoned(path) {
                return Err(error);
            }
            fs::remove_file(path)?;
            UnixListener::bind(path)?
        }
        result => result?,
    };
    // Whoever may enter the folder may connect, whatever the umask is.
    fs::set_permissions(path, Permissions::from_mode(0o666))?;
    listener.set_nonblocking(true)?;
    Ok(listener.into())
}

/// Whether nobody listens at a socket, as a process leaves it behind. One whose backlog is full is asked
/// without waiting, and refuses nobody.
fn is_abandoned(path: &Path) -> bool {
    let ask = || -> rustix::io::Result<()> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        connect(&socket, &SocketAddrUnix::new(path)?)
    };
    ask() == Err(Errno::CONNREFUSED)
}

struct Connection {
    socket: OwnedFd,
    start: Instant,
    state: State,
}

enum State {
    /// The head of the request, as far as it has come.
    Reading(Vec<u8>),
    /// The response, and how much of it is on its way.
    Writing { response: Response, sent: usize },
    /// Everything is sent; what still comes is read, as to close before that would take the response
    /// back. So many bytes have come.
    Closing(usize),
}

impl Connection {
    fn new(socket: OwnedFd, start: Instant) -> Self {
        let state = State::Reading(Vec::new());
        Self { socket, start, state }
    }

    fn deadline(&self) -> Instant {
        match self.state {
            State::Reading(_) => self.start + HEAD_TIME,
            _ => self.start + TOTAL_TIME,
        }
    }

    /// The list that it is being sent, by where that is in memory.
    fn list(&self) -> Option<*const u8> {
        match &self.state {
            State::Writing { response, .. } => response.list(),
            State::Reading(_) | State::Closing(_) => None,
        }
    }

    /// Does what can be done without waiting, and says whether it goes on.
    fn advance(&mut self, answer: &mut impl FnMut(Result<Request, Refusal>) -> Response) -> bool {
        loop {
            match self.step(answer) {
                Ok(true) | Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return true,
                Ok(false) | Err(_) => return false,
            }
        }
    }

    /// One read or write; says whether another one may follow.
    fn step(
        &mut self,
        answer: &mut impl FnMut(Result<Request, Refusal>) -> Response,
    ) -> rustix::io::Result<bool> {
        match &mut self.state {
            State::Reading(head) => {
                let mut part = [0; HEAD_LIMIT];
                let length = rustix::io::read(&self.socket, &mut part[head.len()..])?;
                if length == 0 {
                    return Ok(false);
                }
                let end = head.len() + length;
                head.extend_from_slice(&part[head.len()..end]);
                let request = match request::parse(head) {
                    Ok(None) if head.len() == HEAD_LIMIT => Err(Refusal::HeadTooLarge),
                    Ok(None) => return Ok(true),
                    Ok(Some(request)) => Ok(request),
                    Err(refusal) => Err(refusal),
                };
                self.state = State::Writing { response: answer(request), sent: 0 };
            }
            State::Writing { response, sent } => {
                let rest = response.bytes_from(*sent);
                if rest.is_empty() {
                    shutdown(&self.socket, Shutdown::Write)?;
                    self.state = State::Closing(0);
                } else {
                    *sent += rustix::io::write(&self.socket, rest)?;
                }
            }
            State::Closing(ignored) => {
                let length = rustix::io::read(&self.socket, &mut [0; HEAD_LIMIT])?;
                *ignored += length;
                return Ok(length > 0 && *ignored <= IGNORED_BYTES);
            }
        }
        Ok(true)
    }
}
