"""Caches hear of deleted quotes, whatever the session that deletes them sets."""

import json

import psycopg
import pytest

from tests.db import Connection, listen_for_caches
from tests.make import insert_quotes, quote

pytestmark = pytest.mark.hypertables


def told(connection: Connection) -> list[object]:
    return [json.loads(n.payload) for n in connection.notifies(timeout=0.1)]


def test_no_setting_keeps_a_deletion_from_caches(connection: Connection) -> None:
    insert_quotes(
        connection, quote(1), quote(2, underlying="SOL"), quote(3), quote(4, underlying="BTC")
    )
    connection.execute("SELECT entasis_internal.cache_listen()")
    listen_for_caches(connection)
    told(connection)
    connection.execute("SELECT pg_catalog.set_config('entasis.row_notifications_left', '0', false)")
    connection.execute(
        "DELETE FROM entasis.option_data WHERE id < 3 RETURNING"
        " pg_catalog.set_config('entasis.row_notifications_left', '0', true)"
    )
    assert told(connection) == [{"options": ["ETH"]}, {"options": ["SOL"]}]
    connection.execute("SET ROLE entasis_writer")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(
            "DELETE FROM entasis.option_data RETURNING"
            " pg_catalog.setval('entasis_internal.row_notifications_left', 0)"
        )
    connection.execute("DELETE FROM entasis.option_data WHERE id = 4")
    assert told(connection) == [{"options": ["BTC"]}]
    connection.execute("RESET ROLE")
    connection.execute("DELETE FROM entasis_internal.cache_listeners")
    connection.execute("DELETE FROM entasis.option_data")
    assert told(connection) == []
