use super::Checker;

/// What `--help` says of [`check_certificates`]'s variable, which is no flag: the
/// TLS libraries read it from the environment.
pub const CERTIFICATES_HELP: &str = "\
Environment:
  SSL_CERT_FILE  CA certificates, PEM, to trust at Redis, Svix and the identity provider [default: the system's]";

/// Checks that there are CA certificates to trust: without any, the Svix SDK
/// panics when its client is made, even for a server without TLS.
pub fn check_certificates(checker: &mut Checker) {
    if rustls_native_certs::load_native_certs().certs.is_empty() {
        let given = std::env::var("SSL_CERT_FILE").ok();
        checker.required(
            "SSL_CERT_FILE",
            given.as_deref(),
            "a PEM file of CA certificates, as the system has none",
            |_| None::<()>,
        );
    }
}
