"""The eight operations, written with the generated client."""

from typing import TypeVar

import httpx
from partner_api_keys import AuthenticatedClient
from partner_api_keys.api.api_key import (
    cancel_partner_api_key_rotation,
    create_partner_api_key,
    delete_partner_api_key,
    finish_partner_api_key_rotation,
    get_partner_api_key,
    start_partner_api_key_rotation,
)
from partner_api_keys.api.leaked_keys import report_leaked_partner_api_keys
from partner_api_keys.api.webhooks import get_partner_portal
from partner_api_keys.models import (
    ActiveKey,
    CreatedKey,
    EndedRotation,
    ErrorBody,
    ErrorDetail,
    LeakReport,
    NoKey,
    Portal,
    ProcessedReport,
    RevokedKey,
    RotatedKey,
    RotationRequest,
)
from partner_api_keys.types import Response

T = TypeVar("T")


class PartnerError(Exception):
    """An error that the OpenAPI document describes."""

    def __init__(self, status: int, detail: ErrorDetail, retry_after: str | None) -> None:
        super().__init__(detail.message)
        self.status = status
        self.code = detail.code
        self.message = detail.message
        self.request_id = detail.request_id
        self.created = detail.created or None  # what this request created before
        self.retry_after = int(retry_after) if retry_after and retry_after.isdigit() else None  # seconds


class UnexpectedResponse(Exception):
    """Any other response, for example from a proxy. Omits the body, because it may contain a key."""

    def __init__(self, status: int) -> None:
        super().__init__(f"an undocumented response with status {status}")
        self.status = status


def connect(base_url: str, token: str) -> AuthenticatedClient:
    """Creates a client. `token` is a session token, or the partner key to open the portal."""
    timeout = httpx.Timeout(30)  # seconds; no timeout by default
    return AuthenticatedClient(base_url=base_url, token=token, timeout=timeout)


def create(client: AuthenticatedClient, idempotency_key: str) -> CreatedKey:
    """Creates the account's key. Only this response contains it.

    Use a new random UUID as `idempotency_key` for each key, and the same one to repeat a request whose response was
    lost. If the key was created before, this raises a `PartnerError` with `created`.
    """
    response = create_partner_api_key.sync_detailed(client=client, idempotency_key=idempotency_key)
    match response.parsed:
        case CreatedKey() as created:
            return created
    raise to_error(response)


def show(client: AuthenticatedClient) -> ActiveKey | NoKey:
    """Returns the account's active key, or a `NoKey`.

    Its `revoked` says when and why the last key was revoked, if there was one.
    """
    response = get_partner_api_key.sync_detailed(client=client)
    match response.parsed:
        case ActiveKey() as key:
            return key
        case NoKey(has_key=False) as none:  # an ActiveKey that it cannot parse also becomes a NoKey
            return none
    raise to_error(response)


def rotate(client: AuthenticatedClient, idempotency_key: str, overlap: int) -> RotatedKey:
    """Replaces the account's key. The previous key works for `overlap` seconds. Repeat it as `create`."""
    response = start_partner_api_key_rotation.sync_detailed(
        client=client, body=RotationRequest(overlap_seconds=overlap), idempotency_key=idempotency_key
    )
    match response.parsed:
        case RotatedKey() as rotated:
            return rotated
    raise to_error(response)


def finish_rotation(client: AuthenticatedClient) -> None:
    """Ends the previous key now."""
    response = finish_partner_api_key_rotation.sync_detailed(client=client)
    match response.parsed:
        case EndedRotation():
            return
    raise to_error(response)


def cancel_rotation(client: AuthenticatedClient) -> None:
    """Goes back to the previous key, and revokes the new one."""
    response = cancel_partner_api_key_rotation.sync_detailed(client=client)
    match response.parsed:
        case EndedRotation():
            return
    raise to_error(response)


def revoke(client: AuthenticatedClient) -> None:
    """Revokes the account's key. Does nothing if it has none."""
    response = delete_partner_api_key.sync_detailed(client=client)
    match response.parsed:
        case RevokedKey():
            return
    raise to_error(response)


def open_portal(client: AuthenticatedClient) -> str:
    """Returns a link to the webhook portal. Needs a client whose token is the partner key."""
    response = get_partner_portal.sync_detailed(client=client)
    match response.parsed:
        case Portal(url=url):
            return url
    raise to_error(response)


def report_leaked(client: AuthenticatedClient, keys: list[str], url: str) -> None:
    """Reports keys that were found at `url`. Those that work are revoked at once. Needs no token."""
    response = report_leaked_partner_api_keys.sync_detailed(client=client, body=LeakReport(keys=keys, url=url))
    match response.parsed:
        case ProcessedReport():
            return
    raise to_error(response)


def to_error(response: Response[T]) -> PartnerError | UnexpectedResponse:
    """Returns the exception for a response that is not the expected one."""
    match response.parsed:
        case ErrorBody(error=detail):
            return PartnerError(response.status_code, detail, response.headers.get("Retry-After"))
    return UnexpectedResponse(response.status_code)
