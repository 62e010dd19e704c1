"""The named queries: one function each, which checks its arguments and returns a Statement.

    from entasis_db import queries

    candles = queries.candles("BTCUSDT", "binance-spot", "1m", start, end).fetch(connection)
    chain = await queries.option_chain("BTC", now).fetch_async(async_connection)

The text of each stands in the ``.sql`` file of its name and can be run from any other client.

Ranges are half-open, ``[from_time, to_time)``, and give exactly the rows of the range: cut a long
one into pieces and no row is missed or read twice. Times must be timezone-aware. A QueryError says
what does not exist (an interval, an option type), a ValueError what cannot be meant (a time without
a zone, a range that ends before it begins); both are raised before any server is asked. Names that
nothing is stored under give no rows.
"""

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from typing import get_args
from uuid import UUID

from entasis_db.errors import QueryError
from entasis_db.model import (
    OptionQuote,
    OptionType,
    PositionSnapshot,
    Prediction,
    Side,
    Trade,
)
from entasis_db.queries import cache_rules
from entasis_db.queries.checks import check_aware, check_interval, check_range, check_span
from entasis_db.queries.intervals import INTERVALS, Interval
from entasis_db.queries.rows import (
    Candle,
    Market,
    Model,
    OptionExpiry,
    PredictionScore,
    SmilePoint,
)
from entasis_db.queries.statement import Statement, statement

__all__ = [
    "INTERVALS",
    "Candle",
    "Interval",
    "Market",
    "Model",
    "OptionExpiry",
    "OptionQuote",
    "OptionType",
    "PositionSnapshot",
    "Prediction",
    "PredictionScore",
    "Side",
    "SmilePoint",
    "Statement",
    "Trade",
    "candles",
    "iv_smile",
    "latest_price",
    "latest_prices",
    "markets",
    "models",
    "option_chain",
    "option_expiries",
    "option_history",
    "pnl_history",
    "portfolio",
    "prediction_scores",
    "predictions",
    "trades",
]

_DAY = timedelta(days=1)


def trades(
    symbol: str,
    exchange: str,
    from_time: datetime,
    to_time: datetime,
    limit: int | None = None,
) -> Statement[Trade]:
    """Trades of one market in [from_time, to_time), ordered by (timestamp, id).

    At most ``limit`` of them; without one, all: a busy market makes millions a day, and every row
    is held in memory. A page that ended at a trade may have cut a group of equal timestamps: go on
    from its timestamp, and leave out what you have.
    """
    check_range(from_time, to_time)
    if limit is not None and limit < 1:
        raise ValueError(f"limit is {limit}: give 1 or more, or None for every trade of the range")
    return statement(
        "trades",
        Trade,
        symbol=symbol,
        exchange=exchange,
        from_time=from_time,
        to_time=to_time,
        limit=limit,
    )


def candles(
    symbol: str,
    exchange: str,
    interval: Interval,
    from_time: datetime,
    to_time: datetime,
    fill_gaps: bool = False,
) -> Statement[Candle]:
    """Candles of one market whose buckets begin in [from_time, to_time), ordered by bucket.

    ``interval`` is one of INTERVALS. A candle counts all trades of its bucket, also those at or
    after to_time. A bucket without a trade has no row; with ``fill_gaps`` it has a flat one at the
    close before it, from the market's first trade on and up to the present.
    At most one row for each bucket: a year of minutes is 527,040.
    """
    check_range(from_time, to_time)
    check_interval(interval)
    pages = cache_rules.CandlePages(
        symbol, exchange, interval, from_time.astimezone(UTC), to_time.astimezone(UTC)
    )
    return statement(
        "candles_filled" if fill_gaps else "candles",
        Candle,
        None if fill_gaps else pages,
        symbol=symbol,
        exchange=exchange,
        interval=interval,
        from_time=from_time,
        to_time=to_time,
    )


def latest_price(symbol: str, exchange: str) -> Statement[Trade]:
    """Newest trade of one market, by (timestamp, id): one row, or none for an unknown market.

    Its timestamp says how old it is; nothing here says whether the market still trades.
    """
    rule = cache_rules.latest_price(symbol, exchange)
    return statement("latest_price", Trade, rule, symbol=symbol, exchange=exchange)


def latest_prices() -> Statement[Trade]:
    """Newest trade of every market that has one, ordered by symbol and exchange.

    One row for each market; it takes a few index look-ups for each market and partition, however
    many trades there are.
    """
    return statement("latest_prices", Trade, cache_rules.latest_prices())


def markets(exchange: str | None = None) -> Statement[Market]:
    """Every market on record, ordered by exchange and symbol, with what is stored of it.

    Of one ``exchange`` only, if it is given. A market without trades has a row where an exchange's
    list or a person told of it. Coverage is taken from daily candles, so no trade is read that is
    in a stored candle.
    """
    return statement("markets", Market, exchange=exchange)


def option_chain(
    underlying: str, at: datetime, max_age: timedelta = _DAY
) -> Statement[OptionQuote]:
    """Newest quote of every contract of an underlying, as known at one moment.

    A contract has a row when it expires after ``at`` and was quoted in (at - max_age, at]. Ordered
    by expiry_date, strike_price, option_type. One row for each contract; it takes a few index
    look-ups for each contract of the calendar months that the range lies in.
    Where the source gives dates only, a contract expires at the end of its last day.
    """
    check_aware("at", at)
    check_span("max_age", max_age)
    rule = cache_rules.option_chain(underlying, at, max_age)
    return statement(
        "option_chain", OptionQuote, rule, underlying=underlying, at=at, max_age=max_age
    )


