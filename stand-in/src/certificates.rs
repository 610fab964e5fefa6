//! Certificates that are made while a test runs: authorities, and the servers and clients that
//! they issue certificates to, valid or not.

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// Whether a certificate's time is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// It is.
    Valid,
    /// It is over.
    Expired,
    /// It has not come yet.
    NotYet,
}

/// A certificate authority.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its private key.
pub struct Identity {
    /// The certificate, as PEM.
    pub certificate_pem: String,
    /// The private key, as PEM.
    pub key_pem: String,
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

impl Authority {
    /// A new authority, which nobody trusts yet.
    ///
    /// # Panics
    ///
    /// If no key can be made.
    #[must_use]
    pub fn new(name: &str) -> Authority {
        Authority::of_kind(
            name,
            IsCa::Ca(BasicConstraints::Unconstrained),
            KeyUsagePurpose::KeyCertSign,
        )
    }

    /// One that calls itself no authority (`CA:FALSE`), and issues certificates all the same.
    ///
    /// # Panics
    ///
    /// If no key can be made.
    #[must_use]
    pub fn that_is_none(name: &str) -> Authority {
        Authority::of_kind(name, IsCa::ExplicitNoCa, KeyUsagePurpose::KeyCertSign)
    }

    /// One whose key is not for signing certificates, and signs them all the same.
    ///
    /// # Panics
    ///
    /// If no key can be made.
    #[must_use]
    pub fn that_may_not_sign(name: &str) -> Authority {
        Authority::of_kind(
            name,
            IsCa::Ca(BasicConstraints::Unconstrained),
            KeyUsagePurpose::DigitalSignature,
        )
    }

    fn of_kind(name: &str, is_ca: IsCa, usage: KeyUsagePurpose) -> Authority {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = is_ca;
        params.key_usages = vec![usage];
        let key = KeyPair::generate().expect("the system gives random bytes");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("the parameters are sound");
        Authority { issuer }
    }

    /// Its own certificate, as PEM: what a client is given to trust.
    #[must_use]
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// An identity for a server that is known by these names and addresses.
    ///
    /// # Panics
    ///
    /// If a name is neither a host name nor an IP address.
    #[must_use]
    pub fn server(&self, names: &[&str], validity: Validity) -> Identity {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let params = CertificateParams::new(names).expect("names of hosts, or IP addresses");
        self.issue("a server", params, ExtendedKeyUsagePurpose::ServerAuth, validity)
    }

    /// An identity for a client.
    #[must_use]
    pub fn client(&self, name: &str) -> Identity {
        let params = CertificateParams::default();
        self.issue(name, params, ExtendedKeyUsagePurpose::ClientAuth, Validity::Valid)
    }

    pub(crate) fn certificate(&self) -> CertificateDer<'static> {
        self.issuer.der().clone()
    }

    fn issue(
        &self,
        name: &str,
        mut params: CertificateParams,
        usage: ExtendedKeyUsagePurpose,
        validity: Validity,
    ) -> Identity {
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![usage];
        validity.limit(&mut params);
        let key = KeyPair::generate().expect("the system gives random bytes");
        let certificate = params.signed_by(&key, &self.issuer).expect("the parameters are sound");
        Identity::new(&certificate, &key)
    }
}

impl Validity {
    fn limit(self, params: &mut CertificateParams) {
        let (from, to) = match self {
            Validity::Valid => (2000, 2999),
            Validity::Expired => (2000, 2001),
            Validity::NotYet => (2998, 2999),
        };
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
    }
}

impl Identity {
    /// What a control plane makes for itself where it was given none: it serves by a certificate
    /// that says it is an authority's, and has signed it itself.
    ///
    /// # Panics
    ///
    /// If a name is neither a host name nor an IP address.
    #[must_use]
    pub fn self_signed(names: &[&str], validity: Validity) -> Identity {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names of hosts, or IP addresses");
        // From 2.0 on, it has no other names than those.
        params.distinguished_name = DistinguishedName::new();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyEncipherment,
            KeyUsagePurpose::KeyCertSign,
        ];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        validity.limit(&mut params);
        let key = KeyPair::generate().expect("the system gives random bytes");
        let certificate = params.self_signed(&key).expect("the parameters are sound");
        Identity::new(&certificate, &key)
    }

    fn new(certificate: &Certificate, key: &KeyPair) -> Identity {
        Identity {
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            certificate: certificate.der().clone(),
            key: key.serialize_der(),
        }
    }

    pub(crate) fn certificate(&self) -> CertificateDer<'static> {
        self.certificate.clone()
    }

    pub(crate) fn key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.clone()).into()
    }
}
