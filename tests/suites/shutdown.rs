//! A process that receives SIGTERM finishes the work that it began, and ends in time. A
//! rolling restart fails no request and repeats no attempt.

use std::time::Duration;

use reqwest::Method;
use svix_simulator::{Fault, Pattern, Route};
use tests::client::KEY_PATH;
use tests::load::all_created;
use tests::{Deployment, Load};
use tokio_util::task::TaskTracker;

/// The time within which the API ends.
const API_DEADLINE: Duration = Duration::from_secs(10);
/// The time within which a worker ends.
const WORKER_DEADLINE: Duration = Duration::from_secs(25);

#[tokio::test]
async fn an_api_finishes_accepted_requests_and_exits_with_0() {
    let mut deployment = Deployment::production(1).await;
    let session = deployment.session().await;
    let key = deployment.client.create(&session).await.text("api_key");
    deployment.provisioned(&session, API_DEADLINE).await;
    // A request that is under way when the signal comes.
    let slow = Fault::Latency(Duration::from_secs(3));
    deployment
        .svix
        .fault(Pattern::portal(), slow)
        .until_cleared();
    let portal = deployment.client.portal(&key);
    let stop = async {
        deployment.svix.wait_for_calls(Route::Portal, 1).await;
        deployment.server.signal("TERM");
    };
    let (portal, ()) = tokio::join!(portal, stop);
    assert_eq!(portal.status, 200, "the request was finished");
    let ended = tokio::time::timeout(API_DEADLINE, deployment.server.ended()).await;
    assert_eq!(ended.expect("in time").code(), Some(0));
}

#[tokio::test]
async fn a_worker_finishes_its_jobs_and_counts_no_attempt_for_jobs_it_did_not_begin() {
    let mut deployment = Deployment::production(1).await;
    let slow = Fault::Latency(Duration::from_secs(3));
    deployment
        .svix
        .fault(Pattern::create(), slow)
        .until_cleared();
    // More jobs than the worker runs at once, so that it has fetched some but not begun them.
    let sessions = deployment.sessions(100).await;
    for session in &sessions {
        assert_eq!(deployment.client.create(session).await.status, 201);
    }
    deployment.svix.wait_for_calls(Route::Create, 64).await;
    let mut worker = deployment.in_production_mut().workers.remove(0);
    worker.signal("TERM");
    let ended = tokio::time::timeout(WORKER_DEADLINE, worker.ended()).await;
    assert_eq!(ended.expect("in time").code(), Some(0), "{}", worker.log());
    let finished = worker.log().matches("\"provisioned\"").count();
    assert!(finished >= 64, "the worker finished only {finished} jobs");

    deployment.svix.clear_faults();
    deployment.start_worker().await;
    deployment.all_provisioned(Duration::from_secs(10)).await; // no lease has to expire
    for session in &sessions {
        let shown = deployment.client.show(session).await.body;
        assert_eq!(shown["webhook"]["attempts"], 1, "{shown}");
    }
    assert_eq!(deployment.svix.calls(Route::Create), 100);
}

#[tokio::test]
async fn a_second_signal_ends_the_worker_immediately() {
    let mut deployment = Deployment::production(1).await;
    deployment
        .svix
        .fault(Pattern::any(), Fault::Hang)
        .until_cleared();
    let session = deployment.session().await;
    assert_eq!(deployment.client.create(&session).await.status, 201);
    deployment.svix.wait_for_calls(Route::Create, 1).await;
    let worker = &mut deployment.in_production_mut().workers[0];
    worker.signal("TERM");
    worker.logged("shutting down").await;
    worker.signal("TERM");
    assert_eq!(worker.ended().await.code(), Some(1));
    // The worker did not wait for the call to Svix. If it had waited, the attempt would have
    // ended with a retry.
    let log = worker.log();
    assert!(
        log.contains("a second signal ended the process at once"),
        "{log}"
    );
    assert!(!log.contains("will be retried"), "{log}");
}

/// Creates a key at one of two APIs. Like a load balancer, it tries the other API if one
/// refuses the connection. Returns the status.
async fn create_at_either(http: reqwest::Client, bases: [String; 2], session: String) -> u16 {
    loop {
        for base in &bases {
            let request = http.request(Method::POST, format!("{base}{KEY_PATH}"));
            match request.bearer_auth(&session).send().await {
                Ok(answer) => return answer.status().as_u16(),
                Err(error) if error.is_connect() => {}
                Err(error) => panic!("a request failed: {error:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_rolling_restart_under_load_fails_no_request() {
    let mut deployment = Deployment::production(2).await;
    let listen = |port: u16| format!("127.0.0.1:{port}");
    let ports = [tests::process::free_port(), tests::process::free_port()];
    let bases = ports.map(|port| format!("http://{}", listen(port)));
    let mut apis = Vec::new();
    for port in ports {
        apis.push(deployment.start_api_at(&listen(port)).await);
    }
    let sessions = deployment.sessions(600).await;

    // Each request uses a new connection. A kept connection may close while a request is sent
    // on it.
    let http = tests::http::builder().pool_max_idle_per_host(0);
    let http = http.build().unwrap();
    let answers = TaskTracker::new();
    let feeder = {
        let (answers, bases) = (answers.clone(), bases.clone());
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(Duration::from_millis(20));
            let mut statuses = Vec::new();
            for session in sessions {
                ticks.tick().await;
                statuses.push(answers.spawn(create_at_either(
                    http.clone(),
                    bases.clone(),
                    session,
                )));
            }
            statuses
        })
    };
    for (api, port) in apis.iter_mut().zip(ports) {
        api.signal("TERM");
        assert!(api.ended().await.success());
        *api = deployment.start_api_at(&listen(port)).await;
    }
    for _ in 0..2 {
        let mut old = deployment.in_production_mut().workers.remove(0);
        old.signal("TERM");
        assert!(old.ended().await.success());
        deployment.start_worker().await;
    }
    for status in feeder.await.unwrap() {
        assert_eq!(status.await.unwrap(), 201);
    }
    deployment.all_provisioned(Duration::from_secs(15)).await;
    assert_eq!(deployment.svix.applications().len(), 600);
    assert_eq!(
        deployment.svix.calls(Route::Create),
        600,
        "no attempt was lost or repeated"
    );
}

#[tokio::test]
async fn an_api_with_idle_connections_ends_in_time() {
    let mut deployment = Deployment::production(0).await;
    let load = Load::start(&deployment, 200).await;
    load.answers(50).await;
    let mints = load.stop().await;
    deployment.server.signal("TERM");
    // Idle connections do not delay the end. If they did, the API would wait 75 s for them,
    // which is longer than `ended` waits.
    assert!(deployment.server.ended().await.success());
    all_created(&mints);
}
