//! compose.yaml, read by Docker Compose itself. There are no containers here: the commands
//! of the services run on this machine, with the variables that the file gives them.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tests::Client;
use tests::deployment::SVIX_TOKEN;
use tests::process::{binary, free_port, listening};
use tests::repository::file;
use tests::tool::{fails, succeeds};
use tokio::io::AsyncWriteExt;

use super::{
    Command, Env, Options, Process, Running, Simulator, TIMEOUT, TestDatabase, are_settings,
    eventually, tool,
};

/// The file as Docker Compose understands it, in a copy of `deploy/` with new secrets.
struct Compose {
    services: Value,
    networks: Value,
    folder: PathBuf,
    _dir: tempfile::TempDir,
}

impl Compose {
    async fn read() -> Self {
        let dir = tests::scratch();
        let mut copy = Command::new("cp");
        copy.arg("-r").arg(file("deploy")).arg(dir.path());
        succeeds("cp", &mut copy, TIMEOUT).await;
        let folder = dir.path().join("deploy/compose");
        let _ = std::fs::remove_dir_all(folder.join("secrets"));
        make_secrets(&folder, SVIX_TOKEN).await;
        let config = succeeds("docker-compose", &mut config(&folder), TIMEOUT).await;
        let mut config: Value = serde_json::from_str(&config).unwrap();
        Self {
            services: config["services"].take(),
            networks: config["networks"].take(),
            folder,
            _dir: dir,
        }
    }

    /// Returns the services that run our image.
    fn ours(&self) -> impl Iterator<Item = (&String, &Value)> {
        let services = self.services.as_object().unwrap().iter();
        services.filter(|(_, service)| service["image"] == "partner-keys:local")
    }

    /// Returns the variables of a service, with the paths of this machine.
    fn env(&self, service: &str) -> Env {
        let env = self.services[service]["environment"].as_object().unwrap();
        let env = env.iter().map(|(name, value)| {
            let value = value.as_str().unwrap();
            let secrets = format!("{}/", self.folder.join("secrets").display());
            (name.clone(), value.replace("/run/secrets/", &secrets))
        });
        env.collect()
    }

    /// Returns the words of a command or check, as the container would get them.
    fn words(&self, service: &str, pointer: &str) -> Vec<String> {
        let words = self.services[service].pointer(pointer).unwrap();
        let words = words.as_array().unwrap().iter();
        words
            .map(|word| word.as_str().unwrap().replace("$$", "$"))
            .collect()
    }

    /// Replaces a text in a secret.
    fn change_secret(&self, name: &str, from: &str, to: &str) {
        let secret = self.folder.join("secrets").join(name);
        let text = std::fs::read_to_string(&secret).unwrap();
        assert!(text.contains(from), "{name}: {text}");
        std::fs::remove_file(&secret).unwrap(); // nobody may write into it
        std::fs::write(secret, text.replace(from, to)).unwrap();
    }
}

fn config(folder: &Path) -> Command {
    let mut config = tool("docker-compose");
    config
        .env_clear()
        .arg("--file")
        .arg(folder.join("compose.yaml"));
    config.args(["config", "--format=json"]);
    config
}

async fn make_secrets(folder: &Path, token: &str) {
    let mut make = Command::new(folder.join("make-secrets"));
    let mut make = make.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = make.stdin.take().unwrap();
    stdin.write_all(token.as_bytes()).await.unwrap();
    drop(stdin);
    assert!(make.wait().await.unwrap().success());
}

/// Returns whether a network contains an address, both of IPv4.
fn is_in(network: &Value, address: &str) -> bool {
    let (network, length) = network.as_str().unwrap().split_once('/').unwrap();
    let bits = |address: &str| address.parse::<Ipv4Addr>().unwrap().to_bits();
    let host = u32::MAX >> length.parse::<u32>().unwrap();
    bits(network) | host == bits(address) | host
}

/// Returns the seconds of a duration such as `1m0s`, or `10s`.
fn seconds(duration: &Value) -> u64 {
    let duration = duration.as_str().unwrap().trim_end_matches('s');
    let (minutes, seconds) = duration.split_once('m').unwrap_or(("0", duration));
    minutes.parse::<u64>().unwrap() * 60 + seconds.parse::<u64>().unwrap()
}

