"""Answers the commands of tests/suites/clients.rs, a line of JSON for each."""

import json
import os
import sys
from datetime import datetime

from partner import PartnerError, UnexpectedAnswer, connect, create, open_portal, revoke, show
from partner_api_keys import AuthenticatedClient
from partner_api_keys.models import ActiveKey, Webhook
from partner_api_keys.types import Unset

BASE_URL = os.environ["BASE_URL"]


def main() -> None:
    for line in sys.stdin:
        print(json.dumps(answer(line)), flush=True)


def answer(line: str) -> dict[str, object]:
    try:
        command, credential = line.split()
        with connected(credential) as client:
            return run(command, client)
    except PartnerError as error:
        return {"error": told(error)}
    except UnexpectedAnswer as error:
        return {"unexpected": {"status": error.status, "reason": str(error)}}
    except Exception as error:  # no answer, or one that the generated code cannot read
        return {"unexpected": {"status": None, "reason": repr(error)}}


def run(command: str, client: AuthenticatedClient) -> dict[str, object]:
    match command:
        case "create":
            created = create(client)
            return {"created": {"api_key": created.api_key, "prefix": created.prefix, "message": created.message}}
        case "show":
            key = show(client)
            return {"active_key": shown(key)} if key else {"no_key": {}}
        case "revoke":
            revoke(client)
            return {"revoked": {}}
        case "portal":
            return {"portal": {"url": open_portal(client)}}
    raise ValueError(f"no such command: {command}")


def connected(credential: str) -> AuthenticatedClient:
    kind, token = credential.split(":", 1)
    if kind == "bearer":
        return connect(BASE_URL, token)
    # The generator has no word for a scheme in a cookie; what goes into which header is for us to say.
    return AuthenticatedClient(base_url=BASE_URL, token=f"session={token}", prefix="", auth_header_name="Cookie")


def told(error: PartnerError) -> dict[str, object]:
    return {
        "status": error.status,
        "code": error.code,
        "message": error.message,
        "request_id": error.request_id,
        "retry_after": error.retry_after,
    }


def shown(key: ActiveKey) -> dict[str, object]:
    return {
        "prefix": key.prefix,
        "has_webhook": key.has_webhook,
        "created_at": key.created_at.isoformat(),
        "last_used_at": time(key.last_used_at),
        "webhook": None if isinstance(key.webhook, Unset) else state(key.webhook),
    }


def state(webhook: Webhook) -> dict[str, object]:
    return {
        "state": webhook.state,
        "attempts": webhook.attempts,
        "next_attempt_at": time(webhook.next_attempt_at),
    }


def time(value: datetime | Unset) -> str | None:
    return None if isinstance(value, Unset) else value.isoformat()


if __name__ == "__main__":
    main()
