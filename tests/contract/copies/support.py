"""A database in which every table holds something, and what of it a copy is compared by."""

import secrets
import subprocess
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from entasis_db.archive import archive, open_store
from entasis_db.copies import RestoredDump, restore_dump
from entasis_db.exchange_candles import write_exchange_candles
from entasis_db.ingest import ingest_trades, write_positions, write_predictions
from entasis_db.libpq import libpq
from entasis_db.maintenance import maintain
from entasis_db.model import ExchangeCandle, Trade
from tests import oracle
from tests.contract.archive.support import fill, mark
from tests.contract.portfolio.test_write import position
from tests.contract.predictions.test_write import prediction
from tests.db import Connection, one
from tests.engines import Database, Server
from tests.make import THIS_MONTH, TODAY, D, months_ago, trade

DESK = f"entasis_desk_{secrets.token_hex(4)}"
LEVELS = (*oracle.STORED, *oracle.DERIVED)


def new(number: int, **changes: Any) -> Trade:
    """Make a trade of a market whose trades are numbered by the exchange."""
    return trade(number, symbol="NEW", **changes)


def everything(connection: Connection, store: Path) -> None:
    """Fill every table: old rows are archived and dropped, and one partition is gone by hand."""
    fill(connection)
    kept = [
        new(number, timestamp=TODAY - timedelta(days=10, hours=number), excluded=excluded)
        for number, excluded in enumerate((None, "block", None, None))
    ]
    wrong = new(9, timestamp=TODAY - timedelta(days=10), price=D(0))
    gone = [new(number, timestamp=months_ago(2) + timedelta(days=14)) for number in (5, 6, 7)]
    ingest_trades(connection, [*kept, wrong, *gone], source="f", id_space="trade")
    candle = ExchangeCandle("BTC", "x", "1m", months_ago(1), D(1), D(3), D(1), D(2), D(5))
    write_exchange_candles(connection, [candle], source="f")
    write_predictions(connection, [prediction()])
    write_positions(connection, [position()])
    connection.execute("UPDATE entasis.keep_periods SET keep = '2 years' WHERE relation = 'runs'")
    oracle.refresh(connection)
    straddle(connection)
    mark(connection)
    archive(connection, open_store(store.as_uri()))
    maintain(connection)
    ingest_trades(connection, [new(1, timestamp=months_ago(14))], source="late", id_space="trade")
    # not dropped, and its archive is of this engine's own ranges
    connection.execute(
        "INSERT INTO entasis.archives (relation, from_time, to_time, location, row_count, checksum,"
        " verified_at) VALUES ('market_data', %s, %s, 'file:///nowhere', 1, 1, now())",
        [months_ago(1), months_ago(0)],
    )
    lose(connection, months_ago(2) + timedelta(days=14))


def straddle(connection: Connection) -> None:
    """Have floors lie within what is a partition of the other engine's, and rows on either side."""
    month = months_ago(4)
    connection.execute(
        "UPDATE entasis.keep_periods SET keep = now() - %s WHERE relation = 'market_data'",
        [month + timedelta(days=20)],
    )
    # the first is kept where partitions are months, and dropped with the chunk that it is in
    ends = [new(20 + day, timestamp=month + timedelta(days=day)) for day in (0, 5, 24)]
    ingest_trades(connection, ends, source="f", id_space="trade")
    oracle.refresh(connection)


def lose(connection: Connection, moment: datetime) -> None:
    """Drop by hand what holds the trades of a moment."""
    (name,) = connection.execute(
        "SELECT p.partition_oid::regclass::text FROM entasis_internal.partitions_of('market_data')"
        " AS p WHERE p.from_time <= %s AND p.to_time > %s",
        [moment, moment],
    ).fetchone() or ("",)
    connection.execute(f"DROP TABLE {name}".encode())
    oracle.refresh(connection)


def state(connection: Connection) -> dict[str, list[Any]]:
    """Return every row of what a reader, an administrator and a candle's reader can ask for."""
    found = {}
    for table in (
        *("market_data", "option_data", "exchange_candles", "predictions", "portfolio_status"),
        *("quarantine", "past_retention", "markets", "keep_periods", "floors", "user_logins"),
        *("maintenance_log", "archives", "archive_objects", *(f"ohlcv_{n}" for n in LEVELS)),
    ):
        columns = connection.execute(
            "SELECT array_agg(attname::text ORDER BY attname) FROM pg_attribute"
            " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
            [f"entasis.{table}"],
        ).fetchone()
        assert columns is not None
        rows = connection.execute(
            sql.SQL("SELECT {} FROM entasis.{}").format(
                sql.SQL(", ").join(
                    # Citus has an error for a varchar that becomes text by a cast
                    sql.SQL("CASE WHEN {0} IS NOT NULL THEN format('%s', {0}) END").format(
                        sql.Identifier(name)
                    )
                    for name in columns[0]
                ),
                sql.Identifier(table),
            )
        )
        found[table] = sorted(rows.fetchall(), key=repr)
    return found


def restored(into: Database, folder: Path, **options: Any) -> RestoredDump:
    """Restore a dump, and see that nothing differs from it."""
    done = restore_dump(into.dsn, folder, **options)
    assert done.differences == ()
    return done


def run(server: Server, database: Database, program: str, *arguments: str) -> str:
    """Run one of PostgreSQL's own programs on a database; return what it complains of."""
    assert server.source.bindir is not None
    with libpq(database.dsn) as (environment, conninfo):
        done = subprocess.run(
            [str(server.source.bindir / program), f"--dbname={conninfo}", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    return done.stderr


def as_login(database: Database, name: str, password: str) -> str:
    return make_conninfo(database.dsn, user=name, password=password)


def runs(connection: psycopg.Connection[Any], action: str) -> list[Any]:
    return connection.execute(
        "SELECT outcome, detail FROM entasis.runs WHERE action = %s ORDER BY id", [action]
    ).fetchall()


__all__ = ["THIS_MONTH", "one"]
