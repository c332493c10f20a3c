//! Settings: what is missing or wrong is named before anything starts, and no
//! secret is ever shown.

use std::process::Stdio;
use std::time::Duration;

use tests::process::binary;

mod commands;
mod help;
mod listen;
mod otlp;

/// What has no business in any output.
const PASSWORD: &str = "hunter2";

/// Settings with which the binaries start; nothing is there, which they must stand.
const GOOD: [(&str, &str); 4] = [
    ("DATABASE_URL", "postgres://user:hunter2@127.0.0.1:1/none"),
    ("REDIS_URL", "redis://:hunter2@127.0.0.1:1/"),
    ("SVIX_TOKEN", "testsk_hunter2"),
    ("LISTEN_ADDR", "127.0.0.1:0"),
];

/// How a process ended, and what it said.
#[derive(Debug)]
struct Ended {
    code: i32,
    stdout: String,
    stderr: String,
}

/// Runs a binary with exactly these variables to its end, which must come soon.
/// What it says never has the password in it.
async fn run(name: &str, args: &[&str], env: &[(&str, &str)]) -> Ended {
    let dir = tests::scratch();
    let mut command = tokio::process::Command::new(binary(name));
    command.args(args).env_clear().envs(env.iter().copied());
    command.current_dir(dir.path()).stdin(Stdio::null());
    let output = tokio::time::timeout(Duration::from_mins(1), command.kill_on_drop(true).output());
    let output = output.await.expect("it did not end").unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let ended = Ended {
        code: output.status.code().expect("it was not killed"),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    };
    assert!(!ended.stdout.contains(PASSWORD), "{ended:?}");
    assert!(!ended.stderr.contains(PASSWORD), "{ended:?}");
    ended
}

/// The good settings, but for this one.
fn with<'a>(variable: &'a str, value: &'a str) -> Vec<(&'a str, &'a str)> {
    let mut env = Vec::from(GOOD);
    env.retain(|(name, _)| *name != variable);
    env.push((variable, value));
    env
}

impl Ended {
    /// It refused to start, with one line for each problem and nothing else.
    #[track_caller]
    fn refused(&self, name: &str, problems: &[&str]) {
        assert_eq!(self.code, 1, "{self:?}");
        assert_eq!(self.stdout, "", "{self:?}");
        let mut lines = self.stderr.lines();
        let head = format!("{name}: invalid settings:");
        assert_eq!(lines.next(), Some(&*head), "{self:?}");
        let lines: Vec<&str> = lines.collect();
        assert_eq!(lines.len(), problems.len(), "{self:?}");
        for problem in problems {
            let matching = lines.iter().filter(|line| line.contains(problem));
            assert_eq!(matching.count(), 1, "{problem}: {self:?}");
        }
        for line in lines {
            let (_, expected) = line.split_once("; expected ").expect(line);
            assert!(expected.len() > 5, "{line}");
        }
    }
}

#[tokio::test]
async fn what_is_required_and_missing_is_named_all_at_once() {
    let missing = [
        "  DATABASE_URL is not set; expected a PostgreSQL URL",
        "  REDIS_URL is not set; expected a Redis URL",
        "  SVIX_TOKEN is not set; expected a Svix API token",
    ];
    for name in ["api", "worker"] {
        run(name, &[], &[]).await.refused(name, &missing);
        // As `FOO=` in a file: empty means not set.
        let empty = [("DATABASE_URL", ""), ("REDIS_URL", ""), ("SVIX_TOKEN", "")];
        run(name, &[], &empty).await.refused(name, &missing);
    }
    // A server of one's own, and no token for it.
    let svix = [("SVIX_SERVER_URL", "http://127.0.0.1:1")];
    let ended = run("standalone", &[], &svix).await;
    ended.refused("standalone", &missing[2..]);
    for command in [&["migrate"][..], &["session", "issue", "--account", "a"]] {
        run("api", command, &[]).await.refused("api", &missing[..1]);
    }
}

