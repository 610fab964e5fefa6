//! The fault proxy before the MADS port: looks at the first bytes of a connection, passes it to the
//! server that they are for, and adds faults to the connection when a test asks for it.
//!
//! So one port serves gRPC and HTTP, as Kuma 1.2 to 2.6 does, while each server behind it is an
//! ordinary one; and every fault of a network can be had with either.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;

use crate::listener::{Connection, Listener};

/// What a gRPC server in Go says to anybody, before it looks at what its client says: the settings of
/// HTTP/2.
pub(crate) const HTTP_2_SETTINGS: &[u8] =
    b"\0\0\x0c\x04\0\0\0\0\0\0\x05\0\0\x40\0\0\x03\0\x0f\x42\x40";

/// What happens on the way between client and server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing bad.
    None,
    /// Connections are accepted, and then nothing moves in either direction.
    Stall,
    /// What the server sends comes a few bytes at a time.
    Slow {
        /// How many bytes at once.
        bytes: usize,
        /// The pause after them.
        pause: Duration,
    },
    /// In what the server sends, every so many-th byte is changed.
    Garble {
        /// How many bytes are left as they are between two that are not.
        every: usize,
    },
}

/// What a connection is by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    /// The preface of HTTP/2, and so of gRPC.
    Http2,
    /// What may be a method of HTTP.
    Http1,
    /// A TLS handshake, or anything else.
    Other,
}

/// What is done with a connection.
pub(crate) enum Route {
    /// It is passed to a server.
    Relay(SocketAddr),
    /// It gets these bytes, and ends.
    Answer(&'static [u8]),
    /// It is reset.
    Reset,
}

/// The running proxy.
pub struct FaultProxy {
    listener: Listener,
    faults: Arc<Faults>,
}

/// The faults in force.
struct Faults {
    fault: Mutex<Fault>,
    /// Whether everything stands still while the servers behind change.
    held: Mutex<bool>,
}

impl FaultProxy {
    /// Starts on a port, or on a free one; `route` says where a connection goes, and `connected` is
    /// told of each.
    pub(crate) fn start(
        port: Option<u16>,
        connected: impl Fn() + Send + Sync + 'static,
        route: impl Fn(Opening) -> Route + Send + Sync + 'static,
    ) -> io::Result<FaultProxy> {
        let faults = Arc::new(Faults { fault: Mutex::new(Fault::None), held: Mutex::new(false) });
        let listener = {
            let faults = faults.clone();
            Listener::start("stand-in-fault_proxy", port, move |connection| {
                connected();
                // How a connection ends is seen by its two ends, not by what is between them.
                let _ = pass(&Arc::new(connection), &faults, &route);
            })?
        };
        Ok(FaultProxy { listener, faults })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// Stops listening: new connections are refused; open ones stay.
    pub fn refuse(&self) {
        self.listener.refuse();
    }

    /// Listens again, on the same port.
    ///
    /// # Errors
    ///
    /// If somebody else has taken the port.
    pub fn listen(&self) -> io::Result<()> {
        self.listener.listen()
    }

    /// Ends every open connection now.
    pub fn cut(&self) {
        self.listener.connections().cut();
    }

    /// How many connections are open.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.listener.connections().count()
    }

    /// From now on, connections have this fault, the open ones included.
    pub fn set_fault(&self, fault: Fault) {
        *self.faults.fault.lock() = fault;
        self.listener.connections().notify();
    }

