"""Rows as the text that COPY reads."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from decimal import Decimal
from operator import itemgetter

from entasis_db.ingest.checks import check_row, unstageable
from entasis_db.ingest.limits import (
    ABSURD_EXPONENT,
    INT64,
    PRICE_DECIMALS,
    PRICE_LIMIT,
    SOURCE_ID_LENGTH,
    STRIKE_DECIMALS,
    STRIKE_LIMIT,
    is_exact,
    is_name,
    is_word,
    time_bounds,
)
from entasis_db.model import OPTION_KEY, OptionQuote, Trade

_ZERO = Decimal(0)
_key = itemgetter(*map(OptionQuote._fields.index, OPTION_KEY))


def trade_writer() -> Callable[[Trade], str | None]:
    """Return a function that writes a trade for COPY if the table will surely take it, else None.

    It runs once for every trade there is, which is why it is one loop-free piece that asks for
    nothing twice: a market's names are looked at once, and a repeated time is written once.
    """
    first, latest = time_bounds()
    markets: dict[tuple[str, str], str] = {}
    last_moment: datetime | None = None
    last_time = ""

    def write(trade: Trade) -> str | None:
        nonlocal last_moment, last_time
        number, symbol, exchange, timestamp, price, volume, side, source_id, excluded = trade
        if type(price) is not Decimal or type(volume) is not Decimal or type(number) is not int:
            check_row(trade)
        # of other zones, Python takes two times an hour apart for equal when the clock is put back
        if timestamp != last_moment or timestamp.tzinfo is not UTC:
            # most times are in UTC, and asking any other zone takes longer
            if type(timestamp) is not datetime or (
                timestamp.tzinfo is not UTC and timestamp.utcoffset() is None
            ):
                check_row(trade)
            if not first <= timestamp <= latest:
                return None
            last_moment, last_time = timestamp, _time_text(timestamp)
        names = markets.get((symbol, exchange))
        if names is None:
            check_row(trade)
            if not (is_name(symbol) and is_name(exchange)):
                return None
            names = markets[symbol, exchange] = f"{_escape(symbol)}\t{_escape(exchange)}"
        # NaN compares with an exception, so it must not come so far
        if not (price.is_finite() and volume.is_finite()):
            return None
        price_text, volume_text = str(price), str(volume)
        if "E" in price_text or "E" in volume_text:
            price_text, volume_text = _plain(price), _plain(volume)
        if not (
            _ZERO < price < PRICE_LIMIT
            and _ZERO < volume < PRICE_LIMIT
            and -INT64 <= number < INT64
            and is_exact(price_text, PRICE_DECIMALS)
            and is_exact(volume_text, PRICE_DECIMALS)
        ):
            return None
        if side is None:
            side_text = "\\N"
        elif side == "buy" or side == "sell":
            side_text = side
        else:
            return None
        # nearly no trade has one of these
        rest = "\\N\t\\N" if source_id is excluded is None else _rest_text(source_id, excluded)
        if rest is None:
            return None
        return f"{number}\t{names}\t{last_time}\t{price_text}\t{volume_text}\t{side_text}\t{rest}\n"

    return write


def _rest_text(source_id: object, excluded: object) -> str | None:
    """Write the two last fields of a trade; None if the table may refuse one."""
    if not (source_id is None or is_name(source_id, SOURCE_ID_LENGTH)):
        return None
    if not (excluded is None or is_word(excluded)):
        return None
    return f"{_field_text(source_id)}\t{_field_text(excluded)}"


def option_writer() -> Callable[[OptionQuote], str | None]:
    """Return a function that writes a quote for COPY if the table surely takes it, else None.

    Its volatilities and greeks are what round_quotes() made of them. A quote without an id gets 0,
    if the one before it is of another contract or time: of several, SQL shall see which differ. If
    some 0 is stored already, COPY fails.
    """
    first, latest = time_bounds()
    before: OptionQuote | None = None

    def write(quote: OptionQuote) -> str | None:
        nonlocal before
        check_row(quote)
        if quote.id is None:
            quote = quote._replace(id=0)
            if before is not None and _key(before) == _key(quote):
                return None
        before = quote
        exact = (
            quote.bid_price,
            quote.ask_price,
            quote.mark_price,
            quote.underlying_price,
            quote.open_interest,
        )
        if (
            is_name(quote.underlying)
            and quote.option_type in ("call", "put")
            and first <= quote.timestamp <= latest
            and -INT64 <= (quote.id or 0) < INT64
            and unstageable(quote) is None
            and quote.strike_price.is_finite()
            and _ZERO < quote.strike_price < STRIKE_LIMIT
            and is_exact(_plain(quote.strike_price), STRIKE_DECIMALS)
            and all(
                value is None
                or (
                    value.is_finite()
                    and _ZERO <= value < PRICE_LIMIT
                    and is_exact(_plain(value), PRICE_DECIMALS)
                )
                for value in exact
            )
        ):
            return fields_text(quote)
        return None

    return write


def fields_text(row: Iterable[object]) -> str:
    """Write any row, whether its table takes it or not."""
    return "\t".join(map(_field_text, row)) + "\n"


def _field_text(value: object) -> str:
    if value is None:
        return "\\N"
    if isinstance(value, str):
        return _escape(value)
    if isinstance(value, datetime):
        return _time_text(value)
    if isinstance(value, Decimal) and value.is_nan():
        return "NaN"  # signs and payloads of NaN are unknown to PostgreSQL
    return str(value)


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def _plain(value: Decimal) -> str:
    """Write a finite number so that its decimals can be counted, if it is of a sane size."""
    text = str(value)
    # str() writes 0.0000001 as 1E-7, and what normalize() made of 100 as 1E+2
    if "E" in text and abs(value.adjusted()) <= ABSURD_EXPONENT:
        return f"{value:f}"
    return text


def _time_text(moment: datetime) -> str:
    if moment.tzinfo is not UTC:
        # PostgreSQL does not know all offsets that Python does
        moment = moment.astimezone(UTC)
    return moment.isoformat()
