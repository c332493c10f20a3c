"""What the service must answer, from what it was sent so far. Every request passes through here."""

import json
import re
from collections import Counter
from urllib.parse import urlsplit

KEY_PATH = "/api/v1/partners/api-key"
PORTAL_PATH = "/api/v1/partners/portal"
RAW_KEY = re.compile(r"pk_live_[0-9a-f]{64}")
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
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
    """A header as it goes over the wire: requests takes text as Latin-1, and some it has made bytes."""
    return value.decode("latin-1") if isinstance(value, bytes) else value


class Model:
    def __init__(self, host, sessions):
        self.host = host
        # The suite issues each session for another account, so a token names its account.
        self.active = dict.fromkeys(sessions)
        self.revoked = []
        self.cases = 0
        self.answers = Counter()
        self.kinds = Counter()
        self.begin()

    def begin(self):
        self.turn, self.last = 0, next(iter(self.active))

    def caller(self, path, headers):
        """Who is asking, `(token or key, came in the cookie)`; None if nobody whom the service knows."""
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

    def is_own_site(self, headers):
        if text(headers.get("Sec-Fetch-Site", "")).strip(" \t") in ("same-origin", "none"):
            return True
        return text(headers.get("Origin", "")).strip(" \t") in (f"http://{self.host}", f"https://{self.host}")

    def expected(self, request):
        """The statuses that are right for this request, as things are now."""
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
            return {200, 404}  # 404 until the worker has set the webhooks up
        if by_cookie and request.method != "GET" and not self.is_own_site(headers):
            return {403}
        if request.method == "POST":
            return {409} if self.active[token] else {201}
        return {200}

    def faults(self, request, status, headers, body):
        """What is wrong with this answer; takes note of what the request changed."""
        path = urlsplit(request.url).path
        expected = self.expected(request)
        self.answers[request.method, path, status] += 1
        found = []
        if status not in expected:
            found.append(f"answered {status} where {sorted(expected)} was right")
        found += envelope(request, status, headers, body)
        created = (request.method, path, status) == ("POST", KEY_PATH, 201)
        if not created and RAW_KEY.search(body + json.dumps(headers)):
            found.append("holds a raw key")
        if 200 <= status < 300:
            found += self.note(request, path, json.loads(body))
        return found

    def note(self, request, path, answer):
        token, _ = self.caller(path, request.headers) or (None, False)
        if path != KEY_PATH or token is None:
            return []
        key, self.last = self.active[token], token
        if request.method == "POST":
            self.active[token] = answer["api_key"]
            return [] if answer["api_key"].startswith(answer["prefix"]) else ["the prefix is another key's"]
        if request.method == "DELETE":
            if key:
                self.revoked.append(key)
            self.active[token] = None
            return []
        if answer.get("prefix") != (key[:24] if key else None):
            return ["does not show the account's own key"]
        return []


def envelope(request, status, headers, body):
    """What every answer must have, whatever the operation."""
    found = []
    ids = headers.get("x-request-id", [])
    if len(ids) != 1 or not UUID.fullmatch(ids[0]):
        return [f"has no one X-Request-Id: {ids}"]
    given = text(request.headers.get("X-Request-Id", "")).strip(" \t")
    if UUID.fullmatch(given) and given != ids[0]:
        found.append("does not take the X-Request-Id that it was given")
    if headers.get("cache-control") != ["no-store"]:
        found.append("may be cached")
    if status < 400:
        return found
    if status == 401 and "Bearer" not in headers.get("www-authenticate", [""])[0]:
        found.append("is 401 without WWW-Authenticate: Bearer")
    if status == 405 and not headers.get("allow"):
        found.append("is 405 without Allow")
    if status == 503 and not headers.get("retry-after", [""])[0].isdigit():
        found.append("is 503 without Retry-After in seconds")
    if request.method == "HEAD":
        return found
    try:
        answer = json.loads(body)
        error = answer["error"]
        right = list(answer) == ["error"] and set(error) == {"code", "message", "request_id"}
        right = right and error["code"] == CODES[status] and error["message"]
        right = right and error["request_id"] == ids[0]
    except (ValueError, KeyError, TypeError):
        right = False
    if not right:
        found.append("is not the one shape of errors, with its code and this X-Request-Id")
    return found
