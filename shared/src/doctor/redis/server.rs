use std::collections::HashMap;

use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, RedisError, RedisResult, Value};

use super::{CLOCK, EVICTION, MODE, VERSION};
use crate::clock::{Clock, Timestamp};
use crate::config::RedisServers;
use crate::doctor::{Finding, clock};

/// The oldest version that works: our scripts use `LPOP` with a count.
const OLDEST: (u32, u32) = (6, 2);

/// Asks who the server is, which every user may.
async fn hello(redis: &mut MultiplexedConnection, member: &str) -> RedisResult<String> {
    let answer: HashMap<String, Value> = redis::cmd("HELLO").query_async(redis).await?;
    match answer.get(member) {
        Some(value) => String::from_redis_value(value.clone()).map_err(RedisError::from),
        None => Ok(String::new()), // a Sentinel has no role
    }
}

pub(super) async fn check_version(redis: &mut MultiplexedConnection) -> RedisResult<Finding> {
    let fix = "update the server to Redis 6.2 or later";
    let version = match hello(redis, "version").await {
        Ok(version) => version,
        // Redis has the command since 6.0.
        Err(error) if error.to_string().contains("unknown command") => {
            return Ok(Finding::error(VERSION, "Redis is older than 6.0", fix));
        }
        Err(error) => return Err(error),
    };
    let mut numbers = version.split('.').map(|part| part.parse().unwrap_or(0));
    let number = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let message = format!("Redis {version}");
    Ok(if number >= OLDEST {
        Finding::ok(VERSION, message)
    } else {
        Finding::error(VERSION, message, fix)
    })
}

/// Compares what the server is with what the URL says.
pub(super) async fn check_mode(
    redis: &mut MultiplexedConnection,
    servers: &RedisServers,
) -> RedisResult<Finding> {
    let (mode, role) = (hello(redis, "mode").await?, hello(redis, "role").await?);
    let is_cluster = matches!(servers, RedisServers::Cluster(_));
    Ok(match (&*mode, &*role) {
        ("cluster", "master") if is_cluster => {
            Finding::ok(MODE, "the cluster's owner of the queue")
        }
        ("standalone", "master") if !is_cluster => Finding::ok(MODE, "one server, which writes"),
        ("cluster", _) if !is_cluster => Finding::error(
            MODE,
            "the server is a node of Redis Cluster",
            "begin REDIS_URL with redis+cluster:// and name several nodes",
        ),
        ("sentinel", _) => Finding::error(
            MODE,
            "the server is a Sentinel, which keeps no data",
            "begin REDIS_URL with redis+sentinel:// and end it with the name of the master",
        ),
        ("standalone", _) if is_cluster => Finding::error(
            MODE,
            "the server is not a node of Redis Cluster",
            "begin REDIS_URL with redis:// and name one server",
        ),
        _ => Finding::error(
            MODE,
            format!("the server is a {role} in the mode {mode}, which only reads"),
            "let REDIS_URL lead to the primary, or to a managed Redis at one address",
        ),
    })
}

/// A key that Redis evicts is a job that is sent again, but apalis expects all keys of a job.
pub(super) async fn check_eviction(redis: &mut MultiplexedConnection) -> RedisResult<Finding> {
    let info: String = match redis::cmd("INFO").arg("memory").query_async(redis).await {
        Err(error) if is_forbidden(&error) => return Ok(unknown(EVICTION, "INFO")),
        info => info?,
    };
    let value = |name: &str| {
        let line = info.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_default().trim().to_owned()
    };
    let (policy, memory) = (value("maxmemory_policy:"), value("maxmemory:"));
    let message = match &*memory {
        "0" => format!("the policy is {policy}, without a limit of memory"),
        _ => format!("the policy is {policy}, at {memory} bytes"),
    };
    let fix = "CONFIG SET maxmemory-policy noeviction, and the same in redis.conf; the queue needs \
               some megabytes";
    Ok(match &*policy {
        "noeviction" => Finding::ok(EVICTION, message),
        _ => Finding::warning(EVICTION, message, fix),
    })
}

pub(super) async fn check_clock(
    redis: &mut MultiplexedConnection,
    clock: &Clock,
) -> RedisResult<Finding> {
    let before = clock.now();
    let (seconds, micros): (i64, i64) = match redis::cmd("TIME").query_async(redis).await {
        Err(error) if is_forbidden(&error) => return Ok(unknown(CLOCK, "TIME")),
        time => time?,
    };
    let theirs = Timestamp::from_micros(seconds * 1_000_000 + micros);
    Ok(clock::judge(CLOCK, before, theirs, clock.now()))
}

fn is_forbidden(error: &RedisError) -> bool {
    error.code() == Some("NOPERM")
}

fn unknown(check: &'static str, command: &str) -> Finding {
    let message = format!("not known, because the user may not run {command}");
    let fix = "give the user +info and +time, as deploy/redis/users.acl does";
    Finding::warning(check, message, fix)
}
