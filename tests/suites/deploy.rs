//! The files of `deploy/` and the Dockerfile: each is checked by its own tool, and what
//! they start is started, with the settings that they give.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use svix_simulator::{Options, Simulator};
use tests::deployment::SVIX_TOKEN;
use tests::process::{binary, free_port};
use tests::repository::{python_packages, read};
use tests::{Process, RedisServer, Role, TestDatabase, eventually};
use tokio::process::Command;

mod compose;
mod container;
mod kubernetes;
mod systemd;

/// The time limit for one tool on a busy machine.
const TIMEOUT: Duration = Duration::from_mins(2);

/// Returns a command to run a tool that `tests/deploy/requirements.txt` names.
fn tool(name: &str) -> Command {
    Command::new(python_packages("deploy").join("bin").join(name))
}

/// Returns the variables that docs/SETTINGS.md lists for this program.
fn settings_of(program: &str) -> BTreeSet<String> {
    let mut settings = BTreeSet::new();
    for line in read("docs/SETTINGS.md").lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, variable, programs, ..] = cells[..] else {
            continue;
        };
        let is_read = |it: &str| it == program || it == "all";
        if programs.split(", ").any(is_read) {
            settings.insert(variable.trim_matches('`').to_owned());
        }
    }
    assert!(settings.contains("SVIX_TOKEN"), "{settings:?}");
    for secret in ["DATABASE_URL", "REDIS_URL", "SVIX_TOKEN", "INTERNAL_TOKEN"] {
        if settings.contains(secret) {
            settings.insert(format!("{secret}_FILE"));
        }
    }
    settings
}

/// Environment variables by their names.
type Env = BTreeMap<String, String>;

/// Checks that this program, `api` or `worker` or `standalone`, reads each of these variables.
#[track_caller]
fn are_settings(program: &str, env: &Env) {
    let settings = settings_of(program);
    for variable in env.keys() {
        assert!(settings.contains(variable), "{program} reads no {variable}");
    }
}

/// The servers that the programs of a package use, with the secrets that lead to them.
struct Servers {
    database: TestDatabase,
    redis: RedisServer,
    svix: Simulator,
    dir: tempfile::TempDir,
}

impl Servers {
    async fn start() -> Self {
        Self {
            database: TestDatabase::migrated().await,
            redis: RedisServer::start().await,
            svix: Simulator::start(Options::default()).await.unwrap(),
            dir: tests::scratch(),
        }
    }

    /// Writes the secrets of this part of the service into a folder. In a secret's name,
    /// `separator` stands between two words.
    fn secrets(&self, role: Role, separator: &str) -> PathBuf {
        let folder = self.dir.path().join(format!("{role:?}"));
        std::fs::create_dir_all(&folder).unwrap();
        let secrets = [
            ("database", "url", self.database.url_for(role)),
            ("redis", "url", self.redis.service_url()),
            ("svix", "token", SVIX_TOKEN.to_owned()),
        ];
        for (first, second, content) in secrets {
            let name = format!("{first}{separator}{second}");
            std::fs::write(folder.join(name), content).unwrap();
        }
        folder
    }

    /// Starts a program with the environment of a package, but on ports of this test, and
    /// with the Svix simulator.
    async fn start_program(&self, program: &str, env: Env) -> Running {
        Running::start(self.dir.path(), program, env, &self.svix.url()).await
    }
}

/// A program that runs with the environment of a package.
struct Running {
    process: Process,
    /// The port of this machine for each port that the package names.
    ports: BTreeMap<u16, u16>,
}

impl Running {
    async fn start(dir: &Path, program: &str, mut env: Env, svix_url: &str) -> Self {
        let mut ports = BTreeMap::new();
        for variable in ["LISTEN_ADDR", "ADMIN_ADDR"] {
            if let Some(address) = env.get_mut(variable) {
                let (_, port) = address.rsplit_once(':').unwrap();
                let ours = free_port();
                ports.insert(port.parse().unwrap(), ours);
                *address = format!("127.0.0.1:{ours}");
            }
        }
        env.insert("SVIX_SERVER_URL".to_owned(), svix_url.to_owned());
        let mut command = Command::new(binary(program));
        command.env_clear().envs(env).current_dir(dir);
        let mut process = Process::spawn(dir, program, command);
        let ready = if program == "worker" {
            "working"
        } else {
            "listening on http"
        };
        process.logged(ready).await;
        Self { process, ports }
    }

    /// Waits until a probe at this port of the package is answered with 200.
    async fn answers(&self, port: u16, path: &str) {
        let url = format!("http://127.0.0.1:{}{path}", self.ports[&port]);
        let get = || async {
            let answer = tests::http::get(&url).await;
            answer.map(|answer| answer.status().as_u16()).ok()
        };
        let what = format!("{url} answers 200");
        eventually(&what, TIMEOUT, get, |status| *status == Some(200)).await;
    }

    /// Stops it, which must succeed within this time, and reports the most memory it had.
    async fn stops_within(mut self, name: &str, time: Duration) {
        let status = format!("/proc/{}/status", self.process.id().unwrap());
        let status = std::fs::read_to_string(status).unwrap_or_default();
        if let Some(line) = status.lines().find(|line| line.starts_with("VmHWM:")) {
            let memory = line.trim_start_matches("VmHWM:").trim();
            tests::report(&format!(
                "{name} (debug build) had at most {memory} of memory"
            ));
        }
        self.process.signal("TERM");
        let ended = tokio::time::timeout(time, self.process.ended()).await;
        let log = self.process.log();
        assert_eq!(ended.expect(&log).code(), Some(0), "{name}: {log}");
    }
}
