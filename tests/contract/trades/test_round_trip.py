"""What was written is read back equal, and what was read can be written again."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from operator import attrgetter, itemgetter
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from entasis_db import queries
from entasis_db.ingest import ArrowReport, IngestReport, ingest_arrow, ingest_options, ingest_trades
from entasis_db.live import TickWriter
from entasis_db.model import OPTION_KEY, TRADE_KEY, OptionQuote, Trade
from tests.contract.trades.support import good_trades, times
from tests.db import wipe
from tests.engines import Database
from tests.make import EXPIRY, NOON, D, quote, trade

pytestmark = pytest.mark.copy

LONG_AGO, LATER = datetime(2009, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)

trade_key = itemgetter(*map(Trade._fields.index, TRADE_KEY))
option_key = itemgetter(*map(OptionQuote._fields.index, OPTION_KEY))


def read_trades(connection: psycopg.Connection[Any]) -> list[Trade]:
    markets = connection.execute("SELECT DISTINCT symbol, exchange FROM entasis.market_data")
    return [
        found
        for market in sorted(markets.fetchall())
        for found in queries.trades(*market, LONG_AGO, LATER).fetch(connection)
    ]


def versions(connection: psycopg.Connection[Any], relation: str) -> list[tuple[Any, ...]]:
    """Every row with the transaction that wrote it: rows that are rewritten, equal or not, show."""
    return connection.execute(
        f"SELECT xmin::text, to_jsonb(r) FROM entasis.{relation} AS r ORDER BY 2".encode()
    ).fetchall()


@given(rows=st.lists(good_trades, max_size=12, unique_by=trade_key))
def test_trades(shared_connection: psycopg.Connection[Any], rows: list[Trade]) -> None:
    connection = shared_connection
    wipe(connection)
    written = ingest_trades(connection, rows, source="a", id_space="ordinal")
    assert written == IngestReport(inserted=len(rows))
    found = read_trades(connection)
    assert found == sorted(rows, key=attrgetter("symbol", "exchange", "timestamp", "id"))
    assert set(found) == set(rows), "equal rows have equal hashes"
    assert all(type(row) is Trade and row.timestamp.tzinfo is UTC for row in found)

    before = versions(connection, "market_data")
    again = ingest_trades(connection, found, source="a", id_space="ordinal")
    assert again == IngestReport(already_there=len(rows))
    assert versions(connection, "market_data") == before


numbers = st.decimals(-999, 999, places=18) | st.sampled_from([D("0.10"), D("1E+2"), D(0)])
ivs = st.none() | st.decimals(0, 999, places=18)
prices = st.decimals(0, 10**20 - 1, places=18) | st.sampled_from([D("0.10"), D("1E+2"), D(0)])

good_quotes = st.builds(
    OptionQuote,
    id=st.integers(0, 2),
    underlying=st.sampled_from(["ETH", "BTC\\N"]),
    strike_price=st.sampled_from([D("0.625"), D("2800.00"), D("2.8E+3")]),
    expiry_date=st.sampled_from([EXPIRY, EXPIRY + timedelta(days=7)]),
    option_type=st.sampled_from(["call", "put"]),
    iv=ivs,
    delta=st.none() | numbers,
    gamma=st.none() | numbers,
    theta=st.none() | numbers,
    vega=st.none() | numbers,
    timestamp=times,
    bid_price=st.none() | prices,
    ask_price=st.none() | prices,
    mark_price=st.none() | prices,
    bid_iv=ivs,
    ask_iv=ivs,
    underlying_price=st.none() | prices,
    open_interest=st.none() | prices,
    rho=st.none() | numbers,
)


def read_quotes(connection: psycopg.Connection[Any]) -> list[OptionQuote]:
    contracts = connection.execute(
        "SELECT DISTINCT underlying, expiry_date, strike_price, option_type"
        " FROM entasis.option_data ORDER BY 1, 2, 3, 4"
    ).fetchall()
    return [
        found
        for contract in contracts
        for found in queries.option_history(*contract, LONG_AGO, LATER).fetch(connection)
    ]


@given(rows=st.lists(good_quotes, max_size=12, unique_by=option_key))
def test_option_quotes(shared_connection: psycopg.Connection[Any], rows: list[OptionQuote]) -> None:
    connection = shared_connection
    wipe(connection)
    assert ingest_options(connection, rows, source="a") == IngestReport(inserted=len(rows))
    found = read_quotes(connection)
    assert found == sorted(rows, key=option_key)
    assert set(found) == set(rows), "equal rows have equal hashes"
    assert all(type(row) is OptionQuote and row.timestamp.tzinfo is UTC for row in found)

    before = versions(connection, "option_data")
    again = ingest_options(connection, found, source="a")
    assert again == IngestReport(already_there=len(rows))
    assert versions(connection, "option_data") == before


def every_query(connection: psycopg.Connection[Any]) -> Sequence[Trade | OptionQuote]:
    return [
        *queries.trades("BTC", "x", LONG_AGO, LATER).fetch(connection),
        *queries.latest_price("BTC", "x").fetch(connection),
        *queries.latest_prices().fetch(connection),
        *queries.option_chain("ETH", NOON + timedelta(hours=1)).fetch(connection),
        *queries.option_history("ETH", EXPIRY, D(2800), "call", LONG_AGO, LATER).fetch(connection),
    ]


def test_every_writer_takes_what_queries_return(database: Database) -> None:
    with database.connect() as connection:
        ingest_trades(connection, [trade(1), trade(2)], source="a", id_space="trade")
        ingest_options(connection, [quote(1), quote(2)], source="a")
        before = versions(connection, "market_data"), versions(connection, "option_data")
        rows = every_query(connection)
        trades = [row for row in rows if isinstance(row, Trade)]
        quotes = [row for row in rows if isinstance(row, OptionQuote)]
        assert trades == [trade(1), trade(2), trade(2), trade(2)]
        assert quotes == [quote(2), quote(1), quote(2)]

        there = IngestReport(already_there=4)
        assert ingest_trades(connection, trades, source="b", id_space="trade") == there
        assert ingest_options(connection, quotes, source="b") == IngestReport(already_there=3)
        table = pa.Table.from_pylist([row._asdict() for row in trades])
        report = ingest_arrow(connection, table, source="b", id_space="trade")
        assert report == ArrowReport(already_there=4)
        with TickWriter(database.dsn, source="b", id_space="trade") as writer:
            for row in rows:
                writer.put(row)
        assert writer.metrics().already_there == len(rows)
        assert before == (versions(connection, "market_data"), versions(connection, "option_data"))


def test_a_row_is_a_value(database: Database) -> None:
    """Trailing zeros and zones make no other row; an hour that a clock goes through twice does."""
    assert trade(1, price=D("1.50")) == trade(1, price=D("1.5"))
    assert hash(trade(1, price=D("1.50"))) == hash(trade(1, price=D("1.5")))
    new_york = NOON.astimezone(ZoneInfo("America/New_York"))
    assert trade(1, timestamp=new_york) == trade(1, timestamp=NOON)
    assert hash(trade(1, timestamp=new_york)) == hash(trade(1, timestamp=NOON))
    # Python's own rule for datetime: such a time equals none of another zone
    twice = datetime(2024, 11, 3, 1, 30, tzinfo=ZoneInfo("America/New_York"))
    given_ = trade(1, timestamp=twice)
    with database.connect() as connection:
        ingest_trades(connection, [given_], source="a", id_space="trade")
        (found,) = read_trades(connection)
        assert found == trade(1, timestamp=twice.astimezone(UTC)) != given_
        again = ingest_trades(connection, [given_], source="a", id_space="trade")
        assert again == IngestReport(already_there=1)


def test_fields_are_the_tables_columns(database: Database) -> None:
    with database.connect() as connection:
        for kind, relation in ((Trade, "market_data"), (OptionQuote, "option_data")):
            columns = connection.execute(
                "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0"
                " AND NOT attisdropped ORDER BY attnum",
                [f"entasis.{relation}"],
            )
            names = [name for (name,) in columns if name != "created_at"]
            if kind is OptionQuote:
                # what can be missing comes last
                assert sorted(names) == sorted(kind._fields)
                required = [name for name in kind._fields if name not in kind._field_defaults]
                assert required == [name for name in names if name in required]
            else:
                assert names == list(kind._fields)


def test_the_keys_are_the_tables(database: Database) -> None:
    with database.connect() as connection:
        for fields, relation in ((TRADE_KEY, "market_data"), (OPTION_KEY, "option_data")):
            key = connection.execute(
                "SELECT a.attname FROM pg_index AS i"
                " CROSS JOIN unnest(i.indkey::smallint[]) WITH ORDINALITY AS k (attnum, place)"
                " INNER JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum"
                " WHERE i.indrelid = %s::regclass AND i.indisprimary ORDER BY k.place",
                [f"entasis.{relation}"],
            ).fetchall()
            assert [name for (name,) in key] == list(fields)
