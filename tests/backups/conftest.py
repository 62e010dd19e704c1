"""One rig for all tests of a file."""

from collections.abc import Iterator

import pytest

from drills.rig import Rig, programs, rig


@pytest.fixture(scope="module")
def made() -> Iterator[Rig]:
    if programs() is None:
        pytest.skip("PostgreSQL 15 and pgBackRest are not both on this machine")
    with rig() as found:
        yield found
