//! A certificate authority of a test's own.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// A private CA.
pub struct PrivateCa(CertifiedIssuer<'static, KeyPair>);

impl PrivateCa {
    /// Makes one. Each has a key of its own, and all the same name.
    #[expect(
        clippy::new_without_default,
        reason = "no two are equal, so none is the default"
    )]
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "Test CA");
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// A certificate for this host, a name or an address, and its private key;
    /// both PEM.
    pub fn issue(&self, host: &str) -> (String, String) {
        let params = CertificateParams::new([host.to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    /// Writes the CA's own certificate to a file in `dir`.
    pub fn write(&self, dir: &Path) -> PathBuf {
        let file = dir.join("ca.pem");
        std::fs::write(&file, self.0.pem()).unwrap();
        file
    }
}
