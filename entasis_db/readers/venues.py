"""How exchanges and vendors lay out their files of trades.

One entry a layout: its header, where what stands in it, and what is particular to it. They are
those of Bybit's and OKX's public archives, of Coinbase's interface, of Kraken's published history,
of the datasets of Tardis (docs.tardis.dev), Kaiko (docs.kaiko.com, "All trades", and what its
interface names), Databento (databento.com/docs, "Trades") and Polygon (polygon.io, flat files of
crypto), of Bitstamp's transactions (bitstamp.net/api) and Bitfinex' trades (docs.bitfinex.com) as
CSV or JSON, and of what json_lines makes of other JSON.
"""

import re
from collections.abc import Callable, Mapping

from entasis_db.readers.columns import Columns, Venue
from entasis_db.readers.json_lines import (
    BITFINEX_TRADES,
    BITSTAMP_TRADES,
    CCXT_TRADES,
    DERIBIT_TRADES,
)
from entasis_db.readers.names import stored_symbol
from entasis_db.readers.rows import RowError

_ENDING = r"(?i:(?:\.(?:csv|txt|gz|zip))*)"
_DAY = r"\d{4}-\d\d(?:-\d\d)?"


_TARDIS: Mapping[str, str] = {
    "binance": "binance-spot",
    "binance-futures": "binance-usdm",
    "binance-delivery": "binance-cm",
    "okex": "okx",
    "okex-swap": "okx",
    "okex-futures": "okx",
    "okex-options": "okx",
}
"""Names of exchanges that Tardis writes, where ours are others."""


def _tardis_market(exchange: str, symbol: str) -> tuple[str, str]:
    if exchange == "bybit-spot":
        return "bybit", f"{symbol.upper()}-SPOT"
    exchange = _TARDIS.get(exchange, exchange)
    return exchange, stored_symbol(exchange, symbol)


_BYBIT = (
    "timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,"
    "foreignNotional"
)
_BYBIT_SPOT = "id,timestamp,price,volume,side"
_OKX = "instrument_name,trade_id,side,price,size,created_time"
_OKX_OLD = "trade_id,side,size,price,created_time"
_DATABENTO = (
    "ts_recv,ts_event,rtype,publisher_id,instrument_id,action,side,depth,price,size,flags,"
    "ts_in_delta,sequence"
)
_NO_PRICE = str(2**63 - 1)


def _nanos(price: str) -> str:
    """Read a price of Databento's: an integer counts 1e-9, what has decimals is meant as it is."""
    if "." in price:
        return price
    if price == _NO_PRICE or not price.removeprefix("-").isdecimal():
        raise RowError("number", f"{price!r} is no price")
    return f"{price}e-9"


def _words(**meaning: str) -> Callable[[str], str]:
    """Make a function that reads some words, and raises RowError for all others."""

    def read(word: str) -> str:
        found = meaning.get(word)
        if found is None:
            raise RowError("event", f"{word!r} is none of {', '.join(map(repr, meaning))}")
        return found

    return read


