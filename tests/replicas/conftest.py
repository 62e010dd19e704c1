"""A primary with two replicas for the tests of a file, which each test leaves as it found them."""

from collections.abc import Iterator

import pytest

from tests import conftest
from tests.engines import Source
from tests.replicas.rig import Servers, servers


@pytest.fixture(scope="module")
def made(source: Source) -> Iterator[Servers]:
    assert source.bindir is not None
    conftest._used.add(source.name)
    with servers(source) as lent:
        yield lent


@pytest.fixture
def trio(made: Servers) -> Iterator[Servers]:
    made.heal()
    yield made
    made.resume()
