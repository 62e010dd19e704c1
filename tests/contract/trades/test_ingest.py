"""Ingest: what is stored, and which way a batch goes."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Inexact, localcontext
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

from entasis_db.errors import IdSpaceError
from entasis_db.ingest import (
    IngestReport,
    ingest_options,
    ingest_trades,
    load_trades,
    retrying,
)
from tests import oracle
from tests.contract.trades.support import (
    by_key,
    ingest,
    quarantined,
    with_months,
    without_months,
)
from tests.db import wipe
from tests.engines import Database, Server
from tests.make import NOON, D, quote, trade

pytestmark = [pytest.mark.copy, pytest.mark.newest_server_when_short]


# --- what is stored ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["1.50000000000000000", "1.5000000000000", "1E+2", "100.0E-1", "1E-18"]
)
def test_zeros_and_exponents_do_not_matter(connection: psycopg.Connection[Any], text: str) -> None:
    given_trade = trade(1, price=D(text), volume=D(text))
    assert ingest(connection, given_trade) == IngestReport(inserted=1)
    oracle.assert_candles_are_right(connection, by_key(given_trade))


def test_every_digit_at_the_bounds(connection: psycopg.Connection[Any]) -> None:
    digits = D("99999999999999999999.999999999999999999")
    given_trades = [
        trade(1, price=digits, volume=D("0.000000000000000001")),
        trade(2, price=D("0.000000000000000001"), volume=digits),
        trade(3, price=digits, volume=digits),
        trade(4, id=-(2**63), symbol="é" * 64, exchange="\\N \\."),
        trade(5, id=2**63 - 1, timestamp=datetime(2009, 1, 1, tzinfo=UTC)),
    ]
    assert ingest(connection, *given_trades) == IngestReport(inserted=5)
    assert quarantined(connection) == []
    oracle.assert_candles_are_right(connection, by_key(*given_trades))


class _AutumnZone(tzinfo):
    """Its clock has just been put back by an hour: each of its times comes twice."""

    def utcoffset(self, moment: datetime | None) -> timedelta:
        return timedelta(hours=1 if moment and moment.fold else 2)


def test_the_hour_that_a_clock_goes_through_twice(connection: psycopg.Connection[Any]) -> None:
    with_months(connection)
    early = datetime(2024, 8, 8, 2, 30, tzinfo=_AutumnZone())
    late = early.replace(fold=1)
    assert early == late  # as Python sees them
    given_trades = [trade(1, timestamp=early), trade(1, timestamp=late)]
    values = (D("61804.5"), D("0.25"))
    for rows in (given_trades, [*given_trades, trade(2, price=D(0))]):
        ingest(connection, *rows, id_space="ordinal")
        oracle.assert_candles_are_right(
            connection,
            {
                ("BTC", "x", datetime(2024, 8, 8, hour, 30, tzinfo=UTC), 1): values
                for hour in (0, 1)
            },
        )
        wipe(connection)


class _NowhereZone(tzinfo):
    """Says of itself that it is no time zone."""

    def utcoffset(self, _: datetime | None) -> None:
        return None


WRONG_TYPES: dict[str, tuple[dict[str, Any], type[Exception]]] = {
    "float price": ({"price": 1.5}, TypeError),
    "float volume": ({"volume": 1.5}, TypeError),
    "int price": ({"price": 1}, TypeError),
    "text price": ({"price": "1.5"}, TypeError),
    "no price": ({"price": None}, TypeError),
    "float id": ({"id": 1.0}, TypeError),
    "bool id": ({"id": True}, TypeError),
    "no symbol": ({"symbol": None}, TypeError),
    "bytes exchange": ({"exchange": b"x"}, TypeError),
    "text time": ({"timestamp": "2024-08-08"}, TypeError),
    "naive time": ({"timestamp": NOON.replace(tzinfo=None)}, ValueError),
    "zone of no offset": ({"timestamp": NOON.replace(tzinfo=_NowhereZone())}, ValueError),
}


@pytest.mark.parametrize("dirty", [False, True], ids=["clean", "dirty"])
@pytest.mark.parametrize("mistake", WRONG_TYPES)
def test_a_mistake_in_the_program_raises_and_stores_nothing(
    shared_connection: psycopg.Connection[Any], mistake: str, dirty: bool
) -> None:
    changes, error = WRONG_TYPES[mistake]
    before = [trade(1, symbol="MISTAKE")]
    if dirty:
        before.append(trade(2, symbol="MISTAKE", price=D(0)))
    batch = [*before, trade(3, **{"symbol": "MISTAKE", **changes})]
    for order in (batch, batch[::-1]):
        with pytest.raises(error, match=r"must be|has no time zone"):
            ingest(shared_connection, *order, source="mistake")
    for relation in ("market_data", "markets", "quarantine"):
        row = shared_connection.execute(
            sql.SQL(
                "SELECT count(*) FROM entasis.{} AS r WHERE to_jsonb(r)::text ~ 'MISTAKE'"
            ).format(sql.Identifier(relation))
        ).fetchone()
        assert row == (0,)


# --- which way a batch goes ----------------------------------------------------------------------


@pytest.mark.direct_copies
def test_clean_batches_are_copied_straight_into_their_table(
    connection: psycopg.Connection[Any], staged: list[str]
) -> None:
    with_months(connection)
    east = timezone(timedelta(hours=20))
    ingest(
        connection,
        trade(5),
        trade(3, price=D("1E-7"), volume=D("1E+3")),
        trade(4, timestamp=(NOON + timedelta(seconds=4)).astimezone(east)),
        trade(1, symbol="\u20ac and \\"),
        trade(2, price=D("1.500000000000")),
    )
    ingest_options(connection, [quote(2), quote(1, gamma=D("2E-18"), iv=None)], source="o")
    assert not staged
    ingest(connection, trade(9, price=D(0)))
    assert staged


@pytest.mark.parametrize(
    "why",
    [
        "changed",
        "repeated with another",
        pytest.param("no month", marks=pytest.mark.monthly_partitions),
        "floor",
        "inexact",
    ],
)
def test_other_batches_are_staged(
    connection: psycopg.Connection[Any], database: Database, why: str, staged: list[str]
) -> None:
    batch = [trade(1)]
    if why == "no month":
        without_months(connection)
    else:
        with_months(connection)
    if why in ("changed", "repeated with another"):
        ingest(connection, *batch)
        assert not staged or not database.can("direct_copies")
        batch = [trade(1, price=D(9))] if why == "changed" else [trade(1), trade(2)]
    if why == "floor":
        connection.execute("UPDATE entasis.floors SET floor = '2024-08-09'")
    if why == "inexact":
        batch = [trade(1, price=D("1.5000000000000000000"))]
    ingest(connection, *batch)
    assert staged


def test_a_batch_given_up_half_way_says_nothing_on_the_log(
    connection: psycopg.Connection[Any], caplog: pytest.LogCaptureFixture
) -> None:
    without_months(connection)
    # the server objects to the month while the client is still writing, and stops at the bad row
    rows = [trade(n) for n in range(1, 3000)]
    assert ingest(connection, *rows, trade(9999, price=D(0))).inserted == 2999
    assert not caplog.records


def test_the_callers_own_settings_do_not_matter(database: Database) -> None:
    with (
        database.connect(row_factory=dict_row, cursor_factory=psycopg.RawCursor) as raw,
        localcontext() as context,
    ):
        context.prec = 2
        context.traps[Inexact] = True
        for report in (IngestReport(2, 0, 1), IngestReport(0, 2, 1)):
            batch = [trade(1), trade(2), trade(3, price=D(0))]
            assert ingest_trades(raw, batch, source="s", id_space="trade") == report
        raw.execute("SET timezone = 'Asia/Kathmandu'")
        raw.execute("SET datestyle = 'SQL, DMY'")
        raw.execute("SET search_path = ''")
        assert ingest(raw, trade(4), trade(5, price=D("NaN"))) == IngestReport(1, 0, 1)
        assert ingest_options(raw, [quote(1), quote(1)], source="o") == IngestReport(1, 1, 0)
    with database.connect() as plain:
        oracle.assert_candles_are_right(plain, by_key(trade(1), trade(2), trade(4)))


def test_late_trades_of_the_first_minute_of_a_day_reach_its_candles(server: Server) -> None:
    """A refresh of TimescaleDB in batches leaves some of them out."""
    first = datetime(2020, 1, 10, tzinfo=UTC)
    days = {n: trade(n, timestamp=first + timedelta(days=n)) for n in (0, 1, 2, 3, 51)}
    with server.database() as lent, lent.connect() as connected:  # where nothing was refreshed yet
        ingest(connected, days[0])
        oracle.refresh(connected)
        for late in ((days[3],), (days[51],), (days[1], days[2])):
            ingest(connected, *late)
        oracle.assert_candles_are_right(connected, by_key(*days.values()))


# --- id spaces -----------------------------------------------------------------------------------


def test_a_market_has_one_id_space(connection: psycopg.Connection[Any]) -> None:
    ingest(connection, trade(1), id_space={("BTC", "x"): "trade", ("unused", "x"): "other"})
    batch = [trade(1, symbol="NEW"), trade(2), trade(3)]
    with pytest.raises(IdSpaceError) as caught:
        ingest(connection, *batch, source="agg.csv", id_space="aggtrade", lines=[5, 6, 7])
    text = str(caught.value)
    assert "agg.csv, line 6: x BTC" in text
    assert "'trade'" in text
    assert "'aggtrade'" in text
    assert "nothing of this batch was loaded" in text
    # neither the trades nor the new market of the same batch
    oracle.assert_candles_are_right(connection, by_key(trade(1)))
    assert connection.execute(
        "SELECT symbol, id_space, source FROM entasis.markets"
    ).fetchall() == [("BTC", "trade", "feed")]
    with pytest.raises(ValueError, match=r"how trades of \('BTC', 'x'\) are numbered"):
        ingest(connection, trade(4), id_space={})


def test_trades_and_aggregated_trades_of_one_market(
    connection: psycopg.Connection[Any], tmp_path: Path
) -> None:
    trades_file = tmp_path / "BTCUSDT-trades-2024-08-08.csv"
    trades_file.write_text("1,61804.5,0.25,15451.1,1723118400000,true,true\n")
    aggregated = tmp_path / "BTCUSDT-aggTrades-2024-08-08.csv"
    aggregated.write_text("700,61804.5,0.25,1,1,1723118400000,true,true\n")
    load_trades(connection, trades_file, exchange="binance-spot")
    with pytest.raises(IdSpaceError, match=r"BTCUSDT-aggTrades-2024-08-08\.csv, line 1: "):
        load_trades(connection, aggregated, exchange="binance-spot")
    aggregated.write_text("700,61804.5,0.25,1,1,1723118400000,true\n")
    load_trades(connection, aggregated, exchange="binance-usdm")
    assert oracle.stored_trades(connection).keys() == {
        ("BTCUSDT", "binance-spot", NOON, 1),
        ("BTCUSDT", "binance-usdm", NOON, 700),
    }


@pytest.mark.several_connections
def test_two_id_spaces_at_once(database: Database) -> None:
    barrier = threading.Barrier(2)

    def load(id_space: str) -> object:
        with database.connect() as connected:
            barrier.wait()
            try:
                return retrying(lambda: ingest(connected, trade(1), id_space=id_space))
            except IdSpaceError:
                return "refused"

    for _ in range(5):
        with ThreadPoolExecutor(2) as pool:
            results = list(pool.map(load, ("trade", "aggtrade")))
        assert Counter(map(str, results))["refused"] == 1
        with database.connect() as connected:
            connected.execute("DELETE FROM entasis.market_data")
            connected.execute("DELETE FROM entasis.markets")


# --- transactions --------------------------------------------------------------------------------


@pytest.mark.parametrize("dirty", [False, True], ids=["clean", "dirty"])
def test_what_the_caller_rolls_back_was_never_there(database: Database, dirty: bool) -> None:
    batch = [trade(1), trade(2, price=D(0) if dirty else D(1))]
    with database.connect() as connected:
        if not dirty:
            with_months(connected)
        with pytest.raises(ZeroDivisionError), connected.transaction():
            report = ingest(connected, *batch)
            assert report == (IngestReport(1, 0, 1) if dirty else IngestReport(2))
            raise ZeroDivisionError
        for relation in ("market_data", "markets", "quarantine", "ohlcv_1m", "ohlcv_1d"):
            query = sql.SQL("SELECT count(*) FROM entasis.{}").format(sql.Identifier(relation))
            assert connected.execute(query).fetchone() == (0,)
        # and the connection can go on
        assert ingest(connected, *batch).inserted == 2 - dirty
        oracle.assert_candles_are_right(connected)


def test_the_callers_earlier_statements_survive_the_slow_way(database: Database) -> None:
    with database.connect(autocommit=False) as connected:
        connected.execute("CREATE TEMPORARY TABLE kept (n integer)")
        connected.execute("INSERT INTO kept VALUES (1)")
        assert ingest(connected, trade(1)) == IngestReport(1)  # a new month
        assert ingest(connected, trade(1), trade(2, price=D(0))) == IngestReport(0, 1, 1)
        connected.execute("INSERT INTO kept VALUES (2)")
        with pytest.raises(TypeError):
            ingest(connected, trade(3, price=1.5))
        with pytest.raises(IdSpaceError):
            ingest(connected, trade(3), id_space="aggtrade")
        connected.commit()
        assert connected.execute("SELECT sum(n) FROM kept").fetchone() == (3,)
    with database.connect() as connected:
        oracle.assert_candles_are_right(connected, by_key(trade(1)))


def test_nothing_is_said_of_nothing(connection: psycopg.Connection[Any]) -> None:
    assert ingest(connection) == IngestReport()
    assert ingest_options(connection, [], source="o") == IngestReport()
