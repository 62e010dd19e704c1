"""Commands for the archive: writing it, listing it, reading it, and bringing rows back."""

import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import click
from rich.table import Table

from entasis_db import queries
from entasis_db.cli import arguments
from entasis_db.cli.exit_codes import ExitCode
from entasis_db.cli.output import fail, minute, note, print_whole, step, when
from entasis_db.cli.output.rows import Form, Shape, as_json, as_values, prints, rows_of, show
from entasis_db.cli.progress import archiving
from entasis_db.cli.root import Group
from entasis_db.cli.target import Target, Use
from entasis_db.manifest import ArchivedRange, archived_ranges, has_archived_relations

_RANGES = rows_of(ArchivedRange)
# what has more digits than a decimal of Parquet stands beside it as text
_WIDE = ("volume", "quote_volume", "turnover")
_CANDLES = Shape(
    "entasis_db.queries.Candle",
    tuple(
        name
        for field in rows_of(queries.Candle).names
        for name in (field, *((f"{field}_text",) if field in _WIDE else ()))
    ),
    as_table=False,
)
# the classes need libraries that not everybody has
_PUBLISHED = Shape(
    "entasis_db.archive.Published",
    ("table", "objects", "rows", "added", "removed"),
    as_table=False,
)
STORE = "URL of the archive: s3://BUCKET/PREFIX[?endpoint_url=...] or file:///FOLDER."


@click.group(cls=Group, invoke_without_command=True)
@click.option("--to", "url", envvar="ENTASIS_ARCHIVE_URL", show_envvar=True, help=STORE)
@click.option(
    "--new-store",
    is_flag=True,
    help="Go on in a store that is another than so far, or lacks what it had.",
)
@arguments.session_pooler
@click.pass_context
def archive(ctx: click.Context, url: str | None, new_store: bool, session_pooler: bool) -> None:
    """Archive what is past its keep period, of relations whose archived is true (the default).

    Nothing is dropped: entasis maintain does that, for ranges whose archive is verified.
    """
    if ctx.invoked_subcommand is not None:
        return
    target: Target = ctx.obj
    archives = _archives()
    store = _store(url, "--to")
    with target.connect(Use.WRITES) as connection:
        if not has_archived_relations(connection):
            step(
                "archived is false for every relation; mark one with: UPDATE entasis.keep_periods "
                "SET archived = true WHERE relation = 'market_data'"
            )
            return
        with archiving() as progress:
            done = archives.archive(
                connection, store, progress, new_store=new_store, session_pooler=session_pooler
            )
    size, rows = sum(a.bytes for a in done), sum(a.rows for a in done)
    step(f"{len(done)} ranges archived: {rows:,} rows, {size:,} bytes")


def _archives() -> ModuleType:
    """Import the archive, which needs libraries that not everybody has."""
    try:
        from entasis_db import archive as found
    except ImportError as error:
        fail(f"the archive needs {error.name}: pip install 'entasis-db[archive]'")
    return found


def _store(url: str | None, option: str) -> Any:
    if not url:
        fail(
            f"where is the archive? Name it with {option} or in ENTASIS_ARCHIVE_URL",
            ExitCode.USAGE,
        )
    return open_archive(url)


def open_archive(url: str) -> Any:
    """Open the store of a URL."""
    return _archives().open_store(url)


@archive.command(name="list")
@prints(_RANGES)
@click.pass_obj
def list_archives(target: Target, form: Form) -> None:
    """List what is archived and where, and whether it is still in the database too."""
    with target.connect() as connection:
        found = archived_ranges(connection)
    show(form, _RANGES, found, lambda: print_whole(_table(found)), "nothing is archived")
    if unverified := sum(one.verified_at is None for one in found):
        note(f"{unverified} not verified: a run was cut short; run entasis archive, which mends it")


