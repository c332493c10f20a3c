"""What is measured of the api. Each group is a function whose doc comment says what."""

from deployment import KEY, TOKENS, Deployment
from measure import Sample
from servers import PGBENCH_CLIENTS
from services import free_port

SELECT = f"""\\set i 1 + random(0, {TOKENS - 1}) * :stride
SELECT {{columns}}
FROM api_partners WHERE key_hash = sha256(({KEY.format(i=":i::int")})::bytea) AND is_active;
"""
# What the service reads of a key for a check, and for its status.
CHECKED = "id, account_id, key_prefix, svix_app_id, created_at, last_used_at, expires_at"
SHOWN = f"{CHECKED}, has_webhook, attempts, next_attempt_at, leased_until, failed_at"
INSERT = """WITH created AS (
    INSERT INTO api_partners (id, account_id, key_hash, key_prefix, created_at, next_attempt_at)
    VALUES (gen_random_uuid(), gen_random_uuid()::text, sha256(gen_random_uuid()::text::bytea),
            'pk_live_0123456789abcdef', now(), now()) RETURNING id, account_id, key_prefix, created_at)
INSERT INTO api_key_events (at, kind, key_id, account_id, key_prefix, actor)
SELECT created_at, 'created', id, account_id, key_prefix, 'account' FROM created;
"""
KEYS = 10_000
CURVE = (1, 4, 16, 64, 128, 256)
PAUSE = 40  # milliseconds of a connection between two requests, where the load is moderate


def clients(connections):
    return min(connections, PGBENCH_CLIENTS)


def select(bench, ours, connections, columns=CHECKED):
    options = ["--time", bench.seconds, "--define", f"stride={ours.keys // TOKENS}"]
    statement = SELECT.format(columns=columns)
    rate, count = bench.postgres.pgbench(ours.database, "select", statement, clients(connections), *options)
    return Sample(rate, count=count)


def insert(bench, ours, connections):
    options = ["--time", bench.seconds]
    rate, count = bench.postgres.pgbench(ours.database, "insert", INSERT, clients(connections), *options)
    return Sample(rate, count=count)


def check(bench):
    """forward-auth and introspect against pgbench's select and better-auth's verify"""
    with Deployment(bench) as ours, bench.peers.better_auth() as better_auth:
        ours.add_keys(KEYS)
        ours.start_api()
        keys = ours.keys_file()
        for connections in (16, 128):
            subjects = {
                "forward-auth": lambda: ours.forward_auth(connections, bench.seconds, keys),
                "introspect": lambda: ours.introspect(connections, bench.seconds, keys),
                "pgbench": lambda: select(bench, ours, connections),
            }
            if better_auth:
                subjects["better-auth"] = lambda: better_auth.check(connections, bench.seconds)
            taken = bench.turns(subjects)
            for name in ("forward-auth", "introspect"):
                row = f"{name}, {connections} connections"
                peer = f"pgbench, select by hash, {clients(connections)} clients"
                bench.add(row, taken[name], "/s", peer, taken["pgbench"])
                if better_auth:
                    bench.add(row, taken[name], "/s", "better-auth, verify, as many connections", taken["better-auth"])


def status(bench):
    """GET status against pgbench's select"""
    with Deployment(bench) as ours:
        ours.add_keys(KEYS)
        ours.start_api()
        sessions = ours.tokens("sessions", "'session-' || i")
        for connections in (16, 128):
            taken = bench.turns({
                "ours": lambda: ours.status(connections, bench.seconds, sessions),
                "pgbench": lambda: select(bench, ours, connections, SHOWN),
            })  # fmt: skip
            peer = f"pgbench, select by hash, {clients(connections)} clients"
            bench.add(f"GET status, {connections} connections", taken["ours"], "/s", peer, taken["pgbench"])


def mint(bench):
    """POST create against pgbench's insert of the same rows and better-auth's create"""
    with Deployment(bench) as ours, bench.peers.better_auth() as better_auth:
        ours.add_sessions(30_000 * bench.seconds)
        ours.start_api()

        def emptied(measure):
            """Each measurement begins with empty tables."""
            ours.remove_keys()
            bench.begin()
            return measure()

        for connections in (16, 128):
            subjects = {
                "ours": lambda: emptied(lambda: ours.create(connections, bench.seconds)),
                "pgbench": lambda: emptied(lambda: insert(bench, ours, connections)),
            }
            if better_auth:
                subjects["better-auth"] = lambda: better_auth.create(connections, bench.seconds)
            taken, row = bench.turns(subjects), f"POST create, {connections} connections"
            peer = f"pgbench, insert of the same rows, {clients(connections)} clients"
            bench.add(row, taken["ours"], "/s", peer, taken["pgbench"])
            if better_auth:
                bench.add(row, taken["ours"], "/s", "better-auth, create, as many connections", taken["better-auth"])


