"""Single messages: those that exchanges document, and those that nobody expects."""

import asyncio
import copy
import json
import logging
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entasis_db.errors import WriterError
from entasis_db.live import TickWriter
from entasis_db.live.cryptofeed import EXCHANGES, CryptofeedError, Exchange, Source
from entasis_db.model import Trade
from entasis_db.readers.rows import RowError
from tests.captures import cryptofeed_release
from tests.contract.live.support import EPOCH, digest, fed, milliseconds, text_digest
from tests.engines import Database

needs_database = [
    pytest.mark.newest_server,
    pytest.mark.copy,
    pytest.mark.several_connections,
]
D = Decimal

# As their documentation and cryptofeed's show them; numbers as cryptofeed parses them.
DOCUMENTED: dict[str, tuple[Any, str]] = {
    "BINANCE": (
        {"e": "aggTrade", "E": 123456789, "s": "BNBBTC", "a": 12345, "p": "0.001", "q": "100"}
        | {"f": 100, "l": 105, "T": 1672515782136, "m": True, "M": True},
        "BNB-BTC",
    ),
    "BYBIT": (
        {"T": 1672304486865, "s": "BTCUSDT", "S": "Buy", "v": "0.001", "p": "16578.50"}
        | {"L": "PlusTick", "i": "20f43950-d8dd-5b31-9112-a178eb6023af", "BT": False},
        "BTC-USDT-PERP",
    ),
    "COINBASE": (
        {"trade_id": "43736593", "product_id": "BTC-USD", "time": "2018-05-21T00:26:05.585123987Z"}
        | {"side": "BUY", "size": "0.01235647", "price": "8506.26000000"},
        "BTC-USD",
    ),
    "DERIBIT": (
        {"trade_seq": 933, "trade_id": "9178", "timestamp": 1550736299753, "tick_direction": 3}
        | {"price": D("3948.69"), "instrument_name": "BTC-PERPETUAL", "index_price": D("3930.73")}
        | {"direction": "sell", "amount": 10},
        "BTC-USD-PERP",
    ),
    "KRAKEN": (
        {"symbol": "BTC/USD", "side": "buy", "price": D("64668.9"), "qty": D("0.00122657")}
        | {"ord_type": "limit", "trade_id": 104950594, "timestamp": "2026-08-10T14:23:11.053094Z"},
        "BTC-USD",
    ),
    "OKX": (
        {"instId": "BTC-USD-191227", "tradeId": "9", "px": "0.016", "sz": "50", "side": "buy"}
        | {"ts": "1597026383085"},
        "BTC-USD-19Z27",
    ),
    "PHEMEX": (
        {"dts": 1786993352252547133, "mts": 1786993352250748663, "sequence": 66288983930}
        | {"symbol": "BTCUSDT", "type": "incremental"}
        | {"trades_p": [[1786993352243530151, "Sell", "64320.1", "0.006"]]},
        "BTC-USDT-PERP",
    ),
}
READ: dict[str, Trade] = {
    "BINANCE": Trade(
        id=12345,
        symbol="BNBBTC",
        exchange="binance-spot",
        timestamp=milliseconds(1672515782136),
        price=D("0.001"),
        volume=D(100),
        side="sell",  # the buyer was the maker
    ),
    "BYBIT": Trade(
        id=text_digest("20f43950-d8dd-5b31-9112-a178eb6023af"),
        source_id="20f43950-d8dd-5b31-9112-a178eb6023af",
        symbol="BTCUSDT",
        exchange="bybit",
        timestamp=milliseconds(1672304486865),
        price=D("16578.50"),
        volume=D("0.001"),
        side="buy",
    ),
    "COINBASE": Trade(
        id=43736593,
        symbol="BTC-USD",
        exchange="coinbase",
        timestamp=datetime(2018, 5, 21, 0, 26, 5, 585123, tzinfo=UTC),
        price=D("8506.26000000"),
        volume=D("0.01235647"),
        side="sell",  # the maker bought
    ),
    "DERIBIT": Trade(
        id=933,
        symbol="BTC-PERPETUAL",
        exchange="deribit",
        timestamp=milliseconds(1550736299753),
        price=D("3948.69"),
        volume=D(10),
        side="sell",
    ),
    "KRAKEN": Trade(
        id=104950594,
        symbol="BTC/USD",
        exchange="kraken",
        timestamp=datetime(2026, 8, 10, 14, 23, 11, 53094, tzinfo=UTC),
        price=D("64668.9"),
        volume=D("0.00122657"),
        side="buy",
    ),
    "OKX": Trade(
        id=9,
        symbol="BTC-USD-191227",
        exchange="okx",
        timestamp=milliseconds(1597026383085),
        price=D("0.016"),
        volume=D(50),
        side="buy",
    ),
    "PHEMEX": Trade(
        id=digest("PHEMEX", "BTC-USDT-PERP", 1786993352243530151, "Sell", "64320.1", "0.006"),
        symbol="BTCUSDT",
        exchange="phemex",
        timestamp=EPOCH + timedelta(microseconds=1786993352243530),
        price=D("64320.1"),
        volume=D("0.006"),
        side="sell",
    ),
}


