"""What a client may vary at operations without parameters or a body, who it is, and our own checks.

All of it changes the loaded document only: these are the freedoms of HTTP, not of the contract.
"""

import os
import random
import sys
from urllib.parse import urlsplit

import requests
import schemathesis
from model import KEY_PATH, MAX_BODY, PORTAL_PATH, Model
from schemathesis.core.failures import AcceptedNegativeData
from schemathesis.generation.stateful.state_machine import APIStateMachine

BASE_URL = os.environ["BASE_URL"].rstrip("/")
SESSIONS = os.environ["SESSION_TOKENS"].split()
SEED = os.environ["SEED"]
DEAD_SESSIONS = os.environ.get("DEAD_SESSION_TOKENS", "").split()
MIN_CASES = int(os.environ["MIN_CASES"])
MODEL = Model(urlsplit(BASE_URL).netloc, SESSIONS)
# Seeded for each case, in `Credentials`.
CHOICE = random.Random()
FAULTS = {}
# Stands for a key of the moment; see `before_call`.
A_KEY = "pk_live_" + 64 * "0"


def varied(name, place, *shapes):
    return {"name": name, "in": place, "required": False, "schema": {"anyOf": [*shapes, {"type": "string"}]}}


PARAMETERS = [
    varied("Sec-Fetch-Site", "header", {"enum": ["same-origin", "none", "same-site", "cross-site", "Same-Origin"]}),
    varied("Origin", "header", {"enum": [BASE_URL, BASE_URL + ".example.com", "https://elsewhere.example", "null"]}),
    varied("X-Request-Id", "header", {"type": "string", "format": "uuid"}, {"enum": [A_KEY]}),
    varied("api_key", "query", {"enum": [A_KEY]}),
]
BODY = {
    "required": False,
    "content": {
        "application/json": {"schema": {}},
        "application/xml": {"schema": {}},
        "application/x-www-form-urlencoded": {"schema": {"type": "object"}},
        "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        # The only thing about a body that matters: longer ones are 413.
        "text/plain": {"schema": {"type": "string", "maxLength": MAX_BODY, "pattern": "^[ -~]*$"}},
    },
}


@schemathesis.hook
def before_load_schema(context, raw_schema):
    for path in raw_schema["paths"].values():
        for operation in path.values():
            operation["parameters"] = PARAMETERS
            operation["requestBody"] = BODY
    # Links say what to try next; the credentials, and what is right, come from the model.
    key = raw_schema["paths"][KEY_PATH]
    key["post"]["responses"]["201"]["links"] = {
        "portal": {
            "operationId": "getPartnerPortal",
            "parameters": {"header.Authorization": "Bearer {$response.body#/api_key}"},
        },
        **links(show="getPartnerApiKey", again="createPartnerApiKey", revoke="deletePartnerApiKey"),
    }
    key["get"]["responses"]["200"]["links"] = links(revoke="deletePartnerApiKey", portal="getPartnerPortal")
    key["delete"]["responses"]["200"]["links"] = links(
        portal="getPartnerPortal", show="getPartnerApiKey", create="createPartnerApiKey"
    )
    start_afresh()
    for token in SESSIONS:
        if faults := ask(token, "POST") + ask(token, "DELETE"):
            sys.exit(f"At the start, POST or DELETE {faults[0]}")


def links(**operations):
    return {name: {"operationId": operation} for name, operation in operations.items()}


def ask(token, method):
    """One plain request of our own, held against the model like all others."""
    with requests.Session() as session:
        headers = {"Authorization": f"Bearer {token}"}
        answer = session.request(method, BASE_URL + KEY_PATH, headers=headers, timeout=20)
    lists = {name.lower(): [value] for name, value in answer.headers.items()}
    return MODEL.faults(answer.request, answer.status_code, lists, answer.text)


def start_afresh():
    """All accounts without a key, as the model knows then."""
    for token in SESSIONS:
        if faults := ask(token, "DELETE"):
            sys.exit(f"At the start, DELETE {faults[0]}")
    MODEL.begin()


machine_init = APIStateMachine.__init__


def scenario_init(machine):
    """Every scenario of the stateful phase must begin alike.

    Where the same draws have another outcome the second time, Hypothesis gives up, in silence.
    """
    start_afresh()
    machine_init(machine)


APIStateMachine.__init__ = scenario_init


def wrong(token):
    """Credentials that are nearly right, or another caller's."""
    return CHOICE.choice(
        [
            f"Bearer {token[:-1]}",
            f"Bearer {token}x",
            f"Bearer {token.swapcase()}",
            f"Bearer {token}, Bearer {token}",
            f"Bearer {token} {token}",
            f"Bearer\t{token}",
            f"Basic {token}",
            f"Token {token}",
            token,
            "Bearer",
            "Bearer pk_live_" + 64 * "0",
            "Bearer " + 9000 * "x",
            *(f"Bearer {dead}" for dead in DEAD_SESSIONS),
        ]
    )


