"""Writing predictions and positions: one statement a batch, and a report of each row."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any, Generic, TypeVar

import psycopg

from entasis_db.cursors import AsyncCursor, Cursor
from entasis_db.model import PositionSnapshot, Prediction

Row = TypeVar("Row", Prediction, PositionSnapshot)


@dataclass(frozen=True, slots=True)
class Conflict(Generic[Row]):
    """A row that was not stored, because its key is, with other values."""

    given: Row
    """The row, as it was given."""
    stored: Row
    """What is stored under its key."""


@dataclass(frozen=True, slots=True)
class WriteReport(Generic[Row]):
    """What became of the rows of one or more calls; all but ``rounded`` add up to what was given.

    Rows of one call with the same key count one after another, in their order.
    """

    inserted: int = 0
    """Rows that were stored under a new key."""
    already_there: int = 0
    """Rows that were stored before, with the same values: repeating a call changes nothing."""
    replaced: int = 0
    """Rows that took the place of one with other values, as ``replace=True`` asks for."""
    conflicts: tuple[Conflict[Row], ...] = field(default=())
    """Rows that were not stored, because other values are stored under their keys."""
    rounded: int = 0
    """Numbers, of all rows, that had more decimals than their columns and were rounded, half to
    even. What is compared with stored values is the rounded number."""

    def __add__(self, other: "WriteReport[Row]") -> "WriteReport[Row]":
        """Return the sum of two reports."""
        return WriteReport(
            self.inserted + other.inserted,
            self.already_there + other.already_there,
            self.replaced + other.replaced,
            self.conflicts + other.conflicts,
            self.rounded + other.rounded,
        )


def write_predictions(
    connection: psycopg.Connection[Any], predictions: Sequence[Prediction], *, replace: bool = False
) -> WriteReport[Prediction]:
    """Store predictions, in one transaction or inside the caller's.

    A prediction's key is (model_id, symbol, prediction_type, timestamp, target_time). One that is
    stored with other values is a conflict: it is reported and left as it is, unless ``replace``
    has the new values take its place. Numbers are rounded, half to even, to 18 decimals.

    Raises psycopg's CheckViolation and StringDataRightTruncation for what the table cannot hold,
    after which nothing of the call is stored, and SerializationFailure and DeadlockDetected, after
    which the caller repeats the transaction: outside one of the caller's, :func:`retrying` does.
    """
    return _write(connection, _PREDICTIONS, predictions, replace)


async def write_predictions_async(
    connection: psycopg.AsyncConnection[Any],
    predictions: Sequence[Prediction],
    *,
    replace: bool = False,
) -> WriteReport[Prediction]:
    """Do what :func:`write_predictions` does, on an asynchronous connection."""
    return await _write_async(connection, _PREDICTIONS, predictions, replace)


def write_positions(
    connection: psycopg.Connection[Any],
    positions: Sequence[PositionSnapshot],
    *,
    replace: bool = False,
) -> WriteReport[PositionSnapshot]:
    """Store snapshots of positions, as :func:`write_predictions` does predictions.

    A snapshot's key is (user_id, asset_type, timestamp). Numbers are rounded to 18 decimals, pnl to
    24. Row-level security applies: the session writes positions of the user for whom it acts, and
    InsufficientPrivilege is raised for any other's.
    """
    return _write(connection, _POSITIONS, positions, replace)


async def write_positions_async(
    connection: psycopg.AsyncConnection[Any],
    positions: Sequence[PositionSnapshot],
    *,
    replace: bool = False,
) -> WriteReport[PositionSnapshot]:
    """Do what :func:`write_positions` does, on an asynchronous connection."""
    return await _write_async(connection, _POSITIONS, positions, replace)


@dataclass(frozen=True, slots=True)
class _Target(Generic[Row]):
    """How rows of a class become one statement, and its answer rows again."""

    statement: str
    columns: tuple[str, ...]
    """Fields that the statement takes, one array each."""
    held: Callable[[Row, int, tuple[Any, ...]], Row]
    """Makes the stored row, from the given one, the stored one's id and its numbers."""