def _table(found: list[ArchivedRange]) -> Table:
    table = Table("relation", "from (UTC)", "to")
    for name in ("rows", "bytes", "objects"):
        table.add_column(name, justify="right")
    table.add_column("state")
    table.add_column("store")
    for one in found:
        table.add_row(
            one.relation,
            minute(one.from_time),
            minute(one.to_time),
            *("" if n is None else f"{n:,}" for n in (one.rows, one.bytes, one.objects)),
            _state(one),
            one.location,
        )
    return table


@archive.command()
@click.option("--catalog", required=True, help="Name that PyIceberg knows the catalog by.")
@click.option("--namespace", default="entasis", show_default=True, help="Where the tables are.")
@prints(_PUBLISHED)
@click.pass_obj
def publish(target: Target, catalog: str, namespace: str, form: Form) -> None:
    """Have an Iceberg catalog name what only the archive has; no file is rewritten.

    Repeat it after each maintenance and each reopening.
    """
    archives = _archives()
    with target.connect(Use.WRITES) as connection:
        found = archives.publish(connection, catalog, namespace)

    def people() -> None:
        for one in found:
            step(
                f"{one.table}: {one.objects:,} objects, {one.rows:,} rows"
                f" ({one.added:,} added, {one.removed:,} removed)"
            )

    show(form, _PUBLISHED, found, people, "nothing is in the archive alone")


def _state(one: ArchivedRange) -> str:
    if one.verified_at is None:
        return "not verified; the next run begins it anew"
    if one.dropped_at is not None:
        return f"dropped {when(one.dropped_at)}"
    if one.stale_at is not None:
        return "stale, to be archived again"
    return f"verified {when(one.verified_at)}"


@click.command()
@click.argument("relation")
@arguments.from_time
@arguments.to_time
@click.option("--from", "url", envvar="ENTASIS_ARCHIVE_URL", show_envvar=True, help=STORE)
@click.option("--attach", is_flag=True, help="Into the relation, whole archived ranges only.")
@click.option(
    "--hold",
    type=click.IntRange(1, 3650),
    default=7,
    show_default=True,
    help="Days for which maintenance leaves there what is attached.",
)
@arguments.session_pooler
@click.pass_obj
def restore(
    target: Target,
    relation: str,
    from_time: datetime,
    to_time: datetime,
    url: str | None,
    attach: bool,
    hold: int,
    session_pooler: bool,
) -> None:
    """Bring the archived rows of RELATION from FROM_TIME up to TO_TIME (UTC) back.

    Into a new table beside the relation, or with --attach into the relation itself.
    """
    arguments.check_range(from_time, to_time)
    archives = _archives()
    store = _store(url, "--from")
    with target.connect(Use.WRITES) as connection, archiving() as progress:
        done = archives.restore(
            connection,
            store,
            relation,
            from_time,
            to_time,
            attach=attach,
            hold=timedelta(days=hold),
            progress=progress,
            session_pooler=session_pooler,
        )
    step(f"{sum(r.rows for r in done):,} rows are back")


@click.group(cls=Group)
def history() -> None:
    """Read what is in the database and what only the archive has, as one answer."""


