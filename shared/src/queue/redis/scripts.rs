//! The Lua scripts that change apalis-redis's keys atomically.

/// Moves pushed jobs from the scheduled set to the active list, and wakes the workers. KEYS:
/// the set, the list, the data hash. ARGV: the channel of the workers, the ids of jobs. Returns
/// how many of these jobs are in Redis, and how many jobs wait in all.
pub const PROMOTE: &str = "
    local ids = redis.call('zrange', KEYS[1], 0, 999)
    if #ids > 0 then
        redis.call('rpush', KEYS[2], unpack(ids))
        redis.call('zrem', KEYS[1], unpack(ids))
        redis.call('publish', ARGV[1], '')
    end
    local depth = redis.call('llen', KEYS[2]) + redis.call('zcard', KEYS[1])
    local found = 0
    for _, job in ipairs(redis.call('hmget', KEYS[3], unpack(ARGV, 2))) do
        if job then found = found + 1 end
    end
    return {found, depth}";

/// Removes jobs, each if its worker still holds it. KEYS: the data hash, then for each job
/// the worker's inflight set and the job's metadata. ARGV: the ids of the jobs.
pub const SETTLE: &str = "
    for i, id in ipairs(ARGV) do
        if redis.call('srem', KEYS[2 * i], id) == 1 then
            redis.call('hdel', KEYS[1], id)
            redis.call('del', KEYS[2 * i + 1])
        end
    end";

/// Removes a worker and the jobs that it had fetched. KEYS: the worker's inflight
/// set, the data hash, the set of workers. ARGV: the prefix of job metadata, the worker's
/// name.
pub const RETIRE: &str = "
    local held = redis.pcall('smembers', KEYS[1])
    if held.err then held = {} end -- a key of another type, which is deleted below
    for _, id in ipairs(held) do
        redis.call('hdel', KEYS[2], id)
        redis.call('del', ARGV[1] .. ':' .. id)
    end
    redis.call('del', KEYS[1])
    redis.call('zrem', KEYS[3], ARGV[2])";

/// Drops up to 1,000 waiting jobs. KEYS: the active list, the scheduled set, the data
/// hash. ARGV: the prefix of job metadata. Returns how many were dropped.
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
