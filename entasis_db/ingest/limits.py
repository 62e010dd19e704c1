"""Bounds that the client knows too, so that a clean batch needs no second look.

The rules themselves stand in the tables' CHECKs and in trade_fault and option_fault: a row within
these bounds is surely taken by its table, any other is judged by SQL.
"""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

PRICE_LIMIT = Decimal("1e20")
PRICE_DECIMALS = 18
STRIKE_LIMIT = Decimal("1e12")
STRIKE_DECIMALS = 12
GREEK_LIMIT = Decimal("1e12")
GREEK_DECIMALS = 18
IV_LIMIT = Decimal("1e6")
NAME_LENGTH = 64
SOURCE_ID_LENGTH = 128
INT64 = 2**63
# PostgreSQL's NUMERIC ends far beyond; a number like this is no price, and text of it is long
ABSURD_EXPONENT = 1000

_FIRST_MOMENT = datetime(2009, 1, 1, tzinfo=UTC)
_CLOCK_SKEW = timedelta(minutes=5)
# spaces at the ends, and what a name looks like another one with: the tables' CHECKs say the same
_NO_NAME = re.compile(
    "^[ ]|[ ]$|[\x01-\x1f\x7f-\xa0\u061c\u1680\u2000-\u200b\u200e\u200f\u2028-\u202f"
    "\u205f-\u2069\u3000\ufeff]"
)
_WORD = re.compile(r"[a-z][a-z0-9_]{0,31}")
_SURROGATE = re.compile("[\ud800-\udfff]")


def time_bounds() -> tuple[datetime, datetime]:
    """Return between which times a table surely takes rows now, both included."""
    return _FIRST_MOMENT, datetime.now(UTC) + _CLOCK_SKEW


def is_name(name: object, length: int = NAME_LENGTH) -> bool:
    """Say whether it can name an instrument, a venue or an underlying."""
    return (
        isinstance(name, str)
        and 0 < len(name) <= length
        and is_text(name)
        and not _NO_NAME.search(name)
    )


def is_text(text: str) -> bool:
    """Say whether PostgreSQL can hold it: no NUL, and no half of a surrogate pair."""
    return "\0" not in text and (text.isascii() or not _SURROGATE.search(text))


def is_word(text: object) -> bool:
    """Say whether it can be a kind of prints."""
    return isinstance(text, str) and _WORD.fullmatch(text) is not None


def is_exact(text: str, decimals: int) -> bool:
    """Say whether a number surely has no more decimals than fit, trailing zeros counted."""
    dot = text.find(".")
    return (dot < 0 or len(text) - dot - 1 <= decimals) and "E" not in text
