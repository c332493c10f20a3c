//! What `--help` says, and that `.env.example` says the same.

use std::collections::BTreeSet;
use tests::repository::read;

use super::run;

/// The help of a command, while the secrets are set.
async fn help(name: &str, command: &[&str]) -> String {
    let env = [
        ("DATABASE_URL", "postgres://user:hunter2@localhost/db"),
        ("REDIS_URL", "redis://:hunter2@localhost/"),
        ("SVIX_TOKEN", "testsk_hunter2"),
        ("COLUMNS", "1000"), // no line is wrapped
    ];
    let ended = run(name, &[command, &["--help"]].concat(), &env).await; // fails if shown
    assert_eq!((ended.code, &*ended.stderr), (0, ""), "{ended:?}");
    ended.stdout
}

/// OpenTelemetry's variables.
const OTLP: [&str; 14] = [
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_EXPORTER_OTLP_TIMEOUT",
    "OTEL_SDK_DISABLED",
    "OTEL_SERVICE_NAME",
    "OTEL_RESOURCE_ATTRIBUTES",
    "OTEL_TRACES_EXPORTER",
    "OTEL_METRICS_EXPORTER",
    "OTEL_TRACES_SAMPLER",
    "OTEL_TRACES_SAMPLER_ARG",
    "OTEL_BSP_SCHEDULE_DELAY",
    "OTEL_BSP_MAX_QUEUE_SIZE",
    "OTEL_METRIC_EXPORT_INTERVAL",
];