#[tokio::test]
async fn what_is_wrong_is_named_with_what_was_given_and_what_was_expected() {
    let common = [
        ("RUST_LOG", "a=b=c", "a tracing filter"),
        ("LOG_FORMAT", "xml", "human or json"),
        ("ADMIN_ADDR", "9000", "an address and a port"),
    ];
    let store = [
        ("DATABASE_MAX_CONNECTIONS", "4", "a whole number from 5 to"),
        ("DATABASE_POOLER", "statement", "transaction or none"),
    ];
    let redis = [("REDIS_PREFIX", "keys:*", "1 to 64 letters")];
    let svix = [
        ("SVIX_SERVER_URL", "http://svix.example", "an https:// URL"),
        ("SVIX_SERVER_URL", "svix.example", "an https:// URL"),
        (
            "SVIX_SERVER_URL",
            "https://user:hunter2@svix.example/?token=hunter2",
            "an https:// URL",
        ),
        ("SVIX_UID_PREFIX", "app_1", "1 to 64 letters"),
    ];
    let http = [
        ("LISTEN_ADDR", "localhost", "an address and a port"),
        ("PORT", "70000", "a port, 0 to 65535"),
        ("SESSION_COOKIE", "a b", "a cookie name"),
        (
            "ALLOWED_ORIGINS",
            "dashboard.example.com",
            "origins without wildcards",
        ),
        (
            "ALLOWED_ORIGINS",
            "https://*.example.com",
            "origins without wildcards",
        ),
        (
            "ALLOWED_ORIGINS",
            "https://a.example,",
            "origins without wildcards",
        ),
        ("TRUSTED_PROXIES", "10.0.0.0/33", "addresses or networks"),
        ("TRUSTED_PROXIES", "proxy", "addresses or networks"),
        ("MAX_CONNECTIONS", "0", "a whole number of at least 1"),
        (
            "MAX_CONNECTIONS",
            "99999999999",
            "a whole number of at least 1",
        ),
        ("DOCS", "no", "on or off"),
        ("INTERNAL_ADDR", "8090", "an address and a port"),
        ("RATE_LIMIT_CREATE", "20", "a number from 1 to 1000000"),
        ("RATE_LIMIT_PORTAL", "0/s", "a number from 1 to 1000000"),
        (
            "RATE_LIMIT_FAILED_AUTH",
            "1/d",
            "a number from 1 to 1000000",
        ),
        ("RATE_LIMIT_REPORTS", "many", "a number from 1 to 1000000"),
        ("GITHUB_SECRET_SCANNING", "true", "on or off"),
    ];
    let work = [
        ("WORKER_CONCURRENCY", "many", "a whole number from 1 to"),
        ("WORKER_CONCURRENCY", "0", "a whole number from 1 to"),
        ("WORKER_CONCURRENCY", "-1", "a whole number from 1 to"),
    ];
    let cases = [
        ("api", [&common[..], &store, &redis, &svix, &http].concat()),
        (
            "worker",
            [&common[..], &store, &redis, &svix, &work].concat(),
        ),
        ("standalone", [&common[..], &svix, &http, &work].concat()),
    ];
    for (name, wrong) in cases {
        for (variable, given, expected) in wrong {
            let ended = run(name, &[], &with(variable, given)).await;
            // A password may stand in a URL where none belongs.
            let problem = if variable == "SVIX_SERVER_URL" {
                assert!(!ended.stderr.contains(given), "{ended:?}");
                format!("  {variable} is invalid (the value is not shown); expected {expected}")
            } else {
                format!("  {variable} is {given:?}; expected {expected}")
            };
            ended.refused(name, &[&problem]);
        }
    }
}

#[tokio::test]
async fn a_wrong_secret_is_named_and_not_shown() {
    let wrong = [
        ("DATABASE_URL", "mysql://user:hunter2@localhost/db"),
        ("DATABASE_URL", "postgres://user:hunter2@localhost:port/db"),
        (
            "DATABASE_URL",
            "postgres://user:hunter2@localhost/db?sslmode=hunter2",
        ),
        ("DATABASE_URL", "hunter2"),
        ("REDIS_URL", "http://:hunter2@localhost/"),
        ("REDIS_URL", "redis://:hunter2@localhost:port/"),
        ("REDIS_URL", "redis://:hunter2@localhost/hunter2"),
        ("REDIS_URL", "redis+cluster://:hunter2@one,two/1"),
        ("REDIS_URL", "redis+sentinel://:hunter2@one,two"),
        ("SVIX_TOKEN", "testsk hunter2"),
        ("SVIX_TOKEN", "testsk_hunter2\n"),
    ];
    for (variable, given) in wrong {
        for name in ["api", "worker"] {
            let ended = run(name, &[], &with(variable, given)).await;
            let problem = format!("  {variable} is invalid (the value is not shown)");
            ended.refused(name, &[&problem]);
        }
    }
}

