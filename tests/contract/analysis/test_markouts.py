"""Moves after trades and predictions, and two markets beside each other, compared with Python."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entasis_db import analysis, queries
from entasis_db.errors import QueryError
from entasis_db.model import Prediction, Trade
from tests.contract.analysis.test_prices import FOREVER, counted, last_trade
from tests.contract.queries.support import (
    DAY,
    HOUR,
    MARCH,
    MARKET,
    MINUTE,
    SECOND,
    example,
    insert_trades,
    prediction,
    scenes,
    trade,
)
from tests.db import Connection
from tests.make import D, insert

pytestmark = [pytest.mark.newest_server, pytest.mark.native_speed]

HORIZONS = [SECOND, MINUTE, HOUR, timedelta(0)]
OTHER = ("ETHUSDT", "binance-spot")


def close_to(found: Decimal | None, expected: Decimal | None) -> bool:
    """Compare to the 24 decimals that are promised."""
    if found is None or expected is None:
        return found is expected
    return abs(found - expected) <= D("1e-24")


def sided(trades: Sequence[Trade]) -> list[Trade]:
    """Give trades a side, none, or a reason why they do not count."""
    return [
        t._replace(side=("buy", "sell", None)[n % 3], excluded="block" if n % 5 == 4 else None)
        for n, t in enumerate(trades)
    ]


@given(scene=scenes, age=st.sampled_from((MINUTE, DAY)))
def test_a_trade_is_followed_by_what_was_the_price_then(
    months_connection: Connection, scene: tuple[datetime, list[Trade]], age: timedelta
) -> None:
    anchor, trades = scene[0], sided(scene[1])
    with example(months_connection):
        insert_trades(months_connection, trades)
        statement = analysis.trade_markouts(*MARKET, HORIZONS, anchor - DAY, anchor + DAY, age)
        found = statement.fetch(months_connection)
        asked = [t for t in counted(trades) if anchor - DAY <= t.timestamp < anchor + DAY]
        assert [(row.timestamp, row.id, row.horizon) for row in found] == [
            (t.timestamp, t.id, h) for t in asked for h in sorted(HORIZONS)
        ]
        by_key = {(t.timestamp, t.id): t for t in asked}
        for row in found:
            made = by_key[row.timestamp, row.id]
            assert (row.side, row.price, row.volume) == (made.side, made.price, made.volume)
            assert row.moment == row.timestamp + row.horizon
            then = last_trade(trades, row.moment, age)
            assert row.price_then == (then and then.price)
            assert row.traded_at == (then and then.timestamp)
            move = then.price - made.price if then else None
            assert row.move == move
            sign = {"buy": 1, "sell": -1, None: None}[made.side]
            markout = None if sign is None or move is None else sign * move
            assert row.markout == markout
            with localcontext(prec=60):
                expected = None if markout is None else markout / made.price
            assert close_to(row.markout_return, expected)


def test_what_is_still_to_come_and_prices_at_zero_have_no_return(
    months_connection: Connection,
) -> None:
    with example(months_connection):
        months_connection.execute(
            'SELECT entasis.set_market(%s, %s, \'{"kind": "spread"}\')', MARKET
        )
        insert_trades(
            months_connection,
            [
                trade(MARCH, 1, D(-2))._replace(side="buy"),
                trade(MARCH + SECOND, 2, D(3))._replace(side="sell"),
            ],
        )
        statement = analysis.trade_markouts(
            *MARKET, [SECOND, FOREVER - MARCH], MARCH, MARCH + MINUTE
        )
        told = [row[7:] for row in statement.fetch(months_connection)]
        assert told == [
            (D(3), MARCH + SECOND, D(5), D(5), None),
            (None, None, None, None, None),
            (D(3), MARCH + SECOND, D(0), D(0), D(0)),
            (None, None, None, None, None),
        ]


@given(
    scene=scenes,
    values=st.lists(
        st.sampled_from([D(v) for v in ("-1", "0", "0.5", "70000")]), min_size=4, max_size=4
    ),
)
def test_a_prediction_is_followed_by_what_was_the_price_then(
    months_connection: Connection, scene: tuple[datetime, list[Trade]], values: list[Decimal]
) -> None:
    anchor, trades = scene[0], sided(scene[1])
    types = ("price", "return", "direction", "own")
    made: list[Prediction] = [
        prediction(n, anchor + (n - 2) * MINUTE, None, kind, value)
        for n, (kind, value) in enumerate(zip(types, values, strict=True), 1)
    ]
    with example(months_connection):
        insert_trades(months_connection, trades)
        insert(months_connection, "predictions", made)
        statement = analysis.prediction_markouts("m", *MARKET, HORIZONS, anchor - DAY, anchor + DAY)
        found = statement.fetch(months_connection)
        assert [(row.id, row.horizon) for row in found] == [
            (p.id, h) for p in made for h in sorted(HORIZONS)
        ]
        for row in found:
            p = made[row.id - 1]
            base, then = (last_trade(trades, at, DAY) for at in (p.timestamp, row.moment))
            assert row.price == (base and base.price)
            assert row.price_then == (then and then.price)
            predicted: Decimal | None = p.predicted_value
            if p.prediction_type == "price":
                predicted = p.predicted_value - base.price if base else None
            elif p.prediction_type == "own":
                predicted = None
            direction = None if predicted is None else (predicted > 0) - (predicted < 0)
            assert row.direction == direction
            move = then.price - base.price if then and base else None
            assert row.move == move
            markout = None if move is None or direction is None else direction * move
            assert row.markout == markout
            with localcontext(prec=60):
                expected = markout / base.price if base and markout is not None else None
            assert close_to(row.markout_return, expected)


@given(scene=scenes, interval=st.sampled_from(("1m", "5m", "1h", "1d")))
def test_two_markets_beside_each_other(
    months_connection: Connection, scene: tuple[datetime, list[Trade]], interval: queries.Interval
) -> None:
    anchor, trades = scene[0], sided(scene[1])
    with example(months_connection):
        insert_trades(months_connection, trades)
        start, end = anchor - 4 * DAY, anchor + 4 * DAY
        own, other = (
            {
                c.bucket: c
                for c in queries.candles(*m, interval, start, end).fetch(months_connection)
            }
            for m in (MARKET, OTHER)
        )
        found = analysis.basis(*MARKET, *OTHER, interval, start, end).fetch(months_connection)
        assert [row.bucket for row in found] == sorted(own.keys() & other.keys())
        for row in found:
            a, b = own[row.bucket], other[row.bucket]
            assert (row.price, row.other_price, row.spread) == (a.close, b.close, a.close - b.close)
            assert (row.traded_at, row.other_traded_at) == (a.closed_at, b.closed_at)
            with localcontext(prec=60):
                assert close_to(row.basis, (a.close - b.close) / b.close)
        moments = [anchor + n * MINUTE for n in (3, -70, 0)]
        asof = analysis.basis_asof(*MARKET, *OTHER, moments).fetch(months_connection)
        assert [row.moment for row in asof] == moments
        # as if they were of the market that the oracle reads
        symbol, exchange = MARKET
        others = [
            t._replace(symbol=symbol, exchange=exchange)
            for t in trades
            if (t.symbol, t.exchange) == OTHER
        ]
        for at in asof:
            x = last_trade(trades, at.moment, DAY)
            y = last_trade(
                [t._replace(symbol=MARKET[0], exchange=MARKET[1]) for t in others], at.moment, DAY
            )
            assert (at.price, at.other_price) == (x and x.price, y and y.price)
            assert at.spread == (x.price - y.price if x and y else None)
            with localcontext(prec=60):
                assert close_to(at.basis, (x.price - y.price) / y.price if x and y else None)


def test_mistaken_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="horizons has -1 day"):
        analysis.trade_markouts(*MARKET, [-HOUR], MARCH, MARCH + DAY)
    with pytest.raises(QueryError, match="there are no candles of '7m'"):
        analysis.basis(*MARKET, *OTHER, "7m", MARCH, MARCH + DAY)  # type: ignore[arg-type]
