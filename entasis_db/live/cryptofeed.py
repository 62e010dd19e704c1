"""From cryptofeed's callbacks into Entasis DB, exactly and with ids that make repeats harmless.

    from cryptofeed import FeedHandler
    from cryptofeed.defines import TRADES
    from cryptofeed.exchanges import Binance

    from entasis_db.live import SyncTickWriter
    from entasis_db.live.cryptofeed import Source

    source = Source()
    with SyncTickWriter(dsn, source="cryptofeed", id_space=source) as writer:
        handler = FeedHandler()
        callbacks = {TRADES: source.trades(writer)}
        handler.add_feed(Binance(symbols=["BTC-USDT"], channels=[TRADES], callbacks=callbacks))
        handler.run()

cryptofeed's own trades tell the time as a float and no more than that of their id. Both are taken
from the exchange's message, which cryptofeed hands on as ``raw``: so each exchange needs a reader
of its own here, and one without is refused.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from hashlib import sha256
from typing import Any, Protocol

from entasis_db.errors import EntasisError
from entasis_db.live.writer import SyncTickWriter, TickWriter
from entasis_db.model import OptionQuote, Trade
from entasis_db.readers.options import deribit_contract
from entasis_db.readers.rows import RowError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MANY_DIGITS = Context(prec=100)

Writer = TickWriter | SyncTickWriter
Callback = Callable[[Any, Any], Awaitable[None]]
"""What cryptofeed calls: with its object, and the time of receipt."""


class CryptofeedError(EntasisError):
    """What cryptofeed handed on cannot be understood exactly."""


class _Fed(Protocol):
    """The part of cryptofeed's Trade that is looked at."""

    exchange: str
    symbol: str
    price: Decimal
    amount: Decimal
    side: str
    timestamp: float
    id: str | None
    raw: Any


@dataclass(frozen=True, slots=True)
class Read:
    """What the exchange's own message says of a trade."""

    symbol: str
    """In the exchange's spelling."""
    timestamp: datetime
    """Digits below the microsecond are cut off."""
    id: int | tuple[object, ...]
    """The exchange's number; or, where it has none, what tells its trades apart, of which the id is
    a digest."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """How an exchange of cryptofeed's is stored."""

    name: str
    """In entasis.market_data."""
    id_space: str
    """In entasis.markets: how its trades are numbered."""
    read: Callable[[Any], Read]
    """Reads one of cryptofeed's trades. Raises KeyError, ValueError or TypeError when the message
    is not of the form that it knows."""


def _micro(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)


def _binance(trade: _Fed) -> Read:
    raw = trade.raw
    if raw["e"] != "aggTrade":
        raise ValueError(f"{raw['e']!r} is no aggregated trade")
    return Read(raw["s"], _micro(raw["T"] * 1000), int(raw["a"]))


def _coinbase(trade: _Fed) -> Read:
    raw = trade.raw
    # up to nine decimals, of which Python reads six
    return Read(raw["product_id"], datetime.fromisoformat(raw["time"]), int(raw["trade_id"]))


def _deribit(trade: _Fed) -> Read:
    raw = trade.raw
    return Read(raw["instrument_name"], _micro(raw["timestamp"] * 1000), raw["trade_seq"])


def _okx(trade: _Fed) -> Read:
    raw = trade.raw
    return Read(raw["instId"], _micro(int(raw["ts"]) * 1000), int(raw["tradeId"]))


def _bybit(trade: _Fed) -> Read:
    raw = trade.raw
    # spot and perpetual contracts of one pair have one name; cryptofeed tells them apart
    symbol = raw["s"] + ("-SPOT" if trade.symbol.count("-") == 1 else "")
    return Read(symbol, _micro(int(raw["T"]) * 1000), (raw["i"],))


def _kraken(trade: _Fed) -> Read:
    from cryptofeed.symbols import Symbols

    names, _ = Symbols.get(trade.exchange)
    moment = int(_MANY_DIGITS.multiply(Decimal(trade.raw[2]), 1_000_000))
    return Read(names[trade.symbol], _micro(moment), tuple(trade.raw))


