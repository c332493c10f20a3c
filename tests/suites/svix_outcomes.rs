//! The outcomes of a call to Svix. For each, the tests check the state, the attempts and the
//! time of the next attempt in the row.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use shared::clock::Clock;
use shared::ids::{AccountId, KeyId};
use shared::key::PartnerKey;
use shared::queue::JobHandler;
use shared::store::{Job, NewKey, Outcome, Store, StoredKey, WebhookState};
use shared::svix::SvixConfig;
use svix_simulator::{Fault, Options, Pattern, Route, Simulator};
use tests::TestDatabase;
use tests::stores::caller;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use worker::job::JobRunner;

/// One key, with its provisioner and its Svix simulator.
struct ProvisionerTest {
    store: Arc<dyn Store>,
    svix: Simulator,
    provisioner: JobRunner,
    clock: Clock,
    account: AccountId,
    id: KeyId,
}

impl ProvisionerTest {
    async fn new() -> Self {
        let svix = Simulator::start(Options::default()).await.unwrap();
        let url = svix.url();
        Self::with_svix_url(svix, url).await
    }

    /// Creates a test whose provisioner calls Svix at `url`.
    async fn with_svix_url(svix: Simulator, url: String) -> Self {
        shared::runtime::init();
        let store: Arc<dyn Store> = Arc::new(TestDatabase::migrated().await.store());
        let clock = Clock::system();
        let config = SvixConfig {
            token: "testsk_right".into(),
            server_url: Some(url),
            uid_prefix: String::new(),
        };
        let provisioner = JobRunner::new(store.clone(), &config, clock.clone());
        let key = PartnerKey::generate().unwrap();
        let (account, id) = (
            AccountId::parse("auth0|1").unwrap(),
            KeyId::generate(clock.now()),
        );
        let new = NewKey {
            id,
            account_id: account.clone(),
            key_hash: key.hash(),
            key_prefix: key.prefix(),
            created_at: clock.now(),
            idempotency_hash: None,
        };
        assert!(store.insert_key(&new, &caller()).await.unwrap());
        Self {
            store,
            svix,
            provisioner,
            clock,
            account,
            id,
        }
    }

    async fn row(&self) -> StoredKey {
        let keys = self.store.keys_of(&self.account).await.unwrap();
        keys.active.unwrap()
    }

    /// Makes the attempt that is due, if there is one. Returns the row.
    async fn attempt(&self) -> StoredKey {
        for job in self.store.due(self.clock.now(), 0, 10).await.unwrap() {
            self.provisioner.handle(job).await.await;
        }
        self.row().await
    }

    /// Returns the error of the first dead letter.
    async fn last_error(&self) -> Option<String> {
        let letters = self.store.dead_letters(1).await.unwrap();
        letters
            .into_iter()
            .next()
            .and_then(|letter| letter.last_error)
    }

    /// Makes the first attempt, and checks that the next is due after the given time.
    async fn check_first_attempt_waits(&self, seconds: RangeInclusive<u64>) {
        let before = self.clock.now();
        let row = self.attempt().await;
        let after = self.clock.now();
        assert_eq!(
            (row.webhook_state(), row.attempts),
            (WebhookState::SettingUp, 1)
        );
        let next = row.next_attempt_at.expect("another attempt");
        let (least, most) = (
            Duration::from_secs(*seconds.start()),
            Duration::from_secs(*seconds.end()),
        );
        assert!(
            next >= before + least && next <= after + most,
            "the next attempt is at {next}; the first was at {before}"
        );
    }

    /// Removes the faults, and checks that the second attempt provisions the row.
    async fn check_second_attempt_succeeds(&self) {
        self.svix.clear_faults();
        self.svix.set_token(None);
        self.clock.advance(Duration::from_hours(1));
        let row = self.attempt().await;
        assert_eq!(
            (row.webhook_state(), row.attempts),
            (WebhookState::Ready, 2)
        );
        let applications = self.svix.applications();
        assert_eq!(applications.len(), 1);
        assert_eq!(row.svix_app_id.as_ref(), Some(&applications[0].id));
    }
}

