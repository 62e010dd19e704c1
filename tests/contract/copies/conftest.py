"""A database in which every table holds something, which the tests of a file only read."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from entasis_db.copies import dump
from tests.contract.copies.support import DESK, everything
from tests.engines import Database, Server, make_login, pause_jobs


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the archive."""
    return tmp_path_factory.mktemp("archive")


@pytest.fixture(scope="module")
def filled(server: Server, store: Path) -> Iterator[Database]:
    """A database in which every table holds something."""
    with full_database(server, store) as lent:
        yield lent


@contextmanager
def full_database(server: Server, store: Path) -> Iterator[Database]:
    """Lend a database in which every table holds something."""
    with server.database() as lent:
        with lent.connect() as connection:
            if lent.can("hypertables"):
                pause_jobs(connection)
            make_login(connection, DESK, "secret", ["entasis_writer"])
            connection.execute(
                "INSERT INTO entasis.user_logins VALUES (%s, gen_random_uuid())", [DESK]
            )
            everything(connection, store)
        yield lent
    forget(server)


def forget(server: Server) -> None:
    """Drop the login of the desk, where databases are together in a cluster."""
    if server.source.name != "timescaledb-wasm":
        server.drop_login(DESK)


@pytest.fixture(scope="module")
def dumped(server: Server, filled: Database, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its dump by pg_dump."""
    folder = tmp_path_factory.mktemp("dump") / "d"
    dump(filled.dsn, folder, program_folder=server.source.bindir)
    return folder


@pytest.fixture(scope="module")
def portable(filled: Database, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its portable dump."""
    folder = tmp_path_factory.mktemp("portable") / "d"
    dump(filled.dsn, folder, portable=True)
    return folder
