use redis::aio::MultiplexedConnection;
use redis::{Cmd, RedisResult, Value, cmd};

use super::PERMISSIONS;
use crate::doctor::Finding;
use crate::queue::redis::queue_name;

/// Tries one command of each kind that the queue needs, on names that nobody uses.
pub(super) async fn check(redis: &mut MultiplexedConnection, prefix: &str) -> RedisResult<Finding> {
    let name = queue_name(prefix);
    let key = format!("{name}:doctor");
    let tries: [(Cmd, String); 4] = [
        (
            cmd("TYPE").arg(&key).take(),
            format!("read the keys {prefix}:*"),
        ),
        (
            cmd("DEL").arg(&key).take(),
            format!("write the keys {prefix}:*"),
        ),
        (
            cmd("EVAL").arg("return 1").arg(1).arg(&key).take(),
            "run scripts".to_owned(),
        ),
        (
            cmd("PUBLISH").arg(&key).arg("").take(),
            format!("publish to the channels {prefix}:*"),
        ),
    ];
    let mut lacking = Vec::new();
    for (command, what) in tries {
        match command.query_async::<Value>(redis).await {
            Err(error) if error.code() == Some("NOPERM") => lacking.push(what),
            answer => drop(answer?),
        }
    }
    if lacking.is_empty() {
        let message = "the user may do what the queue needs";
        return Ok(Finding::ok(PERMISSIONS, message));
    }
    let message = format!("the user may not {}", lacking.join("; nor "));
    let fix = "give the user the rights of deploy/redis/users.acl";
    Ok(Finding::error(PERMISSIONS, message, fix))
}
