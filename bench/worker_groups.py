"""What is measured of the worker. Each group is a function whose doc comment says what."""

import asyncio
import random
import time

from deployment import Deployment
from measure import Sample
from pickup import Pickup
from services import Failure, free_port

PROVISION_DEADLINE = 120  # seconds
CONCURRENCY = 64  # WORKER_CONCURRENCY's default
SVIX_DELAY = 0.1  # seconds, where Svix is slow
# One claim and one completion with its event for each job, as two statements. Every job is done once. As in the
# service, a claim does not wait for the disk.
JOB = """\\set n :n + 1
\\set i :client_id * :share + :n
UPDATE peer_keys
SET attempts = attempts + 1, next_attempt_at = now() + interval '1 minute',
    leased_until = now() + interval '1 minute'
FROM set_config('synchronous_commit', 'off', TRUE)
WHERE id = md5((:i::int)::text)::uuid AND attempts = 0 AND next_attempt_at <= now()
RETURNING id, account_id, attempts, created_at, revoked_at, svix_app_id;
WITH done AS (
    UPDATE peer_keys
    SET has_webhook = TRUE, svix_app_id = 'app_' || :i::int, next_attempt_at = NULL, leased_until = NULL,
        last_error = NULL
    WHERE id = md5((:i::int)::text)::uuid AND attempts = 1 AND leased_until IS NOT NULL AND is_active
    RETURNING id, account_id, key_prefix)
INSERT INTO peer_events (at, kind, key_id, account_id, key_prefix, actor)
SELECT now(), 'provisioned', id, account_id, key_prefix, 'worker' FROM done;
"""
BACKLOG = """INSERT INTO {table} (id, account_id, key_hash, key_prefix, created_at, next_attempt_at)
    SELECT md5(i::text)::uuid, '{name}-' || i, sha256(('{name}-' || i)::bytea), 'pk_live_0123456789abcdef', now(), now()
    FROM generate_series(1, {count}) AS i"""


def provision(bench):
    """provisioning by one worker with a Svix that answers at once, against pgbench's claims and completions"""
    count = CONCURRENCY * (50 if bench.quick else 320)
    with Deployment(bench) as ours:
        ours.start_svix()
        ours.sql("""CREATE TABLE peer_keys (LIKE api_partners INCLUDING ALL);
            CREATE TABLE peer_events (LIKE api_key_events INCLUDING ALL)""")

        def pgbench():
            ours.sql("TRUNCATE peer_keys, peer_events")
            fill(ours, "peer_keys", "peer", count)
            share = count // CONCURRENCY
            bench.begin()
            options = ["--transactions", share, "--define", f"share={share}", "--define", "n=0"]
            rate, done = bench.postgres.pgbench(ours.database, "job", JOB, CONCURRENCY, *options)
            finished = int(ours.sql("SELECT count(*) FROM peer_keys WHERE has_webhook"))
            if finished != count or done != count:
                raise Failure(f"pgbench completed {finished} of {count} jobs")
            return Sample(rate, count=done)

        taken = bench.turns({"ours": lambda: drain(ours, count, workers=1), "pgbench": pgbench})
        bench.note(
            "Provisioning includes a call to a simulated Svix on the same machine for each key, which pgbench does not "
            "make. Its rate is from the first completion to the last."
        )
        peer = f"pgbench, claim and completion with its event, {CONCURRENCY} clients"
        bench.add("provisioning, one worker, Svix at once", taken["ours"], "/s", peer, taken["pgbench"])


def fleet(bench):
    """provisioning by 1, 2 and 4 workers with a Svix that takes 100 ms, against what the concurrency allows"""
    seconds, limit = 2 if bench.quick else 6, CONCURRENCY / SVIX_DELAY
    sizes = (1, 2) if bench.quick else (1, 2, 4)
    with Deployment(bench) as ours:
        ours.start_svix()
        ours.delay_svix(round(1000 * SVIX_DELAY))
        taken = bench.turns({
            size: lambda size=size: drain(ours, round(limit * size * seconds), size) for size in sizes
        })  # fmt: skip
        for size in sizes:
            name = f"provisioning, {size} worker{'s' * (size > 1)}, Svix at 100 ms"
            bench.add(name, taken[size], "/s", f"{size} × {CONCURRENCY}/0.1 s", limit * size)


def fill(ours, table, name, count):
    ours.sql(BACKLOG.format(table=table, name=name, count=count))
    ours.sql(f"VACUUM ANALYZE {table}")
    ours.sql("CHECKPOINT")


