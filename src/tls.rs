//! TLS as the operator wants it: which issuers are trusted, which certificate is shown, and what a
//! failed handshake means.
//!
//! The files are read again for each connection, so that a rotated certificate needs no restart.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::address::NO_TLS_IS_SPOKEN;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore};
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};

/// What was asked for, as files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// Certificates of issuers to trust instead of the system's.
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

/// Why a file cannot be used for TLS.
#[derive(Debug)]
pub struct TlsFileError {
    path: PathBuf,
    problem: Problem,
}

#[derive(Debug)]
enum Problem {
    Unreadable(io::Error),
    NoCertificate,
    NoKey,
    Unusable(String),
}

impl fmt::Display for TlsFileError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.problem {
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
    pub fn load(&self) -> Result<TlsConfig, TlsFileError> {
        let roots = match &self.ca_cert_file {
            Some(path) => {
                let certificates = read_certificates(path)?;
                let certificates: Vec<_> = certificates.iter().map(to_ureq).collect();
                RootCerts::new_with_certs(&certificates)
            }
            None => RootCerts::PlatformVerifier,
        };
        let client = self.client.as_ref().map(load_client).transpose()?;
        Ok(TlsConfig::builder()
            .root_certs(roots)
            .client_cert(client)
            .disable_verification(self.skip_verify)
            .build())
    }
}

fn load_client(files: &ClientFiles) -> Result<ClientCert, TlsFileError> {
    let chain = read_certificates(&files.cert_file)?;
    let pem = read(&files.key_file)?;
    let error = |problem| TlsFileError {
        path: files.key_file.clone(),
        problem,
    };
    let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| error(Problem::NoKey))?;
    // The HTTP library takes it for granted that the key is the certificate's.
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map(|builder| builder.with_root_certificates(RootCertStore::empty()))
        .and_then(|builder| builder.with_client_auth_cert(chain.clone(), key))
        .map_err(|reason| error(Problem::Unusable(reason.to_string())))?;
    let key = PrivateKey::from_pem(&pem).map_err(|_| error(Problem::NoKey))?;
    let chain: Vec<_> = chain.iter().map(to_ureq).collect();
    Ok(ClientCert::new_with_certs(&chain, key))
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsFileError> {
    let error = |problem| TlsFileError {
        path: path.to_owned(),
        problem,
    };
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&read(path)?)
        .collect::<Result<_, _>>()
        .map_err(|reason| error(Problem::Unusable(reason.to_string())))?;
    if certificates.is_empty() {
        return Err(error(Problem::NoCertificate));
    }
    Ok(certificates)
}

fn read(path: &Path) -> Result<Vec<u8>, TlsFileError> {
    fs::read(path).map_err(|error| TlsFileError {
        path: path.to_owned(),
        problem: Problem::Unreadable(error),
    })
}

fn to_ureq(certificate: &CertificateDer<'_>) -> Certificate<'static> {
    Certificate::from_der(certificate).to_owned()
}

/// What a failed handshake means, in the words of an operator.
#[must_use]
pub fn describe(error: &rustls::Error) -> String {
    use rustls::Error::{AlertReceived, General, InvalidCertificate, InvalidMessage};
    match error {
        InvalidCertificate(reason) => describe_certificate(reason),
        AlertReceived(alert) if is_about_our_certificate(*alert) => format!(
            "the server refuses the handshake ({alert:?}); where it demands a client certificate, \
             give one that it accepts as --client-cert-file and --client-key-file"
        ),
        InvalidMessage(_) => NO_TLS_IS_SPOKEN.to_owned(),
        // The words of the library that looks for the system's trust store.
        General(reason) if reason.contains("No CA certificates") => {
            "this system has no trust store; install its CA certificates, \
             or give the issuer's certificate as --ca-cert-file"
                .to_owned()
        }
        other => format!("TLS: {other}"),
    }
}

fn is_about_our_certificate(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::CertificateRequired
            | AlertDescription::HandshakeFailure
            | AlertDescription::NoCertificate
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::DecryptError
    )
}

fn describe_certificate(reason: &CertificateError) -> String {
    match reason {
        CertificateError::UnknownIssuer => "the server's certificate is of an unknown issuer; \
             give the issuer's certificate as --ca-cert-file"
            .to_owned(),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!(
                "the server's certificate is for another name ({reason}); \
                 give --cp-address with a name that it is for"
            )
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("the server's certificate has expired ({reason}); renew it there")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("the server's certificate is not valid yet ({reason}); check both clocks")
        }
        other => format!("the server's certificate cannot be used: {other}"),
    }
}
