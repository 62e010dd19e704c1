"""Ingest: every row is stored, was there already, or stands in quarantine with its reason."""

import asyncio
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal, Inexact, localcontext
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import sql
from psycopg.rows import dict_row

from entasis_db.errors import IdSpaceError
from entasis_db.ingest import (
    IngestReport,
    Refusal,
    ingest_options,
    ingest_options_async,
    ingest_trades,
    ingest_trades_async,
    load_trades,
    quarantine,
    retrying,
)
from entasis_db.model import OptionQuote, Trade
from tests import oracle
from tests.conftest import Login
from tests.engines import Database, Server

pytestmark = pytest.mark.copy

NOON = datetime(2024, 8, 8, 12, tzinfo=UTC)
EXPIRY = datetime(2024, 9, 27, 8, tzinfo=UTC)
D = Decimal


def trade(number: int = 1, **changes: Any) -> Trade:
    made = Trade("BTC", "x", NOON + timedelta(seconds=number), number, D("61804.5"), D("0.25"))
    return made._replace(**changes)


def quote(number: int = 1, **changes: Any) -> OptionQuote:
    made = OptionQuote(
        *("ETH", D(2800), EXPIRY, "call", NOON + timedelta(seconds=number), number),
        *(D("0.65"), D("0.5"), D("0.00002"), D("-1.6"), D("0.2")),
    )
    return made._replace(**changes)


def ingest(connection: psycopg.Connection[Any], *rows: Trade, **options: Any) -> IngestReport:
    return ingest_trades(connection, rows, **{"source": "feed", "id_space": "trade", **options})


