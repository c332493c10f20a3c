//! Random operations of many clients on the keys of one account, at several processes, of
//! which one is killed again and again. Whatever the processes answer, some order of the
//! operations explains it. So no request with a key that works is refused, and none with a
//! key that has ended is accepted.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rand::RngExt;
use reqwest::{Client as Http, Method, StatusCode};
use serde_json::Value;
use tests::client::{FINISH_PATH, KEY_PATH, PORTAL_PATH, ROTATION_PATH};
use tests::process::{Process, free_port, listening};
use tests::{Deployment, Plan, report};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::SOON;
use super::history::{Call, Operation, Reply, is_linearizable};

/// The number of histories.
const ROUNDS: usize = 12;
/// The number of clients, and the number of operations of each.
const CLIENTS: usize = 5;
const OPERATIONS: usize = 14;

/// One account, as its clients know it.
struct Account {
    http: Http,
    /// The base URLs of the processes.
    bases: Vec<String>,
    session: String,
    history: Mutex<Vec<Operation>>,
    /// Each key, with the index of the operation that created it.
    keys: Mutex<Vec<(usize, String)>>,
}

impl Account {
    /// Runs random operations.
    async fn use_at_random(self: Arc<Self>) {
        for _ in 0..OPERATIONS {
            let known = self.keys.lock().unwrap().clone();
            let (choice, base, newest) = {
                let mut rng = rand::rng();
                let base = rng.random_range(0..self.bases.len());
                (rng.random_range(0..20), base, rng.random_range(0..4))
            };
            // Mostly the newest keys: the others have ended for good.
            let known = known.iter().rev().nth(newest % known.len().max(1)).cloned();
            let call = match choice {
                0..=1 => Call::Create,
                2..=4 => Call::Start,
                5 => Call::Finish,
                6..=7 => Call::Cancel,
                8 => Call::Revoke,
                _ => known
                    .as_ref()
                    .map_or(Call::Create, |(of, _)| Call::Check(*of)),
            };
            let key = known.map(|(_, key)| key).unwrap_or_default();
            let base = &self.bases[base];
            self.run(base, call, &key).await;
        }
    }

    /// Runs an operation, and writes it down.
    async fn run(&self, base: &str, call: Call, key: &str) {
        let (method, path, credential) = match call {
            Call::Create => (Method::POST, KEY_PATH, &*self.session),
            Call::Start => (Method::POST, ROTATION_PATH, &*self.session),
            Call::Finish => (Method::POST, FINISH_PATH, &*self.session),
            Call::Cancel => (Method::DELETE, ROTATION_PATH, &*self.session),
            Call::Revoke => (Method::DELETE, KEY_PATH, &*self.session),
            Call::Check(_) => (Method::GET, PORTAL_PATH, key),
        };
        let index = {
            let mut history = self.history.lock().unwrap();
            history.push(Operation {
                call,
                began: Instant::now(),
                reply: None,
                was_refused: false,
            });
            history.len() - 1
        };
        let request = self.http.request(method, format!("{base}{path}"));
        let response = match request.bearer_auth(credential).send().await {
            Ok(response) => response,
            Err(error) => {
                self.history.lock().unwrap()[index].was_refused = error.is_connect();
                return; // the process was killed
            }
        };
        let status = response.status();
        let Ok(body) = response.json::<Value>().await else {
            return;
        };
        let reply = match status {
            StatusCode::CONFLICT => Reply::Conflict,
            StatusCode::NOT_FOUND if call == Call::Start => Reply::None,
            // At the portal, 404 says that the key works, without webhooks yet.
            StatusCode::OK | StatusCode::CREATED | StatusCode::NOT_FOUND => Reply::Done,
            StatusCode::UNAUTHORIZED => Reply::None,
            StatusCode::SERVICE_UNAVAILABLE => return, // whatever it has done
            _ => panic!("{call:?}: {status} {body}"),
        };
        let answered = Instant::now();
        if let Some(key) = body["api_key"].as_str() {
            self.keys.lock().unwrap().push((index, key.to_owned()));
        }
        self.history.lock().unwrap()[index].reply = Some((reply, answered));
    }
}

/// Kills the process at this address and starts it again, until stopped. Returns how often.
async fn kill_and_restart(
    deployment: Arc<Deployment>,
    mut process: Process,
    address: String,
    mut stop: watch::Receiver<bool>,
) -> usize {
    let mut killed = 0;
    while !*stop.borrow_and_update() {
        process.kill().await;
        killed += 1;
        process = deployment.start_api_at(&address).await;
    }
    killed
}

#[tokio::test]
async fn every_history_of_several_processes_has_an_order_though_one_is_killed() {
    let mut deployment = Deployment::planned(Plan {
        workers: 1,
        ..Plan::default()
    })
    .await;
    deployment.add_api().await;
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let killed = deployment.start_api_at(&address).await;
    listening(port).await;
    let mut bases: Vec<String> = deployment
        .clients()
        .iter()
        .map(|client| client.base().to_owned())
        .collect();
    bases.push(format!("http://{address}"));
    let mut sessions = deployment.sessions(ROUNDS).await;
    let (stop, stopped) = watch::channel(false);
    let deployment = Arc::new(deployment);
    let restarts = kill_and_restart(Arc::clone(&deployment), killed, address, stopped);
    let restarts = tokio::spawn(restarts);

    let (mut operations, mut lost) = (0, 0);
    while let Some(session) = sessions.pop() {
        let account = Arc::new(Account {
            http: Http::builder()
                .no_proxy()
                .timeout(SOON + Duration::from_secs(10))
                .build()
                .unwrap(),
            bases: bases.clone(),
            session,
            history: Mutex::default(),
            keys: Mutex::default(),
        });
        let clients = (0..CLIENTS).map(|_| Arc::clone(&account).use_at_random());
        clients.collect::<JoinSet<()>>().join_all().await;
        let history = account.history.lock().unwrap().clone();
        operations += history.len();
        let is_lost = |it: &&Operation| it.reply.is_none() && !it.was_refused;
        lost += history.iter().filter(is_lost).count();
        assert!(is_linearizable(&history), "no order explains {history:#?}");
    }
    stop.send_replace(true);
    let killed = restarts.await.unwrap();
    report(&format!(
        "{ROUNDS} histories of {operations} operations have an order; {lost} got no answer, \
         because a process was killed {killed} times"
    ));
    assert!(killed > 0 && operations > lost);
}