#[tokio::test]
async fn docker_compose_accepts_the_file() {
    let compose = Compose::read().await;
    for (name, service) in compose.services.as_object().unwrap() {
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(service["cap_drop"], serde_json::json!(["ALL"]), "{name}");
        let options = serde_json::json!(["no-new-privileges:true"]);
        assert_eq!(service["security_opt"], options, "{name}");
    }
    for (name, service) in compose.ours() {
        assert_eq!(service.get("cap_add"), None, "{name}");
        let command = compose.words(name, "/command");
        are_settings(&command[0], &compose.env(name));
        for (variable, value) in compose.env(name) {
            let is_there = !variable.ends_with("_FILE") || Path::new(&value).exists();
            assert!(is_there, "{name}: no secret for {variable}");
        }
    }
    for (name, takes) in [("api", 10), ("worker", 25)] {
        let service = &compose.services[name];
        assert_eq!(service["deploy"]["replicas"], 2, "{name}");
        assert!(seconds(&service["stop_grace_period"]) >= takes, "{name}");
    }
    assert_eq!(compose.networks["data"]["internal"], true);
    let proxy = &compose.services["proxy"]["networks"]["edge"]["ipv4_address"];
    let proxy = proxy.as_str().unwrap();
    assert_eq!(compose.env("api")["TRUSTED_PROXIES"], proxy);
    let edge = &compose.networks["edge"]["ipam"]["config"][0];
    assert!(is_in(&edge["subnet"], proxy));
    assert!(!is_in(&edge["ip_range"], proxy), "an api could take it");

    // Compose refuses what it does not know.
    let text = std::fs::read_to_string(compose.folder.join("compose.yaml")).unwrap();
    let worse = text.replace("stop_grace_period", "stop_grace_time");
    std::fs::write(compose.folder.join("compose.yaml"), worse).unwrap();
    let refused = fails("docker-compose", &mut config(&compose.folder), TIMEOUT).await;
    assert!(refused.contains("stop_grace_time"), "{refused}");
}

#[tokio::test]
async fn secrets_are_made_once_and_only_their_owner_can_reach_them() {
    use std::os::unix::fs::PermissionsExt;

    let compose = Compose::read().await;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&compose.folder.join("secrets")), 0o700);
    let mut again = Command::new(compose.folder.join("make-secrets"));
    let refused = fails("make-secrets", &mut again, TIMEOUT).await;
    assert!(refused.contains("there are secrets already"), "{refused}");

    std::fs::remove_dir_all(compose.folder.join("secrets")).unwrap();
    let mut without_token = Command::new(compose.folder.join("make-secrets"));
    let refused = fails("make-secrets", &mut without_token, TIMEOUT).await;
    assert!(refused.contains("expected the Svix token"), "{refused}");
    assert!(!compose.folder.join("secrets").exists());
}

