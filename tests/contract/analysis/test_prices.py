"""Prices at given moments, compared with plain Python and with pandas."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from entasis_db import analysis
from entasis_db.analysis import PriceAsOf
from entasis_db.queries import Trade
from tests import oracle
from tests.contract.queries.support import (
    DAY,
    HOUR,
    MARCH,
    MARKET,
    MINUTE,
    SECOND,
    Session,
    example,
    in_order,
    insert_trades,
    scenes,
    sessions,
    trade,
)
from tests.db import Connection, ensure, fire_no_triggers
from tests.engines import Database
from tests.make import MICROSECOND, D, months_ago

pytestmark = [pytest.mark.newest_server, pytest.mark.native_speed]

FOREVER = datetime(9999, 12, 31, tzinfo=UTC)


def counted(trades: Sequence[Trade]) -> list[Trade]:
    return [t for t in in_order(trades) if t.excluded is None]


def last_trade(trades: Sequence[Trade], moment: datetime | None, age: timedelta) -> Trade | None:
    """Find the last trade by the moment, by reading all that are counted, in order."""
    if moment is None or moment > datetime.now(UTC):
        return None
    ago = moment.astimezone(UTC) - age
    found = [t for t in counted(trades) if ago < t.timestamp <= moment]
    return found[-1] if found else None


def expected(
    trades: Sequence[Trade], moments: Sequence[datetime | None], age: timedelta
) -> list[PriceAsOf]:
    rows = []
    for number, moment in enumerate(moments, 1):
        last = last_trade(trades, moment, age)
        told = (last.price, last.timestamp, last.id) if last else (None, None, None)
        rows.append(PriceAsOf(number, moment, *told))
    return rows


@given(
    scene=scenes,
    excluded=st.sets(st.integers(0, 19)),
    age=st.sampled_from((MICROSECOND, 30 * SECOND, MINUTE, HOUR, DAY, 40 * DAY)),
    session=sessions,
)
def test_prices_are_those_of_the_last_trade_by_then(
    months_connection: Connection,
    scene: tuple[datetime, list[Trade]],
    excluded: set[int],
    age: timedelta,
    session: Session,
) -> None:
    anchor, trades = scene
    trades = [t._replace(excluded="block") if n in excluded else t for n, t in enumerate(trades)]
    with example(months_connection, session):
        insert_trades(months_connection, trades)
        edges = [t.timestamp + step for t in trades for step in (-MICROSECOND, 0 * MINUTE, age)]
        # in no order, twice, without a time, in the future
        moments = [*edges[::-1], anchor, None, anchor, anchor - 30 * DAY, FOREVER]
        found = analysis.prices_asof(*MARKET, moments, age).fetch(months_connection)
        assert found == expected(trades, moments, age)


def test_prices_equal_those_of_pandas(months_connection: Connection) -> None:
    with example(months_connection):
        trades = [trade(MARCH + n * n * SECOND, n, D(100 + n * 37 % 11)) for n in range(1, 60)]
        insert_trades(months_connection, trades)
        moments = [MARCH + n * 7 * SECOND for n in range(520)]
        found = analysis.prices_asof(*MARKET, moments, 50 * SECOND).pandas(months_connection)
        merged = pd.merge_asof(
            pd.DataFrame({"moment": pd.to_datetime(moments)}),
            pd.DataFrame({"at": [t.timestamp for t in trades], "id": [t.id for t in trades]}),
            left_on="moment",
            right_on="at",
            # pandas' tolerance is included, ours is not
            tolerance=pd.Timedelta(50 * SECOND - MICROSECOND),
        )
        ids = [None if pd.isna(one) else int(one) for one in merged["id"]]
        assert None in ids
        assert [None if pd.isna(one) else int(one) for one in found["trade_id"]] == ids


def test_the_last_of_several_trades_in_one_microsecond_counts(
    months_connection: Connection,
) -> None:
    with example(months_connection):
        insert_trades(
            months_connection,
            [trade(MARCH, 2, D(20)), trade(MARCH, 10, D(7)), trade(MARCH, 9, D(90))],
        )
        (row,) = analysis.prices_asof(*MARKET, [MARCH]).fetch(months_connection)
        assert row == PriceAsOf(1, MARCH, D(7), MARCH, 10)


def test_infinite_moments_and_no_moments(months_connection: Connection) -> None:
    with example(months_connection):
        insert_trades(months_connection, [trade(MARCH, 1)])
        rows = months_connection.execute(
            "SELECT number, price FROM entasis.prices_asof(%s, %s, ARRAY["
            "'infinity', '-infinity', NULL]::timestamptz[]) ORDER BY number",
            MARKET,
        ).fetchall()
        assert rows == [(1, None), (2, None), (3, None)]
        assert analysis.prices_asof(*MARKET, []).fetch(months_connection) == []
        assert analysis.prices_asof("NONE", "x", [MARCH]).fetch(months_connection) == [
            PriceAsOf(1, MARCH, None, None, None)
        ]


def test_mistaken_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match=r"moments\[1\] is .*, without a time zone"):
        analysis.prices_asof(*MARKET, [MARCH, MARCH.replace(tzinfo=None)])
    with pytest.raises(ValueError, match="max_age is 0:00:00"):
        analysis.prices_asof(*MARKET, [MARCH], timedelta(0))


def test_below_the_floor_of_trades_no_price_is_wrong(connection: Connection) -> None:
    """A minute's last trade is known from its candle, the ones before it are not."""
    old, new = months_ago(4), months_ago(3)
    ensure(connection, "market_data", old, new + DAY)
    trades = [trade(old + n * 20 * SECOND, n, D(100 + n)) for n in (0, 1, 2, 4)] + [
        trade(new + HOUR, 9, D(300))
    ]
    insert_trades(connection, trades)
    oracle.refresh(connection)
    at = [
        old + 30 * SECOND,  # a minute goes on: its trades are needed
        old + 50 * SECOND,
        old + 70 * SECOND,  # between two
        old + 10 * MINUTE,
        new + HOUR - SECOND,
        new + HOUR,
    ]
    before = analysis.prices_asof(*MARKET, at, 60 * DAY).fetch(connection)
    assert [row.price for row in before] == [101, 102, 102, 104, 104, 300]
    connection.execute("UPDATE entasis.floors SET floor = %s WHERE relation = 'market_data'", [new])
    # nothing is dropped yet: the candle counts as many as are there
    assert analysis.prices_asof(*MARKET, at, 60 * DAY).fetch(connection) == before
    delete_below(connection, old + 35 * SECOND)
    after = analysis.prices_asof(*MARKET, at, 60 * DAY).fetch(connection)
    assert [row.price for row in after] == [None, 102, 102, 104, 104, 300]


