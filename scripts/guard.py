"""The guard: a process that outlives its parent to end its servers and remove its directory.

It sits in a session of its own, where no Ctrl-C reaches it, and goes to work when the pipe from
its parent closes: at a normal end, after an error, and even when the parent gets SIGKILL.

What it ends is found on disk: every `*.pid` file below the directory, which PostgreSQL and Redis
write for themselves (the tests start servers of their own there), and `command.group`, the
process group of the command that with-services runs.
"""

import contextlib
import os
import shutil
import signal
import sys
import time

STOP_DEADLINE = 10  # seconds from SIGINT to SIGKILL; enough, since the data is thrown away


def start_guard(root):
    """Forks the guard of a directory; returns the file descriptor to close when it shall act."""
    wait_here, keep_open = os.pipe()
    if os.fork() != 0:
        os.close(wait_here)
        return keep_open
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        os.setsid()
        os.close(keep_open)
        clock = ProcessClock()
        os.read(wait_here, 1)
        take_down(root, clock)
    finally:
        os._exit(0)  # the rest of the script is the parent's


def take_down(root, clock):
    group = living_group(root / "command.group")
    end_servers(root, clock)
    if group:  # left-overs of a command that died: after the servers, so that those could tidy up
        with contextlib.suppress(OSError):
            os.killpg(group, signal.SIGKILL)
        end_servers(root, clock)
    for _ in range(50):  # a process on its way out may still add a file
        shutil.rmtree(root, ignore_errors=True)
        if not root.exists():
            return
        time.sleep(0.1)
    print(f"{root} could not be removed", file=sys.stderr)


def living_group(file):
    try:
        group = int(file.read_text())
        os.killpg(group, 0)
        return group
    except (OSError, ValueError):
        return None


def end_servers(root, clock):
    # SIGINT makes both servers stop at once and clean up: PostgreSQL would wait for its clients
    # on SIGTERM, and leave a piece of shared memory behind on SIGKILL.
    deadline = time.monotonic() + STOP_DEADLINE
    asked = set()
    while time.monotonic() < deadline:
        running = running_servers(root, clock)
        for pid in running - asked:
            end(pid, signal.SIGINT)
        asked |= running
        if not running:
            return
        time.sleep(0.02)
    for pid in running_servers(root, clock):
        end(pid, signal.SIGKILL)


def end(pid, number):
    with contextlib.suppress(OSError):
        os.kill(pid, number)


def running_servers(root, clock):
    found = set()
    for file in root.rglob("*.pid"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            pid = int(file.read_text().splitlines()[0])
            if pid > 1 and clock.wrote(pid, file):
                found.add(pid)
    return found


class ProcessClock:
    """Tells whether a process is the one that a pid file means.

    A server that was killed leaves its file, and its number may since belong to a stranger. That
    one started after the file was written. Without /proc (macOS) a living process is taken to be
    the right one: numbers come back far more slowly there than in a Linux container.
    """

    def __init__(self):
        self.has_proc = os.path.exists("/proc/self/stat")
        if self.has_proc:
            # One known pair of (ticks, wall clock) converts the others: this process, just forked.
            self.base = time.time() - self._start_ticks(os.getpid()) / os.sysconf("SC_CLK_TCK")

    def wrote(self, pid, file):
        if not self.has_proc:
            os.kill(pid, 0)  # raises when it is gone
            return True
        ticks = self._start_ticks(pid)
        if ticks is None:
            return False
        return self.base + ticks / os.sysconf("SC_CLK_TCK") <= file.stat().st_mtime + 1

    def _start_ticks(self, pid):
        with open(f"/proc/{pid}/stat") as stat:
            fields = stat.read().rpartition(")")[2].split()
        # A zombie is gone; where process 1 does not reap orphans it stays listed for ever.
        return None if fields[0] == "Z" else int(fields[19])
