"""Load on an HTTP server, by wrk."""

import os
import re
from pathlib import Path

from measure import Sample
from processes import run
from services import Failure

SCRIPT = Path(__file__).with_name("load.lua")
MILLISECONDS = {"us": 0.001, "ms": 1, "s": 1000}


def wrk(url, method, path, tokens, connections, seconds, caller=None, pause=None):
    """Sends requests over that many connections. Returns requests a second with p50 and p99."""
    env = {**os.environ, **({"PAUSE": str(pause)} if pause else {})}
    output = run(
        ["wrk", "--threads", 1, "--connections", connections, "--duration", f"{seconds}s", "--timeout", "20s",
         "--latency", "--script", SCRIPT, url, "--", method, path, tokens, *([caller] if caller else [])],
        env=env,
    )  # fmt: skip
    if re.search(r"Non-2xx or 3xx responses|Socket errors", output):
        raise Failure(f"requests to {url}{path} failed:\n{output}")
    return Sample(
        float(re.search(r"Requests/sec:\s+([\d.]+)", output).group(1)),
        p50=_latency(output, 50), p99=_latency(output, 99),
        count=int(re.search(r"(\d+) requests in", output).group(1)),
    )  # fmt: skip


def _latency(output, percentile):
    value, unit = re.search(rf"{percentile}%\s+([\d.]+)(us|ms|s)", output).groups()
    return float(value) * MILLISECONDS[unit]
