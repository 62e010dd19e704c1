"""What market_data takes, whoever writes: moments, and prices at zero and below."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest

from entasis_db.ingest import IngestReport, Replaced, replace_trades
from entasis_db.model import Trade
from tests import oracle
from tests.contract.trades.support import by_key, counts, ingest, quarantined, without_months, write
from tests.db import Connection, ensure, one, violates
from tests.engines import Database
from tests.make import NOON, D, insert_trades, trade


def months(connection: Connection, moment: datetime) -> None:
    """Make the partitions around a moment."""
    ensure(connection, "market_data", moment, moment + timedelta(minutes=10))


def copy_trades(connection: Connection, *trades: Trade) -> None:
    """Write them as a client does that knows nothing of ids."""
    with (
        connection.cursor() as cursor,
        cursor.copy(
            "COPY entasis.market_data (id, symbol, exchange, timestamp, price, volume, side)"
            " FROM STDIN"
        ) as copy,
    ):
        for row in trades:
            copy.write_row(row[:7])


def replace_file(connection: Connection, trades: list[Trade]) -> Replaced:
    with TemporaryDirectory() as folder:
        return replace_trades(connection, write(Path(folder) / "f.csv", *trades))


# --- the future ----------------------------------------------------------------------------------


def test_a_trade_of_the_future_is_refused(connection: Connection) -> None:
    """Five minutes ahead of the server's clock it is not yet one."""
    soon = datetime.now(UTC) + timedelta(minutes=4)
    months(connection, soon)
    insert_trades(connection, trade(1, timestamp=soon))
    late = datetime.now(UTC) + timedelta(minutes=6)
    months(connection, late)
    with pytest.raises(psycopg.errors.CheckViolation) as caught, connection.transaction():
        insert_trades(connection, trade(2, timestamp=late))
    violates(connection, caught.value, "market_data_timestamp_not_future")
    with pytest.raises(psycopg.errors.CheckViolation) as caught, connection.transaction():
        connection.execute("UPDATE entasis.market_data SET timestamp = %s", [late])
    violates(connection, caught.value, "market_data_timestamp_not_future")
    assert one(connection, "SELECT array_agg(id) FROM entasis.market_data") == [1]


@pytest.mark.copy
@pytest.mark.copy_errors
def test_copy_is_refused_too(connection: Connection) -> None:
    late = datetime.now(UTC) + timedelta(minutes=6)
    months(connection, late)
    with (
        pytest.raises(psycopg.errors.CheckViolation, match="not_future"),
        connection.transaction(),
        connection.cursor() as cursor,
        cursor.copy(
            "COPY entasis.market_data (id, symbol, exchange, timestamp, price, volume) FROM STDIN"
        ) as copy,
    ):
        copy.write_row((1, "BTC", "x", late, 1, 1))


@pytest.mark.one_session
def test_a_long_transaction_writes_what_happened_since_it_began(connection: Connection) -> None:
    with connection.transaction():
        began = one(connection, "SELECT now()")
        months(connection, began)
        connection.execute("SELECT pg_sleep(0.2)")
        connection.execute(
            "INSERT INTO entasis.market_data (id, symbol, exchange, timestamp, price, volume)"
            " VALUES (1, 'BTC', 'x', clock_timestamp() + interval '299.9 seconds', 1, 1)"
        )
        assert one(
            connection, "SELECT timestamp > now() + interval '5 minutes' FROM entasis.market_data"
        )


# --- prices at zero and below --------------------------------------------------------------------

SPREAD = {"symbol": "BTC-FS-27JUN25_PERP", "exchange": "deribit"}
WITH_OPTIONS = {"symbol": "ETH_USDC-CS-27JUN25-3000_3500", "exchange": "deribit"}
FUTURE = {"symbol": "BTC-27JUN25", "exchange": "deribit"}


def refused_price(connection: Connection, statement: str, *parameters: object) -> None:
    with pytest.raises(psycopg.errors.CheckViolation) as caught, connection.transaction():
        connection.execute(statement.encode(), parameters)
    violates(connection, caught.value, "market_data_price_sign")


