"""Programs that the benchmark starts, and what processes use of the machine."""

import contextlib
import os
import re
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

from services import Failure, stop

TICKS = os.sysconf("SC_CLK_TCK")
READY_DEADLINE = 60  # seconds


class Program:
    """A running program in a process group of its own. Its output is in a file, unless it is piped."""

    def __init__(self, name, command, env, log, piped=False):
        self.name, self.log = name, log
        self.used = None
        self.started = time.monotonic()
        with open(log, "ab") as output:
            self.process = subprocess.Popen(
                command, env={"PATH": os.environ["PATH"], **env}, stdin=subprocess.DEVNULL, stderr=output,
                stdout=subprocess.PIPE if piped else output, text=True, process_group=0,
            )  # fmt: skip

    def ready(self, url):
        """Waits until the URL answers 200. Returns the seconds since the start."""
        return self._wait_until(lambda: answers(url), f"answer at {url}")

    def listening(self, port):
        """Waits until it accepts connections. Returns the seconds since the start."""
        return self._wait_until(lambda: listens(port), f"listen at port {port}")

    def _wait_until(self, done, what):
        while not done():
            if self.process.poll() is not None or time.monotonic() > self.started + READY_DEADLINE:
                end = "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])
                raise Failure(f"{self.name} does not {what}; its log ends with:\n{end}")
            time.sleep(0.002)
        return time.monotonic() - self.started

    def usage(self):
        """Returns what it has used so far, or until it was stopped."""
        return self.used or usage([self.process.pid])

    def stop(self):
        self.used = self.usage()
        stop([self.process], 15)


def answers(url):
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=1) as answer:
        return answer.status == 200
    return False


def listens(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def run(command, deadline=1800, **options):
    """Runs a command to its end and returns its output."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=deadline, **options
        )
    except subprocess.TimeoutExpired as expired:
        raise Failure(f"{command[0]} did not end within {deadline} s") from expired
    if done.returncode != 0:
        raise Failure(f"{command[0]} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def usage(pids):
    """Returns the seconds of a processor that these processes have used, and their peak memory in MB."""
    seconds = megabytes = 0
    for pid in pids:
        with contextlib.suppress(OSError):  # the process may have ended
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
            seconds += sum(map(int, fields[11:13])) / TICKS
            status = Path(f"/proc/{pid}/status").read_text()
            if peak := re.search(r"VmHWM:\s+(\d+)", status):  # not of a process that has just ended
                megabytes += int(peak.group(1)) / 1024
    return seconds, megabytes


def usage_of_tree(pid):
    """Returns the same for a process and its children. The memory is what they use now, shared pages once."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    ended = sum(map(int, fields[13:15])) / TICKS  # of the children that have ended
    kilobytes = 0
    for process in [pid, *children]:
        with contextlib.suppress(OSError):
            rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
            kilobytes += int(re.search(r"Pss:\s+(\d+)", rollup).group(1))
    return usage([pid, *children])[0] + ended, kilobytes / 1024
