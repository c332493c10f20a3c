use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use rand::RngExt;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{
    Client, Cmd, ErrorKind, Pipeline, RedisError, RedisFuture, RedisResult, ServerErrorKind, Value,
};

use super::primary::{limits, primary};
use crate::config::RedisServers;

/// The longest pause before the second attempt to open a connection.
const PAUSE: Duration = Duration::from_millis(200);

/// A connection to the server that has the queue. After any error, other than an unknown script,
/// it is opened again, to the server that has the queue then. Clones share it.
///
/// redis-rs's `ConnectionManager` reconnects only after I/O errors. If Redis answers
/// the first connection with an error of its own (an invalid password, a data set
/// that is still loading), the manager keeps that error forever.
#[derive(Clone)]
pub struct Link {
    place: Place,
    current: Arc<Mutex<Current>>,
}

/// Where the queue is: on the server that has this key.
#[derive(Clone)]
struct Place {
    servers: Arc<RedisServers>,
    key: Arc<str>,
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
    /// Prepares a connection to the server that has this key, one of the queue's. It is opened
    /// when it is first needed.
    pub fn new(servers: RedisServers, key: &str) -> Self {
        let (servers, key) = (Arc::new(servers), key.into());
        Self {
            place: Place { servers, key },
            current: Arc::default(),
        }
    }

    /// Returns a client of the server that has the queue now, for a connection of its own.
    pub async fn primary(&self) -> RedisResult<Client> {
        self.place.find().await
    }

    /// Returns the current connection with its generation, or opens one.
    async fn connection(&self) -> RedisResult<(MultiplexedConnection, u64)> {
        let (opening, generation) = {
            let mut current = self.lock();
            let begin = || open(self.place.clone()).boxed().shared();
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

impl Place {
    async fn find(&self) -> RedisResult<Client> {
        primary(&self.servers, &self.key).await
    }

    async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        let client = self.find().await?;
        client
            .get_multiplexed_async_connection_with_config(&limits())
            .await
    }
}

/// Opens a connection. If that fails, it tries once more after a pause.
async fn open(place: Place) -> RedisResult<MultiplexedConnection> {
    if let Ok(opened) = place.connect().await {
        return Ok(opened);
    }
    let pause = PAUSE.mul_f64(rand::rng().random_range(0.5..1.0));
    tokio::time::sleep(pause).await;
    place.connect().await
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

    /// Returns no real number, because nothing that we use asks for it.
    fn get_db(&self) -> i64 {
        0
    }
}