def quarantined(connection: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    return connection.execute(
        "SELECT source, line, code FROM entasis.quarantine ORDER BY source, line, code"
    ).fetchall()


def by_key(*trades: Trade) -> dict[oracle.TradeKey, tuple[Decimal, Decimal]]:
    return {(t.symbol, t.exchange, t.timestamp.astimezone(UTC), t.id): t[4:] for t in trades}


def took_the_slow_way(connection: psycopg.Connection[Any]) -> bool:
    row = connection.execute(
        "SELECT to_regclass('pg_temp.entasis_staged_trades') IS NOT NULL"
        " OR to_regclass('pg_temp.entasis_staged_options') IS NOT NULL"
    ).fetchone()
    assert row is not None
    return bool(row[0])


def with_months(connection: psycopg.Connection[Any]) -> None:
    connection.execute(
        "SELECT entasis.ensure_partitions(r, '2024-08-01', '2024-09-01')"
        " FROM unnest(ARRAY['market_data', 'option_data']) AS r"
    )


@pytest.fixture(scope="module")
def shared(server: Server) -> Iterator[Database]:
    """A database for the tests of this file; those that mind their own market only see others'."""
    with server.database() as lent:
        yield lent


@pytest.fixture
def shared_connection(shared: Database) -> Iterator[psycopg.Connection[Any]]:
    with shared.connect() as connected:
        yield connected


@pytest.fixture
def database(shared: Database) -> Database:
    """The same without a row and without a month of the past, which is quicker than a new one."""
    with shared.connect() as connected:
        connected.execute("UPDATE entasis.floors SET floor = DEFAULT")
        wipe(connected)
        oracle.refresh(connected)  # while nothing lies below a floor
        months = connected.execute(
            "SELECT string_agg(format('entasis.%I', partition_name), ',')"
            " FROM entasis.partitions WHERE to_time < now()"
            # a chunk is made again by the next row that needs it: it may stay
            " AND to_regclass(format('entasis.%I', partition_name)) IS NOT NULL"
        ).fetchone()
        if months and months[0]:
            connected.execute(f"DROP TABLE {months[0]}")
    return shared


def wipe(connection: psycopg.Connection[Any]) -> None:
    for relation in ("market_data", "option_data", "quarantine", "markets"):
        connection.execute(sql.SQL("DELETE FROM entasis.{}").format(sql.Identifier(relation)))


# --- what cannot be stored ------------------------------------------------------------------

HEADER = "exchange,symbol,timestamp_ns,sequence,trade_id,price,volume\n"


def line(
    symbol: str, number: int, price: str = "1.5", volume: str = "2", time: str | None = None
) -> str:
    stamp = time or str(int((NOON + timedelta(seconds=number)).timestamp()) * 10**9)
    return f"x,{symbol},{stamp},{number},{number},{price},{volume}\n"


def moment(*date: int) -> str:
    return str(int(datetime(*date, tzinfo=UTC).timestamp()) * 10**9)  # type: ignore[misc, arg-type]


FAULTS = {
    "13 decimals": ("price", "has 13 decimals", {"price": "1.0000000000001"}),
    "volume of 13 decimals": ("volume", "has 13 decimals", {"volume": "0.0000000000001"}),
    "in 2262": ("timestamp", "in the future", {"time": moment(2262, 4, 11)}),
    "before 2009": ("timestamp", "before 2009", {"time": moment(2008, 12, 31)}),
    "NaN": ("price", "the price NaN is not above 0", {"price": "NaN"}),
    "-NaN": ("price", "the price NaN is not above 0", {"price": "-NaN"}),
    "NaN with a payload": ("volume", "the volume NaN is not above 0", {"volume": "nan123"}),
    "Infinity": ("price", "the price Infinity is not", {"price": "Infinity"}),
    "-Infinity": ("price", "the price -Infinity is not", {"price": "-inf"}),
    "negative": ("price", "the price -1 is not above 0", {"price": "-1"}),
    "zero": ("price", "the price 0.0 is not above 0", {"price": "0.0"}),
    "volume of zero": ("volume", "the volume 0 is not above 0", {"volume": "0"}),
    "1e12": ("price", "below 1e12", {"price": "1000000000000"}),
    "vast": ("price", "beyond any price", {"price": "1E+5000"}),
    "tiny": ("volume", "beyond any price", {"volume": "1E-5000"}),
    "vast zero": ("price", "beyond any price", {"price": "0E-5000"}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_line_goes_to_quarantine_and_holds_nothing_up(
    shared_connection: psycopg.Connection[Any], tmp_path: Path, fault: str
) -> None:
    code, reason, changes = FAULTS[fault]
    symbol = f"F{list(FAULTS).index(fault)}"
    path = tmp_path / f"{symbol}.csv"
    path.write_text(
        HEADER
        + line(symbol, 1)
        + line(symbol, 2, **changes)
        + line(symbol, 3)
        + line(f"{symbol}B", 4)
    )
    for inserted in (3, 0):
        report = load_trades(shared_connection, path).report
        assert report == IngestReport(inserted, 3 - inserted, 1)
    stored = shared_connection.execute(
        "SELECT id FROM entasis.market_data WHERE symbol = %s ORDER BY 1", [symbol]
    ).fetchall()
    assert stored == [(1,), (3,)]
    ((found_line, found_code, found_reason, payload),) = shared_connection.execute(
        "SELECT line, code, reason, payload FROM entasis.quarantine WHERE source = %s", [path.name]
    ).fetchall()
    assert (found_line, found_code) == (3, code)
    assert reason in found_reason
    assert payload["symbol"] == symbol
    assert payload["exchange"] == "x"
    assert int(payload["id"]) == 2
    for name in ("price", "volume"):
        given_value = D(changes.get(name, {"price": "1.5", "volume": "2"}[name]))
        kept = D(str(payload[name]))
        assert kept.is_nan() if given_value.is_nan() else kept == given_value
    ns = changes.get("time")
    at = NOON + timedelta(seconds=2)
    if ns:
        at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(ns) // 1000)
    assert datetime.fromisoformat(payload["timestamp"]) == at


UNREADABLE = {
    "a symbol too long": ("x,SYMBOLOF21CHARACTERS!,1723118400000000000,1,7,1,1", "symbol"),
    "an exchange too long": ("exchangeof21characters,S,1723118400000000000,1,7,1,1", "exchange"),
    "no symbol": ("x,,1723118400000000000,1,7,1,1", "symbol"),
    "NUL": ("x,A\0B,1723118400000000000,1,7,1,1", "encoding"),
    "id beyond 64 bits": ("x,UNREAD,1723118400000000000,1,9223372036854775808,1,1", "id"),
    "no number": ("x,UNREAD,1723118400000000000,1,7,one,1", "number"),
    "a field too few": ("x,UNREAD,1723118400000000000,1,7,1", "fields"),
}


@pytest.mark.parametrize("fault", UNREADABLE)
def test_a_line_that_cannot_even_be_read_or_named(
    shared_connection: psycopg.Connection[Any], tmp_path: Path, fault: str
) -> None:
    bad, code = UNREADABLE[fault]
    symbol = f"U{list(UNREADABLE).index(fault)}"
    path = tmp_path / f"{symbol}.csv"
    path.write_text(HEADER + line(symbol, 1) + bad + "\n" + line(symbol, 3))
    for inserted in (2, 0):
        report = load_trades(shared_connection, path).report
        assert report == IngestReport(inserted, 2 - inserted, 1)
    ((found_line, found_code, payload),) = shared_connection.execute(
        "SELECT line, code, payload FROM entasis.quarantine WHERE source = %s", [path.name]
    ).fetchall()
    assert (found_line, found_code) == (3, code)
    if isinstance(payload, str):
        assert payload == bad.replace("\0", "\\x00")
    else:
        assert [payload["exchange"], payload["symbol"]] == bad.split(",")[:2]
        assert payload["id"] == 7


@pytest.mark.parametrize(
    ("changes", "code", "kept"),
    [
        ({"symbol": "NUL\0"}, "symbol", "NUL\\0"),
        ({"exchange": "half\ud800"}, "exchange", "half\\ud800"),
        ({"id": 2**63}, "id", str(2**63)),
        ({"id": -(2**63) - 1}, "id", str(-(2**63) - 1)),
        ({"id": 10**5000}, "id", hex(10**5000)),
        (
            {"timestamp": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1)))},
            "timestamp",
            "0001-01-01 00:00:00+01:00",
        ),
    ],
    ids=["NUL", "half a character", "2^63", "-2^63-1", "10^5000", "before year 1"],
)
def test_what_no_type_of_the_database_can_hold(
    connection: psycopg.Connection[Any], changes: dict[str, Any], code: str, kept: str
) -> None:
    for source in ("a", "a"):
        report = ingest(connection, trade(1), trade(2, **changes), trade(3), source=source)
        assert report.quarantined == 1
    assert quarantined(connection) == [("a", 2, code)]
    row = connection.execute("SELECT payload FROM entasis.quarantine").fetchone()
    assert row is not None
    assert row[0][code] == kept
    oracle.assert_candles_are_right(connection, by_key(trade(1), trade(3)))


