"""The command ``entasis``: what a DBA and the people on call do by hand or from a scheduler."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shlex import quote
from types import ModuleType
from typing import Any, NoReturn

import click
import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from rich.console import Console
from rich.measure import Measurement
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from entasis_db import migrate as migration
from entasis_db import queries, release
from entasis_db.chart import draw
from entasis_db.embedded import embedded_cluster
from entasis_db.errors import DraftError, EntasisError
from entasis_db.ingest import Loaded, load_options, load_trades
from entasis_db.maintenance import maintain

_out = Console(highlight=False)
_err = Console(stderr=True, highlight=False)
_SHOWN_REASONS = 5
_USAGE = 2  # the exit code of a command that was written wrongly
_FIRST_MOMENT = datetime(2009, 1, 1, tzinfo=UTC)


class _Group(click.Group):
    """Shows the package's own errors, and the server's, as a line and not as a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except EntasisError as error:
            _fail(str(error))
        except psycopg.errors.InsufficientPrivilege as error:
            _fail(f"this login may not do that: {error.diag.message_primary}")
        except (
            psycopg.errors.InvalidSchemaName,
            psycopg.errors.UndefinedTable,
            psycopg.errors.UndefinedFunction,
            psycopg.errors.UndefinedObject,
        ) as error:
            _fail(f"{error.diag.message_primary}. Has this database been migrated? entasis migrate")
        except psycopg.Error as error:
            said = [error.diag.message_primary, error.diag.message_detail, error.diag.message_hint]
            _fail(". ".join(filter(None, said)) or str(error))


def _fail(message: str, code: int = 1) -> NoReturn:
    _complain(message)
    sys.exit(code)


def _complain(message: str) -> None:
    # one line, also where a driver or a server says it in several
    line = " ".join(message.split())
    _err.print(f"entasis: {line}", style="red", markup=False, soft_wrap=True)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(release(), prog_name="entasis-db")
@click.option(
    "--database",
    "dsn",
    envvar="DATABASE_URL",
    help="Connection string. Default: $DATABASE_URL, else the embedded server of this checkout.",
)
@click.pass_context
def main(ctx: click.Context, dsn: str | None) -> None:
    """Entasis DB: the database of a digital-asset trading desk."""
    ctx.obj = dsn


def _dsn(ctx: click.Context) -> str:
    """Return what the user named, or start the embedded server."""
    if ctx.obj:
        return _checked(str(ctx.obj))
    cluster = embedded_cluster()
    if not cluster.is_running():
        _err.print("no DATABASE_URL: starting the embedded PostgreSQL of this checkout")
        cluster.start()
    return cluster.dsn()


def _checked(dsn: str) -> str:
    """Refuse a connection string that libpq would quote, with its password, in an error."""
    try:
        parts = conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:
        parts = {"host": "@"}
    ports = str(parts.get("port") or "0").split(",")
    # An @, : or / in a password that is not encoded shifts what comes after it, the rest of the
    # password among it, into these.
    names = f"{parts.get('host', '')}{parts.get('dbname', '') if '://' in dsn else ''}"
    if "@" in names or not all(port.strip().isdecimal() for port in ports if port):
        _fail(
            "the connection string cannot be understood; write postgresql://user@host:port/name, "
            "with every special character of a password encoded (@ is %40, : is %3A, / is %2F)"
        )
    return dsn


@contextmanager
def _connected(ctx: click.Context) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(
        _dsn(ctx), autocommit=True, application_name=f"entasis {ctx.info_name}"
    ) as connection:
        yield connection


def _step(message: str) -> None:
    _out.print(message, markup=False, soft_wrap=True)


# ------------------------------------------------------------------ the database


@main.command()
@click.option("--engine", help="Name the engine at the first migration, instead of detecting it.")
@click.pass_context
def migrate(ctx: click.Context, engine: str | None) -> None:
    """Bring the database to this release; safe to repeat."""
    dsn = _dsn(ctx)
    try:
        status = migration.migrate(dsn, engine=engine, progress=_step)
    except DraftError as error:
        _fail(_advice(ctx, str(error)))
    _step(f"the database is at release {status.release}, engine {status.engine}")
    parts = conninfo_to_dict(dsn)
    if ctx.obj is None:
        home = embedded_cluster().home
        _step(
            "\nTo look around:  make psql   (or: entasis psql)\n"
            f"or any client:   host {parts['host']}, port {parts['port']}, user {parts['user']}, "
            f"database {parts['dbname']}, password in {home / 'password'}\n"
            "To stop it:      make stop   (the data stays)"
        )


