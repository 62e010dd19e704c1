"""Commands that compare stored candles with their trades, and compute them anew."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import groupby
from typing import Any

import click
import psycopg

from entasis_db.candles import CandleDifference, check_candles, rebuild_candles, refresh_candles
from entasis_db.cli import arguments
from entasis_db.cli.exit_codes import ExitCode
from entasis_db.cli.output import fail, note, step, when
from entasis_db.cli.output.rows import Form, Shape, prints, rows_of, show
from entasis_db.cli.target import Target, Use
from entasis_db.cursors import Cursor
from entasis_db.exchange_candles import ExchangeDifference, check_exchange_candles
from entasis_db.ids import IdProblem, check_ids
from entasis_db.quality import note_candle_differences

_DAY = timedelta(days=1)
_FOUND = Shape(
    "entasis_db.candles.CandleDifference and entasis_db.ids.IdProblem",
    (
        *("problem", "exchange", "symbol", "relation", "bucket", "missing_trades"),
        *("first_id", "last_id", "first_time", "last_time", "remedy"),
    ),
    as_table=False,
)
_OF_EXCHANGE = rows_of(ExchangeDifference, "--against exchange", as_table=False)


@click.command()
@arguments.optional_from_time
@arguments.optional_to_time
@click.option(
    "--against",
    type=click.Choice(["exchange"]),
    help="Compare the candles with those that exchanges publish instead (entasis load candles).",
)
@prints(_FOUND, _OF_EXCHANGE)
@click.pass_obj
def check(
    target: Target,
    from_time: datetime | None,
    to_time: datetime | None,
    against: str | None,
    form: Form,
) -> None:
    """Compare the stored candles with their trades, and trades' ids with one another.

    FROM_TIME and TO_TIME are dates or times in UTC; without them, all there is. The exit code is
    4 when candles are wrong (entasis rebuild mends them) or ids cannot be right, and 5 when trades
    are missing that candles still count.
    """
    arguments.check_range(from_time, to_time)
    if against is not None:
        _check_exchange(target, from_time, to_time, form)
        return
    with target.connect() as connection:
        found = _differences(connection, from_time, to_time)
        ids = check_ids(connection, from_time, to_time)
        floor = _floor(connection)
    rows = [{name: getattr(one, name, None) for name in _FOUND.names} for one in (*found, *ids)]
    show(form, _FOUND, rows, lambda: _tell(found, ids))
    missing = _missing(found)
    wrong = [one for one in found if not one.missing_trades]
    said = []
    if missing:
        said.append(_how_to_restore(missing))
    if wrong:
        said.append(_how_to_mend(wrong, {one.day for one in missing}, floor))
    if ids:
        said.append(f"{len(ids)} ids cannot be right: docs/trades.md says what to do")
    if said:
        fail(". ".join(said), ExitCode.TRADES_MISSING if missing else ExitCode.CANDLES_DIFFER)
    if form.for_people:
        step("every candle is what its trades say, and every id of an exchange is stored once")


def _tell(found: list[CandleDifference], ids: list[IdProblem]) -> None:
    for one in found:
        problem = f"{one.missing_trades} {one.problem}" if one.missing_trades else one.problem
        step(f"{one.relation} {one.exchange} {one.symbol} {when(one.bucket)}: {problem}")
    for other in ids:
        step(_id_problem(other))


def _check_exchange(
    target: Target, from_time: datetime | None, to_time: datetime | None, form: Form
) -> None:
    with target.connect() as connection:
        found = check_exchange_candles(connection, from_time, to_time)
        if found and _refreshed(connection, from_time, to_time):
            found = check_exchange_candles(connection, from_time, to_time)
        note_candle_differences(connection, from_time, to_time)

    def people() -> None:
        for one in found:
            step(f"{one.exchange} {one.symbol} {one.interval} {when(one.bucket)}: {one.problem}")

    show(form, _OF_EXCHANGE, found, people)
    if found:
        fail(
            f"{len(found)} candles differ from those of their exchange: either trades were not "
            "loaded, or the exchange does not count what it published as trades",
            ExitCode.CANDLES_DIFFER,
        )
    if form.for_people:
        step("every candle that an exchange published and can be compared is what ours say")


@click.command()
@arguments.from_time
@arguments.to_time
@click.option(
    "--force",
    is_flag=True,
    help="Also where trades are missing: their candles then count only what is left. "
    "Says what would be lost, and asks.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def rebuild(target: Target, from_time: datetime, to_time: datetime, force: bool, yes: bool) -> None:
    """Compute the candles of the UTC days from FROM_TIME up to TO_TIME anew.

    Refused where candles count more trades than are stored, because these candles are the last
    that is known of them.
    """
    arguments.check_range(from_time, to_time)
    with target.connect(Use.WRITES) as connection:
        if force:
            found = _differences(connection, from_time, to_time)
            floor = _floor(connection)
            # what is reopened below the floor is not rebuilt
            _confirm(_missing(one for one in found if one.bucket >= floor), yes)
        rebuild_candles(connection, from_time, to_time, progress=step, force=force)


@dataclass(frozen=True)
class _MarketDay:
    """A market's UTC day on which candles count trades that are not stored."""

    day: datetime
    exchange: str
    symbol: str
    trades: int
    """How many: what the minutes miss, or else the hours or the day."""


