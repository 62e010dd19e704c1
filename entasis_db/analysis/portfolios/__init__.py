"""Profit and loss over time, exposure and drawdown of one user's positions.

Row-level security applies, as in queries.portfolio.
"""

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from entasis_db.queries.checks import check_aware, check_range
from entasis_db.queries.rows import Computed
from entasis_db.queries.statement import Statement, statement_of


class Exposure(NamedTuple):
    """What is at stake in one asset."""

    asset_type: str
    """Asset that is held."""
    position_size: Decimal
    """Units held, never 0; below 0 for a short position."""
    current_price: Decimal
    """Price at the snapshot, quote units for one unit."""
    exposure: Computed
    """position_size * current_price; quote units."""
    gross_exposure: Computed
    """Its absolute; quote units."""
    share: Computed | None
    """gross_exposure divided by that of all assets, from 0 to 1. None: all are 0."""
    snapshot_at: datetime
    """When the snapshot was taken that this comes from."""


class PnlPoint(NamedTuple):
    """Profit and loss over all assets at one moment; quote units."""

    moment: datetime
    """When a snapshot was taken."""
    open_positions: int
    """How many positions have a size other than 0."""
    pnl: Computed
    """Sum of what the writer stated as each position's profit or loss."""
    unrealised: Computed
    """Sum of position_size * (current_price - entry_price)."""
    peak: Computed
    """The greatest pnl so far, of the range and as it stood before it."""
    drawdown: Computed
    """pnl - peak: never above 0."""


class Drawdown(NamedTuple):
    """The deepest fall of profit and loss in a range; quote units."""

    drawdown: Computed
    """trough - peak: never above 0."""
    peak: Computed
    """The greatest pnl before."""
    peak_at: datetime | None
    """When that was last reached. None: before the range."""
    trough: Computed
    """pnl at the bottom."""
    trough_at: datetime
    """When it was there first."""
    recovered_at: datetime | None
    """When pnl was next at peak or above. None: it was not, in the range."""


def portfolio_exposure(user_id: UUID, at: datetime) -> Statement[Exposure]:
    """Exposure of one user in each asset, as known at one moment, ordered by asset_type.

    Of the newest snapshots by ``at``; closed positions have no row.
    """
    check_aware("at", at)
    return statement_of(__name__, "portfolio_exposure", Exposure, user_id=user_id, at=at)


def portfolio_pnl(user_id: UUID, from_time: datetime, to_time: datetime) -> Statement[PnlPoint]:
    """Profit and loss of one user at each moment of [from_time, to_time) with a snapshot, in order.

    Sums over the newest snapshot of each asset by then, also where that is older than the range.
    """
    check_range(from_time, to_time)
    return statement_of(
        __name__,
        "portfolio_pnl",
        PnlPoint,
        user_id=user_id,
        from_time=from_time,
        to_time=to_time,
    )


def portfolio_drawdown(
    user_id: UUID, from_time: datetime, to_time: datetime
) -> Statement[Drawdown]:
    """Deepest fall of one user's portfolio_pnl in a range: one row, or none without snapshots.

    Of several as deep, the first.
    """
    check_range(from_time, to_time)
    return statement_of(
        __name__,
        "portfolio_drawdown",
        Drawdown,
        user_id=user_id,
        from_time=from_time,
        to_time=to_time,
    )