def documented(exchange: str) -> Any:
    raw, symbol = copy.deepcopy(DOCUMENTED[exchange])
    changes: dict[str, Any] = {}
    if exchange == "PHEMEX":
        changes = {"timestamp": 1786993352243530151 / 1e9, "amount": D("0.006")}
    return fed(exchange, raw, symbol, **changes)


@pytest.mark.parametrize("exchange", DOCUMENTED)
def test_a_documented_trade(exchange: str) -> None:
    source = Source()
    trade = documented(exchange)
    assert source.trade(trade, 1) == READ[exchange]
    assert ("digest" if exchange in ("BYBIT", "PHEMEX") else EXCHANGES[exchange].id_space) == (
        source[READ[exchange].symbol, READ[exchange].exchange]
    )


SIDE = {"BINANCE": "m", "BYBIT": "S", "DERIBIT": "direction"}
"""What the exchanges call it, where it is not ``side``."""


@pytest.mark.parametrize("exchange", sorted(DOCUMENTED.keys() - {"PHEMEX"}))
@pytest.mark.parametrize("untold", ["missing", None, ""])
def test_a_trade_without_a_side(exchange: str, untold: str | None) -> None:
    trade = documented(exchange)
    name = SIDE.get(exchange, "side")
    assert name in trade.raw
    if untold == "missing":
        del trade.raw[name]
    else:
        trade.raw[name] = untold
    assert Source().trade(trade, 1) == READ[exchange]._replace(side=None)


@pytest.mark.parametrize("exchange", sorted(DOCUMENTED.keys() - {"PHEMEX"}))
def test_a_side_of_no_known_name_is_told(exchange: str) -> None:
    trade = documented(exchange)
    trade.raw[SIDE.get(exchange, "side")] = "both"
    with pytest.raises(RowError, match="both"):
        EXCHANGES[exchange].read(trade, 0)


@pytest.mark.parametrize(
    ("exchange", "message", "address"),
    [
        ("KRAKEN", {"channel": "trade", "type": "update", "data": [DOCUMENTED["KRAKEN"][0]]}, ""),
        ("PHEMEX", DOCUMENTED["PHEMEX"][0], ""),
    ],
    ids=["KRAKEN", "PHEMEX"],
)
def test_what_only_cryptofeed_3_sends_comes_through_its_parser(
    exchange: str, message: Any, address: str, needs_cryptofeed: None
) -> None:
    if cryptofeed_release() < 3:
        pytest.skip("cryptofeed 2 does not speak this version of the exchange's protocol")
    from cryptofeed.exchanges import EXCHANGE_MAP
    from cryptofeed.symbols import Symbols

    kind = EXCHANGE_MAP[exchange]
    symbol = DOCUMENTED[exchange][1]
    Symbols.set(kind.id, {symbol: READ[exchange].symbol}, {"api_version": {symbol: 2}})
    source, read = Source(), []

    async def note(trade: Any, receipt: Any) -> None:
        read.append(source.trade(trade, receipt))

    async def run() -> None:
        feed = kind(subscription={"trades": [symbol]}, callbacks={"trades": note})
        feed._apply_symbol_mapping()
        text = json.dumps(message, default=float)
        await feed.message_handler(text, SimpleNamespace(uuid="1", address=address), 1.0)

    asyncio.run(run())
    assert read == [READ[exchange]]


