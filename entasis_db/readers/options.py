"""Files of option quotes: our own layout, Deribit's tickers in three of them, and SPY's chains."""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, tzinfo
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from entasis_db.model import OptionQuote, OptionType
from entasis_db.readers.json_lines import DERIBIT_TICKERS
from entasis_db.readers.rows import (
    Layout,
    OptionRow,
    Ordinals,
    Parse,
    Reader,
    RowError,
    decimal_of,
    utc,
)

_CONTRACT = ("underlying", "strike_price", "expiry_date", "option_type", "timestamp_ns")
"""The columns that every file of our own layout begins with."""
_IDENTITY = len(OptionQuote._fields) - len(OptionQuote._field_defaults)
_OPTIONAL = OptionQuote._fields[_IDENTITY:]


@dataclass(frozen=True)
class _OwnLayout(Layout):
    """Our own layout, with those columns that the file has."""

    def begins(self, fields: Sequence[str]) -> bool | None:
        """Tell whether the line is a header: of what can be missing, any columns in any order."""
        given = fields[len(_CONTRACT) :]
        is_header = tuple(fields[: len(_CONTRACT)]) == _CONTRACT
        return (is_header and len(set(given)) == len(given) and set(given) <= {*_OPTIONAL}) or None


LAYOUTS = (
    _OwnLayout(
        "entasis",
        (",".join((*_CONTRACT, *_OPTIONAL)),),
        (1, *range(4, len(_CONTRACT) + len(_OPTIONAL))),
    ),
    Layout(
        "deribit-tickers",
        (
            "recv,instrument_name,timestamp,mark_iv,bid_iv,ask_iv,mark_price,underlying_price,"
            "open_interest,vega,theta,rho,gamma,delta",
        ),
        tuple(range(2, 14)),
    ),
    Layout(
        "tardis-options",
        (
            "exchange,symbol,timestamp,local_timestamp,type,strike_price,expiration,open_interest,"
            "last_price,bid_price,bid_amount,bid_iv,ask_price,ask_amount,ask_iv,mark_price,mark_iv,"
            "underlying_index,underlying_price,delta,gamma,vega,theta,rho",
        ),
        (2, *range(5, 17), *range(18, 24)),
    ),
    Layout("deribit-json", (DERIBIT_TICKERS,), tuple(range(1, 15))),
    Layout(
        "options-backtester",
        (
            "underlying,underlying_last,optionroot,type,expiration,quotedate,strike,last,bid,ask,"
            "volume,openinterest,impliedvol,delta,gamma,theta,vega,optionalias",
        ),
        (1, 4, 5, 6, 8, 9, 11, 12, 13, 14, 15, 16),
    ),
)

_OF_TARDIS = (16, 11, 14, 15, 18, 7, 21, 22, 23, 20, 19, 9, 12)
"""Where its files have what Deribit's tickers have, in the order of these."""

_EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)
"""The default context would round a shifted number to 28 digits."""

_DERIBIT_OPTION = re.compile(
    r"([A-Z0-9_]+)-([0-9]{1,2})([A-Z]{3})([0-9]{2})-([0-9]+(?:D[0-9]+)?)-([CP])"
)
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DERIBIT_EXPIRY_HOUR = 8  # UTC, for every contract
_LETTERS: dict[str, OptionType] = {"C": "call", "P": "put"}
_WORDS: dict[str, OptionType] = {"call": "call", "put": "put"}
_MICROSECONDS = {10: 1_000_000, 13: 1000, 16: 1}
"""In a unit of time, by the number of digits that a time in it has until 2286."""
_ISO = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_NS_DIGITS = 19
_LAST = time(23, 59, 59, 999999, fold=1)  # of an hour that a clock goes through twice


class Contract(NamedTuple):
    """What is quoted; the fields are those of ``OptionQuote``."""

    underlying: str
    strike_price: Decimal
    expiry_date: datetime
    option_type: OptionType


