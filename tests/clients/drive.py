"""The test driver of the Python clients.

It reads the commands of tests/suites/clients.rs, one a line, and writes each result as a line of JSON.
"""

import json
import os
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

BASE_URL = os.environ["BASE_URL"]


def drive(partner: ModuleType, with_cookie: Callable[[str, str], Any]) -> None:
    """Runs commands until the input ends.

    `partner` is a client's module, and `with_cookie` creates a client that sends only this cookie.
    """

    def client_for(credential: str) -> Any:
        kind, token = credential.split(":", 1)
        return partner.connect(BASE_URL, token) if kind == "bearer" else with_cookie(BASE_URL, f"session={token}")

    for line in sys.stdin:
        try:
            command, credential, *rest = line.split()
            with client_for(credential) as client:
                result = run(partner, command, client, *rest)
        except partner.PartnerError as error:
            result = {"error": error_json(error)}
        except partner.UnexpectedResponse as error:
            result = {"unexpected": {"status": error.status, "reason": str(error)}}
        except Exception as error:  # no response, or one that the generated code cannot parse
            result = {"unexpected": {"status": None, "reason": repr(error)}}
        print(json.dumps(result), flush=True)


def run(partner: ModuleType, command: str, client: Any, argument: str = "") -> dict[str, object]:
    match command:
        case "create":
            created = partner.create(client, argument)
            return {"created": {"api_key": created.api_key, "prefix": created.prefix, "message": created.message}}
        case "rotate":
            rotated = partner.rotate(client, argument, 3600)
            previous = {"prefix": rotated.previous.prefix, "expires_at": rotated.previous.expires_at.isoformat()}
            created = {"api_key": rotated.api_key, "prefix": rotated.prefix, "message": rotated.message}
            return {"rotated": {**created, "previous": previous}}
        case "finish":
            partner.finish_rotation(client)
            return {"finished": {}}
        case "cancel":
            partner.cancel_rotation(client)
            return {"canceled": {}}
        case "show":
            key = partner.show(client)
            # Not by `has_key`: the client must not return a NoKey whose `has_key` is true.
            is_active = type(key).__name__ == "ActiveKey"
            return {"active_key": key_json(key)} if is_active else {"no_key": no_key_json(key)}
        case "revoke":
            partner.revoke(client)
            return {"revoked": {}}
        case "portal":
            return {"portal": {"url": partner.open_portal(client)}}
        case "report":
            partner.report_leaked(client, [argument], "https://example.com/a-public-file")
            return {"reported": {}}
    raise ValueError(f"unknown command: {command}")


def error_json(error: Any) -> dict[str, object]:
    return {
        "status": error.status,
        "code": error.code,
        "message": error.message,
        "request_id": error.request_id,
        "retry_after": error.retry_after,
        "created": earlier_json(error.created) if error.created else None,
    }


def earlier_json(key: Any) -> dict[str, object]:
    return {
        "prefix": key.prefix,
        "created_at": key.created_at.isoformat(),
        "revoked_at": time_json(key.revoked_at),
    }


def no_key_json(key: Any) -> dict[str, object]:
    revoked = key.revoked
    return {"revoked": {"at": revoked.at.isoformat(), "reason": revoked.reason} if revoked else None}


def key_json(key: Any) -> dict[str, object]:
    return {
        "prefix": key.prefix,
        "has_webhook": key.has_webhook,
        "created_at": key.created_at.isoformat(),
        "last_used_at": time_json(key.last_used_at),
        "webhook": webhook_json(key.webhook) if key.webhook else None,
        "rotation": rotation_json(key.rotation) if key.rotation else None,
    }


def rotation_json(rotation: Any) -> dict[str, object]:
    return {
        "previous_prefix": rotation.previous_prefix,
        "previous_expires_at": rotation.previous_expires_at.isoformat(),
        "previous_last_used_at": time_json(rotation.previous_last_used_at),
    }


def webhook_json(webhook: Any) -> dict[str, object]:
    return {
        "state": webhook.state,
        "attempts": webhook.attempts,
        "next_attempt_at": time_json(webhook.next_attempt_at),
    }


def time_json(value: Any) -> str | None:
    """Returns the time as text, or None for what the client has in place of a missing one."""
    return value.isoformat() if value else None
