use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use rand::RngExt;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, Pipeline, RedisError, RedisFuture, RedisResult,
    ServerErrorKind, Value,
};

/// The time limit for opening a connection, and for the answer to a command.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The longest pause before the second attempt to open a connection.
const PAUSE: Duration = Duration::from_millis(200);

/// A connection to Redis that is opened again after any error. Clones share it.
///
/// redis-rs's `ConnectionManager` reconnects only after I/O errors. If Redis answers
/// the first connection with an error of its own (an invalid password, a data set
/// that is still loading), the manager keeps that error forever.
#[derive(Clone)]
pub struct Link {
    client: Client,
    current: Arc<Mutex<Current>>,
}

/// A connection that is being opened, or is open, or could not be opened.
type Opening = Shared<BoxFuture<'static, RedisResult<MultiplexedConnection>>>;

#[derive(Default)]
struct Current {
    /// `None` until a command needs it.
    opening: Option<Opening>,
    /// Incremented with each connection that is given up, so that only the first of many
    /// commands that fail together gives it up.
    generation: u64,
}

impl Link {
    /// Prepares a connection. It is opened when it is first needed.
    pub fn new(client: Client) -> Self {
        Self {
            client,
            current: Arc::default(),
        }
    }

    /// Returns the current connection with its generation, or opens one.
    async fn connection(&self) -> RedisResult<(MultiplexedConnection, u64)> {
        let (opening, generation) = {
            let mut current = self.lock();
            let begin = || open(self.client.clone()).boxed().shared();
            let opening = current.opening.get_or_insert_with(begin).clone();
            (opening, current.generation)
        };
        let opened = opening.await;
        if opened.is_err() {
            self.give_up(generation);
        }
        Ok((opened?, generation))
    }

    /// Gives up the connection that answered so, if it is an error.
    fn judge<'a>(&self, generation: u64, answers: RedisResult<impl Iterator<Item = &'a Value>>) {
        let is_error = |value: &Value| match value {
            Value::ServerError(error) => is_about_the_connection(&error.clone().into()),
            _ => false,
        };
        let failed = match answers {
            Ok(mut answers) => answers.any(is_error),
            Err(error) => is_about_the_connection(&error),
        };
        if failed {
            self.give_up(generation);
        }
    }

    fn give_up(&self, generation: u64) {
        let mut current = self.lock();
        if current.generation == generation {
            current.opening = None;
            current.generation += 1;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns whether another connection may answer better. A script that the server does not
/// know yet is part of normal work.
fn is_about_the_connection(error: &RedisError) -> bool {
    error.kind() != ErrorKind::Server(ServerErrorKind::NoScript)
}

/// Opens a connection. If that fails, it tries once more after a pause.
async fn open(client: Client) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(TIMEOUT))
        .set_response_timeout(Some(TIMEOUT));
    let open = || client.get_multiplexed_async_connection_with_config(&config);
    if let Ok(opened) = open().await {
        return Ok(opened);
    }
    let pause = PAUSE.mul_f64(rand::rng().random_range(0.5..1.0));
    tokio::time::sleep(pause).await;
    open().await
}

impl ConnectionLike for Link {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            let (mut connection, generation) = self.connection().await?;
            let answer = connection.req_packed_command(cmd).await;
            let answers = answer.as_ref().map(std::iter::once);
            self.judge(generation, answers.map_err(Clone::clone));
            answer
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        cmd: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let (mut connection, generation) = self.connection().await?;
            let answer = connection.req_packed_commands(cmd, offset, count).await;
            let answers = answer.as_ref().map(|answers| answers.iter());
            self.judge(generation, answers.map_err(Clone::clone));
            answer
        })
    }

    fn get_db(&self) -> i64 {
        self.client.get_connection_info().redis_settings().db()
    }
}
