"""The commands that tell what is missing, and what cannot be right."""

import sys
from datetime import datetime, timedelta
from typing import Any, get_args

import click
from rich.table import Table

from entasis_db import quality
from entasis_db.cli import arguments
from entasis_db.cli.exit_codes import ExitCode
from entasis_db.cli.output import fail, note, print_whole, step
from entasis_db.cli.output.rows import Form, as_text, as_values, prints, rows_of, show
from entasis_db.cli.root import Group
from entasis_db.cli.target import Target, Use

_exchange = click.option("--exchange", help="Only the markets of this venue.")
_from_time = click.option("--from", "from_time", callback=arguments.moment, help="UTC, included.")
_to_time = click.option("--to", "to_time", callback=arguments.moment, help="UTC, not included.")
_GAPS = rows_of(quality.Gap, as_table=False)
_COVERAGE = rows_of(quality.Coverage, "--coverage")
_ANOMALIES = rows_of(quality.Anomaly)


@click.command()
@click.argument("symbol", required=False)
@_exchange
@_from_time
@_to_time
@click.option("--coverage", is_flag=True, help="How much of each market is stored instead.")
@prints(_GAPS, _COVERAGE)
@click.pass_obj
def gaps(
    target: Target,
    symbol: str | None,
    exchange: str | None,
    from_time: datetime | None,
    to_time: datetime | None,
    coverage: bool,
    form: Form,
) -> None:
    """List which trades are missing: by their ids, or where a market was unusually silent.

    The exit code is 7 when something is missing.
    """
    arguments.check_range(from_time, to_time)
    asked = (symbol, exchange, from_time, to_time)
    with target.connect() as connection:
        covered = quality.coverage(*asked).fetch(connection)
        found: list[Any] = (
            covered if coverage else quality.gaps(*asked).fetch(connection) if covered else []
        )
    if not covered:
        fail(
            f"no market {' '.join(filter(None, (exchange, symbol)))} is on record: entasis markets "
            "lists them"
            if symbol or exchange
            else "no market is on record: nothing was loaded yet"
        )
    if coverage:
        show(form, _COVERAGE, found, lambda: print_whole(table_of(found)))
    else:
        show(form, _GAPS, found, lambda: _tell_gaps(found, len(covered)))
    if lacking := sum(one.gaps for one in covered):
        trades = sum(one.missing or 0 for one in covered)
        note(f"{lacking} gaps, {trades:,} ids missing in those that ids tell")
        sys.exit(ExitCode.FOUND)