#[tokio::test]
async fn a_success_provisions_the_key() {
    let test = ProvisionerTest::new().await;
    let row = test.attempt().await;
    assert_eq!(
        (row.webhook_state(), row.attempts),
        (WebhookState::Ready, 1)
    );
    assert_eq!(row.next_attempt_at, None);
    assert_eq!(test.svix.applications()[0].name, "auth0|1");
}

#[tokio::test]
async fn a_conflict_with_another_creation_is_a_success() {
    let test = ProvisionerTest::new().await;
    // Another call has created the application, so Svix answers 409.
    test.svix
        .fault(Pattern::create(), Fault::Status(409))
        .work_done()
        .times(1);
    let row = test.attempt().await;
    assert_eq!(
        (row.webhook_state(), row.attempts),
        (WebhookState::Ready, 1)
    );
    assert_eq!(
        row.svix_app_id.as_ref(),
        Some(&test.svix.applications()[0].id)
    );
}

#[tokio::test]
async fn a_transient_failure_is_retried_with_backoff_until_it_succeeds() {
    let faults = [
        Fault::Status(408),
        Fault::Status(500),
        Fault::Status(502),
        Fault::Status(503),
        Fault::Reset,
        Fault::TruncatedBody,
        Fault::NotJson,
        Fault::HugeBody(10_000_000),
    ];
    for fault in faults {
        println!("{fault:?}");
        let test = ProvisionerTest::new().await;
        test.svix.fault(Pattern::any(), fault).until_cleared();
        test.check_first_attempt_waits(0..=1).await;
        test.check_second_attempt_succeeds().await;
    }
}

#[tokio::test]
async fn a_timeout_is_retried_and_finds_the_application_that_was_created() {
    let test = ProvisionerTest::new().await;
    test.svix
        .fault(Pattern::create(), Fault::Latency(Duration::from_secs(12)))
        .until_cleared();
    test.check_first_attempt_waits(0..=1).await;
    assert_eq!(
        test.svix.applications().len(),
        1,
        "the application is created, though the answer is too late"
    );
    test.check_second_attempt_succeeds().await;
}

#[tokio::test]
async fn a_hang_is_retried() {
    let test = ProvisionerTest::new().await;
    test.svix
        .fault(Pattern::create(), Fault::Hang)
        .until_cleared();
    test.check_first_attempt_waits(0..=1).await;
    test.check_second_attempt_succeeds().await;
}

#[tokio::test]
async fn a_429_waits_at_least_30_seconds() {
    let test = ProvisionerTest::new().await;
    test.svix
        .fault(Pattern::any(), Fault::RateLimited)
        .until_cleared();
    test.check_first_attempt_waits(30..=31).await;
    test.check_second_attempt_succeeds().await;
}

#[tokio::test]
async fn an_invalid_token_waits_for_the_longest_backoff() {
    for status in [401, 403] {
        let test = ProvisionerTest::new().await;
        test.svix
            .fault(Pattern::any(), Fault::Status(status))
            .until_cleared();
        test.check_first_attempt_waits(3600..=3600).await;
        test.check_second_attempt_succeeds().await;
    }
    let test = ProvisionerTest::new().await;
    test.svix.set_token(Some("testsk_another"));
    test.check_first_attempt_waits(3600..=3600).await;
    test.check_second_attempt_succeeds().await;
}

#[tokio::test]
async fn a_request_that_svix_rejects_is_a_dead_letter_immediately() {
    for status in [400, 422] {
        let test = ProvisionerTest::new().await;
        test.svix
            .fault(Pattern::any(), Fault::Status(status))
            .until_cleared();
        let row = test.attempt().await;
        assert_eq!(
            (row.webhook_state(), row.attempts),
            (WebhookState::NeedsAttention, 1)
        );
        assert_eq!(row.next_attempt_at, None);
        let error = test.last_error().await.unwrap();
        assert!(error.contains(&status.to_string()), "{error}");
        test.clock.advance(Duration::from_hours(2));
        assert_eq!(
            test.attempt().await.attempts,
            1,
            "a dead letter is not attempted again"
        );
    }
}

#[tokio::test]
async fn a_failure_of_the_last_try_is_a_dead_letter() {
    let test = ProvisionerTest::new().await;
    test.svix
        .fault(Pattern::any(), Fault::Status(500))
        .until_cleared();
    for attempts in 1..shared::retry::MAX_TRIES {
        let row = test.attempt().await;
        assert_eq!(
            (row.webhook_state(), row.attempts),
            (WebhookState::SettingUp, attempts)
        );
        test.clock.advance(Duration::from_hours(1));
    }
    let row = test.attempt().await;
    assert_eq!(
        (row.webhook_state(), row.attempts),
        (WebhookState::NeedsAttention, 30)
    );
}

