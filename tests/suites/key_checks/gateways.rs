//! The sample configurations of deploy/gateways, with the real proxies.

use std::path::Path;
use std::sync::{Arc, Mutex};

use reqwest::header::AUTHORIZATION;
use tests::client::unknown_key;
use tests::process::{free_port, listening};
use tests::repository::read;
use tests::{Process, scratch};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::process::Command;

use super::{deployment, key};

const SAMPLES: &str = "deploy/gateways";

/// The backend behind the proxy. It keeps the heads of the requests that it gets.
struct Backend {
    port: u16,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Backend {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&heads);
        tokio::spawn(async move {
            loop {
                let (mut connection, _) = listener.accept().await.unwrap();
                let kept = Arc::clone(&kept);
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                        if connection.read_buf(&mut head).await.unwrap_or(0) == 0 {
                            return; // a probe of the proxy
                        }
                    }
                    let head = String::from_utf8(head).unwrap();
                    kept.lock().unwrap().push(head.to_lowercase());
                    let answer =
                        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
                    let _ = connection.write_all(answer).await;
                });
            }
        });
        Self { port, heads }
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

/// Copies a sample into `dir`, with the ports of this test.
fn copy(dir: &Path, name: &str, ports: &[(u16, u16)]) {
    let mut text = read(&format!("{SAMPLES}/{name}"));
    for (sample, ours) in ports {
        let address = format!("127.0.0.1:{sample}");
        text = text.replace(&address, &format!("127.0.0.1:{ours}"));
    }
    std::fs::write(dir.join(name), text).unwrap();
}

/// Checks what passes through a proxy. `command` returns its start, given its directory.
async fn gateway(name: &str, samples: &[&str], command: impl FnOnce(&Path) -> Command) {
    let (deployment, internal) = deployment().await;
    let (_, key) = key(&deployment, "auth0|6123").await;
    let backend = Backend::start().await;
    let (dir, port) = (scratch(), free_port());
    let internal_port = internal.base().rsplit_once(':').unwrap().1.parse().unwrap();
    let ports = [(8000, port), (8090, internal_port), (9000, backend.port)];
    for sample in samples {
        copy(dir.path(), sample, &ports);
    }
    let mut command = command(dir.path());
    command.current_dir(dir.path());
    let _proxy = Process::spawn(dir.path(), name, command);
    listening(port).await;
    let url = format!("http://127.0.0.1:{port}/hooks?a=b");
    let http = tests::http::client();
    let forged = [
        ("X-Account-Id", "evil"),
        ("x-key-id", "evil"),
        ("X-KEY-PREFIX", "evil"),
    ];
    let send = async |authorization: Option<&str>, body: &'static str| {
        let mut request = http.post(&url).body(body);
        for (name, value) in forged {
            request = request.header(name, value);
        }
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        request.send().await.unwrap()
    };

    let unknown = format!("Bearer {}", unknown_key());
    for wrong in [None, Some("Bearer nonsense"), Some(&*unknown)] {
        let answer = send(wrong, "body").await;
        assert_eq!(answer.status(), 401, "{name}: {wrong:?}");
        assert_eq!(answer.headers()["www-authenticate"], "Bearer", "{name}");
    }
    assert_eq!(
        backend.heads(),
        [] as [String; 0],
        "{name}: nothing has passed"
    );

    let right = format!("Bearer {key}");
    assert_eq!(send(Some(&right), "body").await.status(), 200, "{name}");
    let heads = backend.heads();
    assert_eq!(heads.len(), 1, "{name}: {heads:?}");
    let head = &heads[0];
    assert!(head.starts_with("post /hooks?a=b http/1"), "{name}: {head}");
    assert!(!head.contains("evil"), "{name}: {head}");
    assert!(
        !head.contains("pk_live_") || !head.contains(&key[24..]),
        "{name}: {head}"
    );
    let account = "x-account-id: auth0|6123\r\n";
    assert_eq!(head.matches(account).count(), 1, "{name}: {head}");
    assert_eq!(head.matches("x-account-id:").count(), 1, "{name}: {head}");
    assert_eq!(head.matches("x-key-id:").count(), 1, "{name}: {head}");
    let prefix = format!("x-key-prefix: {}\r\n", &key[..24]);
    assert!(head.contains(&prefix), "{name}: {head}");

    // Without the database nobody passes. What the client gets depends on the proxy.
    deployment
        .in_production()
        .database
        .allow_connections(false)
        .await;
    let answer = send(Some(&right), "body").await;
    assert!(
        answer.status().is_server_error(),
        "{name}: {}",
        answer.status()
    );
    assert_eq!(backend.heads().len(), 1, "{name}: nothing has passed");
    tests::report(&format!(
        "without the database, {name} answers {}",
        answer.status()
    ));
}

#[tokio::test]
async fn nginx_passes_the_identity_of_active_keys_on() {
    gateway("nginx", &["nginx.conf"], |dir| {
        let mut nginx = Command::new("/usr/sbin/nginx");
        let globals = "daemon off; error_log stderr; pid nginx.pid;";
        nginx
            .arg("-p")
            .arg(dir)
            .args(["-c", "nginx.conf", "-g", globals]);
        nginx
    })
    .await;
}

#[tokio::test]
async fn caddy_passes_the_identity_of_active_keys_on() {
    gateway("caddy", &["Caddyfile"], |dir| {
        let mut caddy = Command::new("caddy");
        caddy.args(["run", "--adapter", "caddyfile", "--config", "Caddyfile"]);
        caddy.env("HOME", dir);
        caddy
    })
    .await;
}

#[tokio::test]
async fn haproxy_passes_the_identity_of_active_keys_on() {
    gateway("haproxy", &["haproxy.cfg", "forward-auth.lua"], |_dir| {
        let mut haproxy = Command::new("/usr/sbin/haproxy");
        haproxy.args(["-db", "-f", "haproxy.cfg"]);
        haproxy
    })
    .await;
}
