"""Names of exchanges that are nearly those that are known: hardly meant, and a market of its own.

near("binance", known_exchanges())  # binance-cm, binance-spot, binance-usdm, ...
"""

import re
from collections.abc import Collection

from entasis_db.readers.venues import VENUES

_OF_NO_LAYOUT = frozenset(
    {
        *("binance-spot", "binance-usdm", "binance-cm", "binance-european-options"),
        *("bybit-spot", "phemex"),
    }
)
"""Those whose files do not say whose they are, and those that are read live or from lists alone."""
_ALIASES = {
    "binance": "binance-spot binance-usdm binance-cm",
    **dict.fromkeys(
        ("binancefutures", "binanceum", "binanceusdtm", "binancefuturesum"), "binance-usdm"
    ),
    **dict.fromkeys(("binancecoinm", "binancedelivery", "binancefuturescm"), "binance-cm"),
    **dict.fromkeys(("okex", "okexswap", "okexfutures", "okexspot", "okexoptions"), "okx"),
    **dict.fromkeys(("gdax", "coinbasepro", "coinbaseexchange"), "coinbase"),
    "krakenspot": "kraken",
}
"""Former names, and those of other programs."""
_REST = re.compile(r"[\W_]+")
_SHORTEST = 5
"""Letters of a name in which one that is wrong is seen."""


def known_exchanges() -> set[str]:
    """Return the names under which readers store trades."""
    return {*_OF_NO_LAYOUT, *(venue.exchange for venue in VENUES if venue.exchange is not None)}


def near(name: str, known: Collection[str]) -> list[str]:
    """Return the known names that a name is nearly, most likely first; none if it is one of them.

    Nearly is: but for capitals and what stands between words; a former name; the first word of
    several; one letter more, less, other or in another place.
    """
    if name in known:
        return []
    bare = _bare(name)
    if bare in _ALIASES:
        return _ALIASES[bare].split()
    words = _words(name)
    same, longer, typed = [], [], []
    for other in sorted(known):
        if _bare(other) == bare:
            same.append(other)
        elif words and _words(other)[: len(words)] == words:
            longer.append(other)
        elif len(bare) >= _SHORTEST and _one_slip(bare, _bare(other)):
            typed.append(other)
    return same or longer or typed


def _bare(name: str) -> str:
    return _REST.sub("", name.casefold())


def _words(name: str) -> list[str]:
    return [word for word in _REST.split(name.casefold()) if word]


def _one_slip(one: str, other: str) -> bool:
    """Tell whether a letter more, less, other or exchanged with its neighbour makes the other.

    A digit is none: venue1 and venue2 are two.
    """
    if len(one) > len(other):
        one, other = other, one
    if len(other) - len(one) > 1:
        return False
    at = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), len(one))
    if len(one) < len(other):
        return one[at:] == other[at + 1 :] and not other[at].isdigit()
    swapped = one[at : at + 2] == other[at : at + 2][::-1] and one[at + 2 :] == other[at + 2 :]
    letters = not (one[at].isdigit() and other[at].isdigit())
    return letters and (one[at + 1 :] == other[at + 1 :] or swapped)
