"""Candles that exchanges publish are kept beside ours, compared with them and archived."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from entasis_db.archive import FolderStore, archive, restore
from entasis_db.errors import LoadError
from entasis_db.exchange_candles import (
    CandleReport,
    check_exchange_candles,
    load_exchange_candles,
    write_exchange_candles,
    write_exchange_candles_async,
)
from entasis_db.ingest import ingest_trades
from entasis_db.maintenance import maintain
from entasis_db.model import ExchangeCandle
from tests import make, oracle
from tests.contract.cli.support import fails, leaves, succeeds
from tests.db import Connection
from tests.engines import Database

pytestmark = pytest.mark.native_speed_when_short

START = datetime(2025, 3, 3, 10, 0, tzinfo=UTC)
KLINE = "1741000500000,10.5,11,9,10,3.5,1741000559999,36.125,4,1,10,0\n"
OWN = "exchange,symbol,interval,bucket,open,high,low,close,volume,quote_volume,trades\n"


def candle(minute: int = 0, **values: object) -> ExchangeCandle:
    made = ExchangeCandle(
        "BTC",
        "x",
        "1m",
        START + timedelta(minutes=minute),
        *map(Decimal, ("10.5", "11", "9", "10", "3.5")),
        Decimal("36.125"),
        4,
    )
    return made._replace(**values)  # type: ignore[arg-type]


@pytest.fixture
def written(shared: Database) -> Iterator[Connection]:
    """A connection to the file's database, without candles of exchanges and without trades."""
    with shared.connect() as connection:
        for relation in ("exchange_candles", "market_data", "quarantine"):
            connection.execute(f"DELETE FROM entasis.{relation}")
        oracle.refresh(connection)
        yield connection


def stored(connection: Connection) -> list[ExchangeCandle]:
    rows = connection.execute(
        "SELECT symbol, exchange, interval, bucket, open, high, low, close, volume, quote_volume,"
        " trades FROM entasis.exchange_candles ORDER BY symbol, exchange, interval, bucket"
    ).fetchall()
    return [ExchangeCandle(*row) for row in rows]


def quarantined(connection: Connection) -> list[tuple[int, str]]:
    return connection.execute(
        "SELECT line, code FROM entasis.quarantine WHERE relation = 'exchange_candles'"
        " ORDER BY line, code"
    ).fetchall()


def test_a_candle_is_stored_once_and_another_is_a_conflict(written: Connection) -> None:
    both = [candle(), candle(1, quote_volume=None, trades=None)]
    assert write_exchange_candles(written, both, source="a") == CandleReport(2)
    assert stored(written) == both
    # told again, with other zeros: nothing changes
    again = [candle(open=Decimal("10.500")), both[1]]
    assert write_exchange_candles(written, again, source="b") == CandleReport(0, 2)
    other = [candle(high=Decimal(12)), candle(1, quote_volume=None, trades=3)]
    assert write_exchange_candles(written, other, source="c") == CandleReport(quarantined=2)
    assert stored(written) == both
    assert quarantined(written) == [(1, "conflict"), (2, "conflict")]
    report = write_exchange_candles(written, other, source="c", replace=True)
    assert report == CandleReport(superseded=2)
    assert stored(written) == other
    # of what one batch says of a candle, the last counts, also if it is what was there
    back = [both[0], other[0], both[1], both[1]._replace(trades=5)]
    report = write_exchange_candles(written, back, source="d", replace=True)
    assert report == CandleReport(already_there=1, superseded=3)
    assert stored(written) == [other[0], back[-1]]