def delete_below(connection: Connection, before: datetime) -> None:
    """Take trades away without their candles noticing, as a drop does."""
    with connection.transaction():
        fire_no_triggers(connection)
        connection.execute("DELETE FROM entasis.market_data WHERE timestamp < %s", [before])


def test_below_the_floor_of_candles_there_is_no_price(connection: Connection) -> None:
    old = months_ago(4)
    ensure(connection, "market_data", old, old + DAY)
    insert_trades(connection, [trade(old + HOUR, 1, D(100))])
    oracle.refresh(connection)
    at = [old + 2 * HOUR]
    assert analysis.prices_asof(*MARKET, at).fetch(connection)[0].price == 100
    connection.execute("UPDATE entasis.floors SET floor = %s", [old + DAY])
    assert analysis.prices_asof(*MARKET, at).fetch(connection)[0].price is None


def test_on_either_side_of_what_is_refreshed(connection: Connection, database: Database) -> None:
    """Where candles follow later, a late trade counts at once all the same."""
    ensure(connection, "market_data", MARCH, MARCH + DAY)
    insert_trades(connection, [trade(MARCH + HOUR, 1, D(1)), trade(MARCH + 3 * HOUR, 2, D(3))])
    oracle.refresh(connection)
    insert_trades(connection, [trade(MARCH + 2 * HOUR, 3, D(2)), trade(MARCH + 4 * HOUR, 4, D(4))])
    at = [MARCH + n * HOUR + 30 * MINUTE for n in range(1, 5)]
    found = analysis.prices_asof(*MARKET, at).fetch(connection)
    assert [row.price for row in found] == [1, 2, 3, 4]