def for_portal():
    active = [key for key in MODEL.active.values() if key]
    roll = CHOICE.random()
    if roll < 0.55 and active:
        return {"Authorization": "Bearer " + CHOICE.choice(active)}
    if roll < 0.75:
        return {"Authorization": "Bearer " + MODEL.revoked[-1]}
    if roll < 0.8:
        return {"Authorization": "Bearer " + CHOICE.choice(MODEL.revoked)}
    session = CHOICE.choice(SESSIONS)
    if roll < 0.9:
        return CHOICE.choice([{"Authorization": f"Bearer {session}"}, {"Cookie": f"session={session}"}])
    return {"Authorization": wrong(CHOICE.choice(active or MODEL.revoked))}


def for_account():
    token, other = CHOICE.choice([MODEL.last, *SESSIONS]), CHOICE.choice(SESSIONS)
    key = MODEL.active[token] or MODEL.revoked[-1]
    roll = CHOICE.random()
    if roll < 0.4:
        return {"Authorization": CHOICE.choice(["Bearer ", "bearer ", "BEARER  "]) + token}
    if roll < 0.6:
        return {"Cookie": CHOICE.choice(["", "a=1; ", "sessions=x; "]) + f"session={token}"}
    if roll < 0.65:
        return {"Authorization": f"Bearer {token}", "Cookie": f"session={other}x"}
    if roll < 0.7:
        return {"Authorization": wrong(token), "Cookie": f"session={other}"}
    if roll < 0.75:
        return {"Cookie": f"session={token}; session={other}"}
    if roll < 0.8:
        return CHOICE.choice([{"Authorization": f"Bearer {key}"}, {"Cookie": f"session={key}"}])
    if roll < 0.9:
        return {"Authorization": wrong(token)}
    return {"Cookie": "session=" + wrong(token).removeprefix("Bearer ")}


@schemathesis.auth(refresh_interval=None, retry_on=[])
class Credentials:
    """Sends good credentials as such, so that `ignored_auth` takes all others for the garbage that they are."""

    def get(self, case, context):
        path = case.operation.path
        MODEL.turn += 1
        # A function of what Hypothesis drew, so the same case has the same credentials again; but for
        # the key that a link brings, which is another one each time.
        headers = {name: value for name, value in case.headers.items() if name != "Authorization"}
        CHOICE.seed(repr((SEED, MODEL.turn, case.method, path, headers, case.query, case.body)))
        if MODEL.caller(path, case.headers):  # a link has brought them
            return {"Authorization": case.headers["Authorization"]}
        headers = for_portal() if path == PORTAL_PATH else for_account()
        if MODEL.caller(path, headers):
            return headers
        if CHOICE.random() < 0.9:  # else those that schemathesis has made up, or none
            self.set(case, headers, context)
        return None

    def set(self, case, headers, context):
        case.headers.pop("Authorization", None)
        case.cookies.pop("session", None)
        case.headers.update(headers)


@schemathesis.hook
def before_call(context, case, kwargs):
    # One operation is called some hundred times on end: without this, all POSTs but the first were 409.
    if CHOICE.random() < 0.3:
        token = CHOICE.choice(SESSIONS)
        FAULTS[case.id] = ask(token, "DELETE" if MODEL.active[token] else "POST")
    # A key in the wrong place must not come back in an answer.
    key = next(filter(None, MODEL.active.values()), MODEL.revoked[-1])
    if case.query.get("api_key") == A_KEY:
        case.query["api_key"] = key
    if case.headers.get("X-Request-Id") == A_KEY:
        case.headers["X-Request-Id"] = key


@schemathesis.hook
def after_call(context, case, response):
    MODEL.cases += 1
    MODEL.kinds[case.meta.phase.name.value, case.meta.generation.mode.value] += 1
    body = response.content.decode("utf-8", "replace")
    faults = MODEL.faults(response.request, response.status_code, response.headers, body)
    FAULTS[case.id] = FAULTS.get(case.id, []) + faults


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Good credentials and a body that is not too long make a good request, whatever else is sent with it."""
    if not isinstance(failure, AcceptedNegativeData):
        return True
    return MODEL.is_too_long(response.request) or not MODEL.caller(case.operation.path, response.request.headers)


@schemathesis.check
def answers_as_the_contract_says(ctx, response, case):
    faults = FAULTS.get(case.id)
    assert not faults, "The answer was wrong: " + "; ".join(faults)


@schemathesis.check
class Enough:
    """A run that tested little must not pass."""

    def after_run(self, ctx):
        lines = [f"{MODEL.cases} cases"]
        lines += [f"{n:6} {phase}, {mode}" for (phase, mode), n in sorted(MODEL.kinds.items())]
        lines += [f"{n:6} {method:6} {path} {status}" for (method, path, status), n in sorted(MODEL.answers.items())]
        with open(os.environ["SUMMARY"], "w", encoding="utf-8") as summary:
            summary.write("\n".join(lines) + "\n")
        assert MODEL.cases >= MIN_CASES, f"Only {MODEL.cases} requests, {MIN_CASES} are the least"
        scenarios = sum(n for (phase, _), n in MODEL.kinds.items() if phase == "stateful")
        assert scenarios >= MIN_CASES // 5, f"Only {scenarios} requests in scenarios"
        served = {(method, path) for (method, path, status) in MODEL.answers if 200 <= status < 300}
        for operation in [("POST", KEY_PATH), ("GET", KEY_PATH), ("DELETE", KEY_PATH), ("GET", PORTAL_PATH)]:
            assert operation in served, f"{operation} never succeeded"
