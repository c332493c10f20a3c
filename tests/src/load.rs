//! A steady load of mints, each by an account of its own, and how they fared.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::StatusCode;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::client::{Answer, Client};
use crate::deployment::Deployment;

/// How often an account mints.
const PERIOD: Duration = Duration::from_millis(20);

/// One mint of the load.
#[derive(Debug, Clone)]
pub struct Mint {
    /// The session it was made with.
    pub session: String,
    /// What came back.
    pub answer: Answer,
    /// How long it took.
    pub took: Duration,
    /// When it was sent.
    pub sent: Instant,
}

/// A running load.
pub struct Load {
    minted: Arc<Mutex<Vec<Mint>>>,
    stop: CancellationToken,
    feeder: JoinHandle<()>,
}

impl Load {
    /// Starts to mint, fifty times a second, until stopped; with at most `count`
    /// accounts, which it makes first.
    pub async fn start(deployment: &Deployment, count: usize) -> Self {
        let sessions = deployment.sessions(count).await;
        Self::paced(vec![deployment.client.clone()], sessions, PERIOD)
    }

    /// The same with these sessions, at this pace, the clients taking turns.
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

    /// How many mints were answered so far.
    pub fn answered(&self) -> usize {
        self.minted.lock().unwrap().len()
    }

    /// Waits until so many more were answered.
    pub async fn answers(&self, more: usize) {
        let target = self.answered() + more;
        let answered = || async { self.answered() };
        let enough = |answered: &usize| *answered >= target;
        crate::eventually("the load goes on", Duration::from_mins(2), answered, enough).await;
    }

    /// Stops, waits for the last answer, and gives all of them.
    pub async fn stop(self) -> Vec<Mint> {
        self.stop.cancel();
        self.finish().await
    }

    /// Waits until every account has its answer, and gives all of them.
    pub async fn finish(self) -> Vec<Mint> {
        self.feeder.await.unwrap();
        std::mem::take(&mut *self.minted.lock().unwrap())
    }
}

/// Checks that each mint was answered 201.
#[track_caller]
pub fn all_created(mints: &[Mint]) {
    for mint in mints {
        assert_eq!(mint.answer.status, StatusCode::CREATED, "{:?}", mint.answer);
    }
}

/// The time within which 99 of 100 were answered.
pub fn p99<'a>(mints: impl IntoIterator<Item = &'a Mint>) -> Duration {
    percentile(mints.into_iter().map(|mint| mint.took), 99)
}

/// The time that so many percent do not exceed.
pub fn percentile(times: impl IntoIterator<Item = Duration>, percent: usize) -> Duration {
    let mut times: Vec<Duration> = times.into_iter().collect();
    assert!(!times.is_empty(), "no times to take a percentile of");
    times.sort();
    times[(times.len() * percent / 100).min(times.len() - 1)]
}
