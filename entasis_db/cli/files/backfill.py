"""The command that fills what is missing from files that exchanges publish."""

import sys
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, get_args

import click
import psycopg

from entasis_db import quality
from entasis_db.backfill import (
    Filled,
    Outcome,
    Plan,
    Span,
    load_needed,
    outcomes,
    plan_backfill,
    read_spans,
    span_of,
    spans_of,
)
from entasis_db.cli import arguments
from entasis_db.cli.exit_codes import ExitCode
from entasis_db.cli.output import complain, fail, note, step, when
from entasis_db.cli.output.rows import Form, prints, rows_of, show
from entasis_db.cli.progress import loading
from entasis_db.cli.target import Target, Use
from entasis_db.ingest import MAX_REFUSED
from entasis_db.model import CandleInterval
from entasis_db.readers.files import size_of

_OUTCOMES = rows_of(Outcome, as_table=False)

Connection = psycopg.Connection[Any]


@click.command()
@click.argument("symbol", required=False)
@click.option("--exchange", help="The venue of SYMBOL; with --from-gaps, only its markets.")
@click.option("--from", "from_time", callback=arguments.moment, help="UTC, included.")
@click.option("--to", "to_time", callback=arguments.moment, help="UTC, not included.")
@click.option("--from-gaps", is_flag=True, help="Fill what entasis gaps finds.")
@click.option("--gaps", metavar="FILE", help="Fill what entasis gaps --json printed; - is stdin.")
@click.option(
    "--ranges", metavar="FILE", help="CSV: exchange,symbol,from_time,to_time; - is stdin."
)
@click.option("--folder", metavar="FOLDER", help="Where files lie, at any depth.")
@click.option(
    "--candles",
    type=click.Choice(get_args(CandleInterval)),
    help="The exchange's own candles instead of trades.",
)
@click.option("--aggregated", is_flag=True, help="A new market takes Binance's aggregated trades.")
@click.option("--dry-run", is_flag=True, help="Only say which files there are, and which are not.")
@click.option(
    "--max-refused",
    type=click.IntRange(min=0),
    default=MAX_REFUSED,
    show_default=True,
    help="Rows of a file that may go to quarantine.",
)
@prints(_OUTCOMES)
@click.pass_obj
def backfill(
    target: Target,
    /,
    symbol: str | None,
    exchange: str | None,
    from_time: datetime | None,
    to_time: datetime | None,
    *,
    from_gaps: bool,
    gaps: str | None,
    ranges: str | None,
    folder: str | None,
    candles: CandleInterval | None,
    aggregated: bool,
    dry_run: bool,
    max_refused: int,
    form: Form,
) -> None:
    """Load the public files that fill what is missing, and name those that are not there.

    What is missing is what entasis gaps finds (--from-gaps, of SYMBOL if it is given), what it has
    printed as JSON (--gaps), or ranges: SYMBOL with --exchange, --from and --to, or a file of them
    (--ranges). Nothing is downloaded: --folder has what was. The exit code is 7 while files or
    trades are missing, and 3 where rows of files are in quarantine.
    """
    arguments.check_range(from_time, to_time)
    asked = (symbol, exchange, from_time, to_time)
    if sum((from_gaps, gaps is not None, ranges is not None)) > 1:
        fail("give one of --from-gaps, --gaps and --ranges", ExitCode.USAGE)
    with target.connect(Use.READS if dry_run else Use.WRITES) as connection:
        if from_gaps:
            spans = spans_of(quality.gaps(*asked).fetch(connection))
        elif gaps is not None or ranges is not None:
            spans = _of_file(gaps if gaps is not None else ranges, asked)
        else:
            spans = [_of_options(*asked)]
        found = plan_backfill(connection, spans, folder, candles=candles, aggregated=aggregated)
        filled = [] if dry_run else _load(connection, found, max_refused, quiet=not form.for_people)
        remaining: list[quality.Gap] = []
        if candles is None:
            remaining = _remaining(connection, spans, asked if from_gaps else None)
    until = max((one.last for one in spans if one.last is not None), default=datetime.now(UTC))
    told = outcomes(found, filled, remaining, until)
    show(form, _OUTCOMES, told, lambda: _tell(told))
    _end(told)


