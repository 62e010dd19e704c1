"""Files of option quotes: Deribit tickers and the SPY files of options_backtester."""

import re
from datetime import UTC, datetime
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from entasis_db.model import OptionQuote, OptionType
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

LAYOUTS = (
    Layout(
        "deribit-tickers",
        (
            "recv,instrument_name,timestamp,mark_iv,bid_iv,ask_iv,mark_price,underlying_price,"
            "open_interest,vega,theta,rho,gamma,delta",
        ),
        tuple(range(2, 14)),
    ),
    Layout(
        "options-backtester",
        (
            "underlying,underlying_last,optionroot,type,expiration,quotedate,strike,last,bid,ask,"
            "volume,openinterest,impliedvol,delta,gamma,theta,vega,optionalias",
        ),
        (1, 4, 5, 6, 8, 9, 11, 12, 13, 14, 15, 16),
    ),
)

_EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)
"""The default context would round a shifted number to 28 digits."""

_DERIBIT_OPTION = re.compile(
    r"([A-Z0-9_]+)-([0-9]{1,2})([A-Z]{3})([0-9]{2})-([0-9]+(?:d[0-9]+)?)-([CP])"
)
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DERIBIT_EXPIRY_HOUR = 8  # UTC, for every contract
_LETTERS: dict[str, OptionType] = {"C": "call", "P": "put"}
_WORDS: dict[str, OptionType] = {"call": "call", "put": "put"}


class Contract(NamedTuple):
    """What is quoted; the fields are those of ``OptionQuote``."""

    underlying: str
    strike_price: Decimal
    expiry_date: datetime
    option_type: OptionType


def read_options(path: str | Path, *, layout: str | None = None) -> "OptionReader":
    """Recognise a file of option quotes by its header, or take it as ``layout``.

    ``path`` may be plain, gzip or zip, whatever its name, or ``-`` for standard input. LoadError
    if the file cannot be opened or recognised.
    """
    return OptionReader(path, LAYOUTS, layout)


class OptionReader(Reader[OptionRow]):
    """The quotes of one file; see ``Reader``.

    A quote has no id: it is numbered when it is stored, after those of the same contract and time
    that are stored already. Implied volatility is a fraction, whatever the file states. An empty
    number is None; NaN stays NaN.

    Where a file states dates only (options-backtester), they are midnight UTC: no hour of the day
    is invented, neither for the quote nor for the expiry.
    """

    def _parser(self, _: Ordinals) -> Parse[OptionRow]:
        def deribit(line: int, fields: list[str]) -> OptionRow:
            _, name, stamp, *numbers = fields
            contract = deribit_contract(name)
            try:
                microseconds = int(stamp) * 1000
            except ValueError:
                raise RowError(
                    "timestamp", f"{stamp!r} is not a number of milliseconds since 1970"
                ) from None
            timestamp = utc(microseconds)
            iv, bid_iv, ask_iv = map(_fraction_or_none, numbers[:3])
            mark, underlying, interest, vega, theta, rho, gamma, delta = map(
                _number_or_none, numbers[3:]
            )
            quote = OptionQuote(
                *contract,
                timestamp,
                iv=iv,
                delta=delta,
                gamma=gamma,
                theta=theta,
                vega=vega,
                mark_price=mark,
                bid_iv=bid_iv,
                ask_iv=ask_iv,
                underlying_price=underlying,
                open_interest=interest,
                rho=rho,
            )
            return OptionRow(line, quote)

        def backtester(line: int, fields: list[str]) -> OptionRow:
            underlying, option_type, expiration, quotedate, strike = (
                fields[position] for position in (0, 3, 4, 5, 6)
            )
            known_type = _WORDS.get(option_type)
            if known_type is None:
                raise RowError("instrument", f"{option_type!r} is neither call nor put")
            contract = Contract(underlying, decimal_of(strike), _midnight(expiration), known_type)
            timestamp = _midnight(quotedate)
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

        return deribit if self.layout == "deribit-tickers" else backtester


@lru_cache(maxsize=1 << 14)
def deribit_contract(name: str) -> Contract:
    """Take apart a name such as ``ETH-30JUL21-2800-C``; a strike of 0.625 is written 0d625."""
    parts = _DERIBIT_OPTION.fullmatch(name)
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
    return Contract(underlying, Decimal(strike.replace("d", ".")), expiry, _LETTERS[letter])


@lru_cache(maxsize=1 << 14)
def _midnight(date: str) -> datetime:
    try:
        return datetime.strptime(date, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise RowError("timestamp", f"{date!r} is not a date such as 2021-01-29") from None


def _number_or_none(text: str) -> Decimal | None:
    return decimal_of(text) if text else None


def _fraction_or_none(percent: str) -> Decimal | None:
    return decimal_of(percent).scaleb(-2, _EXACT) if percent else None
