"""What docs/rights.md takes from PUBLIC is gone, and nothing of ours needed it."""

from pathlib import Path

import psycopg
import pytest

from entasis_db import maintenance, migrate
from entasis_db.archive import archive, open_store
from entasis_db.ingest import ingest_trades
from tests.conftest import Login
from tests.contract.installation.test_docs import blocks
from tests.db import Connection, one
from tests.engines import Database
from tests.make import trade
from tests.rights import PAGE

pytestmark = [pytest.mark.copy, pytest.mark.several_connections, pytest.mark.newest_server]


def test_what_is_revoked_from_everybody(
    connection: Connection, database: Database, login: Login, tmp_path: Path
) -> None:
    before = login()
    for _, text in blocks(PAGE, "sql"):
        for statement in filter(str.strip, text.split(";\n")):
            connection.execute(statement.encode())
    with pytest.raises(psycopg.OperationalError, match="CONNECT"):
        login()
    for refused in (
        "SELECT pg_advisory_lock(1)",
        "SELECT pg_try_advisory_xact_lock_shared(1, 2)",
        "SELECT lo_from_bytea(0, 'x')",
        "SELECT lo_create(0)",
        "CREATE TEMPORARY TABLE t ()",
        "CREATE TABLE public.t ()",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            before.execute(refused.encode())
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        login("entasis_reader").execute("SELECT pg_advisory_lock(1)")
    writer, admin = login("entasis_writer"), login("entasis_admin")
    trades = [trade(1), trade(2, price=-trade(2).price)]
    assert ingest_trades(writer, trades, source="f", id_space="trade").inserted == 1
    archive(admin, open_store(tmp_path.as_uri()))
    maintenance.maintain(admin)
    assert not migrate.migrate(database.dsn).pending
    assert one(login("entasis_service"), "SELECT 1") == 1
    assert one(login("entasis_owner"), "SELECT pg_notification_queue_usage()") == 0
