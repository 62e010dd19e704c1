"""Quarantine: what cannot be stored stands there with its reason."""

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import psycopg
import pytest

from entasis_db.ingest import (
    IngestReport,
    Refusal,
    ingest_options,
    load_trades,
    quarantine,
)
from tests import oracle
from tests.contract.trades.support import by_key, ingest, moment, quarantined, with_months
from tests.make import NOON, D, quote, trade

pytestmark = [pytest.mark.copy, pytest.mark.native_speed, pytest.mark.newest_server]

HEADER = "exchange,symbol,timestamp_ns,sequence,trade_id,price,volume\n"


def line(
    symbol: str, number: int, price: str = "1.5", volume: str = "2", time: str | None = None
) -> str:
    stamp = time or str(int((NOON + timedelta(seconds=number)).timestamp()) * 10**9)
    return f"x,{symbol},{stamp},{number},{number},{price},{volume}\n"


FAULTS = {
    "19 decimals": ("price", "has 19 decimals", {"price": "1.0000000000000000001"}),
    "volume of 19 decimals": ("volume", "has 19 decimals", {"volume": "0.0000000000000000001"}),
    "in 2262": ("timestamp", "in the future", {"time": moment(2262, 4, 11)}),
    "before 2009": ("timestamp", "before 2009", {"time": moment(2008, 12, 31)}),
    "NaN": ("price", "the price NaN is not between -1e20 and 1e20", {"price": "NaN"}),
    "-NaN": ("price", "the price NaN is not between", {"price": "-NaN"}),
    "NaN with a payload": ("volume", "the volume NaN is not above 0", {"volume": "nan123"}),
    "Infinity": ("price", "the price Infinity is not", {"price": "Infinity"}),
    "-Infinity": ("price", "the price -Infinity is not", {"price": "-inf"}),
    "negative": ("price", "the price -1 is not above 0", {"price": "-1"}),
    "zero": ("price", "the price 0.0 is not above 0", {"price": "0.0"}),
    "volume of zero": ("volume", "the volume 0 is not above 0", {"volume": "0"}),
    "1e20": (
        "price",
        "100000000000000000000 is not between -1e20 and 1e20",
        {"price": "100000000000000000000"},
    ),
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
    ((found_line, found_code, found_reason, text),) = shared_connection.execute(
        "SELECT line, code, reason, payload::text FROM entasis.quarantine WHERE source = %s",
        [path.name],
    ).fetchall()
    payload = json.loads(text, parse_float=D)  # all digits
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
    "a symbol too long": (f"x,{'S' * 65},1723118400000000000,1,7,1,1", "symbol"),
    "an exchange too long": (f"{'x' * 65},S,1723118400000000000,1,7,1,1", "exchange"),
    "no symbol": ("x,,1723118400000000000,1,7,1,1", "symbol"),
    "NUL": ("x,A\0B,1723118400000000000,1,7,1,1", "encoding"),
    "id beyond 64 bits": ("x,UNREAD,1723118400000000000,1,-9223372036854775809,1,1", "id"),
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


def past_retention(connection: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    return connection.execute(
        "SELECT relation, source, symbol, exchange, refused, from_time, to_time"
        " FROM entasis.past_retention ORDER BY relation, source, symbol"
    ).fetchall()


def test_rows_below_the_floor_are_counted_by_source_and_market(
    connection: psycopg.Connection[Any],
) -> None:
    connection.execute("UPDATE entasis.floors SET floor = '2024-08-08'")
    before = datetime(2024, 8, 7, 23, 59, 59, 999999, UTC)
    earlier = before - timedelta(days=400)
    old, new = trade(1, timestamp=before), trade(2)
    older = trade(3, timestamp=earlier)
    other = trade(1, timestamp=earlier, symbol="OTHER")
    quotes = [quote(1, timestamp=before), quote(2)]
    # what is wrong with a row otherwise is told first
    wrong = old._replace(price=D(0))
    assert ingest(connection, old, new, wrong, older, other) == IngestReport(1, 0, 1, 3)
    assert ingest_options(connection, quotes, source="o") == IngestReport(1, 0, 0, 1)
    assert quarantined(connection) == [("feed", 3, "price")]
    market = (old.symbol, old.exchange)
    assert past_retention(connection) == [
        ("market_data", "feed", *market, 2, earlier, before),
        ("market_data", "feed", "OTHER", old.exchange, 1, earlier, earlier),
        ("option_data", "o", quotes[0].underlying, None, 1, before, before),
    ]
    between = before - timedelta(days=1)
    assert ingest(connection, trade(5, timestamp=between), source="feed").past_retention == 1
    assert ingest(connection, trade(5, timestamp=between), source="again").past_retention == 1
    assert past_retention(connection)[:2] == [
        ("market_data", "again", *market, 1, between, between),
        ("market_data", "feed", *market, 3, earlier, before),
    ]
    oracle.assert_candles_are_right(connection, by_key(new))


def test_a_batch_of_nothing_but_old_rows_is_refused_by_the_table_and_counted(
    connection: psycopg.Connection[Any],
) -> None:
    # the month is there, so only the trigger objects
    with_months(connection)
    connection.execute("UPDATE entasis.floors SET floor = '2024-08-09'")
    assert ingest(connection, trade(1), trade(2)) == IngestReport(past_retention=2)
    assert ingest_options(connection, [quote()], source="o") == IngestReport(past_retention=1)
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


def test_the_rules_are_inlined_into_the_query_that_judges(
    connection: psycopg.Connection[Any],
) -> None:
    """Called for each row, they take ten times as long: a third of a staged load."""
    plan = connection.execute(
        """
        EXPLAIN (VERBOSE) SELECT entasis_internal.trade_fault(
            d.symbol, d.exchange, d.timestamp, d.id, d.price, d.volume, d.side, d.source_id,
            d.excluded, true, entasis_internal.has_signed_prices(d.symbol, d.exchange), now(),
            entasis_internal.is_reopened('market_data', d.symbol, d.exchange, d.timestamp), now()
        ) FROM entasis.market_data AS d
        """
    ).fetchall()
    assert "is_reopened" in str(plan)
    assert "_fault(" not in str(plan)
