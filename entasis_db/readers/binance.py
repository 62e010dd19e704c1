"""What is particular to Binance's venues: whose symbols have which form, and contracts' sizes."""

import re
from decimal import Context, Decimal

from entasis_db.errors import LoadError
from entasis_db.readers.rows import RowError, decimal_of

_COIN_M = re.compile(r"[A-Z0-9]+USD_(?:PERP|\d{6})")
# of the contracts in BUSD, and not of BNB in USD
_BUSD = re.compile(r"[A-Z0-9]{3,}BUSD_\d{6}")

_USD_M = re.compile(r"[A-Z0-9]+(?:USDT|USDC|BUSD)(?:_\d{6})?")

_EXACT = Context(prec=200, traps=[])
_LAST_PLACE = Decimal("1e-8")
"""Of a base quantity; some are rounded and some are cut."""


def is_coin_m(symbol: str) -> bool:
    """Tell a COIN-M contract (BTCUSD_PERP, BTCUSD_250627) from a USD-M one (BTCUSDT_250627)."""
    return _COIN_M.fullmatch(symbol) is not None and _BUSD.fullmatch(symbol) is None


def futures_exchange(symbol: str) -> str:
    """Name the venue of a futures contract."""
    return "binance-cm" if is_coin_m(symbol) else "binance-usdm"


def refuse_other_venue(source: str, exchange: str, symbol: str, states: str | None) -> None:
    """Raise LoadError where a file is given for another venue than it comes from.

    ``states`` is the quantity that its header names beside the one that counts: ``base_qty`` has
    COIN-M only, ``quote_qty`` the others.
    """
    if exchange == "binance-cm":
        if states == "quote_qty" or (_USD_M.fullmatch(symbol) and not is_coin_m(symbol)):
            what = "its header has quote_qty" if states == "quote_qty" else f"{symbol} is a name"
            raise LoadError(
                f"{source}: {what} as COIN-M has not, whose quantities count contracts: this is no "
                "file of binance-cm"
            )
    elif exchange in {"binance-spot", "binance-usdm"} and (
        states == "base_qty" or is_coin_m(symbol)
    ):
        what = "its header has base_qty" if states == "base_qty" else f"{symbol} is a name"
        raise LoadError(
            f"{source}: {what} as COIN-M has, whose quantities count contracts: this is no file of "
            f"{exchange}, but of binance-cm"
        )


def check_base_quantity(price: Decimal, quantity: Decimal, base: str, size: Decimal) -> None:
    """Compare contracts with the base quantity that a file states; RowError if they contradict."""
    stated = decimal_of(base)
    if not (price.is_finite() and quantity.is_finite()):
        return  # that is worse, and said elsewhere
    difference = _EXACT.subtract(_EXACT.multiply(stated, price), _EXACT.multiply(quantity, size))
    if not (
        stated.is_finite() and _EXACT.abs(difference) < _EXACT.multiply(_LAST_PLACE, abs(price))
    ):
        raise RowError(
            "base_quantity",
            f"{quantity} contracts of {size} at {price} are not {base} in the base",
        )
