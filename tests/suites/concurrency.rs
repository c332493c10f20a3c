//! Concurrent requests. An account has at most one active key, and a revoked key is
//! refused from the moment the revocation is answered. The production deployment runs two
//! API processes.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rand::RngExt;
use rstest::rstest;
use tests::Kind::{self, Embedded, Production};
use tests::{Answer, Client, Deployment, eventually};
use tokio::sync::watch;
use tokio::task::JoinSet;

const SOON: Duration = Duration::from_secs(10);

/// Starts a deployment: two API processes in production, one process if embedded.
async fn start_deployment(kind: Kind) -> Deployment {
    let mut deployment = Deployment::start(kind).await;
    if kind == Production {
        deployment.add_api().await;
    }
    deployment
}

#[rstest]
#[tokio::test]
async fn one_of_fifty_concurrent_creations_succeeds(#[values(Production, Embedded)] kind: Kind) {
    let deployment = start_deployment(kind).await;
    for round in 0..5 {
        let account = format!("auth0|{round}");
        let session = deployment.session_of(&account).await;
        let (start, started) = watch::channel(false);
        let create = |client: Client| {
            let (session, mut started) = (session.clone(), started.clone());
            async move {
                started.wait_for(|started| *started).await.unwrap();
                client.create(&session).await
            }
        };
        let creations: JoinSet<Answer> = deployment.crowd(50).map(create).collect();
        start.send_replace(true);

        let answers = creations.join_all().await;
        let (created, refused): (Vec<_>, Vec<_>) =
            answers.iter().partition(|answer| answer.status == 201);
        assert_eq!((created.len(), refused.len()), (1, 49));
        for refused in refused {
            refused.is_error(409, "conflict");
        }
        let rows = deployment.rows(&account).await;
        assert!(rows.len() == 1 && rows[0].is_active, "{rows:?}");
        for client in &deployment.clients() {
            let shown = client.show(&session).await;
            assert_eq!(shown.text("prefix"), created[0].text("prefix"));
        }
        deployment.provisioned(&session, SOON).await;
        let opened = deployment.clients()[0]
            .portal(&created[0].text("api_key"))
            .await;
        assert_eq!(opened.status, 200);
    }
    assert_eq!(deployment.svix.applications().len(), 5);
}