def read_options(
    path: str | Path, *, layout: str | None = None, zone: tzinfo = UTC
) -> "OptionReader":
    """Recognise a file of option quotes by its header, or take it as ``layout``.

    ``path`` may be plain, gzip or zip, whatever its name, or ``-`` for standard input. Where the
    file states dates only, they are days in ``zone``, the venue's. LoadError if the file cannot be
    opened or recognised.
    """
    return OptionReader(path, layout, zone)


class OptionReader(Reader[OptionRow]):
    """The quotes of one file; see ``Reader``.

    A quote whose file has no id for it is numbered when it is stored, after those of the same
    contract and time that are stored already. Implied volatility is a fraction, whatever the file
    states. An empty number is None; NaN stays NaN.

    An expiry that is a date is the end of that day, 23:59:59.999999: on its last day, a contract
    has not expired. A quote of a date (options-backtester) is that of its beginning.
    """

    def __init__(self, path: str | Path, layout: str | None, zone: tzinfo) -> None:
        super().__init__(path, LAYOUTS, layout)
        self._zone = zone

    def _parser(self, _: Ordinals) -> Parse[OptionRow]:
        if self.layout == "deribit-tickers":
            return lambda line, fields: self._deribit(line, fields[1:])
        if self.layout == "tardis-options":
            return self._tardis
        if self.layout == "deribit-json":
            return self._deribit
        if self.layout == "options-backtester":
            return self._backtester
        return self._own()

    def _own(self) -> Parse[OptionRow]:
        places: list[tuple[str, Callable[[str], Any]]] = [
            (name, _id_or_none if name == "id" else _number_or_none)
            for name in self._first_fields[len(_CONTRACT) :]
        ]

        def parse(line: int, fields: list[str]) -> OptionRow:
            underlying, strike, expiry, option_type, stamp, *values = fields
            contract = Contract(
                underlying, decimal_of(strike), self._expiry(expiry), _type(option_type)
            )
            try:
                nanoseconds = int(stamp)
            except ValueError:
                raise RowError(
                    "timestamp", f"{stamp!r} is not a number of nanoseconds since 1970"
                ) from None
            told = {name: read(text) for (name, read), text in zip(places, values, strict=True)}
            quote = OptionQuote(*contract, self._cut(nanoseconds), **told)
            return OptionRow(line, quote)

        return parse

    def _deribit(self, line: int, fields: list[str]) -> OptionRow:
        name, stamp, *numbers = fields
        contract = deribit_contract(name)
        timestamp = self._by_digits(stamp)
        iv, bid_iv, ask_iv = map(_fraction_or_none, numbers[:3])
        mark, underlying, interest, vega, theta, rho, gamma, delta, bid, ask = map(
            _number_or_none, (*numbers[3:], "", "")[:10]
        )
        quote = OptionQuote(
            *contract,
            timestamp,
            iv=iv,
            delta=delta,
            gamma=gamma,
            theta=theta,
            vega=vega,
            bid_price=bid,
            ask_price=ask,
            mark_price=mark,
            bid_iv=bid_iv,
            ask_iv=ask_iv,
            underlying_price=underlying,
            open_interest=interest,
            rho=rho,
        )
        return OptionRow(line, quote)

    def _tardis(self, line: int, fields: list[str]) -> OptionRow:
        exchange, name, stamp, _, kind, strike, expiration = fields[:7]
        if exchange != "deribit":
            # others name their underlyings alike, and a quote has no exchange
            raise RowError(
                "instrument", f"of Tardis' options, Deribit's are read, not {exchange}'s"
            )
        contract = deribit_contract(name)
        if contract[1:] != (decimal_of(strike), self._by_digits(expiration), _type(kind)):
            raise RowError("instrument", f"{name!r} is not a {kind} at {strike} until {expiration}")
        # as Deribit's tickers have them
        return self._deribit(line, [name, stamp, *(fields[n] for n in _OF_TARDIS)])

    def _backtester(self, line: int, fields: list[str]) -> OptionRow:
        underlying, option_type, expiration, quotedate, strike = (
            fields[position] for position in (0, 3, 4, 5, 6)
        )
        contract = Contract(
            underlying,
            decimal_of(strike),
            end_of_day(expiration, self._zone),
            _type(option_type),
        )
        timestamp = _beginning_of_day(quotedate, self._zone)
        iv, delta, gamma, theta, vega = map(_number_or_none, fields[12:17])
        quote = OptionQuote(
            *contract,
            timestamp,
            iv=iv,
            delta=delta,
            gamma=gamma,
            theta=theta,
            vega=vega,
            bid_price=_number_or_none(fields[8]),
            ask_price=_number_or_none(fields[9]),
            underlying_price=_number_or_none(fields[1]),
            open_interest=_number_or_none(fields[11]),
        )
        return OptionRow(line, quote)

    def _expiry(self, text: str) -> datetime:
        if _ISO.fullmatch(text) is None:
            return end_of_day(text, self._zone)
        try:
            return datetime.fromisoformat(text).astimezone(UTC)
        except (ValueError, OverflowError):
            raise RowError(
                "timestamp", f"{text!r} is no time between the years 1 and 9999"
            ) from None

    def _by_digits(self, stamp: str) -> datetime:
        """Read a time in milliseconds as Deribit tells it, or in what a vendor made of that."""
        if stamp.isdecimal():
            if unit := _MICROSECONDS.get(len(stamp)):
                return utc(int(stamp) * unit)
            if len(stamp) == _NS_DIGITS:
                return self._cut(int(stamp))
        raise RowError(
            "timestamp",
            f"{stamp!r} is no time since 1970 in milliseconds (13 digits), nor in seconds (10), "
            "microseconds (16) or nanoseconds (19)",
        )

    def _cut(self, nanoseconds: int) -> datetime:
        """Cut a time to the microsecond, and count it if that loses digits."""
        microseconds, below = divmod(nanoseconds, 1000)
        moment = utc(microseconds)
        if below:
            self.truncated_nanoseconds += 1
        return moment


