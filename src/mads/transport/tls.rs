//! TLS as the operator wants it: which servers are trusted, which certificate is shown, and what a
//! failed handshake means.
//!
//! The files are read again for each connection, so that a rotated certificate needs no restart.

mod verifier;
mod words;

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ConfigBuilder, client::WantsClientCert};

use verifier::{AnyCertificate, GivenCertificates};
pub use words::describe;

/// What was asked for, as files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// Certificates to trust, of issuers or of servers, instead of the system's.
    pub ca_cert_file: Option<PathBuf>,
    /// What to show to a server that demands it.
    pub client: Option<ClientFiles>,
    /// Whether to trust any server.
    pub skip_verify: bool,
}

/// A certificate chain and its private key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFiles {
    /// The chain, in PEM.
    pub cert_file: PathBuf,
    /// The key, in PEM.
    pub key_file: PathBuf,
}

/// Why there can be no TLS: a file cannot be used.
#[derive(Debug)]
pub enum TlsFileError {
    /// One that was given.
    Given {
        /// Which one.
        path: PathBuf,
        /// Why not.
        problem: Problem,
    },
    /// The system's trust store has no certificate.
    NoTrustStore,
}

/// Why a file cannot be used.
#[derive(Debug)]
pub enum Problem {
    /// What the system says.
    Unreadable(io::Error),
    /// It has no certificate.
    NoCertificate,
    /// It has no private key.
    NoKey,
    /// What it has is of no use, for this reason.
    Unusable(String),
}

impl fmt::Display for TlsFileError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Given { path, problem } = self else {
            return formatter.write_str(
                "this system has no trust store; install its CA certificates, \
                 or give the issuer's certificate as --ca-cert-file",
            );
        };
        let path = path.display();
        match problem {
            Problem::Unreadable(error) => write!(formatter, "cannot read {path}: {error}"),
            Problem::NoCertificate => write!(formatter, "{path} has no certificate in PEM"),
            Problem::NoKey => write!(formatter, "{path} has no private key in PEM"),
            Problem::Unusable(reason) => write!(formatter, "{path} cannot be used: {reason}"),
        }
    }
}

impl std::error::Error for TlsFileError {}

impl TlsSettings {
    /// Reads the files, as they are now.
    ///
    /// # Errors
    /// The first file that cannot be read or used.
    pub fn load(&self) -> Result<ClientConfig, TlsFileError> {
        let provider = Arc::new(ring::default_provider());
        let builder = builder(&provider, self.verifier(&provider)?);
        let Some(files) = &self.client else {
            return Ok(builder.with_no_client_auth());
        };
        let chain = read_certificates(&files.cert_file)?;
        let error = |problem| given(&files.key_file, problem);
        let key = PrivateKeyDer::from_pem_slice(&read(&files.key_file)?)
            .map_err(|_| error(Problem::NoKey))?;
        builder
            .with_client_auth_cert(chain, key)
            .map_err(|reason| error(Problem::Unusable(describe(&reason))))
    }

    fn verifier(
        &self,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ServerCertVerifier>, TlsFileError> {
        if self.skip_verify {
            return Ok(any_certificate(provider));
        }
        let Some(path) = &self.ca_cert_file else {
            let system = rustls_platform_verifier::Verifier::new(Arc::clone(provider))
                .map_err(|_| TlsFileError::NoTrustStore)?;
            return Ok(Arc::new(system));
        };
        let certificates = GivenCertificates::new(read_certificates(path)?, provider);
        let no_use = || Problem::Unusable("no certificate in it can be decoded".to_owned());
        let certificates = certificates.ok_or_else(|| given(path, no_use()))?;
        Ok(Arc::new(certificates))
    }
}

/// TLS with whatever server there is.
#[must_use]
pub fn without_verification() -> ClientConfig {
    let provider = Arc::new(ring::default_provider());
    builder(&provider, any_certificate(&provider)).with_no_client_auth()
}

fn any_certificate(provider: &CryptoProvider) -> Arc<dyn ServerCertVerifier> {
    Arc::new(AnyCertificate(provider.signature_verification_algorithms))
}

fn builder(
    provider: &Arc<CryptoProvider>,
    verifier: Arc<dyn ServerCertVerifier>,
) -> ConfigBuilder<ClientConfig, WantsClientCert> {
    ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .expect("ring has what TLS 1.2 and 1.3 need")
        .dangerous()
        .with_custom_certificate_verifier(verifier)
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsFileError> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&read(path)?)
        .collect::<Result<_, _>>()
        .map_err(|error| given(path, Problem::Unusable(pem_error(&error).to_owned())))?;
    if certificates.is_empty() {
        return Err(given(path, Problem::NoCertificate));
    }
    Ok(certificates)
}

fn pem_error(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::MissingSectionEnd { .. } => "a certificate in it has no end",
        _ => "a certificate in it is not PEM",
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsFileError> {
    fs::read(path).map_err(|error| given(path, Problem::Unreadable(error)))
}

fn given(path: &Path, problem: Problem) -> TlsFileError {
    TlsFileError::Given { path: path.to_owned(), problem }
}
