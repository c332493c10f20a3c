"""The private PostgreSQL and Redis servers, and PostgreSQL's own benchmark, pgbench."""

import contextlib
import os
import re
import shutil
import signal
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

from processes import Program, run, usage, usage_of_tree
from services import SCRIPTS, Failure, free_port, start_postgres, start_redis

PGBENCH_CLIENTS = 90  # the most; more do not make it faster


class Postgres:
    """PostgreSQL with its default durability, on disk."""

    def __init__(self, directory):
        self.url = start_postgres(directory, durable=True)
        self.directory = directory
        self.programs = Path(run([SCRIPTS / "postgres", "--bin"]).strip())
        self.pid = int((directory / "postgres/data/postmaster.pid").read_text().split()[0])
        self.version = run([self.programs / "pgbench", "--version"]).strip()

    def url_of(self, database):
        return f"{self.url.rsplit('/', 1)[0]}/{database}"

    def sql(self, statement, database="postgres"):
        """Runs statements and returns the rows that they print, with | between the columns."""
        options = ["--quiet", "--no-align", "--tuples-only", "--no-psqlrc", "--set", "ON_ERROR_STOP=1"]
        return run([self.programs / "psql", *options, "--dbname", self.url_of(database), "--command", statement])

    def pgbench(self, database, name, statements, clients, *options):
        """Runs pgbench with prepared statements over TCP. Returns transactions a second, and how many there were."""
        path = self.directory / f"{name}.sql"
        path.write_text(statements)
        output = run([
            self.programs / "pgbench", "--no-vacuum", "--protocol", "prepared", "--client", clients, "--jobs", 2,
            *options, "--file", path, self.url_of(database),
        ])  # fmt: skip
        time.sleep(0.2)  # until its server processes have ended, so that their processor time is known
        count = re.search(r"actually processed: (\d+)", output).group(1)
        return float(re.search(r"tps = ([\d.]+)", output).group(1)), int(count)

    def transactions(self, database):
        counts = f"SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = '{database}'"
        return int(self.sql(counts))

    def usage(self):
        return usage_of_tree(self.pid)


class Redis:
    """Redis without persistence."""

    def __init__(self, directory):
        self.url = start_redis(directory)
        self.host, self.port = urlsplit(self.url).hostname, urlsplit(self.url).port
        self.pid = int(re.search(r"process_id:(\d+)", self.ask("INFO server")).group(1))

    def ask(self, command):
        with socket.create_connection((self.host, self.port), timeout=10) as connection:
            connection.sendall(f"{command}\r\n".encode())
            answer = connection.makefile("rb")
            head = answer.readline()
            return (answer.read(int(head[1:])) if head[:1] == b"$" else head).decode()

    def commands(self):
        """Returns how many commands have run, those within scripts included."""
        return sum(map(int, re.findall(r"calls=(\d+)", self.ask("INFO commandstats"))))

    @contextlib.contextmanager
    def frozen(self):
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)
            time.sleep(0.5)  # until clients have their late answers

    def usage(self):
        return usage([self.pid])


class PgBouncer:
    """A context in which PgBouncer runs, with the sample configuration, in front of PostgreSQL."""

    def __init__(self, bench):
        self.bench = bench

    def __enter__(self):
        directory, self.port = self.bench.directory / "pgbouncer", free_port()
        directory.mkdir()
        server, users = urlsplit(self.bench.postgres.url), directory / "users.txt"
        users.write_text(f'"{server.username}" ""\n')
        settings = (SCRIPTS.parent / "deploy/postgres/pgbouncer.ini").read_text()
        for sample, ours in (
            ("partner_keys = host=10.0.0.10 port=5432", f"* = host={server.hostname} port={server.port}"),
            ("10.0.0.11", "127.0.0.1"), ("listen_port = 6432", f"listen_port = {self.port}"),
            ("scram-sha-256", "trust"), ("/etc/pgbouncer/userlist.txt", str(users)),
        ):  # fmt: skip
            if sample not in settings:
                raise Failure(f"deploy/postgres/pgbouncer.ini has no {sample}")
            settings = settings.replace(sample, ours)
        if os.getuid() == 0:  # as root it refuses to run
            settings += "user = postgres\n"
        file = directory / "pgbouncer.ini"
        file.write_text(settings)
        directory.chmod(0o755)
        path = {"PATH": f"{os.environ['PATH']}:/usr/sbin"}  # Debian keeps it off a user's PATH
        program = shutil.which("pgbouncer", path=path["PATH"])
        if not program:
            raise Failure("pgbouncer is not installed; run scripts/install-deps pgbouncer")
        self.version = run([program, "--version"]).splitlines()[0]
        self.program = Program("PgBouncer", [program, file], path, directory / "pgbouncer.log")
        self.bench.watched.append(self.program)
        self.program.listening(self.port)
        return self

    def __exit__(self, *_):
        self.program.stop()
        self.bench.watched.remove(self.program)

    def url_of(self, database):
        server = urlsplit(self.bench.postgres.url_of(database))
        return server._replace(netloc=f"{server.username}@127.0.0.1:{self.port}").geturl()
