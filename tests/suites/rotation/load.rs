//! A partner's integration, which opens portals without a pause while its key is replaced, at
//! several processes, of which one is killed at each step.

use std::sync::{Arc, Mutex};

use reqwest::Client as Http;
use tests::client::PORTAL_PATH;
use tests::process::{free_port, listening};
use tests::{Deployment, Process, report};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{SOON, new_key, ready_key};
use tests::eventually;

/// The number of clients of the integration.
const CLIENTS: usize = 6;
/// The number of requests that each client makes in each phase of the rotation at least.
const REQUESTS: usize = 25;

/// A request of a client: the client's number, the key and the status, or `None` if the process
/// was killed before it answered.
type Request = (usize, String, Option<u16>);

/// The integration: the key that it is configured with, and its requests so far.
struct Integration {
    key: watch::Sender<String>,
    stop: watch::Sender<bool>,
    requests: Arc<Mutex<Vec<Request>>>,
    clients: JoinSet<()>,
}

impl Integration {
    /// Starts the clients, spread evenly over the processes at these addresses.
    fn start(bases: &[String], key: String) -> Self {
        let (key, configured) = watch::channel(key);
        let (stop, stopped) = watch::channel(false);
        let requests = Arc::<Mutex<Vec<_>>>::default();
        let run = |number: usize| {
            let http = Http::builder().no_proxy().timeout(SOON).build().unwrap();
            let url = format!("{}{PORTAL_PATH}", bases[number % bases.len()]);
            let (requests, configured) = (Arc::clone(&requests), configured.clone());
            let stopped = stopped.clone();
            async move {
                while !*stopped.borrow() {
                    let key = configured.borrow().clone();
                    let answer = http.get(&url).bearer_auth(&key).send().await;
                    let status = answer.map(|answer| answer.status().as_u16()).ok();
                    requests.lock().unwrap().push((number, key, status));
                }
            }
        };
        Self {
            clients: (0..CLIENTS).map(run).collect(),
            key,
            stop,
            requests,
        }
    }

    /// Waits for further answers to requests with this key, of each client.
    async fn goes_on(&self, key: &str) {
        let count = || async {
            let requests = self.requests.lock().unwrap();
            let of = |client| {
                let of_client = requests.iter().filter(|(number, ..)| *number == client);
                of_client
                    .filter(|(_, used, status)| used == key && status.is_some())
                    .count()
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

/// An api that is killed and started again at the same address.
struct KilledApi<'a> {
    deployment: &'a Deployment,
    address: String,
    process: Process,
    kills: usize,
}

impl<'a> KilledApi<'a> {
    async fn start(deployment: &'a Deployment) -> Self {
        let port = free_port();
        let address = format!("127.0.0.1:{port}");
        let process = deployment.start_api_at(&address).await;
        listening(port).await;
        Self {
            deployment,
            address,
            process,
            kills: 0,
        }
    }

    /// Kills the process while `step` is done, and starts it again.
    async fn during<T>(&mut self, step: impl Future<Output = T>) -> T {
        let (done, ()) = tokio::join!(step, self.process.kill());
        self.kills += 1;
        self.process = self.deployment.start_api_at(&self.address).await;
        done
    }
}

#[tokio::test]
async fn no_request_of_a_partner_fails_during_a_whole_rotation() {
    let mut deployment = Deployment::production(1).await;
    deployment.add_api().await;
    let client = &deployment.client;
    let (session, old) = ready_key(&deployment).await;
    let mut killed = KilledApi::start(&deployment).await;
    let clients = deployment.clients();
    let mut bases: Vec<String> = clients.iter().map(|it| it.base().to_owned()).collect();
    bases.push(format!("http://{}", killed.address));
    let integration = Integration::start(&bases, old.clone());
    integration.goes_on(&old).await;

    // One that the partner does not like, and the one that it keeps.
    let started = killed.during(client.start_rotation(&session, None)).await;
    new_key(&started);
    integration.goes_on(&old).await;
    let canceled = killed.during(client.cancel_rotation(&session)).await;
    assert_eq!(canceled.status, 200);
    integration.goes_on(&old).await;
    let started = killed.during(client.start_rotation(&session, None)).await;
    let new = new_key(&started);
    integration.goes_on(&old).await;
    let configure = async { integration.key.send_replace(new.clone()) };
    killed.during(configure).await;
    integration.goes_on(&new).await;
    let finished = killed.during(client.finish_rotation(&session)).await;
    assert_eq!(finished.status, 200);
    integration.goes_on(&new).await;
    client.portal(&old).await.is_error(401, "unauthorized");

    let requests = integration.stop().await;
    let answers: Vec<u16> = requests.iter().filter_map(|(.., status)| *status).collect();
    let failed = answers.iter().filter(|status| **status != 200).count();
    report(&format!(
        "{} requests of an integration during a canceled and a whole rotation were answered, while \
         a process was killed {} times: {failed} failed",
        answers.len(),
        killed.kills
    ));
    assert_eq!(failed, 0);
}
