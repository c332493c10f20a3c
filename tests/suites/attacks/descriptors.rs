//! Clients that take all connections, and a process that has no descriptors left.

use std::process::Command as StdCommand;
use std::time::Duration;

use futures_util::future::try_join_all;
use reqwest::Method;
use tests::process::{binary, free_port};
use tests::{Client, Deployment, Process, Role};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::{Instant, timeout};

use super::{SOON, processor_time};

/// A valid token of the internal listener, as a variable.
const INTERNAL_TOKEN: (&str, &str) = ("INTERNAL_TOKEN", "internal_token_of_the_suites_one");

/// Returns the command of an api that may open this many descriptors, with these settings beside
/// the usual ones.
fn command(deployment: &Deployment, descriptors: usize, env: &[(&str, &str)]) -> Command {
    let mut command = Command::new("sh");
    let script = format!("ulimit -n {descriptors} && exec \"$0\"");
    command.args(["-c", &script]).arg(binary("api")).env_clear();
    command.env("LOG_FORMAT", "json");
    command.envs(deployment.env_for(Role::Api));
    command.envs(env.iter().copied());
    command
}

/// Starts an api that may open this many descriptors, with these settings beside the usual ones.
async fn api_with_descriptors(
    deployment: &Deployment,
    descriptors: usize,
    env: &[(&str, &str)],
) -> (Process, Client) {
    let command = command(deployment, descriptors, env);
    let mut api = Process::spawn(deployment.dir(), "api", command);
    let client = Client::new(&api.url().await).await;
    (api, client)
}

/// Asks on a new connection.
async fn answered(base: &str) -> Duration {
    let started = Instant::now();
    let http = tests::http::builder().timeout(SOON);
    let request = http.build().unwrap().get(format!("{base}/healthz"));
    assert_eq!(request.send().await.unwrap().status(), 200);
    started.elapsed()
}

async fn p99(base: &str) -> Duration {
    let mut times = Vec::new();
    for _ in 0..100 {
        times.push(answered(base).await);
    }
    tests::load::percentile(times, 99)
}

/// Clients whose connection the system does not keep try again after a second, or longer.
#[tokio::test]
async fn a_burst_of_connections_waits_for_a_process_that_is_busy() {
    const BURST: usize = 1000;
    let deployment = Deployment::production(0).await;
    let address = deployment.client.base().strip_prefix("http://").unwrap();
    deployment.server.signal("STOP");
    let burst = (0..BURST).map(|_| TcpStream::connect(address));
    let connected = timeout(SOON, try_join_all(burst)).await;
    deployment.server.signal("CONT");
    connected.expect("all are kept").unwrap();
    assert_eq!(deployment.probe("/healthz").await.0, 200);
}

#[tokio::test]
async fn ten_thousand_idle_connections_keep_nobody_out() {
    const HELD: usize = 10_000;
    let _alone = tests::heavy().await;
    let deployment = Deployment::production(0).await;
    let (api, client) = api_with_descriptors(&deployment, 1024, &[]).await;
    let before = p99(client.base()).await;

    let address = client.base().strip_prefix("http://").unwrap();
    let mut held = Vec::with_capacity(HELD);
    for _ in 0..HELD {
        held.push(TcpStream::connect(address).await.unwrap());
    }
    let during = p99(client.base()).await;
    tests::report(&format!(
        "with {HELD} idle connections: p99 {during:?}; without: {before:?}"
    ));
    let log = api.log();
    assert!(!log.contains("connections cannot be accepted"), "{log}");
    assert!(log.contains("as many connections are open as allowed"));
    drop(held);
}

/// The limit of connections is one for each listener, and the descriptors are for both.
#[tokio::test]
async fn connections_to_both_listeners_leave_descriptors_for_the_service() {
    const HELD: usize = 300;
    let _alone = tests::heavy().await;
    let deployment = Deployment::production(0).await;
    let internal = format!("127.0.0.1:{}", free_port());
    let env = [("INTERNAL_ADDR", &*internal), INTERNAL_TOKEN];
    let (api, client) = api_with_descriptors(&deployment, 400, &env).await;
    let public = client.base().strip_prefix("http://").unwrap();
    let mut held = Vec::new();
    for _ in 0..HELD {
        held.push(TcpStream::connect(public).await.unwrap());
        held.push(TcpStream::connect(&internal).await.unwrap());
    }
    answered(client.base()).await;
    let internal = Client::new(&format!("http://{internal}")).await;
    let check = internal.authorized(Method::GET, "/internal/v1/forward-auth", b"Bearer nonsense");
    assert_eq!(check.await.status, 401);
    let log = api.log();
    assert!(!log.contains("connections cannot be accepted"), "{log}");
}

#[tokio::test]
async fn a_limit_for_which_two_listeners_lack_descriptors_stops_the_process() {
    let deployment = Deployment::production(0).await;
    let one = [("MAX_CONNECTIONS", "500")];
    let (_api, client) = api_with_descriptors(&deployment, 1024, &one).await;
    answered(client.base()).await;
    let internal = [("INTERNAL_ADDR", "127.0.0.1:0"), INTERNAL_TOKEN];
    let two = [&one[..], &internal].concat();
    let mut command = command(&deployment, 1024, &two);
    let ended = timeout(SOON, command.kill_on_drop(true).output()).await;
    let ended = ended.expect("the process stops").unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(
        !ended.status.success() && said.contains("MAX_CONNECTIONS is \"500\""),
        "{said}"
    );
}

#[tokio::test]
async fn a_process_without_descriptors_waits_and_says_so_once() {
    let _alone = tests::heavy().await;
    let deployment = Deployment::production(0).await;
    let (mut api, client) = api_with_descriptors(&deployment, 1024, &[]).await;
    let id = api.id().unwrap().to_string();
    let limit = |descriptors: usize| {
        let mut prlimit = StdCommand::new("prlimit");
        prlimit.args(["--pid", &id, &format!("--nofile={descriptors}:1024")]);
        assert!(prlimit.status().unwrap().success());
    };
    limit(5); // fewer than are open
    let address = client.base().strip_prefix("http://").unwrap();
    let mut waiting = Vec::new();
    for _ in 0..50 {
        waiting.push(TcpStream::connect(address).await.unwrap());
    }
    api.logged("connections cannot be accepted").await;
    let (used, started) = (processor_time(&api), Instant::now());
    tokio::time::sleep(Duration::from_secs(3)).await; // over which the use is measured
    let used = processor_time(&api) - used;
    let took = started.elapsed();
    tests::report(&format!(
        "it used {used} hundredths of a second of a processor in {took:?}"
    ));
    assert!(used < 90, "it spins: {used} hundredths of a second in 3 s");
    limit(1024);
    drop(waiting);
    answered(client.base()).await;
    let log = api.log();
    let lines = log.matches("connections cannot be accepted").count();
    assert_eq!(lines, 1, "one line a minute");
}
