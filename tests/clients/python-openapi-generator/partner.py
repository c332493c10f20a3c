"""The eight operations, written with the generated client."""

from collections.abc import Callable
from typing import TypeVar

from partner_keys import (
    ActiveKey,
    ApiClient,
    APIKeyApi,
    ApiException,
    Configuration,
    CreatedKey,
    ErrorBody,
    ErrorDetail,
    LeakedKeysApi,
    LeakReport,
    NoKey,
    RotatedKey,
    RotationRequest,
    WebhooksApi,
)

T = TypeVar("T")

TIMEOUT = 30.0  # seconds; no timeout by default


class PartnerError(Exception):
    """An error that the OpenAPI document describes."""

    def __init__(self, status: int, detail: ErrorDetail, retry_after: str | None) -> None:
        super().__init__(detail.message)
        self.status = status
        self.code = detail.code
        self.message = detail.message
        self.request_id = detail.request_id
        self.created = detail.created  # what this request created before
        self.retry_after = int(retry_after) if retry_after and retry_after.isdigit() else None  # seconds


class UnexpectedResponse(Exception):
    """Any other response, for example from a proxy. Omits the body, because it may contain a key."""

    def __init__(self, status: int | None) -> None:
        super().__init__(f"an undocumented response with status {status}" if status else "an undocumented response")
        self.status = status


def connect(base_url: str, token: str) -> ApiClient:
    """Creates a client. `token` is a session token, or the partner key to open the portal."""
    # By default, urllib3 waits for as long as `Retry-After` says and repeats the request.
    return ApiClient(Configuration(host=base_url, access_token=token, retries=0))


def create(client: ApiClient, idempotency_key: str) -> CreatedKey:
    """Creates the account's key. Only this response contains it.

    Use a new random UUID as `idempotency_key` for each key, and the same one to repeat a request whose response was
    lost. If the key was created before, this raises a `PartnerError` with `created`.
    """
    keys = APIKeyApi(client)
    return unwrap(lambda: keys.create_partner_api_key(idempotency_key=idempotency_key, _request_timeout=TIMEOUT))


def show(client: ApiClient) -> ActiveKey | NoKey:
    """Returns the account's active key, or a `NoKey`.

    Its `revoked` says when and why the last key was revoked, if there was one.
    """
    key = unwrap(lambda: APIKeyApi(client).get_partner_api_key(_request_timeout=TIMEOUT))
    match key.actual_instance:
        case ActiveKey() as active:
            return active
        case NoKey(has_key=False) as none:  # an ActiveKey that it cannot parse also becomes a NoKey
            return none
    raise UnexpectedResponse(200)


def rotate(client: ApiClient, idempotency_key: str, overlap: int) -> RotatedKey:
    """Replaces the account's key. The previous key works for `overlap` seconds. Repeat it as `create`."""
    keys, request = APIKeyApi(client), RotationRequest(overlap_seconds=overlap)
    return unwrap(
        lambda: keys.start_partner_api_key_rotation(
            idempotency_key=idempotency_key, rotation_request=request, _request_timeout=TIMEOUT
        )
    )


def finish_rotation(client: ApiClient) -> None:
    """Ends the previous key now."""
    unwrap(lambda: APIKeyApi(client).finish_partner_api_key_rotation(_request_timeout=TIMEOUT))


def cancel_rotation(client: ApiClient) -> None:
    """Goes back to the previous key, and revokes the new one."""
    unwrap(lambda: APIKeyApi(client).cancel_partner_api_key_rotation(_request_timeout=TIMEOUT))


def revoke(client: ApiClient) -> None:
    """Revokes the account's key. Does nothing if it has none."""
    unwrap(lambda: APIKeyApi(client).delete_partner_api_key(_request_timeout=TIMEOUT))


def open_portal(client: ApiClient) -> str:
    """Returns a link to the webhook portal. Needs a client whose token is the partner key."""
    return unwrap(lambda: WebhooksApi(client).get_partner_portal(_request_timeout=TIMEOUT)).url


def report_leaked(client: ApiClient, keys: list[str], url: str) -> None:
    """Reports keys that were found at `url`. Those that work are revoked at once. Needs no token."""
    report = LeakReport(keys=keys, url=url)
    unwrap(lambda: LeakedKeysApi(client).report_leaked_partner_api_keys(report, _request_timeout=TIMEOUT))


def unwrap(call: Callable[[], T | None]) -> T:
    """Returns the result, or raises the exception for any other response."""
    try:
        result = call()
    except ApiException as failure:  # its text contains the body
        match failure.data:
            case ErrorBody(error=detail):
                headers = failure.headers or {}
                raise PartnerError(failure.status, detail, headers.get("Retry-After")) from None
        raise UnexpectedResponse(failure.status) from None
    except ValueError:  # the generated code cannot parse the body, and quotes it
        raise UnexpectedResponse(None) from None
    if result is None:  # a status that is not in the document
        raise UnexpectedResponse(None)
    return result
