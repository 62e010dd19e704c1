"""Real exchange traffic, through cryptofeed's own parsers and callbacks, into the database."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql

from entasis_db.live import AsyncTickWriter, TickWriter
from entasis_db.live.cryptofeed import EXCHANGES, Source
from entasis_db.model import OPTION_KEY, OptionQuote, Trade
from entasis_db.readers import OptionRow, TradeRow, read_options, read_trades
from tests import oracle
from tests.captures import (
    Line,
    capture,
    capture_of_cryptofeed_2,
    cryptofeed_release,
    messages,
    play,
)
from tests.contract.live.support import EPOCH, TOLD, Told, milliseconds
from tests.contract.trades.support import by_key, quarantined
from tests.engines import SAMPLES, Database

pytestmark = [
    pytest.mark.newest_server,
    pytest.mark.copy,
    pytest.mark.several_connections,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

WHOLE_CAPTURES = SAMPLES / "captures" / "cryptofeed2"
_in_order = itemgetter(*map(OptionQuote._fields.index, OPTION_KEY))
ID_SPACES = {
    "BINANCE": {"aggtrade"},
    "BINANCE_FUTURES": {"aggtrade"},
    "BYBIT": {"digest", "trade"},  # contracts have UUIDs, spot has numbers
    "COINBASE": {"trade"},
    "KRAKEN": {"digest"},
    "OKX": {"trade"},
    "PHEMEX": {"digest"},
}


@pytest.fixture(params=TOLD)
def exchange(request: pytest.FixtureRequest, needs_cryptofeed: None) -> str:
    if request.param == "KRAKEN" and cryptofeed_release() > 2:
        pytest.skip("cryptofeed 3 does not speak the version of Kraken's protocol of the capture")
    return str(request.param)


def feed(database: Database, lines: list[Line], **options: Any) -> Any:
    source = Source()
    with TickWriter(database.dsn, source="cryptofeed", id_space=source, **options) as writer:
        play(lines, {"trades": source.trades(writer)})
    return writer.metrics()


def as_trade(told: Told) -> Trade:
    return Trade(
        id=told.id,
        symbol=told.symbol,
        exchange=told.exchange,
        timestamp=told.timestamp,
        price=told.price,
        volume=told.volume,
        side=told.side,
    )


def assert_stored(database: Database, lines: list[Line], exchange: str) -> None:
    """Feed a capture twice, and compare what is stored with what the exchange sent."""
    sent = list(TOLD[exchange](lines))
    expected = {as_trade(told) for told in sent}
    assert expected
    metrics = feed(database, lines, batch_rows=7)
    # a message sent again has the ids that it had
    assert (metrics.written, metrics.already_there, metrics.quarantined) == (
        len(expected),
        len(sent) - len(expected),
        0,
    )
    again = feed(database, lines)
    assert (again.written, again.already_there) == (0, len(sent))
    with database.connect() as connection:
        oracle.assert_candles_are_right(connection, by_key(*expected))
        assert oracle.stored_sides(connection) == {
            (t.symbol, t.exchange, t.timestamp, t.id): t.side for t in expected
        }
        spaces = connection.execute("SELECT DISTINCT id_space FROM entasis.markets").fetchall()
        assert {space for (space,) in spaces} == ID_SPACES[exchange]


def test_trades_are_stored_as_the_exchange_sent_them(database: Database, exchange: str) -> None:
    assert_stored(database, capture(exchange), exchange)


def test_sides_are_those_that_took(exchange: str) -> None:
    """Read from the message: cryptofeed 2 hands on the maker's side of Coinbase."""
    lines = capture(exchange)
    sides: list[str | None] = []
    positions: dict[tuple[object, ...], int] = {}

    async def note(trade: Any, receipt: Any) -> None:
        message = (trade.symbol, receipt)
        position = positions[message] = positions.get(message, -1) + 1
        sides.append(EXCHANGES[trade.exchange].read(trade, position).side)

    play(lines, {"trades": note})
    assert sides == [told.side for told in TOLD[exchange](lines)]
    assert {"buy", "sell"} >= set(sides)


