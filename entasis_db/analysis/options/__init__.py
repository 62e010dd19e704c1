"""Implied volatility over expiries, deltas and time, and open interest."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from entasis_db.queries.checks import check_aware, check_range, check_span
from entasis_db.queries.rows import Computed
from entasis_db.queries.statement import Statement, statement_of

_DAY = timedelta(days=1)
_MONTH = timedelta(days=30)
_YEAR = timedelta(days=365)


class ExpiryIv(NamedTuple):
    """The implied volatility at the money of one expiry."""

    expiry_date: datetime
    """When its contracts expire."""
    years: Computed
    """From the moment to the expiry, in years of 365 days."""
    atm_iv: Computed | None
    """Implied volatility at moneyness 1, a fraction per year. None: no quotes bracket it."""


class RiskReversal(NamedTuple):
    """Risk reversal and butterfly of one expiry; fractions per year."""

    expiry_date: datetime
    """When its contracts expire."""
    years: Computed
    """From the moment to the expiry, in years of 365 days."""
    call_iv: Computed | None
    """Implied volatility at a call's delta of wing_delta. None: no two calls bracket it."""
    put_iv: Computed | None
    """Implied volatility at a put's delta of -wing_delta. None: no two puts bracket it."""
    atm_iv: Computed | None
    """Implied volatility at moneyness 1. None: no quotes bracket it."""
    risk_reversal: Computed | None
    """call_iv - put_iv. None where one of them is."""
    butterfly: Computed | None
    """(call_iv + put_iv) / 2 - atm_iv. None where one of them is."""


class PutCallOpenInterest(NamedTuple):
    """How much is open of the calls and of the puts of one expiry."""

    expiry_date: datetime
    """When its contracts expire."""
    contracts: int
    """How many contracts have a quote with an open interest."""
    call_open_interest: Computed | None
    """Of all calls, in the venue's contracts. None: no call has one."""
    put_open_interest: Computed | None
    """Of all puts, in the venue's contracts. None: no put has one."""
    put_call_ratio: Computed | None
    """put_open_interest / call_open_interest. None where one of them is, or no call is open."""


class DailyIv(NamedTuple):
    """The implied volatility at the money of one length of time ahead, at the end of one day."""

    day: datetime
    """Beginning of the day, of UTC."""
    iv: Computed | None
    """As known at the last microsecond of the day, or now; a fraction per year. None: no expiries
    with a volatility at the money bracket the tenor."""


class IvRank(NamedTuple):
    """Where implied volatility stands among that of the days before."""

    iv: Computed | None
    """That at the moment asked; a fraction per year. None: as DailyIv's."""
    low: Computed | None
    """The least of it and of the days'. None: none of them is known."""
    high: Computed | None
    """The greatest of it and of the days'. None: none of them is known."""
    day_count: int
    """How many days of the lookback have one."""
    rank: Computed | None
    """(iv - low) / (high - low), from 0 to 1. None: iv is, or no day has one, or low is high."""
    percentile: Computed | None
    """Share of the days whose volatility was below iv, from 0 to 1. None: iv is, or no day has
    one."""


def iv_term_structure(
    underlying: str, at: datetime, max_age: timedelta = _DAY
) -> Statement[ExpiryIv]:
    """Implied volatility at the money of each expiry, as known at one moment, by expiry_date.

    A row for each expiry after ``at`` with a quote in (at - max_age, at] whose implied volatility
    is above 0. Linear in moneyness between the nearest strikes on both sides of moneyness 1, each
    with the option that is out of the money where there is one.
    """
    check_aware("at", at)
    check_span("max_age", max_age)
    return statement_of(
        __name__, "iv_term_structure", ExpiryIv, underlying=underlying, at=at, max_age=max_age
    )


def risk_reversals(
    underlying: str,
    at: datetime,
    max_age: timedelta = _DAY,
    wing_delta: Decimal = Decimal("0.25"),
) -> Statement[RiskReversal]:
    """Risk reversal and butterfly of each expiry, as known at one moment, by expiry_date.

    Rows as of iv_term_structure. Linear in delta between the two quotes of a type whose deltas, as
    the source states them, bracket ``wing_delta``, which is above 0 and below 1: else ValueError.
    """
    check_aware("at", at)
    check_span("max_age", max_age)
    if not 0 < wing_delta < 1:
        raise ValueError(f"wing_delta is {wing_delta}: give one between 0 and 1, such as 0.25")
    return statement_of(
        __name__,
        "risk_reversals",
        RiskReversal,
        underlying=underlying,
        at=at,
        max_age=max_age,
        wing_delta=wing_delta,
    )


def put_call_open_interest(
    underlying: str, at: datetime, max_age: timedelta = _DAY
) -> Statement[PutCallOpenInterest]:
    """Open interest of calls and puts by expiry, as known at one moment, by expiry_date.

    Of each contract that expires after ``at``, the newest quote in (at - max_age, at] that has an
    open interest.
    """
    check_aware("at", at)
    check_span("max_age", max_age)
    return statement_of(
        __name__,
        "put_call_open_interest",
        PutCallOpenInterest,
        underlying=underlying,
        at=at,
        max_age=max_age,
    )


def iv_history(
    underlying: str,
    from_time: datetime,
    to_time: datetime,
    tenor: timedelta = _MONTH,
    max_age: timedelta = _DAY,
) -> Statement[DailyIv]:
    """Implied volatility at the money ``tenor`` ahead, by day.

    A row for each day of UTC that begins in [from_time, to_time) and has begun. Total variance of
    iv_term_structure is linear in time between the two expiries that bracket the tenor. Each day
    costs what one iv_term_structure does.
    """
    check_range(from_time, to_time)
    check_span("tenor", tenor)
    check_span("max_age", max_age)
    return statement_of(
        __name__,
        "iv_history",
        DailyIv,
        underlying=underlying,
        from_time=from_time,
        to_time=to_time,
        tenor=tenor,
        max_age=max_age,
    )


def iv_rank(
    underlying: str,
    at: datetime,
    lookback: timedelta = _YEAR,
    tenor: timedelta = _MONTH,
    max_age: timedelta = _DAY,
) -> Statement[IvRank]:
    """Rank and percentile of implied volatility among that of the days before: one row.

    The days are those of iv_history that began at ``at - lookback`` or later and ended by ``at``.
    """
    check_aware("at", at)
    check_span("lookback", lookback)
    check_span("tenor", tenor)
    check_span("max_age", max_age)
    return statement_of(
        __name__,
        "iv_rank",
        IvRank,
        underlying=underlying,
        at=at,
        lookback=lookback,
        tenor=tenor,
        max_age=max_age,
    )