VENUES: tuple[Venue, ...] = (
    Venue(
        "bybit",
        (_BYBIT, f"{_BYBIT},RPI"),
        (0, 3, 4),
        columns=Columns(
            "timestamp", "price", "size", id="trdMatchID", side="side", symbol="symbol"
        ),
        unit="s",
        exchange="bybit",
    ),
    Venue(
        "bybit-spot",
        (_BYBIT_SPOT, f"{_BYBIT_SPOT},rpi"),
        (0, 1, 2, 3),
        # the "id" counts the rows of the file
        columns=Columns("timestamp", "price", "volume", row="id", side="side"),
        unit="ms",
        exchange="bybit",
        of_name=re.compile(rf"(?i:([A-Z0-9]+)[_-]{_DAY}(?:_spot)?){_ENDING}"),
        suffix="-SPOT",
    ),
    Venue(
        "okx",
        (_OKX,),
        (1, 3, 4, 5),
        columns=Columns(
            "created_time", "price", "size", id="trade_id", side="side", symbol="instrument_name"
        ),
        unit="ms",
        exchange="okx",
        may_have_more=True,
    ),
    Venue(
        "okx-old",
        (_OKX_OLD,),
        (0, 2, 3, 4),
        columns=Columns("created_time", "price", "size", id="trade_id", side="side"),
        unit="ms",
        exchange="okx",
        of_name=re.compile(rf"(?i:([A-Z0-9-]+?)-(?:trades|aggtrades)-{_DAY}){_ENDING}"),
    ),
    Venue(
        "coinbase",
        ("trade_id,price,size,side,time", "time,trade_id,price,size,side"),
        (1, 2),
        # its interface says which side's order stood in the book
        columns=Columns("time", "price", "size", id="trade_id", maker_side="side"),
        exchange="coinbase",
    ),
    Venue(
        "tardis",
        ("exchange,symbol,timestamp,local_timestamp,id,side,price,amount",),
        (2, 3, 6, 7),
        columns=Columns(
            *("timestamp", "price", "amount"),
            **{name: name for name in ("id", "side", "exchange", "symbol")},
        ),
        unit="us",
        market_of=_tardis_market,
        may_have_more=True,
    ),
    Venue(
        "kaiko",
        ("id,exchange,symbol,date,price,amount,sell",),
        (3, 4, 5),
        # "sell" says whether the taker sold; exchange and symbol are Kaiko's own codes
        columns=Columns("date", "price", "amount", id="id", buyer_maker="sell"),
        unit="ms",
        only={"exchange": None, "symbol": None},
        may_have_more=True,
    ),
    Venue(
        "kaiko-rest",
        ("timestamp,trade_id,price,amount,taker_side_sell",),
        (0, 2, 3),
        columns=Columns(
            "timestamp", "price", "amount", id="trade_id", buyer_maker="taker_side_sell"
        ),
        unit="ms",
    ),
    Venue(
        "databento",
        (f"{_DATABENTO},symbol", f"{_DATABENTO}"),
        (8, 9),
        # a message of the venue may tell several trades: its sequence numbers none of them
        columns=Columns("ts_event", "price", "size", side="side", symbol="symbol"),
        unit="ns",
        means={"price": _nanos, "side": _words(A="sell", B="buy", N="")},
        only={"action": "T"},
        may_have_more=True,
    ),
    Venue(
        "polygon",
        ("ticker,conditions,exchange,id,participant_timestamp,price,size",),
        (4, 5, 6),
        columns=Columns(
            *("participant_timestamp", "price", "size"),
            id="id",
            side="conditions",
            exchange="exchange",
            symbol="ticker",
        ),
        unit="ns",
        means={
            "side": _words(
                **{"": "", "0": "", "1": "sell", "2": "buy", "[1]": "sell", "[2]": "buy"}
            ),
            "symbol": lambda ticker: ticker.removeprefix("X:"),
            "exchange": _words(
                **{"1": "coinbase", "2": "bitfinex", "6": "bitstamp", "23": "kraken"}
            ),
        },
        may_have_more=True,
    ),
    Venue(
        "bitstamp",
        (BITSTAMP_TRADES,),
        (1, 2, 3),
        columns=Columns("date", "price", "amount", id="tid", side="type"),
        unit="s",
        exchange="bitstamp",
        means={"side": _words(**{"0": "buy", "1": "sell"})},
    ),
    Venue(
        "bitfinex",
        (BITFINEX_TRADES,),
        (0, 1, 2, 3),
        # below zero it is sold
        columns=Columns("MTS", "PRICE", "AMOUNT", id="ID"),
        unit="ms",
        exchange="bitfinex",
    ),
    Venue(
        "deribit-json",
        (DERIBIT_TRADES,),
        (2, 3, 4),
        columns=Columns(
            *("timestamp", "price", "amount"),
            id="trade_seq",
            side="direction",
            symbol="instrument_name",
            excluded="excluded",
        ),
        unit="ms",
        exchange="deribit",
        numbered="trade_seq",
    ),
    Venue(
        "ccxt-json",
        (CCXT_TRADES,),
        (1, 4, 5),
        columns=Columns("timestamp", "price", "amount", id="id", side="side", symbol="symbol"),
        unit="ms",
        unified=True,
    ),
    Venue(
        "kraken",
        ("timestamp,price,volume",),
        (0, 1, 2),
        columns=Columns("1", "2", "3"),
        unit="s",
        exchange="kraken",
        of_name=re.compile(rf"(?i:([A-Z0-9]+)){_ENDING}"),
        headless=True,
    ),
)
