"""Test driver: reads the commands of tests/suites/clients.rs, one a line, and writes each result as a line of JSON."""

import json
import os
import sys
from datetime import datetime

from partner import PartnerError, UnexpectedResponse, connect, create, open_portal, revoke, show
from partner_api_keys import AuthenticatedClient
from partner_api_keys.models import ActiveKey, Webhook
from partner_api_keys.types import Unset

BASE_URL = os.environ["BASE_URL"]


def main() -> None:
    for line in sys.stdin:
        print(json.dumps(run_line(line)), flush=True)


def run_line(line: str) -> dict[str, object]:
    try:
        command, credential = line.split()
        with client_for(credential) as client:
            return run(command, client)
    except PartnerError as error:
        return {"error": error_json(error)}
    except UnexpectedResponse as error:
        return {"unexpected": {"status": error.status, "reason": str(error)}}
    except Exception as error:  # no response, or one that the generated code cannot parse
        return {"unexpected": {"status": None, "reason": repr(error)}}


def run(command: str, client: AuthenticatedClient) -> dict[str, object]:
    match command:
        case "create":
            created = create(client)
            return {"created": {"api_key": created.api_key, "prefix": created.prefix, "message": created.message}}
        case "show":
            key = show(client)
            return {"active_key": key_json(key)} if key else {"no_key": {}}
        case "revoke":
            revoke(client)
            return {"revoked": {}}
        case "portal":
            return {"portal": {"url": open_portal(client)}}
    raise ValueError(f"unknown command: {command}")


def client_for(credential: str) -> AuthenticatedClient:
    kind, token = credential.split(":", 1)
    if kind == "bearer":
        return connect(BASE_URL, token)
    # The generated client does not support cookie authentication, so set the header here.
    return AuthenticatedClient(base_url=BASE_URL, token=f"session={token}", prefix="", auth_header_name="Cookie")


def error_json(error: PartnerError) -> dict[str, object]:
    return {
        "status": error.status,
        "code": error.code,
        "message": error.message,
        "request_id": error.request_id,
        "retry_after": error.retry_after,
    }


def key_json(key: ActiveKey) -> dict[str, object]:
    return {
        "prefix": key.prefix,
        "has_webhook": key.has_webhook,
        "created_at": key.created_at.isoformat(),
        "last_used_at": time_json(key.last_used_at),
        "webhook": None if isinstance(key.webhook, Unset) else webhook_json(key.webhook),
    }


def webhook_json(webhook: Webhook) -> dict[str, object]:
    return {
        "state": webhook.state,
        "attempts": webhook.attempts,
        "next_attempt_at": time_json(webhook.next_attempt_at),
    }


def time_json(value: datetime | Unset) -> str | None:
    return None if isinstance(value, Unset) else value.isoformat()


if __name__ == "__main__":
    main()
