"""Private PostgreSQL and Redis servers for `with-services`, `stack` and the benchmark, and the guard that stops them.

The servers keep everything below one temporary directory. Servers that already run on this machine
are not touched.
"""

import contextlib
import ctypes
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parent
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
START_DEADLINE = 60  # seconds; a server starts in one or two, but a CI machine can be busy
STOP_DEADLINE = 10  # seconds from SIGINT to SIGKILL for servers, whose data is temporary
COMMAND_STOP_DEADLINE = 30  # seconds from a signal to SIGKILL for commands, which finish their work
MEMORY_FILES = Path("/dev/shm")
MEMORY_NEEDED = 8 << 30  # bytes; the databases of all tests take half of it


class Failure(Exception):
    """An error message for the user. It is not a bug, so it is shown without a traceback."""


class Interrupted(Exception):
    """A signal that asks the run to stop."""

    def __init__(self, number):
        super().__init__(number)
        self.number = number


def run_guarded(work, on_disk=False):
    """Runs `work(directory)` in a child process, the guard, and exits with the status it returns.

    At the end the guard stops every process that `work` started and removes the temporary directory.
    It also does so when this process is killed: then the pipe between the two closes. The guard is in
    a session of its own, so a signal to this process group does not end it. The directory is in memory if
    there is room, unless it must be `on_disk`.
    """
    pipe, keep_open = os.pipe()
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    guard = os.fork()
    for number in SIGNALS:
        # nohup ignores SIGHUP, and it must stay ignored.
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _pass_on_to(guard) if guard else _interrupt)
    if guard:
        os.close(pipe)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        sys.exit(shell_status(os.waitstatus_to_exitcode(os.waitpid(guard, 0)[1])))

    os.close(keep_open)
    os.setsid()
    if sys.platform == "linux":  # processes that lose their parent become children of the guard
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # 36 is PR_SET_CHILD_SUBREAPER
    directory = Path(tempfile.mkdtemp(prefix="partner-keys-", dir=None if on_disk else _fastest_place()))
    directory.chmod(0o711)  # the user `postgres` must be able to enter it
    status = 1
    try:
        # This thread starts with the signals blocked, so they interrupt the waits of the main thread.
        threading.Thread(target=_interrupt_when_closed, args=(pipe,), daemon=True).start()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        status = work(directory)
    except Interrupted as interrupted:
        status = 128 + interrupted.number
    except Failure as failure:
        print(f"{Path(sys.argv[0]).name}: {failure}", file=sys.stderr)
    finally:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        _stop_descendants()
        shutil.rmtree(directory, ignore_errors=True)
    sys.exit(status)


def _fastest_place():
    """Returns the directory of files in memory if much is free, or None for the usual place.

    The tests create hundreds of databases, each with hundreds of files. On some disks it takes a
    minute to delete them.
    """
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        available = 1024 * next(int(line.split()[1]) for line in lines if "MemAvailable" in line)
        free = min(available, shutil.disk_usage(MEMORY_FILES).free)
    except (OSError, StopIteration):
        return None
    return MEMORY_FILES if free >= MEMORY_NEEDED else None


def _pass_on_to(guard):
    return lambda number, _frame: os.kill(guard, number)


def _interrupt(number, _frame):
    raise Interrupted(number)


def _interrupt_when_closed(pipe):
    os.read(pipe, 1)
    os.kill(os.getpid(), signal.SIGTERM)


def _stop_descendants():
    deadline = time.monotonic() + STOP_DEADLINE
    while _has_children() and time.monotonic() < deadline + STOP_DEADLINE:
        # On SIGINT both servers stop at once and clean up. On SIGTERM PostgreSQL would wait for its
        # clients, and on SIGKILL it would leave shared memory behind.
        number = signal.SIGINT if time.monotonic() < deadline else signal.SIGKILL
        for pid in _descendants():
            with contextlib.suppress(OSError):
                os.kill(pid, number)
                os.kill(pid, signal.SIGCONT)  # a stopped process must first continue
        time.sleep(0.05)


def _has_children():
    """Reaps the children that have ended, and returns whether any are left."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
        return True
    return False


def _descendants():
    with subprocess.Popen(["ps", "-A", "-o", "pid=,ppid="], stdout=subprocess.PIPE) as ps:
        parents = [tuple(map(int, line.split())) for line in ps.stdout]
    found = {os.getpid()}
    while more := {pid for pid, parent in parents if parent in found} - found:
        found |= more
    return found - {os.getpid(), ps.pid}


def start_postgres(directory, durable=False):
    """Starts PostgreSQL, with its own durability or a faster one, and returns the URL of its superuser."""
    port = free_port()
    # Torn pages, which full_page_writes is for, need a crash, and nothing kills this server.
    durability = "fsync=on" if durable else "full_page_writes=off"
    settings = ["max_connections=1000", durability]
    _start("postgres", directory, [SCRIPTS / "postgres", ".", str(port), *settings])
    return f"postgres://postgres@127.0.0.1:{port}/postgres"


def start_redis(directory):
    """Starts Redis and returns its URL."""
    if not shutil.which("redis-server"):
        raise Failure("redis-server is not installed; run scripts/install-deps")
    port = free_port()
    _start("redis", directory, ["redis-server", SCRIPTS / "redis.conf", "--port", str(port)])
    return f"redis://127.0.0.1:{port}/"


def _start(name, directory, command):
    home = directory / name
    home.mkdir()
    log = directory / f"{name}.log"
    with open(log, "wb") as output:
        server = subprocess.Popen(
            command, cwd=home, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    deadline = time.monotonic() + START_DEADLINE
    while server.poll() is None and time.monotonic() < deadline:
        if b"eady to accept connections" in log.read_bytes():  # both servers say so
            return
        time.sleep(0.02)
    end = "\n".join(log.read_text(errors="replace").splitlines()[-30:])
    raise Failure(f"{name} did not start; its log ends with:\n{end}")


def free_port():
    """Returns a free port that the system does not give to outgoing connections."""
    while True:
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", random.randrange(16_000, 32_000)))
            return probe.getsockname()[1]


def stop(processes, number):
    """Sends a signal to process groups and waits until their leaders have ended.

    SIGKILL follows after a deadline or after a second signal to us.
    """
    for process in processes:
        _signal_group(process, number)
    try:
        deadline = time.monotonic() + COMMAND_STOP_DEADLINE
        for process in processes:
            process.wait(max(deadline - time.monotonic(), 0))
    except (Interrupted, subprocess.TimeoutExpired):
        for process in processes:
            _signal_group(process, signal.SIGKILL)
            process.wait()


def _signal_group(process, number):
    with contextlib.suppress(OSError):
        os.killpg(process.pid, number)


def shell_status(status):
    """Returns an exit status as a shell shows it: 128 + N after signal N."""
    return 128 - status if status < 0 else status
