"""How the trades of each exchange are read from its own message.

cryptofeed's trade has its time as a float, a part of the id at most, and, in some releases, the
side of the maker. So everything is taken from the exchange's message, which cryptofeed hands on as
``raw``, parsed with decimals. Forms that both cryptofeed 2 and 3 hand on are read; where they
differ, the reader says so.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

from entasis_db.live.cryptofeed.numbers import (
    integer,
    iso,
    microseconds,
    milliseconds,
    nanoseconds,
    number,
    scaled,
    seconds,
    text,
)
from entasis_db.model import Side, TimeUnit
from entasis_db.readers.rows import RowError


class FedTrade(Protocol):
    """The part of cryptofeed's Trade that is looked at."""

    exchange: str
    symbol: str
    price: Decimal
    amount: Decimal
    timestamp: float
    id: str | None
    side: str | None
    raw: Any


@dataclass(frozen=True, slots=True)
class Reading:
    """What the exchange's own message says of a trade."""

    symbol: str
    """In the exchange's spelling."""
    timestamp: datetime
    """Digits below the microsecond are cut off."""
    id: int | str | tuple[object, ...]
    """The exchange's number, or its text; or, where it has neither, what tells its trades apart. Of
    text, and of such, the id is a digest."""
    price: Decimal
    volume: Decimal
    """In the unit in which the exchange states it: base units, or contracts."""
    side: Side | None
    """Which side took, ``buy`` or ``sell``; None where the message does not say."""
    excluded: str | None = None
    """Why no candle counts it, where the message says of what kind it is; as in Trade."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """How an exchange of cryptofeed's is stored."""

    name: str
    """In entasis.market_data."""
    id_space: str
    """In entasis.markets: how its integer ids number trades. Digests have the space ``digest``."""
    read: Callable[[FedTrade, int], Reading]
    """Reads one of cryptofeed's trades, which is the one at a position (from 0) of its message.
    Whatever it raises means that the message cannot be read."""
    time_unit: TimeUnit = "us"
    """In which it states times; what is finer than a microsecond is cut."""


_UNTOLD = (None, "", "UNKNOWN_ORDER_SIDE")
"""A side that is missing; the last is Coinbase's word."""


def _side(value: object, buy: object, sell: object) -> Side | None:
    if value in _UNTOLD:
        return None  # a trade is worth having without it
    if value == buy:
        return "buy"
    if value == sell:
        return "sell"
    raise RowError("side", f"the side {value!r} is neither {buy!r} nor {sell!r}")


def _exchanges_symbol(trade: FedTrade) -> str:
    """Give the exchange's own name of what its message does not name."""
    from cryptofeed.symbols import Symbols

    names, _ = Symbols.get(trade.exchange)
    return text(names[trade.symbol])


def _binance(trade: FedTrade, position: int) -> Reading:  # noqa: ARG001
    raw = trade.raw
    if raw["e"] != "aggTrade":
        raise RowError("event", f"{raw['e']!r} is no aggregated trade")
    return Reading(
        text(raw["s"]),
        milliseconds(raw["T"]),
        integer(raw["a"]),
        number(raw["p"]),
        number(raw["q"]),
        # whether the buyer was the maker
        _side(raw.get("m"), buy=False, sell=True),
    )


def _bitfinex(trade: FedTrade, position: int) -> Reading:  # noqa: ARG001
    """Its message has no names, and cryptofeed hands on what it has read of it, unchanged."""
    thousandths = round(trade.timestamp * 1000)
    if trade.timestamp != thousandths / 1000:
        raise RowError("timestamp", f"{trade.timestamp!r} is no number of whole milliseconds")
    return Reading(
        _exchanges_symbol(trade),
        milliseconds(thousandths),
        integer(trade.id),
        number(trade.price),
        number(trade.amount),
        _side(trade.side, buy="buy", sell="sell"),
    )


def _bitstamp(trade: FedTrade, position: int) -> Reading:  # noqa: ARG001
    channel, raw = text(trade.raw["channel"]), trade.raw["data"]
    # beside the text, it states some prices and amounts as floats
    return Reading(
        channel.removeprefix("live_trades_"),
        microseconds(raw["microtimestamp"]),
        integer(raw["id"]),
        number(raw["price_str"]),
        number(raw["amount_str"]),
        _side(raw.get("type"), buy=0, sell=1),
    )


