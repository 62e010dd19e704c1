"""Every way of writing says how many rows it stored that maintenance will drop."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from psycopg.conninfo import make_conninfo

from entasis_db.ingest import ArrowReport, ingest_arrow, ingest_options, ingest_trades
from entasis_db.live import TickWriter
from entasis_db.model import Trade
from tests.db import Connection
from tests.make import D, quote, trade

pytestmark = pytest.mark.copy

NOW = datetime.now(UTC).replace(microsecond=0)
NEW = NOW - timedelta(hours=1)
OLD = NOW - timedelta(days=120)
"""The keep period is three months."""


def by_rows(rows: Sequence[Trade], connection: Connection) -> Any:
    return ingest_trades(connection, rows, source="s", id_space="trade")


def by_arrow(rows: Sequence[Trade], connection: Connection) -> Any:
    table = pa.table(
        {
            name: pa.array(column, pa.timestamp("us", "UTC") if name == "timestamp" else None)
            for name, column in zip(Trade._fields, zip(*rows, strict=True), strict=True)
            if name != "side"
        }
    )
    report = ingest_arrow(connection, table, source="s", id_space="trade")
    assert isinstance(report, ArrowReport)
    return report


def by_writer(rows: Sequence[Trade], connection: Connection) -> Any:
    dsn = make_conninfo(connection.info.dsn, password=connection.info.password)
    with TickWriter(dsn, source="s", id_space="trade") as writer:
        for row in rows:
            writer.put(row)
    return writer.metrics()


@pytest.mark.parametrize("write", [by_rows, by_arrow, by_writer], ids=["rows", "arrow", "writer"])
def test_trades(
    connection: Connection, write: Callable[[Sequence[Trade], Connection], Any]
) -> None:
    rows = [trade(1, timestamp=OLD), trade(2, timestamp=OLD), trade(3, timestamp=NEW)]
    assert write(rows, connection).past_keep == 2
    # stored before is stored; what is refused is not
    refused = [
        trade(2, timestamp=OLD, price=D(7)),
        trade(4, timestamp=OLD, price=D(0)),
        trade(5, timestamp=OLD),
    ]
    report = write([rows[0], *refused, rows[2]], connection)
    assert (report.past_keep, report.already_there, report.quarantined) == (2, 2, 2)


def test_what_is_kept_for_ever(connection: Connection) -> None:
    with connection.transaction(force_rollback=True):
        connection.execute("UPDATE entasis.keep_periods SET keep = NULL")
        rows = [trade(1, timestamp=OLD), trade(2, timestamp=NEW)]
        assert by_rows(rows, connection).past_keep == 0


def test_quotes(connection: Connection) -> None:
    rows = [quote(1, timestamp=OLD), quote(2, timestamp=NEW)]
    assert ingest_options(connection, rows, source="s").past_keep == 1
    rows += [quote(1, timestamp=OLD, iv=None), quote(3, timestamp=OLD, strike_price=D(0))]
    report = ingest_options(connection, rows, source="s")
    assert (report.past_keep, report.already_there, report.quarantined) == (1, 2, 2)
