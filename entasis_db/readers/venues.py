"""How exchanges and vendors lay out their files of trades.

One entry a layout: its header, where what stands in it, and what is particular to it. They are
those of Bybit's and OKX's public archives, of Coinbase's interface, of Kraken's published history,
of the datasets of Tardis, Kaiko (docs.kaiko.com, "All trades"), Databento (databento.com/docs,
"Trades") and Polygon (polygon.io, flat files of crypto), and of what json_lines makes of JSON.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from entasis_db.errors import LoadError
from entasis_db.readers.columns import Columns, FileUnit, Translate, translation
from entasis_db.readers.json_lines import (
    BITFINEX_TRADES,
    BITSTAMP_TRADES,
    CCXT_TRADES,
    DERIBIT_TRADES,
)
from entasis_db.readers.names import UPPER_CASE, stored_symbol
from entasis_db.readers.rows import Layout, RowError, decimal_of

_ENDING = r"(?i:(?:\.(?:csv|txt|gz|zip))*)"
_DAY = r"\d{4}-\d\d(?:-\d\d)?"


@dataclass(frozen=True, kw_only=True)
class Venue(Layout):
    """A layout whose columns are another's than ours."""

    columns: Columns
    unit: FileUnit | None = None
    """Of its times; None: they are text."""
    exchange: str | None = None
    """Whose files they are."""
    of_name: re.Pattern[str] | None = None
    """Finds the symbol in the name of the file."""
    market_of: Callable[[str, str], tuple[str, str]] | None = None
    """Gives exchange and symbol as they are stored, of the names in a row."""
    suffix: str = ""
    """Behind the symbol, as it is stored."""
    numbered: str = "trade"
    """The id space of integers."""
    unified: bool = False
    """Whether its symbols are a library's, which may be given as the exchange's own."""
    means: Mapping[str, Callable[[str], str]] = field(default_factory=dict)
    """Of what a column is, how its text is understood; RowError for what has no meaning."""
    only: Mapping[str, str | None] = field(default_factory=dict)
    """Columns in which each row has to have this, or (None) what the file's first row has."""
    headless: bool = False
    """Whether its files begin with a row."""

    def begins(self, fields: Sequence[str]) -> bool | None:
        """Tell whether a file's first line is a header (True) or a row (False) of this layout."""
        if not self.headless:
            return super().begins([plain_name(name) for name in fields])
        if len(fields) == self.headers[0].count(",") + 1 and all(map(_is_number, fields)):
            return False
        return None


def plain_name(name: str) -> str:
    """Return a column's name without quotes, and without what OKX adds in Chinese (as GBK)."""
    return name.strip().strip('"').split("/")[0]


