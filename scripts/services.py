"""Private PostgreSQL and Redis servers, for `with-services` and `stack`.

Each server has a free port of its own and keeps everything below one temporary directory.
Servers that already run on the machine, their ports and their data are never looked at.

The guard (see guard.py) takes everything down, however the block of `with Services()` ends.
"""

import contextlib
import glob
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from guard import start_guard

START_DEADLINE = 60  # seconds; a server starts in one or two, a busy CI machine is slower
PORT_ATTEMPTS = 10


class Failure(Exception):
    """Something to tell the user in plain words; not a bug, so no traceback."""


class Interrupted(Exception):
    """A signal came while servers were starting or a caller was waiting."""

    def __init__(self, number):
        super().__init__(signal.Signals(number).name)
        self.exit_status = 128 + number


class Services:
    """The temporary directory and the servers in it, from `with` to the end of its block."""

    def __init__(self):
        self.signals = []  # numbers of the signals received, in order of arrival
        self.on_signal = None  # called with each of them, once there is something to do about it
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # A handler that only notes the signal cannot interrupt between the start of a server
            # and the note of its process id. SIGHUP stays ignored under nohup.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._note_signal)

    def __enter__(self):
        # PostgreSQL's socket path must fit in 103 bytes, and a Mac's own TMPDIR is long.
        parent = tempfile.gettempdir()
        self.root = Path(tempfile.mkdtemp(prefix="pk-", dir=parent if len(parent) < 60 else "/tmp"))
        self.root.chmod(0o711)  # the user postgres must be able to walk through
        self.tests_dir = self.root / "tests"
        self.tests_dir.mkdir(mode=0o711)
        self._keep_guard_waiting = start_guard(self.root)
        return self

    def __exit__(self, *_):
        self.on_signal = None
        os.close(self._keep_guard_waiting)
        # Until the guard and every server are gone; the servers are our children to reap.
        with contextlib.suppress(ChildProcessError):
            while True:
                os.wait()

    def _note_signal(self, number, _frame):
        self.signals.append(number)
        if self.on_signal:
            self.on_signal(number)

    def pause(self):
        """One step of a wait for a condition; raises Interrupted once a signal came."""
        if self.signals:
            raise Interrupted(self.signals[0])
        time.sleep(0.02)

    def remember(self, name, pid):
        """Has the guard end this process, should it outlive us."""
        (self.root / f"{name}.pid").write_text(f"{pid}\n")

    def start_postgres(self):
        """Starts PostgreSQL; returns the superuser's URL."""
        binaries = postgres_bin()
        home = self.root / "postgres"
        data = home / "data"
        home.mkdir(mode=0o755)
        as_user = {}
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            try:
                owner = pwd.getpwnam("postgres")
            except KeyError:
                raise Failure(
                    "PostgreSQL does not run as root, and there is no user `postgres` to run it"
                    " as. Run this as an ordinary user, or create that one."
                ) from None
            os.chown(home, owner.pw_uid, owner.pw_gid)
            as_user = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}

        log = self.root / "initdb.log"
        initdb = self._spawn("initdb", log, as_user, [
            f"{binaries}/initdb", "--pgdata", data, "--username", "postgres",
            "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync",
        ])  # fmt: skip
        try:
            deadline = time.monotonic() + START_DEADLINE
            while initdb.poll() is None and time.monotonic() < deadline:
                self.pause()
        finally:
            if initdb.poll() is None:
                os.killpg(initdb.pid, signal.SIGKILL)
        if initdb.wait() != 0:
            raise Failure(f"initdb failed:\n{tail(log)}")

        def argv(port):
            return [
                f"{binaries}/postgres", "-D", data,
                "-c", "listen_addresses=127.0.0.1", "-c", f"port={port}",
                "-c", f"unix_socket_directories={home}",
                "-c", "max_connections=300",
                # fsync guards against a crash of the machine, and this data does not outlive the
                # run. A commit still survives a crash of PostgreSQL alone, which tests cause.
                "-c", "fsync=off",
            ]  # fmt: skip

        def answers(process, _port):
            # The last line PostgreSQL writes there says whether it accepts connections. Asking
            # the port instead might reach another server that took the port first.
            try:
                lines = (data / "postmaster.pid").read_text().splitlines()
            except OSError:
                return False
            return len(lines) >= 8 and lines[0] == str(process.pid) and lines[7].strip() == "ready"

        port = self._start_on_free_port("postgres", argv, answers, as_user)
        return f"postgres://postgres@127.0.0.1:{port}/postgres"

    def start_redis(self):
        """Starts Redis; returns its URL."""
        redis = shutil.which("redis-server")
        if not redis:
            raise Failure("redis-server not found. Run scripts/install-deps.")
        home = self.root / "redis"
        home.mkdir()

        def argv(port):
            return [redis, "--bind", "127.0.0.1", "--port", str(port), "--dir", home,
                    "--save", "", "--appendonly", "no"]  # fmt: skip

        def answers(process, port):
            with contextlib.suppress(OSError):
                with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
                    connection.sendall(b"INFO server\r\n")
                    # Its own process id, since another server may have taken the port first.
                    return b"process_id:%d\r\n" % process.pid in connection.recv(65536)
            return False

        port = self._start_on_free_port("redis", argv, answers, {})
        return f"redis://127.0.0.1:{port}/"

    def _start_on_free_port(self, name, argv, answers, as_user):
        """A free port can be taken before the server binds it: then the next one is tried."""
        log = self.root / f"{name}.log"
        for _ in range(PORT_ATTEMPTS):
            port = free_port()
            process = self._spawn(name, log, as_user, argv(port))
            deadline = time.monotonic() + START_DEADLINE
            while process.poll() is None:
                if answers(process, port):
                    return port
                if time.monotonic() > deadline:
                    raise Failure(f"{name} does not answer:\n{tail(log)}")
                self.pause()
            if "in use" not in log.read_text(errors="replace"):
                break
        raise Failure(f"{name} did not start (status {process.returncode}):\n{tail(log)}")

    def _spawn(self, name, log, as_user, argv):
        # PG* variables would be the user's settings for another server; C keeps logs in English.
        env = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
        with open(log, "wb") as output:
            process = subprocess.Popen(
                [str(word) for word in argv], cwd=self.root, env={**env, "LC_ALL": "C"},
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C in the terminal is for the command
                **as_user,
            )  # fmt: skip
        self.remember(name, process.pid)
        return process


def version(path):
    return [int(number) for number in re.findall(r"\d+", path)]


def postgres_bin():
    """The directory of initdb, postgres and pg_ctl, which Debian and brew keep off PATH."""
    on_path = shutil.which("initdb")
    places = [os.environ.get("POSTGRES_BIN")]
    if on_path:  # often a link to one program, without the others beside it
        places.append(os.path.dirname(os.path.realpath(on_path)))
    for pattern in (
        "/usr/lib/postgresql/*/bin",
        "/usr/pgsql-*/bin",
        "/opt/homebrew/opt/postgresql*/bin",
        "/usr/local/opt/postgresql*/bin",
    ):
        # The newest version first; by number, since 9 sorts after 15 as text.
        places += sorted(glob.glob(pattern), key=version, reverse=True)
    for place in filter(None, places):
        if all(os.access(f"{place}/{name}", os.X_OK) for name in ("initdb", "postgres", "pg_ctl")):
            return place
    raise Failure("PostgreSQL's initdb, postgres and pg_ctl not found. Run scripts/install-deps.")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def tail(log, lines=30):
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
