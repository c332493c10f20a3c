"""Hooks of schemathesis: more parameters and bodies, credentials, and our own checks.

The operations have one parameter, and only two have a body. The hooks add some, only to the loaded document,
because HTTP allows clients to send them.
"""

import os
import random
import sys
from urllib.parse import urlsplit

import requests
import schemathesis
from model import FINISH_PATH, IDEMPOTENCY_VALUE, KEY_PATH, LEAKS_PATH, MAX_BODY, PORTAL_PATH, ROTATION_PATH, Model, text
from schemathesis.core.failures import AcceptedNegativeData
from schemathesis.generation.stateful.state_machine import APIStateMachine

BASE_URL = os.environ["BASE_URL"].rstrip("/")
SESSIONS = os.environ["SESSION_TOKENS"].split()
SEED = os.environ["SEED"]
DEAD_SESSIONS = os.environ.get("DEAD_SESSION_TOKENS", "").split()
MIN_CASES = int(os.environ["MIN_CASES"])
MODEL = Model(urlsplit(BASE_URL).netloc, SESSIONS)
# `Credentials` seeds it for each case.
RANDOM = random.Random()
PROBLEMS = {}
# `before_call` replaces this placeholder with a key.
PLACEHOLDER_KEY = "pk_live_" + 64 * "0"


def optional(name, place, *shapes):
    return {"name": name, "in": place, "required": False, "schema": {"anyOf": [*shapes, {"type": "string"}]}}


PARAMETERS = [
    optional("Sec-Fetch-Site", "header", {"enum": ["same-origin", "none", "same-site", "cross-site", "Same-Origin"]}),
    optional("Origin", "header", {"enum": [BASE_URL, BASE_URL + ".example.com", "https://elsewhere.example", "null"]}),
    optional("X-Request-Id", "header", {"type": "string", "format": "uuid"}, {"enum": [PLACEHOLDER_KEY]}),
    optional("api_key", "query", {"enum": [PLACEHOLDER_KEY]}),
]
# Some values are sent again and again.
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"anyOf": [{"enum": ["first", "second"]}, {"type": "string", "pattern": "^[!-~]{1,250}$"}]},
}
BODY = {
    "required": False,
    "content": {
        "application/json": {"schema": {}},
        "application/xml": {"schema": {}},
        "application/x-www-form-urlencoded": {"schema": {"type": "object"}},
        "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        # Only the length of a body matters: longer ones get 413.
        "text/plain": {"schema": {"type": "string", "maxLength": MAX_BODY, "pattern": "^[ -~]*$"}},
    },
}


@schemathesis.hook
def before_load_schema(context, raw_schema):
    for path in raw_schema["paths"].values():
        for operation in path.values():
            has_parameter = "parameters" in operation
            operation["parameters"] = [*PARAMETERS, IDEMPOTENCY_KEY] if has_parameter else PARAMETERS
            operation.setdefault("requestBody", BODY)
    # Links name the next operations to try. The model provides the credentials and the expected response.
    key = raw_schema["paths"][KEY_PATH]
    key["post"]["responses"]["201"]["links"] = {
        "portal": {
            "operationId": "getPartnerPortal",
            "parameters": {"header.Authorization": "Bearer {$response.body#/api_key}"},
        },
        **links(show="getPartnerApiKey", again="createPartnerApiKey", revoke="deletePartnerApiKey"),
        **links(rotate="startPartnerApiKeyRotation"),
    }
    rotation = links(show="getPartnerApiKey", again="startPartnerApiKeyRotation", portal="getPartnerPortal")
    rotation |= links(finish="finishPartnerApiKeyRotation", cancel="cancelPartnerApiKeyRotation")
    for path, method, status in [(ROTATION_PATH, "post", "201"), (ROTATION_PATH, "delete", "200"), (FINISH_PATH, "post", "200")]:
        raw_schema["paths"][path][method]["responses"][status]["links"] = rotation
    key["get"]["responses"]["200"]["links"] = links(revoke="deletePartnerApiKey", portal="getPartnerPortal")
    key["delete"]["responses"]["200"]["links"] = links(
        portal="getPartnerPortal", show="getPartnerApiKey", create="createPartnerApiKey"
    )
    reset()
    for token in SESSIONS:
        if problems := send(token, "POST") + send(token, "DELETE"):
            sys.exit(f"At the start, the response to POST or DELETE {problems[0]}")


