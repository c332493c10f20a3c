"""A model of the service. It sees every request, and derives from earlier ones which responses are correct."""

import json
import re
import time
from collections import Counter
from urllib.parse import urlsplit

KEY_PATH = "/api/v1/partners/api-key"
ROTATION_PATH = KEY_PATH + "/rotation"
FINISH_PATH = ROTATION_PATH + "/finish"
PORTAL_PATH = "/api/v1/partners/portal"
LEAKS_PATH = "/api/v1/partners/leaked-keys"
METHODS = {
    KEY_PATH: "GET POST DELETE",
    ROTATION_PATH: "POST DELETE",
    FINISH_PATH: "POST",
    PORTAL_PATH: "GET",
    LEAKS_PATH: "POST",
}
# The longest time in seconds that a request may have been under way: around the end of a key, both answers are correct.
MARGIN = 20
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


def parse(body):
    """Parses JSON, in which numbers such as NaN are invalid."""
    return json.loads(body, parse_constant=lambda name: int(name))


def is_report(body):
    """Returns whether this is a report of leaked keys. The service takes numbers and booleans for their texts."""
    try:
        report = parse(body or b"")
        keys, url = report["keys"], report.get("url")
    except (ValueError, KeyError, TypeError):
        return False
    is_list = isinstance(report, dict) and isinstance(keys, list) and 1 <= len(keys) <= 100
    is_text = lambda value: isinstance(value, (str, int, float))
    return is_list and all(map(is_text, keys)) and (url is None or is_text(url))


def overlap(body):
    """Returns the overlap in seconds that a start of a rotation asks for, or None if its body is invalid."""
    try:
        asked = parse(body) if body else {}
        seconds = asked["overlap_seconds"] if asked.get("overlap_seconds") is not None else 86400
    except (ValueError, AttributeError):
        return None
    return seconds if type(seconds) is int and 0 <= seconds <= 604800 else None


class Model:
    def __init__(self, host, sessions):
        self.host = host
        # The active key of each account, by session token. Each session is of a different account.
        self.active = dict.fromkeys(sessions)
        # The key that the active one has replaced, with the earliest and the latest time of its end.
        self.previous = dict.fromkeys(sessions)
        # Whether the active key has replaced another, unless that was canceled.
        self.has_replaced = dict.fromkeys(sessions, False)
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

    def live_keys(self):
        """Returns the keys that work, or that may work because their end is now."""
        for token, previous in self.previous.items():
            if previous and time.monotonic() > previous[2] + MARGIN:
                self.revoked.append(previous[0])
                self.previous[token] = None
        return [key for key in self.active.values() if key] + [known[0] for known in self.previous.values() if known]

    def overlaps(self, token):
        """Returns whether the account's previous key works: True, False, or both."""
        previous = self.previous[token]
        if not previous:
            return {False}
        return {True} if time.monotonic() < previous[1] else {True, False}

    def caller(self, path, headers):
        """Returns the valid credential as `(token or key, whether it is in the cookie)`, or None without one."""
        authorization = headers.get("Authorization")
        if authorization is not None:
            bearer = BEARER.fullmatch(text(authorization).strip(" \t"))
            known = self.live_keys() if path == PORTAL_PATH else self.active
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
        self.live_keys()  # forgets those that have ended
        if self.is_too_long(request):
            return {413}
        if request.method not in METHODS.get(path, "").split():
            return {405}
        if path == LEAKS_PATH:
            return {202} if is_report(request.body) else {400}
        caller = self.caller(path, headers)
        if caller is None:
            return {401}
        token, by_cookie = caller
        if path == PORTAL_PATH:
            ending = any(known and known[0] == token and time.monotonic() >= known[1] for known in self.previous.values())
            return {200, 404} | ({401} if ending else set())  # 404 until the worker has set up the webhooks
        if by_cookie and request.method != "GET" and not self.claims_own_origin(headers):
            return {403}
        if request.method == "POST" and path != FINISH_PATH:
            name = self.idempotency_key(headers)
            if name is not None and not IDEMPOTENCY_VALUE.fullmatch(name):
                return {400}
            if path == ROTATION_PATH and overlap(request.body) is None:
                return {400}
            if (token, name) in self.creators:
                return {409}
            if path == KEY_PATH:
                return {409} if self.active[token] else {201}
            if not self.active[token]:
                return {404}
            return {409 if overlaps else 201 for overlaps in self.overlaps(token)}
        if (path, request.method) == (ROTATION_PATH, "DELETE"):
            over = 409 if self.active[token] and self.has_replaced[token] else 200
            return {200 if overlaps else over for overlaps in self.overlaps(token)}
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
        created = (request.method, status) == ("POST", 201)
        if not created and RAW_KEY.search(body + json.dumps(headers)):
            found.append("contains a raw key")
        if 200 <= status < 300 and status in expected:
            found += self.record(request, path, json.loads(body))
        return found

    def record(self, request, path, answer):
        """Records the changes that a successful request made, and returns the problems of its body."""
        token, _ = self.caller(path, request.headers) or (None, False)
        if path in (PORTAL_PATH, LEAKS_PATH) or token is None:
            return []
        key, previous, self.last = self.active[token], self.previous[token], token
        if request.method == "GET":
            if answer.get("prefix") != (key[:24] if key else None):
                return ["does not show the account's active key"]
            shown = "rotation" in answer
            if shown not in self.overlaps(token) or (shown and answer["rotation"]["previous_prefix"] != previous[0][:24]):
                return ["does not show the rotation"]
            return []
        if (path, request.method) == (ROTATION_PATH, "DELETE"):
            if previous:
                self.end(key)
                self.active[token], self.previous[token], self.has_replaced[token] = previous[0], None, False
            return []
        self.end(previous and previous[0])
        self.previous[token] = None
        if path == FINISH_PATH:
            return []
        if request.method == "DELETE":
            self.end(key)
            self.active[token], self.has_replaced[token] = None, False
            return []
        self.active[token], self.has_replaced[token] = answer["api_key"], path == ROTATION_PATH
        if name := self.idempotency_key(request.headers):
            self.creators.add((token, name))
        if path == ROTATION_PATH:
            seconds = overlap(request.body)
            end = time.monotonic() + seconds
            self.previous[token] = (key, end - MARGIN, end) if seconds else None
            self.end(None if seconds else key)
            if answer["previous"]["prefix"] != key[:24]:
                return ["does not name the previous key"]
        return [] if answer["api_key"].startswith(answer["prefix"]) else ["has a prefix of another key"]

    def end(self, key):
        """Records that this key, if it is one, has ended."""
        if key:
            self.revoked.append(key)


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