def test_rows_below_the_floor_are_past_retention(connection: psycopg.Connection[Any]) -> None:
    connection.execute("UPDATE entasis.floors SET floor = '2024-08-08'")
    before = datetime(2024, 8, 7, 23, 59, 59, 999999, UTC)
    old, new = trade(1, timestamp=before), trade(2)
    quotes = [quote(1, timestamp=before), quote(2)]
    assert ingest(connection, old, new) == IngestReport(1, 0, 1)
    assert ingest_options(connection, quotes, source="o") == IngestReport(1, 0, 1)
    assert quarantined(connection) == [("feed", 1, "past_retention"), ("o", 1, "past_retention")]
    oracle.assert_candles_are_right(connection, by_key(new))


def test_a_batch_of_nothing_but_old_rows_is_refused_by_the_table_and_kept_in_quarantine(
    connection: psycopg.Connection[Any],
) -> None:
    # the month is there, so only the trigger objects
    with_months(connection)
    connection.execute("UPDATE entasis.floors SET floor = '2024-08-09'")
    assert ingest(connection, trade(1), trade(2)) == IngestReport(0, 0, 2)
    assert ingest_options(connection, [quote()], source="o") == IngestReport(0, 0, 1)
    oracle.assert_candles_are_right(connection, {})


def test_the_same_id_with_another_price_is_a_conflict_and_the_first_stays(
    connection: psycopg.Connection[Any],
) -> None:
    first = trade(1)
    ingest(connection, first)
    report = ingest(connection, first._replace(price=D(1)), trade(2), first, source="second")
    assert report == IngestReport(1, 1, 1)
    (row,) = connection.execute("SELECT line, code, reason, payload FROM entasis.quarantine")
    assert row[:2] == (1, "conflict")
    assert "is stored with price 61804.5 and volume 0.25; this one has 1 and 0.25" in row[2]
    assert row[3]["price"] == 1
    oracle.assert_candles_are_right(connection, by_key(first, trade(2)))


def test_twice_within_one_batch(connection: psycopg.Connection[Any]) -> None:
    first = trade(1)
    batch = [
        first,
        trade(2),
        first,
        first._replace(volume=D(9)),
        first._replace(price=D("61804.50")),
        trade(3, price=D(1)),
        trade(3, price=D(2)),
    ]
    assert ingest(connection, *batch) == IngestReport(3, 2, 2)
    assert quarantined(connection) == [("feed", 4, "conflict"), ("feed", 7, "conflict")]
    oracle.assert_candles_are_right(connection, by_key(first, trade(2), trade(3, price=D(1))))


def test_the_lines_given_are_those_in_quarantine(connection: psycopg.Connection[Any]) -> None:
    bad = trade(1, price=D(0))
    ingest(connection, trade(2), bad, trade(3, id=2**70), lines=[17, 4, 99])
    assert quarantined(connection) == [("feed", 4, "price"), ("feed", 99, "id")]
    for lines in ([], [1, 2]):
        with pytest.raises(ValueError, match="lines are given for 1 rows"):
            ingest(connection, trade(5), lines=lines)


def test_quarantine_of_refusals_from_elsewhere(connection: psycopg.Connection[Any]) -> None:
    refusals = [Refusal(3, "number", "no number", "raw,line"), Refusal(4, "id", "no id", {"a": 1})]
    for _ in range(2):
        assert quarantine(connection, "market_data", refusals, source="f") == 2
    assert quarantined(connection) == [("f", 3, "number"), ("f", 4, "id")]