BITSTAMP = {
    "data": {"microtimestamp": "1562650233964229", "amount": D("0.014140160000000001")}
    | {"buy_order_id": 3709484695, "sell_order_id": 3709484799, "amount_str": "0.01414016"}
    | {"price_str": "12700.00", "timestamp": "1562650233", "price": D("12700.0"), "type": 1}
    | {"id": 93215787},
    "event": "trade",
    "channel": "live_trades_btcusd",
}


def test_numbers_of_bitstamp_are_those_that_it_states_as_text() -> None:
    source = Source()
    expected = Trade(
        id=93215787,
        symbol="btcusd",
        exchange="bitstamp",
        timestamp=EPOCH + timedelta(microseconds=1562650233964229),
        price=D("12700.00"),
        volume=D("0.01414016"),
        side="sell",
    )
    assert source.trade(fed("BITSTAMP", BITSTAMP), 1) == expected
    assert dict(source) == {("btcusd", "bitstamp"): "trade"}
    bought = {**BITSTAMP, "data": {**BITSTAMP["data"], "type": 0}}  # type: ignore[dict-item]
    assert source.trade(fed("BITSTAMP", bought), 1).side == "buy"
    for field, value in {"type": 2, "amount_str": 0.1, "id": None, "microtimestamp": "1.5"}.items():
        wrong = {**BITSTAMP, "data": {**BITSTAMP["data"], field: value}}  # type: ignore[dict-item]
        with pytest.raises(CryptofeedError):
            source.trade(fed("BITSTAMP", wrong), 1)


@pytest.mark.parametrize("amount", ["-0.005", "-1e-8", "3"])
def test_trades_of_bitfinex_come_through_cryptofeeds_parser(
    amount: str, needs_cryptofeed: None
) -> None:
    """Its message has no names, and cryptofeed does not hand it on."""
    from cryptofeed.exchanges import EXCHANGE_MAP
    from cryptofeed.symbols import Symbols

    kind = EXCHANGE_MAP["BITFINEX"]
    Symbols.set(kind.id, {"BTC-USD": "tBTCUSD"}, {"instrument_type": {"BTC-USD": "spot"}})
    source, read = Source(), []

    async def note(trade: Any, receipt: Any) -> None:
        read.append(source.trade(trade, receipt))

    async def run() -> None:
        feed = kind(subscription={"trades": ["BTC-USD"]}, callbacks={"trades": note})
        if cryptofeed_release() > 2:
            feed._apply_symbol_mapping()
        connection = SimpleNamespace(uuid="1", address="")
        first = {"event": "subscribed", "channel": "trades", "chanId": 17, "symbol": "tBTCUSD"}
        told = f"[401597395,1574694478808,{amount},7245.3]"
        for text in (
            json.dumps(first),
            '[17,"hb",1]',
            f'[17,"te",{told},2]',
            f'[17,"tu",{told},3]',
        ):
            await feed.message_handler(text, connection, 1.0)

    asyncio.run(run())
    assert read == [
        Trade(
            id=401597395,
            symbol="tBTCUSD",
            exchange="bitfinex",
            timestamp=milliseconds(1574694478808),
            price=D("7245.3"),
            volume=abs(D(amount)),
            side="buy" if amount == "3" else "sell",
        )
    ]


def test_spot_and_contracts_of_bybit() -> None:
    source = Source()
    bybit = DOCUMENTED["BYBIT"][0]
    perpetual = source.trade(fed("BYBIT", bybit, "BTC-USDT-PERP"), 1)
    spot = source.trade(fed("BYBIT", bybit, "BTC-USDT"), 1)
    assert (perpetual.symbol, spot.symbol) == ("BTCUSDT", "BTCUSDT-SPOT")
    assert source.trade(fed("BYBIT", bybit, "BTC-USDT-PERP"), 2).id == perpetual.id
    other = {**bybit, "i": "20f43950-d8dd-5b31-9112-a178eb6023ae"}
    assert source.trade(fed("BYBIT", other, "BTC-USDT-PERP"), 2).id != perpetual.id
    assert 0 <= perpetual.id < 2**63
    assert source["BTCUSDT", "bybit"] == "digest"
    numbered = {**bybit, "s": "ETHUSDT", "i": "2290000001189048101"}
    assert source.trade(fed("BYBIT", numbered, "ETH-USDT"), 2).id == 2290000001189048101
    assert source["ETHUSDT-SPOT", "bybit"] == "trade"
    # one market has one kind of ids
    with pytest.raises(CryptofeedError, match="ids are of 'trade'"):
        source.trade(fed("BYBIT", {**bybit, "s": "ETHUSDT"}, "ETH-USDT"), 3)
    assert ("ETHUSDT-SPOT", "bybit") in source
    assert len(source) == len(list(source)) == 3


