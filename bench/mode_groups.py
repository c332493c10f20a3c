"""What other ways to run the service cost. Each group is a function whose doc comment says what."""

from functools import partial

from api_groups import KEYS
from collector import Collector
from deployment import Deployment
from servers import PgBouncer
from worker_groups import CONCURRENCY, drain


def pooler(bench):
    """the service through PgBouncer in transaction mode, against the same without it"""
    count = CONCURRENCY * 160
    with Deployment(bench) as direct, Deployment(bench) as pooled, PgBouncer(bench) as pgbouncer:
        pooled.env |= {"DATABASE_URL": pgbouncer.url_of(pooled.database), "DATABASE_POOLER": "transaction"}
        for ours in (direct, pooled):
            ours.start_svix()
        compare(bench, {"directly": direct, f"through {pgbouncer.version}": pooled})
        taken = bench.turns({
            "pooled": partial(drain, pooled, count, workers=1),
            "direct": partial(drain, direct, count, workers=1),
        })  # fmt: skip
        row = f"provisioning, one worker, Svix at once, through {pgbouncer.version}"
        bench.add(row, taken["pooled"], "/s", "directly", taken["direct"])


def tracing(bench):
    """the service with traces to a collector, against the same without"""
    with (
        Deployment(bench) as without, Deployment(bench) as some, Deployment(bench) as all_traced,
        Collector() as collector,
    ):  # fmt: skip
        for ours in (some, all_traced):
            ours.env["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector.url
        some.env |= {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.01"}
        compare(bench, {"without traces": without, "1 % traced": some, "all traced": all_traced})
        bench.note(
            f"The collector got {collector.requests} requests with traces and metrics. Spans beyond those that it can "
            "take in time are dropped."
        )


def compare(bench, deployments):
    """Measures requests to an api of each deployment, and compares the first with each of the others."""
    subjects = {}
    for name, ours in deployments.items():
        ours.add_sessions(30_000 * bench.seconds)
        ours.add_keys(KEYS)
        ours.start_api()
        keys, sessions = ours.keys_file(), ours.tokens("sessions", "'session-' || i")
        for connections in (16, 128):
            subjects |= {
                (f"forward-auth, {connections} connections", name): partial(
                    ours.forward_auth, connections, bench.seconds, keys
                ),
                (f"GET status, {connections} connections", name): partial(
                    ours.status, connections, bench.seconds, sessions
                ),
                (f"POST create, {connections} connections", name): partial(create, bench, ours, connections),
            }
    order = sorted(subjects, key=lambda subject: subject[0])  # the deployments in turns
    taken = bench.turns({subject: subjects[subject] for subject in order})
    first, *others = deployments
    for row in dict.fromkeys(row for row, _ in order):
        for name in others:
            bench.add(f"{row}, {name}", taken[row, name], "/s", first, taken[row, first])


def create(bench, ours, connections):
    """Removes the keys of earlier measurements, and creates new ones."""
    ours.remove_new_keys()
    bench.begin()
    return ours.create(connections, bench.seconds)
