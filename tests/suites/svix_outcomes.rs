//! Each outcome of a call to Svix: the state, the attempts and the time of the
//! next attempt that it leaves in the row.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use shared::clock::Clock;
use shared::ids::{AccountId, KeyId};
use shared::key::PartnerKey;
use shared::queue::JobHandler;
use shared::store::{Job, NewKey, Store, StoredKey, WebhookState};
use shared::svix::SvixConfig;
use svix_simulator::{Fault, Options, Pattern, Route, Simulator};
use tests::TestDatabase;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use worker::provision_webhook::Provisioner;

/// One key, its provisioner and its Svix.
struct Bench {
    store: Arc<dyn Store>,
    svix: Simulator,
    provisioner: Provisioner,
    clock: Clock,
    account: AccountId,
    id: KeyId,
}

impl Bench {
    async fn new() -> Self {
        let svix = Simulator::start(Options::default()).await.unwrap();
        let url = svix.url();
        Self::at(svix, url).await
    }

    /// With a Svix that is said to be at `url`.
    async fn at(svix: Simulator, url: String) -> Self {
        shared::runtime::init();
        let store: Arc<dyn Store> = Arc::new(TestDatabase::migrated().await.store());
        let clock = Clock::system();
        let config = SvixConfig {
            token: "testsk_right".into(),
            server_url: Some(url),
        };
        let provisioner = Provisioner::new(store.clone(), &config, clock.clone());
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
        };
        assert!(store.insert_key(&new).await.unwrap());
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
        self.store.active_key(&self.account).await.unwrap().unwrap()
    }

    /// Makes the attempt that is due, if one is.
    async fn attempt(&self) -> StoredKey {
        for job in self.store.due(self.clock.now(), 10).await.unwrap() {
            self.provisioner.handle(job).await;
        }
        self.row().await
    }

    async fn last_error(&self) -> Option<String> {
        let letters = self.store.dead_letters(1).await.unwrap();
        letters
            .into_iter()
            .next()
            .and_then(|letter| letter.last_error)
    }

    /// Checks that the first attempt left the row waiting for so long.
    async fn waits(&self, seconds: RangeInclusive<u64>) {
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
            "{next} of {before}"
        );
    }

    /// Checks that it is provisioned once the cause is gone.
    async fn heals(&self) {
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
async fn a_success_provisions() {
    let bench = Bench::new().await;
    let row = bench.attempt().await;
    assert_eq!(
        (row.webhook_state(), row.attempts),
        (WebhookState::Ready, 1)
    );
    assert_eq!(row.next_attempt_at, None);
    assert_eq!(bench.svix.applications()[0].name, "auth0|1");
}

#[tokio::test]
async fn a_conflict_of_two_creations_is_a_success() {
    let bench = Bench::new().await;
    // Another call was faster: the application is there, and Svix says 409.
    bench
        .svix
        .fault(Pattern::create(), Fault::Status(409))
        .work_done()
        .times(1);
    let row = bench.attempt().await;
    assert_eq!(
        (row.webhook_state(), row.attempts),
        (WebhookState::Ready, 1)
    );
    assert_eq!(
        row.svix_app_id.as_ref(),
        Some(&bench.svix.applications()[0].id)
    );
}

#[tokio::test]
async fn what_may_pass_is_retried_with_backoff_and_heals() {
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
        let bench = Bench::new().await;
        bench.svix.fault(Pattern::any(), fault).until_cleared();
        bench.waits(0..=1).await;
        bench.heals().await;
    }
}

#[tokio::test]
async fn a_timeout_is_retried_and_what_was_done_meanwhile_is_found() {
    let bench = Bench::new().await;
    bench
        .svix
        .fault(Pattern::create(), Fault::Latency(Duration::from_secs(12)))
        .until_cleared();
    bench.waits(0..=1).await;
    assert_eq!(
        bench.svix.applications().len(),
        1,
        "made, though the answer came too late"
    );
    bench.heals().await;
}

#[tokio::test]
async fn a_hang_is_retried() {
    let bench = Bench::new().await;
    bench
        .svix
        .fault(Pattern::create(), Fault::Hang)
        .until_cleared();
    bench.waits(0..=1).await;
    bench.heals().await;
}

#[tokio::test]
async fn a_429_waits_half_a_minute_at_least() {
    let bench = Bench::new().await;
    bench
        .svix
        .fault(Pattern::any(), Fault::RateLimited)
        .until_cleared();
    bench.waits(30..=31).await;
    bench.heals().await;
}