/// The variables that a help text names.
fn variables(help: &str) -> BTreeSet<String> {
    let words = help.split("[env: ").skip(1);
    let listed = help.split("Environment:\n").skip(1).flat_map(str::lines);
    let listed = listed.map(str::trim_start);
    let name = |text: &str| {
        let is_part = |c: char| c.is_ascii_uppercase() || c == '_';
        text.split(|c| !is_part(c)).next().unwrap().to_owned()
    };
    words.chain(listed).map(name).collect()
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a list of all flags and commands")]
async fn help_names_each_flag_and_its_variable_and_shows_no_secret() {
    let store = [
        ("--database-max-connections", "DATABASE_MAX_CONNECTIONS"),
        ("--database-pooler", "DATABASE_POOLER"),
    ];
    let redis = [("--redis-prefix", "REDIS_PREFIX")];
    let svix = [
        ("--svix-server-url", "SVIX_SERVER_URL"),
        ("--svix-uid-prefix", "SVIX_UID_PREFIX"),
    ];
    let http = [
        ("--listen", "LISTEN_ADDR"),
        ("--port", "PORT"),
        ("--session-cookie", "SESSION_COOKIE"),
        ("--allowed-origins", "ALLOWED_ORIGINS"),
        ("--login-url", "LOGIN_URL"),
        ("--trusted-proxies", "TRUSTED_PROXIES"),
        ("--max-connections", "MAX_CONNECTIONS"),
        ("--docs", "DOCS"),
        ("--rotation-overlap", "ROTATION_OVERLAP"),
        ("--github-secret-scanning", "GITHUB_SECRET_SCANNING"),
        ("--github-keys-url", "GITHUB_KEYS_URL"),
        ("--rate-limit-create", "RATE_LIMIT_CREATE"),
        ("--rate-limit-portal", "RATE_LIMIT_PORTAL"),
        ("--rate-limit-failed-auth", "RATE_LIMIT_FAILED_AUTH"),
        ("--rate-limit-reports", "RATE_LIMIT_REPORTS"),
    ];
    let sessions = [
        ("--session-mode", "SESSION_MODE"),
        ("--session-jwks-url", "SESSION_JWKS_URL"),
        ("--session-issuer", "SESSION_ISSUER"),
        ("--session-audience", "SESSION_AUDIENCE"),
        ("--session-account-claim", "SESSION_ACCOUNT_CLAIM"),
        ("--session-jwks-max-stale", "SESSION_JWKS_MAX_STALE"),
        ("--session-max-lifetime", "SESSION_MAX_LIFETIME"),
    ];
    let internal = [("--internal-addr", "INTERNAL_ADDR")];
    let work = [("--worker-concurrency", "WORKER_CONCURRENCY")];
    let admin = [("--admin-addr", "ADMIN_ADDR")];
    let data = [("--data", "DATA_DIR"), ("--demo", "DEMO")];
    let log = [("--rust-log", "RUST_LOG"), ("--log-format", "LOG_FORMAT")];
    let both = [&store[..], &redis, &svix, &admin, &log].concat();
    // Secrets, what the TLS libraries read, and OpenTelemetry's variables have no flags.
    let all = ["DATABASE_URL", "REDIS_URL", "SVIX_TOKEN", "SSL_CERT_FILE"];
    let all: &[_] = &[&all[..], &OTLP].concat();
    let api: &[_] = &[all, &["INTERNAL_TOKEN"]].concat();
    let standalone = ["SVIX_TOKEN", "INTERNAL_TOKEN", "SSL_CERT_FILE"];
    let standalone: &[_] = &[&standalone[..], &OTLP].concat();
    let database: &[_] = &["DATABASE_URL"];
    let cases = [
        (
            "api",
            &[][..],
            [&both[..], &http, &internal, &sessions].concat(),
            api,
        ),
        (
            "api",
            &["doctor"],
            [&both[..], &http, &internal, &sessions].concat(),
            api,
        ),
        ("api", &["migrate"], [&store[..], &log].concat(), database),
        (
            "api",
            &["session", "issue"],
            [&store[..], &sessions, &log].concat(),
            database,
        ),
        (
            "api",
            &["key", "revoke"],
            [&store[..], &svix, &log].concat(),
            &["DATABASE_URL", "SVIX_TOKEN"],
        ),
        ("api", &["purge"], [&store[..], &log].concat(), database),
        ("worker", &[], [&both[..], &work].concat(), all),
        ("worker", &["doctor"], [&both[..], &work].concat(), all),
        (
            "standalone",
            &[],
            [
                &data[..],
                &http,
                &internal,
                &admin,
                &sessions,
                &svix,
                &work,
                &log,
            ]
            .concat(),
            standalone,
        ),
    ];
    for (name, command, settings, others) in cases {
        let help = help(name, command).await;
        for (flag, variable) in &settings {
            let is_theirs = |line: &&str| {
                line.contains(&format!("{flag} <")) && line.contains(&format!("[env: {variable}"))
            };
            assert!(help.lines().any(|line| is_theirs(&line)), "{flag}: {help}");
        }
        let expected = settings.iter().map(|(_, variable)| *variable);
        let expected: BTreeSet<String> = expected
            .chain(others.iter().copied())
            .map(str::to_owned)
            .collect();
        assert_eq!(variables(&help), expected, "{name} {command:?}");
    }
}

#[tokio::test]
async fn the_example_lists_the_variables_that_help_names_and_no_others() {
    let mut named = BTreeSet::new();
    let commands: [(&str, &[&str]); 7] = [
        ("api", &[]),
        ("api", &["migrate"]),
        ("api", &["session", "issue"]),
        ("worker", &[]),
        ("worker", &["status"]),
        ("worker", &["retry"]),
        ("standalone", &[]),
    ];
    for (name, command) in commands {
        named.extend(variables(&help(name, command).await));
    }

    let example = read(".env.example");
    // NAME=value or, for a default, #NAME=value; other comments have a space.
    let lines = example.lines().filter(|line| !line.starts_with("# "));
    let variables = lines.filter_map(|line| Some(line.split_once('=')?.0.trim_start_matches('#')));
    let listed: Vec<String> = variables.map(str::to_owned).collect();
    let distinct: BTreeSet<String> = listed.iter().cloned().collect();
    assert_eq!(
        listed.len(),
        distinct.len(),
        "each is listed once: {listed:?}"
    );
    assert_eq!(distinct, named);
}

#[tokio::test]
async fn the_version_names_the_release_and_the_commit() {
    let git = ["rev-parse", "--short=12", "HEAD"];
    let commit = std::process::Command::new("git")
        .args(git)
        .output()
        .unwrap();
    let commit = String::from_utf8(commit.stdout).unwrap();
    let expected = format!("{} ({})", env!("CARGO_PKG_VERSION"), commit.trim());
    for name in ["api", "worker", "standalone"] {
        let printed = run(name, &["--version"], &[]).await.stdout;
        assert_eq!(printed, format!("{name} {expected}\n"));
    }
}

#[test]
fn a_command_whose_output_nobody_reads_ends_without_a_defect() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = std::process::Command::new(tests::process::binary("api"));
    let ended = command.arg("openapi").env_clear().stdout(writer).output();
    let ended = ended.unwrap();
    let log = String::from_utf8_lossy(&ended.stderr);
    assert_eq!((ended.status.code(), &*log), (Some(141), ""));
}
