"""What Entasis DB did not make, or somebody has taken away from it, is said in one line."""

import pytest
from click.testing import CliRunner
from psycopg import sql

from entasis_db.cli import main
from tests.engines import Database, Server

pytestmark = [pytest.mark.copy, pytest.mark.newest_server, pytest.mark.native_speed]


def refused(database: Database, command: str = "migrate") -> str:
    """Return the one line with which a command refuses a database."""
    arguments = ["--database", database.dsn, command]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 1, result.output
    (line,) = result.stderr.splitlines()
    return line


@pytest.mark.parametrize(
    ("schema", "objects"),
    [
        ("entasis", "CREATE TABLE entasis.markets (x int)"),
        ("entasis", "CREATE TABLE entasis.installation (x int)"),
        ("entasis_internal", "CREATE FUNCTION entasis_internal.f() RETURNS int RETURN 1"),
        ("entasis_migrations", "CREATE TYPE entasis_migrations.t AS ENUM ()"),
    ],
)
def test_a_schema_of_somebody_else_is_left_alone(
    empty_database: Database, schema: str, objects: str
) -> None:
    with empty_database.connect() as connection:
        connection.execute(f"CREATE SCHEMA {schema}; {objects}".encode())
        assert f"a schema {schema} that Entasis DB did not make: it belongs to" in refused(
            empty_database
        )
        assert "not installed in this database" in refused(empty_database, "status")
        left = connection.execute("SELECT count(*) FROM pg_namespace WHERE nspname ~ '^entasis'")
        assert left.fetchone() == (1,)


DAMAGE = {
    "DROP TABLE entasis.markets CASCADE": "entasis.markets is missing, although",
    "DROP TABLE entasis_migrations._yoyo_version": "_yoyo_version is missing. Restore",
    "DROP SCHEMA entasis_migrations CASCADE": "the ledger of this database's migrations",
    "DELETE FROM entasis.installation": "entasis.installation, which says of which engine",
}


@pytest.mark.parametrize(("damage", "said"), DAMAGE.items())
def test_what_is_gone_is_named(database: Database, damage: str, said: str) -> None:
    with database.connect() as connection:
        connection.execute(damage.encode())
    assert said in refused(database)


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_another_encoding_is_refused(
    server: Server, empty_database: Database, encoding: str
) -> None:
    name = f"entasis_{encoding.lower()}"
    with server.admin() as admin:
        admin.execute(
            sql.SQL("CREATE DATABASE {} ENCODING {} LOCALE 'C' TEMPLATE template0").format(
                sql.Identifier(name), sql.Literal(encoding)
            )
        )
        try:
            other = Database(server.dsn(name), empty_database.source)
            assert f"has the encoding {encoding}" in refused(other)
            assert "not installed" in refused(other, "status")
        finally:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