    /// Cuts every connection and changes the servers behind, while new connections have to wait:
    /// none sees half of the change.
    pub(crate) fn while_held(&self, change: impl FnOnce()) {
        *self.faults.held.lock() = true;
        self.cut();
        change();
        *self.faults.held.lock() = false;
        self.listener.connections().notify();
    }
}

impl Faults {
    /// Waits until bytes may move. Returns the fault that they are to have, or nothing when the
    /// connection was cut.
    fn gate(&self, connection: &Connection) -> Option<Fault> {
        let open =
            connection.wait_while(|| *self.held.lock() || *self.fault.lock() == Fault::Stall);
        open.then(|| *self.fault.lock())
    }
}

fn pass(
    connection: &Arc<Connection>,
    faults: &Arc<Faults>,
    route: impl Fn(Opening) -> Route,
) -> io::Result<()> {
    if faults.gate(connection).is_none() {
        return Ok(());
    }
    let mut client = &connection.stream;
    let mut first = [0];
    client.read_exact(&mut first)?;
    // The rest is only peeked at: a socket that is closed with unread bytes resets its connection.
    let mut second = [0];
    client.peek(&mut second)?;
    let opening = match (first[0], second[0]) {
        (b'P', b'R') => Opening::Http2,
        (b'A'..=b'Z', b'A'..=b'Z') => Opening::Http1,
        _ => Opening::Other,
    };
    if faults.gate(connection).is_none() {
        return Ok(());
    }
    match route(opening) {
        Route::Reset => Ok(()),
        Route::Answer(bytes) => {
            client.write_all(bytes)?;
            client.shutdown(Shutdown::Write)?;
            connection.wait_for_end();
            Ok(())
        }
        Route::Relay(address) => {
            let server = TcpStream::connect(address)?;
            server.set_nodelay(true)?;
            connection.attach(&server)?;
            (&server).write_all(&first)?;
            relay(connection, &server, faults)
        }
    }
}

/// Passes bytes both ways until both have ended.
fn relay(connection: &Arc<Connection>, server: &TcpStream, faults: &Arc<Faults>) -> io::Result<()> {
    let back = {
        let (connection, faults) = (connection.clone(), faults.clone());
        let server = server.try_clone()?;
        thread::Builder::new().name("stand-in-fault_proxy-back".to_owned()).spawn(move || {
            let client = &connection.stream;
            pump_or_break(&server, client, &connection, &faults, true);
        })?
    };
    pump_or_break(&connection.stream, server, connection, faults, false);
    // A panic in it has been printed already.
    let _ = back.join();
    Ok(())
}

/// Passes bytes one way until they end. A client that breaks off must not leave the server
/// waiting, nor the reverse: an error ends both.
fn pump_or_break(
    from: &TcpStream,
    to: &TcpStream,
    connection: &Connection,
    faults: &Faults,
    spoil: bool,
) {
    if pump(from, to, connection, faults, spoil).is_err() {
        for socket in [from, to] {
            // One that has ended by itself cannot be ended again.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

/// Passes bytes one way until they end, and then the end.
fn pump(
    mut from: &TcpStream,
    mut to: &TcpStream,
    connection: &Connection,
    faults: &Faults,
    spoil: bool,
) -> io::Result<()> {
    let cut = || io::Error::from(io::ErrorKind::ConnectionAborted);
    let mut buffer = vec![0; 64 * 1024];
    let mut until_garbled = 0;
    loop {
        let length = from.read(&mut buffer)?;
        let mut bytes = &mut buffer[..length];
        if bytes.is_empty() {
            return to.shutdown(Shutdown::Write);
        }
        while !bytes.is_empty() {
            let fault = faults.gate(connection).ok_or_else(cut)?;
            let step = match fault {
                Fault::Slow { bytes: step, .. } if spoil => step.clamp(1, bytes.len()),
                _ => bytes.len(),
            };
            let (now, later) = bytes.split_at_mut(step);
            if let (Fault::Garble { every }, true) = (fault, spoil) {
                for byte in now.iter_mut() {
                    if until_garbled == 0 {
                        *byte ^= 0x55;
                        until_garbled = every;
                    } else {
                        until_garbled -= 1;
                    }
                }
            }
            to.write_all(now)?;
            if let (Fault::Slow { pause, .. }, true) = (fault, spoil)
                && !connection.pause(pause)
            {
                return Err(cut());
            }
            bytes = later;
        }
    }
}
