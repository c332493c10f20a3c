"""Runs the test driver, ../drive.py, with this client."""

import partner
from drive import drive
from partner_keys import ApiClient, Configuration


def with_cookie(base_url: str, cookie: str) -> ApiClient:
    return ApiClient(Configuration(host=base_url, retries=0), cookie=cookie)


drive(partner, with_cookie)
