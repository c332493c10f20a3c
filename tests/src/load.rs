//! Generates a steady load of requests to create keys, and records the results.
//! Each request is made by a different account.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::StatusCode;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::client::{Answer, Client};
use crate::deployment::Deployment;

/// The default time between two requests of a load.
const DEFAULT_PACE: Duration = Duration::from_millis(20);

/// The result of one request of a load.
#[derive(Debug, Clone)]
pub struct Mint {
    /// The token of the session that made the request.
    pub session: String,
    /// The response.
    pub answer: Answer,
    /// The time from sending the request to receiving the response.
    pub took: Duration,
    /// The time at which the request was sent.
    pub sent: Instant,
}

/// A running load.
pub struct Load {
    minted: Arc<Mutex<Vec<Mint>>>,
    stop: CancellationToken,
    feeder: JoinHandle<()>,
}

impl Load {
    /// Creates `count` accounts, then starts to create one key for each, fifty a
    /// second. The load ends after the last account, or when it is stopped.
    pub async fn start(deployment: &Deployment, count: usize) -> Self {
        let sessions = deployment.sessions(count).await;
        Self::paced(vec![deployment.client.clone()], sessions, DEFAULT_PACE)
    }

    /// Starts to create one key for each of these sessions. It sends one request per
    /// `pace` and uses the clients in turn.
    pub fn paced(clients: Vec<Client>, sessions: Vec<String>, pace: Duration) -> Self {
        let (minted, stop) = (Arc::new(Mutex::new(Vec::new())), CancellationToken::new());
        let (results, stopped) = (Arc::clone(&minted), stop.clone());
        let feeder = tokio::spawn(async move {
            let mut ticks = interval(pace);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            let mints = TaskTracker::new();
            for (session, client) in sessions.into_iter().zip(clients.iter().cycle()) {
                tokio::select! {
                    _ = ticks.tick() => {}
                    () = stopped.cancelled() => break,
                }
                let (client, results) = (client.clone(), Arc::clone(&results));
                mints.spawn(async move {
                    let sent = Instant::now();
                    let answer = client.create(&session).await;
                    let took = sent.elapsed();
                    let mint = Mint {
                        session,
                        answer,
                        took,
                        sent,
                    };
                    results.lock().unwrap().push(mint);
                });
            }
            mints.close();
            mints.wait().await;
        });
        Self {
            minted,
            stop,
            feeder,
        }
    }

    /// Returns the number of responses so far.
    pub fn answered(&self) -> usize {
        self.minted.lock().unwrap().len()
    }

    /// Waits for `more` further responses.
    pub async fn answers(&self, more: usize) {
        let target = self.answered() + more;
        let answered = || async { self.answered() };
        let enough = |answered: &usize| *answered >= target;
        crate::eventually(
            "the load has enough responses",
            Duration::from_mins(2),
            answered,
            enough,
        )
        .await;
    }

    /// Stops the load, waits for the pending responses and returns all results.
    pub async fn stop(self) -> Vec<Mint> {
        self.stop.cancel();
        self.finish().await
    }

    /// Waits until every account has its response and returns all results.
    pub async fn finish(self) -> Vec<Mint> {
        self.feeder.await.unwrap();
        std::mem::take(&mut *self.minted.lock().unwrap())
    }
}

/// Asserts that the status of every response is 201.
#[track_caller]
pub fn all_created(mints: &[Mint]) {
    for mint in mints {
        assert_eq!(mint.answer.status, StatusCode::CREATED, "{:?}", mint.answer);
    }
}

/// Returns the 99th percentile of the response times.
pub fn p99<'a>(mints: impl IntoIterator<Item = &'a Mint>) -> Duration {
    percentile(mints.into_iter().map(|mint| mint.took), 99)
}

/// Returns this percentile of the times. Panics if there are no times.
pub fn percentile(times: impl IntoIterator<Item = Duration>, percent: usize) -> Duration {
    let mut times: Vec<Duration> = times.into_iter().collect();
    assert!(!times.is_empty(), "a percentile needs at least one time");
    times.sort();
    times[(times.len() * percent / 100).min(times.len() - 1)]
}