@click.group(cls=Group, invoke_without_command=True)
@prints(_ANOMALIES)
@click.pass_context
def anomalies(ctx: click.Context, form: Form) -> None:
    """List what stands out in what is stored, look for more, and decide about it."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_anomalies, form=form)


@anomalies.command("list")
@click.argument("symbol", required=False)
@_exchange
@_from_time
@_to_time
@click.option("--kind", type=click.Choice(get_args(quality.AnomalyKind)), help="Only of this kind.")
@click.option(
    "--state",
    type=click.Choice([*get_args(quality.AnomalyState), "all"]),
    default="new",
    show_default=True,
)
@prints(_ANOMALIES)
@click.pass_obj
def list_anomalies(
    target: Target,
    symbol: str | None = None,
    exchange: str | None = None,
    from_time: datetime | None = None,
    to_time: datetime | None = None,
    kind: quality.AnomalyKind | None = None,
    state: str = "new",
    *,
    form: Form,
) -> None:
    """List what was found, and rows that were refused.

    The exit code is 7 when something is listed that nobody has looked at.
    """
    arguments.check_range(from_time, to_time)
    wanted: Any = None if state == "all" else state
    statement = quality.anomalies(wanted, kind, symbol, exchange, from_time, to_time)
    with target.connect() as connection:
        found = statement.fetch(connection)
    nothing = "nothing is listed" + (" that nobody has looked at" if state == "new" else "")
    show(form, _ANOMALIES, found, lambda: print_whole(_anomalies(found)), nothing)
    if any(one.state == "new" for one in found):
        sys.exit(ExitCode.FOUND)


@anomalies.command()
@click.argument("symbol", required=False)
@_exchange
@_from_time
@_to_time
@click.option(
    "--reach",
    type=click.IntRange(min=1),
    default=32,
    show_default=True,
    help="Days before a market's newest in which changes are looked for.",
)
@click.pass_obj
def detect(
    target: Target,
    symbol: str | None,
    exchange: str | None,
    from_time: datetime | None,
    to_time: datetime | None,
    reach: int,
) -> None:
    """Look for anomalies in what is new since the last time, or in a range or market.

    The exit code is 7 when something new is found.
    """
    arguments.check_range(from_time, to_time)
    with target.connect(Use.WRITES) as connection:
        done = quality.detect(
            connection,
            from_time,
            to_time,
            symbol=symbol,
            exchange=exchange,
            reach=timedelta(days=reach),
            progress=step,
        )
    step(f"{done.found} anomalies found; looked at {done.market_days} days of markets")
    if done.found:
        sys.exit(ExitCode.FOUND)


_ids = click.argument("ids", nargs=-1, required=True, type=int, metavar="ID...")
_note = click.option("--note", help="What there is to say about it.")


@anomalies.command()
@_ids
@_note
@click.pass_obj
def acknowledge(target: Target, ids: tuple[int, ...], note: str | None) -> None:
    """Note that somebody has looked at anomalies, and not decided."""
    _decide(target, ids, "acknowledged", note)


@anomalies.command()
@_ids
@_note
@click.option("--reason", help="Word for market_data.excluded: confirmed_bad, or duplicate.")
@click.pass_obj
def confirm(target: Target, ids: tuple[int, ...], note: str | None, reason: str | None) -> None:
    """Confirm that something is wrong: no candle counts that trade any more."""
    _decide(target, ids, "confirmed", note, reason)


@anomalies.command()
@_ids
@_note
@click.pass_obj
def dismiss(target: Target, ids: tuple[int, ...], note: str | None) -> None:
    """Note that it is right as it is: candles count a trade again that was confirmed as bad."""
    _decide(target, ids, "dismissed", note)


def _decide(
    target: Target,
    ids: tuple[int, ...],
    decision: quality.Decision,
    note: str | None,
    reason: str | None = None,
) -> None:
    with target.connect(Use.WRITES) as connection:
        for one in ids:
            changed = quality.decide(connection, one, decision, note, reason)
            counts = "candles count its trade no more"
            if decision != "confirmed":
                counts = "candles count its trade again"
            step(f"{one} {decision}" + (f": {counts}" if changed else ""))


def _anomalies(found: list[quality.Anomaly]) -> Table:
    table = Table("id", "kind", "state", "market", "at (UTC)", "which")
    for name in ("observed", "expected"):
        table.add_column(name, justify="right")
    for one in found:
        table.add_row(
            str(one.id),
            one.kind,
            one.state,
            " ".join(filter(None, (one.exchange, one.symbol))),
            f"{one.begins_at:%F %T.%f}",
            one.detail.get("reason") or ", ".join(f"{k} {v}" for k, v in one.row_key.items()),
            *("" if n is None else f"{n:f}" for n in (one.observed, one.expected)),
        )
    return table


def _tell_gaps(found: list[quality.Gap], markets: int) -> None:
    for one in found:
        step(_gap(one))
    if not found:
        step(f"nothing is missing, by what can be told of {markets} markets")


def table_of(rows: list[Any]) -> Table:
    """Make a table of rows, with their fields as headings."""
    table = Table(*rows[0]._fields)
    for row in rows:
        table.add_row(*map(as_text, as_values(row, rows[0]._fields).values()))
    return table


def _gap(one: quality.Gap) -> str:
    until = "now" if one.before_time is None else f"{one.before_time:%F %T.%f}"
    span = f"{one.exchange} {one.symbol} {one.after_time:%F %T.%f} to {until}"
    if one.kind == "ids":
        return f"{span}: ids {one.first_id} to {one.last_id} are missing ({one.missing:,})"
    return f"{span}: silence, and {one.usual} is usual"