# --- what is stored --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["1.50000000000000000", "1.5000000000000", "1E+2", "100.0E-1", "0.000000000001"]
)
def test_zeros_and_exponents_do_not_matter(connection: psycopg.Connection[Any], text: str) -> None:
    given_trade = trade(1, price=D(text), volume=D(text))
    assert ingest(connection, given_trade) == IngestReport(inserted=1)
    oracle.assert_candles_are_right(connection, by_key(given_trade))


def test_every_digit_at_the_bounds(connection: psycopg.Connection[Any]) -> None:
    digits = D("999999999999.999999999999")
    given_trades = [
        trade(1, price=digits, volume=D("0.000000000001")),
        trade(2, price=D("0.000000000001"), volume=digits),
        trade(3, price=digits, volume=digits),
        trade(4, id=-(2**63), symbol="é" * 20, exchange="\\N\t\n\r\\."),
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
    for rows in (given_trades, [*given_trades, trade(2, price=D(0))]):
        ingest(connection, *rows)
        oracle.assert_candles_are_right(
            connection,
            {
                ("BTC", "x", datetime(2024, 8, 8, hour, 30, tzinfo=UTC), 1): given_trades[0][4:]
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


@pytest.mark.parametrize("field", ["strike_price", "iv", "delta", "gamma", "theta", "vega"])
def test_an_option_with_a_float_raises(
    shared_connection: psycopg.Connection[Any], field: str
) -> None:
    for before in ([], [quote(2, gamma=D("NaN"))]):
        with pytest.raises(TypeError, match=f"{field} must be Decimal"):
            ingest_options(
                shared_connection, [*before, quote(1, **{field: 0.5})], source="float option"
            )
    with pytest.raises(ValueError, match=r"expiry_date .* has no time zone"):
        ingest_options(
            shared_connection,
            [quote(1, expiry_date=EXPIRY.replace(tzinfo=None))],
            source="float option",
        )
    assert ("float option",) not in {row[:1] for row in quarantined(shared_connection)}


OPTION_FAULTS: dict[str, dict[str, Any]] = {
    "underlying": {"underlying": "U" * 21},
    "option_type": {"option_type": "straddle"},
    "strike_price": {"strike_price": D("NaN")},
    "iv": {"iv": D("-0.1")},
    "delta": {"delta": D("1E-19")},
    "gamma": {"gamma": D("NaN")},
    "theta": {"theta": D("-Infinity")},
    "vega": {"vega": D("1E+400")},
    "timestamp": {"timestamp": datetime(2262, 1, 1, tzinfo=UTC)},
    "id": {"id": 2**64},
}


def test_options_each_with_its_own_fault(connection: psycopg.Connection[Any]) -> None:
    bad = [quote(n, **changes) for n, changes in enumerate(OPTION_FAULTS.values(), 2)]
    good = [quote(1), quote(99, iv=None, delta=None, gamma=D("2E-18"), theta=None, vega=None)]
    batch = [good[0], *bad, good[1]]
    assert ingest_options(connection, batch, source="o") == IngestReport(2, 0, len(bad))
    assert ingest_options(connection, batch, source="o") == IngestReport(0, 2, len(bad))
    assert [(n, code) for _, n, code in quarantined(connection)] == list(
        enumerate(OPTION_FAULTS, 2)
    )
    found = connection.execute(
        "SELECT underlying, strike_price, expiry_date, option_type, timestamp, id,"
        " iv, delta, gamma, theta, vega FROM entasis.option_data ORDER BY id"
    ).fetchall()
    assert found == [tuple(row) for row in good]


def test_an_option_stored_with_other_values_is_a_conflict(
    connection: psycopg.Connection[Any],
) -> None:
    ingest_options(connection, [quote(1), quote(2, iv=None)], source="a")
    again = [quote(1, gamma=None), quote(2), quote(1), quote(2, iv=None)]
    assert ingest_options(connection, again, source="b") == IngestReport(0, 2, 2)
    assert quarantined(connection) == [("b", 1, "conflict"), ("b", 2, "conflict")]


# --- which way a batch goes ------------------------------------------------------------------


def test_clean_batches_are_copied_straight_into_their_table(
    connection: psycopg.Connection[Any],
) -> None:
    with_months(connection)
    east = timezone(timedelta(hours=20))
    ingest(
        connection,
        trade(5),
        trade(3, price=D("1E-7"), volume=D("1E+3")),
        trade(4, timestamp=(NOON + timedelta(seconds=4)).astimezone(east)),
        trade(1, symbol="tab\t\\"),
        trade(2, price=D("1.500000000000")),
    )
    ingest_options(connection, [quote(2), quote(1, gamma=D("2E-18"), iv=None)], source="o")
    assert not took_the_slow_way(connection)
    ingest(connection, trade(9, price=D(0)))
    assert took_the_slow_way(connection)


@pytest.mark.parametrize("why", ["repeated", "no month", "floor", "inexact"])
def test_other_batches_are_staged(
    connection: psycopg.Connection[Any], database: Database, why: str
) -> None:
    batch = [trade(1)]
    if why == "no month" and database.engine == "timescaledb":
        pytest.skip("chunks are made by the rows that need them")
    if why != "no month":
        with_months(connection)
    if why == "repeated":
        ingest(connection, *batch)
        assert not took_the_slow_way(connection)
    if why == "floor":
        connection.execute("UPDATE entasis.floors SET floor = '2024-08-09'")
    if why == "inexact":
        batch = [trade(1, price=D("1.5000000000000"))]
    ingest(connection, *batch)
    assert took_the_slow_way(connection)


def test_a_batch_given_up_half_way_says_nothing_on_the_log(
    connection: psycopg.Connection[Any], caplog: pytest.LogCaptureFixture
) -> None:
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


# --- id spaces -------------------------------------------------------------------------------


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


# --- transactions ----------------------------------------------------------------------------


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


# --- any batches, in any order ---------------------------------------------------------------

times = st.one_of(
    st.builds(lambda n: NOON + timedelta(microseconds=n), st.integers(0, 3)),
    st.builds(lambda n: NOON + timedelta(seconds=n), st.integers(-90_000, 90_000)),
    st.sampled_from(
        [datetime(2023, 12, 31, 23, 59, 59, 999999, UTC), datetime(2024, 1, 1, tzinfo=UTC)]
    ),
).map(lambda t: t.astimezone(timezone(timedelta(hours=t.second % 3 - 1))))
good_numbers = st.one_of(
    st.sampled_from([D(1), D("1.0"), D(2), D("61804.5")]),
    st.decimals(D("0.000000000001"), D("9999999"), places=12),
)
good_trades = st.builds(
    Trade,
    st.sampled_from(["BTC", "ETH", "\\N\t"]),
    st.sampled_from(["x", "y"]),
    times,
    st.sampled_from([0, 1, 2, -(2**63), 2**63 - 1]),
    good_numbers,
    good_numbers,
).filter(lambda t: t.price * t.volume < D("1e13"))
bad_fields: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        *({"symbol": name} for name in ("", "S" * 21, "a\0", "\udfff")),
        *({"exchange": name} for name in ("", "é" * 21)),
        *({"timestamp": datetime(y, 1, 1, tzinfo=UTC)} for y in (1, 2008, 2262, 9999)),
        *({"id": n} for n in (2**63, -(2**63) - 1)),
        *(
            {field: D(text)}
            for field in ("price", "volume")
            for text in (
                *("NaN", "sNaN", "-NaN7", "Infinity", "-Infinity", "0", "-0", "-1", "1E+12"),
                *("1E-13", "1.0000000000001", "1E+5000", "1E-5000", "-1E+5000", "0E+5000"),
            )
        ),
        {"price": D("1e11"), "volume": D("1e3")},
    ]
)
bad_trades = st.builds(lambda t, bad: t._replace(**bad), good_trades, bad_fields)


@st.composite
def runs(draw: st.DrawFn) -> list[tuple[int, list[Trade]]]:
    """Some batches, each with its number; some of them are given more than once."""
    # of few keys, so that rows repeat and contradict one another within batches and between them
    keys = draw(st.lists(good_trades, min_size=1, max_size=3))
    few = st.sampled_from(keys)
    other_values = st.builds(
        lambda t, price, volume: t._replace(price=price, volume=volume),
        few,
        st.sampled_from([D(1), D("1.0"), D(2)]),
        st.sampled_from([D(3), D(4)]),
    )
    batches = draw(
        st.lists(
            st.one_of(
                st.lists(good_trades, min_size=1, max_size=6),
                st.lists(st.one_of(few, other_values, good_trades), min_size=1, max_size=6),
                st.lists(
                    st.one_of(few, other_values, good_trades, bad_trades), min_size=1, max_size=8
                ),
            ),
            min_size=1,
            max_size=4,
        )
    )
    order = draw(st.lists(st.sampled_from(range(len(batches))), max_size=3))
    return [(n, batches[n]) for n in draw(st.permutations([*range(len(batches)), *order]))]


def is_admissible(t: Trade) -> bool:
    """Say what the rules say, told a second time and in other words."""
    for name in (t.symbol, t.exchange):
        if not 1 <= len(name) <= 20 or any(c == "\0" or 0xD800 <= ord(c) < 0xE000 for c in name):
            return False
    for number in (t.price, t.volume):
        if not number.is_finite() or number.is_signed() or number.is_zero():
            return False
        if number.adjusted() >= 12 or (number.adjusted() < -12):
            return False
        if number != number.quantize(D("1e-12")):
            return False
    return 2009 <= t.timestamp.year < 2200 and t.id in range(-(2**63), 2**63)


Ingest = Callable[[psycopg.Connection[Any], str, list[Trade], str], IngestReport]


def _synchronous(
    connection: psycopg.Connection[Any], _: str, rows: list[Trade], source: str
) -> IngestReport:
    return ingest(connection, *rows, source=source)


def _asynchronous(
    _: psycopg.Connection[Any], dsn: str, rows: list[Trade], source: str
) -> IngestReport:
    async def run() -> IngestReport:
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connected:
            return await ingest_trades_async(connected, rows, source=source, id_space="trade")

    return asyncio.run(run())


@pytest.mark.parametrize("way", [_synchronous, _asynchronous], ids=["sync", "async"])
@given(run=runs())
def test_whatever_comes_is_stored_or_explained(
    shared: Database,
    shared_connection: psycopg.Connection[Any],
    way: Ingest,
    run: list[tuple[int, list[Trade]]],
) -> None:
    connection = shared_connection
    wipe(connection)
    stored: dict[oracle.TradeKey, tuple[Decimal, Decimal]] = {}
    refused = set()
    with localcontext() as context:
        context.prec = 60
        for number, batch in run:
            inserted = already_there = 0
            source = f"batch {number}"
            for position, t in enumerate(batch, 1):
                if not is_admissible(t):
                    refused.add((source, position, "inadmissible"))
                    continue
                ((key, values),) = by_key(t).items()
                if key not in stored:
                    stored[key] = values
                    inserted += 1
                elif stored[key] == values:
                    already_there += 1
                else:
                    refused.add((source, position, "conflict"))
            report = way(connection, shared.dsn, batch, source)
            assert report == IngestReport(
                inserted, already_there, len(batch) - inserted - already_there
            )
    found = quarantined(connection)
    assert len(found) == len(refused)
    assert {(s, n, c if c == "conflict" else "inadmissible") for s, n, c in found} == refused
    assert {code for *_, code in found} <= {*Trade._fields, "conflict"}
    oracle.assert_candles_are_right(connection, stored)


def test_options_asynchronously(database: Database) -> None:
    async def run() -> list[IngestReport]:
        async with await psycopg.AsyncConnection.connect(
            database.dsn, autocommit=True, row_factory=dict_row
        ) as connected:
            batches = [[quote(1)], [quote(1), quote(2)], [quote(3, iv=D("NaN"))], []]
            return [await ingest_options_async(connected, b, source="o") for b in batches]

    assert asyncio.run(run()) == [
        IngestReport(1),
        IngestReport(1, 1),
        IngestReport(0, 0, 1),
        IngestReport(),
    ]


def test_asynchronous_mistakes_and_id_spaces(database: Database) -> None:
    async def run() -> None:
        async with await psycopg.AsyncConnection.connect(
            database.dsn, autocommit=True, row_factory=dict_row
        ) as connected:
            options: dict[str, Any] = {"source": "feed", "id_space": "trade"}
            await ingest_trades_async(connected, [trade(1)], **options)
            with pytest.raises(TypeError):
                await ingest_trades_async(connected, [trade(2), trade(3, price=1.5)], **options)
            with pytest.raises(ValueError, match="lines are given"):
                await ingest_trades_async(connected, [trade(2)], **options, lines=[])
            with pytest.raises(IdSpaceError, match="feed, line 2"):
                await ingest_trades_async(
                    connected, [trade(2, symbol="NEW"), trade(3)], source="feed", id_space="agg"
                )

    asyncio.run(run())
    with database.connect() as connected:
        oracle.assert_candles_are_right(connected, by_key(trade(1)))


# --- several at once -------------------------------------------------------------------------


def at_once(*steps: Callable[[], Any]) -> list[Any]:
    """Run them in threads of their own, begun together; raise what one of them raised."""
    barrier = threading.Barrier(len(steps))

    def run(step: Callable[[], Any]) -> Any:
        barrier.wait()
        return step()

    with ThreadPoolExecutor(len(steps)) as pool:
        return list(pool.map(run, steps))


@pytest.mark.several_connections
@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ"])
def test_overlapping_batches_in_opposite_order(database: Database, level: str) -> None:
    chance = random.Random(11)
    everything = [
        trade(
            n, symbol=chance.choice("ABCD"), timestamp=NOON + timedelta(days=n % 50, seconds=n % 7)
        )
        for n in range(600)
    ]
    batches = [chance.sample(everything, 120) for _ in range(12)]
    # some of them dirty, so that the slow way meets the fast one
    for batch in batches[::3]:
        batch.append(trade(1, price=D(0)))

    def load(own: Sequence[Sequence[Trade]]) -> IngestReport:
        total = IngestReport()
        with database.connect() as connected:
            connected.execute(f"SET default_transaction_isolation = '{level.lower()}'")
            for batch in own:
                total += retrying(
                    lambda batch=batch: ingest(connected, *chance.sample(batch, len(batch)))
                )
        return total

    reports = at_once(lambda: load(batches), lambda: load(batches[::-1]))
    total = reports[0] + reports[1]
    stored = {t for batch in batches for t in batch if t.price}
    assert total.inserted == len(stored)
    assert total.quarantined == 2 * len(batches[::3])
    assert total.already_there == 2 * sum(map(len, batches)) - total.inserted - total.quarantined
    with database.connect() as connected:
        oracle.assert_candles_are_right(connected, by_key(*stored))


@pytest.mark.parametrize("slow", [False, True], ids=["fast", "slow"])
def test_rows_are_written_in_the_order_of_their_key(server: Server, slow: bool) -> None:
    """Writers who lock in one order cannot deadlock, and a heap shows in which it was written."""
    # of now, because a job may compress older ones, and then there is no heap
    now = datetime.now(UTC) - timedelta(minutes=1)
    times = [{"timestamp": now - timedelta(microseconds=n)} for n in range(60)]
    rows = [trade(n, symbol="ABC"[n % 3], exchange="xy"[n % 2], **times[n]) for n in range(60)]
    quotes = [
        quote(n, strike_price=D(n % 7 + 1), underlying="AB"[n % 2], **times[n]) for n in range(60)
    ]
    random.Random(3).shuffle(rows)
    random.Random(4).shuffle(quotes)
    # a heap of its own, where no deleted row has left a gap
    with server.database() as lent, lent.connect() as connection:
        connection.execute(
            "SELECT entasis.ensure_partitions(r, %s, %s)"
            " FROM unnest(ARRAY['market_data', 'option_data']) AS r",
            [now - timedelta(minutes=1), now],
        )
        if slow:
            ingest(connection, *rows, trade(99, price=D(0)))
            ingest_options(connection, [*quotes, quote(99, iv=D(-1))], source="o")
        else:
            ingest(connection, *rows)
            ingest_options(connection, quotes, source="o")
        assert took_the_slow_way(connection) is slow
        for relation, key in (
            ("market_data", "symbol, exchange, timestamp, id"),
            ("option_data", "underlying, expiry_date, strike_price, option_type, timestamp, id"),
        ):
            written = connection.execute(
                f"SELECT {key} FROM entasis.{relation} ORDER BY ctid"
            ).fetchall()
            assert len(written) == 60
            assert written == sorted(written)


@pytest.mark.several_connections
def test_a_conflict_with_what_another_session_has_just_committed(database: Database) -> None:
    mine, theirs = trade(1), trade(1, price=D(2))
    with database.connect() as first, database.connect() as second:
        with_months(first)
        with ThreadPoolExecutor(1) as pool, first.transaction():
            ingest(first, theirs)
            waiting = pool.submit(ingest, second, mine, trade(2), source="second")
            wait_until_blocked(first, second)
        assert waiting.result() == IngestReport(1, 0, 1)
        assert quarantined(first) == [("second", 1, "conflict")]
        oracle.assert_candles_are_right(first, by_key(theirs, trade(2)))


def wait_until_blocked(asking: psycopg.Connection[Any], blocked: psycopg.Connection[Any]) -> None:
    for _ in range(1000):
        row = asking.execute(
            "SELECT cardinality(pg_blocking_pids(%s)) > 0", [blocked.info.backend_pid]
        ).fetchone()
        if row == (True,):
            return
        threading.Event().wait(0.01)
    raise AssertionError("the other session did not come to wait")


@pytest.mark.several_connections
@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ"])
def test_a_new_month_made_by_two_at_once(database: Database, level: str) -> None:
    with database.connect() as first, database.connect() as second:
        second.execute(f"SET default_transaction_isolation = '{level.lower()}'")
        # else they would meet at the new market already
        ingest(first, trade(0, timestamp=NOON - timedelta(days=50)))
        with ThreadPoolExecutor(1) as pool:
            with first.transaction():
                ingest(first, trade(1))
                waiting = pool.submit(retrying, lambda: ingest(second, trade(1), trade(2)))
                wait_until_blocked(first, second)
            assert waiting.result() == IngestReport(1, 1, 0)
        oracle.assert_candles_are_right(
            first, by_key(trade(0, timestamp=NOON - timedelta(days=50)), trade(1), trade(2))
        )


def test_retrying_repeats_what_lost_to_others_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    left: list[Exception] = [
        psycopg.errors.SerializationFailure(),
        psycopg.errors.DeadlockDetected(),
    ]

    def step() -> str:
        if left:
            raise left.pop()
        return "done"

    assert retrying(step) == "done"
    left = [psycopg.errors.DeadlockDetected() for _ in range(9)]
    with pytest.raises(psycopg.errors.DeadlockDetected):
        retrying(step, attempts=3)
    assert len(left) == 6
    left = [psycopg.errors.UniqueViolation()]
    with pytest.raises(psycopg.errors.UniqueViolation):
        retrying(step)
    assert not left


# --- rights ----------------------------------------------------------------------------------


def test_a_writer_can_ingest_everything(login: Login, connection: psycopg.Connection[Any]) -> None:
    with login("entasis_writer") as writer:
        batch = [trade(1), trade(2, price=D(0)), trade(3, id=2**70), trade(1, price=D(5))]
        assert ingest(writer, *batch) == IngestReport(1, 0, 3)
        assert ingest(writer, trade(7)) == IngestReport(1)
        assert ingest_options(writer, [quote(1), quote(1, iv=D(9))], source="o") == IngestReport(
            1, 0, 1
        )
        writer.execute("DELETE FROM entasis.market_data WHERE id = 7")
    oracle.assert_candles_are_right(connection, by_key(trade(1)))


def relations(connection: psycopg.Connection[Any]) -> list[tuple[str, str, str, bool]]:
    """Schema, name, kind, and whether it is a partition, of all that there is."""
    return connection.execute(
        """
        SELECT n.nspname, c.relname, c.relkind::text, c.relispartition
        FROM pg_class AS c INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
        WHERE n.nspname IN ('entasis', 'entasis_internal', 'entasis_migrations')
            AND c.relkind IN ('r', 'p', 'v', 'm')
        ORDER BY 1, 2
        """
    ).fetchall()


NOT_FOR_READERS = {
    "quarantine",
    "user_logins",
    "maintenance_log",
    "archives",
    "archive_objects",
    "restores",
    "health",
}


def test_a_reader_reads_everything_and_writes_nothing(
    login: Login, connection: psycopg.Connection[Any]
) -> None:
    ingest(connection, trade(1), trade(2, price=D(0)))
    oracle.refresh(connection)
    found = relations(connection)
    assert {"market_data", "option_data", "predictions", "ohlcv_1m", "ohlcv_1w"} <= {
        name for _, name, *_ in found
    }
    with login("entasis_reader") as reader:
        for schema, name, kind, is_partition in found:
            relation = sql.Identifier(schema, name)
            (column,) = connection.execute(
                "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum = 1",
                [f"{schema}.{name}"],
            ).fetchone() or ("",)
            writes = [
                "INSERT INTO {r} DEFAULT VALUES",
                "UPDATE {r} SET {c} = DEFAULT",
                "DELETE FROM {r}",
            ]
            if kind != "v":
                writes += ["TRUNCATE {r}", "ALTER TABLE {r} RENAME {c} TO x", "DROP TABLE {r}"]
            refusals: tuple[type[psycopg.Error], ...] = (psycopg.errors.InsufficientPrivilege,)
            if kind == "v":  # it is refused for being a view before anybody asks for rights
                refusals += (psycopg.errors.ObjectNotInPrerequisiteState,)
                refusals += (psycopg.errors.FeatureNotSupported,)
            for write in writes:
                with pytest.raises(refusals):
                    reader.execute(sql.SQL(write).format(r=relation, c=sql.Identifier(column)))
            if schema == "entasis" and not is_partition and name not in NOT_FOR_READERS:
                reader.execute(sql.SQL("SELECT * FROM {} LIMIT 1").format(relation))
            else:
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    reader.execute(sql.SQL("SELECT * FROM {} LIMIT 1").format(relation))
        for function in ("candles", "candles_filled"):
            (row,) = reader.execute(
                f"SELECT open FROM entasis.{function}('BTC', 'x', '1h', %s, %s)",
                [NOON, NOON + timedelta(hours=1)],
            )
            assert row == (trade(1).price,)
        for call in (
            "stage_trades()",
            "stage_options()",
            "insert_staged_trades('s')",
            "insert_staged_options('s')",
            "record_id_space('BTC', 'x', 'other', 's')",
            "ensure_partitions('market_data', '2020-01-01', '2020-02-01')",
            "check_candles()",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute(f"SELECT * FROM entasis.{call}")
        for attempt in (
            lambda: ingest(reader, trade(3)),
            lambda: ingest_options(reader, [quote()], source="o"),
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                attempt()
        # whatever function is added one day: what a reader may call, changes nothing
        callable_ones = reader.execute(
            """
            SELECT p.oid::regprocedure::text FROM pg_proc AS p
            WHERE p.pronamespace IN ('entasis'::regnamespace, 'entasis_internal'::regnamespace)
                AND p.provolatile = 'v' AND has_function_privilege(p.oid, 'EXECUTE')
            """
        ).fetchall()
        assert callable_ones == []
    oracle.assert_candles_are_right(connection, by_key(trade(1)))
