//! A process under test. Its output is kept in files.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::{Child, Command};

use crate::wait::eventually;

/// The time limit for a start, and for the end of a process that was told to stop.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A running program. Dropping it kills it. If a test fails, its output is copied to
/// `artifacts/failed/`, in a folder with the name of the test.
pub struct Process {
    child: Child,
    name: String,
    /// What it wrote to standard output.
    pub stdout: PathBuf,
    /// What it wrote to standard error: its log.
    pub stderr: PathBuf,
}

/// Returns the path of one of our binaries, which cargo puts beside the test's own.
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let binary = test.parent().unwrap().parent().unwrap().join(name);
    assert!(binary.exists(), "{name} is not built: run `make test`");
    binary
}

impl Process {
    /// Starts one of our binaries with exactly these variables, logging JSON.
    pub fn start(dir: &Path, name: &str, args: &[&str], env: &[(&str, String)]) -> Self {
        let mut command = Command::new(binary(name));
        command.args(args).env_clear().env("LOG_FORMAT", "json");
        for (variable, value) in env {
            command.env(variable, value);
        }
        Self::spawn(dir, name, command)
    }

    /// Starts a command, its output going to files in `dir`.
    pub fn spawn(dir: &Path, name: &str, mut command: Command) -> Self {
        // Of several processes of a name each has files of its own.
        let unique = uuid::Uuid::new_v4().simple();
        let file = |stream| dir.join(format!("{name}-{unique}.{stream}"));
        let (stdout, stderr) = (file("stdout"), file("stderr"));
        let child = command
            .stdin(Stdio::null())
            .stdout(File::create(&stdout).unwrap())
            .stderr(File::create(&stderr).unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} did not start: {error}"));
        let name = name.to_owned();
        Self {
            child,
            name,
            stdout,
            stderr,
        }
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        read(&self.stderr)
    }

    /// What it has printed so far.
    pub fn output(&self) -> String {
        read(&self.stdout)
    }

    /// Waits until it has logged a line with `text` in it, and gives that line.
    pub async fn logged(&mut self, text: &str) -> String {
        let what = format!("{} logs {text:?}", self.name);
        let line = |log: &str| {
            log.lines()
                .find(|line| line.contains(text))
                .map(str::to_owned)
        };
        let started = tokio::time::Instant::now();
        loop {
            if let Some(line) = line(&self.log()) {
                return line;
            }
            let ended = self.child.try_wait().unwrap();
            let log = self.log();
            assert!(ended.is_none(), "{what}: it ended ({ended:?}):\n{log}");
            assert!(started.elapsed() < PATIENCE, "{what}: not in time:\n{log}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The base URL that it says it listens on.
    pub async fn url(&mut self) -> String {
        let line = self.logged("listening on http").await;
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        format!("http://{}", line["address"].as_str().unwrap())
    }

    /// The base URL of its admin listener. It runs with `ADMIN_ADDR`.
    pub async fn admin_url(&mut self) -> String {
        let line = self.logged("showing metrics and health").await;
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        format!("http://{}", line["address"].as_str().unwrap())
    }

    /// Sends it a signal: `TERM`, `KILL`, `STOP`, `CONT`.
    pub fn signal(&self, signal: &str) {
        let Some(pid) = self.child.id() else {
            panic!("{} has ended already:\n{}", self.name, self.log());
        };
        let sent = std::process::Command::new("kill")
            .args(["-s", signal, &pid.to_string()])
            .status();
        assert!(
            sent.unwrap().success(),
            "{} did not get {signal}",
            self.name
        );
    }

    /// Its process id; `None` once its end was seen.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> ExitStatus {
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        ended
            .unwrap_or_else(|_| panic!("{} did not end:\n{}", self.name, read(&self.stderr)))
            .unwrap()
    }

    /// Kills it, as a crash would, and waits for its end.
    pub async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// Runs it to its end: its status, standard output and standard error.
    pub async fn run(mut self) -> (ExitStatus, String, String) {
        let status = self.ended().await;
        (status, self.output(), self.log())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            keep_logs(&[&self.stdout, &self.stderr]);
        }
    }
}

/// Copies the logs of a failed test, which are deleted with the test's directory, to
/// `artifacts/failed/`. The test harness names each thread after its test.
fn keep_logs(files: &[&Path]) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("unknown").replace("::", ".");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../artifacts/failed")
        .join(test);
    for file in files {
        let name = file.file_name().unwrap_or_default();
        let copied =
            std::fs::create_dir_all(&folder).and_then(|()| std::fs::copy(file, folder.join(name)));
        match copied {
            Ok(_) => eprintln!("kept {}", folder.join(name).display()),
            Err(error) => eprintln!("could not keep {}: {error}", file.display()),
        }
    }
}

fn read(file: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(file).unwrap()).into_owned()
}

/// Waits until something listens on a port of this machine.
pub async fn listening(port: u16) {
    let connect = || async move {
        tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .is_ok()
    };
    eventually(&format!("port {port} answers"), PATIENCE, connect, |up| *up).await;
}

/// A port that was free a moment ago. Not one of those that the system gives to
/// outgoing connections: while its server is down it would be taken, even by a
/// client that connects to it and so meets itself.
pub fn free_port() -> u16 {
    let mut ports = std::iter::repeat_with(|| rand::random_range(16_000..32_000));
    let is_free = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok();
    ports.find(is_free).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logs_of_a_failed_test_are_kept() {
        let name = "a_test_that_fails_on_purpose";
        let kept = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../artifacts/failed")
            .join(name);
        let _ = std::fs::remove_dir_all(&kept);
        let failing = std::thread::Builder::new().name(name.to_owned()).spawn(|| {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            let _inside = runtime.enter();
            let dir = tempfile::tempdir().unwrap();
            let mut echo = Command::new("echo");
            echo.arg("what the process said");
            let mut process = Process::spawn(dir.path(), "echo", echo);
            runtime.block_on(process.ended());
            panic!("on purpose");
        });
        assert!(failing.unwrap().join().is_err());
        let logs = std::fs::read_dir(&kept).unwrap();
        let texts: Vec<String> = logs.map(|file| read(&file.unwrap().path())).collect();
        assert!(
            texts.contains(&"what the process said\n".to_owned()),
            "{texts:?}"
        );
        std::fs::remove_dir_all(&kept).unwrap();
    }
}
