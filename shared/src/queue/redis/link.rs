use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, RedisResult};

/// The time limit for opening a connection, and for the answer to a command.
const TIMEOUT: Duration = Duration::from_secs(2);

/// A connection to Redis that is opened again after any error.
///
/// redis-rs's `ConnectionManager` reconnects only after I/O errors. If Redis answers
/// the first connection with an error of its own (an invalid password, a data set
/// that is still loading), the manager keeps that error forever.
#[derive(Clone)]
pub struct Link {
    client: Client,
    current: Arc<Mutex<Current>>,
}

struct Current {
    manager: ConnectionManager,
    /// Incremented with each new manager, so that only the first of many calls that
    /// fail together replaces it.
    generation: u64,
}

impl Link {
    /// Prepares a connection. It is opened when it is first needed.
    pub fn new(client: Client) -> RedisResult<Self> {
        let current = Current {
            manager: connect_lazily(&client)?,
            generation: 0,
        };
        Ok(Self {
            client,
            current: Arc::new(Mutex::new(current)),
        })
    }

    /// Returns the current connection, for a library that keeps it.
    pub fn connection(&self) -> ConnectionManager {
        self.lock().manager.clone()
    }

    /// Runs `act` with the current connection, and replaces the connection if `act`
    /// fails.
    pub async fn with<T>(
        &self,
        act: impl AsyncFnOnce(ConnectionManager) -> RedisResult<T>,
    ) -> RedisResult<T> {
        let (manager, generation) = {
            let current = self.lock();
            (current.manager.clone(), current.generation)
        };
        let done = act(manager).await;
        if done.is_err() {
            self.renew(generation)?;
        }
        done
    }

    fn renew(&self, generation: u64) -> RedisResult<()> {
        let mut current = self.lock();
        if current.generation == generation {
            current.manager = connect_lazily(&self.client)?;
            current.generation += 1;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn connect_lazily(client: &Client) -> RedisResult<ConnectionManager> {
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(TIMEOUT))
        .set_response_timeout(Some(TIMEOUT))
        .set_number_of_retries(1)
        .set_max_delay(Duration::from_millis(500));
    ConnectionManager::new_lazy_with_config(client.clone(), config)
}
