"""Trades that no candle counts: the insurance fund's, blocks, and what an exchange withdrew."""

from datetime import UTC, timedelta
from pathlib import Path

import psycopg
import pytest

from entasis_db import queries
from entasis_db.ingest import IngestReport, load_trades, replace_trades
from entasis_db.model import Trade
from tests import oracle
from tests.contract.trades.support import by_key, counts, ingest, quarantined, with_months, write
from tests.db import Connection, one
from tests.make import NOON, D, insert_trades, trade

pytestmark = [
    pytest.mark.copy,
    pytest.mark.newest_server_when_short,
    pytest.mark.native_speed_when_short,
]


def stored(connection: Connection) -> list[Trade]:
    day = NOON.replace(hour=0)
    return list(queries.trades("BTC", "x", day, day + timedelta(days=1)).fetch(connection))


@pytest.mark.parametrize("way", ["plain SQL", "clean", "staged"])
def test_no_candle_counts_it(connection: Connection, way: str) -> None:
    """Not in its minute beside others, and not alone: there, no minute has a row."""
    with_months(connection)
    rows = [
        trade(1),
        trade(2, price=D(99999), excluded="insurance_fund"),
        trade(3),
        trade(4, price=D(1), excluded="adl"),
        trade(200, excluded="block"),
        trade(7300, excluded="block"),
    ]
    if way == "plain SQL":
        insert_trades(connection, *rows)
    elif way == "clean":
        assert ingest(connection, *rows) == IngestReport(6)
    else:
        assert ingest(connection, *rows, trade(9, price=D(0))) == IngestReport(6, 0, 1)
    oracle.assert_candles_are_right(connection, by_key(*rows))
    assert one(connection, "SELECT array_agg(trades) FROM entasis.ohlcv_1m") == [2]
    assert stored(connection) == rows
    assert [t.id for t in queries.latest_price("BTC", "x").fetch(connection)] == [3]
    assert [t.id for t in queries.latest_prices().fetch(connection)] == [3]


def test_changing_it_recomputes_as_a_correction_does(connection: Connection) -> None:
    rows = [trade(1), trade(2, price=D(7)), trade(90), trade(91)]
    ingest(connection, *rows)
    oracle.assert_candles_are_right(connection, by_key(*rows))
    for statement, counted in (
        ("UPDATE entasis.market_data SET excluded = 'confirmed_bad' WHERE id IN (2, 90)", [1, 1]),
        ("UPDATE entasis.market_data SET excluded = 'confirmed_bad' WHERE id = 91", [1]),
        ("UPDATE entasis.market_data SET excluded = 'adl' WHERE id = 91", [1]),
        ("UPDATE entasis.market_data SET excluded = 'adl', price = 5 WHERE id = 2", [1]),
        ("DELETE FROM entasis.market_data WHERE id = 90", [1]),
        ("UPDATE entasis.market_data SET excluded = NULL", [2, 1]),
        ("DELETE FROM entasis.market_data WHERE id = 1", [1, 1]),
        ("UPDATE entasis.market_data SET excluded = 'block'", None),
    ):
        connection.execute(statement.encode())
        oracle.assert_candles_are_right(connection)
        found = one(connection, "SELECT array_agg(trades ORDER BY bucket) FROM entasis.ohlcv_1m")
        assert found == counted, statement


def test_it_is_filled_in_and_never_taken_back(connection: Connection) -> None:
    rows = [trade(1), trade(2, side="buy"), trade(3)]
    ingest(connection, *rows)
    told = [rows[1]._replace(excluded="adl", side=None), rows[2]._replace(excluded="block")]
    assert ingest(connection, *told) == IngestReport(0, 2, 0)
    now = [rows[0], rows[1]._replace(excluded="adl"), told[1]]
    assert stored(connection) == now
    oracle.assert_candles_are_right(connection, by_key(*rows))
    # without it, and with another word: the first stays
    again = [rows[1], rows[2]._replace(excluded="confirmed_bad")]
    assert ingest(connection, *again) == IngestReport(0, 2, 0)
    assert stored(connection) == now
    # what cannot be filled in is a conflict all the same
    assert ingest(connection, rows[0]._replace(excluded="adl", price=D(1))).quarantined == 1
    assert stored(connection) == now
    oracle.assert_candles_are_right(connection, by_key(*rows))


