"""The peers from npm. Without network or npm there are none, and the report names what was left out."""

import contextlib
import json
import shutil
from pathlib import Path

from load import wrk
from processes import Program, run
from services import Failure, free_port

SOURCES = Path(__file__).with_name("peers")
INSTALL_DEADLINE = 180  # seconds
KEYS = 200  # of better-auth, which are checked in turn


class Peers:
    def __init__(self, bench):
        self.bench, self.directory, self.installed = bench, bench.directory / "peers", None

    def left_out(self, name):
        """Returns whether a peer cannot be measured, and makes a note of it."""
        if self.installed is None:
            self.installed = self._install()
        if not self.installed:
            self.bench.note(f"Left out: {name}, because npm could not install it.")
        return not self.installed

    def _install(self):
        shutil.copytree(SOURCES, self.directory)
        try:
            run(["npm", "ci", "--loglevel=error", "--fetch-retries=0"], deadline=INSTALL_DEADLINE, cwd=self.directory)
        except (OSError, Failure) as error:
            print(f"npm could not install the peers: {error}", flush=True)
            return False
        return True

    def versions(self):
        if not self.installed:
            return "no peers from npm"
        modules = self.directory / "node_modules"
        packages = {name: modules / name / "package.json" for name in ("@better-auth/api-key", "bullmq")}
        versions = [f"{name} {json.loads(path.read_text())['version']}" for name, path in packages.items()]
        return ", ".join([f"Node {run(['node', '--version']).strip()}", *versions])

    @contextlib.contextmanager
    def better_auth(self):
        """Runs the server of better-auth's API key plugin, or yields None if it could not be installed."""
        if self.left_out("better-auth"):
            yield None
            return
        server = BetterAuth(self.bench, self.directory)
        self.bench.note(
            "better-auth is one Node process with 20 connections to PostgreSQL. Its rate limit is off. It writes the "
            "time of the last use at each check."
        )
        try:
            yield server
        finally:
            server.program.stop()
            self.bench.watched.remove(server.program)

    def bullmq(self, pauses):
        """Runs an idle BullMQ worker and gives it jobs. Returns milliseconds until each started."""
        redis = self.bench.redis
        command = ["node", "bullmq.mjs", redis.host, redis.port, json.dumps(pauses)]
        return json.loads(run(command, cwd=self.directory))


class BetterAuth:
    """A running server, with its own database on the same PostgreSQL."""

    def __init__(self, bench, directory):
        database, port = f"better_auth_{bench.number()}", free_port()
        bench.postgres.sql(f"CREATE DATABASE {database}")
        self.url = f"http://127.0.0.1:{port}"
        command = ["node", directory / "better-auth.mjs", bench.postgres.url_of(database), str(port), str(KEYS)]
        self.program = Program(
            "better-auth", command, {"NODE_ENV": "production"}, directory / "better-auth.log", piped=True
        )
        self.keys, self.none = directory / "better-auth.keys", directory / "better-auth.none"
        self.none.write_text("none\n")
        with open(self.keys, "w") as keys:
            while line := self.program.process.stdout.readline().strip():
                print(line, file=keys)
        bench.watched.append(self.program)
        self.check(16, min(bench.seconds, 3))  # the first requests are slow
        self.create(16, min(bench.seconds, 3))

    def check(self, connections, seconds):
        return wrk(self.url, "GET", "/check", self.keys, connections, seconds)

    def create(self, connections, seconds):
        return wrk(self.url, "POST", "/create", self.none, connections, seconds)
