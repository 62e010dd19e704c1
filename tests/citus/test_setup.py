"""What a cluster has to be before engine citus is made in it, and what is said if it is not."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from psycopg.conninfo import conninfo_to_dict

from entasis_db.errors import MigrationError
from entasis_db.migrate import migrate
from tests.db import one
from tests.engines import Database, Server
from tests.servers.citus import CitusServer

pytestmark = pytest.mark.workers

_BINARY = "ALTER DATABASE {0} SET citus.enable_binary_protocol = "
_SHARDS = (
    "SELECT citus_set_node_property(nodename, nodeport, 'shouldhaveshards', {0})"
    " FROM pg_dist_node WHERE groupid <> 0"
)


@contextmanager
def changed(database: Database, change: str, back: str) -> Iterator[None]:
    with database.connect() as connection:
        connection.execute(change.encode())
        yield
        connection.execute(back.encode())


def assert_refused(database: Database, dsn: str, said: str) -> None:
    with pytest.raises(MigrationError, match=said):
        migrate(dsn, engine="citus")
    with database.connect() as connection:
        assert one(connection, "SELECT to_regnamespace('entasis') IS NULL")


def test_what_is_missing_is_said(empty_database: Database, server: Server) -> None:
    assert isinstance(server, CitusServer)
    name = str(conninfo_to_dict(empty_database.dsn)["dbname"])
    binary = _BINARY.format(f'"{name}"')
    with changed(empty_database, binary + "on", binary + "off"):
        assert_refused(empty_database, empty_database.dsn, "SET citus.enable_binary_protocol = off")
    with changed(empty_database, _SHARDS.format("false"), _SHARDS.format("true")):
        assert_refused(empty_database, empty_database.dsn, "no node of this Citus cluster takes")
    assert_refused(empty_database, server.nodes[1].dsn(name), "this is a worker")
    assert migrate(empty_database.dsn, engine="citus").pending == ()