def drain(ours, count, workers):
    """Starts workers on a backlog of due keys. Returns the keys a second from the first completion to the last."""
    ours.remove_keys()
    ours.bench.redis.ask("FLUSHALL")
    fill(ours, "api_partners", f"drain-{ours.bench.number()}", count)
    ours.bench.begin()
    started = [ours.start("worker", {"WORKER_CONCURRENCY": str(CONCURRENCY)}) for _ in range(workers)]
    completed = ours.wait_until_provisioned(PROVISION_DEADLINE)
    for worker in started:
        worker.stop()
    done, seconds = ours.sql("""SELECT count(*), extract(epoch FROM max(at) - min(at)) FROM api_key_events
        WHERE kind = 'provisioned'""").strip().split("|")
    if not completed or int(done) != count:
        raise Failure(f"{done} of {count} keys were provisioned in {PROVISION_DEADLINE} s")
    # The time begins when the first jobs are done, as many as run at once. They do not count.
    return Sample((count - CONCURRENCY * workers) / float(seconds), count=count)


def pickup(bench):
    """the time from a key's creation to the call of Svix by an idle worker, against BullMQ on the same Redis"""
    count = 50 if bench.quick else 200
    svix_port = free_port()
    with Deployment(bench, svix=f"http://127.0.0.1:{svix_port}") as ours, asyncio.Runner() as runner:
        ours.add_sessions(count * bench.rounds)
        ours.start_api()
        ours.start("worker")

        def pauses():
            return [random.uniform(20, 50) for _ in range(count)]

        def create():
            first = ours.minted + 1
            ours.minted += count
            accounts = [f"new-{i}" for i in range(first, ours.minted + 1)]
            runner.run(measured.create(int(ours.public.rsplit(":", 1)[1]), accounts, pauses()))
            created = dict(line.split("|") for line in ours.sql(
                "SELECT account_id, extract(epoch FROM created_at) FROM api_partners").split())  # fmt: skip
            if not all(map(measured.call_for, accounts)):
                raise Failure("Svix was not called for every key within 30 s")
            from_row = [1000 * (measured.call_for(account) - float(created[account])) for account in accounts]
            from_answer = [1000 * (measured.call_for(account) - measured.answered[account]) for account in accounts]
            return percentiles(from_row), percentiles(from_answer)

        measured, answers = Pickup(), []
        runner.run(measured.serve(svix_port))

        def from_row():
            row, answer = create()
            answers.append(answer)
            return row

        time.sleep(2)  # until the worker is idle
        subjects = {"ours": from_row}
        if not bench.peers.left_out("BullMQ"):
            subjects["BullMQ"] = lambda: percentiles(bench.peers.bullmq(pauses()))
        taken = bench.turns(subjects)
        peer = ("BullMQ, from add to the start of the job", taken["BullMQ"]) if "BullMQ" in taken else ()
        bench.note(
            "Pick-up begins when the service sets the row's created_at, before PostgreSQL writes the key to disk. BullMQ's "
            "begins at the call of add."
        )
        row = "p99 of an idle worker's pick-up, from the row's created_at to the call of Svix"
        bench.add(row, taken["ours"], " ms", *peer)
        bench.add("the same, from the client's 201", answers, " ms", *peer)


def percentiles(times):
    times = sorted(times)
    p50, p99 = (times[len(times) * percent // 100] for percent in (50, 99))
    return Sample(p99, p50=p50, p99=p99)


def idle(bench):
    """what 20 idle workers cost Redis and PostgreSQL"""
    workers, seconds = 20, 5 if bench.quick else 30
    with Deployment(bench) as ours:
        for _ in range(workers):
            ours.start("worker")
        time.sleep(5)  # until they have started
        commands, transactions = [], []

        def watch():
            began = time.monotonic(), bench.redis.commands(), bench.postgres.transactions(ours.database)
            time.sleep(seconds)
            counts = bench.redis.commands() - began[1] - 1, bench.postgres.transactions(ours.database) - began[2]
            took = time.monotonic() - began[0]  # the INFO is one of the commands
            transactions.append(Sample(counts[1] / took))
            return Sample(counts[0] / took)

        commands = bench.turns({"idle": watch}, rounds=1)["idle"]
        bench.add(f"{workers} idle workers, Redis commands", commands, "/s")
        bench.add(f"{workers} idle workers, PostgreSQL transactions", transactions, "/s")