@main.command()
@click.pass_context
def status(ctx: click.Context) -> None:
    """Show the engine, the release, and which migrations the database has."""
    with _connected(ctx) as connection:
        found = migration.status(connection)
    if found.engine is None:
        _fail("Entasis DB is not installed in this database. Install it with: entasis migrate")
    _step(f"engine {found.engine}, release {found.release}, applied {_when(found.applied_at)}")
    table = Table("migration", "applied")
    for item in found.migrations:
        another = ", with another text" if item.differs else ""
        table.add_row(item.id, _when(item.applied_at) + another)
    _print_whole(table)
    if found.refusal:
        _fail(_advice(ctx, found.refusal))
    if found.pending:
        _fail(f"{len(found.pending)} migrations are pending. Apply them with: entasis migrate")


def _advice(ctx: click.Context, refusal: str) -> str:
    """Add to the refusal of another draft's database what to do with an embedded server."""
    if ctx.obj is not None:
        return refusal
    home = str(embedded_cluster().home)
    move = f"mv {quote(home)} {quote(home + '.draft')}"
    return (
        f"{refusal}. This server is the embedded one of this checkout: entasis stop, {move} "
        "(which keeps its data), and entasis migrate makes a new one"
    )


def _when(moment: datetime | None) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if moment else "pending"


@main.command()
def rollback() -> None:
    """Refused: migrations are not taken back."""
    _fail(
        "migrations of Entasis DB are not rolled back, because taking one back would drop data. "
        "Fix forward with a new migration, or restore a backup"
    )


@main.command()
def stop() -> None:
    """Stop the embedded server of this checkout; its data stays."""
    stopped = embedded_cluster().stop()
    _step("stopped; entasis migrate or make migrate starts it again" if stopped else "not running")


@main.command()
@click.pass_context
def psql(ctx: click.Context) -> None:
    """Open psql on the database, the password out of sight."""
    parts = {k: str(v) for k, v in conninfo_to_dict(_dsn(ctx)).items() if v is not None}
    # libpq takes them from the environment, where other users of the machine cannot read them
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD"}
    environment = {**os.environ, **{n: parts.pop(k) for k, n in names.items() if k in parts}}
    program = "psql" if ctx.obj else str(embedded_cluster().bindir / "psql")
    command = [program, make_conninfo("", **parts)]
    try:
        sys.exit(subprocess.run(command, env=environment, check=False).returncode)  # noqa: S603
    except FileNotFoundError:
        _fail("psql is not on the PATH; install PostgreSQL's client programs")


@main.command(name="maintain")
@click.pass_context
def maintain_command(ctx: click.Context) -> None:
    """Do what has to happen daily: partitions ahead, drops past the keep period, statistics."""
    with _connected(ctx) as connection:
        maintain(connection, progress=_step)
    _step("maintained")


@main.command()
@click.argument("from_time", required=False)
@click.argument("to_time", required=False)
@click.pass_context
def check(ctx: click.Context, from_time: str | None, to_time: str | None) -> None:
    """Compare the stored candles with their trades; exit 1 when one is wrong.

    FROM_TIME and TO_TIME are dates or times in UTC; without them, all there is.
    """
    start, end = _moment(from_time), _moment(to_time)
    with _connected(ctx) as connection:
        wrong = connection.execute(
            "SELECT relation, exchange, symbol, bucket, problem FROM entasis.check_candles(%s, %s)",
            [start or "-infinity", end or "infinity"],
        ).fetchall()
    for relation, exchange, symbol, bucket, problem in wrong:
        _step(f"{relation} {exchange} {symbol} {_when(bucket)}: {problem}")
    if wrong:
        _fail(f"{len(wrong)} candles are wrong. Mend them with: entasis rebuild FROM TO")
    _step("every candle is what its trades say")