def _differences(
    connection: psycopg.Connection[Any], from_time: datetime | None, to_time: datetime | None
) -> list[CandleDifference]:
    """Ask once more after a refresh: what was just deleted is not missing."""
    found = check_candles(connection, from_time, to_time)
    if found and _refreshed(connection, from_time, to_time):
        found = check_candles(connection, from_time, to_time)
    return found


def _refreshed(
    connection: psycopg.Connection[Any], from_time: datetime | None, to_time: datetime | None
) -> bool:
    """Refresh candles; answer False, and say why, where that cannot be."""
    try:
        refresh_candles(connection, from_time, to_time)
    except psycopg.errors.ObjectNotInPrerequisiteState as error:
        note(f"candles may lag behind their trades: {error.diag.message_primary}")
        return False
    return True


def _id_problem(one: IdProblem) -> str:
    if one.remedy is None:
        return (
            f"{one.exchange} {one.symbol}: id {one.first_id} at {one.last_time:%F %T.%f} "
            f"comes after {one.last_id} at {one.first_time:%F %T.%f}"
        )
    return (
        f"{one.exchange} {one.symbol}: id {one.first_id} is stored from "
        f"{one.first_time:%F %T.%f} to {one.last_time:%F %T.%f}. "
        f"To remove the one that was stored last: {one.remedy}"
    )


def _missing(found: Iterable[CandleDifference]) -> list[_MarketDay]:
    counts: dict[tuple[datetime, str, str], dict[str, int]] = {}
    for one in found:
        if one.missing_trades:
            level = counts.setdefault((_day(one.bucket), one.exchange, one.symbol), {})
            level[one.relation] = level.get(one.relation, 0) + one.missing_trades
    return [_MarketDay(*key, max(level.values())) for key, level in sorted(counts.items())]


def _day(moment: datetime) -> datetime:
    return datetime.combine(moment.astimezone(UTC).date(), time(), UTC)


def _range(days: list[datetime]) -> str:
    return f"{min(days):%Y-%m-%d} {max(days) + _DAY:%Y-%m-%d}"


def _how_to_restore(missing: list[_MarketDay]) -> str:
    bounds = _range([one.day for one in missing])
    from_day, to_day = bounds.split()
    return (
        f"{sum(one.trades for one in missing)} trades are missing that candles of "
        f"{len(missing)} market days count, from {from_day} to {to_day}. These candles are the "
        "last that is known of them, and are not rebuilt. Bring the trades back with: entasis "
        f"restore market_data {bounds}; or load their files again. If they are gone for good, or "
        "candles count them twice after that, make the candles what is stored with: entasis "
        f"rebuild --force {bounds}"
    )


def _floor(connection: psycopg.Connection[Any]) -> datetime:
    """Return the floor of trades, or the earliest time there is where nothing was dropped."""
    with Cursor(connection) as cursor:
        row = cursor.execute(
            "SELECT f.floor FROM entasis.floors AS f"
            " WHERE f.relation OPERATOR(pg_catalog.=) 'market_data'"
            " AND pg_catalog.isfinite(f.floor)"
        ).fetchone()
    return row[0] if row is not None else datetime.min.replace(tzinfo=UTC)


def _how_to_mend(wrong: list[CandleDifference], lost: set[datetime], floor: datetime) -> str:
    """Name the commands; below the floor, opening a range once more computes its candles."""
    commands = [
        f"{command} {days}"
        for command, some in (
            ("entasis reopen market_data", [one for one in wrong if one.bucket < floor]),
            ("entasis rebuild", [one for one in wrong if one.bucket >= floor]),
        )
        for days in _ranges({_day(one.bucket) for one in some} - lost, lost)
    ]
    said = f"{len(wrong)} candles are wrong"
    if not commands:
        return f"{said}, on days of which trades are missing"
    return f"{said}. Mend them with: {'; '.join(commands)}"


def _ranges(days: set[datetime], without: set[datetime]) -> Iterator[str]:
    """Cover the days by as few ranges as possible that hold none of the other days."""
    every = sorted(days | without)
    for held, run in groupby(every, key=lambda day: day in days):
        if held:
            yield _range(list(run))


def _confirm(lost: list[_MarketDay], yes: bool) -> None:
    for one in lost:
        step(
            f"{one.exchange} {one.symbol} {one.day:%Y-%m-%d}: candles will no longer count "
            f"{one.trades} trades that are not stored"
        )
    if lost and not yes:
        click.confirm("This cannot be undone. Rebuild?", abort=True, err=True)