#[tokio::test]
async fn a_server_that_is_stopped_or_has_no_tls_is_retried() {
    let stopped = Simulator::start(Options::default()).await.unwrap();
    let url = stopped.url();
    stopped.stop().await;
    let other = Simulator::start(Options::default()).await.unwrap();
    ProvisionerTest::with_svix_url(other, url)
        .await
        .check_first_attempt_waits(0..=1)
        .await;

    let plain = Simulator::start(Options::default()).await.unwrap();
    let url = plain.url().replace("http:", "https:");
    ProvisionerTest::with_svix_url(plain, url)
        .await
        .check_first_attempt_waits(0..=1)
        .await;
}

#[tokio::test]
async fn a_revoked_key_is_not_provisioned() {
    let test = ProvisionerTest::new().await;
    let job = Job::new(test.id, 0);
    test.store
        .revoke_keys(&test.account, test.clock.now(), &caller())
        .await
        .unwrap();
    test.provisioner.handle(job).await.await;
    assert_eq!(test.svix.calls(Route::Create), 0);
}

#[tokio::test]
async fn a_key_revoked_during_the_attempt_stays_unprovisioned() {
    let test = ProvisionerTest::new().await;
    let slow = Fault::Latency(Duration::from_secs(2));
    test.svix.fault(Pattern::create(), slow).until_cleared();
    let job = Job::new(test.id, 0);
    let revoke = async {
        test.svix.wait_for_calls(Route::Create, 1).await;
        test.store
            .revoke_keys(&test.account, test.clock.now(), &caller())
            .await
            .unwrap()
    };
    let handled = async { test.provisioner.handle(job).await.await };
    let ((), revoked) = tokio::join!(handled, revoke);
    assert_eq!(
        revoked[0].job(),
        None,
        "the key was not provisioned before its revocation"
    );
    let again = test
        .store
        .revoke_keys(&test.account, test.clock.now(), &caller())
        .await
        .unwrap();
    assert_eq!(again, []);
    assert!(
        test.store
            .due(test.clock.now(), 0, 10)
            .await
            .unwrap()
            .is_empty()
    );
}

/// Starts a server that answers 404, as any web server does to a path that it does not know.
/// Returns its URL.
async fn not_svix() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut connection, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut request = [0; 8192];
                while let Ok(1..) = connection.read(&mut request).await {
                    let answer = b"HTTP/1.1 404 Not Found\r\ncontent-length: 9\r\n\r\nnot found";
                    connection.write_all(answer).await.unwrap();
                }
            });
        }
    });
    url
}

#[tokio::test]
async fn a_server_that_is_not_svix_waits_for_the_longest_backoff() {
    let svix = Simulator::start(Options::default()).await.unwrap();
    ProvisionerTest::with_svix_url(svix, not_svix().await)
        .await
        .check_first_attempt_waits(3600..=3600)
        .await;
}

/// It may be a proxy while Svix is away, and the sessions would go on.
#[tokio::test]
async fn a_server_that_is_not_svix_has_ended_no_portal_sessions() {
    let svix = Simulator::start(Options::default()).await.unwrap();
    let test = ProvisionerTest::with_svix_url(svix, not_svix().await).await;
    let now = test.clock.now();
    let (job, lease_end) = (Job::new(test.id, 0), now + Duration::from_mins(1));
    let claim = test.store.claim(job, now, lease_end).await.unwrap();
    let svix_app_id = "app_1".to_owned();
    let outcome = Outcome::Provisioned { svix_app_id };
    let finished = test.store.finish(&claim.unwrap(), &outcome, now).await;
    assert!(finished.unwrap());

    let revoked = test.store.revoke_keys(&test.account, now, &caller()).await;
    let job = revoked.unwrap()[0].job().unwrap();
    test.provisioner.handle(job).await.await;
    let backlog = test.store.backlog(test.clock.now()).await.unwrap();
    assert_eq!((backlog.due, backlog.waiting), (0, 1), "{backlog:?}");
}