@pytest.mark.parametrize("word", ["", "ADL", "a b", "1st", "a" * 33, "adl\n"])
def test_what_is_no_word(connection: Connection, word: str) -> None:
    assert ingest(connection, trade(1, excluded=word), trade(2)) == IngestReport(1, 0, 1)
    assert quarantined(connection) == [("feed", 1, "excluded")]
    with pytest.raises(psycopg.errors.CheckViolation, match="market_data_excluded_is_word"):
        connection.execute("UPDATE entasis.market_data SET excluded = %s", [word])


def test_a_file_says_so(connection: Connection, tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    nanoseconds = int(NOON.timestamp()) * 10**9
    path.write_text(
        "exchange,symbol,timestamp_ns,sequence,trade_id,price,volume,side,excluded\n"
        f"x,BTC,{nanoseconds},,1,10,1,buy,\nx,BTC,{nanoseconds},,2,11,1,,block\n"
    )
    assert load_trades(connection, path).report.inserted == 2
    assert [(t.id, t.side, t.excluded) for t in stored(connection)] == [
        (1, "buy", None),
        (2, None, "block"),
    ]
    oracle.assert_candles_are_right(connection)


def test_a_replacement_keeps_what_a_file_does_not_say(
    connection: Connection, tmp_path: Path
) -> None:
    """Where the trade is the same. One with another price is another trade than was withdrawn."""
    rows = [trade(1), trade(2), trade(3)]
    ingest(connection, *rows)
    connection.execute("UPDATE entasis.market_data SET excluded = 'confirmed_bad' WHERE id > 1")
    told = [rows[0], rows[1], rows[2]._replace(price=D(5))]
    assert counts(replace_trades(connection, write(tmp_path / "f.csv", *told))) == (0, 1, 0, 2)
    assert [t.excluded for t in stored(connection)] == [None, "confirmed_bad", None]
    oracle.assert_candles_are_right(connection, by_key(*told))


def test_ids_of_excluded_trades_are_not_missing(connection: Connection) -> None:
    market = {"symbol": "BTCUSDT", "exchange": "binance-spot"}
    kinds = {2: "adl", 61: "adl", 62: "adl", 130: "block"}
    there = [*range(1, 5), 61, 62, *range(64, 70), 130, 200]
    rows = [
        trade(n, timestamp=NOON + timedelta(seconds=n), excluded=kinds.get(n), **market)
        for n in there
    ]
    ingest(connection, *rows)
    oracle.refresh(connection)
    gaps = connection.execute(
        "SELECT first_id, last_id FROM entasis.id_gaps('BTCUSDT', 'binance-spot', %s, %s)",
        [NOON, NOON + timedelta(hours=1)],
    ).fetchall()
    assert gaps == [(5, 60), (63, 63), (70, 129), (131, 199)]
    assert one(connection, "SELECT count(*) FROM entasis.check_ids()") == 0


def test_the_floor_holds_for_excluded_trades_too(connection: Connection) -> None:
    with_months(connection)
    connection.execute("UPDATE entasis.floors SET floor = %s", [NOON + timedelta(hours=1)])
    with pytest.raises(psycopg.errors.CheckViolation, match="past its keep period"):
        insert_trades(connection, trade(1, excluded="adl"))
    with pytest.raises(psycopg.errors.CheckViolation):
        insert_trades(connection, trade(7200, price=D(0), excluded="adl"))
    insert_trades(connection, trade(7200, excluded="adl"))
    assert stored(connection) == [trade(7200, excluded="adl")]
    assert stored(connection)[0].timestamp.tzinfo is UTC
