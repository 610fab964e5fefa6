//! What a failed handshake means, in the words of an operator.
//!
//! The library's own words are often the names of its variants, and the values in them for
//! programmers; neither belongs into a log. Only what hardly ever happens is told in its words.

use std::fmt;

use jiff::Timestamp;
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error, InconsistentKeys, PeerIncompatible};

use crate::common::sanitize::sanitize;
use crate::mads::transport::address::NO_TLS_IS_SPOKEN;

/// What the library for the verification of certificates calls a server's certificate that is an
/// issuer's as well. It has no type for this that can be seen here.
const ISSUER_AS_SERVER: &str = "CaUsedAsEndEntity";

/// What a failed handshake means, and what to do about it.
#[must_use]
pub fn describe(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(reason) => describe_certificate(reason),
        Error::AlertReceived(alert) if is_about_our_certificate(*alert) => format!(
            "the server refuses the handshake ({}); where it demands a client certificate, \
             give one that it accepts as --client-cert-file and --client-key-file",
            in_words(alert)
        ),
        Error::AlertReceived(AlertDescription::Unknown(number)) => {
            format!("the server refuses the handshake (alert {number})")
        }
        Error::AlertReceived(alert) => {
            format!("the server refuses the handshake ({})", in_words(alert))
        }
        Error::InvalidMessage(_) => NO_TLS_IS_SPOKEN.to_owned(),
        Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13) => {
            "the server speaks neither TLS 1.2 nor TLS 1.3".to_owned()
        }
        Error::PeerIncompatible(reason) => {
            format!("no way of TLS in common with the server ({})", in_words(reason))
        }
        Error::PeerMisbehaved(reason) => {
            format!("the server breaks the rules of TLS ({})", in_words(reason))
        }
        Error::InappropriateMessage { .. } | Error::InappropriateHandshakeMessage { .. } => {
            "the server breaks the rules of TLS (a message out of its order)".to_owned()
        }
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            "it is not the key of that certificate".to_owned()
        }
        other => format!("TLS: {}", sanitize(&other.to_string())),
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
        CertificateError::Other(error) if error.to_string() == ISSUER_AS_SERVER => {
            "the server shows an issuer's certificate (CA:TRUE) as its own, and it is not in \
             --ca-cert-file; put exactly this certificate there"
                .to_owned()
        }
        CertificateError::NotValidForNameContext { expected, presented } => format!(
            "the server's certificate is for another name ({}, not {}); \
             give --cp-address with a name that it is for",
            names(presented),
            expected.to_str()
        ),
        CertificateError::ExpiredContext { not_after, .. } => format!(
            "the server's certificate has expired (on {}); renew it there",
            date(*not_after)
        ),
        CertificateError::NotValidYetContext { not_before, .. } => format!(
            "the server's certificate is not valid yet (until {}); check both clocks",
            date(*not_before)
        ),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            cannot_be_used("its extended key usage is not that of a server")
        }
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            cannot_be_used("unsupported signature algorithm")
        }
        CertificateError::Other(error) => {
            let text = error.to_string();
            // A sentence, or the name of a variant.
            match text.contains(' ') && !text.contains(['(', '{']) {
                true => cannot_be_used(&sanitize(&text)),
                false => cannot_be_used(&in_words(format_args!("{text}"))),
            }
        }
        other => cannot_be_used(&in_words(other)),
    }
}

fn cannot_be_used(reason: &str) -> String {
    format!("the server's certificate cannot be used: {reason}")
}

/// The names in a certificate, which the library lists as `DnsName("cp.example.org")`.
fn names(presented: &[String]) -> String {
    let name = |presented: &String| {
        let value = presented.split_once('(').map_or(presented.as_str(), |(_, value)| value);
        value.trim_matches(['"', ')']).to_owned()
    };
    let names: Vec<String> = presented.iter().map(name).collect();
    match names.is_empty() {
        true => "for none at all".to_owned(),
        false => sanitize(&names.join(", ")),
    }
}

fn date(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds)
        .map_or_else(|_| "a time out of range".to_owned(), |time| time.to_string())
}

/// The name of a variant as words: `CertificateRequired` as "certificate required". What it holds
/// is left out.
fn in_words(variant: impl fmt::Debug) -> String {
    let text = format!("{variant:?}");
    let is_part = |character: char| character.is_ascii_alphanumeric();
    let name: Vec<char> = text.chars().take_while(|part| is_part(*part)).collect();
    let is_upper = |index: usize| name.get(index).is_some_and(char::is_ascii_uppercase);
    let mut words = String::new();
    for (index, character) in name.iter().enumerate() {
        let follows_upper = index > 0 && is_upper(index - 1);
        if is_upper(index) && index > 0 && !follows_upper {
            words.push(' ');
        }
        let is_acronym = follows_upper || is_upper(index + 1);
        match is_acronym {
            true => words.push(*character),
            false => words.push(character.to_ascii_lowercase()),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::describe;
    use rustls::{
        AlertDescription, CertificateError, Error, InvalidMessage, OtherError, PeerIncompatible,
        PeerMisbehaved,
    };
    use std::sync::Arc;

    fn other(text: &'static str) -> Error {
        let error: Arc<dyn std::error::Error + Send + Sync> = Arc::from(Box::from(text));
        CertificateError::Other(OtherError(error)).into()
    }

    #[test]
    fn a_failure_is_told_in_words_and_not_by_the_name_of_a_variant() {
        let refused = "the server refuses the handshake";
        let unusable = "the server's certificate cannot be used";
        let rows = [
            (
                Error::AlertReceived(AlertDescription::UnknownCA),
                format!("{refused} (unknown CA); where it demands a client certificate"),
            ),
            (
                Error::AlertReceived(AlertDescription::ProtocolVersion),
                format!("{refused} (protocol version)"),
            ),
            (
                Error::AlertReceived(AlertDescription::Unknown(200)),
                format!("{refused} (alert 200)"),
            ),
            (
                PeerIncompatible::NoCipherSuitesInCommon.into(),
                "no way of TLS in common with the server (no cipher suites in common)".to_owned(),
            ),
            (
                PeerMisbehaved::IllegalMiddleboxChangeCipherSpec.into(),
                "the server breaks the rules of TLS (illegal middlebox change cipher spec)"
                    .to_owned(),
            ),
            (CertificateError::BadEncoding.into(), format!("{unusable}: bad encoding")),
            (
                other("PathLenConstraintViolated"),
                format!("{unusable}: path len constraint violated"),
            ),
            (other("TrailingData(Certificate)"), format!("{unusable}: trailing data")),
            (other("a sentence\nof two lines"), format!("{unusable}: a sentence of two lines")),
            (InvalidMessage::InvalidContentType.into(), "no TLS is spoken there".to_owned()),
            (Error::PeerSentOversizedRecord, "TLS: peer sent excess record size".to_owned()),
        ];
        for (error, expected) in rows {
            let described = describe(&error);
            assert!(described.starts_with(&expected), "{described}");
            let is_debug = described.contains("Other(") || described.contains('{');
            assert!(!is_debug, "{described}");
        }
    }
}
