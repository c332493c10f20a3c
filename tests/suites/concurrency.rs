//! Many at once: one active key an account, and a revocation that counts from
//! the moment it is answered. In production over two api processes.

use std::time::{Duration, Instant};

use rand::RngExt;
use rstest::rstest;
use tests::Kind::{self, Embedded, Production};
use tests::{Answer, Client, Deployment, Process};
use tokio::sync::watch;
use tokio::task::JoinSet;

const SOON: Duration = Duration::from_secs(10);

/// A deployment and a client of each of its api processes.
struct Fleet {
    deployment: Deployment,
    clients: Vec<Client>,
    _second: Option<Process>,
}

impl Fleet {
    async fn start(kind: Kind) -> Self {
        let deployment = Deployment::start(kind).await;
        let mut clients = vec![deployment.client.clone()];
        let mut second = None;
        if kind == Production {
            let (process, client) = deployment.start_api().await;
            clients.push(client);
            second = Some(process);
        }
        Self {
            deployment,
            clients,
            _second: second,
        }
    }

    /// So many clients, the processes taking turns.
    fn crowd(&self, size: usize) -> impl Iterator<Item = Client> {
        self.clients.iter().cycle().take(size).cloned()
    }
}

#[rstest]
#[tokio::test]
async fn of_fifty_creations_at_once_one_succeeds(#[values(Production, Embedded)] kind: Kind) {
    let fleet = Fleet::start(kind).await;
    for round in 0..5 {
        let account = format!("auth0|{round}");
        let session = fleet.deployment.session_of(&account).await;
        let (start, started) = watch::channel(false);
        let create = |client: Client| {
            let (session, mut started) = (session.clone(), started.clone());
            async move {
                started.wait_for(|started| *started).await.unwrap();
                client.create(&session).await
            }
        };
        let creations: JoinSet<Answer> = fleet.crowd(50).map(create).collect();
        start.send_replace(true);

        let answers = creations.join_all().await;
        let (created, refused): (Vec<_>, Vec<_>) =
            answers.iter().partition(|answer| answer.status == 201);
        assert_eq!((created.len(), refused.len()), (1, 49));
        for refused in refused {
            refused.is_error(409, "conflict");
        }
        let rows = fleet.deployment.rows(&account).await;
        assert!(rows.len() == 1 && rows[0].is_active, "{rows:?}");
        for client in &fleet.clients {
            let shown = client.show(&session).await;
            assert_eq!(shown.text("prefix"), created[0].text("prefix"));
        }
        fleet.deployment.provisioned(&session, SOON).await;
        let opened = fleet.clients[0].portal(&created[0].text("api_key")).await;
        assert_eq!(opened.status, 200);
    }
    assert_eq!(fleet.deployment.svix.applications().len(), 5);
}

/// Creates and revokes at random. The keys that it was given.
async fn rampage(client: Client, session: String) -> Vec<String> {
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
async fn storms_of_creations_and_revocations_leave_one_active_key_at_most(
    #[values(Production, Embedded)] kind: Kind,
) {
    let fleet = Fleet::start(kind).await;
    for account in ["one", "two", "three"] {
        let session = fleet.deployment.session_of(account).await;
        let crowd = fleet.crowd(8);
        let storm: JoinSet<_> = crowd
            .map(|client| rampage(client, session.clone()))
            .collect();
        let keys = storm.join_all().await.concat();
        assert!(!keys.is_empty());

        let rows = fleet.deployment.rows(account).await;
        assert_eq!(
            rows.len(),
            keys.len(),
            "a row for each key that was given out"
        );
        let active: Vec<_> = rows.iter().filter(|row| row.is_active).collect();
        assert!(active.len() <= 1, "{active:?}");
        assert!(rows.iter().all(|row| row.is_active != row.was_revoked));
        for client in &fleet.clients {
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

#[rstest]
#[tokio::test]
async fn a_revocation_counts_on_every_process_at_once(#[values(Production, Embedded)] kind: Kind) {
    let fleet = Fleet::start(kind).await;
    let session = fleet.deployment.session().await;
    for round in 0..40 {
        let acting = &fleet.clients[round % fleet.clients.len()];
        let key = acting.create(&session).await.text("api_key");
        for client in &fleet.clients {
            // Whatever might remember the key has seen it now.
            assert_ne!(client.portal(&key).await.status, 401);
            assert_eq!(client.show(&session).await.text("prefix"), key[..24]);
        }
        assert_eq!(acting.revoke(&session).await.status, 200);
        for client in fleet.clients.iter().rev() {
            client.portal(&key).await.is_error(401, "unauthorized");
            assert_eq!(client.show(&session).await.text, r#"{"has_key":false}"#);
        }
    }
}

/// Exchanges the key until told to stop: when each request began, and its status.
async fn hammer(client: Client, key: String, stop: watch::Receiver<bool>) -> Vec<(Instant, u16)> {
    let mut seen = Vec::new();
    while !*stop.borrow() {
        let began = Instant::now();
        seen.push((began, client.portal(&key).await.status.as_u16()));
    }
    seen
}

#[rstest]
#[tokio::test]
async fn nobody_gets_in_after_the_answer_however_many_are_trying(
    #[values(Production, Embedded)] kind: Kind,
) {
    let fleet = Fleet::start(kind).await;
    let session = fleet.deployment.session().await;
    for _ in 0..5 {
        let key = fleet.clients[0].create(&session).await.text("api_key");
        fleet.deployment.provisioned(&session, SOON).await;
        let (stop, stopped) = watch::channel(false);
        let trying = fleet
            .crowd(8)
            .map(|client| hammer(client, key.clone(), stopped.clone()));
        let trying: JoinSet<_> = trying.collect();

        for _ in 0..20 {
            assert_eq!(fleet.clients[0].portal(&key).await.status, 200);
        }
        assert_eq!(fleet.clients[0].revoke(&session).await.status, 200);
        let answered = Instant::now();
        for _ in 0..20 {
            fleet.clients[0]
                .portal(&key)
                .await
                .is_error(401, "unauthorized");
        }
        stop.send_replace(true);

        let seen = trying.join_all().await.concat();
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
