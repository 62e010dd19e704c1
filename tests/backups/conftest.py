"""A rig that has been lived in, for all tests of a file: backups of every kind, and WAL between."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from drills.rig import Rig, programs, rig
from entasis_db.migrate import migrate
from tests import conftest


def limited(made: Rig) -> bool:
    """Give repo1 a disk of its own, which can be full; False where only root of a host may."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=256m,mode=0777", "tmpfs", str(made.repository)]
    return subprocess.run(mount, capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="module")
def made() -> Iterator[Rig]:
    """A rig of which only the server runs."""
    if programs() is None:
        pytest.skip("PostgreSQL 15 and pgBackRest are not both on this machine")
    conftest._ran.add("pgbackrest")
    with ExitStack() as stack:

        def prepare(made: Rig) -> None:
            if limited(made):
                # what is in use is detached all the same
                stack.callback(
                    subprocess.run, ["umount", "--lazy", str(made.repository)], check=False
                )

        yield stack.enter_context(rig(prepare=prepare))


@pytest.fixture(scope="module")
def lived_in(made: Rig) -> Rig:
    """A rig with a table ``kept`` of numbers, written one by one between backups.

    1, full, 2, a monthly one, 3, incremental, 4, differential, another monthly one, 5, the restore
    point ``point``, 6.
    """
    primary = made.server("primary")
    migrate(primary.dsn())
    backups = (
        ("backup", "--type=full"),
        ("--repo=2", "backup", "--type=full", "--annotation=kind=monthly"),
        ("backup", "--type=incr"),
        ("backup", "--type=diff"),
        ("--repo=2", "backup", "--type=full", "--annotation=kind=monthly"),
    )
    with primary.connect() as connection:
        connection.execute(
            "CREATE TABLE public.kept (n integer, at timestamptz DEFAULT clock_timestamp())"
        )
        for n, backup in zip((1, 2, 3, 4, None), backups, strict=True):
            if n is not None:
                connection.execute("INSERT INTO public.kept VALUES (%s)", [n])
            primary.pgbackrest(*backup)
        connection.execute("INSERT INTO public.kept VALUES (5)")
        connection.execute("SELECT pg_create_restore_point('point')")
        connection.execute("INSERT INTO public.kept VALUES (6)")
    primary.archived()
    return made
