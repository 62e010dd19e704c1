"""Queries of trades: ranges and latest prices, compared with plain Python."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from entasis_db import queries
from entasis_db.queries import (
    Trade,
)
from tests.contract.queries.support import (
    HOUR,
    MARKET,
    MINUTE,
    Session,
    example,
    in_order,
    insert_trades,
    scenes,
    sessions,
)
from tests.make import MICROSECOND

pytestmark = [pytest.mark.newest_server, pytest.mark.native_speed]


@given(
    scene=scenes,
    width=st.sampled_from((MICROSECOND, MINUTE, HOUR, 30 * HOUR)),
    limit=st.none() | st.integers(1, 4),
    session=sessions,
)
def test_trades_are_those_of_the_range_in_order(
    months_connection: psycopg.Connection[Any],
    scene: tuple[datetime, list[Trade]],
    width: timedelta,
    limit: int | None,
    session: Session,
) -> None:
    anchor, trades = scene
    with example(months_connection, session):
        insert_trades(months_connection, trades)
        # bounds that trades lie on exactly, and bounds as a caller in that zone would give them
        bounds = {anchor, *(t.timestamp for t in trades), *(t.timestamp - width for t in trades)}
        for start in bounds:
            end = start + width
            found = queries.trades(
                *MARKET,
                start.astimezone(ZoneInfo(session.zone)),
                end.astimezone(ZoneInfo(session.zone)),
                limit,
            ).fetch(months_connection)
            assert found == [t for t in in_order(trades) if start <= t.timestamp < end][:limit]


@given(scene=scenes, session=sessions)
def test_the_latest_price_is_the_newest_trade(
    months_connection: psycopg.Connection[Any],
    scene: tuple[datetime, list[Trade]],
    session: Session,
) -> None:
    _, trades = scene
    with example(months_connection, session):
        insert_trades(months_connection, trades)
        known = sorted({(t.symbol, t.exchange) for t in trades})
        newest = [in_order(trades, market)[-1] for market in known]
        assert queries.latest_prices().fetch(months_connection) == newest
        for market, last in zip(known, newest, strict=True):
            assert queries.latest_price(*market).fetch(months_connection) == [last]
        assert queries.latest_price("NONE", "nowhere").one(months_connection) is None
