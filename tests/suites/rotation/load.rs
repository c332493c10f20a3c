//! A partner's integration, which opens portals without a pause while its key is replaced.

use std::sync::{Arc, Mutex};

use tests::{Client, Deployment, report};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{SOON, new_key, ready_key};
use tests::eventually;

/// The number of clients of the integration.
const CLIENTS: usize = 6;
/// The number of requests that each client makes in each phase of the rotation at least.
const REQUESTS: usize = 25;

/// A request of a client: the client's number, the key and the status.
type Request = (usize, String, u16);

/// The integration: the key that it is configured with, and its requests so far.
struct Integration {
    key: watch::Sender<String>,
    stop: watch::Sender<bool>,
    requests: Arc<Mutex<Vec<Request>>>,
    clients: JoinSet<()>,
}

impl Integration {
    fn start(deployment: &Deployment, key: String) -> Self {
        let (key, configured) = watch::channel(key);
        let (stop, stopped) = watch::channel(false);
        let requests = Arc::<Mutex<Vec<_>>>::default();
        let run = |(number, client): (usize, Client)| {
            let (requests, configured) = (Arc::clone(&requests), configured.clone());
            let stopped = stopped.clone();
            async move {
                while !*stopped.borrow() {
                    let key = configured.borrow().clone();
                    let status = client.portal(&key).await.status.as_u16();
                    requests.lock().unwrap().push((number, key, status));
                }
            }
        };
        Self {
            clients: deployment.crowd(CLIENTS).enumerate().map(run).collect(),
            key,
            stop,
            requests,
        }
    }

    /// Waits for further requests with this key, of each client.
    async fn goes_on(&self, key: &str) {
        let count = || async {
            let requests = self.requests.lock().unwrap();
            let of = |client| {
                let of_client = requests.iter().filter(|(number, ..)| *number == client);
                of_client.filter(|(_, used, _)| used == key).count()
            };
            (0..CLIENTS).map(of).collect::<Vec<usize>>()
        };
        let before = count().await;
        let enough = |now: &Vec<usize>| {
            let mut pairs = before.iter().zip(now);
            pairs.all(|(before, now)| before + REQUESTS <= *now)
        };
        eventually("the integration goes on", SOON * 3, count, enough).await;
    }

    async fn stop(self) -> Vec<Request> {
        self.stop.send_replace(true);
        self.clients.join_all().await;
        std::mem::take(&mut *self.requests.lock().unwrap())
    }
}

#[tokio::test]
async fn no_request_of_a_partner_fails_during_a_whole_rotation() {
    let mut deployment = Deployment::production(1).await;
    deployment.add_api().await;
    let client = &deployment.client;
    let (session, old) = ready_key(&deployment).await;
    let integration = Integration::start(&deployment, old.clone());
    integration.goes_on(&old).await;

    // One that the partner does not like, and the one that it keeps.
    new_key(&client.start_rotation(&session, None).await);
    integration.goes_on(&old).await;
    assert_eq!(client.cancel_rotation(&session).await.status, 200);
    integration.goes_on(&old).await;
    let new = new_key(&client.start_rotation(&session, None).await);
    integration.goes_on(&old).await;
    integration.key.send_replace(new.clone());
    integration.goes_on(&new).await;
    assert_eq!(client.finish_rotation(&session).await.status, 200);
    integration.goes_on(&new).await;
    client.portal(&old).await.is_error(401, "unauthorized");

    let requests = integration.stop().await;
    let failed = requests
        .iter()
        .filter(|(.., status)| *status != 200)
        .count();
    report(&format!(
        "{} requests of an integration during a canceled and a whole rotation: {failed} failed",
        requests.len()
    ));
    assert_eq!(failed, 0);
}
