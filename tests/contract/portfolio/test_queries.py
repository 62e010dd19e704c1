"""Queries of portfolios: the newest snapshot of each position, for its own user."""

from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from hypothesis import given
from hypothesis import strategies as st

from entasis_db import queries
from tests.conftest import Login
from tests.contract.queries.support import (
    DAY,
    MARCH,
    NUMBERS,
    OTHER,
    SECOND,
    USER,
    Session,
    example,
    score_times,
    sessions,
    snapshot,
    tied,
)
from tests.make import insert


@given(
    drawn=tied(score_times).flatmap(
        lambda some: st.lists(
            st.tuples(
                st.sampled_from((USER, USER, OTHER)),
                st.sampled_from(("BTC", "btc", "Ä")),
                some,
            ),
            min_size=6,
            max_size=16,
            unique=True,
        )
    ),
    session=sessions,
)
def test_a_portfolio_is_the_newest_snapshot_of_each_position(
    months_connection: psycopg.Connection[Any],
    drawn: list[tuple[UUID, str, datetime]],
    session: Session,
) -> None:
    snapshots = [snapshot(n, *row) for n, row in zip(NUMBERS, drawn, strict=False)]
    with example(months_connection, session):
        insert(months_connection, "portfolio_status", snapshots)
        own = sorted((s for s in snapshots if s.user_id == USER), key=lambda s: (s.timestamp, s.id))
        newest = {s.asset_type: s for s in own}
        expected = [newest[asset] for asset in sorted(newest)]
        assert queries.portfolio(USER).fetch(months_connection) == expected
        width = 40 * SECOND
        bounds = {MARCH, *(s.timestamp for s in own), *(s.timestamp - width for s in own)}
        for start in bounds:
            end = start + width
            found = queries.pnl_history(USER, start, end).fetch(months_connection)
            assert found == [s for s in own if start <= s.timestamp < end]


def test_a_mapped_login_sees_its_own_positions_only(
    connection: psycopg.Connection[Any], login: Login
) -> None:
    insert(
        connection,
        "portfolio_status",
        [snapshot(1, USER, "BTC", MARCH), snapshot(2, OTHER, "ETH", MARCH)],
    )
    reader = login("entasis_reader")
    history = queries.pnl_history(OTHER, MARCH, MARCH + DAY)
    connection.execute("INSERT INTO entasis.user_logins VALUES (%s, %s)", (reader.info.user, USER))
    assert [s.id for s in queries.portfolio(USER).fetch(reader)] == [1]
    assert queries.portfolio(OTHER).fetch(reader) == []
    assert history.fetch(reader) == []
    assert [s.id for s in history.fetch(connection)] == [2]
