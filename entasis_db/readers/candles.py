"""Files of candles that exchanges publish: Binance's archives of klines, and our own layout."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar, cast, get_args

from entasis_db.errors import LoadError
from entasis_db.model import CandleInterval, ExchangeCandle
from entasis_db.readers.binance import refuse_other_venue
from entasis_db.readers.names import stored_symbol
from entasis_db.readers.rows import (
    CandleRow,
    Layout,
    Ordinals,
    Parse,
    Reader,
    RowError,
    decimal_of,
    utc,
)

_T = TypeVar("_T")
_BINANCE = "binance-klines"
_BINANCE_NAME = re.compile(
    r"(?P<symbol>[^-]+)-(?P<interval>[0-9]+[a-zA-Z]+)-\d{4}-\d{2}(-\d{2})?(?!\d)"
)
_BINANCE_WIDTH = 12
_MICROSECONDS = 16
"""Digits of a time; only files of the spot market have these, and these have no header."""


class _Klines(Layout):
    """Binance's: files of the spot market have no header, and hold nothing but numbers."""

    def begins(self, fields: Sequence[str]) -> bool | None:
        """Tell a header (True) from a row (False) and from another layout (None)."""
        if (known := super().begins(fields)) is not None:
            return known
        numbers = [field.replace(".", "", 1) for field in fields]
        return False if len(fields) == _BINANCE_WIDTH and all(map(str.isdigit, numbers)) else None


LAYOUTS = (
    Layout(
        "entasis-candles",
        ("exchange,symbol,interval,bucket,open,high,low,close,volume,quote_volume,trades",),
        (4, 5, 6, 7, 8, 9, 10),
    ),
    _Klines(
        _BINANCE,
        (
            "open_time,open,high,low,close,volume,close_time,quote_volume,count,"
            "taker_buy_volume,taker_buy_quote_volume,ignore",
        ),
        (0, 1, 2, 3, 4, 5, 7, 8),
    ),
)


def read_candles(
    path: str | Path,
    *,
    exchange: str | None = None,
    symbol: str | None = None,
    interval: str | None = None,
    layout: str | None = None,
) -> "CandleReader":
    """Recognise a file of candles by its look, or take it as ``layout``.

    ``exchange``, ``symbol`` and ``interval`` are for files that do not name them: Binance's name
    symbol and interval in the file's name, and the venue nowhere. ``path`` may be plain, gzip or
    zip, whatever its name, or ``-`` for standard input. LoadError if the file cannot be opened or
    recognised, or what it does not name is missing.
    """
    reader = CandleReader(path, LAYOUTS, layout)
    if reader.layout == _BINANCE:
        symbol, interval = reader.named(symbol, interval)
        for name, value in (("exchange", exchange), ("symbol", symbol), ("interval", interval)):
            if not value:
                raise LoadError(f"{reader.source} does not name its {name}: give --{name}")
        if interval not in get_args(CandleInterval):
            known = ", ".join(get_args(CandleInterval))
            raise LoadError(f"{reader.source}: the interval {interval!r} is none of {known}")
        assert exchange is not None
        assert symbol is not None
        symbol = stored_symbol(exchange, symbol)
        refuse_other_venue(reader.source, exchange, symbol, spot=reader.is_of_spot)
    reader.market = (symbol or "", exchange or "", cast("CandleInterval", interval))
    return reader


class CandleReader(Reader[CandleRow]):
    """The candles of one file; see ``Reader``."""

    market: tuple[str, str, CandleInterval]
    """Symbol, exchange and interval, where the file does not state them in each row."""

    @property
    def is_of_spot(self) -> bool | None:
        """Whether klines are of Binance's spot market; None: nothing tells."""
        first = self._first_fields[0]
        if first == self._layout.headers[0].split(",")[0]:
            return False
        return True if len(first) == _MICROSECONDS else None

    def named(self, symbol: str | None, interval: str | None) -> tuple[str | None, str | None]:
        """Take what is not given from the name of a Binance archive, and of the file in it.

        LoadError where the two contradict each other.
        """
        names = self.names
        found = [match for match in map(_BINANCE_NAME.match, names) if match is not None]
        for group, given in (("symbol", symbol), ("interval", interval)):
            told = [match[group] for match in found]
            if group == "symbol":
                told = [name.upper() for name in told]
            if len(set(told)) > 1 and given is None:
                raise LoadError(
                    f"{self.source}: by its name it is of {told[0]}, and the file in it, "
                    f"{names[1]}, is of {told[1]}; pass --{group} if you know which it is"
                )
        if found:
            symbol = symbol or found[0]["symbol"].upper()
            interval = interval or found[0]["interval"].replace("1M", "1mo")
        return symbol, interval

    def _parser(self, _: Ordinals) -> Parse[CandleRow]:
        market = self.market

        def klines(line: int, fields: list[str]) -> CandleRow:
            first, high, low, last, volume = map(decimal_of, fields[1:6])
            bucket, quote_volume, trades = (
                _unix(fields[0]),
                decimal_of(fields[7]),
                _count(fields[8]),
            )
            candle = ExchangeCandle(
                *market, bucket, first, high, low, last, volume, quote_volume, trades
            )
            return CandleRow(line, candle)

        def own(line: int, fields: list[str]) -> CandleRow:
            exchange, symbol, interval, bucket = fields[:4]
            first, high, low, last, volume = map(decimal_of, fields[4:9])
            candle = ExchangeCandle(
                symbol,
                exchange,
                cast("CandleInterval", interval),
                _moment(bucket),
                first,
                high,
                low,
                last,
                volume,
                _stated(decimal_of, fields[9]),
                _stated(_count, fields[10]),
            )
            return CandleRow(line, candle)

        return klines if self.layout == _BINANCE else own


def _stated(parse: Callable[[str], _T], text: str) -> _T | None:
    return parse(text) if text else None


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise RowError("number", f"{text!r} is not a number of trades")
    return int(text)


def _unix(text: str) -> datetime:
    # milliseconds, and microseconds since 2025 on the spot market: no day has a time in both
    digits = len(text)
    if not (text.isascii() and text.isdigit()) or digits not in (13, 16):
        raise RowError("timestamp", f"{text!r} is no time in milliseconds or microseconds")
    return utc(int(text) * (1000 if digits == 13 else 1))


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise RowError("timestamp", f"{text!r} is no time such as 2025-01-01T00:00:00Z") from None
    if moment.tzinfo is None:
        raise RowError("timestamp", f"{text!r} does not state its zone; UTC is a Z at its end")
    return moment.astimezone(UTC)