def _bybit(trade: FedTrade, position: int) -> Reading:  # noqa: ARG001
    raw = trade.raw
    # spot and perpetual contracts of one pair have one name; cryptofeed tells them apart
    symbol = text(raw["s"]) + ("-SPOT" if trade.symbol.count("-") == 1 else "")
    # a number for spot, a UUID for contracts
    known_by = text(raw["i"])
    return Reading(
        symbol,
        milliseconds(raw["T"]),
        int(known_by) if known_by.isascii() and known_by.isdecimal() else known_by,
        number(raw["p"]),
        number(raw["v"]),
        _side(raw.get("S"), buy="Buy", sell="Sell"),
    )


def _coinbase(trade: FedTrade, position: int) -> Reading:  # noqa: ARG001
    raw = trade.raw
    return Reading(
        text(raw["product_id"]),
        iso(raw["time"]),
        integer(raw["trade_id"]),
        number(raw["price"]),
        number(raw["size"]),
        # the message says which side made; cryptofeed 2 hands that on, cryptofeed 3 turns it round
        _side(raw.get("side"), buy="SELL", sell="BUY"),
    )


def _deribit(trade: FedTrade, position: int) -> Reading:  # noqa: ARG001
    raw = trade.raw
    return Reading(
        text(raw["instrument_name"]),
        milliseconds(raw["timestamp"]),
        integer(raw["trade_seq"]),
        number(raw["price"]),
        number(raw["amount"]),
        _side(raw.get("direction"), buy="buy", sell="sell"),
        # agreed outside of the order book
        "block" if raw.get("block_trade_id") else None,
    )


def _kraken(trade: FedTrade, position: int) -> Reading:  # noqa: ARG001
    raw = trade.raw
    if isinstance(raw, dict):  # version 2 of its protocol, in cryptofeed 3
        return Reading(
            text(raw["symbol"]),
            iso(raw["timestamp"]),
            integer(raw["trade_id"]),
            number(raw["price"]),
            number(raw["qty"]),
            _side(raw.get("side"), buy="buy", sell="sell"),
        )
    price, volume, moment, side, *_ = raw
    return Reading(
        _exchanges_symbol(trade),  # version 1, in cryptofeed 2, names none
        seconds(moment),
        tuple(raw),
        number(price),
        number(volume),
        _side(side, buy="b", sell="s"),
    )


def _okx(trade: FedTrade, position: int) -> Reading:  # noqa: ARG001
    raw = trade.raw
    return Reading(
        text(raw["instId"]),
        milliseconds(raw["ts"]),
        integer(raw["tradeId"]),
        number(raw["px"]),
        number(raw["sz"]),
        _side(raw.get("side"), buy="buy", sell="sell"),
    )


def _phemex(trade: FedTrade, position: int) -> Reading:
    """Each of up to a thousand trades comes with the whole message."""
    raw = trade.raw
    symbol = text(raw["symbol"])
    if "trades_p" in raw:  # contracts settled in USDT and USDC, in cryptofeed 3: decimals as text
        entry = raw["trades_p"][position]
        price, volume = number(entry[2]), number(entry[3])
    else:
        entry = raw["trades"][position]
        # scaled by a power of ten that only cryptofeed knows
        price = number(trade.price)
        # of spot, whose names begin with s, in hundred-millionths; else in contracts
        volume = scaled(entry[3], -8) if symbol.startswith("s") else number(entry[3])
    if trade.timestamp != entry[0] / 1e9 or trade.amount != number(entry[3]):
        raise RowError("message", f"trade {position} of the message is not the one handed over")
    return Reading(
        symbol,
        nanoseconds(entry[0]),
        tuple(entry),
        price,
        volume,
        _side(entry[1], buy="Buy", sell="Sell"),
    )


EXCHANGES: Mapping[str, Exchange] = {
    "BINANCE": Exchange("binance-spot", "aggtrade", _binance, "ms"),
    "BINANCE_FUTURES": Exchange("binance-usdm", "aggtrade", _binance, "ms"),
    "BINANCE_DELIVERY": Exchange("binance-cm", "aggtrade", _binance, "ms"),
    "BITFINEX": Exchange("bitfinex", "trade", _bitfinex, "ms"),
    "BITSTAMP": Exchange("bitstamp", "trade", _bitstamp),
    "BYBIT": Exchange("bybit", "trade", _bybit, "ms"),
    "COINBASE": Exchange("coinbase", "trade", _coinbase),
    "DERIBIT": Exchange("deribit", "trade_seq", _deribit, "ms"),
    "KRAKEN": Exchange("kraken", "trade", _kraken),
    "OKX": Exchange("okx", "trade", _okx, "ms"),
    "PHEMEX": Exchange("phemex", "digest", _phemex),
}
"""By cryptofeed's id of the exchange."""
