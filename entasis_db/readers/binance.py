"""What is particular to Binance's venues: whose symbols have which form, and contracts' sizes."""

import re
from decimal import Context, Decimal

from entasis_db.errors import LoadError
from entasis_db.readers.rows import RowError, decimal_of

_COIN_M = re.compile(r"[A-Z0-9]+USD_(?:PERP|\d{6})")
# of the contracts in BUSD, and not of BNB in USD
_BUSD = re.compile(r"[A-Z0-9]{3,}BUSD_\d{6}")

_USD_M = re.compile(r"[A-Z0-9]+(?:USDT|USDC|BUSD)(?:_\d{6})?")
# of the futures that expire; no name of the spot market has an underscore
_DELIVERY = re.compile(r"[A-Z0-9]+_\d{6}")

_VENUES = frozenset({"binance-spot", "binance-usdm", "binance-cm"})

_EXACT = Context(prec=200, traps=[])
_LAST_PLACE = Decimal("1e-8")
"""Of a base quantity; some are rounded and some are cut."""


def is_coin_m(symbol: str) -> bool:
    """Tell a COIN-M contract (BTCUSD_PERP, BTCUSD_250627) from a USD-M one (BTCUSDT_250627)."""
    return _COIN_M.fullmatch(symbol) is not None and _BUSD.fullmatch(symbol) is None


def futures_exchange(symbol: str) -> str:
    """Name the venue of a futures contract."""
    return "binance-cm" if is_coin_m(symbol) else "binance-usdm"


def other_venue(exchange: str, symbol: str) -> str | None:
    """Name the venue that a symbol is of by its form, if that is not ``exchange``."""
    if exchange not in _VENUES:
        return None
    venue = None
    if is_coin_m(symbol):
        venue = "binance-cm"
    elif _DELIVERY.fullmatch(symbol) or (exchange == "binance-cm" and _USD_M.fullmatch(symbol)):
        venue = "binance-usdm"
    return venue if venue != exchange else None


def refuse_other_venue(
    source: str, exchange: str, symbol: str, states: str | None = None, *, spot: bool | None = None
) -> None:
    """Raise LoadError where a file is given for another venue than it comes from.

    ``states`` is the quantity that its header names beside the one that counts: ``base_qty`` has
    COIN-M only, ``quote_qty`` the others. ``spot`` says whether it has the columns of the spot
    market, as far as these are others.
    """
    other = other_venue(exchange, symbol)
    if exchange == "binance-cm":
        if states == "quote_qty" or other:
            what = "its header has quote_qty" if states == "quote_qty" else f"{symbol} is a name"
            raise LoadError(
                f"{source}: {what} as COIN-M has not, whose quantities count contracts: this is no "
                f"file of binance-cm; write --exchange {other or 'binance-usdm'}"
            )
    elif exchange in _VENUES and (states == "base_qty" or other == "binance-cm"):
        what = "its header has base_qty" if states == "base_qty" else f"{symbol} is a name"
        raise LoadError(
            f"{source}: {what} as COIN-M has, whose quantities count contracts: this is no file of "
            f"{exchange}, but of binance-cm; write --exchange binance-cm"
        )
    elif other:
        raise LoadError(
            f"{source}: {symbol} is the name of a future that expires, which {exchange} has not; "
            f"write --exchange {other}"
        )
    refuse_other_columns(source, exchange, spot, futures_exchange(symbol))


def refuse_other_columns(
    source: str, exchange: str, spot: bool | None, futures: str = "binance-usdm"
) -> None:
    """Raise LoadError where a file has the columns of spot, and is given for futures, or reverse.

    ``futures`` is the venue that it is of if it is of futures.
    """
    if spot is None or exchange not in _VENUES or spot == (exchange == "binance-spot"):
        return
    raise LoadError(
        f"{source}: it has the columns of Binance's {'spot market' if spot else 'futures'}, so "
        f"this is no file of {exchange}; write --exchange {'binance-spot' if spot else futures}"
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
