"""Queries of candles: every interval, gaps filled, and VWAP, compared with plain Python."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal, Inexact, localcontext
from typing import Any

import psycopg
from hypothesis import given
from hypothesis import strategies as st

from entasis_db import queries
from entasis_db.queries import (
    INTERVALS,
    Candle,
    Interval,
    Trade,
)
from tests.contract.queries.support import (
    DAY,
    HOUR,
    MARCH,
    MARKET,
    MINUTE,
    STEPS,
    Session,
    bucket_of,
    example,
    in_order,
    insert_trades,
    scenes,
    sessions,
    trade,
)
from tests.make import MICROSECOND


def next_bucket(interval: Interval, bucket: datetime) -> datetime:
    if interval == "1mo":
        return (bucket + 31 * DAY).replace(day=1)
    return bucket + STEPS[interval]


def expected_candles(
    trades: Sequence[Trade],
    interval: Interval,
    from_time: datetime,
    to_time: datetime,
    fill_gaps: bool,
) -> list[Candle]:
    groups: dict[datetime, list[Trade]] = {}
    for t in in_order(trades):
        groups.setdefault(bucket_of(interval, t.timestamp), []).append(t)
    bucket = bucket_of(interval, from_time)
    if bucket < from_time:
        bucket = next_bucket(interval, bucket)
    earlier = [t.price for t in in_order(trades) if t.timestamp < bucket]
    close = earlier[-1] if earlier else None
    candles = []
    while bucket < to_time:
        if group := groups.get(bucket):
            prices = [t.price for t in group]
            first, last = group[0], group[-1]
            close = last.price
            with localcontext(prec=200):
                quote_volume = sum((t.price * t.volume for t in group), Decimal(0))
                candles.append(
                    Candle(
                        *MARKET,
                        bucket,
                        first.price,
                        max(prices),
                        min(prices),
                        last.price,
                        sum((t.volume for t in group), Decimal(0)),
                        quote_volume,
                        len(group),
                        first.timestamp,
                        first.id,
                        last.timestamp,
                        last.id,
                        turnover=quote_volume,
                    )
                )
        elif fill_gaps and close is not None:
            zero = Decimal(0)
            prices = [close] * 4
            flat = Candle(*MARKET, bucket, *prices, zero, zero, 0, None, None, None, None, zero)
            candles.append(flat)
        bucket = next_bucket(interval, bucket)
    return candles


@given(
    scene=scenes,
    edge=st.sampled_from((timedelta(0), MICROSECOND, -MICROSECOND, MINUTE)),
    before=st.integers(0, 6),
    after=st.integers(1, 6),
    fill_gaps=st.booleans(),
    session=sessions,
)
def test_candles_are_what_their_trades_come_to(
    months_connection: psycopg.Connection[Any],
    scene: tuple[datetime, list[Trade]],
    edge: timedelta,
    before: int,
    after: int,
    fill_gaps: bool,
    session: Session,
) -> None:
    anchor, trades = scene
    with example(months_connection, session):
        months_connection.execute('SELECT entasis.set_market(%s, %s, \'{"kind": "spot"}\')', MARKET)
        insert_trades(months_connection, trades)
        for interval in INTERVALS:
            step = STEPS.get(interval, 31 * DAY)
            # a few buckets on each side, and for short ones so far that trades are among them
            start, end = anchor - before * step + edge, anchor + after * step + edge
            found = queries.candles(*MARKET, interval, start, end, fill_gaps).fetch(
                months_connection
            )
            assert found == expected_candles(trades, interval, start, end, fill_gaps), interval


def test_gaps_are_filled_up_to_the_present_only(connection: psycopg.Connection[Any]) -> None:
    row = connection.execute("SELECT date_trunc('hour', now(), 'UTC')").fetchone()
    assert row is not None
    this_hour: datetime = row[0]
    last = this_hour - 3 * HOUR
    connection.execute(
        "SELECT entasis.ensure_partitions('market_data', %s, %s)", (last, this_hour + HOUR)
    )
    insert_trades(connection, [trade(last, 1)])
    filled = queries.candles(*MARKET, "1h", last - DAY, this_hour + DAY, fill_gaps=True)
    found = [candle.bucket for candle in filled.fetch(connection)]
    assert found[:4] == [last + n * HOUR for n in range(4)]
    assert found[4:] in ([], [last + 4 * HOUR])  # the clock may have struck in between


def test_vwap_is_one_quotient_of_34_digits_whatever_the_context() -> None:
    def candle(volume: Decimal, quote_volume: Decimal) -> Candle:
        one = Decimal(1)
        return Candle(*MARKET, MARCH, one, one, one, one, volume, quote_volume, 1, None, 1, None, 1)

    third = candle(Decimal(3), Decimal(1))
    with localcontext(prec=3) as context:
        context.traps[Inexact] = True
        assert third.vwap == Decimal("0." + 34 * "3")
    assert candle(Decimal(0), Decimal(0)).vwap is None
    assert candle(Decimal("0.000000000001"), Decimal("1E-24")).vwap == Decimal("1E-12")
