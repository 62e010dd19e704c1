"""A place in the S3 server for each test, and the rows that retention begins with."""

import secrets

import pytest

from tests.contract.retention.conftest import admin, old
from tests.s3 import S3Server

__all__ = ["admin", "old"]


@pytest.fixture
def url(s3: S3Server) -> str:
    return s3.url(secrets.token_hex(4))