@lru_cache(maxsize=1 << 14)
def deribit_contract(name: str) -> Contract:
    """Take apart a name such as ``ETH-30JUL21-2800-C``; a strike of 0.625 is written 0d625.

    Vendors that write names in small letters mean the same contracts.
    """
    parts = _DERIBIT_OPTION.fullmatch(name.upper()) if name.isascii() else None
    if parts is None:
        raise RowError("instrument", f"{name!r} is not the name of a Deribit option")
    underlying, day, month, year, strike, letter = parts.groups()
    try:
        expiry = datetime(
            2000 + int(year),
            _MONTHS.index(month) + 1,
            int(day),
            _DERIBIT_EXPIRY_HOUR,
            tzinfo=UTC,
        )
    except ValueError:
        raise RowError("instrument", f"{name!r} expires on no day of the calendar") from None
    return Contract(underlying, Decimal(strike.replace("D", ".")), expiry, _LETTERS[letter])


@lru_cache(maxsize=1 << 14)
def end_of_day(text: str, zone: tzinfo) -> datetime:
    """Return the last microsecond of a day such as 2021-01-29 in a zone, in UTC."""
    return _moment(text, _LAST, zone)


@lru_cache(maxsize=1 << 14)
def _beginning_of_day(text: str, zone: tzinfo) -> datetime:
    return _moment(text, time(), zone)


def _moment(text: str, at: time, zone: tzinfo) -> datetime:
    # Python alone would take 20210129 and 2021-W04-5, too
    if _DATE.fullmatch(text):
        with suppress(ValueError, OverflowError):
            return datetime.combine(date.fromisoformat(text), at, zone).astimezone(UTC)
    raise RowError("timestamp", f"{text!r} is not a date such as 2021-01-29")


def _type(text: str) -> OptionType:
    known = _WORDS.get(text)
    if known is None:
        raise RowError("instrument", f"{text!r} is neither call nor put")
    return known


def _id_or_none(text: str) -> int | None:
    try:
        return int(text) if text else None
    except ValueError:
        raise RowError("id", f"{text!r} is not an integer") from None


def _number_or_none(text: str) -> Decimal | None:
    return decimal_of(text) if text else None


def _fraction_or_none(percent: str) -> Decimal | None:
    return decimal_of(percent).scaleb(-2, _EXACT) if percent else None
