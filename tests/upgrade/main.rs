//! The release before this one, beside this one: `scripts/test-upgrade` builds it and runs
//! this test. An update and a rollback happen under load, and no request fails.
#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

use std::path::PathBuf;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tests::{Client, Deployment, Plan, Process, TestDatabase, eventually, report};
use tokio::process::Command;

/// The variable with the directory of the earlier release's programs.
const PROGRAMS: &str = "PREVIOUS_PROGRAMS";

/// The number of accounts in each stage, and how many of them act at the same time.
const ACCOUNTS: usize = 40;
const AT_ONCE: usize = 8;

/// The time limit for provisioning on a busy machine.
const SOON: Duration = Duration::from_secs(30);

/// The earlier release: an api with a client of it, and a worker.
struct Previous {
    api: Process,
    client: Client,
    worker: Process,
}

/// Returns the command that runs a program of the earlier release.
fn program(deployment: &Deployment, name: &str) -> Command {
    let directory = std::env::var_os(PROGRAMS).expect("run scripts/test-upgrade");
    let program = PathBuf::from(directory).join(name);
    assert!(program.exists(), "{} is not there", program.display());
    let mut command = Command::new(program);
    command.env_clear().env("LOG_FORMAT", "json");
    command.envs(deployment.env());
    command
}

impl Previous {
    async fn start(deployment: &Deployment) -> Self {
        let mut api = program(deployment, "api");
        api.args(["--listen", "127.0.0.1:0"]);
        let mut api = Process::spawn(deployment.dir(), "previous-api", api);
        let client = Client::new(&api.url().await).await;
        let worker = program(deployment, "worker");
        let mut worker = Process::spawn(deployment.dir(), "previous-worker", worker);
        worker.logged("working").await;
        Self {
            api,
            client,
            worker,
        }
    }

    async fn stop(mut self) {
        for process in [&mut self.api, &mut self.worker] {
            stop(process).await;
        }
    }
}

async fn stop(process: &mut Process) {
    process.signal("TERM");
    assert!(process.ended().await.success(), "{}", process.log());
}

/// Creates, uses and revokes a key, and creates another, at one api after the other.
async fn lifecycle(deployment: &Deployment, apis: &[&Client]) {
    let session = &deployment.session().await;
    let mut next = apis.iter().cycle();
    let mut api = || *next.next().unwrap();
    let created = api().create(session).await;
    assert_eq!(created.status, 201);
    let key = &created.text("api_key");
    assert_eq!(api().show(session).await.text("prefix"), key[..24]);
    let (one, other) = (api(), api());
    let shown = || one.show(session);
    let is_ready = |shown: &tests::Answer| shown.body["has_webhook"] == true;
    eventually("the webhooks are set up", SOON, shown, is_ready).await;
    for api in [one, other] {
        assert_eq!(api.portal(key).await.status, 200);
    }
    assert_eq!(api().create(session).await.status, 409);
    assert_eq!(api().revoke(session).await.status, 200);
    for api in [one, other] {
        assert_eq!(api.portal(key).await.status, 401);
    }
    assert_eq!(api().show(session).await.body["has_key"], false);
    assert_eq!(api().create(session).await.status, 201);
}

/// Lets many accounts use these apis at the same time.
async fn use_apis(deployment: &Deployment, stage: &str, apis: &[&Client]) {
    let lives = (0..ACCOUNTS).map(|_| lifecycle(deployment, apis));
    let lives = stream::iter(lives).buffer_unordered(AT_ONCE);
    lives.collect::<Vec<()>>().await;
    report(&format!("{stage}: {ACCOUNTS} accounts, no request failed"));
}

#[tokio::test]
async fn an_update_and_a_rollback_under_load_fail_no_request() {
    let mut deployment = Deployment::planned(Plan {
        database: Some(TestDatabase::create().await),
        ..Plan::default()
    })
    .await;
    let mut migrate = program(&deployment, "api");
    let migrated = migrate.arg("migrate").output().await.unwrap();
    assert!(migrated.status.success(), "{migrated:?}");
    let previous = Previous::start(&deployment).await;
    let old = [&previous.client];
    use_apis(&deployment, "before the update", &old).await;

    tokio::join!(
        use_apis(&deployment, "during the migration", &old),
        deployment.in_production().database.migrate(),
    );
    deployment.start_worker().await;
    let both = [&previous.client, &deployment.client];
    use_apis(&deployment, "beside each other", &both).await;
    previous.stop().await;
    use_apis(&deployment, "after the update", &[&deployment.client]).await;

    let previous = Previous::start(&deployment).await;
    let both = [&previous.client, &deployment.client];
    use_apis(&deployment, "during the rollback", &both).await;
    stop(&mut deployment.server).await;
    stop(&mut deployment.in_production_mut().workers[0]).await;
    use_apis(&deployment, "after the rollback", &[&previous.client]).await;
    deployment.all_provisioned(SOON).await;
    previous.stop().await;
}
