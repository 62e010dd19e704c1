"""A month of many rows is archived without the coordinator keeping them."""

from datetime import timedelta
from pathlib import Path

import pytest

from entasis_db.archive import archive, open_store
from tests.contract.archive.support import mark
from tests.db import Connection, ensure, fire_no_triggers
from tests.make import months_ago

pytestmark = pytest.mark.workers

_SYMBOLS, _EACH = 8, 4000


def test_a_month_is_read_a_symbol_at_a_time(connection: Connection, tmp_path: Path) -> None:
    """Not even a quarter of it may lie in the coordinator's files."""
    mark(connection)
    month = months_ago(14)
    ensure(connection, "market_data", month, month + timedelta(days=1))
    with connection.transaction():
        fire_no_triggers(connection)
        connection.execute(
            "INSERT INTO entasis.market_data (symbol, exchange, timestamp, id, price, volume)"
            " SELECT 'S' || n %% %s, 'x', %s + n * interval '1 s', n, 100 + n %% 7, 1"
            " FROM generate_series(1, %s::bigint) AS n",
            [_SYMBOLS, month, _SYMBOLS * _EACH],
        )
    connection.execute("SET work_mem = '64kB'")
    connection.execute("SET temp_file_limit = '1MB'")
    (done,) = [a for a in archive(connection, open_store(tmp_path.as_uri())) if a.rows]
    assert done.rows == _SYMBOLS * _EACH
