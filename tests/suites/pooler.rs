//! PgBouncer in transaction mode, with fewer sessions than the service opens connections.

use std::time::Duration;

use futures_util::future::join_all;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection, Row};
use tests::pgbouncer::SESSIONS;
use tests::postgres::POOLER_PORT;
use tests::{Answer, Deployment, Load, PgBouncer, Plan, Role, TestDatabase, eventually, rerun};

use crate::faults::postgres::{nothing_is_lost, wait_for_more_answers};

/// The cases that run through PgBouncer: all operations, and all kinds of statements.
const CASES: &[&str] = &[
    "lifecycle::",
    "contract::key",
    "contract::portal",
    "contract::database_down",
    "faults::locks",
    "store_conformance::claims",
    "store_conformance::completions",
    "store_conformance::events",
    "store_conformance::operators",
];

/// Cases without PostgreSQL.
const NOT_THESE: &[&str] = &["Embedded", "Sqlite"];

/// The fewest cases that must have run.
const LEAST: usize = 46;

#[tokio::test]
async fn the_service_works_through_it() {
    let pgbouncer = PgBouncer::start(&TestDatabase::create().await.address()).await;
    let port = [(POOLER_PORT, pgbouncer.port().to_string())];
    rerun(CASES, NOT_THESE, &port, LEAST).await;
}

#[tokio::test]
async fn nothing_is_lost_when_it_is_killed_and_nothing_is_left_in_its_sessions() {
    let database = TestDatabase::migrated().await;
    let mut pgbouncer = PgBouncer::start(&database.address()).await;
    let deployment = Deployment::planned(Plan {
        database: Some(database.behind_pooler(pgbouncer.port())),
        workers: 1,
        ..Plan::default()
    })
    .await;
    let fault = async |load: &Load| {
        pgbouncer.kill().await;
        load.answers(20).await;
        pgbouncer.restart().await;
        wait_for_more_answers(load).await;
    };
    let (deployment, mints) = nothing_is_lost("PgBouncer killed", deployment, fault).await;
    let created = mints.iter().find(|mint| mint.answer.status == 201);
    let key = created.unwrap().answer.text("api_key");
    assert_eq!(deployment.client.portal(&key).await.status, 200);

    // The next user of a session finds it as if nobody had used it.
    let database = &deployment.in_production().database;
    let options: PgConnectOptions = database.url_for(Role::Api).parse().unwrap();
    let options = options.extra_float_digits(None);
    let mut session = PgConnection::connect_with(&options).await.unwrap();
    let select = "SELECT count(*) AS prepared, current_setting('statement_timeout') AS timeout,
                         current_setting('enable_seqscan') AS seqscan
                  FROM pg_prepared_statements";
    let left = sqlx::raw_sql(select).fetch_one(&mut session).await.unwrap();
    assert_eq!(left.get_unchecked::<String, _>("prepared"), "0");
    assert_eq!(left.get_unchecked::<String, _>("timeout"), "0");
    assert_eq!(left.get_unchecked::<String, _>("seqscan"), "on");

    let sessions = "SELECT count(*) FROM pg_stat_activity
                    WHERE usename = 'test_api' AND datname = current_database()";
    let pool = database.pool().await;
    let sessions: i64 = sqlx::query_scalar(sessions).fetch_one(&pool).await.unwrap();
    assert!(
        (1..=i64::try_from(SESSIONS).unwrap()).contains(&sessions),
        "{sessions}"
    );
}

/// Two connections may give different statements the same name, so that one of them would get
/// the answer to another question.
#[tokio::test]
async fn without_the_setting_nothing_is_answered_and_the_log_names_it() {
    let database = TestDatabase::migrated().await;
    let pgbouncer = PgBouncer::start(&database.address()).await;
    let plan = Plan {
        database: Some(database.through(Role::Api, pgbouncer.port())),
        ..Plan::default()
    };
    let deployment = Deployment::planned(plan).await;
    let sessions = deployment.sessions(4).await;
    // Only several connections get in each other's way.
    let used = || async {
        let client = &deployment.client;
        let created = join_all(sessions.iter().map(|session| client.create(session))).await;
        let shown = join_all(sessions.iter().map(|session| client.show(session))).await;
        for answer in created.iter().chain(&shown) {
            let is_true = [200, 201, 409, 503].contains(&answer.status.as_u16());
            assert!(is_true, "{answer:?}");
        }
        shown
    };
    let refused = |shown: &Vec<Answer>| shown.iter().all(|answer| answer.status == 503);
    eventually("all is refused", Duration::from_secs(10), used, refused).await;
    let log = deployment.server.log();
    assert!(log.contains("set DATABASE_POOLER=transaction"), "{log}");
    assert_eq!(deployment.probe("/readyz").await.0, 503);
}
