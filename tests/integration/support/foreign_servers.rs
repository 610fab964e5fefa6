//! Peers that are no control plane: what closes the connection without an answer, what passes on only one
//! kind of connection, and a proxy. Each listens on a free port of 127.0.0.1 until it is dropped.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use kuma_stand_in::ControlPlane;

/// The first byte of a TLS handshake, and of nothing else that is spoken here.
const TLS_HANDSHAKE: u8 = 0x16;

/// The longest head of a request that a proxy reads.
const MAX_HEAD: usize = 64 * 1024;

/// Something that listens, with a thread for each connection.
pub(crate) struct ForeignServer {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl ForeignServer {
    /// Does `serve` with each connection, and then ends it.
    pub(crate) fn start(
        serve: impl Fn(&TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> ForeignServer {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, serve) = (stop.clone(), Arc::new(serve));
        let thread = thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let serve = Arc::clone(&serve);
                thread::spawn(move || {
                    // How a connection ends is for its client to see.
                    let _ = serve(&stream);
                    let _ = stream.shutdown(Shutdown::Both);
                });
            }
        });
        ForeignServer { address, stop, thread: Some(thread) }
    }

    /// Reads what a client says first, and hangs up.
    pub(crate) fn that_hangs_up() -> ForeignServer {
        ForeignServer::start(|stream| read_something(stream).map(drop))
    }

    /// Answers whatever a client says first with these bytes, and hangs up.
    pub(crate) fn that_says(answer: &'static [u8]) -> ForeignServer {
        ForeignServer::start(move |mut stream| {
            read_something(stream)?;
            stream.write_all(answer)
        })
    }

    /// Passes TLS to a server, and hangs up on everything else.
    pub(crate) fn that_knows_only_tls(server: u16) -> ForeignServer {
        ForeignServer::that_knows_only(server, |first| first == TLS_HANDSHAKE)
    }

    /// Passes everything but TLS to a server, and hangs up on TLS.
    pub(crate) fn that_knows_no_tls(server: u16) -> ForeignServer {
        ForeignServer::that_knows_only(server, |first| first != TLS_HANDSHAKE)
    }

    /// An ingress that forwards POST requests to a server, and answers all others with this.
    pub(crate) fn ingress(server: u16, answer: &'static [u8]) -> ForeignServer {
        ForeignServer::start(move |mut stream| {
            let head = read_head(stream)?;
            if !head.starts_with("POST ") {
                return stream.write_all(answer);
            }
            let mut server = connect(server)?;
            server.write_all(head.as_bytes())?;
            relay(stream, &server)
        })
    }

    fn that_knows_only(
        server: u16,
        knows: impl Fn(u8) -> bool + Send + Sync + 'static,
    ) -> ForeignServer {
        ForeignServer::start(move |stream| {
            let mut first = [0];
            stream.peek(&mut first)?;
            if knows(first[0]) {
                return relay(stream, &connect(server)?);
            }
            read_something(stream).map(drop)
        })
    }

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }
}

impl Drop for ForeignServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the thread from its accept.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            // A panic in it has been printed already.
            let _ = thread.join();
        }
    }
}

/// An HTTP proxy, to which every name is this machine.
pub(crate) struct Proxy {
    listener: ForeignServer,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// Opens tunnels to the port that is asked for, or to where `ports` says that it is instead.
    pub(crate) fn start(ports: &[(u16, u16)]) -> Proxy {
        let ports = ports.to_vec();
        Proxy::that_answers(move |asked| {
            let other = ports.iter().find(|(port, _)| *port == asked);
            Ok(other.map_or(asked, |(_, port)| *port))
        })
    }

    /// Lets the API server and MADS of a control plane be at their usual ports.
    pub(crate) fn to_usual_ports(plane: &ControlPlane) -> Proxy {
        Proxy::start(&[(5681, plane.api().address().port()), (5676, plane.port())])
    }

    /// Opens no tunnel; says this instead.
    pub(crate) fn that_refuses(answer: &'static str) -> Proxy {
        Proxy::that_answers(move |_| Err(answer))
    }

    fn that_answers(
        tunnel_to: impl Fn(u16) -> Result<u16, &'static str> + Send + Sync + 'static,
    ) -> Proxy {
        let heads = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&heads);
        let listener = ForeignServer::start(move |mut stream| {
            let head = read_head(stream)?;
            let mut words = head.split(' ');
            let (method, target) = (words.next(), words.next().unwrap_or_default());
            let port = target.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
            let port = port.filter(|_| method == Some("CONNECT"));
            record.lock().unwrap_or_else(PoisonError::into_inner).push(head.clone());
            let Some(port) = port else {
                return stream.write_all(b"HTTP/1.1 405 Method Not Allowed\r\n\r\n");
            };
            match tunnel_to(port) {
                Ok(port) => {
                    let server = connect(port)?;
                    stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
                    relay(stream, &server)
                }
                Err(answer) => stream.write_all(answer.as_bytes()),
            }
        });
        Proxy { listener, heads }
    }

    /// `127.0.0.1:…`.
    pub(crate) fn authority(&self) -> String {
        self.listener.address.to_string()
    }

    /// The heads of all requests so far.
    pub(crate) fn heads(&self) -> Vec<String> {
        let heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
        heads.clone()
    }

    /// The request lines so far, without the version of HTTP.
    pub(crate) fn requests(&self) -> Vec<String> {
        let line = |head: &String| {
            let line = head.lines().next().unwrap_or_default();
            line.trim_end_matches(" HTTP/1.1").to_owned()
        };
        self.heads().iter().map(line).collect()
    }
}

fn connect(port: u16) -> io::Result<TcpStream> {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port))
}

fn read_something(mut stream: &TcpStream) -> io::Result<usize> {
    stream.read(&mut [0; 4096])
}

/// The lines up to the empty one, and not a byte of what follows.
fn read_head(mut stream: &TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < MAX_HEAD {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    String::from_utf8(head).map_err(io::Error::other)
}

/// Passes bytes both ways until both have ended, or one breaks.
fn relay(client: &TcpStream, server: &TcpStream) -> io::Result<()> {
    let (from, to) = (server.try_clone()?, client.try_clone()?);
    let back = thread::spawn(move || pump(&from, &to));
    pump(client, server);
    // A panic in it has been printed already.
    let _ = back.join();
    Ok(())
}

fn pump(mut from: &TcpStream, mut to: &TcpStream) {
    let how = match io::copy(&mut from, &mut to) {
        Ok(_) => Shutdown::Write,
        Err(_) => Shutdown::Both,
    };
    // One that has ended by itself cannot be ended again.
    let _ = to.shutdown(how);
}
