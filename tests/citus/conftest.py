"""A database over a coordinator and two workers, and what its nodes do."""

from collections.abc import Iterator

import pytest

from entasis_db.embedded import Cluster
from tests.engines import Database, Server
from tests.servers.citus import CitusServer, Nodes, restart


@pytest.fixture
def nodes(server: Server, database: Database) -> Iterator[Nodes]:
    """The nodes under a test's database, all of which run again when the test has ended."""
    assert isinstance(server, CitusServer)
    yield Nodes(server, database)
    for node in server.nodes:
        if isinstance(node, Cluster):
            restart(node)
