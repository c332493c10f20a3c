//! A Svix whose errors quote the request, credentials and all.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use serde_json::json;
use tests::{Deployment, Plan, PrivatePostgres, eventually};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::{Secrets, log, password, trace};

/// Answers every request with the status of the moment and a body that quotes it.
struct QuotingSvix {
    url: String,
    status: Arc<AtomicU16>,
}

impl QuotingSvix {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let status = Arc::new(AtomicU16::new(0));
        let current = status.clone();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(answer(connection, current.load(Ordering::SeqCst)));
            }
        });
        Self { url, status }
    }
}

/// Answers one request and closes.
async fn answer(connection: TcpStream, status: u16) -> std::io::Result<()> {
    let mut connection = BufReader::new(connection);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if connection.read_line(&mut line).await? <= 2 {
            break;
        }
        let line = line.to_lowercase() + &line;
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.lines().next().unwrap().trim().parse().unwrap();
        }
        head += &line;
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body).await?;
    let quoted = format!("{head}{}", String::from_utf8_lossy(&body));
    let token = head
        .split_once("Bearer ")
        .map(|(_, rest)| rest.lines().next().unwrap());
    assert!(token.is_some(), "no token: {head}");
    let body = match status {
        422 => json!({"detail": [{"loc": [quoted], "msg": quoted, "type": token}]}),
        // Not an object, so that reading it fails with an error that quotes it.
        200 => json!(quoted),
        _ => json!({"code": token, "detail": quoted}),
    };
    let body = body.to_string();
    let answer = format!(
        "HTTP/1.1 {status} {}\r\ncontent-type: application/json\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        token.unwrap(),
        body.len()
    );
    connection.write_all(answer.as_bytes()).await?;
    connection.shutdown().await
}

#[tokio::test]
async fn what_svix_quotes_of_our_requests_is_kept_nowhere() {
    let svix = QuotingSvix::start().await;
    let token = password("testsk_Aa1");
    let postgres = PrivatePostgres::start().await;
    let env = vec![
        ("SVIX_TOKEN", token.clone()),
        ("SVIX_SERVER_URL", svix.url.clone()),
        trace(),
    ];
    let deployment = Deployment::planned(Plan {
        database: Some(postgres.migrated().await),
        workers: 1,
        env,
        ..Plan::default()
    });
    let deployment = deployment.await;
    let pool = deployment.in_production().database.pool().await;
    let mut secrets = Secrets::default();
    secrets.add("the Svix token", &token);

    for status in [200, 400, 401, 403, 404, 409, 418, 422, 429, 500, 503] {
        svix.status.store(status, Ordering::SeqCst);
        let session = deployment.session().await;
        secrets.add_session(&session);
        let created = deployment.client.create(&session).await;
        let key = created.text("api_key");
        secrets.add_key(&key);
        let failed = || async {
            let error = "SELECT last_error FROM api_partners WHERE key_prefix = $1";
            let error = sqlx::query_scalar::<_, Option<String>>(error).bind(&key[..24]);
            error.fetch_one(&pool).await.unwrap()
        };
        let within = Duration::from_secs(20);
        eventually("the attempt has failed", within, failed, Option::is_some).await;

        // As if it had been provisioned before.
        let provision = "UPDATE api_partners SET has_webhook = true, svix_app_id = 'app_1', \
                         next_attempt_at = NULL, leased_until = NULL, failed_at = NULL, \
                         attempts = attempts + 1 WHERE key_prefix = $1";
        let provision = sqlx::query(provision).bind(&key[..24]);
        provision.execute(&pool).await.unwrap();
        let portal = deployment.client.portal(&key).await;
        assert!([404, 502].contains(&portal.status.as_u16()), "{portal:?}");
        secrets.absent_from("an answer", portal.text.as_bytes());
        assert_eq!(deployment.client.revoke(&session).await.status, 200);
    }

    let refused = "Svix refuses our calls";
    let worker = &deployment.in_production().workers[0];
    assert!(log(worker).contains(refused), "{}", log(worker));
    secrets.absent_from("the worker's log", log(worker).as_bytes());
    secrets.absent_from("the api's log", log(&deployment.server).as_bytes());
    let dump = postgres.dump().await;
    assert!(dump.contains("HTTP 4"), "{dump}");
    secrets.absent_from("the dump of the database", dump.as_bytes());
}
