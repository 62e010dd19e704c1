"""What the name of a file says of its market, and how venues write their symbols."""

import re

UPPER_CASE = frozenset({"binance-spot", "binance-usdm", "binance-cm", "bybit", "okx", "coinbase"})
"""Exchanges whose symbols have no small letters: with them it is the same market."""

# a browser or a file manager numbers copies
COPY_NAME = r"(?: ?\(\d+\)| copy(?: \d+)?| - Copy)*"

_DATE = r"\d{4}-\d\d(?:-\d\d)?"
_NAMES = tuple(
    re.compile(rf"{form}{COPY_NAME}(?:\.[a-z0-9.]+)?", re.IGNORECASE)
    for form in (
        rf"(?P<symbol>.+?)-(?:trades|aggtrades)-{_DATE}",
        rf"(?P<symbol>[^-]+)-\d+(?:s|m|h|d|w|mo)-{_DATE}",
        rf"[a-z0-9-]+_(?:trades|quotes|options_chain)_{_DATE}_(?P<symbol>.+?)",
        r"(?P<symbol>[A-Z0-9]+)\d{4}-\d\d-\d\d",
    )
)
"""Those of the archives of Binance and OKX (trades, candles), of Tardis, and of Bybit's contracts.
"""
_SYMBOL = re.compile(
    r".+(?:USD[TCSE]?|[BFT]USD|DAI|EUR|GBP|JPY|KRW|TRY|BRL|AUD|BTC|XBT|ETH|BNB)"
    r"(?:[-_:]?(?:PERP|SWAP|SPOT|[FGHJKMNQUVXZ]?\d\d|\d{6}).*)?|.+-PERPETUAL|.+-\d{1,2}[A-Z]{3}\d\d.*"
)
"""What can be taken for a symbol, and not for a word such as all or binance."""
_REST = re.compile(r"[^A-Z0-9]")


def stored_symbol(exchange: str, symbol: str) -> str:
    """Return a symbol as it is stored: in capitals, where its exchange has no small letters."""
    return symbol.upper() if exchange in UPPER_CASE else symbol


def named_symbol(name: str) -> str | None:
    """Return the symbol that a file's name states, in capitals; None if it states none."""
    for form in _NAMES:
        if match := form.fullmatch(name):
            symbol = match["symbol"].upper()
            return symbol if _SYMBOL.fullmatch(symbol) else None
    return None


def is_named(named: str, symbol: str) -> bool:
    """Tell whether a symbol is the one that a name states, which has no / or : in it.

    Or one of several.
    """
    said, stored = (_REST.sub("", text.upper()) for text in (named, symbol))
    return stored in {said, f"{said}SPOT", *re.split("[-_+,]", named)}
