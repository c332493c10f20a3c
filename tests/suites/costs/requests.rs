//! The statements and round trips of a request, counted between the api and PostgreSQL.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::{Method, RequestBuilder};
use tests::client::unknown_key;
use tests::process::free_port;
use tests::wire::Traffic;
use tests::{Client, Deployment, Plan, Role, TestDatabase, Wire, eventually};

use super::{SOON, TOKEN};
use Operation::{
    Create, CreateAgain, CreateOnce, ForwardAuth, Introspect, MalformedForwardAuth,
    MalformedIntrospect, MalformedPortal, Portal, ReportUnknown, Revoke, Show, ShowNone,
    StartRotation,
};

/// An operation, the number of its statements, each a round trip, and the fewest and the
/// most tests of a connection, which are round trips too. The api is warm: its connections
/// are open and its statements prepared.
///
/// A lookup is repeated if its connection is broken, so nothing tests that. What writes
/// tests a connection that nobody has used for a second. The pool tests each connection that
/// comes back.
const COSTS: &[(Operation, usize, RangeInclusive<usize>)] = &[
    // The key by its hash.
    (Introspect, 1, 0..=0),
    (ForwardAuth, 1, 0..=0),
    // The account of the session with its key.
    (Show, 1, 0..=0),
    // Besides, without a key, the last revocation.
    (ShowNone, 2, 1..=2),
    // The session, and the insert with its event.
    (Create, 2, 0..=1),
    (CreateOnce, 2, 0..=1),
    // Besides, the key that the request has created before.
    (CreateAgain, 3, 1..=2),
    // The session, BEGIN, the two locks, the update, its event and COMMIT.
    (Revoke, 7, 1..=2),
    // The session, BEGIN, the two locks, an older rotation, the update, the insert, two events and
    // COMMIT.
    (StartRotation, 10, 1..=2),
    // The key by its hash, and the event.
    (Portal, 2, 1..=2),
    // The key by its hash. That it is unknown costs no more.
    (ReportUnknown, 1, 0..=0),
    // What cannot be a key is looked up nowhere.
    (MalformedIntrospect, 0, 0..=0),
    (MalformedForwardAuth, 0, 0..=0),
    (MalformedPortal, 0, 0..=0),
];

/// The number of checks that are sent at once, and the most statements that they may cost.
const BURST: (usize, usize) = (200, 100);

/// The number of times that an operation is run, one after the other, for its count.
const TIMES: usize = 5;

/// What a client can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Introspect,
    ForwardAuth,
    Show,
    ShowNone,
    ReportUnknown,
    Create,
    /// A creation with an `Idempotency-Key`.
    CreateOnce,
    /// Its repetition.
    CreateAgain,
    Revoke,
    StartRotation,
    Portal,
    MalformedIntrospect,
    MalformedForwardAuth,
    MalformedPortal,
}

/// A deployment whose api reaches PostgreSQL through a wire.
struct Costs {
    wire: Wire,
    deployment: Deployment,
    internal: Client,
    /// A session whose account has a key with its webhook.
    session: String,
    /// That key.
    key: String,
}

impl Costs {
    async fn start() -> Self {
        let database = TestDatabase::migrated().await;
        database.tell_plans().await;
        let wire = Wire::start(&database).await;
        let address = format!("127.0.0.1:{}", free_port());
        let deployment = Deployment::planned(Plan {
            database: Some(database.through(Role::Api, wire.port())),
            workers: 1,
            env: vec![
                ("INTERNAL_ADDR", address.clone()),
                ("INTERNAL_TOKEN", TOKEN.to_owned()),
            ],
            ..Plan::default()
        })
        .await;
        let internal = Client::new(&format!("http://{address}")).await;

        let session = deployment.session().await;
        let key = deployment.client.create(&session).await.text("api_key");
        deployment.provisioned(&session, SOON).await;
        // The api writes the uses of keys every two seconds, except those that are known.
        // It never writes one of this key, so that no such statement is among the counted.
        let pool = deployment.in_production().database.pool().await;
        let used = "UPDATE api_partners SET last_used_at = now() + interval '1 hour'";
        let used = sqlx::query(used).execute(&pool).await.unwrap();
        assert_eq!(used.rows_affected(), 1);
        Self {
            wire,
            deployment,
            internal,
            session,
            key,
        }
    }

    /// Creates what the operation needs: a session, with a key if it is to be revoked.
    async fn session_for(&self, operation: Operation) -> String {
        match operation {
            Create | CreateOnce | ShowNone => self.deployment.session().await,
            CreateAgain => {
                let session = self.deployment.session().await;
                self.run(CreateOnce, &session).await;
                session
            }
            Revoke | StartRotation => {
                let session = self.deployment.session().await;
                assert_eq!(self.deployment.client.create(&session).await.status, 201);
                session
            }
            _ => self.session.clone(),
        }
    }

    /// Runs the operation once.
    async fn run(&self, operation: Operation, session: &str) {
        let client = &self.deployment.client;
        let (answer, status) = match operation {
            Introspect => (self.introspect(&self.key).await, 200),
            MalformedIntrospect => (self.introspect("pk_live_malformed").await, 200),
            ForwardAuth => (self.forward_auth(&self.key).await, 200),
            MalformedForwardAuth => (self.forward_auth("pk_live_malformed").await, 401),
            Show | ShowNone => (client.show(session).await, 200),
            ReportUnknown => (client.report(&[&unknown_key()]).await, 202),
            Create => (client.create(session).await, 201),
            CreateOnce => (client.create_once(session, "request").await, 201),
            CreateAgain => (client.create_once(session, "request").await, 409),
            Revoke => (client.revoke(session).await, 200),
            StartRotation => (client.start_rotation(session, None).await, 201),
            Portal => (client.portal(&self.key).await, 200),
            MalformedPortal => (client.portal("pk_live_malformed").await, 401),
        };
        assert_eq!(answer.status, status);
        if operation == Introspect {
            assert_eq!(answer.body["active"], true);
        }
    }

