use std::sync::Arc;

use redis::aio::ConnectionLike;
use redis::{Arg, Cmd, Pipeline, RedisFuture, Value};

use super::link::Link;

/// The connection that apalis-redis gets, which registers workers in our way.
///
/// apalis-redis adds each queue to the set `core:apalis:queues:list`. All programs that
/// use apalis share this set: its name does not begin with our prefix, and in a cluster it
/// is on another server than our queue, so that the script fails. It also writes metadata of
/// the worker, which nobody reads. We only need the worker's first heartbeat.
#[derive(Clone)]
pub struct ApalisLink {
    link: Link,
    workers_set: Arc<str>,
}

impl ApalisLink {
    /// Creates a connection on which workers register in the set with this key.
    pub fn new(link: Link, workers_set: &str) -> Self {
        let workers_set = workers_set.into();
        Self { link, workers_set }
    }
}

/// Returns the command to send in place of `cmd`, if `cmd` runs the script that registers a
/// worker: the only one with two keys of which the first is the set of workers.
fn registration(cmd: &Cmd, workers_set: &str) -> Option<Cmd> {
    // EVALSHA, the script, the number of keys, the two keys, the time, the name, …
    let mut args = cmd.args_iter().map(|arg| match arg {
        Arg::Simple(arg) => arg,
        _ => &[],
    });
    let is_script = args.next()? == b"EVALSHA" && args.nth(1)? == b"2";
    if !is_script || args.next()? != workers_set.as_bytes() {
        return None;
    }
    let (now, name) = (args.nth(1)?, args.next()?);
    let mut add = redis::cmd("ZADD");
    add.arg(workers_set).arg(now).arg(name);
    Some(add)
}

impl ConnectionLike for ApalisLink {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match registration(cmd, &self.workers_set) {
            None => self.link.req_packed_command(cmd),
            Some(add) => Box::pin(async move { self.link.req_packed_command(&add).await }),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        cmd: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        self.link.req_packed_commands(cmd, offset, count)
    }

    fn get_db(&self) -> i64 {
        self.link.get_db()
    }
}
