use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, RedisResult};

/// How long a connection may take to be made, and a command to be answered.
const TIMEOUT: Duration = Duration::from_secs(2);

/// A connection to Redis that is made anew after any error.
///
/// redis-rs's `ConnectionManager` reconnects after I/O errors alone: where Redis
/// answers the first connection with an error of its own (a wrong password, a
/// data set still loading), it keeps that error for ever.
#[derive(Clone)]
pub struct Link {
    client: Client,
    current: Arc<Mutex<Current>>,
}

struct Current {
    manager: ConnectionManager,
    /// Raised with each new one, so that of many calls that fail together the
    /// first alone replaces it.
    generation: u64,
}

impl Link {
    /// Prepares a connection; it is made when first needed.
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

    /// The connection as it is now, for a library that keeps it.
    pub fn connection(&self) -> ConnectionManager {
        self.lock().manager.clone()
    }

    /// Does something with the connection.
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
