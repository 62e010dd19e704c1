"""Ids of trades as a file states them: integers of 64 bits, or text of which the id is a digest."""

import re
from collections.abc import Collection

from entasis_db.ids import digest_id
from entasis_db.readers.rows import RowError

Market = tuple[str, str]
"""Exchange and symbol, as the file has them."""

# what numbers look like after other programs than the exchange's had them, and what these write
# where there is none; a UUID may consist of digits and hyphens only, and is none of it
_DAMAGED = re.compile(
    r"[+-]?[\s\d.,'_]*(?:\de[+-]?\d{1,3})?|[+-]?(?:nan|inf|infinity|null|none)", re.IGNORECASE
)
_DIGITS = re.compile(r"[0-9]+")


def id_space_of(market: Market, text: str, digests: Collection[Market]) -> str:
    """Tell by the id of its first trade what numbers a market: ``trade`` or ``digest``.

    ``digests`` are the markets that are known for text. RowError for what is no id.
    """
    if market not in digests and _is_integer(text):
        return "trade"
    text_id(text)
    return "digest"


def integer_id(text: str, code: str = "id") -> int:
    """Give the number that an id or a sequence is; RowError if it is none of 64 bits."""
    # Python takes 1_0 and digits of other scripts for numbers, and no source means them
    if "_" in text or not text.isascii():
        raise RowError("number", f"{text!r} is not a number")
    try:
        number = int(text)
    except ValueError:
        raise RowError(code, f"{text!r} is not an integer") from None
    if not -(1 << 63) <= number < 1 << 63:
        raise RowError(code, f"{text} does not fit into 64 bits")
    return number


def text_id(text: str) -> tuple[int, str]:
    """Give the digest of an id that is text, and the text; RowError for a damaged number."""
    text = text.strip()
    if is_damaged(text):
        raise RowError("id", f"{text!r} is neither an integer nor a text that could be an id")
    return digest_id(text), text


def is_damaged(text: str) -> bool:
    """Say whether a text looks like a number that is no integer any more, or like none at all."""
    return not _DIGITS.fullmatch(text) and _DAMAGED.fullmatch(text) is not None


def _is_integer(text: str) -> bool:
    try:
        integer_id(text)
    except RowError:
        return False
    return True
