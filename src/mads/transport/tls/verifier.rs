//! Which servers are trusted.
//!
//! A control plane that was given no certificate signs one for itself, which says that it is an
//! issuer's (`CA:TRUE`), and serves by it. Its users hand exactly this certificate to their clients,
//! and Go's TLS takes it. webpki refuses an issuer's certificate as a server's, and on the other
//! hand takes any certificate that it is given as an issuer's. So the certificates of
//! `--ca-cert-file` are looked at here: as the server's own, and, where they may issue, as
//! webpki's trust anchors.

use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use x509_parser::certificate::{Validity, X509Certificate};
use x509_parser::parse_x509_certificate;
use x509_parser::x509::X509Version;

/// Trusts a server that shows one of some certificates, or one that these have issued.
#[derive(Debug)]
pub(super) struct GivenCertificates {
    certificates: Vec<CertificateDer<'static>>,
    issuers: RootCertStore,
    algorithms: WebPkiSupportedAlgorithms,
}

impl GivenCertificates {
    /// `None` where none of the certificates can be decoded.
    pub(super) fn new(
        certificates: Vec<CertificateDer<'static>>,
        provider: &CryptoProvider,
    ) -> Option<Self> {
        let mut issuers = RootCertStore::empty();
        let mut any_is_decoded = false;
        for certificate in &certificates {
            let Ok((_, parsed)) = parse_x509_certificate(certificate) else {
                continue;
            };
            any_is_decoded = true;
            if may_issue(&parsed) {
                issuers.add_parsable_certificates([certificate.clone()]);
            }
        }
        any_is_decoded.then_some(Self {
            certificates,
            issuers,
            algorithms: provider.signature_verification_algorithms,
        })
    }
}

impl ServerCertVerifier for GivenCertificates {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        if self.certificates.iter().any(|given| given == end_entity) {
            let (_, parsed) =
                parse_x509_certificate(end_entity).map_err(|_| CertificateError::BadEncoding)?;
            verify_time(parsed.validity(), now)?;
        } else {
            let algorithms = self.algorithms.all;
            verify_server_cert_signed_by_trust_anchor(
                &certificate,
                &self.issuers,
                intermediates,
                now,
                algorithms,
            )?;
        }
        verify_server_name(&certificate, server_name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn may_issue(certificate: &X509Certificate<'_>) -> bool {
    if certificate.version() == X509Version::V1 {
        // It has no extensions to say so with; old roots are of this kind.
        return true;
    }
    let may_sign = certificate
        .key_usage()
        .is_ok_and(|usage| usage.is_none_or(|usage| usage.value.key_cert_sign()));
    certificate.is_ca() && may_sign
}

fn verify_time(validity: &Validity, now: UnixTime) -> Result<(), CertificateError> {
    // A time before 1970 is as good as 1970.
    let unix = |seconds: i64| {
        UnixTime::since_unix_epoch(Duration::from_secs(seconds.try_into().unwrap_or(0)))
    };
    let not_before = unix(validity.not_before.timestamp());
    let not_after = unix(validity.not_after.timestamp());
    if now < not_before {
        return Err(CertificateError::NotValidYetContext { time: now, not_before });
    }
    if now > not_after {
        return Err(CertificateError::ExpiredContext { time: now, not_after });
    }
    Ok(())
}

/// Takes any certificate, for `--tls-skip-verify`, and for a look at a server to which nothing that
/// matters is sent, and of which nothing that it says is believed.
#[derive(Debug)]
pub(super) struct AnyCertificate(pub(super) WebPkiSupportedAlgorithms);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::GivenCertificates;
    use rustls::CertificateError::{ExpiredContext, NotValidForNameContext, NotValidYetContext};
    use rustls::client::danger::ServerCertVerifier;
    use rustls::crypto::ring;
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject};
    use rustls::{CertificateError, Error};
    use std::time::Duration;

