"""A database that was made from other texts of the same migrations is refused, and says so."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner
from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend

from entasis_db.catalog import ROLES
from entasis_db.cli import main
from entasis_db.errors import DraftError, MigrationError
from entasis_db.ledger import migration_files
from entasis_db.migrate import migrate, status
from entasis_db.resources import sql_root
from tests.catalog import facts
from tests.engines import Database

TRADES = "0003.market-data"
FIRST = "0001.foundation"

pytestmark = [pytest.mark.native_speed, pytest.mark.newest_server]

Editing = Callable[[Callable[[Path], None]], None]


@pytest.fixture
def draft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Editing:
    """Let migrations/ be another draft's: each of its files as the given function leaves it."""

    def edit(change: Callable[[Path], None]) -> None:
        copy = tmp_path / "draft"
        shutil.copytree(sql_root() / "migrations", copy / "migrations")
        for file in list(copy.glob("migrations/*/*.sql")):
            change(file)
        monkeypatch.setattr("entasis_db.ledger.sql_root", lambda: copy)

    return edit


def another_text(file: Path) -> None:
    """Change one migration, as every change does: also one that makes the same tables."""
    if file.stem == TRADES:
        file.write_bytes(file.read_bytes() + b"-- the same, said better\n")


def unlocked(connection: psycopg.Connection[Any], statement: str) -> None:
    """Change the ledger, which its triggers refuse."""
    connection.execute("SET session_replication_role = replica")
    connection.execute(statement.encode())
    connection.execute("RESET session_replication_role")


def recorded(connection: psycopg.Connection[Any]) -> dict[str, str]:
    rows = connection.execute("SELECT migration, sha256 FROM entasis_migrations.checksums")
    return dict(rows.fetchall())


def test_the_text_of_every_migration_is_recorded(database: Database) -> None:
    files = {
        path.stem: hashlib.sha256(path.read_text(encoding="utf-8").encode()).hexdigest()
        for folder in ("core", database.engine)
        for path in (sql_root() / "migrations" / folder).iterdir()
    }
    assert len(files) > 5
    with database.connect() as connection:
        assert recorded(connection) == files
        shown = connection.execute("SELECT migration, sha256 FROM entasis.migrations").fetchall()
        assert dict(shown) == files
        assert status(connection).differing == ()
        assert status(connection).refusal is None


def test_another_draft_is_refused_and_left_alone(database: Database, draft: Editing) -> None:
    with database.connect() as connection:
        # a run that got as far as schema/ would put this back
        connection.execute("COMMENT ON TABLE entasis.floors IS 'as it was'")
        before = facts(connection), recorded(connection)
        draft(another_text)
        with pytest.raises(DraftError) as refused:
            migrate(database.dsn)
        assert (facts(connection), recorded(connection)) == before
        found = status(connection)
    said = str(refused.value)
    assert f"another draft of release {found.release}: it has {TRADES} with another text" in said
    assert "pg_dump" in said
    assert "migrate a new database" in said
    assert found.differing == (TRADES,)
    assert found.refusal == said
    assert found.pending == ()


def test_line_endings_make_no_draft(database: Database, draft: Editing) -> None:
    def as_git_on_windows(file: Path) -> None:
        file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))

    draft(as_git_on_windows)
    assert b"\r\n" in migration_files(database.engine)[FIRST].read_bytes()
    assert migrate(database.dsn).differing == ()


def test_a_renamed_migration_is_another_draft(database: Database, draft: Editing) -> None:
    def rename(file: Path) -> None:
        if file.stem == TRADES:
            file.rename(file.with_stem("0003.trades"))

    draft(rename)
    with pytest.raises(DraftError, match=f"it has {TRADES} with another text"):
        migrate(database.dsn)
    with database.connect() as connection:
        assert status(connection).differing == (TRADES,)


def test_a_later_release_is_told_from_a_draft(database: Database, draft: Editing) -> None:
    with database.connect() as connection:
        connection.execute(
            "INSERT INTO entasis_migrations.checksums VALUES ('9999.later', repeat('0', 64))"
        )
        with pytest.raises(MigrationError, match=r"9999\.later.*Upgrade entasis-db") as refused:
            migrate(database.dsn)
        assert not isinstance(refused.value, DraftError)
        assert status(connection).differing == ()


@pytest.mark.parametrize(
    ("statement", "missing"),
    [
        # made before checksums were kept
        ("DROP TABLE entasis_migrations.checksums CASCADE", "all"),
        # so made, and killed before yoyo recorded its first migration
        (
            "DROP TABLE entasis_migrations.checksums CASCADE;"
            " DELETE FROM entasis_migrations._yoyo_migration",
            FIRST,
        ),
        # applied by yoyo directly
        (f"DELETE FROM entasis_migrations.checksums WHERE migration = '{TRADES}'", TRADES),
    ],
)
def test_a_migration_without_a_checksum_is_another_draft(
    database: Database, statement: str, missing: str
) -> None:
    names = migration_files(database.engine) if missing == "all" else [missing]
    with database.connect() as connection:
        unlocked(connection, statement)
        with pytest.raises(DraftError) as refused:
            migrate(database.dsn)
        assert f"it has {', '.join(names)} with another text" in str(refused.value)


def test_the_view_of_an_early_draft_is_read(database: Database) -> None:
    with database.connect() as connection:
        unlocked(connection, "DROP TABLE entasis_migrations.checksums CASCADE")
        connection.execute(
            "CREATE VIEW entasis.migrations AS SELECT migration_id AS migration,"
            " applied_at_utc AT TIME ZONE 'UTC' AS applied_at"
            " FROM entasis_migrations._yoyo_migration"
        )
        assert status(connection).differing == tuple(migration_files(database.engine))