class _Phemex:
    """Finds a trade in its message: each of a thousand comes with the whole of it."""

    def __init__(self) -> None:
        self._last: tuple[object, dict[tuple[object, ...], list[Any]]] = (None, {})

    def __call__(self, trade: _Fed) -> Read:
        raw, found = self._last
        if raw is not trade.raw:
            raw = trade.raw
            found = {(t[0] / 1e9, t[1].lower(), Decimal(t[3])): t for t in trade.raw["trades"]}
            self._last = raw, found
        what = found[trade.timestamp, trade.side, trade.amount]
        return Read(trade.raw["symbol"], _micro(what[0] // 1000), tuple(what))


EXCHANGES: Mapping[str, Exchange] = {
    "BINANCE": Exchange("binance-spot", "aggtrade", _binance),
    "BINANCE_FUTURES": Exchange("binance-usdm", "aggtrade", _binance),
    "BINANCE_DELIVERY": Exchange("binance-cm", "aggtrade", _binance),
    "BYBIT": Exchange("bybit", "digest", _bybit),
    "COINBASE": Exchange("coinbase", "trade", _coinbase),
    "DERIBIT": Exchange("deribit", "trade_seq", _deribit),
    "KRAKEN": Exchange("kraken", "digest", _kraken),
    "OKX": Exchange("okx", "trade", _okx),
    "PHEMEX": Exchange("phemex", "digest", _Phemex()),
}
"""By cryptofeed's id of the exchange."""


class Source(Mapping[tuple[str, str], str]):
    """Makes callbacks for cryptofeed, and says how the trades that they write are numbered.

    Give it to the writer as its ``id_space``. One serves any number of feeds of one event loop.

    Ids are the exchange's own where it has integers (Binance's are those of aggregated trades, in
    an id space of their own; Deribit's are the trade's sequence in its instrument). Where it has
    other text or nothing, an id is the first 63 bits of a SHA-256 of that text, or of the whole
    trade and its place among its like in one message: what is sent again after a reconnection gets
    the ids that it had. Two trades of one microsecond whose digests meet are a conflict, and the
    second is quarantined, unless they also agree in price and volume.
    """

    def __init__(self, exchanges: Mapping[str, Exchange] | None = None) -> None:
        """Make a source; ``exchanges`` adds to EXCHANGES, or replaces some."""
        self._exchanges = {**EXCHANGES, **(exchanges or {})}
        self._spaces = {known.name: known.id_space for known in self._exchanges.values()}
        self._markets: set[tuple[str, str]] = set()
        self._message: object = None
        self._alike: dict[object, int] = {}
        self._quotes: dict[object, tuple[datetime, list[OptionQuote]]] = {}

    def trades(self, writer: Writer) -> Callback:
        """Return a callback for the channel TRADES that waits until the writer has accepted it.

        It raises CryptofeedError for what cannot be read exactly, and whatever ``put`` raises.
        """

        async def write(trade: Any, receipt_timestamp: Any) -> None:
            await _put(writer, self.trade(trade, receipt_timestamp))

        return write

    def quotes(self, writer: Writer) -> Callback:
        """Return a callback for the channel TICKER of Deribit: its options have greeks.

        Tickers of other instruments are passed over. It raises as ``trades`` does.
        """

        async def write(ticker: Any, receipt_timestamp: Any) -> None:  # noqa: ARG001
            quote = self.quote(ticker)
            if quote is not None:
                await _put(writer, quote)

        return write

    def trade(self, trade: Any, receipt_timestamp: Any) -> Trade:
        """Turn one of cryptofeed's trades into one of Entasis DB's.

        Price and amount are cryptofeed's decimals. Trades of one message, which have one time of
        receipt, must come in their order.
        """
        exchange = self._exchanges.get(trade.exchange)
        if exchange is None:
            raise CryptofeedError(
                f"trades of {trade.exchange} cannot be read exactly here. Give Source an Exchange "
                f"for it, or leave it out; known are {', '.join(sorted(self._exchanges))}"
            )
        try:
            read = exchange.read(trade)
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            raise CryptofeedError(
                f"a trade of {trade.exchange} has a form that is not known ({error!r}): this "
                "release of cryptofeed, or the exchange, tells it in another way"
            ) from error
        number = read.id
        if not isinstance(number, int):
            number = self._digest(trade, receipt_timestamp, number)
        self._markets.add((read.symbol, exchange.name))
        return Trade(read.symbol, exchange.name, read.timestamp, number, trade.price, trade.amount)

    def quote(self, ticker: Any) -> OptionQuote | None:
        """Turn one of cryptofeed's Deribit tickers into an option quote; None for other tickers.

        The implied volatility is that of the mark price, as a fraction. The id tells quotes of one
        contract and millisecond apart that differ; one that is sent again has the id that it had.
        """
        if ticker.exchange != "DERIBIT" or "greeks" not in ticker.raw["params"]["data"]:
            return None
        raw = ticker.raw["params"]["data"]
        try:
            contract = deribit_contract(raw["instrument_name"])
            greeks = raw["greeks"]
            quote = OptionQuote(
                *contract,
                _micro(raw["timestamp"] * 1000),
                0,
                _MANY_DIGITS.scaleb(Decimal(raw["mark_iv"]), -2),
                *(Decimal(greeks[name]) for name in ("delta", "gamma", "theta", "vega")),
            )
        except (RowError, KeyError, TypeError, ValueError, ArithmeticError) as error:
            raise CryptofeedError(
                f"a ticker of {raw.get('instrument_name')} has a form that is not known: {error!r}"
            ) from error
        moment, known = self._quotes.get(contract, (None, []))
        if moment != quote.timestamp:
            known = []
            self._quotes[contract] = quote.timestamp, known
        if quote not in known:
            known.append(quote)
        return quote._replace(id=known.index(quote))

    def __getitem__(self, market: tuple[str, str]) -> str:
        """Return the id space of a market: (symbol, exchange)."""
        return self._spaces[market[1]]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Return the markets that had a trade."""
        return iter(self._markets)

    def __len__(self) -> int:
        """Return how many markets had a trade."""
        return len(self._markets)

    def _digest(self, trade: _Fed, message: object, what: tuple[object, ...]) -> int:
        if message != self._message:
            self._message, self._alike = message, {}
        text = "\t".join(map(str, (trade.exchange, trade.symbol, *what)))
        place = self._alike.get(text, 0)
        self._alike[text] = place + 1
        return int.from_bytes(sha256(f"{place}\t{text}".encode()).digest()[:8]) >> 1


async def _put(writer: Writer, row: Trade | OptionQuote) -> None:
    if isinstance(writer, TickWriter):
        await writer.put(row)
    elif not writer.offer(row):
        await asyncio.to_thread(writer.put, row)