@pytest.mark.samples
@pytest.mark.parametrize(
    ("exchange", "about"), [("BINANCE", '"aggTrade"'), ("OKX", '"channel":"trades"')]
)
def test_trades_of_a_whole_capture(
    database: Database, exchange: str, about: str, samples: Path, needs_cryptofeed: None
) -> None:
    assert_stored(database, capture_of_cryptofeed_2(WHOLE_CAPTURES, exchange, about), exchange)


def test_trades_without_ids(database: Database, needs_cryptofeed: None) -> None:
    if cryptofeed_release() > 2:
        pytest.skip("cryptofeed 3 does not speak the version of Kraken's protocol of the capture")
    lines = capture("KRAKEN")
    sent = [t for m in messages(lines) for t in m[1]]
    assert len(sent) == 10
    metrics = feed(database, lines)
    assert (metrics.written, metrics.quarantined) == (10, 0)
    again = feed(database, lines)
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
    database: Database, samples: Path, needs_cryptofeed: None
) -> None:
    """Nanoseconds, no ids, a thousand trades in a message; the sample has the same trades."""
    lines = capture_of_cryptofeed_2(WHOLE_CAPTURES, "PHEMEX", '"trades"')
    metrics = feed(database, lines, batch_rows=1000)
    assert (metrics.written, metrics.quarantined) == (10_025, 0)
    again = feed(database, lines)
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
        assert stored == by_key(*map(as_trade, TOLD["PHEMEX"](lines)))


def test_option_quotes(database: Database, needs_cryptofeed: None) -> None:
    source = Source()
    lines = capture("DERIBIT")
    for _ in range(2):
        with TickWriter(database.dsn, source="c", id_space=source) as writer:
            play(lines, {"ticker": source.quotes(writer)})
    metrics = writer.metrics()
    assert (metrics.written, metrics.already_there, metrics.quarantined) == (0, 89, 0)
    tickers = [m["params"]["data"] for m in messages(lines)]
    with database.connect() as connection:
        stored = connection.execute(
            sql.SQL("SELECT {} FROM entasis.option_data").format(
                sql.SQL(", ").join(map(sql.Identifier, OptionQuote._fields))
            )
        ).fetchall()
    quotes = [OptionQuote(*row) for row in stored]
    assert len(quotes) == len(tickers) == 89
    assert sorted((q.timestamp, q.iv, q.delta) for q in quotes) == sorted(
        (milliseconds(t["timestamp"]), t["mark_iv"] / 100, t["greeks"]["delta"]) for t in tickers
    )
    if SAMPLES.is_dir():
        rows = read_options(SAMPLES / "options_deribit_eth_2021-07-22.csv")
        expected = [row.quote for row in rows if isinstance(row, OptionRow)]
        assert {quote.id for quote in quotes} == {0}
        # the file does not tell the best bid and the best ask
        untold = {"bid_price": None, "ask_price": None}
        assert sorted((q._replace(**untold) for q in quotes), key=_in_order) == sorted(
            (quote._replace(id=0) for quote in expected), key=_in_order
        )


def test_an_event_loops_writer(database: Database, needs_cryptofeed: None) -> None:
    from cryptofeed.types import Trade as Fed

    async def run() -> None:
        source = Source()
        async with AsyncTickWriter(database.dsn, source="c", id_space=source) as writer:
            raw = {"s": "BTCUSDT", "T": 1723118400123, "a": 7, "e": "aggTrade"}
            raw |= {"p": "2", "q": "1", "m": False}
            fed = Fed(
                "BINANCE", "BTC-USDT", "buy", Decimal(1), Decimal(2), 1723118400.123, "7", raw=raw
            )
            await source.trades(writer)(fed, 0.0)
        assert writer.metrics().written == 1

    asyncio.run(run())