def test_the_difference_of_two_contracts_has_any_price(
    connection: Connection, database: Database
) -> None:
    ensure(connection, "market_data", NOON, NOON + timedelta(days=1))
    rows = [
        *(trade(n, price=D(p), **SPREAD) for n, p in enumerate(("-12.5", "0", "3", "-1E-18"))),
        *(trade(n, price=D(p), **WITH_OPTIONS) for n, p in enumerate(("0.07", "-0.01"), 60)),
        trade(1, price=D(1), **FUTURE),
    ]
    insert_trades(connection, *rows)
    for number, price in ((70, "0"), (71, "-0.1")):
        refused_price(
            connection,
            "INSERT INTO entasis.market_data (symbol, exchange, timestamp, id, price, volume)"
            " VALUES ('A', 'x', %s, 1, 1, 1), ('BTC-27JUN25', 'deribit', %s, %s, %s, 1),"
            " ('B', 'x', %s, 1, 1, 1)",
            *(NOON, NOON, number, D(price), NOON),
        )
    refused_price(connection, "UPDATE entasis.market_data SET price = price - 1")
    if database.can("moves_between_symbols"):
        refused_price(connection, "UPDATE entasis.market_data SET symbol = 'A' WHERE price = 0")
    refused_price(
        connection,
        "INSERT INTO entasis.market_data AS d (symbol, exchange, timestamp, id, price, volume)"
        " VALUES ('BTC-27JUN25', 'deribit', %s, 1, 1, 1)"
        " ON CONFLICT (symbol, exchange, timestamp, id) DO UPDATE SET price = 0",
        NOON + timedelta(seconds=1),
    )
    connection.execute("UPDATE entasis.market_data SET price = price - 1 WHERE symbol LIKE '%S-%'")
    now = [t._replace(price=t.price - 1) for t in rows[:-1]]
    oracle.assert_candles_are_right(connection, by_key(*now, rows[-1]))


def test_a_market_is_what_somebody_says_it_is(connection: Connection) -> None:
    ensure(connection, "market_data", NOON, NOON + timedelta(days=1))
    connection.execute("SELECT entasis.set_market('CL-Q5-U5', 'x', '{\"kind\": \"combo\"}')")
    below = trade(1, price=D(-1), symbol="CL-Q5-U5")
    insert_trades(connection, below)
    named = (SPREAD["symbol"], SPREAD["exchange"])
    connection.execute('SELECT entasis.set_market(%s, %s, \'{"kind": "option"}\')', named)
    refused_price(
        connection,
        "INSERT INTO entasis.market_data (symbol, exchange, timestamp, id, price, volume)"
        " VALUES (%s, %s, %s, 1, -1, 1)",
        *(*named, NOON),
    )
    oracle.assert_candles_are_right(connection, by_key(below))


@pytest.mark.copy
@pytest.mark.parametrize("months_are_there", [True, False])
def test_loaders_store_what_the_market_may_have(
    connection: Connection, months_are_there: bool
) -> None:
    without_months(connection)
    if months_are_there:
        ensure(connection, "market_data", NOON, NOON + timedelta(days=1))
    rows = [trade(1, price=D("-12.5"), **SPREAD), trade(2, price=D(0), **SPREAD)]
    report = ingest(connection, *rows, trade(3, price=D(-1)), trade(4, price=D(0)))
    assert report == IngestReport(2, 0, 2)
    assert quarantined(connection) == [("feed", 3, "price"), ("feed", 4, "price")]
    assert ingest(connection, *rows) == IngestReport(0, 2, 0)
    below = trade(5, price=D("-1E20"), **SPREAD)
    assert ingest(connection, below, trade(6, volume=D(0), price=D(-1), **SPREAD)).quarantined == 2
    oracle.assert_candles_are_right(connection, by_key(*rows))
    changed = [rows[0]._replace(price=D(-13)), rows[1]]
    replaced = replace_file(connection, changed)
    assert counts(replaced) == (0, 1, 0, 1)
    oracle.assert_candles_are_right(connection, by_key(*changed))


@pytest.mark.copy
@pytest.mark.copy_errors
def test_a_copy_of_late_trades_shows_although_prices_are_looked_at(connection: Connection) -> None:
    """Of engine timescaledb, a trigger BEFORE each row would have COPY forget late candles."""
    ensure(connection, "market_data", NOON, NOON + timedelta(days=1))
    rows = [trade(1), trade(7200)]
    insert_trades(connection, *rows)
    oracle.refresh(connection)
    late = [trade(n, price=D(p), **SPREAD) for n, p in ((3, "-1"), (4, "1"))] + [trade(3)]
    copy_trades(connection, *late)
    oracle.assert_candles_are_right(connection, by_key(*rows, *late))
    with pytest.raises(psycopg.errors.CheckViolation) as caught:
        copy_trades(connection, trade(8), trade(9, price=D(0)))
    violates(connection, caught.value, "market_data_price_sign")
    oracle.assert_candles_are_right(connection, by_key(*rows, *late))
