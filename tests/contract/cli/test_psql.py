"""psql as entasis opens it: with arguments, on a terminal, and where names are found."""

import os
import pty
import re
import select
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from entasis_db.cli import main
from tests.engines import Database, Server
from tests.poolers import pooler, program

pytestmark = [pytest.mark.copy, pytest.mark.several_connections, pytest.mark.newest_server]

COMMAND = [sys.executable, "-W", "error", "-m", "entasis_db"]


@pytest.fixture(scope="module")
def database(server: Server) -> Iterator[Database]:
    """One database is enough for tests that look."""
    with server.database() as lent:
        yield lent


Psql = Callable[..., tuple[str, str, int]]


@pytest.fixture
def psql(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Psql:
    """Call the command: what psql itself prints on either stream, and the exit code."""
    for name in [name for name in os.environ if name.startswith("PG")]:
        monkeypatch.delenv(name)

    def call(database: Database | str, *arguments: str) -> tuple[str, str, int]:
        dsn = database if isinstance(database, str) else database.dsn
        result = CliRunner().invoke(main, ["--database", dsn, "psql", *arguments])
        assert result.output == ""
        captured = capfd.readouterr()
        return captured.out, captured.err, result.exit_code

    return call


def test_arguments_go_to_psql(psql: Psql, database: Database, tmp_path: Path) -> None:
    one = "SELECT current_setting('search_path'), current_database()"
    name = conninfo_to_dict(database.dsn)["dbname"]
    shown = f"entasis,public|{name}\n"
    for arguments in (["--", "-XAtc", one], ["-XAtc", one], ["-X", "-A", "-t", "--command", one]):
        # scripts read this: nothing else is on either stream
        assert psql(database, *arguments) == (shown, "", 0), arguments
    script = tmp_path / "script.sql"
    script.write_text("SELECT :x;\n\\dt market_data\n")
    said, _, _ = psql(database, "-XAt", "-v", "x=1", "-f", str(script))
    assert said.startswith("1\n")
    assert "market_data" in said
    # what entasis would take for its own
    assert psql(database, "-XAtc", "SELECT 1", "-h", "127.0.0.1") == ("1\n", "", 0)
    assert psql(database, "--version")[0].startswith("psql (PostgreSQL)")
    for helped in ("-h", "--help"):
        assert "All arguments are psql's" in CliRunner().invoke(main, ["psql", helped]).stdout


def test_tables_are_listed_without_their_partitions(psql: Psql, database: Database) -> None:
    with database.connect() as connection:
        connection.execute(
            "SELECT entasis.ensure_partitions('market_data', '2020-01-01Z', '2020-04-01Z')"
        )
        there = connection.execute(
            "SELECT c.relname FROM pg_class AS c WHERE c.relkind IN ('r', 'p')"
            " AND c.relnamespace = 'entasis'::regnamespace AND NOT c.relispartition"
        ).fetchall()
    listed = [line.split("|")[1] for line in psql(database, "-XAtc", "\\dt")[0].splitlines()]
    assert sorted(listed) == sorted(name for (name,) in there)
    assert "market_data" in listed


def test_it_ends_as_psql_does(psql: Psql, database: Database, tmp_path: Path) -> None:
    assert psql(database, "-XAtc", "SELECT 1/0")[2] == 1
    script = tmp_path / "script.sql"
    script.write_text("oops;\n")
    assert psql(database, "-X", "-v", "ON_ERROR_STOP=1", "-f", str(script))[2] == 3
    script.write_text("\\! kill -9 $PPID\n")
    assert psql(database, "-X", "-f", str(script))[2] == 128 + 9
    # psql itself says of what it cannot reach
    nowhere = make_conninfo(database.dsn, port=1)
    said, error, code = psql(nowhere, "-XAtc", "SELECT 1")
    assert (said, code) == ("", 2)
    assert "port 1" in error


def test_a_search_path_of_the_callers_own_stays(
    psql: Psql, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    asks = ("-XAtc", "SHOW work_mem", "-c", "SHOW search_path")
    own = make_conninfo(database.dsn, options="-c search_path=pg_temp -c work_mem=7MB")
    assert psql(own, *asks)[0] == "7MB\npg_temp\n"
    other = make_conninfo(database.dsn, options="-c work_mem=7MB")
    assert psql(other, *asks)[0] == "7MB\nentasis,public\n"
    monkeypatch.setenv("PGOPTIONS", "-c work_mem=8MB")
    assert psql(database, *asks)[0] == "8MB\nentasis,public\n"


@pytest.mark.skipif(program() is None, reason="PgBouncer is not installed")
def test_a_pooler_is_told_no_options_which_it_would_refuse(psql: Psql, database: Database) -> None:
    with pooler(database.dsn) as dsn:
        query = "SELECT count(*) > 0 FROM entasis.migrations"
        assert psql(dsn, "-XAtc", query) == ("t\n", "", 0)


def test_no_argument_has_the_password(
    psql: Psql, server: Server, database: Database, tmp_path: Path
) -> None:
    script = tmp_path / "script.sql"
    script.write_text("\\! tr '\\\\0' ' ' </proc/$PPID/cmdline\n")
    with server.login("entasis_reader") as (user, password):
        dsn = make_conninfo(database.dsn, user=user, password=password)
        said, _, _ = psql(dsn, "-XAt", "-f", str(script))
        assert "--dbname=" in said
        assert password not in said


def test_a_database_without_entasis_opens_all_the_same(
    psql: Psql, empty_database: Database
) -> None:
    assert psql(empty_database, "-XAtc", "SELECT 1")[0] == "1\n"


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a terminal")
def test_a_terminal_is_told_where_it_is(database: Database) -> None:
    """And Ctrl-C ends the query, not psql."""
    pid, terminal = pty.fork()
    if pid == 0:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
        told = {**kept, "DATABASE_URL": database.dsn, "PAGER": ""}
        os.execve(sys.executable, [*COMMAND, "psql", "-X"], told)
    seen = ""

    def wait_for(text: str) -> None:
        nonlocal seen
        deadline = time.monotonic() + 20
        while not re.search(text, seen):
            assert time.monotonic() < deadline, seen
            if select.select([terminal], [], [], 0.2)[0]:
                seen += os.read(terminal, 10_000).decode(errors="replace")

    name = conninfo_to_dict(database.dsn)["dbname"]
    wait_for(f"{name}=# ")
    (line,) = [line for line in seen.splitlines() if line.startswith("database ")]
    assert line.startswith(f"database {name} on 127.0.0.1:")
    assert re.search(r" as postgres: PostgreSQL \d+\.\d+, Entasis DB ", line)
    assert line.endswith(f", engine {database.engine}; search path entasis, public")
    os.write(terminal, b"SELECT 'asleep', pg_sleep(60);\n")
    time.sleep(0.3)
    os.write(terminal, b"\x03")
    wait_for("canceling statement")
    os.write(terminal, b"SELECT 6*7 AS x;\n\\q\n")
    wait_for(r"\b42\b")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.close(terminal)