def _reading(shape: Shape) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add what all commands of history take."""
    options = (
        click.option("--from", "url", envvar="ENTASIS_ARCHIVE_URL", show_envvar=True, help=STORE),
        prints(shape, by_line=True),
        click.option("--parquet", type=click.Path(path_type=Path), help="Write this file instead."),
    )

    def add(command: Callable[..., None]) -> Callable[..., None]:
        for option in options:
            command = option(command)
        return command

    return add


@history.command(name="trades")
@click.argument("symbol")
@click.option("--exchange", required=True, help="The venue.")
@arguments.from_time
@arguments.to_time
@_reading(rows_of(queries.Trade, as_table=False))
@click.pass_obj
def history_trades(
    target: Target,
    /,
    symbol: str,
    exchange: str,
    from_time: datetime,
    to_time: datetime,
    **how: Any,
) -> None:
    """Trades of SYMBOL from FROM_TIME up to TO_TIME (UTC), as CSV."""
    arguments.check_range(from_time, to_time)
    _tell(target, _histories().trades(symbol, exchange, from_time, to_time), **how)


@history.command(name="candles")
@click.argument("symbol")
@click.option("--exchange", required=True, help="The venue.")
@click.option("--interval", type=click.Choice(queries.INTERVALS), default="1h", show_default=True)
@arguments.from_time
@arguments.to_time
@_reading(_CANDLES)
@click.pass_obj
def history_candles(
    target: Target,
    /,
    symbol: str,
    exchange: str,
    interval: queries.Interval,
    from_time: datetime,
    to_time: datetime,
    **how: Any,
) -> None:
    """Candles of SYMBOL whose buckets begin from FROM_TIME up to TO_TIME (UTC), as CSV."""
    arguments.check_range(from_time, to_time)
    _tell(target, _histories().candles(symbol, exchange, interval, from_time, to_time), **how)


@history.command(name="quotes")
@click.argument("underlying")
@click.option("--expiry", required=True, callback=arguments.moment, help="When it expires, UTC.")
@click.option("--strike", required=True, type=Decimal, help="Strike price.")
@click.option("--type", "option_type", required=True, type=click.Choice(["call", "put"]))
@arguments.from_time
@arguments.to_time
@_reading(rows_of(queries.OptionQuote, as_table=False))
@click.pass_obj
def history_quotes(
    target: Target,
    /,
    underlying: str,
    expiry: datetime,
    strike: Decimal,
    option_type: queries.OptionType,
    from_time: datetime,
    to_time: datetime,
    **how: Any,
) -> None:
    """Quotes of an option on UNDERLYING from FROM_TIME up to TO_TIME (UTC), as CSV."""
    arguments.check_range(from_time, to_time)
    asked = _histories().option_history(underlying, expiry, strike, option_type, from_time, to_time)
    _tell(target, asked, **how)


def _histories() -> ModuleType:
    try:
        from entasis_db import history as found
    except ImportError as error:
        fail(f"history needs {error.name}: pip install 'entasis-db[archive]'")
    return found


def _tell(target: Target, asked: Any, url: str | None, form: Form, parquet: Path | None) -> None:
    """Write the rows, and say what is not known."""
    if form is Form.JSON and parquet:
        fail("choose one of --json and --parquet", ExitCode.USAGE)
    stores = [open_archive(url)] if url else []
    with target.connect() as connection:
        for one in asked.ranges(connection):
            if one.source == "unknown":
                note(
                    f"not known from {when(one.from_time)} to {when(one.to_time)}: below the floor,"
                    " and not archived"
                )
        write = _as_json if form is Form.JSON else _as_parquet if parquet else _as_csv
        write(asked.reader(connection, stores), parquet)


def _as_json(reader: Any, _file: Path | None) -> None:
    for batch in reader:
        for row in batch.to_pylist():
            click.echo(as_json(as_values(row, list(row))))


def _as_csv(reader: Any, _file: Path | None) -> None:
    import pyarrow as pa
    from pyarrow.csv import CSVWriter

    # times as the other commands write them
    fields = [
        pa.field(each.name, pa.string() if pa.types.is_timestamp(each.type) else each.type)
        for each in reader.schema
    ]
    schema = pa.schema(fields)
    with CSVWriter(sys.stdout.buffer, schema) as writer:
        for batch in reader:
            columns = [_iso(one) if pa.types.is_timestamp(one.type) else one for one in batch]
            writer.write_batch(pa.record_batch(columns, schema=schema))


def _iso(times: Any) -> Any:
    import pyarrow as pa
    from pyarrow import compute

    text = times.cast(pa.timestamp("us")).cast(pa.string())
    joined = compute.replace_substring(text, " ", "T")
    return compute.binary_join_element_wise(joined, "+00:00", "")


def _as_parquet(reader: Any, file: Path | None) -> None:
    from pyarrow.parquet import ParquetWriter

    with ParquetWriter(file, reader.schema, compression="zstd") as writer:
        for batch in reader:
            writer.write_batch(batch)