def test_like_trades_of_one_message_are_told_apart_and_known_again() -> None:
    raw = {"symbol": "BTCUSD", "trades": [[1_700_000_000_123_456_789, "Buy", 25, 3]] * 2}
    like = fed("PHEMEX", raw, timestamp=1_700_000_000_123_456_789 / 1e9, amount=Decimal(3))
    source = Source()
    ids = [source.trade(like, receipt).id for receipt in ("1.5", "1.5", "2.5", "2.5")]
    assert len(set(ids)) == 2
    assert ids[:2] == ids[2:]
    only = {**raw, "trades": raw["trades"][:1]}
    alone = fed("PHEMEX", only, timestamp=like.timestamp, amount=like.amount)
    assert source.trade(alone, 3).timestamp == EPOCH + timedelta(microseconds=1_700_000_000_123_456)


def test_messages_of_two_connections_take_turns() -> None:
    """A callback that waits lets another connection's message in between."""
    source = Source()
    one = {"symbol": "A", "trades": [[n, "Buy", 25, 3] for n in (10**18, 10**18, 2 * 10**18)]}
    other = {"symbol": "B", "trades": [[10**18, "Sell", 25, 3]] * 3}
    ids: dict[str, list[int]] = {"A-USD-PERP": [], "B-USD-PERP": []}
    for position in range(3):
        for raw, symbol in ((one, "A-USD-PERP"), (other, "B-USD-PERP")):
            moment = raw["trades"][position][0] / 1e9
            trade = fed("PHEMEX", raw, symbol, timestamp=moment, amount=D(3))
            ids[symbol].append(source.trade(trade, 1.0).id)
    assert [len(set(found)) for found in ids.values()] == [3, 3]


def test_spot_sizes_of_phemex_are_scaled() -> None:
    raw = {"symbol": "sBTCUSDT", "trades": [[10**18, "Buy", 25, 150_000_000]]}
    trade = fed("PHEMEX", raw, "BTC-USDT", timestamp=1e9, amount=D(150_000_000), price=D("2.5"))
    read = Source().trade(trade, 1)
    assert (read.price, read.volume) == (D("2.5"), D("1.5"))


def test_what_cannot_be_read_exactly_is_refused() -> None:
    source = Source()
    with pytest.raises(CryptofeedError, match="Give Source an Exchange"):
        source.trade(fed("GEMINI", []), 1)
    for exchange in EXCHANGES:
        # these two name no symbol, so that cryptofeed's table is asked first
        if exchange not in {"BITFINEX", "KRAKEN"}:
            with pytest.raises(CryptofeedError, match=r"form that is not known|cannot be read"):
                source.trade(fed(exchange, {"e": "trade", "trades": []}), 1)
    ticker = SimpleNamespace(exchange="DERIBIT", raw={"params": {"data": {"greeks": {}}}})
    with pytest.raises(CryptofeedError, match="form that is not known"):
        source.quote(ticker)
    ticker.raw["params"]["data"].pop("greeks")
    assert source.quote(ticker) is None
    own = Exchange("mine", "trade", EXCHANGES["OKX"].read)
    mine = Source({"GEMINI": own})
    raw = {"instId": "A", "ts": "1700000000123", "tradeId": "5"}
    raw |= {"px": "1", "sz": "1", "side": "buy"}
    assert mine.trade(fed("GEMINI", raw), 1)[:3] == (5, "A", "mine")