@main.command()
@click.argument("from_time")
@click.argument("to_time")
@click.pass_context
def rebuild(ctx: click.Context, from_time: str, to_time: str) -> None:
    """Compute the candles of the UTC days from FROM_TIME up to TO_TIME anew."""
    start, end = _moment(from_time), _moment(to_time)
    with _connected(ctx) as connection:
        connection.add_notice_handler(lambda d: _step(d.message_primary or ""))
        connection.execute("CALL entasis.rebuild_candles(%s, %s)", [start, end])


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        # in UTC, for which the years 1 and 9999 may be too narrow
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        _fail(f"{text!r} is no time; write 2024-08-08 or 2024-08-08T23:55 (UTC)", _USAGE)


# ------------------------------------------------------------------ loading


@main.group()
def load() -> None:
    """Load files of trades or option quotes, plain, gzipped or zipped."""


@load.command()
@click.argument("files", nargs=-1, required=True)
@click.option("--exchange", help="The venue, for files that do not name it.")
@click.option("--symbol", help="The instrument, for files that do not name it.")
@click.option("--layout", help="The layout, when it is not to be recognised.")
@click.option("--id-space", help="How trades are numbered (trade, aggtrade); for Parquet.")
@click.option("--decimals", type=int, help="Decimals that floats were written with; for Parquet.")
@click.pass_context
def trades(
    ctx: click.Context,
    files: tuple[str, ...],
    exchange: str | None,
    symbol: str | None,
    layout: str | None,
    id_space: str | None,
    decimals: int | None,
) -> None:
    """Load files of trades: CSV, Parquet, Binance's archives, or a raw Binance stream."""
    _load_files(
        ctx,
        files,
        "market_data",
        lambda connection, file, progress: load_trades(
            connection,
            file,
            exchange=exchange,
            symbol=symbol,
            layout=layout,
            progress=progress,
            id_space=id_space,
            decimals=decimals,
        ),
    )


@load.command()
@click.argument("files", nargs=-1, required=True)
@click.option("--layout", help="The layout, when it is not to be recognised.")
@click.pass_context
def options(ctx: click.Context, files: tuple[str, ...], layout: str | None) -> None:
    """Load files of option quotes: Deribit tickers, or daily quotes of options_backtester."""
    _load_files(
        ctx,
        files,
        "option_data",
        lambda connection, file, progress: load_options(
            connection, file, layout=layout, progress=progress
        ),
    )


Loader = Callable[[psycopg.Connection[Any], str, Callable[[Loaded], None]], Loaded]


def _load_files(ctx: click.Context, files: tuple[str, ...], relation: str, loader: Loader) -> None:
    failed = False
    with _connected(ctx) as connection:
        for file in files:
            try:
                loaded = _with_progress(connection, file, loader)
            except EntasisError as error:
                _complain(str(error))
                failed = True
            else:
                _summarise(connection, relation, loaded)
    if failed:
        sys.exit(1)


def _with_progress(connection: psycopg.Connection[Any], file: str, loader: Loader) -> Loaded:
    name = Path(file).name
    if not _err.is_terminal:
        return loader(connection, file, lambda _: None)
    columns = (TextColumn(name), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=_err, transient=True) as bar:
        task = bar.add_task(name, total=None)
        return loader(
            connection,
            file,
            lambda loaded: bar.update(task, completed=loaded.bytes_read, total=loaded.total_bytes),
        )


def _summarise(connection: psycopg.Connection[Any], relation: str, loaded: Loaded) -> None:
    report = loaded.report
    _step(
        f"{loaded.source} ({loaded.layout}): {report.inserted} rows stored, "
        f"{report.already_there} were there already, {report.quarantined} in quarantine"
    )
    if loaded.truncated_nanoseconds:
        _step(
            f"  {loaded.truncated_nanoseconds} timestamps were finer than a microsecond, which is "
            "what PostgreSQL keeps: the digits below it were cut off"
        )
    if loaded.past_keep:
        _step(
            f"  note: {loaded.past_keep} rows are past their keep period, and the next maintenance "
            "drops the months that wholly are. To keep them, lengthen keep in entasis.keep_periods "
            "(for the candles first)"
        )
    if report.quarantined:
        rows = connection.execute(
            "SELECT line, code, reason FROM entasis.quarantine"
            " WHERE relation = %s AND source = %s ORDER BY line, id LIMIT %s",
            [relation, loaded.source, _SHOWN_REASONS],
        ).fetchall()
        for line, code, reason in rows:
            _step(f"  line {line}: {code}: {reason}")
        _step("  all of them: SELECT * FROM entasis.quarantine")


