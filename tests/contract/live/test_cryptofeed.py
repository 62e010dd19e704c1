"""Real exchange traffic, through cryptofeed's own parsers and callbacks, into the database."""

import gzip
import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from entasis_db.live import SyncTickWriter, TickWriter
from entasis_db.live.cryptofeed import EXCHANGES, CryptofeedError, Exchange, Source
from entasis_db.model import OptionQuote, Trade
from entasis_db.readers import OptionRow, TradeRow, read_options, read_trades
from tests import oracle
from tests.contract.trades.support import by_key, quarantined
from tests.engines import REPOSITORY, SAMPLES, Database

pytestmark = [
    pytest.mark.newest_server,
    pytest.mark.copy,
    pytest.mark.several_connections,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

CAPTURES = REPOSITORY / "tests" / "data" / "captures"
MORE_CAPTURES = SAMPLES / "captures" / "cryptofeed2"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture
def play(tmp_path: Path, needs_cryptofeed: None) -> Callable[..., None]:
    """Play a capture back through cryptofeed."""
    from cryptofeed.raw_data_collection import playback

    def run(folder: Path, exchange: str, callbacks: dict[str, Any]) -> None:
        files = []
        for packed in sorted(folder.glob(f"{exchange}.*.gz")):
            plain = tmp_path / packed.stem
            plain.write_bytes(gzip.decompress(packed.read_bytes()))
            files.append(str(plain))
        # Deribit wants keys for what it sends unasked in a capture
        config = {"deribit": {"key_id": "-", "key_secret": "-"}, "log": {"disabled": True}}
        playback(exchange, files, dict(callbacks), config=config)

    return run


def messages(folder: Path, exchange: str) -> Iterator[Any]:
    """Read what the exchange sent, past cryptofeed."""
    for packed in sorted(folder.glob(f"{exchange}.ws.*.gz")):
        for line in gzip.decompress(packed.read_bytes()).decode().splitlines():
            if re.match(r"\d", line):
                yield json.loads(line.partition(": ")[2], parse_float=Decimal)


def milliseconds(number: str | int) -> datetime:
    return EPOCH + timedelta(milliseconds=int(number))


def binance(folder: Path, exchange: str, name: str) -> list[Trade]:
    return [
        Trade(m["s"], name, milliseconds(m["T"]), m["a"], Decimal(m["p"]), Decimal(m["q"]))
        for m in (m["data"] for m in messages(folder, exchange) if "data" in m)
        if m.get("e") == "aggTrade"
    ]


def okx(folder: Path) -> list[Trade]:
    return [
        Trade(
            *(t["instId"], "okx", milliseconds(t["ts"]), int(t["tradeId"])),
            *(Decimal(t["px"]), Decimal(t["sz"])),
        )
        for m in messages(folder, "OKX")
        if m.get("arg", {}).get("channel") == "trades"
        for t in m.get("data", [])
    ]


def feed(
    play: Callable[..., None], database: Database, folder: Path, exchange: str, **options: Any
) -> Any:
    source = Source()
    with SyncTickWriter(database.dsn, source="cryptofeed", id_space=source, **options) as writer:
        play(folder, exchange, {"trades": source.trades(writer)})
    return writer.metrics()


@pytest.mark.parametrize("exchange", ["BINANCE_FUTURES", "BINANCE", "OKX"])
def test_trades_with_ids(
    database: Database, play: Callable[..., None], exchange: str, request: pytest.FixtureRequest
) -> None:
    folder = CAPTURES
    if exchange != "BINANCE_FUTURES":
        request.getfixturevalue("samples")
        folder = MORE_CAPTURES
    expected = {
        "BINANCE_FUTURES": lambda: binance(folder, exchange, "binance-usdm"),
        "BINANCE": lambda: binance(folder, exchange, "binance-spot"),
        "OKX": lambda: okx(folder),
    }[exchange]()
    assert expected
    metrics = feed(play, database, folder, exchange, batch_rows=7)
    assert (metrics.written, metrics.already_there, metrics.quarantined) == (len(expected), 0, 0)
    again = feed(play, database, folder, exchange)
    assert (again.written, again.already_there) == (0, len(expected))
    with database.connect() as connection:
        oracle.assert_candles_are_right(connection, by_key(*expected))
        spaces = connection.execute("SELECT DISTINCT id_space FROM entasis.markets").fetchall()
        assert spaces == [("trade" if exchange == "OKX" else "aggtrade",)]


def test_trades_without_ids(database: Database, play: Callable[..., None]) -> None:
    sent = [t for m in messages(CAPTURES, "KRAKEN") if isinstance(m, list) for t in m[1]]
    assert len(sent) == 10
    metrics = feed(play, database, CAPTURES, "KRAKEN")
    assert (metrics.written, metrics.quarantined) == (10, 0)
    again = feed(play, database, CAPTURES, "KRAKEN")
    assert (again.written, again.already_there) == (0, 10)
    with database.connect() as connection:
        stored = oracle.stored_trades(connection)
        assert sorted(
            (time - EPOCH) / timedelta(microseconds=1) for _, _, time, _ in stored
        ) == sorted(float(Decimal(t[2]) * 1_000_000) for t in sent)
        assert sorted(stored.values()) == sorted((Decimal(t[0]), Decimal(t[1])) for t in sent)
        assert {exchange for _, exchange, *_ in stored} == {"kraken"}
        # in the exchange's spelling
        assert all("/" in symbol for symbol, *_ in stored)


@pytest.mark.samples
def test_every_trade_of_a_busy_capture(
    database: Database, play: Callable[..., None], samples: Path
) -> None:
    """Nanoseconds, no ids, a thousand trades in a message; the sample has the same trades."""
    metrics = feed(play, database, MORE_CAPTURES, "PHEMEX", batch_rows=1000)
    assert (metrics.written, metrics.quarantined) == (10_025, 0)
    again = feed(play, database, MORE_CAPTURES, "PHEMEX")
    assert (again.written, again.already_there) == (0, 10_025)
    rows = read_trades(samples / "trades_phemex_2021-07-03.csv.gz")
    expected = [row.trade for row in rows if isinstance(row, TradeRow)]
    assert len(expected) == 10_025
    with database.connect() as connection:
        stored = oracle.stored_trades(connection)
        assert sorted((symbol, time) for symbol, _, time, _ in stored) == sorted(
            (t.symbol, t.timestamp) for t in expected
        )
        assert quarantined(connection) == []


def test_option_quotes(
    database: Database, play: Callable[..., None], request: pytest.FixtureRequest
) -> None:
    source = Source()
    for _ in range(2):
        with SyncTickWriter(database.dsn, source="c", id_space=source) as writer:
            play(CAPTURES, "DERIBIT", {"ticker": source.quotes(writer)})
    metrics = writer.metrics()
    assert (metrics.written, metrics.already_there, metrics.quarantined) == (0, 89, 0)
    tickers = [
        m["params"]["data"]
        for m in messages(CAPTURES, "DERIBIT")
        if m.get("params", {}).get("channel", "").startswith("ticker")
    ]
    with database.connect() as connection:
        stored = connection.execute(
            "SELECT underlying, strike_price, expiry_date, option_type, timestamp, id,"
            " iv, delta, gamma, theta, vega FROM entasis.option_data"
        ).fetchall()
    assert len(stored) == len(tickers) == 89
    assert sorted((row[4], row[6], row[7]) for row in stored) == sorted(
        (milliseconds(t["timestamp"]), t["mark_iv"] / 100, t["greeks"]["delta"]) for t in tickers
    )
    if SAMPLES.is_dir():
        rows = read_options(SAMPLES / "options_deribit_eth_2021-07-22.csv")
        expected = [row.quote for row in rows if isinstance(row, OptionRow)]
        assert sorted(OptionQuote(*row) for row in stored) == sorted(expected)


def test_an_event_loops_writer(database: Database, needs_cryptofeed: None) -> None:
    import asyncio

    from cryptofeed.types import Trade as Fed

    async def run() -> None:
        source = Source()
        async with TickWriter(database.dsn, source="c", id_space=source) as writer:
            raw = {"s": "BTCUSDT", "T": 1723118400123, "a": 7, "e": "aggTrade"}
            fed = Fed(
                "BINANCE", "BTC-USDT", "buy", Decimal(1), Decimal(2), 1723118400.123, "7", raw=raw
            )
            await source.trades(writer)(fed, 0.0)
        assert writer.metrics().written == 1

    asyncio.run(run())


def fed(exchange: str, raw: Any, symbol: str = "BTC-USD", **changes: Any) -> Any:
    """Make what has the fields of cryptofeed's Trade, for messages of no capture at hand."""
    return SimpleNamespace(
        **{
            "exchange": exchange,
            "symbol": symbol,
            "raw": raw,
            "side": "buy",
            "id": None,
            "price": Decimal("2.5"),
            "amount": Decimal("0.1"),
            "timestamp": 0.0,
            **changes,
        }
    )


def test_messages_as_exchanges_document_them() -> None:
    source = Source()
    coinbase = {
        "trade_id": "43736593",
        "product_id": "BTC-USD",
        "time": "2018-05-21T00:26:05.585123987Z",
    }
    assert source.trade(fed("COINBASE", coinbase), 1)[:4] == (
        *("BTC-USD", "coinbase"),
        datetime(2018, 5, 21, 0, 26, 5, 585123, tzinfo=UTC),
        43736593,
    )
    deribit = {
        "trade_seq": 933,
        "trade_id": "9178",
        "timestamp": 1550736299753,
        "instrument_name": "BTC-PERPETUAL",
    }
    assert source.trade(fed("DERIBIT", deribit), 1)[:4] == (
        *("BTC-PERPETUAL", "deribit"),
        *(milliseconds(1550736299753), 933),
    )
    bybit = {"T": 1672304486865, "s": "BTCUSDT", "i": "20f43950-d8dd-5b31-9112-a178eb6023af"}
    perpetual = source.trade(fed("BYBIT", bybit, "BTC-USDT-PERP"), 1)
    spot = source.trade(fed("BYBIT", bybit, "BTC-USDT"), 1)
    assert (perpetual.symbol, spot.symbol) == ("BTCUSDT", "BTCUSDT-SPOT")
    assert source.trade(fed("BYBIT", bybit, "BTC-USDT-PERP"), 2).id == perpetual.id
    other = {**bybit, "i": "20f43950-d8dd-5b31-9112-a178eb6023ae"}
    assert source.trade(fed("BYBIT", other, "BTC-USDT-PERP"), 2).id != perpetual.id
    assert 0 <= perpetual.id < 2**63
    assert source["BTCUSDT", "bybit"] == "digest"
    assert source["BTC-USD", "coinbase"] == "trade"
    assert ("BTC-USD", "coinbase") in source
    assert len(source) == len(list(source)) == 4


def test_like_trades_of_one_message_are_told_apart_and_known_again() -> None:
    raw = {"symbol": "BTCUSD", "trades": [[1_700_000_000_123_456_789, "Buy", 25, 3]] * 2}
    like = fed("PHEMEX", raw, timestamp=1_700_000_000_123_456_789 / 1e9, amount=Decimal(3))
    source = Source()
    ids = [source.trade(like, receipt).id for receipt in ("1.5", "1.5", "2.5", "2.5")]
    assert len(set(ids)) == 2
    assert ids[:2] == ids[2:]
    assert source.trade(like, 3).timestamp == EPOCH + timedelta(microseconds=1_700_000_000_123_456)


def test_what_cannot_be_read_exactly_is_refused() -> None:
    source = Source()
    with pytest.raises(CryptofeedError, match="Give Source an Exchange"):
        source.trade(fed("BITFINEX", []), 1)
    for exchange in EXCHANGES:
        if exchange != "KRAKEN":
            with pytest.raises(CryptofeedError, match="form that is not known"):
                source.trade(fed(exchange, {"e": "trade", "trades": []}), 1)
    ticker = SimpleNamespace(exchange="DERIBIT", raw={"params": {"data": {"greeks": {}}}})
    with pytest.raises(CryptofeedError, match="form that is not known"):
        source.quote(ticker)
    ticker.raw["params"]["data"].pop("greeks")
    assert source.quote(ticker) is None
    own = Exchange("mine", "trade", EXCHANGES["OKX"].read)
    mine = Source({"BITFINEX": own})
    raw = {"instId": "A", "ts": "1700000000123", "tradeId": "5"}
    assert mine.trade(fed("BITFINEX", raw), 1)[:2] == ("A", "mine")


def test_quotes_of_one_millisecond() -> None:
    data: dict[str, Any] = {
        "instrument_name": "ETH-30JUL21-2800-C",
        "timestamp": 1626993723632,
        "mark_iv": Decimal("120.74"),
        "greeks": dict.fromkeys(("delta", "gamma"), Decimal(0)),
    }
    data["greeks"] |= {"theta": Decimal("-1.6"), "vega": Decimal("0.2")}
    ticker = SimpleNamespace(exchange="DERIBIT", raw={"params": {"data": data}})
    source = Source()
    first = source.quote(ticker)
    assert first is not None
    assert (first.id, first.iv) == (0, Decimal("1.2074"))
    data["mark_iv"] = Decimal(121)
    assert source.quote(ticker).id == 1  # type: ignore[union-attr]
    data["mark_iv"] = Decimal("120.74")
    assert source.quote(ticker) == first
    data["timestamp"] += 1
    assert source.quote(ticker).id == 0  # type: ignore[union-attr]
