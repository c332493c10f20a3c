//! `api doctor`: checks what an api needs, and says how to mend it.

use api::auth::jwt::provider_keys;
use clap::Args;
use shared::config::{Checker, SessionConfig};
use shared::doctor::{Descriptors, Doctor, Finding, look_up};
use shared::server::{Listener, RESERVED_DESCRIPTORS};

use super::ServeArgs;

const PROVIDER_NAME: &str = "identity_provider.name";
const PROVIDER_KEYS: &str = "identity_provider.keys";

/// The flags of `api doctor`: those of an api that serves.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Prints JSON, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    serve: ServeArgs,
}

/// Prints what it finds, and ends the process.
pub async fn doctor(args: &DoctorArgs) -> ! {
    let mut checker = Checker::default();
    let settings = args.serve.check(&mut checker);
    let public = settings.http.ok();
    let public = public.map(|http| (Listener::Public, http.listen));
    let internal = settings.internal.ok().flatten();
    let internal = internal.map(|internal| (Listener::Internal, internal.listen));
    let admin = settings.admin.ok().flatten();
    let admin = admin.map(|address| (Listener::Admin, address));
    let has_certificates = settings.certificates.is_ok();
    let doctor = Doctor {
        program: "api",
        checker,
        database: settings.database.ok(),
        redis: settings.redis.ok(),
        // Without certificates, its client cannot be created.
        svix: settings.svix.ok().filter(|_| has_certificates),
        addresses: [public, internal, admin].into_iter().flatten().collect(),
        descriptors: Some(Descriptors {
            needed: args.serve.http.wanted_connections() + RESERVED_DESCRIPTORS,
            purpose: "MAX_CONNECTIONS and itself",
        }),
    };
    let provider = check_provider(settings.sessions.ok());
    let findings = Box::pin(doctor.examine(provider)).await;
    findings.end(args.json)
}

/// Fetches the identity provider's keys, if there is one. The URL's path and query may be
/// secret.
async fn check_provider(sessions: Option<SessionConfig>) -> Vec<Finding> {
    let Some(SessionConfig::Jwt(config)) = sessions else {
        return Vec::new();
    };
    let host = config.jwks_url.host_str().unwrap_or_default();
    let (name, addresses) = look_up(PROVIDER_NAME, host).await;
    let keys = if addresses.is_empty() {
        Finding::skipped(PROVIDER_KEYS, "the provider's name was not found")
    } else {
        match provider_keys(&config.jwks_url).await {
            Ok(0) => Finding::error(
                PROVIDER_KEYS,
                format!("{host} publishes no key that can sign sessions"),
                "let the provider publish a key for RS256, ES256 or EdDSA, or correct \
                 SESSION_JWKS_URL",
            ),
            Ok(count) => Finding::ok(PROVIDER_KEYS, format!("{host} publishes {count} keys")),
            Err(error) => Finding::error(
                PROVIDER_KEYS,
                format!("{host}: {error}"),
                "correct SESSION_JWKS_URL (the provider's jwks_uri), allow connections from this \
                 machine to it, and give a private CA in SSL_CERT_FILE",
            ),
        }
    };
    vec![name, keys]
}
