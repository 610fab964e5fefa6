//! A listening port, a thread for each of its connections, and the means to cut them all.
//!
//! Everything that listens here is a listener with a handler. It can stop listening and listen
//! again on the same port, as a control plane that goes away and comes back.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};

/// The ports that are chosen from. They lie below those that the system gives to outgoing
/// connections, so that none of these takes a port while nobody listens on it for a while.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// How many ports are tried before giving up.
const TRIES: usize = 100;

type Handler = dyn Fn(Connection) + Send + Sync;

/// A listening port. Dropping it stops listening and cuts its connections.
pub(crate) struct Listener {
    name: &'static str,
    address: SocketAddr,
    connections: Arc<Connections>,
    handler: Arc<Handler>,
    listening: Mutex<Option<Listening>>,
}

struct Listening {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Listener {
    /// Listens on a port of 127.0.0.1, or on a free one, and runs `handler` on a thread of its own
    /// for each connection.
    pub(crate) fn start(
        name: &'static str,
        port: Option<u16>,
        handler: impl Fn(Connection) + Send + Sync + 'static,
    ) -> io::Result<Listener> {
        let socket = match port {
            Some(port) => bind(port)?,
            None => bind_free_port()?,
        };
        let listener = Listener {
            name,
            address: socket.local_addr()?,
            connections: Arc::default(),
            handler: Arc::new(handler),
            listening: Mutex::new(None),
        };
        *listener.listening.lock() = Some(listener.accept_on(socket)?);
        Ok(listener)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its open connections.
    pub(crate) fn connections(&self) -> &Arc<Connections> {
        &self.connections
    }

    /// Stops listening: new connections are refused. Open ones stay.
    pub(crate) fn refuse(&self) {
        let Some(listening) = self.listening.lock().take() else {
            return;
        };
        listening.stop.store(true, Ordering::SeqCst);
        // Wakes the thread from its `accept`; if even this connection is refused, it has ended.
        let _ = TcpStream::connect(self.address);
        // A panic in it has been printed already, and there is nothing else to do about it here.
        let _ = listening.thread.join();
    }

    /// Listens again.
    pub(crate) fn listen(&self) -> io::Result<()> {
        let mut listening = self.listening.lock();
        if listening.is_none() {
            *listening = Some(self.accept_on(bind(self.address.port())?)?);
        }
        Ok(())
    }

    fn accept_on(&self, listener: TcpListener) -> io::Result<Listening> {
        let stop = Arc::new(AtomicBool::new(false));
        let (name, connections, handler) =
            (self.name, self.connections.clone(), self.handler.clone());
        let stopped = stop.clone();
        let thread = thread::Builder::new().name(format!("{name}-accept")).spawn(move || {
            loop {
                let accepted = listener.accept();
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                // A connection that failed while it was queued says nothing about the next.
                if let Ok((stream, _)) = accepted
                    && let Ok(connection) = connections.add(stream)
                {
                    let handler = handler.clone();
                    let spawned = thread::Builder::new()
                        .name(name.to_owned())
                        .spawn(move || handler(connection));
                    drop(spawned);
                }
            }
        })?;
        Ok(Listening { stop, thread })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.refuse();
        self.connections.cut();
    }
}

/// A port of 127.0.0.1 on which nobody listens, and which the system gives to nobody by itself.
///
/// # Errors
///
/// If no port is free.
pub fn free_port() -> io::Result<u16> {
    Ok(bind_free_port()?.local_addr()?.port())
}

fn bind(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
}

fn bind_free_port() -> io::Result<TcpListener> {
    let mut result = Err(io::ErrorKind::AddrInUse.into());
    for _ in 0..TRIES {
        result = bind(fastrand::u16(PORTS));
        if result.is_ok() {
            break;
        }
    }
    result
}

/// The open connections of a listener.
#[derive(Default)]
pub(crate) struct Connections {
    open: Mutex<Open>,
    /// Notified when a connection ends, and when [`Connections::notify`] is called.
    changed: Condvar,
}

#[derive(Default)]
struct Open {
    last: u64,
    /// The sockets of each: the client's, and those that serve it from behind.
    sockets: BTreeMap<u64, Vec<TcpStream>>,
}

impl Connections {
    fn add(self: &Arc<Connections>, stream: TcpStream) -> io::Result<Connection> {
        // Small answers at once, as Go and C-core have it.
        stream.set_nodelay(true)?;
        let socket = stream.try_clone()?;
        let mut open = self.open.lock();
        open.last += 1;
        let id = open.last;
        open.sockets.insert(id, vec![socket]);
        Ok(Connection { id, stream, connections: self.clone() })
    }

    /// Ends every connection now.
    pub(crate) fn cut(&self) {
        for socket in std::mem::take(&mut self.open.lock().sockets).into_values().flatten() {
            // One that its peer has ended already cannot be ended again.
            let _ = socket.shutdown(Shutdown::Both);
        }
        self.changed.notify_all();
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.open.lock().sockets.len()
    }

    /// Wakes those who wait in [`Connection::wait_while`].
    pub(crate) fn notify(&self) {
        // Under the lock, so that nobody is between looking and waiting.
        let _open: MutexGuard<'_, Open> = self.open.lock();
        self.changed.notify_all();
    }
}

/// One connection of a listener, which ends when it is dropped.
pub(crate) struct Connection {
    id: u64,
    /// The client's socket.
    pub(crate) stream: TcpStream,
    connections: Arc<Connections>,
}

impl Connection {
    /// Lets a cut end another socket along with the client's.
    pub(crate) fn attach(&self, socket: &TcpStream) -> io::Result<()> {
        let socket = socket.try_clone()?;
        match self.connections.open.lock().sockets.get_mut(&self.id) {
            Some(sockets) => {
                sockets.push(socket);
                Ok(())
            }
            None => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }

    /// Whether it has not been cut.
    pub(crate) fn is_open(&self) -> bool {
        self.connections.open.lock().sockets.contains_key(&self.id)
    }

    /// Waits for as long as `condition` holds, but not once the connection is cut. Returns whether
    /// it is still open.
    pub(crate) fn wait_while(&self, condition: impl Fn() -> bool) -> bool {
        let mut open = self.connections.open.lock();
        while open.sockets.contains_key(&self.id) && condition() {
            self.connections.changed.wait(&mut open);
        }
        open.sockets.contains_key(&self.id)
    }

    /// Waits for a time, but not once the connection is cut. Returns whether it is still open.
    pub(crate) fn pause(&self, time: Duration) -> bool {
        let mut open = self.connections.open.lock();
        let deadline = std::time::Instant::now() + time;
        while open.sockets.contains_key(&self.id) {
            let waited = self.connections.changed.wait_until(&mut open, deadline);
            if waited.timed_out() {
                return true;
            }
        }
        false
    }

    /// Whether the client is still there, as far as its socket tells.
    pub(crate) fn client_is_there(&self) -> bool {
        if !self.is_open() || self.stream.set_nonblocking(true).is_err() {
            return false;
        }
        let peeked = self.stream.peek(&mut [0]);
        let blocking_again = self.stream.set_nonblocking(false);
        blocking_again.is_ok()
            && match peeked {
                Ok(length) => length > 0,
                Err(error) => error.kind() == io::ErrorKind::WouldBlock,
            }
    }

    /// Waits until the client ends the connection, or it is cut.
    pub(crate) fn wait_for_end(&self) {
        let mut ignored = [0; 1024];
        while matches!((&self.stream).read(&mut ignored), Ok(length) if length > 0) {}
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.connections.open.lock().sockets.remove(&self.id);
    }
}