    /// A root of X.509 v1, which has no extension to say with that it may issue, and a server that
    /// it has issued; both are valid from 2026 to 2126.
    const OLD_ROOT: &str = "\
-----BEGIN CERTIFICATE-----
MIIBFjCBvAIBATAKBggqhkjOPQQDAjAWMRQwEgYDVQQDDAthbiBvbGQgcm9vdDAg
Fw0yNjExMjUyMDQxNTdaGA8yMTI2MTEwMTIwNDE1N1owFjEUMBIGA1UEAwwLYW4g
b2xkIHJvb3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARJmsndQI/i3QJdxQrg
xxOQaHfnQNwoQW9ZjsQPlwAwVBmR3h7pFcGlCaQmG01JshwiGZ7V2D2YxI+Z70y7
5IisMAoGCCqGSM49BAMCA0kAMEYCIQCrX502trY4QeosJ8/KBDRq/FxjsU8hrSHF
AHXAxfxpTQIhAIjkyYLINxnZ6urNyc3fQr4NB9qWvqosS/8a09TlR+qj
-----END CERTIFICATE-----";
    const OF_OLD_ROOT: &str = "\
-----BEGIN CERTIFICATE-----
MIIBojCCAUigAwIBAgIBAjAKBggqhkjOPQQDAjAWMRQwEgYDVQQDDAthbiBvbGQg
cm9vdDAgFw0yNjExMjUyMDQxNTdaGA8yMTI2MTEwMTIwNDE1N1owEzERMA8GA1UE
AwwIYSBzZXJ2ZXIwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQraeRiWLHDzE47
g+CwhYOMbfPLdaUdQVh04QYlrgQH4po29WbRuGsjchzfbYKet7s8+fXcbvqEddwc
eCDs2b5/o4GHMIGEMBkGA1UdEQQSMBCCDmNwLmV4YW1wbGUub3JnMBMGA1UdJQQM
MAoGCCsGAQUFBwMBMAkGA1UdEwQCMAAwHQYDVR0OBBYEFFdgnkkTUTYDk8tJ/+Np
Q8vz5XByMCgGA1UdIwQhMB+hGqQYMBYxFDASBgNVBAMMC2FuIG9sZCByb290ggEB
MAoGCCqGSM49BAMCA0gAMEUCIQDCtOIfdAQjG+nv12qJwoYIykKJW0jgZtRRTtLn
KdI+6gIgYdB1BbeIZD/MIsgw+FcYpvlmO3PCfvGuInmSFxLbUrA=
-----END CERTIFICATE-----";

    fn decoded(pem: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
    }

    /// What becomes of the server of the old root, where `given` is trusted.
    fn verify(given: &str, name: &str, year: u64) -> Result<(), CertificateError> {
        let provider = ring::default_provider();
        let verifier = GivenCertificates::new(vec![decoded(given)], &provider).unwrap();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let since_epoch = Duration::from_secs((year - 1970) * 31_557_600);
        let now = UnixTime::since_unix_epoch(since_epoch);
        match verifier.verify_server_cert(&decoded(OF_OLD_ROOT), &[], &name, &[], now) {
            Ok(_) => Ok(()),
            Err(Error::InvalidCertificate(error)) => Err(error),
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn a_root_of_the_first_kind_may_issue() {
        assert_eq!(verify(OLD_ROOT, "cp.example.org", 2050), Ok(()));
    }

    #[test]
    fn a_certificate_that_is_given_itself_is_held_to_its_name_and_its_time() {
        let verify = |name, year| verify(OF_OLD_ROOT, name, year);
        assert_eq!(verify("cp.example.org", 2050), Ok(()));
        let other_name = verify("other.example.org", 2050);
        assert!(matches!(other_name, Err(NotValidForNameContext { .. })));
        let early = verify("cp.example.org", 2020);
        assert!(matches!(early, Err(NotValidYetContext { .. })));
        let late = verify("cp.example.org", 2130);
        assert!(matches!(late, Err(ExpiredContext { .. })));
    }

    #[test]
    fn what_cannot_be_decoded_is_no_certificate() {
        let provider = ring::default_provider();
        let garbage = vec![CertificateDer::from(vec![0x30, 0x03, 0x02, 0x01])];
        assert!(GivenCertificates::new(garbage, &provider).is_none());
    }
}
