"""How things are timed, compared and written down."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from time import perf_counter
from typing import Any, Literal, LiteralString, TypeVar

import psycopg
from psycopg import sql

T = TypeVar("T")
Samples = dict[str, list[float]]
"""The seconds of each arm, round by round."""


class MeasurementError(Exception):
    """What was measured is not what was meant to be measured."""


class LeftOut(Exception):  # noqa: N818 (nothing is wrong)
    """A line cannot be taken here; the message says why, and what would make it possible."""


@dataclass(frozen=True)
class Target:
    """What a ratio should come to."""

    sign: Literal[">=", "<="]
    bound: float
    trades: int = 0
    """It is asked for with so many trades, or more."""

    def met_by(self, value: float) -> bool:
        """Say whether a value reaches it."""
        return value >= self.bound if self.sign == ">=" else value <= self.bound

    def __str__(self) -> str:
        enough = f" with {self.trades:,} trades" if self.trades else ""
        return f"{self.sign} {self.bound:g}{enough}"


@dataclass(frozen=True)
class Row:
    """One figure: a ratio, unless it has another unit."""

    label: str
    """Names it within its line, in every run alike."""
    value: float
    lowest: float | None = None
    highest: float | None = None
    rounds: int | None = None
    target: Target | None = None
    unit: Literal["ratio", "bytes", "rows", "MiB", "percent"] = "ratio"
    remark: str = ""
    samples: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Seconds of each arm. They go into the JSON, for whoever wants to look behind a ratio."""
    size: int | None = None
    """The size it was taken at, once the run has written it down."""

    @property
    def met(self) -> bool | None:
        """Whether the target was met; None without one, and with too few trades for it."""
        if self.target is None or (self.size is not None and self.size < self.target.trades):
            return None
        return self.target.met_by(self.value)

    def as_json(self) -> dict[str, Any]:
        """Return it in JSON's types; docs/bench.md lists the fields."""
        return {**asdict(self), "target": self.target and str(self.target), "met": self.met}


def ratio(
    label: str,
    samples: Samples,
    over: str,
    under: str,
    target: Target | None = None,
    remark: str = "",
) -> Row:
    """Divide the seconds of one arm by those of another.

    Each round gives one ratio, so that a machine that is slow for a while is slow for both; the
    figure is their median, and the spread is from the lowest to the highest.
    """
    ratios = [a / b for a, b in zip(samples[over], samples[under], strict=True)]
    return Row(
        label,
        median(ratios),
        min(ratios),
        max(ratios),
        len(ratios),
        target,
        remark=remark,
        samples={over: samples[over], under: samples[under]},
    )


def alternate(
    arms: Mapping[str, Callable[[], T]], rounds: int, *, warm_up: int = 0
) -> dict[str, list[T]]:
    """Run the arms in turn, every other round in the opposite order; drop the first rounds."""
    names = list(arms)
    found: dict[str, list[T]] = {name: [] for name in arms}
    for number in range(warm_up + rounds):
        for name in names if number % 2 == 0 else reversed(names):
            outcome = arms[name]()
            if number >= warm_up:
                found[name].append(outcome)
    return found


def timed(step: Callable[[], object]) -> float:
    """Return the seconds that a step takes by this client's clock."""
    began = perf_counter()
    step()
    return perf_counter() - began


def explain(
    connection: psycopg.Connection[Any],
    statement: str,
    params: Mapping[str, object] | None = None,
    *,
    timing: bool = False,
) -> dict[str, Any]:
    """Run a statement and return what the server measured, in milliseconds.

    Without ``timing`` the clock is not read for every row, which would burden the arm with more.
    """
    # bound on the client: EXPLAIN then plans with the values, as it does for a statement that is
    # run for the first time
    with psycopg.ClientCursor(connection) as cursor:
        switch = "ON" if timing else "OFF"
        text = f"EXPLAIN (ANALYZE, TIMING {switch}, FORMAT JSON) {statement}"
        row = cursor.execute(text.encode(), params).fetchone()
    assert row is not None
    plan: dict[str, Any] = row[0][0]
    return plan


def server_seconds(plans: Mapping[str, Sequence[Mapping[str, Any]]], *parts: str) -> Samples:
    """Return what EXPLAIN measured of each arm: the sum of these parts, in seconds."""
    return {
        arm: [sum(plan[part] for part in parts) / 1000 for plan in found]
        for arm, found in plans.items()
    }


def only_row(
    connection: psycopg.Connection[Any], query: LiteralString | sql.Composed, *params: object
) -> Any:
    """Return the one row of a query."""
    row = connection.execute(query, params or None).fetchone()
    if row is None:
        raise MeasurementError("a query that must give a row gave none")
    return row


def check_same_rows(
    connection: psycopg.Connection[Any],
    one: str,
    other: str,
    params: Mapping[str, object] | None = None,
) -> None:
    """Refuse to compare two queries that do not answer alike."""
    answers = [connection.execute(text.encode(), params).fetchall() for text in (one, other)]
    if answers[0] != answers[1] or not answers[0]:
        raise MeasurementError("the two queries do not give the same rows")
