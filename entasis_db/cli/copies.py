"""Commands for logical copies: a dump, and a restore that is compared with it."""

from pathlib import Path

import click

from entasis_db import copies
from entasis_db.cli.output import complain, fail, step
from entasis_db.cli.target import Target, Use
from entasis_db.resources import engines

_jobs = click.option(
    "--jobs",
    type=click.IntRange(1),
    default=2,
    show_default=True,
    help="How many tables at once; each takes a connection of its own.",
)
_programs = click.option(
    "--programs",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    envvar="ENTASIS_PG_BINDIR",
    show_envvar=True,
    help="Folder of PostgreSQL's client programs. Default: looked for.",
)


@click.command()
@click.option(
    "--to",
    "folder",
    type=click.Path(path_type=Path),
    required=True,
    help="A new folder for the dump.",
)
@click.option(
    "--portable",
    is_flag=True,
    help="Not by pg_dump: for either engine, and any version of PostgreSQL.",
)
@click.option(
    "--role-passwords",
    is_flag=True,
    help="With the verifiers of the roles' passwords, for which it takes a superuser.",
)
@_jobs
@_programs
@click.pass_obj
def dump(
    target: Target,
    folder: Path,
    portable: bool,
    role_passwords: bool,
    jobs: int,
    programs: Path | None,
) -> None:
    """Copy the database into a folder: roles, rows, and what they come to.

    It takes a superuser, or a login with BYPASSRLS and the roles pg_read_all_data and
    entasis_admin.
    """
    done = copies.dump(
        target.dsn(),
        folder,
        portable=portable,
        jobs=jobs,
        role_passwords=role_passwords,
        program_folder=programs,
        progress=step,
    )
    size = sum(size for size, _ in done.files.values())
    step(f"dumped {done.content.relations['entasis.market_data'].rows:,} trades, {size:,} bytes")
    if done.faults:
        step(
            f"candles had {done.faults:,} faults, and have them in the dump: entasis check says "
            "which"
        )


@click.command(name="restore-dump")
@click.option(
    "--from",
    "folder",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    required=True,
    help="The folder of the dump.",
)
@click.option(
    "--into",
    metavar="URL",
    help="Connection string of an empty database. Default: that of --database.",
)
@click.option(
    "--engine",
    type=click.Choice(engines()),
    help="The engine that a portable dump is restored to. Default: that of the dump.",
)
@click.option(
    "--compare", is_flag=True, help="Restore nothing: compare the database with the dump."
)
@_jobs
@_programs
@click.pass_obj
def restore_dump(
    target: Target,
    folder: Path,
    into: str | None,
    engine: str | None,
    compare: bool,
    jobs: int,
    programs: Path | None,
) -> None:
    """Restore a dump into an empty database, and compare every row with what the dump says.

    It takes a superuser. Each difference is a line on standard error.
    """
    dsn = (target if into is None else Target(into)).dsn(Use.READS if compare else Use.INSTALLS)
    if compare:
        done = copies.compare_with_dump(dsn, folder)
    else:
        done = copies.restore_dump(
            dsn, folder, engine=engine, jobs=jobs, program_folder=programs, progress=step
        )
    for name, relation in done.dumped.content.relations.items():
        if relation.rows and not any(one.startswith(name) for one in done.differences):
            step(f"{name}: {relation.rows:,} rows, as in the dump")
    for one in done.differences:
        complain(one)
    if done.differences:
        fail(
            f"{len(done.differences)} differences from the dump of {done.dumped.taken_at}"
            + ("" if compare else ": do not use this database")
        )
    step("owners, rights, row-level security, floors and sequences are as in the dump, too")