def _held_prediction(given: Prediction, number: int, held: tuple[Any, ...]) -> Prediction:
    value, confidence = held
    return Prediction(
        id=number,
        model_id=given.model_id,
        symbol=given.symbol,
        prediction_type=given.prediction_type,
        predicted_value=value,
        confidence=confidence,
        timestamp=given.timestamp.astimezone(UTC),
        target_time=given.target_time and given.target_time.astimezone(UTC),
    )


def _held_position(given: PositionSnapshot, number: int, held: tuple[Any, ...]) -> PositionSnapshot:
    size, entry, current, pnl = held
    return PositionSnapshot(
        id=number,
        user_id=given.user_id,
        asset_type=given.asset_type,
        position_size=size,
        entry_price=entry,
        current_price=current,
        pnl=pnl,
        timestamp=given.timestamp.astimezone(UTC),
    )


_PREDICTIONS = _Target(
    "SELECT line, outcome, rounded, id, held_value, held_confidence"
    " FROM entasis.write_predictions(%s::pg_catalog.text[], %s::pg_catalog.text[],"
    " %s::pg_catalog.text[], %s::numeric[],"
    " %s::numeric[], %s::pg_catalog.timestamptz[], %s::pg_catalog.timestamptz[], %s::boolean)",
    (
        "model_id",
        "symbol",
        "prediction_type",
        "predicted_value",
        "confidence",
        "timestamp",
        "target_time",
    ),
    _held_prediction,
)
_POSITIONS = _Target(
    "SELECT line, outcome, rounded, id, held_size, held_entry_price, held_current_price, held_pnl"
    " FROM entasis.write_positions(%s::pg_catalog.uuid[], %s::pg_catalog.text[], %s::numeric[],"
    " %s::numeric[], %s::numeric[], %s::numeric[], %s::pg_catalog.timestamptz[], %s::boolean)",
    (
        "user_id",
        "asset_type",
        "position_size",
        "entry_price",
        "current_price",
        "pnl",
        "timestamp",
    ),
    _held_position,
)


def _write(
    connection: psycopg.Connection[Any], target: _Target[Row], rows: Sequence[Row], replace: bool
) -> WriteReport[Row]:
    if not rows:
        return WriteReport()
    # the caller's own factories of cursors and rows are for the caller's statements
    with connection.transaction(), Cursor(connection) as cursor:
        cursor.execute(target.statement.encode(), _parameters(target, rows, replace))
        return _report(target, rows, cursor.fetchall())


async def _write_async(
    connection: psycopg.AsyncConnection[Any],
    target: _Target[Row],
    rows: Sequence[Row],
    replace: bool,
) -> WriteReport[Row]:
    if not rows:
        return WriteReport()
    async with (
        connection.transaction(),
        AsyncCursor(connection) as cursor,
    ):
        await cursor.execute(target.statement.encode(), _parameters(target, rows, replace))
        return _report(target, rows, await cursor.fetchall())


def _parameters(target: _Target[Row], rows: Sequence[Row], replace: bool) -> list[Any]:
    return [*([getattr(row, name) for row in rows] for name in target.columns), replace]


def _report(
    target: _Target[Row], rows: Sequence[Row], answer: list[tuple[Any, ...]]
) -> WriteReport[Row]:
    counts = {"inserted": 0, "already_there": 0, "replaced": 0, "conflict": 0}
    conflicts = []
    rounded = 0
    for line, outcome, count, number, *held in answer:
        counts[outcome] += 1
        rounded += count
        if outcome == "conflict":
            given = rows[line - 1]
            conflicts.append(Conflict(given, target.held(given, number, tuple(held))))
    del counts["conflict"]
    return WriteReport(**counts, conflicts=tuple(conflicts), rounded=rounded)
