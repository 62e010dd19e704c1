"""Numbers and times of a message, exactly: from its text, never through a binary float."""

import re
from datetime import datetime
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal, InvalidOperation

from entasis_db.readers.rows import RowError, utc

_EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)
"""The default context would round to 28 digits."""
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,6})?")
_INTEGER = re.compile(r"-?[0-9]{1,40}")
_SECONDS = re.compile(r"([0-9]{1,12})(?:\.([0-9]*))?")


def number(value: object) -> Decimal:
    """Return a number of a message: text, an integer, or the decimal that JSON was read as.

    Raises RowError for a float, whose text is lost, and for anything else that is no number.
    """
    if isinstance(value, Decimal) and value.is_finite():
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return Decimal(value)
    if isinstance(value, float):
        raise RowError("number", f"{value!r} was read as a binary float, which is not exact")
    raise RowError("number", f"{value!r} is not a number")


def number_or_none(value: object) -> Decimal | None:
    """Return a number that may be missing."""
    return None if value is None else number(value)


def scaled(value: object, exponent: int) -> Decimal:
    """Return a number times ten to a power."""
    return number(value).scaleb(exponent, _EXACT)


def computed(value: object, exponent: int = 0) -> Decimal | None:
    """Return what a model computed times ten to a power; it may be missing, NaN or infinite."""
    if value is None:
        return None
    if isinstance(value, str | float | Decimal) and _is_no_number(value):
        return Decimal("NaN")
    return scaled(value, exponent)


def _is_no_number(value: str | float | Decimal) -> bool:
    """Say whether it is NaN or infinite: JSON knows neither, and parsers differ."""
    try:
        return not Decimal(value).is_finite()
    except InvalidOperation:
        return False


def integer(value: object) -> int:
    """Return an integer, which may be written as text. Raises RowError for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        return int(value)
    raise RowError("id", f"{value!r} is not an integer")


def text(value: object) -> str:
    """Return text. Raises RowError for anything else."""
    if isinstance(value, str):
        return value
    raise RowError("instrument", f"{value!r} is not text")


def milliseconds(value: object) -> datetime:
    """Return the moment so many milliseconds after 1970."""
    return utc(_count(value) * 1000)


def microseconds(value: object) -> datetime:
    """Return the moment so many microseconds after 1970."""
    return utc(_count(value))


def nanoseconds(value: object) -> datetime:
    """Return the moment so many nanoseconds after 1970; digits below the microsecond are cut."""
    return utc(_count(value) // 1000)


def seconds(value: object) -> datetime:
    """Return the moment so many seconds, with decimals, after 1970; cut to the microsecond."""
    parts = _SECONDS.fullmatch(value) if isinstance(value, str) else None
    if parts is None:
        raise RowError("timestamp", f"{value!r} is not a number of seconds since 1970")
    whole, decimals = parts.groups()
    return utc(int(whole) * 1_000_000 + int(((decimals or "") + "000000")[:6]))


def iso(value: object) -> datetime:
    """Return the moment that ISO 8601 text names; digits below the microsecond are cut.

    The JSON of cryptofeed 2 makes a datetime of such text by itself.
    """
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        moment = None
    if not isinstance(moment, datetime) or moment.utcoffset() is None:
        raise RowError("timestamp", f"{value!r} is not a time with a zone, as in ISO 8601")
    return moment


def _count(value: object) -> int:
    try:
        return integer(value)
    except RowError:
        raise RowError(
            "timestamp", f"{value!r} is not a whole number of units since 1970"
        ) from None
