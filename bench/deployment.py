"""The service as it is deployed: processes of ours with a database of their own, filled for the measurements."""

import json
import time
import urllib.request

from load import wrk
from processes import Program, run
from services import Failure, free_port

TOKENS = 1000  # the different keys and sessions that requests use
CALLER = "bench" * 8  # the token of the internal listener
# Key number i, which costs pgbench little to compute, its account, and its id, which is in the order of creation as
# those of the service are. The token of its account's session is session-i.
KEY = "'pk_live_' || repeat(md5(({i})::text), 2)"
ACCOUNT = "'account-' || to_char(i, 'FM00000000')"
ID = "('01900000-0000-7000-8000-' || to_char(i, 'FM000000000000'))::uuid"
DUE = "next_attempt_at IS NOT NULL"


class Deployment:
    """A context in which processes of ours run. At its end they are stopped, and the database is dropped."""

    def __init__(self, bench, svix=None):
        self.bench, self.svix = bench, svix
        self.programs, self.minted, self.keys = [], 0, 0
        self.database = f"bench_{bench.number()}"
        self.directory = bench.directory / self.database

    def __enter__(self):
        self.directory.mkdir()
        self.bench.redis.ask("FLUSHALL")
        self.bench.postgres.sql(f"CREATE DATABASE {self.database}")
        self.env = {
            "LOG_FORMAT": "json", "DATABASE_URL": self.bench.postgres.url_of(self.database),
            "REDIS_URL": self.bench.redis.url, "SVIX_TOKEN": "testsk_bench",
            "SVIX_SERVER_URL": self.svix or "http://127.0.0.1:1", "INTERNAL_TOKEN": CALLER,
            "RATE_LIMIT_CREATE": "off", "RATE_LIMIT_PORTAL": "off", "RATE_LIMIT_FAILED_AUTH": "off",
            "RATE_LIMIT_REPORTS": "off",
        }  # fmt: skip
        run([self.bench.binaries / "api", "migrate"], env=self.env)
        return self

    def __exit__(self, *_):
        for program in self.programs:
            program.stop()
            self.bench.watched.remove(program)
        self.bench.postgres.sql(f"DROP DATABASE {self.database} (FORCE)")

    def sql(self, statement):
        return self.bench.postgres.sql(statement, self.database)

    def start(self, name, env=None, arguments=()):
        """Starts one of our programs, which is watched from now on."""
        command = [self.bench.binaries / name, *arguments]
        program = Program(name, command, {**self.env, **(env or {})}, self.directory / f"{name}.log")
        self.programs.append(program)
        self.bench.watched.append(program)
        return program

    def start_api(self):
        """Starts an api with its default log. Returns the seconds until it was ready."""
        public, internal = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
        self.public, self.internal = f"http://{public}", f"http://{internal}"
        self.api = self.start("api", {"LISTEN_ADDR": public, "INTERNAL_ADDR": internal})
        return self.api.ready(f"{self.public}/readyz")

    def start_svix(self):
        """Starts the simulator of Svix."""
        address = f"127.0.0.1:{free_port()}"
        self.env["SVIX_SERVER_URL"] = f"http://{address}"
        simulator = self.start("svix-simulator", arguments=["--listen", address])
        simulator.ready(f"http://{address}/_simulator/state")

    def delay_svix(self, milliseconds):
        """Makes each answer of the simulator take this long. 0 removes the delay."""
        faults = [{"fault": {"latency_ms": milliseconds}}] if milliseconds else []
        url = f"{self.env['SVIX_SERVER_URL']}/_simulator/faults"
        with urllib.request.urlopen(urllib.request.Request(url, json.dumps(faults).encode(), method="PUT")):
            pass

    def add_sessions(self, count):
        """Adds sessions of accounts that have no key yet."""
        self.sql(f"""INSERT INTO sessions (token_hash, account_id, expires_at)
            SELECT sha256(('new-' || i)::bytea), 'new-' || i, now() + interval '1 day'
            FROM generate_series(1, {count}) AS i; ANALYZE sessions""")
        self.sessions = count

    def add_keys(self, count):
        """Adds keys that have their webhooks, and sessions for the accounts of some."""
        numbers = f"generate_series({self.keys + 1}, {count}) AS i"
        self.sql(f"""INSERT INTO api_partners
                (id, account_id, key_hash, key_prefix, created_at, has_webhook, svix_app_id)
            SELECT {ID}, {ACCOUNT}, sha256(({KEY.format(i="i")})::bytea),
                   left({KEY.format(i="i")}, 24), now(), TRUE, 'app_' || i
            FROM {numbers};
            INSERT INTO sessions (token_hash, account_id, expires_at)
            SELECT sha256(('session-' || i)::bytea), {ACCOUNT}, now() + interval '1 day'
            FROM generate_series(1, {count}, {count // TOKENS}) AS i
            ON CONFLICT DO NOTHING""")
        self.sql("VACUUM ANALYZE")
        self.sql("CHECKPOINT")
        self.keys = count

    def remove_keys(self):
        """Empties the tables of keys, so that each account may create one again."""
        self.sql("TRUNCATE api_partners, api_key_events")
        self.minted = self.keys = 0

    def remove_new_keys(self):
        """Removes the keys that have work, and brings the statistics of the table up to date."""
        self.sql(f"DELETE FROM api_partners WHERE {DUE}")
        self.sql("VACUUM ANALYZE api_partners")
        self.minted = 0

    def tokens(self, name, expression, first=None, last=None):
        """Writes tokens into a file: of this range, or of some keys, evenly spread. Returns the file's path."""
        path = self.directory / name
        numbers = f"{first}, {last}" if first else f"1, {self.keys}, {self.keys // TOKENS}"
        path.write_text(self.sql(f"SELECT {expression} FROM generate_series({numbers}) AS i"))
        return path

    def keys_file(self):
        return self.tokens("keys", KEY.format(i="i"))

    def forward_auth(self, connections, seconds, keys):
        return wrk(self.internal, "GET", "/internal/v1/forward-auth", keys, connections, seconds)

    def introspect(self, connections, seconds, keys):
        return wrk(self.internal, "POST", "/internal/v1/keys/introspect", keys, connections, seconds, CALLER)

    def status(self, connections, seconds, sessions):
        return wrk(self.public, "GET", "/api/v1/partners/api-key", sessions, connections, seconds)

    def create(self, connections, seconds, at_most=30_000, pause=None):
        """Creates keys of new accounts, at most that many a second."""
        first, last = self.minted + 1, self.minted + at_most * seconds
        if last > self.sessions:
            raise Failure("there are too few sessions for the creations; add more")
        tokens = self.tokens("new", "'new-' || i", first, last)
        made = wrk(self.public, "POST", "/api/v1/partners/api-key", tokens, connections, seconds, pause=pause)
        self.minted += made.count + connections
        return made

    def wait_until_provisioned(self, deadline):
        """Waits until no key has work. Returns whether that came in time."""
        end = time.monotonic() + deadline
        while self.sql(f"SELECT 1 FROM api_partners WHERE {DUE} LIMIT 1"):
            if time.monotonic() > end:
                return False
            time.sleep(0.2)
        return True