def killed_before(method: str, monkeypatch: pytest.MonkeyPatch, dsn: str, engine: str) -> None:
    """Migrate, and stop with the trades' migration where yoyo enters one of its own methods."""
    whole = getattr(PostgresqlPsycopgBackend, method)

    def stop(self: Any, migration: Any, *arguments: Any, **options: Any) -> None:
        if migration.id == TRADES:
            raise KeyboardInterrupt
        whole(self, migration, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(PostgresqlPsycopgBackend, method, stop)
        with pytest.raises(KeyboardInterrupt):
            migrate(dsn, engine=engine)


def test_a_kill_before_yoyos_record_leaves_the_text_recorded(
    empty_database: Database, draft: Editing, monkeypatch: pytest.MonkeyPatch
) -> None:
    dsn, engine = empty_database.dsn, empty_database.engine
    killed_before("log_migration", monkeypatch, dsn, engine)
    with empty_database.connect() as connection:
        assert TRADES in recorded(connection)
        known = connection.execute("SELECT migration_id FROM entasis_migrations._yoyo_migration")
        assert (TRADES,) not in known.fetchall()
        # another draft would find its tables there already, and call them its own
        draft(another_text)
        with pytest.raises(DraftError, match=f"it has {TRADES} with another text"):
            migrate(dsn, engine=engine)
        monkeypatch.undo()  # this release again
        assert migrate(dsn, engine=engine).pending == ()
        assert status(connection).differing == ()


def test_a_migration_that_fails_leaves_no_checksum(
    empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A migration and its checksum are there together or not at all."""

    def fail_at_commit(file: Path) -> str:
        return "no checksum" if file.stem == TRADES else hashlib.sha256(b"").hexdigest()

    with monkeypatch.context() as patch:
        patch.setattr("entasis_db.ledger.checksum", fail_at_commit)
        with pytest.raises(MigrationError, match="checksums_sha256_hexadecimal"):
            migrate(empty_database.dsn, engine=empty_database.engine)
    with empty_database.connect() as connection:
        assert set(recorded(connection)) == {FIRST, "0002.engine"}
        there = connection.execute("SELECT to_regclass('entasis.market_data') IS NOT NULL")
        assert there.fetchone() == (False,)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM entasis_migrations.checksums",
        "UPDATE entasis_migrations.checksums SET sha256 = repeat('0', 64)",
        "TRUNCATE entasis_migrations.checksums",
    ],
)
def test_a_checksum_stays_as_it_was_written(
    connection: psycopg.Connection[Any], statement: str
) -> None:
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="not rolled back"):
        connection.execute(statement.encode())


def test_the_table_is_explained_and_owned_like_all_others(
    connection: psycopg.Connection[Any],
) -> None:
    found = connection.execute(
        """
        SELECT pg_get_userbyid(c.relowner), obj_description(c.oid, 'pg_class') IS NOT NULL,
            bool_and(col_description(c.oid, a.attnum) IS NOT NULL),
            (SELECT count(*) FROM aclexplode(c.relacl) AS x WHERE x.grantee <> c.relowner)
        FROM pg_class AS c INNER JOIN pg_attribute AS a ON c.oid = a.attrelid AND a.attnum > 0
        WHERE c.oid = 'entasis_migrations.checksums'::regclass
        GROUP BY c.oid
        """
    ).fetchone()
    assert found == ("entasis_owner", True, True, 0)


def test_a_reader_sees_checksums_and_cannot_write_them(login: Any) -> None:
    reader = login("entasis_reader")
    shown = reader.execute("SELECT count(*), count(sha256) FROM entasis.migrations").fetchone()
    assert shown[0] == shown[1] > 5
    for role in ROLES[1:]:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            login(role).execute("SELECT FROM entasis_migrations.checksums")


def test_the_command_line_says_what_to_do(database: Database, draft: Editing) -> None:
    draft(another_text)
    for command in ("status", "migrate"):
        result = CliRunner().invoke(main, ["--database", database.dsn, command])
        assert result.exit_code == 1, result.output
        assert f"it has {TRADES} with another text" in result.stderr
        assert "migrate a new database" in result.stderr
        assert "embedded" not in result.stderr
    shown = CliRunner().invoke(main, ["--database", database.dsn, "status"]).stdout
    (line,) = [line for line in shown.splitlines() if "with another text" in line]
    assert TRADES in line


def test_the_command_line_knows_where_the_embedded_data_is(
    database: Database, draft: Editing, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    home = tmp_path / "a checkout" / ".entasis"
    cluster = SimpleNamespace(home=home, is_running=lambda: True, dsn=lambda: database.dsn)
    monkeypatch.setattr("entasis_db.cli.target.embedded_cluster", lambda: cluster)
    monkeypatch.setattr("entasis_db.cli.target.has_cluster", lambda _: True)
    monkeypatch.setenv("ENTASIS_EMBEDDED_HOME", str(home))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    draft(another_text)
    # an earlier draft's data may be there already
    for command, kept in (("status", ".draft"), ("migrate", ".draft-2"), ("status", ".draft-3")):
        result = CliRunner().invoke(main, [command])
        assert result.exit_code == 1, result.output
        assert "entasis stop" in result.stderr
        assert f"mv '{home}' '{home}{kept}' (" in result.stderr
        Path(f"{home}{kept}").mkdir(parents=True)