def _of_options(
    symbol: str | None, exchange: str | None, from_time: datetime | None, to_time: datetime | None
) -> Span:
    if symbol is None or exchange is None or from_time is None or to_time is None:
        fail(
            "say what to fill: --from-gaps, --gaps FILE, --ranges FILE, or SYMBOL with --exchange, "
            "--from and --to",
            ExitCode.USAGE,
        )
    return span_of(symbol, exchange, from_time, to_time)


def _of_file(path: str | None, asked: tuple[str | datetime | None, ...]) -> list[Span]:
    if any(value is not None for value in asked):
        fail("a file names its markets and times: leave out SYMBOL and options", ExitCode.USAGE)
    assert path is not None
    return read_spans(path)


def _load(connection: Connection, found: Plan, max_refused: int, *, quiet: bool) -> list[Filled]:
    filled = []
    for file in found.there:
        assert file.path is not None
        with loading(file.path.name, size_of(file.path)) as show:
            done = load_needed(connection, file, progress=show, max_refused=max_refused)
        filled.append(done)
        if done.error is not None:
            complain(done.error)
        elif not quiet:
            step(
                f"{file.path}: {done.inserted} rows stored, {done.already_there} were there "
                f"already, {done.quarantined} in quarantine"
                + (f", {done.past_retention} past retention" if done.past_retention else "")
            )
    return filled


def _remaining(
    connection: Connection, spans: Sequence[Span], asked: tuple[Any, ...] | None
) -> list[quality.Gap]:
    """Look for gaps once more: as before, or between the ends of what each market lacks."""
    if asked is not None:
        return quality.gaps(*asked).fetch(connection)
    bounds: dict[tuple[str, str], tuple[datetime, datetime | None]] = {}
    for span in spans:
        first, last = bounds.get((span.symbol, span.exchange), (span.first, span.last))
        until = None if last is None or span.last is None else max(last, span.last)
        bounds[span.symbol, span.exchange] = min(first, span.first), until
    return [
        gap
        for market, (first, last) in sorted(bounds.items(), key=lambda item: item[0][::-1])
        if last is None or first < last
        for gap in quality.gaps(*market, first, last).fetch(connection)
    ]


def _tell(told: list[Outcome]) -> None:
    """Say in a line each what is missing still; what was loaded is said as soon as it is."""
    for one in told:
        span = f"{one.exchange} {one.symbol} {when(one.begin)} to "
        span += "now" if one.end is None else when(one.end)
        match one.state:
            case "there":
                step(f"there: {one.path} ({span})")
            case "missing":
                step(f"missing: {one.url} ({span})")
            case "no_file":
                step(f"no file: {span}: {one.reason}")
            case "gap" if one.kind == "ids":
                step(f"gap: {span}: ids {one.first_id} to {one.last_id} are missing")
            case "gap":
                step(f"gap: {span}: silence")
            case "silent":
                step(f"no trades: {span}: the files of its days have none")
    if not told:
        step("nothing is missing")


def _end(told: list[Outcome]) -> None:
    """End with what a scheduler has to know."""
    count = Counter(one.state for one in told)
    if told:
        note(
            f"{count['loaded']} files loaded, {count['failed']} failed, {count['there']} to be "
            f"loaded, {count['missing']} missing, {count['no_file']} ranges without a public file, "
            f"{count['gap']} gaps"
        )
    if count["failed"]:
        sys.exit(ExitCode.FAILED)
    if count["missing"] or count["no_file"] or count["gap"] or count["there"]:
        sys.exit(ExitCode.FOUND)
    if any((one.quarantined or 0) + (one.past_retention or 0) for one in told):
        sys.exit(ExitCode.LEFT_OVER)