#[tokio::test]
async fn a_wrong_token_waits_at_the_cap_until_it_is_mended() {
    for status in [401, 403] {
        let bench = Bench::new().await;
        bench
            .svix
            .fault(Pattern::any(), Fault::Status(status))
            .until_cleared();
        bench.waits(3600..=3600).await;
        bench.heals().await;
    }
    let bench = Bench::new().await;
    bench.svix.set_token(Some("testsk_another"));
    bench.waits(3600..=3600).await;
    bench.heals().await;
}

#[tokio::test]
async fn what_svix_rejects_is_a_dead_letter_at_once() {
    for status in [400, 422] {
        let bench = Bench::new().await;
        bench
            .svix
            .fault(Pattern::any(), Fault::Status(status))
            .until_cleared();
        let row = bench.attempt().await;
        assert_eq!(
            (row.webhook_state(), row.attempts),
            (WebhookState::NeedsAttention, 1)
        );
        assert_eq!(row.next_attempt_at, None);
        let error = bench.last_error().await.unwrap();
        assert!(error.contains(&status.to_string()), "{error}");
        bench.clock.advance(Duration::from_hours(2));
        assert_eq!(bench.attempt().await.attempts, 1, "and never tried again");
    }
}

#[tokio::test]
async fn the_last_try_that_fails_is_a_dead_letter() {
    let bench = Bench::new().await;
    bench
        .svix
        .fault(Pattern::any(), Fault::Status(500))
        .until_cleared();
    for attempts in 1..shared::retry::MAX_TRIES {
        let row = bench.attempt().await;
        assert_eq!(
            (row.webhook_state(), row.attempts),
            (WebhookState::SettingUp, attempts)
        );
        bench.clock.advance(Duration::from_hours(1));
    }
    let row = bench.attempt().await;
    assert_eq!(
        (row.webhook_state(), row.attempts),
        (WebhookState::NeedsAttention, 30)
    );
}

#[tokio::test]
async fn a_server_that_is_not_there_or_speaks_no_tls_is_retried() {
    let gone = Simulator::start(Options::default()).await.unwrap();
    let url = gone.url();
    gone.stop().await;
    let other = Simulator::start(Options::default()).await.unwrap();
    Bench::at(other, url).await.waits(0..=1).await;

    let plain = Simulator::start(Options::default()).await.unwrap();
    let url = plain.url().replace("http:", "https:");
    Bench::at(plain, url).await.waits(0..=1).await;
}

#[tokio::test]
async fn a_revoked_key_is_not_provisioned() {
    let bench = Bench::new().await;
    let job = Job {
        key_id: bench.id,
        attempt: 0,
    };
    bench
        .store
        .revoke_key(&bench.account, bench.clock.now())
        .await
        .unwrap();
    bench.provisioner.handle(job).await;
    assert_eq!(bench.svix.calls(Route::Create), 0);
}

#[tokio::test]
async fn a_key_revoked_during_the_attempt_stays_unprovisioned() {
    let bench = Bench::new().await;
    let slow = Fault::Latency(Duration::from_secs(2));
    bench.svix.fault(Pattern::create(), slow).until_cleared();
    let job = Job {
        key_id: bench.id,
        attempt: 0,
    };
    let revoke = async {
        bench.svix.wait_for_calls(Route::Create, 1).await;
        bench
            .store
            .revoke_key(&bench.account, bench.clock.now())
            .await
            .unwrap()
    };
    let ((), revoked) = tokio::join!(bench.provisioner.handle(job), revoke);
    assert_eq!(
        revoked.expect("it was active").svix_app_id,
        None,
        "not provisioned then"
    );
    let again = bench
        .store
        .revoke_key(&bench.account, bench.clock.now())
        .await
        .unwrap();
    assert_eq!(again, None);
    assert!(
        bench
            .store
            .due(bench.clock.now(), 10)
            .await
            .unwrap()
            .is_empty()
    );
}

/// Any web server answers 404 to a path that it does not know.
#[tokio::test]
async fn a_server_that_is_not_svix_waits_for_its_url_to_be_mended() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut request = [0; 8192];
        assert_ne!(connection.read(&mut request).await.unwrap(), 0);
        let answer = b"HTTP/1.1 404 Not Found\r\ncontent-length: 9\r\n\r\nnot found";
        connection.write_all(answer).await.unwrap();
        // Closed with some of the request unread, it would be reset.
        connection.read_to_end(&mut Vec::new()).await.unwrap();
    });
    let svix = Simulator::start(Options::default()).await.unwrap();
    Bench::at(svix, url).await.waits(3600..=3600).await;
}
