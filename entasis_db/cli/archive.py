"""Commands for the archive: writing it, listing it, and bringing rows back."""

from datetime import datetime, timedelta
from types import ModuleType
from typing import Any

import click
from rich.table import Table

from entasis_db.cli import arguments
from entasis_db.cli.exit_codes import ExitCode
from entasis_db.cli.output import fail, minute, print_whole, step, when
from entasis_db.cli.progress import archiving
from entasis_db.cli.root import Group
from entasis_db.cli.target import Target
from entasis_db.manifest import ArchivedRange, archived_ranges, has_archived_relations

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
    with target.connect() as connection:
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
@click.pass_obj
def list_archives(target: Target) -> None:
    """List what is archived and where, and whether it is still in the database too."""
    with target.connect() as connection:
        found = archived_ranges(connection)
    if not found:
        step("nothing is archived")
        return
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
    print_whole(table)
    if unverified := sum(one.verified_at is None for one in found):
        step(f"{unverified} not verified: a run was cut short; run entasis archive, which mends it")


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
    with target.connect() as connection, archiving() as progress:
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
