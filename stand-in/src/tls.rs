//! The TLS side of a server: its certificate, whether it demands one of its clients, and the
//! change of either while it runs.
//!
//! Like Kuma's, it negotiates no ALPN protocol, so that no gRPC client can use it.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;

use parking_lot::RwLock;
use rustls::crypto::ring;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use crate::certificates::{Authority, Identity};

/// What a server shows and demands. Clones share it.
#[derive(Clone)]
pub struct Tls {
    config: Arc<RwLock<Arc<ServerConfig>>>,
}

impl Tls {
    /// A server with this identity, open to every client.
    ///
    /// # Panics
    ///
    /// If the identity is no key and certificate that fit together.
    #[must_use]
    pub fn new(identity: &Identity) -> Tls {
        Tls::with(config(identity, None))
    }

    /// A server with this identity, which demands a certificate of this authority.
    ///
    /// # Panics
    ///
    /// If the identity is no key and certificate that fit together.
    #[must_use]
    pub fn demanding(identity: &Identity, clients: &Authority) -> Tls {
        Tls::with(config(identity, Some(clients)))
    }

    fn with(config: ServerConfig) -> Tls {
        Tls { config: Arc::new(RwLock::new(Arc::new(config))) }
    }

    /// From now on, new connections see what `other` shows and demands.
    pub fn rotate(&self, other: &Tls) {
        let config = other.config.read().clone();
        *self.config.write() = config;
    }

    /// Speaks TLS on a socket from now on; the handshake comes with the first byte read.
    pub(crate) fn accept(
        &self,
        socket: &TcpStream,
    ) -> io::Result<StreamOwned<ServerConnection, TcpStream>> {
        let config = self.config.read().clone();
        let connection = ServerConnection::new(config).map_err(io::Error::other)?;
        Ok(StreamOwned::new(connection, socket.try_clone()?))
    }
}

fn config(identity: &Identity, clients: Option<&Authority>) -> ServerConfig {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("ring has what TLS 1.2 and 1.3 need");
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.certificate()).expect("an authority's certificate is one");
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider)
                .build()
                .expect("one root is enough");
            builder.with_client_cert_verifier(verifier)
        }
    };
    builder
        .with_single_cert(vec![identity.certificate()], identity.key())
        .expect("a key fits the certificate that was made for it")
}
