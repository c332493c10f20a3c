//! `standalone` alone: one process with one directory and the Svix simulator.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use shared::store::SqliteStore;
use tests::deployment::issue_session;
use tests::{Client, Process, eventually, scratch};
use tokio::process::Command;

mod backup;
mod trouble;

const SOON: Duration = Duration::from_secs(10);

/// A running `standalone` with default settings, except for its address and directory.
struct Standalone {
    process: Process,
    client: Client,
    store: SqliteStore,
}

impl Standalone {
    async fn start(dir: &Path) -> Self {
        let data = dir.join("data");
        let args = ["--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()];
        let mut process = Process::start(dir, "standalone", &args, &[]);
        let client = Client::new(&process.url().await).await;
        let store = SqliteStore::open(&data.join("partner-keys.db"))
            .await
            .unwrap();
        Self {
            process,
            client,
            store,
        }
    }

    async fn stop(mut self) {
        self.process.signal("TERM");
        let status = self.process.ended().await;
        assert!(status.success(), "{status}: {}", self.process.log());
    }

    /// Creates a session of the account.
    async fn session(&self, account: &str) -> String {
        issue_session(&self.store, account).await
    }

    async fn provisioned(&self, session: &str) -> Value {
        let shown = || async { self.client.show(session).await.body };
        eventually("has_webhook", SOON, shown, |shown| {
            shown["has_webhook"] == true
        })
        .await
    }

    /// Returns the state of the simulator inside the process.
    async fn svix_state(&self) -> Value {
        let output = self.process.output();
        let url = output.split("a simulator at ").nth(1).unwrap();
        let url = url.split(';').next().unwrap();
        let state = tests::http::get(format!("{url}/_simulator/state"))
            .await
            .unwrap();
        state.json().await.unwrap()
    }
}

#[tokio::test]
async fn a_restart_keeps_keys_webhooks_and_applications() {
    let dir = scratch();
    let standalone = Standalone::start(dir.path()).await;
    let (jo, flo) = (
        standalone.session("jo").await,
        standalone.session("flo").await,
    );
    let key = standalone.client.create(&jo).await.text("api_key");
    let shown = standalone.provisioned(&jo).await;
    let revoked = standalone.client.create(&flo).await.text("api_key");
    standalone.provisioned(&flo).await;
    standalone.client.revoke(&flo).await;
    let applications = standalone.svix_state().await["applications"].clone();
    assert_eq!(applications.as_array().unwrap().len(), 2);
    standalone.stop().await;

    let standalone = Standalone::start(dir.path()).await;
    assert_eq!(standalone.svix_state().await["applications"], applications);
    assert_eq!(standalone.client.show(&jo).await.body, shown);
    let opened = standalone.client.portal(&key).await;
    assert_eq!(opened.status, 200);
    let page = tests::http::get(opened.text("url")).await.unwrap();
    assert_eq!(page.status(), 200, "the link leads to the simulator's page");
    standalone
        .client
        .portal(&revoked)
        .await
        .is_error(401, "unauthorized");
    standalone
        .client
        .create(&jo)
        .await
        .is_error(409, "conflict");

    // The second account creates another key and keeps its application.
    assert_eq!(standalone.client.create(&flo).await.status, 201);
    standalone.provisioned(&flo).await;
    assert_eq!(standalone.svix_state().await["applications"], applications);
    standalone.stop().await;
}

#[tokio::test]
async fn a_key_is_provisioned_after_a_crash() {
    let dir = scratch();
    let mut standalone = Standalone::start(dir.path()).await;
    let session = standalone.session("jo").await;
    let key = standalone.client.create(&session).await.text("api_key");
    standalone.process.kill().await;

    let standalone = Standalone::start(dir.path()).await;
    // If the killed process had claimed the row, its lease expires within a minute.
    let shown = || async { standalone.client.show(&session).await.body };
    let minutes = Duration::from_mins(2);
    eventually("has_webhook", minutes, shown, |shown| {
        shown["has_webhook"] == true
    })
    .await;
    assert_eq!(standalone.client.portal(&key).await.status, 200);
}

#[tokio::test]
async fn webhooks_become_ready_for_each_of_two_accounts_at_the_first_attempt() {
    let dir = scratch();
    let standalone = Standalone::start(dir.path()).await;
    let mut links = Vec::new();
    for account in ["jo@example.org", "auth0|6123"] {
        let session = standalone.session(account).await;
        let created = Instant::now();
        let key = standalone.client.create(&session).await.text("api_key");
        standalone.provisioned(&session).await;
        println!("webhooks were ready after {:?}", created.elapsed());
        let webhook = &standalone.client.show(&session).await.body["webhook"];
        assert_eq!(webhook["attempts"], 1, "{webhook}");
        assert_eq!(
            standalone.client.show(&session).await.text("prefix"),
            key[..24]
        );
        links.push(standalone.client.portal(&key).await.text("url"));
    }
    assert_ne!(links[0], links[1]);
    let sessions = standalone.svix_state().await["portal_sessions"].clone();
    assert_ne!(sessions[0]["application"], sessions[1]["application"]);
}

/// Returns the lines of the banner that are shell commands.
fn commands(banner: &str) -> Vec<&str> {
    let is_command = |line: &&str| line.starts_with("curl ") || line.starts_with("KEY=");
    banner.lines().filter(is_command).collect()
}

#[tokio::test]
async fn the_printed_commands_work_as_printed() {
    let dir = scratch();
    let standalone = Standalone::start(dir.path()).await;
    let banner = standalone.process.output();
    assert!(banner.contains(standalone.client.base()));
    let [create, show, open, revoke] = commands(&banner)[..] else {
        panic!("the banner does not have four commands:\n{banner}");
    };
    // The function replaces curl. It records each status line.
    let script = format!(
        "curl() {{ command curl --dump-header head \"$@\"; head -n 1 head >>statuses; }}
         {create}
         until ( unset -f curl; {show} ) 2>/dev/null | grep -q '\"has_webhook\":true'; do :; done
         {show}
         {open}
         {revoke}
         {open}",
    );
    let mut bash = Command::new("timeout");
    bash.args(["60", "bash", "-c", &script]);
    bash.current_dir(dir.path()).kill_on_drop(true);
    let output = bash.output().await.unwrap();
    let (stdout, stderr) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    let statuses = std::fs::read_to_string(dir.path().join("statuses")).unwrap();
    let statuses: Vec<&str> = statuses
        .lines()
        .filter_map(|line| line.split(' ').nth(1))
        .collect();
    assert_eq!(statuses, ["201", "200", "200", "200", "401"], "{stderr}");
    assert!(stderr.contains("pk_live_"), "the key is shown: {stderr}");
    for part in [
        r#""has_key":true"#,
        r#"{"url":"http://"#,
        r#"{"success":true}"#,
        "unauthorized",
    ] {
        assert!(stdout.contains(part), "{part}: {stdout}");
    }
}

#[tokio::test]
async fn only_one_process_can_use_a_directory() {
    let dir = scratch();
    let env = || {
        let data = dir.path().join("data").to_str().unwrap().to_owned();
        [
            ("LISTEN_ADDR", "127.0.0.1:0".to_owned()),
            ("DATA_DIR", data),
        ]
    };
    let mut first = Process::start(dir.path(), "standalone", &[], &env());
    first.url().await;
    let second = Process::start(dir.path(), "standalone", &[], &env());
    let (status, _, log) = second.run().await;
    assert!(
        !status.success() && log.contains("another standalone uses"),
        "{log}"
    );

    first.kill().await; // a crash releases the lock on the directory
    let mut third = Process::start(dir.path(), "standalone", &[], &env());
    third.url().await;
}

#[tokio::test]
async fn invalid_settings_are_refused_by_name() {
    let dir = scratch();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let file = file.to_str().unwrap();
    let data = dir.path().join("data").to_str().unwrap().to_owned();
    let below = format!("{file}/data");
    let url = ("SVIX_SERVER_URL", "http://127.0.0.1:1");
    // Nobody can write to /proc, not even root.
    let table = [
        (&*data, Some(url), "SVIX_TOKEN is not set"),
        (
            &*data,
            Some(("SVIX_SERVER_URL", "svix.example")),
            "SVIX_SERVER_URL is invalid (the value is not shown)",
        ),
        (
            &*data,
            Some(("WORKER_CONCURRENCY", "many")),
            "WORKER_CONCURRENCY is \"many\"",
        ),
        (file, None, "DATA_DIR: "),
        (&below, None, "DATA_DIR: "),
        ("/proc", None, "DATA_DIR: "),
        ("/proc/data", None, "DATA_DIR: "),
    ];
    for (data, variable, message) in table {
        let mut env = vec![
            ("LISTEN_ADDR", "127.0.0.1:0".to_owned()),
            ("DATA_DIR", data.to_owned()),
        ];
        env.extend(variable.map(|(name, value)| (name, value.to_owned())));
        let (status, output, log) = Process::start(dir.path(), "standalone", &[], &env)
            .run()
            .await;
        assert_eq!(status.code(), Some(1), "{data}: {log}");
        assert!(log.contains(message), "{message}: {log}");
        assert!(message != "DATA_DIR: " || log.contains(data), "{log}");
        assert_eq!(output, "");
        assert!(!log.contains("panicked"), "{log}");
    }
    assert!(
        !Path::new(&data).exists(),
        "settings are checked before the directory is created"
    );
}