#[tokio::test]
async fn the_services_work_together_as_compose_starts_them() {
    let compose = Compose::read().await;
    let dir = tests::scratch();
    let svix = Simulator::start(Options::default()).await.unwrap();

    // PostgreSQL and Redis of this machine, in place of the containers of these names.
    let database = TestDatabase::create().await;
    let (url, address) = (database.url(), database.address());
    let (_, name) = url.rsplit_once('/').unwrap();
    let place = format!("@{address}/{name}");
    for secret in [
        "admin_database_url",
        "api_database_url",
        "worker_database_url",
    ] {
        compose.change_secret(secret, "@postgres/partner_keys", &place);
    }
    let redis_port = free_port();
    compose.change_secret("redis_url", "@redis/", &format!("@127.0.0.1:{redis_port}/"));
    let secrets = format!("{}/", compose.folder.join("secrets").display());
    let words = compose.words("redis", "/command");
    let mut redis = Command::new(&words[0]);
    redis.args(
        words[1..]
            .iter()
            .map(|word| word.replace("/run/secrets/", &secrets)),
    );
    redis
        .args(["--port", &redis_port.to_string()])
        .current_dir(dir.path());
    let _redis = Process::spawn(dir.path(), "redis", redis);
    listening(redis_port).await;
    let words = compose.words("redis", "/healthcheck/test");
    let check = words[1].replace("redis-cli", &format!("redis-cli -p {redis_port}"));
    let mut check = shell(&check);
    succeeds("the check of Redis", &mut check, TIMEOUT).await;

    // The two that run once.
    let words = compose.words("migrate", "/command");
    let mut migrate = Command::new(binary(&words[0]));
    migrate
        .args(&words[1..])
        .env_clear()
        .envs(compose.env("migrate"));
    succeeds("migrate", &mut migrate, TIMEOUT).await;
    let words = compose.words("privileges", "/entrypoint");
    let mut script = words.last().unwrap().replace("/run/secrets/", &secrets);
    let mounts = [
        ("/sql/roles.sql", "../postgres/roles.sql"),
        ("/sql/users.sql", "../postgres/users.sql"),
    ];
    for (mounted, source) in mounts {
        let source = compose.folder.join(source);
        assert!(source.exists());
        script = script.replace(mounted, source.to_str().unwrap());
    }
    let (host, port) = address.split_once(':').unwrap();
    for _ in 0..2 {
        let mut privileges = shell(&script);
        privileges.envs(compose.env("privileges"));
        privileges.envs([("PGHOST", host), ("PGPORT", port), ("PGDATABASE", name)]);
        succeeds("privileges", &mut privileges, TIMEOUT).await; // the second time too
    }

    // Two of each, as users with no more than their privileges.
    let mut running = Vec::new();
    for program in ["api", "api", "worker", "worker"] {
        assert_eq!(compose.words(program, "/command"), [program]);
        let mut env = compose.env(program);
        env.entry("TRUSTED_PROXIES".to_owned())
            .and_modify(|it| *it = "127.0.0.1".to_owned());
        let running_program = Running::start(dir.path(), program, env, &svix.url()).await;
        healthy(&compose, program, &running_program).await;
        running.push((program, running_program));
    }

    // Through the proxy.
    let mut issue = Command::new(binary("api"));
    issue
        .args(["session", "issue", "--account", "demo"])
        .env_clear();
    issue.envs(compose.env("migrate"));
    let session = succeeds("api session issue", &mut issue, TIMEOUT).await;
    let port = free_port();
    let _proxy = start_proxy(&compose, dir.path(), port, running[0].1.ports[&8080]).await;
    let client = Client::new(&format!("http://127.0.0.1:{port}")).await;
    assert_eq!(client.create(session.trim()).await.status, 201);
    let shown = || async { client.show(session.trim()).await.body };
    eventually("the webhook is there", TIMEOUT, shown, |key| {
        key["has_webhook"] == true
    })
    .await;

    let forged = tests::http::client().get(format!("http://127.0.0.1:{port}/forged"));
    let forged = forged.header("X-Forwarded-For", "203.0.113.9");
    assert_eq!(forged.send().await.unwrap().status(), 404);
    running[0].1.process.logged("\"status\":404").await;
    let log = running[0].1.process.log();
    assert!(!log.contains("203.0.113.9"), "{log}");

    for (program, process) in running {
        let grace = seconds(&compose.services[program]["stop_grace_period"]);
        process
            .stops_within(program, Duration::from_secs(grace))
            .await;
    }
}

/// Runs the health check of a service, with the port that its process has here.
async fn healthy(compose: &Compose, service: &str, running: &Running) {
    let words = compose.words(service, "/healthcheck/test");
    let [kind, program, option, script, name, port, path] = &words[..] else {
        panic!("{words:?}");
    };
    assert_eq!(kind, "CMD");
    let check = |port: u16, path: &str| {
        let mut check = Command::new(program);
        check.args([option, script, name, &port.to_string(), path]);
        check
    };
    let ours = running.ports[&port.parse().unwrap()];
    running.answers(port.parse().unwrap(), path).await;
    succeeds("the check", &mut check(ours, path), TIMEOUT).await;
    for (port, path) in [(ours, "/nowhere"), (free_port(), path)] {
        let mut check = check(port, path);
        fails("the check of another path or port", &mut check, TIMEOUT).await;
    }
}

async fn start_proxy(compose: &Compose, dir: &Path, port: u16, api: u16) -> Process {
    let caddyfile = std::fs::read_to_string(compose.folder.join("Caddyfile")).unwrap();
    for name in ["name api\n", "port 8080\n"] {
        assert!(caddyfile.contains(name), "{caddyfile}");
    }
    let caddyfile = caddyfile.replace("name api\n", "name 127.0.0.1\n");
    let caddyfile = caddyfile.replace("port 8080\n", &format!("port {api}\n"));
    std::fs::write(dir.join("Caddyfile"), caddyfile).unwrap();
    let mut caddy = Command::new("caddy");
    caddy.args(["run", "--adapter", "caddyfile", "--config", "Caddyfile"]);
    caddy.current_dir(dir).env("HOME", dir);
    caddy.env("SITE_ADDRESS", format!("http://127.0.0.1:{port}"));
    let proxy = Process::spawn(dir, "caddy", caddy);
    listening(port).await;
    proxy
}

fn shell(script: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-euc", script]);
    shell
}
