"""Markets whose exchange numbers trades by text: UUIDs, hexadecimal digits, more than 64 bits."""

import hashlib
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest

from entasis_db import queries
from entasis_db.errors import IdSpaceError, LoadError
from entasis_db.ids import digest_id
from entasis_db.ingest import IngestReport, ingest_arrow, load_trades, replace_trades
from entasis_db.model import Trade
from tests import oracle
from tests.contract.trades.support import counts, ingest, nanoseconds, quarantined, with_months
from tests.db import Connection, one
from tests.make import NOON, D, trade

pytestmark = [pytest.mark.copy, pytest.mark.native_speed, pytest.mark.newest_server]

HEADER = "exchange,symbol,timestamp_ns,sequence,trade_id,price,volume\n"
TEXTS = [str(UUID(int=n**9 + 7)) for n in range(1, 6)]


def told(number: int, text: str, **changes: Any) -> Trade:
    return trade(number, id=digest_id(text), source_id=text, **changes)


def line(number: int, text: str, price: str = "61804.5", symbol: str = "BTC") -> str:
    stamp = nanoseconds(NOON + timedelta(seconds=number))
    return f"x,{symbol},{stamp},{number},{text},{price},0.25\n"


def stored(connection: Connection) -> list[Trade]:
    day = NOON.replace(hour=0)
    return list(queries.trades("BTC", "x", day, day + timedelta(days=1)).fetch(connection))


@pytest.mark.parametrize("text", [*TEXTS[:2], "0x01a2", "9223372036854775808", "é", "a" * 128])
def test_the_digest_is_that_of_the_documents(connection: Connection, text: str) -> None:
    expected = int(hashlib.sha256(text.encode()).hexdigest(), 16) >> (256 - 63)
    assert digest_id(text) == expected
    assert one(connection, "SELECT entasis.digest_id(%s)", text) == expected


def test_files_arrow_and_sql_tell_the_same_trades(connection: Connection, tmp_path: Path) -> None:
    """Each adds one and finds the others'."""
    rows = [told(n, text) for n, text in enumerate(TEXTS)]
    path = tmp_path / "f.csv"
    path.write_text(HEADER + "".join(line(n, t) for n, t in enumerate(TEXTS[:2])))
    loaded = load_trades(connection, path)
    assert loaded.report == IngestReport(2)
    assert stored(connection) == rows[:2]
    arrow = pa.table(
        {
            "id": pa.array([f" {t}" for t in TEXTS[1:3]]),
            "symbol": ["BTC"] * 2,
            "exchange": ["x"] * 2,
            "timestamp": pa.array([t.timestamp for t in rows[1:3]], pa.timestamp("us", "UTC")),
            "price": pa.array([t.price for t in rows[1:3]]),
            "volume": pa.array([t.volume for t in rows[1:3]]),
        }
    )
    with pytest.raises(LoadError, match="give the id space digest"):
        ingest_arrow(connection, arrow, source="a", id_space="trade")
    report = ingest_arrow(connection, arrow, source="a", id_space="digest")
    assert (report.inserted, report.already_there) == (1, 1)
    with connection.transaction():
        connection.execute("SELECT entasis.stage_trades()")
        connection.execute(
            "INSERT INTO pg_temp.entasis_staged_trades (symbol, exchange, timestamp, source_id,"
            " price, volume) VALUES ('BTC', 'x', %s, %s, 61804.5, 0.25),"
            " ('BTC', 'x', %s, %s, 61804.5, 0.25), ('BTC', 'x', %s, NULL, 1, 1)",
            [rows[2].timestamp, TEXTS[2], rows[3].timestamp, TEXTS[3], NOON],
        )
        found = connection.execute(
            "SELECT inserted, already_there, quarantined FROM entasis.insert_staged_trades('s')"
        ).fetchone()
    assert found == (1, 1, 1)
    assert quarantined(connection) == [("s", 3, "id")]
    assert ingest(connection, *rows, id_space="digest") == IngestReport(1, 4)
    assert stored(connection) == rows
    oracle.assert_candles_are_right(connection)


