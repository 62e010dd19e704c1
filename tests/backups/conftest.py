"""A rig that has been lived in, for all tests of a file: backups of every kind, and WAL between."""

import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from drills import pages, shell
from drills.rig import Rig, programs, rig
from entasis_db.migrate import migrate
from tests import conftest


def limited(made: Rig) -> Callable[[], object]:
    """Give repo1 a disk of its own, which can be full, where that is allowed."""
    place = str(made.repository)
    mount = ["mount", "-t", "tmpfs", "-o", "size=256m,mode=0777", "tmpfs", place]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        return lambda: None
    # what is in use is detached all the same
    return lambda: subprocess.run(["umount", "--lazy", place], check=False)


@pytest.fixture(scope="module")
def made() -> Iterator[Rig]:
    """A rig of which only the server runs."""
    if programs() is None:
        pytest.skip("PostgreSQL 15 and pgBackRest are not both on this machine")
    conftest._ran.add("pgbackrest")
    with rig(prepare=limited) as found:
        home = found.home
        yield found
    assert not home.exists()


PAGE = pages.FOLDER / "backups.md"


def commands() -> list[pages.Block]:
    """The blocks of the page that are commands."""
    blocks = pages.blocks(PAGE.read_text(encoding="utf-8"))
    found = [block for block in blocks if block.language == pages.SHELL]
    assert [block.text.split("\n")[0].split(" ")[-1] for block in found] == [
        *("stanza-create", "backup", "restore", "\\"),
    ]
    return found


@pytest.fixture(scope="module")
def lived_in(made: Rig) -> Rig:
    """A rig with a table ``kept`` of numbers, written one by one between backups.

    1, a full and a monthly one, 2, incremental, 3, differential, 4, another monthly one, 5, the
    restore point ``point``, 6. Backups are taken as the page says.
    """
    primary = made.server("primary")
    migrate(primary.dsn())
    begin, daily, *_ = commands()
    full, check, incremental, _, monthly, _ = daily.text.splitlines()
    assert {full, check, monthly} < set(begin.text.splitlines())

    def run(text: str) -> None:
        with shell.entasis(made.home, made.user) as programs:
            environment = primary.environment()
            environment["PATH"] = f"{programs}:{environment['PATH']}"
            block = pages.Block(daily.line, pages.SHELL, text)
            for patience in (5, 5, 0):
                try:
                    shell.play(PAGE.name, [block], programs, made.user, environment)
                except shell.FailedError as error:
                    # a stanza cannot be made while the server tries to archive into it
                    if "unable to acquire lock" not in str(error) or not patience:
                        raise
                    time.sleep(patience)
                else:
                    return

    with primary.connect() as connection:
        connection.execute(
            "CREATE TABLE public.kept (n integer, at timestamptz DEFAULT clock_timestamp())"
        )
        taken = (
            begin.text,
            incremental,
            incremental.replace("incr", "diff"),
            monthly,
        )
        for n, backups in enumerate(taken, 1):
            connection.execute("INSERT INTO public.kept VALUES (%s)", [n])
            run(backups)
        connection.execute("INSERT INTO public.kept VALUES (5)")
        connection.execute("SELECT pg_create_restore_point('point')")
        connection.execute("INSERT INTO public.kept VALUES (6)")
    primary.archived()
    return made
