"""Queries of option quotes: chains, smiles and histories, compared with plain Python."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, get_args
from zoneinfo import ZoneInfo

import psycopg
from hypothesis import given
from hypothesis import strategies as st

from entasis_db import queries
from entasis_db.queries import (
    OptionExpiry,
    OptionQuote,
    OptionType,
    SmilePoint,
)
from tests.contract.queries.support import DAY, HOUR, MARCH, Session, example, quote, sessions, tied
from tests.engines import Database
from tests.make import MICROSECOND, insert_quotes

# around the change of a month, with a few ties
quote_times = st.builds(
    lambda hours, edge: MARCH + hours * HOUR + edge,
    st.integers(-30, 30),
    st.sampled_from((timedelta(0), MICROSECOND, -MICROSECOND)),
)

EARLY = MARCH + 6 * HOUR

expiries = st.sampled_from((EARLY, MARCH + 28 * DAY))


def contract(q: OptionQuote) -> tuple[datetime, Decimal, OptionType]:
    return (q.expiry_date, q.strike_price, q.option_type)


def point_of(q: OptionQuote) -> SmilePoint:
    assert q.iv is not None
    return SmilePoint(
        *(q.expiry_date, q.strike_price, q.option_type, q.iv, q.bid_iv, q.ask_iv),
        q.underlying_price,
        q.strike_price / q.underlying_price if q.underlying_price else None,
        q.delta,
        *(q.timestamp, q.id),  # type: ignore[arg-type]
    )


some_quotes = tied(quote_times).flatmap(
    lambda some: st.lists(
        st.builds(
            quote,
            some,
            st.integers(1, 5),
            st.sampled_from(("BTC", "BTC", "BTC", "ETH")),
            expiries,
            st.sampled_from((900, 1000)),  # in the order of numbers, not of letters
            st.sampled_from(get_args(OptionType)),
            st.sampled_from((None, Decimal("0.65"), Decimal(0))),
            underlying_price=st.sampled_from((None, Decimal(1000), Decimal(800), Decimal(0))),
        ),
        min_size=8,
        max_size=24,
        unique_by=lambda q: (q.underlying, *contract(q), q.timestamp, q.id),
    )
)


@given(
    quotes=some_quotes,
    at=quote_times,
    max_age=st.sampled_from((MICROSECOND, HOUR, DAY, 40 * DAY)),
    session=sessions,
)
def test_an_option_chain_is_the_newest_quote_of_every_living_contract(
    months_connection: psycopg.Connection[Any],
    quotes: list[OptionQuote],
    at: datetime,
    max_age: timedelta,
    session: Session,
) -> None:
    with example(months_connection, session):
        insert_quotes(months_connection, *quotes)
        # moments that an expiry, quotes and the far end of their age lie on exactly
        moments = {at, EARLY, *(q.timestamp for q in quotes)}
        for moment in moments | {q.timestamp + max_age for q in quotes}:
            fresh = sorted(
                (
                    q
                    for q in quotes
                    if q.underlying == "BTC" and moment - max_age < q.timestamp <= moment
                ),
                key=lambda q: (q.timestamp, q.id),
            )
            chain = {contract(q): q for q in fresh if q.expiry_date > moment}
            found = queries.option_chain("BTC", moment, max_age).fetch(months_connection)
            assert found == [chain[key] for key in sorted(chain)]
            living: dict[datetime, list[datetime]] = {}
            for q in chain.values():
                living.setdefault(q.expiry_date, []).append(q.timestamp)
            listed = queries.option_expiries("BTC", moment, max_age).fetch(months_connection)
            assert listed == [
                OptionExpiry(expiry, len(living[expiry]), max(living[expiry]))
                for expiry in sorted(living)
            ]
            for expiry in {q.expiry_date for q in quotes}:
                smile = {
                    contract(q)[1:]: q
                    for q in fresh
                    if q.expiry_date == expiry and q.iv is not None
                }
                points = queries.iv_smile("BTC", expiry, moment, max_age).fetch(months_connection)
                assert points == [point_of(smile[key]) for key in sorted(smile)]


def test_a_smile_of_a_date_is_that_of_its_expiries(months: Database) -> None:
    """Moments: at 8:00, at both ends of the UTC day, and the last of the day in New York."""
    day = date(2024, 3, 15)
    begin = datetime(2024, 3, 15, tzinfo=UTC)
    expiries = [
        begin - MICROSECOND,
        begin,
        begin + 8 * HOUR,
        begin + DAY - MICROSECOND,
        begin + DAY,
        begin + 28 * HOUR - MICROSECOND,
    ]
    quotes = [quote(MARCH, expiry=e, underlying_price=Decimal(48000)) for e in expiries]
    points = list(map(point_of, quotes))
    assert {point.moneyness for point in points} == {Decimal("1.25")}
    with months.connect() as connection, example(connection, Session("America/New_York")):
        insert_quotes(connection, *quotes)

        def smile(expiry: date, **zone: Any) -> list[SmilePoint]:
            return queries.iv_smile("BTC", expiry, MARCH + HOUR, **zone).fetch(connection)

        assert smile(day) == points[1:4]
        assert smile(day, zone=ZoneInfo("America/New_York")) == points[2:]
        for moment, point in zip(expiries, points, strict=True):
            assert smile(moment) == [point]
            assert smile(moment.astimezone(ZoneInfo("Asia/Tokyo"))) == [point]
        assert smile(begin + MICROSECOND) == []


def test_a_day_of_a_chain_has_24_hours_when_the_sessions_day_has_23(
    months: Database,
) -> None:
    # New York's clock jumped at 07:00 UTC on 10 March
    at = datetime(2024, 3, 10, 12, tzinfo=UTC)
    with months.connect() as connection, example(connection, Session("America/New_York")):
        insert_quotes(connection, *[quote(at - DAY + MICROSECOND), quote(at - DAY, strike=1)])
        local = at.astimezone(ZoneInfo("America/New_York"))
        for moment in (at, local):
            (found,) = queries.option_chain("BTC", moment).fetch(connection)
            assert found.timestamp == at - DAY + MICROSECOND
            (listed,) = queries.option_expiries("BTC", moment).fetch(connection)
            assert (listed.contracts, listed.last_quote) == (1, at - DAY + MICROSECOND)
            (point,) = queries.iv_smile("BTC", MARCH + 28 * DAY, moment).fetch(connection)
            assert point.timestamp == at - DAY + MICROSECOND


@given(quotes=some_quotes, from_time=quote_times, session=sessions)
def test_an_options_history_is_its_quotes_in_order(
    months_connection: psycopg.Connection[Any],
    quotes: list[OptionQuote],
    from_time: datetime,
    session: Session,
) -> None:
    with example(months_connection, session):
        insert_quotes(months_connection, *quotes)
        bounds = {from_time, *(q.timestamp for q in quotes), *(q.timestamp - DAY for q in quotes)}
        for start in bounds:
            for key in {contract(q) for q in quotes}:
                expiry, strike, option_type = key
                found = queries.option_history(
                    "BTC",
                    expiry,
                    strike,
                    option_type,
                    start,
                    start + DAY,
                ).fetch(months_connection)
                assert found == sorted(
                    (
                        q
                        for q in quotes
                        if q.underlying == "BTC"
                        and contract(q) == key
                        and start <= q.timestamp < start + DAY
                    ),
                    key=lambda q: (q.timestamp, q.id),
                )
