//! Settings that would let nobody in, or believe that tokens are checked while
//! they are not: no start.

use tests::Process;

const GOOD: [(&str, &str); 7] = [
    ("DATABASE_URL", "postgres://user@127.0.0.1:1/none"),
    ("REDIS_URL", "redis://127.0.0.1:1/"),
    ("SVIX_TOKEN", "testsk_x"),
    ("SESSION_MODE", "jwt"),
    ("SESSION_JWKS_URL", "https://id.example.com/jwks"),
    ("SESSION_ISSUER", "https://id.example.com/"),
    ("SESSION_AUDIENCE", "partner-keys"),
];

/// Both binaries refuse these settings, with exactly these problems.
async fn refused(changes: &[(&str, &str)], problems: &[&str]) {
    for name in ["api", "standalone"] {
        let mut env: Vec<(&str, String)> = Vec::new();
        for (variable, value) in GOOD.iter().chain(changes) {
            env.retain(|(known, _)| known != variable);
            env.push((variable, (*value).to_owned()));
        }
        let dir = tests::scratch();
        let process = Process::start(dir.path(), name, &[], &env);
        let (status, stdout, stderr) = process.run().await;
        assert_eq!((status.code(), &*stdout), (Some(1), ""), "{stderr}");
        let lines: Vec<&str> = stderr.lines().skip(1).collect();
        assert_eq!(lines.len(), problems.len(), "{stderr}");
        for (line, problem) in lines.iter().zip(problems) {
            assert!(
                line.starts_with(&format!("  {problem}")),
                "{problem}: {stderr}"
            );
        }
    }
}

#[tokio::test]
async fn a_provider_needs_its_url_its_issuer_and_an_audience() {
    let none = ["SESSION_JWKS_URL", "SESSION_ISSUER", "SESSION_AUDIENCE"].map(|name| (name, ""));
    let missing = [
        "SESSION_JWKS_URL is not set; expected an https:// URL",
        "SESSION_ISSUER is not set; expected the `iss` of the provider's tokens",
        "SESSION_AUDIENCE is not set; expected the `aud` of the tokens",
    ];
    refused(&none, &missing).await;
    for (variable, problem) in none.iter().zip(missing) {
        refused(&[*variable], &[problem]).await;
    }
}

#[tokio::test]
async fn a_wrong_value_is_named_with_what_was_expected() {
    for url in [
        "http://id.example.com/jwks",
        "http://10.0.0.1/jwks",
        "id.example.com/jwks",
        "file:///etc/jwks.json",
    ] {
        let problem = format!("SESSION_JWKS_URL is {url:?}; expected an https:// URL");
        refused(&[("SESSION_JWKS_URL", url)], &[&problem]).await;
    }
    let problem = "SESSION_MODE is \"oidc\"; expected table or jwt";
    refused(&[("SESSION_MODE", "oidc")], &[problem]).await;
    let problem = "SESSION_ISSUER is \" a\"; expected the `iss`";
    refused(&[("SESSION_ISSUER", " a")], &[problem]).await;
    let problem = "SESSION_ACCOUNT_CLAIM is \"sub \"; expected the name of a claim";
    refused(&[("SESSION_ACCOUNT_CLAIM", "sub ")], &[problem]).await;
}

#[tokio::test]
async fn settings_of_a_provider_without_one_are_a_problem() {
    let problems = [
        "SESSION_JWKS_URL is \"https://id.example.com/jwks\"; expected no value, or SESSION_MODE=jwt",
        "SESSION_ISSUER is \"https://id.example.com/\"; expected no value, or SESSION_MODE=jwt",
        "SESSION_AUDIENCE is \"partner-keys\"; expected no value, or SESSION_MODE=jwt",
        "SESSION_ACCOUNT_CLAIM is \"sub\"; expected no value, or SESSION_MODE=jwt",
    ];
    for mode in ["", "table"] {
        let changes = [("SESSION_MODE", mode), ("SESSION_ACCOUNT_CLAIM", "sub")];
        refused(&changes, &problems).await;
    }
}