@pytest.mark.parametrize(
    ("exchange", "field", "value"),
    [
        ("BINANCE", "p", 0.1),
        ("BINANCE", "a", True),
        ("BINANCE", "T", "now"),
        ("BYBIT", "p", "NaN"),
        ("BYBIT", "v", "1_0"),
        ("COINBASE", "side", "SEL"),
        ("COINBASE", "time", "2018-05-21T00:26:05"),
        ("DERIBIT", "amount", D("Infinity")),
        ("DERIBIT", "timestamp", 10**30),
        ("KRAKEN", "qty", None),
        ("KRAKEN", "trade_id", "٣"),
        ("OKX", "tradeId", 1.0),
        ("OKX", "instId", None),
        pytest.param("OKX", "ts", 10**5000, id="OKX-ts-huge"),
    ],
)
def test_a_field_that_cannot_be_understood_is_not_guessed(
    exchange: str, field: str, value: object
) -> None:
    trade = documented(exchange)
    trade.raw[field] = value
    with pytest.raises(CryptofeedError):
        Source().trade(trade, 1)


def ticker(**changes: Any) -> Any:
    data: dict[str, Any] = {
        "instrument_name": "ETH-30JUL21-2800-C",
        "timestamp": 1626993723632,
        "mark_iv": Decimal("120.74"),
        "greeks": dict.fromkeys(("delta", "gamma"), Decimal(0))
        | {"theta": Decimal("-1.6"), "vega": Decimal("0.2")},
        **changes,
    }
    return SimpleNamespace(exchange="DERIBIT", raw={"params": {"data": data}})


def test_a_quote_has_no_id_and_its_volatility_is_a_fraction() -> None:
    quote = Source().quote(ticker())
    assert quote is not None
    assert (quote.id, quote.iv) == (None, Decimal("1.2074"))


def test_a_quote_keeps_all_that_the_ticker_tells() -> None:
    told = {
        "bid_iv": D("120.5"),
        "ask_iv": D(0),
        "mark_price": D("0.0705"),
        "best_bid_price": D("0.07"),
        "best_ask_price": None,
        "underlying_price": D("2003.61"),
        "open_interest": 12685,
    }
    quote = Source().quote(ticker(**told, greeks={"rho": D("0.01188")}))
    assert quote is not None
    assert quote[6:] == (
        *(D("1.2074"), None, None, None, None),
        *(D("0.07"), None, D("0.0705"), D("1.205"), D(0), D("2003.61"), D(12685), D("0.01188")),
    )


@pytest.mark.parametrize("value", [float("nan"), float("-inf"), "NaN", "-Infinity", D("NaN")])
def test_what_a_model_computed_may_be_no_number(value: object) -> None:
    """It is NULL when it is stored, and counted; a price is not computed."""
    quote = Source().quote(ticker(mark_iv=value, greeks={"rho": value, "delta": D("0.5")}))
    assert quote is not None
    assert quote.iv is not None
    assert quote.rho is not None
    assert quote.iv.is_nan()
    assert quote.rho.is_nan()
    assert quote.delta == D("0.5")
    for wrong in (0.5, "0,5", True):
        with pytest.raises(CryptofeedError):
            Source().quote(ticker(mark_iv=wrong))
    with pytest.raises(CryptofeedError):
        Source().quote(ticker(mark_price=value))


def test_a_quote_without_its_computed_values_has_none() -> None:
    quote = Source().quote(ticker(mark_iv=None, greeks={"delta": D("0.5"), "vega": None}))
    assert quote is not None
    assert (quote.iv, quote.delta, quote.gamma, quote.theta, quote.vega) == (
        *(None, D("0.5"), None, None, None),
    )


# --- callbacks never raise -------------------------------------------------------------------


junk: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.sampled_from([2**63, -(10**4000), 10**30]),
        st.floats(),
        st.decimals(),
        st.sampled_from([D("sNaN"), D("1e-999999"), D("1E+999999"), D("0.1234567890123456789")]),
        st.text(),
        st.sampled_from(["\0", "\ud800", "x" * 70, "1e400", "", "-1", "9999-12-31T23:59:59Z"]),
        st.just(object()),
    ),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=3), children, max_size=3)
    ),
    max_leaves=6,
)