# ------------------------------------------------------------------ the archive


_STORE = "URL of the archive: s3://BUCKET/PREFIX[?endpoint_url=...] or file:///FOLDER."


@main.group(invoke_without_command=True)
@click.option("--to", "url", envvar="ENTASIS_ARCHIVE_URL", show_envvar=True, help=_STORE)
@click.pass_context
def archive(ctx: click.Context, url: str | None) -> None:
    """Archive what is past its keep period, of relations that are marked as archived.

    Nothing is dropped: entasis maintain does that, for ranges whose archive is verified.
    """
    if ctx.invoked_subcommand is not None:
        return
    archives = _archives()
    store = _store(url, "--to")
    with _connected(ctx) as connection:
        if not _marked(connection):
            _step(
                "no relation is marked as archived; mark one with: UPDATE entasis.keep_periods "
                "SET archived = true WHERE relation = 'market_data'"
            )
            return
        with _events() as progress:
            done = archives.archive(connection, store, progress)
    size, rows = sum(a.bytes for a in done), sum(a.rows for a in done)
    _step(f"{len(done)} ranges archived: {rows:,} rows, {size:,} bytes")


def _archives() -> ModuleType:
    """Import the archive, which needs libraries that not everybody has."""
    try:
        from entasis_db import archive as found
    except ImportError as error:
        _fail(f"the archive needs {error.name}: pip install 'entasis-db[archive]'")
    return found


def _store(url: str | None, option: str) -> Any:
    if not url:
        _fail(f"where is the archive? Name it with {option} or in ENTASIS_ARCHIVE_URL", _USAGE)
    return _archives().open_store(url)


def _marked(connection: psycopg.Connection[Any]) -> bool:
    return bool(
        connection.execute("SELECT FROM entasis.keep_periods WHERE archived LIMIT 1").fetchall()
    )


@contextmanager
def _events() -> Iterator[Callable[[Any], None]]:
    """Show results as lines, and on a terminal the steps on the way in a line that changes."""

    def tell(event: Any) -> None:
        if event.final:
            _step(str(event))
        elif line is not None:
            line.update(str(event))

    with ExitStack() as stack:
        line = stack.enter_context(_err.status("reading")) if _err.is_terminal else None
        yield tell


@archive.command(name="list")
@click.pass_context
def list_archives(ctx: click.Context) -> None:
    """List what is archived, and whether it is still in the database too."""
    with _connected(ctx) as connection:
        found = connection.execute(
            "SELECT a.relation, a.from_time, a.to_time, a.row_count, sum(o.bytes), count(o.key),"
            " a.verified_at, a.dropped_at, a.stale_at FROM entasis.archives AS a"
            " LEFT OUTER JOIN entasis.archive_objects AS o ON a.id = o.archive_id"
            " WHERE a.superseded_at IS NULL"
            " GROUP BY a.id ORDER BY a.relation, a.from_time, a.id"
        ).fetchall()
    if not found:
        _step("nothing is archived")
        return
    table = Table("relation", "from (UTC)", "to")
    for name in ("rows", "bytes", "objects"):
        table.add_column(name, justify="right")
    table.add_column("state")
    for relation, start, end, rows, size, objects, verified, dropped, stale in found:
        if verified is None:
            state = "not verified; the next run begins it anew"
        elif dropped is not None:
            state = f"dropped {_when(dropped)}"
        else:
            state = "stale, to be archived again" if stale else f"verified {_when(verified)}"
        table.add_row(
            relation,
            *(f"{t.astimezone(UTC):%Y-%m-%d %H:%M}" for t in (start, end)),
            *("" if n is None else f"{n:,}" for n in (rows, size, objects)),
            state,
        )
    _print_whole(table)