def _is_number(text: str) -> bool:
    try:
        return decimal_of(text).is_finite()
    except RowError:
        return False


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
    ),
    Venue(
        "kaiko",
        ("id,exchange,symbol,date,price,amount,sell",),
        (3, 4, 5),
        # "sell" says whether the taker sold; exchange and symbol are Kaiko's own codes
        columns=Columns("date", "price", "amount", id="id", buyer_maker="sell"),
        unit="ms",
        only={"exchange": None, "symbol": None},
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
    ),
    Venue(
        "bitstamp-json",
        (BITSTAMP_TRADES,),
        (1, 2, 3),
        columns=Columns("date", "price", "amount", id="tid", side="type"),
        unit="s",
        exchange="bitstamp",
        means={"side": _words(**{"0": "buy", "1": "sell"})},
    ),
    Venue(
        "bitfinex-json",
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


def layouts_of(
    known: Sequence[Layout],
    exchange: str | None,
    layout: str | None,
    columns: str | None,
    unit: FileUnit | None,
) -> Sequence[Layout]:
    """Return the layouts that a file may have; LoadError if it is told in two ways what it is.

    Rows without a header are taken for an exchange's only where that is named.
    """
    if columns is None:
        return [
            one
            for one in known
            if not (isinstance(one, Venue) and one.headless)
            or exchange == one.exchange
            or layout == one.name
        ]
    if layout is not None:
        raise LoadError("give the layout or the columns of a file, not both")
    return [Given("columns", (columns,), (), columns=Columns.parse(columns), unit=unit)]


class Given(Venue):
    """A file of which somebody has said what its columns are."""

    def begins(self, fields: Sequence[str]) -> bool | None:
        """Tell whether the first line is a header: it is, but of columns given by position."""
        if not self.columns.by_position:
            return True
        price = int(self.columns.price) - 1
        return not (price < len(fields) and _is_number(fields[price].strip('"')))


def placed(venue: Venue, source: str, header: Sequence[str]) -> tuple[Venue, dict[str, int]]:
    """Find a layout's columns in a header; return it with the places of its numbers, and all.

    LoadError if one is not there.
    """
    places = venue.columns.places(source, [plain_name(name) for name in header])
    numbers = venue.numbers or (places["price"], places["volume"])
    return replace(venue, numbers=numbers), places


def translate_of(
    venue: Venue,
    places: Mapping[str, int],
    names: tuple[str, str],
    exchange: str | None,
    symbol: str | None,
) -> Translate:
    """Make the function that translates a file's lines.

    ``places`` are those of its columns, ``names`` those of the file and of what is in it,
    ``exchange`` and ``symbol`` what was given of its market. LoadError if that is known from the
    file, or not known at all.
    """
    source = names[0]
    for name, value in (("exchange", exchange), ("symbol", symbol)):
        overrules = venue.unified and name == "symbol"
        if name in places and value is not None and not overrules:
            raise LoadError(
                f"{source}: a column of the file names each trade's {name}; leave out --{name}"
            )
    if exchange is not None and venue.exchange not in {None, exchange}:
        raise LoadError(
            f"{source}: this is the layout of {venue.exchange}'s files, not of {exchange}; leave "
            "out --exchange, or say with --columns what its columns are"
        )
    exchange = exchange or venue.exchange
    if exchange is None and "exchange" not in places:
        raise LoadError(f"{source}: nothing names its exchange; pass --exchange")
    if symbol is None and "symbol" not in places:
        symbol = symbol_by_name(venue.of_name, venue.name, names) + venue.suffix
    upper = exchange in UPPER_CASE
    if symbol is not None and upper:
        symbol = symbol.upper()
    symbol_of = str.upper if upper else str
    translate = _understood(
        venue, places, translation(places, venue.unit, exchange or str, symbol or symbol_of)
    )
    market_of = venue.market_of
    if market_of is None:
        return translate

    def renamed(fields: list[str]) -> list[str]:
        row = translate(fields)
        row[0], row[1] = market_of(row[0], row[1])
        return row

    return renamed


def _understood(venue: Venue, places: Mapping[str, int], translate: Translate) -> Translate:
    """Let a layout's own words be understood before its lines are translated."""
    if not venue.means and not venue.only:
        return translate
    means = [(places[name], read) for name, read in venue.means.items()]
    header = venue.headers[0].split(",")
    only = {header.index(name): word for name, word in venue.only.items()}

    def understood(fields: list[str]) -> list[str]:
        for place, word in only.items():
            if word is None:
                only[place] = fields[place]
            elif fields[place] != word:
                raise RowError(
                    "event", f"its {header[place]} is {fields[place]!r}, and {word!r} is read here"
                )
        fields = list(fields)
        for place, read in means:
            fields[place] = read(fields[place])
        return translate(fields)

    return understood


def symbol_by_name(
    of_name: re.Pattern[str] | None, layout: str, names: tuple[str, str], example: str = ""
) -> str:
    """Take a symbol from the names of a file, and of the file in it.

    LoadError if they have none, or two. ``example`` is said of a name that would have one.
    """
    source, inside = names
    matches = [of_name.fullmatch(name) for name in names] if of_name is not None else []
    # some program has written the name in lower case: it is the same market
    symbols = [match[1].upper() for match in matches if match is not None]
    if not symbols:
        raise LoadError(
            f"{source}: the layout {layout} does not name its symbol, nor does the file's name"
            f"{example}; pass --symbol"
        )
    if len(set(symbols)) > 1:
        raise LoadError(
            f"{source}: by its name it is of {symbols[0]}, and the file in it, {inside}, "
            f"is of {symbols[1]}; pass --symbol if you know which it is"
        )
    return symbols[0]