/// Creates and revokes keys at random. Returns the keys that were created.
async fn create_and_revoke_at_random(client: Client, session: String) -> Vec<String> {
    let mut keys = Vec::new();
    for _ in 0..25 {
        if rand::rng().random_bool(0.5) {
            let created = client.create(&session).await;
            match created.status.as_u16() {
                201 => keys.push(created.text("api_key")),
                409 => {}
                _ => panic!("{created:?}"),
            }
        } else {
            let revoked = client.revoke(&session).await;
            assert_eq!(&*revoked.text, r#"{"success":true}"#, "{revoked:?}");
        }
    }
    keys
}

#[rstest]
#[tokio::test]
async fn concurrent_creations_and_revocations_leave_at_most_one_active_key(
    #[values(Production, Embedded)] kind: Kind,
) {
    let deployment = start_deployment(kind).await;
    for account in ["one", "two", "three"] {
        let session = deployment.session_of(account).await;
        let crowd = deployment.crowd(8);
        let requests: JoinSet<_> = crowd
            .map(|client| create_and_revoke_at_random(client, session.clone()))
            .collect();
        let keys = requests.join_all().await.concat();
        assert!(!keys.is_empty());

        let rows = deployment.rows(account).await;
        assert_eq!(
            rows.len(),
            keys.len(),
            "there is one row for each key that was created"
        );
        let active: Vec<_> = rows.iter().filter(|row| row.is_active).collect();
        assert!(active.len() <= 1, "{active:?}");
        assert!(rows.iter().all(|row| row.is_active != row.was_revoked));
        for client in &deployment.clients() {
            let shown = client.show(&session).await;
            assert_eq!(shown.body["has_key"], !active.is_empty());
            let active = active.first().map(|row| &*row.key_prefix);
            for key in &keys {
                let works = client.portal(key).await.status != 401;
                assert_eq!(works, active == Some(&key[..24]));
            }
        }
    }
}

/// Locks an account as a change of its keys does.
const LOCK_ACCOUNT: &str = "
    SELECT pg_advisory_xact_lock(hashtextextended($1, 'api_partners'::regclass::oid::bigint))";
/// Counts the transactions of this database that wait for such a lock.
const WAITING: &str = "
    SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database
    WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()";

/// A change that waits in the database keeps one of the process's ten connections.
#[tokio::test]
async fn however_many_changes_an_account_asks_for_others_are_not_delayed() {
    let deployment = Deployment::production(0).await;
    let busy = deployment.session_of("busy").await;
    let other = deployment.session_of("other").await;
    for session in [&busy, &other] {
        assert_eq!(deployment.client.create(session).await.status, 201);
    }
    let pool = deployment.in_production().database.pool().await;
    let mut holder = pool.begin().await.unwrap();
    let lock = sqlx::query(LOCK_ACCOUNT).bind("busy");
    lock.execute(&mut *holder).await.unwrap();

    let client = &deployment.client;
    let revocations = join_all((0..30).map(|_| client.revoke(&busy)));
    let others = async {
        let waiting = || sqlx::query_scalar(WAITING).fetch_one(&pool);
        let waiting = || async { waiting().await.unwrap() };
        eventually("one change waits", SOON, waiting, |count: &i64| *count > 0).await;
        assert_eq!(client.revoke(&other).await.status, 200);
        assert!(waiting().await <= 1, "the others wait in the process");
        holder.rollback().await.unwrap();
    };
    let (revocations, ()) = tokio::join!(revocations, others);
    // Those that waited for longer than a change may wait for a lock are refused.
    for revoked in revocations {
        assert!(matches!(revoked.status.as_u16(), 200 | 503), "{revoked:?}");
    }
}

#[rstest]
#[tokio::test]
async fn every_process_refuses_a_revoked_key_immediately(
    #[values(Production, Embedded)] kind: Kind,
) {
    let deployment = start_deployment(kind).await;
    let session = deployment.session().await;
    for round in 0..40 {
        let acting = &deployment.clients()[round % deployment.clients().len()];
        let key = acting.create(&session).await.text("api_key");
        for client in &deployment.clients() {
            // If a process caches keys, the key is in its cache from now on.
            assert_ne!(client.portal(&key).await.status, 401);
            assert_eq!(client.show(&session).await.text("prefix"), key[..24]);
        }
        assert_eq!(acting.revoke(&session).await.status, 200);
        for client in deployment.clients().iter().rev() {
            client.portal(&key).await.is_error(401, "unauthorized");
            assert_eq!(client.show(&session).await.body["has_key"], false);
        }
    }
}

/// Requests portal links with the key until stopped. Returns when each request began and
/// its status.
async fn request_portal_links(
    client: Client,
    key: String,
    stop: watch::Receiver<bool>,
) -> Vec<(Instant, u16)> {
    let mut seen = Vec::new();
    while !*stop.borrow() {
        let began = Instant::now();
        seen.push((began, client.portal(&key).await.status.as_u16()));
    }
    seen
}

#[rstest]
#[tokio::test]
async fn no_concurrent_request_uses_a_key_after_its_revocation_is_answered(
    #[values(Production, Embedded)] kind: Kind,
) {
    let deployment = start_deployment(kind).await;
    let session = deployment.session().await;
    for _ in 0..5 {
        let key = deployment.clients()[0]
            .create(&session)
            .await
            .text("api_key");
        deployment.provisioned(&session, SOON).await;
        let (stop, stopped) = watch::channel(false);
        let requests = deployment
            .crowd(8)
            .map(|client| request_portal_links(client, key.clone(), stopped.clone()));
        let requests: JoinSet<_> = requests.collect();

        for _ in 0..20 {
            assert_eq!(deployment.clients()[0].portal(&key).await.status, 200);
        }
        assert_eq!(deployment.clients()[0].revoke(&session).await.status, 200);
        let answered = Instant::now();
        for _ in 0..20 {
            deployment.clients()[0]
                .portal(&key)
                .await
                .is_error(401, "unauthorized");
        }
        stop.send_replace(true);

        let seen = requests.join_all().await.concat();
        let (late, early): (Vec<_>, Vec<_>) = seen.iter().partition(|(began, _)| *began > answered);
        assert!(
            late.len() >= 8 && late.iter().all(|(_, status)| *status == 401),
            "{late:?}"
        );
        assert!(
            early.iter().filter(|(_, status)| *status == 200).count() >= 8,
            "{early:?}"
        );
    }
}