def links(**operations):
    return {name: {"operationId": operation} for name, operation in operations.items()}


def send(token, method):
    """Sends one request, and returns the problems that the model finds in the response."""
    with requests.Session() as session:
        headers = {"Authorization": f"Bearer {token}"}
        response = session.request(method, BASE_URL + KEY_PATH, headers=headers, timeout=20)
    lists = {name.lower(): [value] for name, value in response.headers.items()}
    return MODEL.problems(response.request, response.status_code, lists, response.text)


def reset():
    """Revokes the keys of all accounts, and resets the model."""
    for token in SESSIONS:
        if problems := send(token, "DELETE"):
            sys.exit(f"At the start, the response to DELETE {problems[0]}")
    MODEL.begin()


original_init = APIStateMachine.__init__


def init_with_reset(machine):
    """Starts every scenario of the stateful phase from the same state.

    Hypothesis stops without a message if the same draws have a different outcome when it repeats them.
    """
    reset()
    original_init(machine)


APIStateMachine.__init__ = init_with_reset


def invalid_credential(token):
    """Returns an invalid `Authorization` header: similar to a valid one, or with a dead session."""
    return RANDOM.choice(
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


def portal_credentials():
    active = MODEL.live_keys()
    roll = RANDOM.random()
    if roll < 0.55 and active:
        return {"Authorization": "Bearer " + RANDOM.choice(active)}
    if roll < 0.75:
        return {"Authorization": "Bearer " + MODEL.revoked[-1]}
    if roll < 0.8:
        return {"Authorization": "Bearer " + RANDOM.choice(MODEL.revoked)}
    session = RANDOM.choice(SESSIONS)
    if roll < 0.9:
        return RANDOM.choice([{"Authorization": f"Bearer {session}"}, {"Cookie": f"session={session}"}])
    return {"Authorization": invalid_credential(RANDOM.choice(active or MODEL.revoked))}


def account_credentials():
    token, other = RANDOM.choice([MODEL.last, *SESSIONS]), RANDOM.choice(SESSIONS)
    key = MODEL.active[token] or MODEL.revoked[-1]
    roll = RANDOM.random()
    if roll < 0.4:
        return {"Authorization": RANDOM.choice(["Bearer ", "bearer ", "BEARER  "]) + token}
    if roll < 0.6:
        return {"Cookie": RANDOM.choice(["", "a=1; ", "sessions=x; "]) + f"session={token}"}
    if roll < 0.65:
        return {"Authorization": f"Bearer {token}", "Cookie": f"session={other}x"}
    if roll < 0.7:
        return {"Authorization": invalid_credential(token), "Cookie": f"session={other}"}
    if roll < 0.75:
        return {"Cookie": f"session={token}; session={other}"}
    if roll < 0.8:
        return RANDOM.choice([{"Authorization": f"Bearer {key}"}, {"Cookie": f"session={key}"}])
    if roll < 0.9:
        return {"Authorization": invalid_credential(token)}
    return {"Cookie": "session=" + invalid_credential(token).removeprefix("Bearer ")}


@schemathesis.auth(refresh_interval=None, retry_on=[])
class Credentials:
    """Provides valid credentials to schemathesis, so that its check `ignored_auth` treats all others as invalid."""

    def get(self, case, context):
        path = case.operation.path
        MODEL.turn += 1
        # Seed with the values that Hypothesis drew, so that the same case gets the same credentials. Omit
        # the key from a link, because it differs each time.
        headers = {name: value for name, value in case.headers.items() if name != "Authorization"}
        RANDOM.seed(repr((SEED, MODEL.turn, case.method, path, headers, case.query, case.body)))
        if MODEL.caller(path, case.headers):  # credentials from a link
            return {"Authorization": case.headers["Authorization"]}
        headers = portal_credentials() if path == PORTAL_PATH else account_credentials()
        if MODEL.caller(path, headers):
            return headers
        if RANDOM.random() < 0.9:  # otherwise keep those that schemathesis generated, or none
            self.set(case, headers, context)
        return None

    def set(self, case, headers, context):
        case.headers.pop("Authorization", None)
        case.cookies.pop("session", None)
        case.headers.update(headers)


@schemathesis.hook
def before_call(context, case, kwargs):
    # schemathesis calls one operation some hundred times in a row. Change the state in between: otherwise every
    # POST but the first would get 409.
    if RANDOM.random() < 0.3:
        token = RANDOM.choice(SESSIONS)
        PROBLEMS[case.id] = send(token, "DELETE" if MODEL.active[token] else "POST")
    # Send a key where it does not belong. The response must not contain it.
    key = next(filter(None, MODEL.active.values()), MODEL.revoked[-1])
    if case.query.get("api_key") == PLACEHOLDER_KEY:
        case.query["api_key"] = key
    # The service remembers the values, also after a reset. Each scenario needs values of its own.
    if IDEMPOTENCY_VALUE.fullmatch(text(case.headers.get("Idempotency-Key", ""))):
        case.headers["Idempotency-Key"] = f"{MODEL.scenario:04}{case.headers['Idempotency-Key']}"
    if case.headers.get("X-Request-Id") == PLACEHOLDER_KEY:
        case.headers["X-Request-Id"] = key


@schemathesis.hook
def after_call(context, case, response):
    MODEL.cases += 1
    MODEL.kinds[case.meta.phase.name.value, case.meta.generation.mode.value] += 1
    body = response.content.decode("utf-8", "replace")
    problems = MODEL.problems(response.request, response.status_code, response.headers, body)
    PROBLEMS[case.id] = PROBLEMS.get(case.id, []) + problems


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Accepts success for every request with valid credentials and a body that is not too long.

    Which reports of leaked keys succeed is the model's matter.
    """
    if not isinstance(failure, AcceptedNegativeData):
        return True
    if case.operation.path == LEAKS_PATH:
        return False
    return MODEL.is_too_long(response.request) or not MODEL.caller(case.operation.path, response.request.headers)


@schemathesis.check
def response_matches_the_model(ctx, response, case):
    problems = PROBLEMS.get(case.id)
    assert not problems, "The response " + "; ".join(problems)


@schemathesis.check
class EnoughCases:
    """Fails a run that sent too few requests, and writes the summary."""

    def after_run(self, ctx):
        lines = [f"{MODEL.cases} cases"]
        lines += [f"{n:6} {phase}, {mode}" for (phase, mode), n in sorted(MODEL.kinds.items())]
        lines += [f"{n:6} {method:6} {path} {status}" for (method, path, status), n in sorted(MODEL.answers.items())]
        with open(os.environ["SUMMARY"], "w", encoding="utf-8") as summary:
            summary.write("\n".join(lines) + "\n")
        assert MODEL.cases >= MIN_CASES, f"The run sent {MODEL.cases} requests, expected at least {MIN_CASES}"
        scenarios = sum(n for (phase, _), n in MODEL.kinds.items() if phase == "stateful")
        least = MIN_CASES // 5
        assert scenarios >= least, f"The run sent {scenarios} requests in scenarios, expected at least {least}"
        served = {(method, path) for (method, path, status) in MODEL.answers if 200 <= status < 300}
        operations = [("POST", KEY_PATH), ("GET", KEY_PATH), ("DELETE", KEY_PATH), ("GET", PORTAL_PATH)]
        operations += [("POST", ROTATION_PATH), ("POST", FINISH_PATH), ("DELETE", ROTATION_PATH)]
        operations += [("POST", LEAKS_PATH)]
        for operation in operations:
            assert operation in served, f"{operation} never succeeded"