@main.command()
@click.argument("relation")
@click.argument("from_time")
@click.argument("to_time")
@click.option("--from", "url", envvar="ENTASIS_ARCHIVE_URL", show_envvar=True, help=_STORE)
@click.option("--attach", is_flag=True, help="Into the relation, whole archived ranges only.")
@click.option(
    "--hold",
    type=click.IntRange(1, 3650),
    default=7,
    show_default=True,
    help="Days for which maintenance leaves there what is attached.",
)
@click.pass_context
def restore(
    ctx: click.Context,
    relation: str,
    from_time: str,
    to_time: str,
    url: str | None,
    attach: bool,
    hold: int,
) -> None:
    """Bring the archived rows of RELATION from FROM_TIME up to TO_TIME (UTC) back.

    Into a new table beside the relation, or with --attach into the relation itself.
    """
    start, end = _moment(from_time), _moment(to_time)
    archives = _archives()
    store = _store(url, "--from")
    with _connected(ctx) as connection, _events() as progress:
        done = archives.restore(
            connection,
            store,
            relation,
            start,
            end,
            attach=attach,
            hold=timedelta(days=hold),
            progress=progress,
        )
    _step(f"{sum(r.rows for r in done):,} rows are back")


# ------------------------------------------------------------------ reading


@main.command()
@click.argument("symbol")
@click.option("--exchange", required=True, help="The venue.")
@click.option("--interval", type=click.Choice(queries.INTERVALS), default="1h", show_default=True)
@click.option("--from", "from_time", help="First bucket, UTC. Default: so that --last fit.")
@click.option("--to", "to_time", help="End, not included, UTC. Default: after the newest trade.")
@click.option(
    "--last",
    type=click.IntRange(1, 100_000),
    default=60,
    show_default=True,
    help="How many buckets, without --from.",
)
@click.option("--fill", is_flag=True, help="Show a flat candle where nothing was traded.")
@click.option("--draw", "drawn", is_flag=True, help="Draw them instead of a table.")
@click.pass_context
def candles(
    ctx: click.Context,
    symbol: str,
    exchange: str,
    interval: queries.Interval,
    from_time: str | None,
    to_time: str | None,
    last: int,
    fill: bool,
    drawn: bool,
) -> None:
    """Show the candles of a market, as a table or drawn."""
    end, start = _moment(to_time), _moment(from_time)
    with _connected(ctx) as connection:
        if end is None:
            newest = queries.latest_price(symbol, exchange).one(connection)
            if newest is None:
                _fail(
                    f"no trade of {symbol} on {exchange} is stored; "
                    "entasis.markets lists the markets there are"
                )
            end = newest.timestamp + timedelta(microseconds=1)
        if end <= _FIRST_MOMENT:
            _fail(f"no trade of {symbol} on {exchange}: nothing from before 2009 is stored")
        if start is None:
            # further back may be out of datetime's reach
            start = end - min(last * _longest(interval), end - _FIRST_MOMENT)
        if not start < end:
            _fail(f"--to {_when(end)} is not after --from {_when(start)}", _USAGE)
        found = queries.candles(symbol, exchange, interval, start, end, fill_gaps=fill).fetch(
            connection
        )
    if not found:
        _fail(f"no trade of {symbol} on {exchange} from {_when(start)} to {_when(end)}")
    if from_time is None:
        found = found[-last:]  # months differ in length
    if drawn:
        _step(f"{exchange} {symbol} {interval}")
        # below it, the prompt needs a line
        _out.print(draw(found, _out.width, max(10, min(30, _out.height - 2))))
        return
    table = Table("bucket (UTC)", title=f"{exchange} {symbol} {interval}")
    for name in ("open", "high", "low", "close", "volume", "vwap", "trades"):
        table.add_column(name, justify="right")
    for candle in found:
        table.add_row(
            f"{candle.bucket.astimezone(UTC):%Y-%m-%d %H:%M}",
            *(f"{value:f}" for value in (candle.open, candle.high, candle.low, candle.close)),
            f"{candle.volume:f}",
            f"{candle.vwap:.8f}" if candle.vwap is not None else "",
            str(candle.trades),
        )
    _print_whole(table)


def _print_whole(table: Table) -> None:
    """Print a table as wide as it is: a number that is cut to fit is a wrong number."""
    whole = Measurement.get(_out, _out.options.update(width=10_000), table).maximum
    Console(highlight=False, width=max(whole, _out.width)).print(table)


def _longest(interval: str) -> timedelta:
    """Return the length of a bucket, of the longest one where they differ."""
    unit = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
    if interval == "1mo":
        return timedelta(days=31)
    return timedelta(**{unit[interval[-1]]: int(interval[:-1])})


if __name__ == "__main__":
    main()
