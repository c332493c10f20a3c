use super::{Checker, Invalid};

/// The part of `--help` about `SSL_CERT_FILE`. It is a variable without a flag,
/// because the TLS libraries read it from the environment.
pub const CERTIFICATES_HELP: &str = "\
  SSL_CERT_FILE  CA certificates to trust at Redis, Svix, the identity provider and the OTLP collector, as PEM [default: the system's]";

/// Checks that there are CA certificates to trust. Without any, the Svix SDK panics
/// when its client is created, even for a server without TLS.
pub fn check_certificates(checker: &mut Checker) -> Result<(), Invalid> {
    if !rustls_native_certs::load_native_certs().certs.is_empty() {
        return Ok(());
    }
    let given = std::env::var("SSL_CERT_FILE").ok();
    let expected = "a PEM file of CA certificates, because the system has none";
    Err(checker
        .setting("SSL_CERT_FILE", given.as_deref(), expected)
        .report())
}
