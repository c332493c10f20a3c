//! Runs a program in `tests/clients` that uses a client generated from
//! `openapi.yaml`. The program reads commands, one a line, and writes JSON.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use uuid::Uuid;

use crate::client::unknown_key;
use crate::process::binary;

/// The time limit for one result. It includes the start of the Java virtual
/// machine on a busy computer.
const TIMEOUT: Duration = Duration::from_mins(1);

/// A credential of a request.
#[derive(Debug, Clone, Copy)]
pub enum Credential<'a> {
    /// A session token or a key, sent as a Bearer token.
    Bearer(&'a str),
    /// A session token, sent as a cookie without `Origin` or `Sec-Fetch-Site`.
    Cookie(&'a str),
}

/// A running client program. Dropping this value kills it.
pub struct GeneratedClient {
    name: &'static str,
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl GeneratedClient {
    /// Starts the program in `tests/clients/name` as a client of the server at
    /// `base`. The program shares the standard error of the test.
    pub fn start(name: &'static str, base: &str) -> Self {
        let clients = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients");
        let folder = clients.join(name);
        let is_built = folder.join(".built").exists();
        let read = |file: PathBuf| std::fs::read(file).ok();
        let is_current =
            read(folder.join("openapi.yaml")) == read(clients.join("../../openapi.yaml"));
        assert!(
            is_built && is_current,
            "the client {name} is not built from the current openapi.yaml; run `make test`"
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
            .unwrap_or_else(|error| panic!("the client {name} did not start: {error}"));
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        Self {
            name,
            child,
            input,
            output,
        }
    }

    /// Calls `createPartnerApiKey` and returns the key. Panics if there is none.
    pub async fn mint(&mut self, session: Credential<'_>) -> String {
        let created = self.create(session).await;
        let key = created["created"]["api_key"].as_str();
        key.unwrap_or_else(|| panic!("{} did not create a key: {created}", self.name))
            .to_owned()
    }

    /// Calls `createPartnerApiKey`.
    pub async fn create(&mut self, session: Credential<'_>) -> Value {
        self.call("create", session).await
    }

    /// Calls `createPartnerApiKey` with this `Idempotency-Key`.
    pub async fn create_once(&mut self, session: Credential<'_>, idempotency_key: &str) -> Value {
        self.send("create", session, idempotency_key).await
    }

    /// Calls `getPartnerApiKey`.
    pub async fn show(&mut self, session: Credential<'_>) -> Value {
        self.call("show", session).await
    }

    /// Calls `deletePartnerApiKey`.
    pub async fn revoke(&mut self, session: Credential<'_>) -> Value {
        self.call("revoke", session).await
    }

    /// Calls `getPartnerPortal`.
    pub async fn portal(&mut self, key: Credential<'_>) -> Value {
        self.call("portal", key).await
    }

    /// Calls `reportLeakedPartnerApiKeys`. The client has a token that the service does not
    /// know, because this operation needs none.
    pub async fn report(&mut self, key: &str) -> Value {
        let unknown = Credential::Bearer("unknown-token");
        self.send("report", unknown, key).await
    }

    /// Calls one of the operations: `create`, `show`, `rotate`, `finish`, `cancel`, `revoke`,
    /// `portal` or `report`. A creation and a rotation have a new `Idempotency-Key`, and a
    /// report has a key that does not exist. Returns the response as JSON that the program made
    /// from the generated types.
    pub async fn call(&mut self, operation: &str, credential: Credential<'_>) -> Value {
        let argument = match operation {
            "create" | "rotate" => Uuid::new_v4().to_string(),
            "report" => unknown_key(),
            _ => String::new(),
        };
        self.send(operation, credential, &argument).await
    }

    async fn send(&mut self, operation: &str, credential: Credential<'_>, argument: &str) -> Value {
        let credential = match credential {
            Credential::Bearer(token) => format!("bearer:{token}"),
            Credential::Cookie(token) => format!("cookie:{token}"),
        };
        let line = format!("{operation} {credential} {argument}");
        let line = format!("{}\n", line.trim_end());
        self.input.write_all(line.as_bytes()).await.unwrap();
        self.input.flush().await.unwrap();
        let result = tokio::time::timeout(TIMEOUT, self.output.next_line()).await;
        let name = self.name;
        let result = result
            .unwrap_or_else(|_| panic!("{name}: no result for {operation} within {TIMEOUT:?}"));
        let result = result
            .unwrap()
            .unwrap_or_else(|| panic!("{name} exited during {operation}"));
        serde_json::from_str(&result).unwrap_or_else(|error| {
            panic!("{name} wrote {result:?} for {operation}, which is not JSON: {error}")
        })
    }

    /// Closes the input of the program, and checks that it then exits successfully.
    pub async fn finish(self) {
        let Self {
            name,
            mut child,
            input,
            ..
        } = self;
        drop(input);
        let exited = tokio::time::timeout(TIMEOUT, child.wait()).await;
        let status = exited.unwrap_or_else(|_| panic!("{name} did not exit within {TIMEOUT:?}"));
        let status = status.unwrap();
        assert!(status.success(), "{name} failed: {status}");
    }
}
