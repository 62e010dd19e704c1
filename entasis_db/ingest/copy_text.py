"""Rows as the text that COPY reads."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
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
_SHORT = 2 + PRICE_DECIMALS
"""A number whose text has fewer characters fits: it has fewer digits and decimals than allowed."""
_SIDES = {None: "\\N", "buy": "buy", "sell": "sell"}
_ONE_HOUR = timedelta(hours=1)
_HOUR = len("2025-01-01 00")
_MINUTES = [f":{number:02d}" for number in range(60)]
_key = itemgetter(*map(OptionQuote._fields.index, OPTION_KEY))


def trade_writer() -> Callable[[Trade], str | None]:
    """Return a function that writes a trade for COPY if the table will surely take it, else None.

    It writes what the server would, so that the two can be compared. It runs once for every trade,
    which is why it is one loop-free piece that asks for nothing twice: a market's names are looked
    at once, an hour is written once, and the text of most numbers is so short that they fit.
    """
    first, latest = time_bounds()
    markets: dict[tuple[str, str], str] = {}
    # of the hour that the last time was in, as far as the table surely takes times
    hour, hour_begin, hour_end = "", latest, latest

    def write(trade: Trade) -> str | None:
        nonlocal hour, hour_begin, hour_end
        number, symbol, exchange, timestamp, price, volume, side, source_id, excluded = trade
        if type(price) is not Decimal or type(volume) is not Decimal or type(number) is not int:
            check_row(trade)
        # most times are in UTC, and asking any other zone takes longer
        if type(timestamp) is not datetime or timestamp.tzinfo is not UTC:
            if type(timestamp) is not datetime or timestamp.utcoffset() is None:
                check_row(trade)
            # the last hours of all time have no time in UTC
            if not first <= timestamp < latest:
                return None
            # PostgreSQL does not know all offsets that Python does
            timestamp = timestamp.astimezone(UTC)
        if not hour_begin <= timestamp < hour_end:
            if not first <= timestamp < latest:
                return None
            begin = timestamp.replace(minute=0, second=0, microsecond=0)
            hour = begin.isoformat(" ")[:_HOUR]
            hour_begin, hour_end = max(begin, first), min(begin + _ONE_HOUR, latest)
        names = markets.get((symbol, exchange))
        if names is None:
            check_row(trade)
            if not (is_name(symbol) and is_name(exchange)):
                return None
            names = markets[symbol, exchange] = f"{_escape(symbol)}\t{_escape(exchange)}"
        price_text, volume_text = str(price), str(volume)
        # a text that begins with a digit is neither negative nor NaN nor infinite
        if not (price and "0" <= price_text < ":" and len(price_text) < _SHORT) or (
            "E" in price_text
        ):
            price_text = _price_text(price)
        if not (volume and "0" <= volume_text < ":" and len(volume_text) < _SHORT) or (
            "E" in volume_text
        ):
            volume_text = _price_text(volume)
        side_text = _SIDES.get(side)
        # nearly no trade has one of these
        rest = "\\N\t\\N" if source_id is excluded is None else _rest_text(source_id, excluded)
        if not (price_text and volume_text and side_text and rest and -INT64 <= number < INT64):
            return None
        fraction = f".{timestamp.microsecond:06d}".rstrip("0") if timestamp.microsecond else ""
        return (
            f"{number}\t{names}\t{hour}{_MINUTES[timestamp.minute]}{_MINUTES[timestamp.second]}"
            f"{fraction}+00\t{price_text}\t{volume_text}\t{side_text}\t{rest}\n"
        )

    return write


def _price_text(value: Decimal) -> str:
    """Write a price or a volume; an empty text if the table may refuse it."""
    # NaN compares with an exception, so it must not come so far
    if value.is_finite() and _ZERO < value < PRICE_LIMIT:
        text = _plain(value)
        if is_exact(text, PRICE_DECIMALS):
            return text
    return ""


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


def utf8(piece: str | memoryview) -> bytes | memoryview:
    """Return a piece of text as the COPYs of batches read it, whatever the session's encoding."""
    return piece.encode() if isinstance(piece, str) else piece


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
