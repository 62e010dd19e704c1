"""A restored table is verified by its content, not only by how many rows it has."""

import pytest

from entasis_db.archive import Store, archive
from entasis_db.archive.database import meanwhile
from tests.contract.archive.support import several
from tests.db import Connection, KilledError, one
from tests.make import months_ago

pytestmark = pytest.mark.newest_server


@pytest.mark.native_speed
@pytest.mark.parametrize(
    ("change", "verified"),
    [
        ("SELECT", True),
        ("UPDATE entasis.{table} SET price = price + 1 WHERE id = 0", False),
        ("UPDATE entasis.{table} SET created_at = created_at + interval '1 us'", False),
        ("UPDATE entasis.{table} SET side = 'buy' WHERE id = 0", False),
        ("UPDATE entasis.{table} SET side = NULL WHERE id = 1", False),
        ("DELETE FROM entasis.{table} WHERE id = 0", False),
    ],
)
def test_rows_that_differ_are_not_verified(
    connection: Connection, store: Store, change: str, verified: bool
) -> None:
    archive(connection, store)
    from_time, to_time, row_count, checksum = (
        connection.execute(
            "SELECT from_time, to_time, row_count, checksum FROM entasis.archives"
            " WHERE relation = 'market_data' AND from_time <= %s AND to_time > %s",
            [months_ago(6), months_ago(6)],
        ).fetchone()
        or (None,) * 4
    )
    (table,) = connection.execute(
        "SELECT entasis_internal.restore_begin('market_data', %s, %s)", [from_time, to_time]
    ).fetchone() or ("",)
    connection.execute(
        f"INSERT INTO entasis.{table} SELECT * FROM entasis.market_data"
        " WHERE timestamp >= %s AND timestamp < %s".encode(),
        [from_time, to_time],
    )
    connection.execute(change.format(table=table).encode())
    said = connection.execute(
        "SELECT entasis_internal.restore_verified(%s, %s, %s)", [table, row_count, checksum]
    ).fetchone()
    assert said == (verified,)
    assert connection.execute(
        "SELECT verified_at IS NOT NULL FROM entasis.restores WHERE table_name = %s", [table]
    ).fetchone() == (verified,)


@several
@pytest.mark.newest_server
def test_what_fails_meanwhile_does_not_wait_for_the_server(connection: Connection) -> None:
    with pytest.raises(KilledError), meanwhile(connection, "SELECT pg_sleep(600)"):
        raise KilledError
    assert one(connection, "SELECT 1") == 1