def option_expiries(
    underlying: str, at: datetime, max_age: timedelta = _DAY
) -> Statement[OptionExpiry]:
    """Expiries of an underlying, as known at one moment, ordered by expiry_date.

    One row for each expiry of option_chain's contracts: those that expire after ``at`` and were
    quoted in (at - max_age, at]. It takes as many index look-ups as option_chain.
    """
    check_aware("at", at)
    check_span("max_age", max_age)
    return statement("option_expiries", OptionExpiry, underlying=underlying, at=at, max_age=max_age)


def option_history(
    underlying: str,
    expiry_date: datetime,
    strike_price: Decimal | int,
    option_type: OptionType,
    from_time: datetime,
    to_time: datetime,
) -> Statement[OptionQuote]:
    """Quotes of one contract in [from_time, to_time), ordered by (timestamp, id).

    Every one of them is held in memory. A strike_price must be exact: a float is refused.
    """
    check_range(from_time, to_time)
    check_aware("expiry_date", expiry_date)
    if not isinstance(strike_price, Decimal | int):
        raise ValueError(  # noqa: TRY004 - what is wrong is that it is not exact
            f"strike_price is {strike_price!r}: give a Decimal or an int, which are exact"
        )
    if option_type not in get_args(OptionType):
        raise QueryError(f"there are no options of type {option_type!r}: give call or put")
    return statement(
        "option_history",
        OptionQuote,
        underlying=underlying,
        expiry_date=expiry_date,
        strike_price=strike_price,
        option_type=option_type,
        from_time=from_time,
        to_time=to_time,
    )


def iv_smile(
    underlying: str,
    expiry_date: date,
    at: datetime,
    max_age: timedelta = _DAY,
    zone: tzinfo = UTC,
) -> Statement[SmilePoint]:
    """Newest implied volatility of every strike and type of one expiry, as known at one moment.

    Each with its moneyness and delta. ``expiry_date`` is a moment, or a date: then it is whatever
    expires on that day in ``zone``. Of the quotes in (at - max_age, at], those without an implied
    volatility are passed over; a contract that has no other is left out. Ordered by expiry_date,
    strike_price, option_type.
    """
    check_aware("at", at)
    check_span("max_age", max_age)
    if isinstance(expiry_date, datetime):
        check_aware("expiry_date", expiry_date)
        expiry_from, expiry_to = expiry_date, expiry_date + timedelta.resolution
    else:
        expiry_from = datetime.combine(expiry_date, time(), zone).astimezone(UTC)
        expiry_to = datetime.combine(expiry_date + _DAY, time(), zone).astimezone(UTC)
    return statement(
        "iv_smile",
        SmilePoint,
        underlying=underlying,
        expiry_from=expiry_from,
        expiry_to=expiry_to,
        at=at,
        max_age=max_age,
    )


def models() -> Statement[Model]:
    """Every model with what it predicts, ordered by model_id, symbol and prediction_type.

    One row for each symbol and type of each model; it takes a few index look-ups for each row,
    however many predictions there are.
    """
    return statement("models", Model)


def predictions(
    model_id: str, symbol: str, from_time: datetime, to_time: datetime
) -> Statement[Prediction]:
    """Predictions of one symbol by one model in [from_time, to_time), by (timestamp, id).

    The range is that of the moment when they were made, not of the one that they are about.
    """
    check_range(from_time, to_time)
    return statement(
        "predictions",
        Prediction,
        model_id=model_id,
        symbol=symbol,
        from_time=from_time,
        to_time=to_time,
    )


def prediction_scores(
    model_id: str,
    symbol: str,
    exchange: str,
    from_time: datetime,
    to_time: datetime,
    lookback: timedelta = _DAY,
) -> Statement[PredictionScore]:
    """Each prediction of [from_time, to_time) with what then happened on one exchange.

    The range is that of the predictions' own timestamp; ordered by (timestamp, id).

    The price at a moment is the close of the newest stored minute whose last trade was made in
    (moment - lookback, moment]: the minute that the moment lies in counts only when it has no later
    trade, so a price is up to one minute older than the trades could tell. A target_time after the
    beginning of the caller's transaction is still to come and has no price.

    Numbers are exact but for the actual_value of type ``return`` and the error made with it: there,
    (target_price - base_price) / base_price is a NUMERIC division, which PostgreSQL rounds, half
    away from zero, to at least 16 significant digits and to no fewer decimals than the prices have.
    """
    check_range(from_time, to_time)
    check_span("lookback", lookback)
    return statement(
        "prediction_scores",
        PredictionScore,
        model_id=model_id,
        symbol=symbol,
        exchange=exchange,
        from_time=from_time,
        to_time=to_time,
        lookback=lookback,
    )


def portfolio(user_id: UUID) -> Statement[PositionSnapshot]:
    """Newest snapshot of each position of one user, ordered by asset_type.

    A position that was closed stays, with its last size. Row-level security applies: for
    another user than the one that the session acts for there are no rows, and where it acts for
    nobody psycopg's InsufficientPrivilege is raised: see acting_for.
    """
    return statement("portfolio", PositionSnapshot, user_id=user_id)


def pnl_history(
    user_id: UUID, from_time: datetime, to_time: datetime
) -> Statement[PositionSnapshot]:
    """Every snapshot of one user in [from_time, to_time), ordered by (timestamp, id).

    Row-level security applies, as in portfolio.
    """
    check_range(from_time, to_time)
    return statement(
        "pnl_history", PositionSnapshot, user_id=user_id, from_time=from_time, to_time=to_time
    )
