"""The report: docs/BENCHMARKS.md."""

import datetime
import os
import platform
from pathlib import Path
from statistics import median

import chart
from processes import run

DOCS = Path(__file__).resolve().parent.parent / "docs"
HEAD = """| measured | median (least to most) | p50 | p99 | against | its median (least to most) | ratio |
|---|---|---|---|---|---|---|"""
SMALL = 0.03  # of a row's processor time; less is not shown


def line(row):
    """Returns a row of the table."""
    against, theirs, ratio = row.against, "", ""
    if isinstance(row.theirs, list):
        theirs = spread([sample.value for sample in row.theirs], row.unit)
    elif row.theirs:
        theirs = number(row.theirs) + row.unit
    if ratios := row.ratios():
        ratio = number(median(ratios))
    latencies = [latency([getattr(sample, name) for sample in row.ours]) for name in ("p50", "p99")]
    values = spread([sample.value for sample in row.ours], row.unit)
    return "| " + " | ".join([row.name, values, *latencies, against, theirs, ratio]) + " |"


def processors(rows):
    """Returns the rows of the table of processor time."""
    lines = {}
    for row in rows:
        if used := row.cpu():
            unit = " µs" if row.ours[0].count else " %"
            shown = [f"{name} {number(used[name])}{unit}" for name in used if used[name] > SMALL * sum(used.values())]
            lines[row.name] = f"| {row.name} | {', '.join(shown)} |"
    return "\n".join(lines.values())


def spread(values, unit):
    if len(values) == 1:
        return number(values[0]) + unit
    return f"{number(median(values))}{unit} ({number(min(values))} to {number(max(values))})"


def latency(values):
    return "" if None in values else f"{median(values):.2f} ms"


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def loads(curves):
    """Returns the table of what the picture shows, or nothing."""
    lines = ["", "| latency against load | requests a second | p50 | p99 |", "|---|---|---|---|"]
    for name, curve in curves.items():
        for connections, samples in curve.items():
            rate = number(median(sample.value for sample in samples))
            p50, p99 = (latency([getattr(sample, part) for sample in samples]) for part in ("p50", "p99"))
            lines.append(f"| {name}, {connections} connection{'s' * (connections > 1)} | {rate} | {p50} | {p99} |")
    return "\n".join(lines) + "\n" if curves else ""


def markdown(bench):
    rows = "\n".join(map(line, bench.rows))
    memory = "\n".join(f"| {name} | {megabytes:.0f} MB |" for name, megabytes in bench.memory.items())
    notes = "\n".join(f"- {note}" for note in bench.notes)
    version = run([bench.binaries / "api", "--version"]).strip()
    machine = f"{os.cpu_count()} processors, {platform.system()} {platform.machine()}"
    software = f"{bench.postgres.version}, {bench.peers.versions()}"
    turns = f"{bench.rounds} × {bench.seconds} s"
    picture = "\n![Latency against load](benchmarks.svg)\n" if bench.curves else ""
    return f"""# Benchmarks

Written by `make bench` on {datetime.date.today()}: {version}, {machine}, {software}.

The service, PostgreSQL (default durability), Redis and the client share the machine, and speak over TCP. The api
and the worker write their log to a file. Ours and its peer took turns, in most rows {turns} each. The rows
show the medians of these rounds, and in parentheses the least and the most. The ratio is the median of the rounds'
ratios. The ratios carry over to another machine better than the rates.
{picture}
{HEAD}
{rows}
{loads(bench.curves)}
Processor time of one request or job (µs), or the share of one processor (%):

| measured | processes |
|---|---|
{processors(bench.rows)}

| process | peak memory in any row (of PostgreSQL: all processes, after a row) |
|---|---|
{memory}

{notes}
"""


def write(bench, text):
    """Writes the report and the picture into docs."""
    (DOCS / "BENCHMARKS.md").write_text(text)
    (DOCS / "benchmarks.svg").write_text(chart.svg(bench.curves))
