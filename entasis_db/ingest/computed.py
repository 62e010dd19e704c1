"""What a model computed, made into what is stored: see docs/decisions/0030.

entasis_internal.round_staged_options does the same with rows that SQL stages.
"""

from collections.abc import Sequence
from decimal import MAX_EMAX, MIN_EMIN, ROUND_HALF_EVEN, Context, Decimal
from typing import Any

from entasis_db.ingest.limits import GREEK_DECIMALS, GREEK_LIMIT, IV_LIMIT
from entasis_db.ingest.report import IngestReport
from entasis_db.model import OptionQuote

# wide enough for what is in bounds, and no value raises
_ROUNDING = Context(prec=60, rounding=ROUND_HALF_EVEN, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[])
_SMALLEST = Decimal(1).scaleb(-GREEK_DECIMALS)
_IVS = ("iv", "bid_iv", "ask_iv")
_GREEKS = ("delta", "gamma", "theta", "vega", "rho")
_QUOTED = ("bid_price", "ask_price", "mark_price", "underlying_price", "open_interest")
_COMPUTED = [
    *((name, OptionQuote._fields.index(name), True) for name in _IVS),
    *((name, OptionQuote._fields.index(name), False) for name in _GREEKS),
]
_EXACT = [(name, OptionQuote._fields.index(name)) for name in _QUOTED]


def round_quotes(quotes: Sequence[OptionQuote]) -> tuple[Sequence[OptionQuote], IngestReport]:
    """Return quotes as they are stored, and how many of their values were rounded or are None now.

    Values of other types are left for check_row.
    """
    rounded = nulled = 0
    found: list[OptionQuote] | None = None
    for place, quote in enumerate(quotes):
        changes = _changes(quote)
        if changes:
            if found is None:
                found = list(quotes)
            found[place] = quote._replace(**changes)
            for name, value in changes.items():
                if value is None:
                    nulled += 1
                elif value != getattr(quote, name):
                    rounded += 1
    return (quotes if found is None else found), IngestReport(rounded=rounded, nulled=nulled)


def _changes(quote: OptionQuote) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    for name, place, is_iv in _COMPUTED:
        value = quote[place]
        if isinstance(value, Decimal):
            stored = _stored(value, is_iv)
            if stored is not value:
                changes[name] = stored
    for name, place in _EXACT:
        value = quote[place]
        if isinstance(value, Decimal) and value.is_nan():
            changes[name] = None
    return changes


def _stored(value: Decimal, is_iv: bool) -> Decimal | None:
    if not value.is_finite():
        return None
    limit = IV_LIMIT if is_iv else GREEK_LIMIT
    if not -limit < value < limit:
        return None
    if int(value.as_tuple().exponent) < -GREEK_DECIMALS:
        value = value.quantize(_SMALLEST, context=_ROUNDING)
    if not -limit < value < limit or (is_iv and value < 0):
        return None
    return value