@given(
    batches=st.lists(
        st.lists(
            st.tuples(st.integers(0, 2), st.sampled_from(["9", "9.5", "10"])),
            min_size=1,
            max_size=5,
        ),
        max_size=3,
    ),
    replace=st.booleans(),
)
def test_batches_come_to_the_first_or_the_last_that_was_told(
    shared: Database, batches: list[list[tuple[int, str]]], replace: bool
) -> None:
    with shared.connect() as connection:
        connection.execute("DELETE FROM entasis.exchange_candles")
        kept: dict[int, Decimal] = {}
        for batch in batches:
            first: dict[int, Decimal] = {}
            for minute, low in batch:
                first.setdefault(minute, Decimal(low))
            for minute, low in first.items():
                kept.setdefault(minute, low)
            differ = [(m, Decimal(low)) for m, low in batch if kept[m] != Decimal(low)]
            report = write_exchange_candles(
                connection,
                [candle(minute, low=Decimal(low)) for minute, low in batch],
                source="drawn",
                replace=replace,
            )
            assert (report.superseded, report.quarantined) == (
                (len(differ), 0) if replace else (0, len(differ))
            )
            if replace:
                kept.update({minute: Decimal(low) for minute, low in batch})
        assert {c.bucket: c.low for c in stored(connection)} == {
            candle(minute).bucket: low for minute, low in kept.items()
        }


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"symbol": " BTC"}, "symbol"),
        ({"exchange": ""}, "exchange"),
        ({"interval": "7m"}, "interval"),
        ({"bucket": START + timedelta(seconds=1)}, "bucket"),
        ({"bucket": datetime(1970, 1, 20, tzinfo=UTC)}, "bucket"),
        ({"bucket": datetime(2925, 1, 20, tzinfo=UTC)}, "bucket"),
        ({"high": Decimal(10)}, "price"),
        ({"low": Decimal("NaN")}, "price"),
        ({"close": Decimal("9.0000000000000000001")}, "price"),
        ({"high": Decimal("1e20")}, "price"),
        ({"volume": Decimal(-1)}, "volume"),
        ({"volume": Decimal("Infinity")}, "volume"),
        ({"quote_volume": Decimal("NaN")}, "quote_volume"),
        ({"trades": -1}, "trades"),
    ],
)
def test_what_cannot_be_stored_is_in_quarantine(
    written: Connection, values: dict[str, object], code: str
) -> None:
    report = write_exchange_candles(written, [candle(**values), candle(5)], source="faults")
    assert report == CandleReport(1, quarantined=1)
    assert quarantined(written) == [(1, code)]
    # and the table itself takes none of them
    columns = ", ".join(ExchangeCandle._fields)
    marks = ", ".join(["%s"] * len(ExchangeCandle._fields))
    if values.get("bucket", START) <= datetime.now(UTC):  # type: ignore[operator]
        with pytest.raises((psycopg.errors.CheckViolation, psycopg.errors.DataError)):
            written.execute(
                f"INSERT INTO entasis.exchange_candles ({columns}, source) VALUES ({marks}, 's')",
                candle(**values),
            )


def test_candles_without_trades_and_below_zero_are_held(written: Connection) -> None:
    flat = candle(volume=Decimal(0), quote_volume=Decimal(0), trades=0)
    below = candle(1, open=Decimal(-2), high=Decimal(0), low=Decimal(-3), close=Decimal(-1))
    assert write_exchange_candles(written, [flat, below], source="a").inserted == 2
    assert stored(written) == [flat, below]


def test_the_asynchronous_writer_does_the_same(written: Connection, shared: Database) -> None:
    async def write() -> CandleReport:
        async with await psycopg.AsyncConnection.connect(shared.dsn, autocommit=True) as other:
            return await write_exchange_candles_async(other, [candle()], source="a")

    assert asyncio.run(write()) == CandleReport(1)
    assert stored(written) == [candle()]


@pytest.mark.parametrize("header", [False, True])
def test_klines_are_loaded(written: Connection, tmp_path: Path, header: bool) -> None:
    path = tmp_path / "BTC-1m-2025-03-03.csv"
    first = "open_time,open,high,low,close,volume,close_time,quote_volume,count,"
    first += "taker_buy_volume,taker_buy_quote_volume,ignore\n"
    micro = KLINE.replace("1741000500000", "1741000560000000")
    path.write_text((first if header else "") + KLINE + micro + KLINE.replace("10.5", "oops"))
    with pytest.raises(LoadError, match="does not name its exchange: give --exchange"):
        load_exchange_candles(written, path)
    report = load_exchange_candles(written, path, exchange="x")
    assert report == CandleReport(2, quarantined=1)
    base = datetime(2025, 3, 3, 11, 15, tzinfo=UTC)
    assert stored(written) == [candle(bucket=base), candle(bucket=base + timedelta(minutes=1))]
    assert quarantined(written) == [(3 + header, "number")]


def test_our_own_layout_is_loaded(shared: Database, written: Connection, tmp_path: Path) -> None:
    path = tmp_path / "candles.csv"
    path.write_text(
        f"{OWN}x,BTC,1h,2025-03-03T10:00:00Z,10.5,11,9,10,3.5,,\n"
        "x,BTC,1d,2025-03-03T01:00:00+01:00,10.5,11,9,10,3.5,36.125,4\n"
        "x,BTC,1d,2025-03-04T00:00:00,10.5,11,9,10,3.5,36.125,4\n"
    )
    said = leaves(shared, "load", "candles", str(path))
    assert "2 candles stored, 0 were there already, 0 took the place" in said
    assert [(c.interval, c.bucket.day, c.trades) for c in stored(written)] == [
        ("1d", 3, 4),
        ("1h", 3, None),
    ]
    assert quarantined(written) == [(4, "timestamp")]


