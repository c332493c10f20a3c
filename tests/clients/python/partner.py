"""What a partner writes over the generated client."""

from typing import TypeVar

import httpx
from partner_api_keys import AuthenticatedClient
from partner_api_keys.api.api_key import create_partner_api_key, delete_partner_api_key, get_partner_api_key
from partner_api_keys.api.webhooks import get_partner_portal
from partner_api_keys.models import ActiveKey, CreatedKey, ErrorBody, ErrorDetail, NoKey, Portal, RevokedKey
from partner_api_keys.types import Response

T = TypeVar("T")


class PartnerError(Exception):
    """An error that the service documents."""

    def __init__(self, status: int, detail: ErrorDetail, retry_after: str | None) -> None:
        super().__init__(detail.message)
        self.status = status
        self.code = detail.code
        self.message = detail.message
        self.request_id = detail.request_id
        self.retry_after = int(retry_after) if retry_after and retry_after.isdigit() else None  # seconds


class UnexpectedAnswer(Exception):
    """Any other answer, of a proxy for instance. Without its body, in which there may be a key."""

    def __init__(self, status: int) -> None:
        super().__init__(f"an undocumented answer with status {status}")
        self.status = status


def connect(base_url: str, token: str) -> AuthenticatedClient:
    """The token is a session, or the partner key for the portal."""
    timeout = httpx.Timeout(30)  # by default it waits for ever
    return AuthenticatedClient(base_url=base_url, token=token, timeout=timeout)


def create(client: AuthenticatedClient) -> CreatedKey:
    response = create_partner_api_key.sync_detailed(client=client)
    match response.parsed:
        case CreatedKey() as created:
            return created
    raise failure(response)


def show(client: AuthenticatedClient) -> ActiveKey | None:
    """The account's active key; None if it has none."""
    response = get_partner_api_key.sync_detailed(client=client)
    match response.parsed:
        case ActiveKey() as key:
            return key
        case NoKey(has_key=False):  # what it cannot read as an ActiveKey, it calls a NoKey too
            return None
    raise failure(response)


def revoke(client: AuthenticatedClient) -> None:
    response = delete_partner_api_key.sync_detailed(client=client)
    match response.parsed:
        case RevokedKey():
            return
    raise failure(response)


def open_portal(client: AuthenticatedClient) -> str:
    """A link into the webhook portal."""
    response = get_partner_portal.sync_detailed(client=client)
    match response.parsed:
        case Portal(url=url):
            return url
    raise failure(response)


def failure(response: Response[T]) -> PartnerError | UnexpectedAnswer:
    match response.parsed:
        case ErrorBody(error=detail):
            return PartnerError(response.status_code, detail, response.headers.get("Retry-After"))
    return UnexpectedAnswer(response.status_code)