/// Every user of the machine can read the flags of a process.
#[tokio::test]
async fn no_secret_is_a_flag() {
    for name in ["api", "worker", "standalone"] {
        for flag in ["--database-url", "--redis-url", "--svix-token"] {
            let ended = run(name, &[flag], &GOOD).await;
            assert_eq!(ended.code, 2, "{ended:?}");
            assert!(ended.stderr.contains(flag), "{ended:?}");
        }
    }
}

#[tokio::test]
async fn a_secret_can_come_from_a_file() {
    let dir = tests::scratch();
    let file = |name: &str, content: &str| {
        let file = dir.path().join(name);
        std::fs::write(&file, content).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let database = file("database", "postgres://user:hunter2@127.0.0.1:1/none\n");
    let wrong = file("wrong", "mysql://user:hunter2@127.0.0.1:1/none");
    let empty = file("empty", "\n");
    let migrate = |env: Vec<(&'static str, String)>| async move {
        let env: Vec<_> = env.iter().map(|(name, value)| (*name, &**value)).collect();
        run("api", &["migrate"], &env).await
    };
    let ended = migrate(vec![("DATABASE_URL_FILE", database.clone())]).await;
    assert!(!ended.stderr.contains("invalid settings"), "{ended:?}");

    let ended = migrate(vec![("DATABASE_URL_FILE", wrong)]).await;
    ended.refused(
        "api",
        &["  DATABASE_URL is invalid (the value is not shown)"],
    );
    for unusable in [empty, "/nowhere".to_owned()] {
        let ended = migrate(vec![("DATABASE_URL_FILE", unusable.clone())]).await;
        let problem = format!("  DATABASE_URL_FILE is {unusable:?}; expected a file");
        ended.refused("api", &[&problem]);
    }
    let both = vec![
        ("DATABASE_URL_FILE", database),
        (
            "DATABASE_URL",
            "postgres://user:hunter2@127.0.0.1:1/none".to_owned(),
        ),
    ];
    let ended = migrate(both).await;
    ended.refused(
        "api",
        &["expected no value, because the secret itself is set too"],
    );

    // The other two, beside all that is good.
    for (variable, content) in [
        ("REDIS_URL", "redis://:hunter2@127.0.0.1:port/"),
        ("SVIX_TOKEN", "testsk hunter2"),
    ] {
        let file = file(variable, content);
        let mut env = with(variable, "");
        let name = format!("{variable}_FILE");
        env.push((&name, &file));
        let ended = run("worker", &[], &env).await;
        ended.refused("worker", &[&format!("  {variable} is invalid")]);
    }
}

#[tokio::test]
async fn several_problems_are_reported_together() {
    let env = [
        ("DATABASE_URL", "mysql://user:hunter2@localhost/db"),
        ("SVIX_TOKEN", "testsk_hunter2"),
        ("PORT", "http"),
        ("LOG_FORMAT", "xml"),
        ("RUST_LOG", "=="),
    ];
    let problems = [
        "  RUST_LOG is \"==\"",
        "  LOG_FORMAT is \"xml\"",
        "  DATABASE_URL is invalid (the value is not shown)",
        "  REDIS_URL is not set",
        "  PORT is \"http\"",
    ];
    run("api", &[], &env).await.refused("api", &problems);
}

/// The Svix SDK would panic.
#[tokio::test]
async fn without_any_ca_certificate_the_binaries_say_so() {
    let no_file = with("SSL_CERT_FILE", "/nowhere.pem");
    let dir = tests::scratch();
    let empty = dir.path().join("empty.pem");
    std::fs::write(&empty, "no certificate").unwrap();
    let no_certificate = with("SSL_CERT_FILE", empty.to_str().unwrap());
    for name in ["api", "worker", "standalone"] {
        for env in [&no_file, &no_certificate] {
            let ended = run(name, &[], env).await;
            let problem = format!("  SSL_CERT_FILE is {:?}", env.last().unwrap().1);
            ended.refused(name, &[&problem]);
        }
    }
}