def test_ours_are_compared_with_the_exchanges(shared: Database, written: Connection) -> None:
    trades = [
        make.trade(n, symbol="BTC", exchange="x", timestamp=START + timedelta(seconds=20 * n))
        for n in range(1, 10)
    ]
    ingest_trades(written, trades, source="t", id_space="digest")
    oracle.refresh(written)
    ours = written.execute(
        "SELECT '1m', bucket, open, high, low, close, volume, quote_volume, trades"
        " FROM entasis.ohlcv_1m UNION ALL SELECT '5m', bucket, open, high, low, close, volume,"
        " quote_volume, trades FROM entasis.ohlcv_5m ORDER BY 1, 2"
    ).fetchall()
    published = [ExchangeCandle("BTC", "x", *row) for row in ours]
    # no trade, in whose place the exchange repeats its last price; and an interval that is ours not
    flat = candle(30, volume=Decimal(0), quote_volume=Decimal(0), trades=0)
    write_exchange_candles(
        written, [*published, flat, candle(interval="3m", trades=70)], source="e"
    )
    assert check_exchange_candles(written) == []
    assert "is what ours say" in succeeds(shared, "check", "--against", "exchange")

    wrong = published[1]._replace(high=published[1].high + 1, trades=published[1].trades + 1)
    unknown = published[2]._replace(trades=None, volume=published[2].volume + 1)
    write_exchange_candles(written, [wrong, unknown, candle(40)], source="e", replace=True)
    found = [(d.interval, d.bucket, d.problem) for d in check_exchange_candles(written)]
    assert found == [
        ("1m", wrong.bucket, "high, trades differ"),
        ("1m", unknown.bucket, "volume differ"),
        ("1m", candle(40).bucket, "missing"),
    ]
    assert [d.bucket for d in check_exchange_candles(written, unknown.bucket)] == [
        unknown.bucket,
        candle(40).bucket,
    ]
    said = fails(shared, "check", "--against", "exchange", code=4)
    assert "3 candles differ from those of their exchange" in said


def test_they_are_read_where_they_are_asked_for(written: Connection) -> None:
    asked = "SELECT bucket, close, volume, trades, opened_at, turnover, vwap FROM entasis.candles("
    asked += "'BTC', 'x', %s, source => 'exchange') ORDER BY bucket"
    write_exchange_candles(
        written,
        [candle(), candle(1, quote_volume=None, trades=None), candle(interval="1h")],
        source="a",
    )
    bare = candle(1)
    rows = written.execute(asked, ["1m"]).fetchall()
    assert [row[:5] for row in rows] == [
        (START, Decimal(10), Decimal("3.5"), 4, None),
        (bare.bucket, Decimal(10), Decimal("3.5"), None, None),
    ]
    # what is traded here is not on record, so its turnover is not known
    assert [row[5] for row in rows] == [None, None]
    assert rows[0][6] == pytest.approx(Decimal("36.125") / Decimal("3.5"), abs=Decimal("1e-15"))
    assert rows[1][6] is None
    assert len(written.execute(asked, ["1h"]).fetchall()) == 1
    # nobody who does not ask sees them
    ours = "SELECT count(*) FROM entasis.candles('BTC', 'x', '1m')"
    assert written.execute(ours).fetchone() == (0,)
    within = "SELECT bucket FROM entasis.candles('BTC', 'x', '1m', %s, %s, 'exchange')"
    assert written.execute(within, [START, bare.bucket]).fetchall() == [(START,)]
    with pytest.raises(psycopg.errors.InvalidTextRepresentation):
        written.execute("SELECT FROM entasis.candles('BTC', 'x', '1m', source => 'klines')")


def test_they_are_archived_dropped_and_restored(
    database: Database, connection: Connection, tmp_path: Path
) -> None:
    old = [candle(), candle(1, quote_volume=None, trades=None), candle(interval="1d")]
    new = candle(bucket=datetime.now(UTC).replace(second=0, microsecond=0))
    write_exchange_candles(connection, [*old, new], source="a, with a comma")
    before = stored(connection)
    connection.execute(
        "UPDATE entasis.keep_periods SET keep = '1 month' WHERE relation = 'exchange_candles'"
    )
    store = FolderStore(tmp_path)
    maintain(connection)
    assert stored(connection) == before  # nothing goes without an archive
    archive(connection, store)
    maintain(connection)
    assert stored(connection) == [new]
    with pytest.raises(psycopg.errors.CheckViolation, match="past its keep period"):
        write_exchange_candles(connection, [candle(2)], source="late")
    spring = (datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 6, 1, tzinfo=UTC))
    restore(connection, store, "exchange_candles", *spring, attach=True)
    assert stored(connection) == before
    for statement in ("DELETE FROM entasis.exchange_candles", "TRUNCATE entasis.exchange_candles"):
        with pytest.raises(psycopg.Error, match=r"past its keep period|TRUNCATE"):
            connection.execute(statement)
    assert stored(connection) == before


def test_rights(login: object, database: Database) -> None:
    with database.connect() as root:
        write_exchange_candles(root, [candle()], source="a")
    writer = login("entasis_writer")  # type: ignore[operator]
    assert write_exchange_candles(writer, [candle(1)], source="a") == CandleReport(1)
    reader = login("entasis_reader")  # type: ignore[operator]
    assert len(stored(reader)) == 2
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        reader.execute("DELETE FROM entasis.exchange_candles")