def faults(bench):
    """p99 of POST create with Redis frozen and with a slow Svix, against undisturbed"""
    seconds = 2 * bench.seconds
    with Deployment(bench) as ours:
        ours.add_sessions(1000 * seconds * 3 * (bench.rounds + 1))
        ours.start_svix()
        ours.start_api()
        ours.start("worker")

        def p99():
            made = ours.create(16, seconds, at_most=1000, pause=PAUSE)
            return Sample(made.p99, p50=made.p50, p99=made.p99, count=made.count)

        def without_redis():
            with bench.redis.frozen():
                return p99()

        def with_slow_svix():
            ours.delay_svix(10_000)
            taken = p99()
            ours.delay_svix(0)
            return taken

        def settled(measure):
            if not ours.wait_until_provisioned(60):
                bench.note("After a fault, some keys were not provisioned within a minute.")
            bench.begin()
            return measure()

        taken = bench.turns({
            "undisturbed": lambda: settled(p99),
            "Redis": lambda: settled(without_redis),
            "Svix": lambda: settled(with_slow_svix),
        })  # fmt: skip
        bench.note("Undisturbed, the worker provisions the new keys and shares the processors with the api.")
        rate = round(16 * 1000 / PAUSE, -2)
        for name, what in (("Redis", "Redis frozen"), ("Svix", "Svix taking 10 s")):
            row = f"p99 of POST create, about {rate:.0f}/s, {what}"
            bench.add(row, taken[name], " ms", "undisturbed", taken["undisturbed"])


def rows(bench):
    """check and create with 5 million keys against the same with 1,000"""
    with Deployment(bench) as small, Deployment(bench) as large:
        subjects = {}
        for ours, count in ((small, 1000), (large, 5_000_000)):
            ours.add_sessions(30_000 * bench.seconds)
            ours.add_keys(count)
            ours.start_api()
            subjects |= subjects_of_size(bench, ours)
        order = sorted(subjects, key=lambda subject: subject[0])  # both sizes in turns
        taken = bench.turns({subject: subjects[subject] for subject in order})
        for name in dict.fromkeys(name for name, _ in order):
            ours, peer = taken[name, large.keys], taken[name, small.keys]
            bench.add(f"{name}, 16 connections, 5,000,000 keys", ours, "/s", "1,000 keys", peer)


def subjects_of_size(bench, ours):
    keys = ours.keys_file()

    def as_before(measure):
        """The new keys are removed first: 1,000 keys would soon be many more."""
        ours.remove_new_keys()
        bench.begin()
        return measure()

    return {
        ("forward-auth", ours.keys): lambda: as_before(lambda: ours.forward_auth(16, bench.seconds, keys)),
        ("pgbench, select by hash", ours.keys): lambda: as_before(lambda: select(bench, ours, 16)),
        ("POST create", ours.keys): lambda: as_before(lambda: ours.create(16, bench.seconds)),
        ("pgbench, insert", ours.keys): lambda: as_before(lambda: insert(bench, ours, 16)),
    }


def start(bench):
    """the time from start to ready, and peak memory"""
    with Deployment(bench) as ours:

        def api():
            ready = ours.start_api()
            ours.api.stop()
            return Sample(1000 * ready)

        def standalone():
            address, data = f"127.0.0.1:{free_port()}", ours.directory / f"data-{bench.number()}"
            own = {"LISTEN_ADDR": address, "DATA_DIR": str(data)}
            unset = dict.fromkeys(("INTERNAL_TOKEN", "SVIX_TOKEN", "SVIX_SERVER_URL"), "")
            program = ours.start("standalone", own | unset)
            ready = program.ready(f"http://{address}/readyz")
            program.stop()
            return Sample(1000 * ready)

        taken = bench.turns({"api": api, "standalone": standalone}, rounds=2 * bench.rounds + 3)
        bench.add("start to ready, api", taken["api"], " ms")
        bench.add("start to ready, standalone, with a new database", taken["standalone"], " ms")


def curve(bench):
    """latency against load of forward-auth and POST create, for the picture"""
    with Deployment(bench) as ours:
        ours.add_sessions(30_000 * bench.seconds)
        ours.add_keys(KEYS)
        ours.start_api()
        keys = ours.keys_file()
        taken = bench.turns({c: lambda c=c: ours.forward_auth(c, bench.seconds, keys) for c in CURVE})
        bench.curves["forward-auth"] = taken

        def create(connections):
            ours.remove_keys()
            bench.begin()
            return ours.create(connections, bench.seconds)

        bench.curves["POST create"] = bench.turns({c: lambda c=c: create(c) for c in CURVE})
