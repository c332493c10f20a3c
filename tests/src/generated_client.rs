//! A client that a generator made of `openapi.yaml`, in a language of its own:
//! `tests/clients/NAME`, driven line by line.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::process::binary;

/// How long one answer may take, the start of a virtual machine on a busy
/// computer included.
const PATIENCE: Duration = Duration::from_mins(1);

/// What a request is signed with.
#[derive(Debug, Clone, Copy)]
pub enum As<'a> {
    /// A session or a key, as Bearer.
    Bearer(&'a str),
    /// A session in its cookie, and nothing that says where the request is from.
    Cookie(&'a str),
}

/// A client's program. Dropping it ends it.
pub struct GeneratedClient {
    name: &'static str,
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl GeneratedClient {
    /// Starts the program in `tests/clients/name` as a client of the server at
    /// this URL. What it says on standard error is the test's.
    pub fn start(name: &'static str, base: &str) -> Self {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients");
        let folder = here.join(name);
        let is_built = folder.join(".built").exists();
        let of = |file: PathBuf| std::fs::read(file).ok();
        let is_current = of(folder.join("openapi.yaml")) == of(here.join("../../openapi.yaml"));
        assert!(
            is_built && is_current,
            "the client {name} is not built of this openapi.yaml: run `make test`"
        );
        let mut program = Command::new(folder.join("run"));
        for proxy in ["http_proxy", "https_proxy", "all_proxy"] {
            program.env_remove(proxy).env_remove(proxy.to_uppercase());
        }
        let mut child = program
            .env("BASE_URL", base)
            .env("CLIENT_RUST", binary("client-rust"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} did not start: {error}"));
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        Self {
            name,
            child,
            input,
            output,
        }
    }

    /// A new key, by `createPartnerApiKey`; fails if there is none.
    pub async fn mint(&mut self, session: As<'_>) -> String {
        let created = self.create(session).await;
        let key = created["created"]["api_key"].as_str();
        key.unwrap_or_else(|| panic!("{}: {created}", self.name))
            .to_owned()
    }

    /// `createPartnerApiKey`
    pub async fn create(&mut self, session: As<'_>) -> Value {
        self.ask("create", session).await
    }

    /// `getPartnerApiKey`
    pub async fn show(&mut self, session: As<'_>) -> Value {
        self.ask("show", session).await
    }

    /// `deletePartnerApiKey`
    pub async fn revoke(&mut self, session: As<'_>) -> Value {
        self.ask("revoke", session).await
    }

    /// `getPartnerPortal`
    pub async fn portal(&mut self, key: As<'_>) -> Value {
        self.ask("portal", key).await
    }

    /// Any of the four, by the word for it. What the program made of the answer, in
    /// terms of the generated types.
    pub async fn ask(&mut self, operation: &str, by: As<'_>) -> Value {
        let by = match by {
            As::Bearer(token) => format!("bearer:{token}"),
            As::Cookie(token) => format!("cookie:{token}"),
        };
        let line = format!("{operation} {by}\n");
        self.input.write_all(line.as_bytes()).await.unwrap();
        self.input.flush().await.unwrap();
        let answer = tokio::time::timeout(PATIENCE, self.output.next_line()).await;
        let name = self.name;
        let answer =
            answer.unwrap_or_else(|_| panic!("{name}: no answer to {operation} in {PATIENCE:?}"));
        let answer = answer
            .unwrap()
            .unwrap_or_else(|| panic!("{name} ended at {operation}"));
        serde_json::from_str(&answer)
            .unwrap_or_else(|error| panic!("{name} answered {answer:?} to {operation}: {error}"))
    }

    /// Lets the program end by itself, as it does when there is nothing more to do.
    pub async fn finish(self) {
        let Self {
            name,
            mut child,
            input,
            ..
        } = self;
        drop(input);
        let ended = tokio::time::timeout(PATIENCE, child.wait()).await;
        let status = ended.unwrap_or_else(|_| panic!("{name} does not end"));
        assert!(status.unwrap().success(), "{name} ended badly");
    }
}
