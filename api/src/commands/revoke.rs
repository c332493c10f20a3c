//! `api key revoke`: the emergency brake.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use serde::Serialize;
use shared::clock::Timestamp;
use shared::config::{Checker, SvixArgs, check_certificates};
use shared::outln;
use shared::runtime;
use shared::store::{Actor, KeyFilter, ListedKey, Origin, PostgresStore, Revocation, Store};
use shared::svix::{SvixClient, WebhookEndpoint};

use super::key::{OneKey, all_keys, now};
use super::{NOTHING_FOUND, StoreArgs, print_json};

/// The time limit of a call to Svix.
const SVIX_TIMEOUT: Duration = Duration::from_secs(10);

/// The flags of `api key revoke`.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
#[derive(Debug, Args)]
pub struct RevokeArgs {
    #[command(flatten)]
    which: OneKey,
    /// All keys that are older, for instance 2026-11-22T09:30:00Z
    #[arg(long, value_name = "TIME", group = "OneKey")]
    created_before: Option<Timestamp>,
    /// Reason, for the audit trail. The account is only told that it was an operator, or
    /// that the key has leaked
    #[arg(long, value_name = "TEXT", value_parser = parse_reason)]
    reason: Option<String>,
    /// Needed for --created-before, which without it only says how many keys there are
    #[arg(long)]
    yes: bool,
    /// The key has leaked: also lists the webhook endpoints that were added while it
    /// lived, which may be a thief's. Needs the Svix token. Looks at revoked keys too
    #[arg(long)]
    leaked: bool,
    /// Disables the listed endpoints at Svix
    #[arg(long, requires = "leaked")]
    disable_endpoints: bool,
    /// Prints JSON, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    svix: SvixArgs,
    #[command(flatten)]
    store: StoreArgs,
}

/// The result for one key, as printed.
#[derive(Debug, Serialize)]
struct Done {
    #[serde(flatten)]
    key: ListedKey,
    /// True if this command revoked the key; false if it was revoked before.
    revoked_now: bool,
    /// The endpoints that were added while the key lived. `None` if Svix was not asked about
    /// them, or did not list them.
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoints: Option<Vec<WebhookEndpoint>>,
    /// Why the endpoints are not known, or not all of them are disabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoints_error: Option<String>,
}

fn parse_reason(text: &str) -> Result<String, &'static str> {
    let is_fine = (1..=200).contains(&text.len()) && !text.contains(char::is_control);
    is_fine
        .then(|| text.to_owned())
        .ok_or("expected 1 to 200 bytes of text without line breaks")
}

/// Revokes keys. It works in every session mode, because it needs no session.
pub async fn revoke(args: &RevokeArgs) -> anyhow::Result<ExitCode> {
    let filter = args.filter()?;
    let mut checker = Checker::default();
    let svix = args.leaked.then(|| {
        let svix = args.svix.check(&mut checker);
        check_certificates(&mut checker).and(svix)
    });
    let store = args.store.open(checker)?;
    let svix = svix.and_then(Result::ok);
    let svix = svix.map(|config| SvixClient::new(&config, SVIX_TIMEOUT));

    let keys = all_keys(&store, &filter).await?;
    if keys.is_empty() {
        let which = if args.leaked { "" } else { "active " };
        eprintln!("api: there is no such {which}key");
        return Ok(NOTHING_FOUND.into());
    }
    if args.created_before.is_some() && !args.yes {
        let count = keys.len();
        bail!("{count} keys would be revoked; to revoke them, repeat the command with --yes");
    }
    let origin = args.origin();
    let mut done = Vec::new();
    let mut failures = 0;
    // All keys are revoked before Svix is asked about any of them. Each call to Svix may take
    // SVIX_TIMEOUT, and the keys that are not revoked yet would work for that long.
    for key in keys {
        match revoke_one(&store, key, &origin).await {
            Ok(one) => done.push(one),
            Err(error) => {
                failures += 1;
                eprintln!("api: {error:#}");
            }
        }
    }
    if let Some(svix) = &svix {
        for one in &mut done {
            if let Err(error) = args.look_for_endpoints(svix, one).await {
                failures += 1;
                eprintln!("api: {} is revoked, but {error:#}", name_of(&one.key));
                one.endpoints_error = Some(format!("{error:#}"));
            }
        }
    }
    if args.json {
        print_json(&done)?;
    } else {
        done.iter().for_each(print);
    }
    if failures > 0 {
        bail!("not everything was done; the command can be repeated");
    }
    Ok(ExitCode::SUCCESS)
}

