"""What exchanges publish is stored once, however often it comes and from where."""

import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from entasis_db.errors import LoadError
from entasis_db.ids import digest_id
from entasis_db.ingest import IngestReport, load_trades
from tests import oracle
from tests.contract.trades.support import by_key, ingest
from tests.db import Connection
from tests.make import D, trade

pytestmark = [pytest.mark.newest_server, pytest.mark.native_speed_when_short]

BASE = datetime(2025, 6, 1, tzinfo=UTC)
AT = 1748736000123
KAIKO = "id,exchange,symbol,date,price,amount,sell\n"
DATABENTO = (
    "ts_recv,ts_event,rtype,publisher_id,instrument_id,action,side,depth,price,size,flags,"
    "ts_in_delta,sequence,symbol\n"
)
POLYGON = "ticker,conditions,exchange,id,participant_timestamp,price,size\n"
DERIBIT = (
    '{"jsonrpc":"2.0","result":{"trades":[{"trade_id":"ETH-1","trade_seq":7,"timestamp":%d,"price":104000.5,'
    '"instrument_name":"BTC-PERPETUAL","direction":"sell","amount":100.0%s}]}}'
)
CCXT = (
    '[{"id":"7","timestamp":%d,"datetime":"","symbol":"BTC/USD","side":"buy","price":1e-8,'
    '"amount":0.3}]'
)
# what is in the file, how it is loaded, and what is stored of it
VENDORS: list[tuple[str, dict[str, Any], tuple[Any, ...]]] = [
    (
        f"{KAIKO}7,bw,btcusd_perp,{AT},104000.5,402,true\n",
        {"exchange": "binance-cm", "symbol": "BTCUSD_PERP"},
        ("BTCUSD_PERP", "binance-cm", 123_000, 7, D("104000.5"), D(402), "sell", None),
    ),
    (
        f"{DATABENTO}1,{AT}456789,0,1,14160,T,B,0,6505250000000,2,0,13730,245991,ESU5\n"
        "1,2025-06-01T00:00:00.123456999Z,0,1,14160,T,A,0,6505.250000000,3,0,1,245991,ESU5\n",
        {"exchange": "cme"},
        ("ESU5", "cme", 123_456, 0, D("6505.25"), D(2), "buy", None),
    ),
    (
        f"{POLYGON}X:BTC-USD,2,23,7,{AT}000000,104000.5,0.1\n",
        {},
        ("BTC-USD", "kraken", 123_000, 7, D("104000.5"), D("0.1"), "buy", None),
    ),
    (
        DERIBIT % (AT, ',"block_trade_id":"BLOCK-1"'),
        {},
        ("BTC-PERPETUAL", "deribit", 123_000, 7, D("104000.5"), D(100), "sell", "block"),
    ),
    (
        '[{"date":"1748736000","tid":7,"price":"104000","amount":"0.5","type":"1"}]',
        {"symbol": "btcusd"},
        ("btcusd", "bitstamp", 0, 7, D(104000), D("0.5"), "sell", None),
    ),
    (
        f'[17,"hb"]\n[17,"te",[7,{AT},-0.005,7245.3]]\n',
        {"symbol": "tBTCUSD"},
        ("tBTCUSD", "bitfinex", 123_000, 7, D("7245.3"), D("0.005"), "sell", None),
    ),
    (
        f"id,mts,amount,price\n7,{AT},-5e-3,7245.3\n",
        {"symbol": "tETHUSD"},
        ("tETHUSD", "bitfinex", 123_000, 7, D("7245.3"), D("0.005"), "sell", None),
    ),
    (
        f"timestamp,trade_id,price,amount,taker_side_sell\n{AT},7,2450.5,0.25,false\n",
        {"exchange": "bitstamp", "symbol": "ethusd"},
        ("ethusd", "bitstamp", 123_000, 7, D("2450.5"), D("0.25"), "buy", None),
    ),
    (
        CCXT % AT,
        {"exchange": "coinbase"},
        ("BTC/USD", "coinbase", 123_000, 7, D("1e-8"), D("0.3"), "buy", None),
    ),
]


def test_what_vendors_send_is_stored_once(connection: Connection, tmp_path: Path) -> None:
    wanted = []
    for nth, (text, options, stored) in enumerate(VENDORS):
        path = tmp_path / str(nth)
        path.write_text(text)
        count = text.count("ESU5") or 1
        assert load_trades(connection, path, **options).report == IngestReport(count)
        assert load_trades(connection, path, **options).report == IngestReport(0, count)
        wanted.append((*stored[:2], BASE + timedelta(microseconds=stored[2]), *stored[3:]))
    # as a collector is told the same trade
    symbol, exchange, _, number, price, volume, side, excluded = VENDORS[3][2]
    live = trade(
        number,
        symbol=symbol,
        exchange=exchange,
        timestamp=BASE + timedelta(milliseconds=123),
        price=price,
        volume=volume,
        side=side,
        excluded=excluded,
    )
    assert ingest(connection, live, id_space="trade_seq", time_unit="ms") == IngestReport(0, 1)
    found = connection.execute(
        "SELECT symbol, exchange, timestamp, id, price, volume, side, excluded"
        " FROM entasis.market_data WHERE id IN (0, 7)"
    ).fetchall()
    assert sorted(found) == sorted(wanted)


KRAKEN = "1748736000,104000.1,0.0025\n1748736000,104000.1,0.0025\n1748736003,104001.0,0.1\n"