    async fn introspect(&self, key: &str) -> tests::Answer {
        let send = |request: RequestBuilder| {
            let request = request.bearer_auth(TOKEN);
            let request = request.header("content-type", "application/x-www-form-urlencoded");
            request.body(format!("token={key}"))
        };
        let path = "/internal/v1/keys/introspect";
        self.internal.send(Method::POST, path, send).await
    }

    async fn forward_auth(&self, key: &str) -> tests::Answer {
        let value = format!("Bearer {key}");
        let path = "/internal/v1/forward-auth";
        let get = self
            .internal
            .authorized(Method::GET, path, value.as_bytes());
        get.await
    }

    /// Waits until the api has nothing left to do. The pool tests a connection in the
    /// background once its statement is answered. Further answers, which need no
    /// statement, show that the background had its turn.
    async fn settled(&self) {
        for _ in 0..20 {
            self.run(MalformedForwardAuth, "").await;
        }
        let unanswered = || async { self.wire.unanswered() };
        eventually("all round trips are completed", SOON, unanswered, |left| {
            *left == 0
        })
        .await;
    }

    /// Runs the operation [`TIMES`] times and returns what passed. Does so again until the
    /// api was warm: each connection prepares a statement when it first executes it.
    async fn traffic_of(&self, operation: Operation) -> Traffic {
        let mut traffic = Traffic::default();
        for _ in 0..20 {
            let sessions = (0..TIMES).map(|_| self.session_for(operation));
            let sessions = join_all(sessions).await;
            self.settled().await;
            self.wire.forget();
            for session in sessions {
                self.run(operation, &session).await;
            }
            self.settled().await;
            traffic = self.wire.traffic();
            if traffic.connections == 0 && traffic.prepared().next().is_none() {
                return traffic;
            }
        }
        panic!("{operation:?}: the api opens connections or prepares statements again: {traffic:?}")
    }
}

/// Lists the round trips by the statements in them. One without a statement only tests a
/// connection.
fn ran(traffic: &Traffic) -> String {
    let mut times = BTreeMap::new();
    for round_trip in &traffic.round_trips {
        *times.entry(&round_trip.executed).or_insert(0) += 1;
    }
    let lines = times.into_iter();
    lines.fold(String::new(), |all, (statements, times)| {
        format!("{all}\n    {times} × {statements:?}")
    })
}

#[tokio::test]
async fn each_operation_has_its_number_of_statements_and_round_trips() {
    let costs = Costs::start().await;
    let mut wrong = Vec::new();
    for (operation, statements, tests) in COSTS {
        let traffic = costs.traffic_of(*operation).await;
        let counted = traffic.executed().count();
        let trips = traffic.round_trips.iter();
        let (testing, executing): (Vec<_>, Vec<_>) =
            trips.partition(|trip| trip.executed.is_empty());
        let tests = TIMES * tests.start()..=TIMES * tests.end();
        let as_expected = [counted, executing.len()] == [TIMES * statements; 2];
        if !as_expected || !tests.contains(&testing.len()) {
            wrong.push(format!(
                "{TIMES} times {operation:?}: expected {statements} statements each and {tests:?} \
                 tests in all:{}",
                ran(&traffic)
            ));
        }
    }
    let wrong = wrong.join("\n");
    assert!(wrong.is_empty(), "statements and round trips:\n{wrong}");
}

/// Checks that PostgreSQL does not plan a lookup every time, because planning takes longer than the
/// lookup. It plans the first five executions for their values. After that it keeps one plan for
/// any values, if it estimates that this plan costs no more.
#[tokio::test]
async fn a_lookup_keeps_its_plan() {
    let costs = Costs::start().await;
    for operation in [Introspect, ForwardAuth, Show, ReportUnknown] {
        let traffic = async || {
            costs.wire.forget();
            for _ in 0..2 * TIMES {
                costs.run(operation, &costs.session).await;
            }
            costs.settled().await;
            costs.wire.traffic()
        };
        costs.settled().await;
        let (first, then) = (traffic().await, traffic().await);
        assert_eq!(then.executed().count(), 2 * TIMES, "{operation:?}");
        // Operations share statements, so some have their plan already.
        let told = operation != Introspect || first.plans > 0;
        // The server may drop a plan, for instance when it analyzes the table.
        assert!(
            told && then.plans < TIMES,
            "{operation:?}: {first:?}, {then:?}"
        );
    }
}

#[tokio::test]
async fn checks_that_arrive_together_share_their_statements() {
    let costs = Costs::start().await;
    costs.run(ForwardAuth, "").await;
    costs.settled().await;
    costs.wire.forget();
    // The checks need some time to arrive, whatever the machine. The server takes long, so
    // that many arrive during one statement.
    costs.wire.slow_down(Duration::from_millis(50));
    let (checks, most) = BURST;
    join_all((0..checks).map(|_| costs.run(ForwardAuth, ""))).await;

    let traffic = costs.wire.traffic();
    let statements = traffic.executed().count();
    tests::report(&format!(
        "{checks} checks at once cost {statements} statements"
    ));
    assert!((1..=most).contains(&statements), "{statements}");
}
