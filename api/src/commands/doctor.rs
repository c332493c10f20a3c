//! `api doctor`: checks what an api needs, and says how to mend it.

use std::fmt::Display;

use api::auth::jwt::provider_keys;
use api::github_keys;
use clap::Args;
use shared::config::{Checker, SessionConfig};
use shared::doctor::{Descriptors, Doctor, Finding, look_up};
use shared::server::{Listener, RESERVED_DESCRIPTORS};
use url::Url;

use super::ServeArgs;

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
    let http = settings.http.ok();
    let public = http.as_ref().map(|http| (Listener::Public, http.listen));
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
        // Without certificates, no HTTP client can be created.
        svix: settings.svix.ok().filter(|_| has_certificates),
        otlp: settings.otlp.ok().flatten().filter(|_| has_certificates),
        addresses: [public, internal, admin].into_iter().flatten().collect(),
        descriptors: Some(Descriptors {
            needed: (args.serve.http.wanted_connections())
                .saturating_mul(args.serve.internal.listeners())
                .saturating_add(RESERVED_DESCRIPTORS),
            purpose: "MAX_CONNECTIONS of each listener and itself",
        }),
    };
    let github = http.as_ref().and_then(|http| http.github_keys.as_ref());
    let published = async {
        let provider = check_provider(settings.sessions.ok());
        let (provider, github) = tokio::join!(provider, check_github(github));
        [provider, github].concat()
    };
    let findings = Box::pin(doctor.examine(published)).await;
    findings.end(args.json)
}

/// Public keys that another service publishes.
struct Published<'a> {
    /// The names of the checks: of the name of the server, and of the keys.
    checks: [&'static str; 2],
    url: &'a Url,
    /// What a key is needed for: the end of the message "… publishes no key that …".
    purpose: &'static str,
    fix_without_keys: &'static str,
    fix_without_answer: &'static str,
}

impl Published<'_> {
    /// Looks up the server's name and fetches the keys. The URL's path and query may be secret.
    async fn check<E: Display>(
        &self,
        fetch: impl Future<Output = Result<usize, E>>,
    ) -> Vec<Finding> {
        let [name, keys] = self.checks;
        let host = self.url.host_str().unwrap_or_default();
        let (name, addresses) = look_up(name, host).await;
        let keys = if addresses.is_empty() {
            Finding::skipped(keys, "the server's name was not found")
        } else {
            match fetch.await {
                Ok(0) => {
                    let message = format!("{host} publishes no key that {}", self.purpose);
                    Finding::error(keys, message, self.fix_without_keys)
                }
                Ok(count) => Finding::ok(keys, format!("{host} publishes {count} keys")),
                Err(error) => {
                    let message = format!("{host}: {error}");
                    Finding::error(keys, message, self.fix_without_answer)
                }
            }
        };
        vec![name, keys]
    }
}

/// Fetches the identity provider's keys, if there is one.
async fn check_provider(sessions: Option<SessionConfig>) -> Vec<Finding> {
    let Some(SessionConfig::Jwt(config)) = sessions else {
        return Vec::new();
    };
    let url = &config.jwks_url;
    let published = Published {
        checks: ["identity_provider.name", "identity_provider.keys"],
        url,
        purpose: "can sign sessions",
        fix_without_keys: "let the provider publish a key for RS256, ES256 or EdDSA, or correct \
                           SESSION_JWKS_URL",
        fix_without_answer: "correct SESSION_JWKS_URL (the provider's jwks_uri), allow connections \
                             from this machine to it, and give a private CA in SSL_CERT_FILE",
    };
    published.check(provider_keys(url)).await
}

/// Fetches the keys with which GitHub signs its reports, if they are accepted. They are mostly
/// needed months later, and a key that has leaked works until then.
async fn check_github(url: Option<&Url>) -> Vec<Finding> {
    let Some(url) = url else {
        return Vec::new();
    };
    let published = Published {
        checks: ["github.name", "github.keys"],
        url,
        purpose: "can sign reports",
        fix_without_keys: "correct GITHUB_KEYS_URL, or unset it for GitHub's own",
        fix_without_answer: "allow connections from this machine to it, or unset GITHUB_KEYS_URL for \
                             GitHub's own; until then GitHub's reports of leaked keys are refused",
    };
    published.check(github_keys(url)).await
}
