//! What is done to apalis-redis's keys in one go, in Lua.

/// Moves what was pushed from the scheduled set to the active list. KEYS: both.
pub const PROMOTE: &str = "
    local ids = redis.call('zrange', KEYS[1], 0, 999)
    if #ids > 0 then
        redis.call('rpush', KEYS[2], unpack(ids))
        redis.call('zrem', KEYS[1], unpack(ids))
    end
    return #ids";

/// Removes a job, if the worker still has it. KEYS: its inflight set, the data
/// hash, the job's metadata; ARGV: the job's id.
pub const SETTLE: &str = "
    if redis.call('srem', KEYS[1], ARGV[1]) == 1 then
        redis.call('hdel', KEYS[2], ARGV[1])
        redis.call('del', KEYS[3])
    end";

/// Forgets a worker and what it had fetched. KEYS: its inflight set, the data
/// hash, the workers, its metadata; ARGV: the prefix of job metadata, its name.
pub const RETIRE: &str = "
    for _, id in ipairs(redis.call('smembers', KEYS[1])) do
        redis.call('hdel', KEYS[2], id)
        redis.call('del', ARGV[1] .. ':' .. id)
    end
    redis.call('del', KEYS[1], KEYS[4])
    redis.call('zrem', KEYS[3], ARGV[2])";

/// Drops up to 1,000 waiting jobs. KEYS: active list, scheduled set, data hash;
/// ARGV: the prefix of job metadata.
pub const SHED: &str = "
    local ids = redis.call('lpop', KEYS[1], 1000) or {}
    if #ids == 0 then
        for i, v in ipairs(redis.call('zpopmin', KEYS[2], 1000)) do
            if i % 2 == 1 then ids[#ids + 1] = v end
        end
    end
    for _, id in ipairs(ids) do
        redis.call('hdel', KEYS[3], id)
        redis.call('del', ARGV[1] .. ':' .. id)
    end
    return #ids";
