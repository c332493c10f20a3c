"""A model of the service. It sees every request, and derives from earlier ones which responses are correct."""

import json
import re
from collections import Counter
from urllib.parse import urlsplit

KEY_PATH = "/api/v1/partners/api-key"
PORTAL_PATH = "/api/v1/partners/portal"
RAW_KEY = re.compile(r"pk_live_[0-9a-f]{64}")
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
IDEMPOTENCY_VALUE = re.compile(r"[!-~]{1,255}")
BEARER = re.compile(r"bearer +([!-~]+)", re.IGNORECASE)
MAX_BODY = 16 * 1024

CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    413: "payload_too_large",
    500: "internal",
    502: "bad_gateway",
    503: "unavailable",
    504: "gateway_timeout",
}


def text(value):
    """Returns a header value as text. `requests` encodes values as Latin-1, and holds some of them as bytes."""
    return value.decode("latin-1") if isinstance(value, bytes) else value


class Model:
    def __init__(self, host, sessions):
        self.host = host
        # The active key of each account, by session token. Each session is of a different account.
        self.active = dict.fromkeys(sessions)
        self.revoked = []
        # The requests that created a key, as `(token, Idempotency-Key)`.
        self.creators = set()
        self.scenario = 0
        self.cases = 0
        self.answers = Counter()
        self.kinds = Counter()
        self.begin()

    def begin(self):
        self.turn, self.last = 0, next(iter(self.active))
        self.scenario += 1

    def caller(self, path, headers):
        """Returns the valid credential as `(token or key, whether it is in the cookie)`, or None without one."""
        authorization = headers.get("Authorization")
        if authorization is not None:
            bearer = BEARER.fullmatch(text(authorization).strip(" \t"))
            known = self.active.values() if path == PORTAL_PATH else self.active
            return (bearer[1], False) if bearer and bearer[1] in known else None
        if path == PORTAL_PATH:
            return None
        pairs = [pair.strip().partition("=") for pair in text(headers.get("Cookie", "")).split(";")]
        values = [value for name, _, value in pairs if name == "session"]
        return (values[0], True) if len(values) == 1 and values[0] in self.active else None

    def is_too_long(self, request):
        return int(request.headers.get("Content-Length", 0)) > MAX_BODY

    def claims_own_origin(self, headers):
        if "Sec-Fetch-Site" in headers:
            return text(headers["Sec-Fetch-Site"]).strip(" \t") in ("same-origin", "none")
        return text(headers.get("Origin", "")).strip(" \t") in (f"http://{self.host}", f"https://{self.host}")

    def expected(self, request):
        """Returns the statuses that are correct for this request in the current state."""
        path, headers = urlsplit(request.url).path, request.headers
        if self.is_too_long(request):
            return {413}
        if request.method not in ("GET", "POST", "DELETE") or (path, request.method) in (
            (PORTAL_PATH, "POST"),
            (PORTAL_PATH, "DELETE"),
        ):
            return {405}
        caller = self.caller(path, headers)
        if caller is None:
            return {401}
        token, by_cookie = caller
        if path == PORTAL_PATH:
            return {200, 404}  # 404 until the worker has set up the webhooks
        if by_cookie and request.method != "GET" and not self.claims_own_origin(headers):
            return {403}
        if request.method == "POST":
            name = self.idempotency_key(headers)
            if name is not None and not IDEMPOTENCY_VALUE.fullmatch(name):
                return {400}
            return {409} if self.active[token] or (token, name) in self.creators else {201}
        return {200}

    def idempotency_key(self, headers):
        value = headers.get("Idempotency-Key")
        return None if value is None else text(value).strip(" \t")

    def problems(self, request, status, headers, body):
        """Returns the problems of this response, and records the changes that the request made."""
        path = urlsplit(request.url).path
        expected = self.expected(request)
        self.answers[request.method, path, status] += 1
        found = []
        if status not in expected:
            found.append(f"has status {status}, expected one of {sorted(expected)}")
        found += common_problems(request, status, headers, body)
        created = (request.method, path, status) == ("POST", KEY_PATH, 201)
        if not created and RAW_KEY.search(body + json.dumps(headers)):
            found.append("contains a raw key")
        if 200 <= status < 300:
            found += self.record(request, path, json.loads(body))
        return found

    def record(self, request, path, answer):
        """Records the changes that a successful request made, and returns the problems of its body."""
        token, _ = self.caller(path, request.headers) or (None, False)
        if path != KEY_PATH or token is None:
            return []
        key, self.last = self.active[token], token
        if request.method == "POST":
            self.active[token] = answer["api_key"]
            if name := self.idempotency_key(request.headers):
                self.creators.add((token, name))
            return [] if answer["api_key"].startswith(answer["prefix"]) else ["has a prefix of another key"]
        if request.method == "DELETE":
            if key:
                self.revoked.append(key)
            self.active[token] = None
            return []
        if answer.get("prefix") != (key[:24] if key else None):
            return ["does not show the account's active key"]
        return []


def common_problems(request, status, headers, body):
    """Returns the violations of the rules that hold for every response of every operation."""
    found = []
    ids = headers.get("x-request-id", [])
    if len(ids) != 1 or not UUID.fullmatch(ids[0]):
        return [f"must have one X-Request-Id, but has {ids}"]
    given = text(request.headers.get("X-Request-Id", "")).strip(" \t")
    if UUID.fullmatch(given) and given != ids[0]:
        found.append("does not return the X-Request-Id of the request")
    if headers.get("cache-control") != ["no-store"]:
        found.append("lacks Cache-Control: no-store")
    if status < 400:
        return found
    if status == 401 and "Bearer" not in headers.get("www-authenticate", [""])[0]:
        found.append("has status 401 but lacks WWW-Authenticate: Bearer")
    if status == 405 and not headers.get("allow"):
        found.append("has status 405 but lacks Allow")
    if status == 503 and not headers.get("retry-after", [""])[0].isdigit():
        found.append("has status 503 but lacks Retry-After in seconds")
    if request.method == "HEAD":
        return found
    try:
        answer = json.loads(body)
        error = answer["error"]
        is_valid = list(answer) == ["error"] and set(error) - {"created"} == {"code", "message", "request_id"}
        is_valid = is_valid and ("created" not in error or (status == 409 and "Idempotency-Key" in request.headers))
        is_valid = is_valid and error["code"] == CODES[status] and error["message"]
        is_valid = is_valid and error["request_id"] == ids[0]
    except (ValueError, KeyError, TypeError):
        is_valid = False
    if not is_valid:
        found.append("is not an ErrorBody with the code of its status and the X-Request-Id of its header")
    return found