@st.composite
def strange_trades(draw: st.DrawFn) -> Any:
    """A documented message, of which something is replaced or missing."""
    exchange = draw(st.sampled_from(list(DOCUMENTED)))
    trade = documented(exchange)
    match draw(st.sampled_from(["field", "missing", "raw", "entry", "attribute"])):
        case "field":
            trade.raw[draw(st.sampled_from(list(trade.raw)))] = draw(junk)
        case "missing":
            del trade.raw[draw(st.sampled_from(list(trade.raw)))]
        case "raw":
            trade.raw = draw(junk)
        case "entry" if exchange == "PHEMEX":
            trade.raw["trades_p"][0][draw(st.integers(0, 3))] = draw(junk)
        case _:
            setattr(trade, draw(st.sampled_from(["symbol", "timestamp", "amount"])), draw(junk))
    return trade


class TestCallbacks:
    """Whatever a feed sends."""

    pytestmark = needs_database

    @given(strange=st.lists(strange_trades(), min_size=1, max_size=5))
    def test_no_trade_stops_what_comes_after_it(self, shared: Database, strange: list[Any]) -> None:
        source = Source()
        with shared.connect() as connection:
            connection.execute("DELETE FROM entasis.market_data")
            connection.execute("DELETE FROM entasis.markets")
            connection.execute("DELETE FROM entasis.quarantine")
            with TickWriter(shared.dsn, source="c", id_space=source, batch_rows=2) as writer:
                write = source.trades(writer)

                async def run() -> None:
                    for receipt, trade in enumerate([*strange, documented("OKX")]):
                        await write(trade, float(receipt))

                asyncio.run(run())
            metrics = writer.metrics()
            assert metrics.written + metrics.already_there + metrics.quarantined == (
                len(strange) + 1
            )
            found = connection.execute(
                "SELECT count(*) FROM entasis.market_data WHERE symbol = 'BTC-USD-191227'"
                " AND id = 9"
            ).fetchone()
            assert found == (1,)

    @given(
        changes=st.dictionaries(
            st.sampled_from(["instrument_name", "timestamp", "mark_iv", "greeks"]), junk
        )
    )
    def test_no_ticker_stops_what_comes_after_it(
        self, shared: Database, changes: dict[str, Any]
    ) -> None:
        source = Source()
        with TickWriter(shared.dsn, source="c", id_space=source) as writer:
            write = source.quotes(writer)

            async def run() -> None:
                await write(ticker(**changes), 0.0)
                await write(SimpleNamespace(exchange="DERIBIT", raw=changes), 0.0)
                await write(SimpleNamespace(exchange="DERIBIT"), 0.0)
                await write(ticker(), 0.0)

            asyncio.run(run())
        metrics = writer.metrics()
        assert metrics.written + metrics.already_there >= 1
        assert metrics.quarantined >= 2

    def test_a_message_without_iv_among_good_ones(self, database: Database) -> None:
        source = Source()
        with TickWriter(database.dsn, source="c", id_space=source) as writer:
            write = source.quotes(writer)

            async def run() -> None:
                await write(ticker(), 0.0)
                await write(ticker(mark_iv=None, timestamp=1626993723633), 0.0)
                await write(ticker(timestamp=1626993723634), 0.0)

            asyncio.run(run())
        metrics = writer.metrics()
        assert (metrics.written, metrics.quarantined) == (3, 0)
        with database.connect() as connection:
            stored = connection.execute("SELECT iv FROM entasis.option_data ORDER BY timestamp")
            assert [iv for (iv,) in stored] == [D("1.2074"), None, D("1.2074")]

    def test_two_callbacks_of_one_source_count_for_themselves(self, database: Database) -> None:
        source = Source()
        raw = {"symbol": "BTCUSD", "trades": [[1_700_000_000 * 10**9, "Buy", 25, 3]] * 2}
        trade = fed("PHEMEX", raw, "BTC-USD-PERP", timestamp=1.7e9, amount=D(3))
        with (
            TickWriter(database.dsn, source="c", id_space=source) as one,
            TickWriter(database.dsn, source="c", id_space=source) as other,
        ):
            callbacks = [source.trades(one), source.trades(other)]

            async def run() -> None:
                for _ in raw["trades"]:
                    for write in callbacks:  # cryptofeed calls all of them for each trade
                        await write(trade, 1.0)

            asyncio.run(run())
        metrics = [one.metrics(), other.metrics()]
        assert [m.quarantined for m in metrics] == [0, 0]
        assert sum(m.written for m in metrics) == sum(m.already_there for m in metrics) == 2

    def test_what_cannot_be_read_is_in_quarantine_with_its_message(
        self, database: Database, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.WARNING, "entasis_db.live")
        source = Source()
        unread = documented("KRAKEN")
        unread.raw["qty"] = 0.1
        long = fed("GEMINI", ["\0" * 20_000])
        with TickWriter(database.dsn, source="feeds", id_space=source) as writer:
            write = source.trades(writer)

            async def run() -> None:
                for receipt in range(3):
                    await write(unread, float(receipt))
                await write(long, 3.0)

            asyncio.run(run())
        assert writer.metrics().quarantined == 4
        with database.connect() as connection:
            rows = connection.execute(
                "SELECT relation, source, line, code, reason, payload FROM entasis.quarantine"
                " ORDER BY line"
            ).fetchall()
        assert [row[:4] for row in rows] == [
            *(("market_data", "feeds", line, "number") for line in (1, 2, 3)),
            ("market_data", "feeds", 4, "exchange"),
        ]
        assert "binary float" in rows[0][4]
        assert rows[0][5]["raw"] == {**unread.raw, "price": "64668.9", "qty": "0.1"}
        assert rows[3][5]["characters"] > 40_000
        assert len(rows[3][5]["beginning"]) == 10_000
        # one warning for each exchange and kind of fault, and one of the writer's
        said = [record.getMessage() for record in caplog.records]
        assert sum("all like it go to quarantine" in each for each in said) == 2
        assert sum(each.startswith("feeds: rows went to entasis.quarantine") for each in said) == 1
        assert len(said) <= 4  # what comes later is counted

    def test_nothing_in_a_message_raises_or_ends_the_writer(self, database: Database) -> None:
        class Hostile:
            def __str__(self) -> str:
                raise RuntimeError

            __repr__ = __hash__ = __str__  # type: ignore[assignment]

            def __getattr__(self, name: str) -> Any:
                raise RuntimeError

        deep: Any = []
        for _ in range(5_000):
            deep = [deep]
        source = Source()
        hostile = [
            Hostile(),
            fed(Hostile(), {}),  # type: ignore[arg-type]
            fed("OKX", Hostile()),
            fed("OKX", {"instId": Hostile(), "a": Hostile()}),
            fed("OKX", deep, symbol=Hostile()),  # type: ignore[arg-type]
            fed("OKX", {1: 1, "x": {"y": float("nan"), "z": b"\xff\0"}}),
            None,
        ]
        ticker = {"instrument_name": "BTC-27JUN25-100000-C", "timestamp": 1748736000123}
        with TickWriter(database.dsn, source="feeds", id_space=source) as writer:
            trades, quotes = source.trades(writer), source.quotes(writer)

            async def run() -> None:
                for message in hostile:
                    await trades(message, Hostile())
                    await quotes(message, 0.0)
                for number in (None, "x", Hostile(), float("nan"), True, "9" * 5000):
                    data = {**ticker, "mark_iv": number, "greeks": {"delta": number}}
                    await quotes(fed("DERIBIT", {"params": {"data": data}}), 0.0)
                await trades(documented("OKX"), 0.0)

            asyncio.run(run())
        metrics = writer.metrics()
        assert metrics.written >= 2  # the trade, and the quote without a volatility
        assert metrics.quarantined >= len(hostile)
        assert metrics.queued == 0

    def test_a_market_that_the_writers_own_id_space_does_not_name(self, database: Database) -> None:
        source = Source()
        with TickWriter(database.dsn, source="c", id_space={}) as writer:
            asyncio.run(source.trades(writer)(documented("OKX"), 0.0))
        assert writer.metrics().quarantined == 1

    def test_a_writer_that_has_ended_is_told_of(self, database: Database) -> None:
        source = Source()
        writer = TickWriter(database.dsn, source="c", id_space=source)
        with writer:
            pass
        for trade in (documented("OKX"), fed("OKX", None)):
            with pytest.raises(WriterError):
                asyncio.run(source.trades(writer)(trade, 0.0))
