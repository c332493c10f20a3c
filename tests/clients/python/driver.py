"""Runs the test driver, ../drive.py, with this client."""

import partner
from drive import drive
from partner_api_keys import AuthenticatedClient


def with_cookie(base_url: str, cookie: str) -> AuthenticatedClient:
    # The generated client does not support cookie authentication, so set the header here.
    return AuthenticatedClient(base_url=base_url, token=cookie, prefix="", auth_header_name="Cookie")


drive(partner, with_cookie)