@pytest.mark.direct_copies
def test_a_clean_table_of_text_ids_is_copied(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    from entasis_db.ingest.arrow_batch import ArrowBatch

    with_months(connection)
    monkeypatch.setattr(ArrowBatch, "staged_text", lambda *_: pytest.fail("row by row"))
    columns = {name: [getattr(trade(n), name) for n in (1, 2)] for name in Trade._fields[1:7]}
    data = pa.table({"id": TEXTS[:2], "excluded": [None, "block"], **columns})
    assert ingest_arrow(connection, data, source="a", id_space="digest").inserted == 2
    assert [(t.source_id, t.excluded) for t in stored(connection)] == [
        (TEXTS[0], None),
        (TEXTS[1], "block"),
    ]


def test_a_collision_is_no_repetition(connection: Connection) -> None:
    """As if two texts had one digest."""
    first = told(1, TEXTS[0])
    ingest(connection, first, id_space="digest")
    other = first._replace(source_id=TEXTS[1])
    assert ingest(connection, other, first, id_space="digest") == IngestReport(0, 1, 1)
    reason = one(connection, "SELECT reason FROM entasis.quarantine")
    assert reason.endswith(f'stands for "{TEXTS[0]}", and is the digest of "{TEXTS[1]}" too')
    # stored without its text, by an earlier writer
    ingest(connection, told(2, TEXTS[2])._replace(source_id=None), id_space="digest")
    assert ingest(connection, told(2, TEXTS[2]), id_space="digest") == IngestReport(0, 1)
    assert stored(connection) == [first, told(2, TEXTS[2])]


def test_lines_that_each_tell_a_part(connection: Connection) -> None:
    """A feed knows the side, a file the text: both in one batch, as if each came alone."""
    bare = told(1, TEXTS[0])._replace(source_id=None)
    ingest(connection, bare, id_space="digest")
    parts = [
        bare._replace(source_id=TEXTS[0]),
        bare._replace(side="sell"),
        bare._replace(side="buy", excluded="block"),
        bare._replace(excluded="adl"),
    ]
    assert ingest(connection, *parts, id_space="digest") == IngestReport(0, 3, 1)
    whole = told(1, TEXTS[0], side="sell", excluded="adl")
    assert stored(connection) == [whole]
    assert one(connection, "SELECT line FROM entasis.quarantine") == 3
    oracle.assert_candles_are_right(connection)


def test_the_first_trade_of_a_market_decides(connection: Connection, tmp_path: Path) -> None:
    """In a file, and for all later files."""
    path = tmp_path / "one.csv"
    path.write_text(
        HEADER
        + line(1, "1.5e9", symbol="A")  # decides nothing
        + line(2, "7", symbol="A")
        + line(3, TEXTS[0], symbol="A")
        + line(4, "9223372036854775808", symbol="A")
        + line(5, "9223372036854775808")
        + line(6, "7")
        + line(7, "1,5".replace(",", "."))
    )
    assert load_trades(connection, path).report == IngestReport(3, 0, 4)
    assert quarantined(connection) == [("one.csv", n, "id") for n in (2, 4, 5, 8)]
    assert stored(connection) == [told(5, "9223372036854775808"), told(6, "7")]
    later = tmp_path / "two.csv"
    later.write_text(HEADER + line(6, "7") + line(8, "8"))
    assert load_trades(connection, later).report == IngestReport(1, 1)
    assert stored(connection)[2:] == [told(8, "8")]
    later.write_text(HEADER + line(9, TEXTS[0], symbol="A"))
    with pytest.raises(IdSpaceError, match="numbered by 'trade'"):
        load_trades(connection, later)
    changed = tmp_path / "three.csv"
    changed.write_text(HEADER + line(6, "7", price="5") + line(8, "8"))
    replaced = replace_trades(
        connection,
        changed,
        from_time=NOON + timedelta(seconds=6),
        to_time=NOON + timedelta(seconds=9),
    )
    assert counts(replaced) == (0, 1, 0, 1)
    assert [t.price for t in stored(connection)] == [D("61804.5"), D(5), D("61804.5")]
    assert [t.source_id for t in stored(connection)][1:] == ["7", "8"]


@pytest.mark.parametrize(
    "damaged",
    [
        *("1.5e9", "1.5E+9", '"1,250"', "-", "+7.0", "-1.0", "1 250", "1'250", "1_250"),
        *("nan", "NaN", "-inf", "null", "None", ".", "1.748736000123E18", "٣٤"),
    ],
)
def test_a_damaged_number_is_never_a_text(
    connection: Connection, tmp_path: Path, damaged: str
) -> None:
    path = tmp_path / "f.csv"
    path.write_text(HEADER + line(1, damaged) + line(2, TEXTS[0]) + line(3, damaged))
    assert load_trades(connection, path).report == IngestReport(1, 0, 2)
    assert {n for _, n, _ in quarantined(connection)} == {2, 4}
    assert stored(connection) == [told(2, TEXTS[0])]
    data = pa.table({"id": [damaged.strip('"'), TEXTS[1]], **columns_of_two()})
    report = ingest_arrow(connection, data, source="a", id_space="digest")
    assert (report.inserted, report.quarantined) == (1, 1)
    assert ("a", 1, "id") in quarantined(connection)


def columns_of_two() -> dict[str, Any]:
    return {name: [getattr(trade(n), name) for n in (5, 6)] for name in Trade._fields[1:7]}


@pytest.mark.parametrize("text", ["", " a", "a\tb", "a" * 129, "\u200b"])
def test_what_is_no_text_of_an_id(connection: Connection, text: str) -> None:
    rows = [trade(1, source_id=text), told(2, TEXTS[0])]
    assert ingest(connection, *rows, id_space="digest") == IngestReport(1, 0, 1)
    assert quarantined(connection) == [("feed", 1, "source_id")]


CASE = """\
exchange,symbol,timestamp_ns,sequence,trade_id,price,volume
okx,BTC-USD-250627-100000-C,1748736000123000000,1,1,0.07,1
deribit,BTC_USDC-27JUN25-100000-C,1748736000123000000,2,2,7000,0.1
deribit,BTC-27JUN25-100000-C,1748736000123000000,3,3,0.07,0.1
bybit,BTC-27JUN25-100000-C-USDT,1748736000123000000,4,4,7000,0.1
ccxt-okx,BTC/USDT:USDT-250627-100000-C,1748736000123000000,5,5,7000,0.1
ccxt-okx,BTC/USDT:USDT,1748736000123000000,6,6,104000,0.1
binance-usdm,币安人生USDT,1748736000123000000,7,7,0.3,10
binance-usdm,1000000MOGUSDT,1748736000123000000,8,8,1.1,10
bybit,1000000BABYDOGEUSDT,1748736000123000000,9,9,0.0015,10
gate,BABYDOGE_USDT,1748736000123000000,10,10,0.0000000015,1200000000000
gate,KISHU_USDT,1748736000123000000,11,11,0.00000000013274,1000
uniswap-v3,WETH/USDC-500,1748736000123000000,12,12,2500.123456789012345678,1.123456789012345678
binance-european-options,BTC-250627-100000-C,1748736000123000000,13,13,7000,0.1
deribit,BTC-FS-27JUN25_PERP,1748736000123000000,14,14,-12.5,1000
deribit,BTC-FS-27JUN25_PERP,1748736000124000000,15,15,0,1000
bitmex,XBTUSD,1748736000123000000,16,0a1b2c3d-1111-5222-8333-444455556666,104000,100
polygon,X:BTC-USD,1748736000123456789,17,9223372036854775808,104000,100
dydx,ETH-USD,1748736000123000000,18,0x01a2,2500,1
bitfinex,tBTCUSD,1748736000123000000,19,1700000000,104000,-0.5
okx,BTC-USDT,1748736000123000000,20,1.5e9,104000,0.5
okx,ETH-USDT,1748736000123,21,1,2500,0.5
okx,XRP-USDT,1.748736000123E18,22,1,2.5,0.5
okx,SOL-USDT,1748736000123000000,23,1,"1,250.5",0.5
okx,DOT-USDT, 1748736000123000000,24, 1, 2.5 ,0.5
"""


def test_real_instruments_are_stored_and_malformed_lines_are_not(
    connection: Connection, tmp_path: Path
) -> None:
    """Long names, ids of text and of 128 bits, 18 decimals, combos, signs, blanks."""
    path = tmp_path / "names_ids_bounds.csv"
    path.write_text(CASE)
    for report in (IngestReport(20, 0, 4), IngestReport(0, 20, 4)):
        loaded = load_trades(connection, path)
        assert (loaded.report.inserted, loaded.report.already_there) == (
            report.inserted,
            report.already_there,
        )
        assert loaded.report.quarantined == 4
        assert loaded.truncated_nanoseconds == 2  # of lines 18 and 22
    assert [n for _, n, _ in quarantined(connection)] == [21, 22, 23, 24]
    rows = connection.execute(
        "SELECT exchange, symbol, id, source_id, price, volume, side FROM entasis.market_data"
    ).fetchall()
    found = {(e, s, price): (i, t, volume, side) for e, s, i, t, price, volume, side in rows}
    assert len(found) == 20
    uuid = "0a1b2c3d-1111-5222-8333-444455556666"
    for key, expected in {
        ("uniswap-v3", "WETH/USDC-500", D("2500.123456789012345678")): (
            *(12, None, D("1.123456789012345678"), None),
        ),
        ("gate", "BABYDOGE_USDT", D("0.0000000015")): (10, None, D(1_200_000_000_000), None),
        ("deribit", "BTC-FS-27JUN25_PERP", D("-12.5")): (14, None, D(1000), None),
        ("deribit", "BTC-FS-27JUN25_PERP", D(0)): (15, None, D(1000), None),
        ("bitmex", "XBTUSD", D(104000)): (digest_id(uuid), uuid, D(100), None),
        ("polygon", "X:BTC-USD", D(104000)): (
            *(digest_id("9223372036854775808"), "9223372036854775808", D(100), None),
        ),
        ("dydx", "ETH-USD", D(2500)): (digest_id("0x01a2"), "0x01a2", D(1), None),
        ("bitfinex", "tBTCUSD", D(104000)): (1700000000, None, D("0.5"), "sell"),
        ("okx", "DOT-USDT", D("2.5")): (1, None, D("0.5"), None),
    }.items():
        assert found[key] == expected
    oracle.assert_candles_are_right(connection)
