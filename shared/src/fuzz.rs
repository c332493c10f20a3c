//! Properties of everything that reads settings and jobs, for any input. `make fuzz` tries
//! other inputs for a minute. Inputs that once broke a property are kept in
//! `proptest-regressions`, and are tried first.

use std::str::FromStr;

use proptest::prelude::*;

use crate::clock::Timestamp;
use crate::config::{
    Checker, GithubArgs, HttpArgs, LimitArgs, RotationArgs, SessionArgs, SvixArgs,
};
use crate::ids::AccountId;
use crate::key::{KeyPrefix, PartnerKey};
use crate::session::SessionToken;
use crate::store::Job;

/// A text that a setting could be.
fn setting() -> impl Strategy<Value = Option<String>> {
    let text = prop_oneof![
        "\\PC{0,40}",
        "(https?://)?[a-z*.:@/\\[\\]#?0-9-]{0,30}(,[a-z:/.]{0,10})?",
        "[0-9.:/]{0,20}[smhd]?",
    ];
    proptest::option::of(text)
}

proptest! {
    #[test]
    fn fuzz_settings(text in setting(), other in setting()) {
        let http = HttpArgs {
            listen_addr: text.clone(),
            port: other.clone(),
            session_cookie: text.clone(),
            allowed_origins: text.clone(),
            login_url: text.clone(),
            trusted_proxies: text.clone(),
            max_connections: text.clone(),
            docs: text.clone(),
            rotation: RotationArgs {
                rotation_overlap: other.clone(),
            },
            github: GithubArgs {
                github_secret_scanning: Some("on".into()),
                github_keys_url: text.clone(),
            },
            limits: LimitArgs {
                rate_limit_create: text.clone(),
                rate_limit_portal: other.clone(),
                rate_limit_failed_auth: text.clone(),
                rate_limit_reports: other.clone(),
            },
        };
        let sessions = SessionArgs {
            session_mode: Some("jwt".into()),
            session_jwks_url: text.clone(),
            session_issuer: other.clone(),
            session_audience: text.clone(),
            session_account_claim: text.clone(),
            session_jwks_max_stale: text.clone(),
            session_max_lifetime: other.clone(),
        };
        let svix = SvixArgs {
            svix_server_url: text.clone(),
            svix_uid_prefix: other,
        };
        let mut checker = Checker::default();
        if let Ok(http) = http.check(&mut checker, 1) {
            prop_assert!(http.allowed_origins.iter().all(|origin| !origin.contains('*')));
        }
        let _ = sessions.check(&mut checker);
        let _ = svix.check(&mut checker);
        let error = checker.finish(|| Ok(()));
        if let Err(error) = error {
            let lines = error.to_string();
            // Each problem is one line, whatever was given.
            let expected = lines.matches("; expected ").count();
            prop_assert!(lines.lines().count() == 1 + expected, "{lines}");
        }
    }

    #[test]
    fn fuzz_job(bytes in proptest::collection::vec(any::<u8>(), 0..100), text in "[{}\":,a-z_0-9-]{0,80}") {
        for payload in [&bytes[..], text.as_bytes()] {
            if let Ok(job) = serde_json::from_slice::<Job>(payload) {
                let again = serde_json::to_vec(&job).unwrap();
                prop_assert_eq!(serde_json::from_slice::<Job>(&again).unwrap(), job);
            }
        }
    }

    #[test]
    fn fuzz_identifiers(text in "(pk_live_)?\\PC{0,80}") {
        if let Ok(key) = PartnerKey::parse(&text) {
            prop_assert_eq!(key.expose(), &text);
            prop_assert_eq!(KeyPrefix::from_str(&text[..24]).unwrap(), key.prefix());
        }
        let _ = (KeyPrefix::from_str(&text), Timestamp::from_str(&text));
        let is_token = SessionToken::parse(&text).is_ok();
        prop_assert!(!is_token || !text.starts_with("pk_"));
        let is_account = AccountId::parse(text.clone()).is_ok();
        prop_assert_eq!(is_account, (1..=255).contains(&text.chars().count()));
    }
}
