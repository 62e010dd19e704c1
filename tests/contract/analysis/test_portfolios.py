"""Profit and loss, exposure and drawdown of portfolios, compared with plain Python."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from entasis_db import analysis, queries
from entasis_db.acting import acting_for
from entasis_db.analysis import Drawdown, Exposure, PnlPoint
from entasis_db.queries import PositionSnapshot, Statement
from tests.conftest import Login
from tests.contract.queries.support import (
    DAY,
    HOUR,
    MARCH,
    OTHER,
    USER,
    Session,
    example,
    score_times,
    sessions,
    snapshot,
    tied,
)
from tests.db import Connection
from tests.make import MICROSECOND, D, insert

pytestmark = [pytest.mark.newest_server, pytest.mark.native_speed]


def held(snapshots: Sequence[PositionSnapshot], at: datetime) -> dict[str, PositionSnapshot]:
    """Find the newest snapshot of each of the user's positions."""
    known = sorted((s for s in snapshots if s.user_id == USER), key=lambda s: s.timestamp)
    return {s.asset_type: s for s in known if s.timestamp <= at}


def total_at(snapshots: Sequence[PositionSnapshot], at: datetime) -> Decimal:
    return sum((s.pnl for s in held(snapshots, at).values()), D(0))


def points(snapshots: Sequence[PositionSnapshot], start: datetime, end: datetime) -> list[PnlPoint]:
    moments = sorted({s.timestamp for s in snapshots if s.user_id == USER})
    before = start - MICROSECOND
    totals = [total_at(snapshots, before)] if held(snapshots, before) else []
    rows = []
    for at in (m for m in moments if start <= m < end):
        own = held(snapshots, at).values()
        totals.append(total_at(snapshots, at))
        rows.append(
            PnlPoint(
                at,
                sum(s.position_size != 0 for s in own),
                totals[-1],
                sum((s.position_size * (s.current_price - s.entry_price) for s in own), D(0)),
                max(totals),
                totals[-1] - max(totals),
            )
        )
    return rows


def deepest(rows: Sequence[PnlPoint]) -> list[Drawdown]:
    if not rows:
        return []
    bottom = min(rows, key=lambda row: (row.drawdown, row.moment))
    reached = [r.moment for r in rows if r.moment <= bottom.moment and r.pnl == bottom.peak]
    back = [r.moment for r in rows if r.moment >= bottom.moment and r.pnl >= bottom.peak]
    return [
        Drawdown(
            *(bottom.drawdown, bottom.peak, max(reached, default=None), bottom.pnl),
            *(bottom.moment, min(back, default=None)),
        )
    ]


def check_exposure(
    found: Sequence[Exposure], snapshots: Sequence[PositionSnapshot], at: datetime
) -> None:
    own = held(snapshots, at)
    open_ones = [own[asset] for asset in sorted(own) if own[asset].position_size]
    assert [row.asset_type for row in found] == [s.asset_type for s in open_ones]
    values = np.array([float(s.position_size * s.current_price) for s in open_ones])
    gross = np.abs(values).sum()
    for row, s, value in zip(found, open_ones, values, strict=True):
        assert (row.position_size, row.current_price) == (s.position_size, s.current_price)
        assert row.exposure == s.position_size * s.current_price
        assert row.gross_exposure == abs(row.exposure)
        assert row.snapshot_at == s.timestamp
        if gross:
            assert row.share is not None
            assert float(row.share) == pytest.approx(abs(value) / gross, abs=1e-12)
        else:
            assert row.share is None


drawn_snapshots = tied(score_times).flatmap(
    lambda some: st.lists(
        st.tuples(
            st.sampled_from((USER, USER, USER, OTHER)),
            st.sampled_from(("BTC", "btc", "Ä")),
            some,
            # short and closed positions; prices at zero and below; money to the last digit
            st.sampled_from(("-2", "0", "1", "0.000000000000000001")),
            st.sampled_from(("-1", "0", "3", "60000.01")),
            st.sampled_from(("0", "1", "61000.5")),
            st.sampled_from(("-5", "-0.000000000000000000000001", "0", "4", "7")),
        ),
        min_size=1,
        max_size=16,
        unique_by=lambda row: row[:3],
    )
)


@given(drawn=drawn_snapshots, session=sessions)
def test_profit_exposure_and_drawdown_are_those_of_the_snapshots(
    months_connection: Connection,
    drawn: list[tuple[UUID, str, datetime, str, str, str, str]],
    session: Session,
) -> None:
    snapshots = [
        snapshot(n, user, asset, at)._replace(
            position_size=D(size), entry_price=D(entry), current_price=D(price), pnl=D(pnl)
        )
        for n, (user, asset, at, size, price, entry, pnl) in enumerate(drawn, 1)
    ]
    with example(months_connection, session):
        insert(months_connection, "portfolio_status", snapshots)
        times = sorted({s.timestamp for s in snapshots})
        spans = {(MARCH - HOUR, MARCH + HOUR), (times[0], times[-1] + MICROSECOND)}
        for start, end in spans | {(times[-1], times[-1] + HOUR), (MARCH + HOUR, MARCH + DAY)}:
            expected = points(snapshots, start, end)
            found = analysis.portfolio_pnl(USER, start, end).fetch(months_connection)
            assert found == expected
            fall = analysis.portfolio_drawdown(USER, start, end).fetch(months_connection)
            assert fall == deepest(expected)
        for at in (times[0] - MICROSECOND, *times):
            statement = analysis.portfolio_exposure(USER, at)
            check_exposure(statement.fetch(months_connection), snapshots, at)


STATEMENTS: tuple[Statement[Any], ...] = (
    queries.portfolio(OTHER),
    analysis.portfolio_exposure(OTHER, MARCH + DAY),
    analysis.portfolio_pnl(OTHER, MARCH, MARCH + DAY),
    analysis.portfolio_drawdown(OTHER, MARCH, MARCH + DAY),
)


def test_a_user_sees_nothing_of_another(connection: Connection, login: Login) -> None:
    rows = [snapshot(n, user, "BTC", MARCH) for n, user in enumerate((USER, OTHER), 1)]
    insert(connection, "portfolio_status", rows)
    mapped, nobody = login("entasis_reader"), login("entasis_reader")
    connection.execute("INSERT INTO entasis.user_logins VALUES (%s, %s)", (mapped.info.user, USER))
    # the same session, prepared plans and all, as one and as the other
    service = login("entasis_reader", "entasis_service")
    for statement in STATEMENTS:
        assert statement.fetch(mapped) == []
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            statement.fetch(nobody)
        for _ in range(6):
            with acting_for(service, OTHER):
                assert len(statement.fetch(service)) == 1
            with acting_for(service, USER):
                assert statement.fetch(service) == []
    # whose positions they are need not be said
    for name in ("portfolio", "portfolio_exposure"):
        (row,) = mapped.execute(f"SELECT count(*) FROM entasis.{name}()").fetchall()
        assert row == (1,)


def test_mistaken_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="not before to_time"):
        analysis.portfolio_pnl(USER, MARCH, MARCH)
    with pytest.raises(ValueError, match=r"at is .*, without a time zone"):
        analysis.portfolio_exposure(USER, MARCH.replace(tzinfo=None))
