//! Secrets are nowhere but in the one answer that shows them: not in a log, even
//! at `RUST_LOG=trace`, not in the database, not in Redis.

use std::path::Path;
use std::time::Duration;

use shared::config::{DatabaseConfig, Pooler, SecretString};
use shared::key::PartnerKey;
use shared::session::SessionToken;
use shared::svix::SvixConfig;
use tests::collector::{self, Span};
use tests::deployment::SVIX_TOKEN;
use tests::{Collector, Deployment, Metrics, Plan, PrivatePostgres, Process, RedisServer};

mod core_files;
mod known;
mod monitor;
mod quoting_svix;
mod traffic;

use known::Secrets;
use monitor::Monitor;

/// What everything is logged at here: all that any library has to say.
fn trace() -> (&'static str, String) {
    ("RUST_LOG", "trace".to_owned())
}

fn password(of: &str) -> String {
    format!("{of}{}", uuid::Uuid::new_v4().simple())
}

/// A hash as PostgreSQL writes it out.
fn hash(key: &str) -> String {
    hex::encode(PartnerKey::parse(key).unwrap().hash().as_bytes())
}

/// What one of our processes has logged, libraries included, if not at trace.
fn log(process: &Process) -> String {
    let log = process.log();
    assert!(!log.contains("a defect"), "{log}");
    let is_from = |line: &&str, crates: &str| line.contains(&format!(r#""target":"{crates}"#));
    let debug = log
        .lines()
        .filter(|line| line.contains(r#""level":"DEBUG""#));
    let of_http = debug.filter(|line| is_from(line, "hyper_util"));
    assert!(of_http.count() > 0, "not much of a log:\n{log}");
    for line in log
        .lines()
        .filter(|line| line.contains(r#""level":"TRACE""#))
    {
        let ours = ["api", "shared", "standalone", "worker"];
        assert!(ours.iter().any(|name| is_from(&line, name)), "{line}");
    }
    log
}

/// Checks what a collector was sent, which has our header, and traces to the end.
async fn check_collected(collector: &Collector, secrets: &Secrets, header: &str) {
    let is_link = |span: &&Span| span.name == "svix open_portal" && !span.has_failed;
    let links = || async { collector.spans().iter().filter(is_link).count() };
    let soon = Duration::from_secs(20);
    tests::eventually("both links are traced", soon, links, |count| *count == 2).await;
    let received = collector.received();
    secrets.absent_from("what a collector gets", &received);
    assert!(known::contains(&received, header.as_bytes()));
}

#[tokio::test]
async fn no_secret_is_left_anywhere_in_production() {
    let (database_password, redis_password) = (password("db"), password("redis"));
    // PostgreSQL logs each statement with what is bound to it.
    let mut postgres = PrivatePostgres::start_with(&[("log_statement", "all")]).await;
    let args = ["--requirepass", &redis_password, "--loglevel", "debug"];
    let redis = RedisServer::start_with(&args).await;
    let redis_url = format!("redis://:{redis_password}@127.0.0.1:{}/", redis.port());
    let monitor = Monitor::start(redis.port(), &redis_password).await;
    let database = postgres.migrated().await;
    let with_password = format!("postgres:{database_password}@");
    let collector = Collector::start(collector::Mood::Taking).await;
    let authorization = password("collector");
    let header = format!("authorization={authorization}");
    let mut env = collector.env();
    env.extend([
        ("OTEL_EXPORTER_OTLP_HEADERS", header),
        (
            "DATABASE_URL",
            database.url().replace("postgres@", &with_password),
        ),
        ("REDIS_URL", redis_url.clone()),
        ("ADMIN_ADDR", "127.0.0.1:0".to_owned()),
        trace(),
    ]);
    let mut deployment = Deployment::planned(Plan {
        database: Some(database),
        redis: Some(redis),
        workers: 1,
        env,
    })
    .await;

    let mut secrets = Secrets::default();
    secrets.add("the Svix token", SVIX_TOKEN);
    secrets.add("the database's password", &database_password);
    secrets.add("Redis's password", &redis_password);
    let key = traffic::use_everything(&deployment, &mut secrets).await;
    check_collected(&collector, &secrets, &authorization).await;
    secrets.add("the collector's header", &authorization);

    let saved = save(&redis_url, deployment.in_production().redis.dir()).await;
    secrets.absent_from("the dump of Redis", &saved);
    assert!(
        known::contains(&saved, b"partner-keys:{partner-keys}"),
        "no dump"
    );

    // What is lost and found again is logged too.
    let redis_log = deployment.in_production().redis.log();
    deployment.in_production_mut().redis.kill().await;
    postgres.stop().await;
    let statements = postgres.log();
    let session = &secrets.sessions()[0];
    let shown = deployment.client.show(session).await;
    shown.is_error(503, "unavailable");
    let worker = &mut deployment.in_production_mut().workers[0];
    worker.logged("the sweep failed").await;
    postgres.restart().await;
    deployment.in_production_mut().redis.restart().await;
    let again = || async { deployment.client.show(session).await.status };
    let ok = |status: &tests::client::Status| *status == 200;
    tests::eventually("the database is back", Duration::from_secs(20), again, ok).await;

    let metrics = Metrics::of(&mut deployment.server).await;
    secrets.absent_from("the api's metrics", metrics.text().as_bytes());
    let worker = &mut deployment.in_production_mut().workers[0];
    let metrics = Metrics::of(worker).await;
    secrets.absent_from("the worker's metrics", metrics.text().as_bytes());

    let api = log(&deployment.server);
    assert!(api.contains(&key[..24]), "the prefix may be logged, and is");
    secrets.absent_from("the api's log", api.as_bytes());
    let worker = log(&deployment.in_production().workers[0]);
    secrets.absent_from("the worker's log", worker.as_bytes());
    for process in [&deployment.server, &deployment.in_production().workers[0]] {
        secrets.absent_from("an output", process.output().as_bytes());
    }

    assert!(
        redis_log.contains("Ready to accept connections"),
        "{redis_log}"
    );
    secrets.absent_from("Redis's log", redis_log.as_bytes());
    let commands = monitor.end().await;
    assert!(
        known::contains(&commands, b"partner-keys:{partner-keys}"),
        "no log"
    );
    secrets.absent_from("the commands that Redis was sent", &commands);

    assert!(
        statements.contains("INSERT INTO api_partners"),
        "{statements}"
    );
    assert!(statements.contains(&hash(&key)), "no parameters in it");
    secrets.absent_from("PostgreSQL's log", statements.as_bytes());
    let dump = postgres.dump().await;
    assert!(dump.contains(&hash(&key)), "not much of a dump:\n{dump}");
    assert!(dump.contains(&key[..24]), "not much of a dump:\n{dump}");
    secrets.absent_from("the dump of the database", dump.as_bytes());
}

#[tokio::test]
async fn no_secret_is_left_anywhere_embedded() {
    let deployment = Deployment::embedded(&[trace()]).await;
    let mut secrets = Secrets::default();
    secrets.add("the Svix token", SVIX_TOKEN);
    let banner = deployment.server.output();
    let demo = banner.split_once("Bearer session_").unwrap().1;
    secrets.add_session(&format!("session_{}", &demo[..64]));
    let key = traffic::use_everything(&deployment, &mut secrets).await;

    let log = log(&deployment.server);
    assert!(log.contains(&key[..24]), "the prefix may be logged, and is");
    secrets.absent_from("the log", log.as_bytes());

    let hash = PartnerKey::parse(&key).unwrap().hash();
    let mut has_hash = false;
    for file in std::fs::read_dir(deployment.dir().join("data")).unwrap() {
        let path = file.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        has_hash |= known::contains(&bytes, hash.as_bytes());
        secrets.absent_from(path.to_str().unwrap(), &bytes);
    }
    assert!(has_hash, "these are not the database's files");
}

/// What Redis writes to disk when told to save.
async fn save(url: &str, dir: &Path) -> Vec<u8> {
    let client = redis::Client::open(url).unwrap();
    let mut redis = client.get_multiplexed_async_connection().await.unwrap();
    let set = ["SET", "rdbcompression", "no"];
    let mut config = redis::cmd("CONFIG");
    let _: () = config.arg(&set).query_async(&mut redis).await.unwrap();
    let _: () = redis::cmd("SAVE").query_async(&mut redis).await.unwrap();
    std::fs::read(dir.join("dump.rdb")).unwrap()
}

#[test]
fn types_that_hold_a_secret_do_not_print_it() {
    let secret = || SecretString::from("hunter2");
    let config = SvixConfig {
        token: secret(),
        server_url: Some("https://svix.example".to_owned()),
        uid_prefix: String::new(),
    };
    assert!(format!("{config:?}").contains("svix.example"));
    let key = PartnerKey::generate().unwrap();
    let session = SessionToken::generate().unwrap();
    let url = "postgres://user:hunter2@127.0.0.1:1/db";
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _inside = runtime.enter();
    let store = shared::store::PostgresStore::new(DatabaseConfig {
        options: url.parse().unwrap(),
        max_connections: 1,
        pooler: Pooler::None,
    });
    let shown = format!("{:?} {config:?} {key:?} {session:?} {store:?}", secret());
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(!shown.contains(&key.expose()[24..40]), "{shown}");
    assert!(!shown.contains(&session.expose()[8..24]), "{shown}");
    assert!(
        !shown.contains(&hex::encode(key.hash().as_bytes())),
        "{shown}"
    );
}
