"""A place in the S3 server for each test of the archive."""

import secrets

import pytest

from tests.s3 import S3Server


@pytest.fixture
def url(s3: S3Server) -> str:
    return s3.url(secrets.token_hex(4))