def test_a_file_of_okx_and_its_live_feed(connection: Connection, tmp_path: Path) -> None:
    """Both state milliseconds, and the exchange's own id."""
    path = tmp_path / "BTC-USDT-SWAP-trades-2025-06-01.csv.gz"
    header = "instrument_name,trade_id,side,price,size,created_time\n"
    row = "BTC-USDT-SWAP,1500000001,buy,104000.1,3,1748736000123\n"
    path.write_bytes(gzip.compress((header + row).encode()))
    live = trade(
        *(1500000001,),
        symbol="BTC-USDT-SWAP",
        exchange="okx",
        timestamp=BASE + timedelta(milliseconds=123),
        price=D("104000.1"),
        volume=D(3),
        side="buy",
    )
    assert load_trades(connection, path).report == IngestReport(1)
    assert load_trades(connection, path).report == IngestReport(0, 1)
    assert ingest(connection, live, id_space="trade", time_unit="ms") == IngestReport(0, 1)
    ((unit, kind, units),) = connection.execute(
        "SELECT volume_unit, kind, time_units FROM entasis.markets"
    ).fetchall()
    assert (unit, kind, units) == ("contracts", "linear_perpetual", ["ms"])
    key = ("BTC-USDT-SWAP", "okx", live.timestamp, live.id)
    oracle.assert_candles_are_right(connection, {key: (live.price, live.volume)})


@pytest.mark.parametrize(
    ("name", "text", "options"),
    [
        ("XBTUSD.csv", KRAKEN, {"exchange": "kraken"}),
        (
            "any.csv",
            "ts,px,qty\n" + KRAKEN,
            {
                "columns": "timestamp=ts,price=px,volume=qty",
                "time_unit": "s",
                "exchange": "kraken",
                "symbol": "XBTUSD",
            },
        ),
    ],
)
def test_trades_without_ids_are_all_stored_and_once(
    connection: Connection, tmp_path: Path, name: str, text: str, options: dict[str, Any]
) -> None:
    path = tmp_path / name
    path.write_text(text)
    assert load_trades(connection, path, **options).report == IngestReport(3)
    assert load_trades(connection, path, **options).report == IngestReport(0, 3)
    oracle.assert_candles_are_right(
        connection,
        {
            ("XBTUSD", "kraken", BASE, 0): (D("104000.1"), D("0.0025")),
            ("XBTUSD", "kraken", BASE, 1): (D("104000.1"), D("0.0025")),
            ("XBTUSD", "kraken", BASE + timedelta(seconds=3), 0): (D("104001"), D("0.1")),
        },
    )
    cut = tmp_path / "cut" / name
    cut.parent.mkdir()
    lines = text.splitlines(keepends=True)
    cut.write_text("".join(lines[: len(lines) - 2]))
    with pytest.raises(LoadError, match="at 2025-06-01T00:00:00 UTC"):
        load_trades(connection, cut, **options)


BYBIT = (
    "timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,"
    "foreignNotional,RPI\n"
)


# of four trades: the time in a file, the microseconds after the second, and the price
TOLD = [("1234", 123_400, 4), ("1239", 123_900, 1), ("123", 123_000, 2), ("1241", 124_100, 3)]


@pytest.mark.parametrize("live_first", [True, False])
def test_text_ids_are_known_again_in_another_unit_of_time(
    connection: Connection, tmp_path: Path, live_first: bool
) -> None:
    """Bybit's feed states milliseconds, its files ten-thousandths of a second."""
    path = tmp_path / "BTCUSDT2025-06-01.csv"
    lines, finer = [], []
    for number, (part, after, price) in enumerate(TOLD):
        text = str(UUID(int=(number + 1) ** 9 + 7))
        rest = f"PlusTick,{text},1.2e+11,0.012,1248,0"
        lines.append(f"1748736000.{part},BTCUSDT,Buy,0.012,{price},{rest}\n")
        finer.append(
            trade(
                *(digest_id(text),),
                symbol="BTCUSDT",
                exchange="bybit",
                timestamp=BASE + timedelta(microseconds=after),
                price=D(price),
                volume=D("0.012"),
                side="buy",
                source_id=text,
            )
        )
    path.write_text(BYBIT + "".join(lines))
    # the last trade is in the file only
    live = [
        t._replace(
            timestamp=t.timestamp.replace(microsecond=t.timestamp.microsecond // 1000 * 1000)
        )
        for t in finer[:3]
    ]

    def load(new: int) -> None:
        assert load_trades(connection, path).report == IngestReport(new, 4 - new)

    def tell(new: int) -> None:
        report = ingest(connection, *live, id_space="digest", time_unit="ms")
        assert report == IngestReport(new, 3 - new)

    if live_first:
        tell(3)
        load(1)
    else:
        load(4)
    tell(0)
    load(0)
    # the same text at another moment or with another price is no other trade
    moved = finer[3]._replace(timestamp=BASE + timedelta(milliseconds=125))
    other = finer[2]._replace(timestamp=BASE + timedelta(microseconds=123_900), price=D(9))
    for wrong, unit in ((moved, "ms"), (other, "us")):
        report = ingest(connection, wrong, id_space="digest", time_unit=unit)
        assert report == IngestReport(quarantined=1)
    stored = [*live, finer[3]] if live_first else finer
    oracle.assert_candles_are_right(connection, by_key(*stored))