impl RevokeArgs {
    fn filter(&self) -> anyhow::Result<KeyFilter> {
        Ok(KeyFilter {
            created_before: self.created_before,
            with_revoked: self.leaked,
            ..self.which.filter()?
        })
    }

    /// Returns what the audit trail says about these revocations.
    fn origin(&self) -> Origin {
        let leaked = Revocation::LEAKED;
        let reason = match &self.reason {
            Some(reason) if self.leaked => Some(format!("{leaked}: {reason}")),
            Some(reason) => Some(reason.clone()),
            None => self.leaked.then(|| leaked.to_owned()),
        };
        Origin {
            reason,
            session_id: Some(format!("cli:{}", runtime::process_name())),
            ..Origin::of(Actor::Operator)
        }
    }

    /// Finds the endpoints that were added while the key lived. Disables them if that was
    /// asked for. After an error, `done` has what was found and disabled.
    async fn look_for_endpoints(&self, svix: &SvixClient, done: &mut Done) -> anyhow::Result<()> {
        let key = &done.key;
        let Some(app) = &key.svix_app_id else {
            done.endpoints = Some(Vec::new());
            return Ok(());
        };
        let listed = svix.endpoints(app).await;
        let mut endpoints = listed.context("its endpoints could not be listed")?;
        endpoints.retain(|endpoint| {
            let after_the_end = key.revoked_at.is_some_and(|end| endpoint.created_at > end);
            endpoint.created_at >= key.created_at && !after_the_end
        });
        let endpoints = done.endpoints.insert(endpoints);
        if !self.disable_endpoints {
            return Ok(());
        }
        let mut first_error = Ok(());
        for endpoint in endpoints.iter_mut().filter(|endpoint| !endpoint.disabled) {
            let id = &endpoint.id;
            let disabled = svix.disable_endpoint(app, id).await;
            let disabled =
                disabled.with_context(|| format!("its endpoint {id} could not be disabled"));
            endpoint.disabled = disabled.is_ok();
            first_error = first_error.and(disabled);
        }
        first_error
    }
}

/// Revokes a key, unless it is revoked already. The error names the key.
async fn revoke_one(
    store: &PostgresStore,
    mut key: ListedKey,
    origin: &Origin,
) -> anyhow::Result<Done> {
    let at = now();
    let revoked = store.revoke_key_by_id(key.id, at, origin).await;
    let revoked = revoked.with_context(|| {
        let name = name_of(&key);
        format!("{name} could not be revoked and may still work")
    })?;
    if revoked.is_some() {
        key.is_active = false;
        key.revoked_at = Some(at);
        key.expires_at = None;
    }
    Ok(Done {
        key,
        revoked_now: revoked.is_some(),
        endpoints: None,
        endpoints_error: None,
    })
}

/// Returns the key's prefix and its account, as operators read them.
fn name_of(key: &ListedKey) -> String {
    let (prefix, account) = (&key.key_prefix, key.account_id.as_str());
    format!("{prefix} of account {account:?}")
}

fn print(done: &Done) {
    let verb = if done.revoked_now {
        "revoked"
    } else {
        "was already revoked:"
    };
    outln!("{verb} {}", name_of(&done.key));
    if done.endpoints.as_ref().is_some_and(Vec::is_empty) {
        outln!("  no endpoint was added while it lived");
    }
    for endpoint in done.endpoints.iter().flatten() {
        let state = if endpoint.disabled {
            "disabled"
        } else {
            "enabled"
        };
        let (id, url, created_at) = (&endpoint.id, &endpoint.url, endpoint.created_at);
        outln!("  endpoint {id}  {state}  {url:?}  added {created_at}");
    }
    if let Some(error) = &done.endpoints_error {
        outln!("  {error}");
    }
}
