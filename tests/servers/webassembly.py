"""TimescaleDB as WebAssembly: a thread a database, and together they pass for a cluster."""

import secrets
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from entasis_db.migrate import migrate
from entasis_db.resources import schema_order
from tests import wasm
from tests.engines import Server, Source, make_login


def found() -> list[Source]:
    """Name it, where its bridge is installed (tests/wasm)."""
    if not wasm.is_installed():
        return []
    origin = "TimescaleDB as WebAssembly, one session for all clients"
    # known of 2.23: tests/timescaledb/test_candles.py finds it by chance
    lacks = {
        "columnstore_writes": "TimescaleDB 2.23 loses deletes in compressed chunks",
        "several_connections": "one session serves all clients",
        "native_speed": "each database takes seconds to start, and statements five times as long",
        "own_cluster": "it is a library, and its databases are no cluster",
    }
    return [Source("timescaledb-wasm", "timescaledb", origin, WasmServer, lacks=lacks)]


# in the order in which they can be repeated elsewhere
_ROLES = """
    SELECT statement FROM (
        SELECT 1, format('CREATE ROLE %I %s CONNECTION LIMIT %s', rolname,
            CASE WHEN rolcanlogin THEN 'LOGIN' ELSE 'NOLOGIN' END, rolconnlimit)
        FROM pg_roles WHERE rolname LIKE 'entasis%'
        UNION ALL
        SELECT 2, format('GRANT %s TO %s', roleid::regrole, member::regrole)
        FROM pg_auth_members WHERE roleid::regrole::text LIKE 'entasis%'
    ) AS s (step, statement) ORDER BY step"""


class WasmServer(Server):
    """TimescaleDB as WebAssembly: a thread a database, and together they pass for a cluster."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._stack = ExitStack()
        # older than what is supported, and all that can be had where there is no native server
        patch = self._stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("ENTASIS_UNSUPPORTED_TIMESCALEDB", "yes")
        self._instances: dict[str, wasm.Instance] = {}
        self._prepared = {}
        self._logins: dict[str, tuple[str, Sequence[str]]] = {}
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        # Roles belong to the cluster: every database has them, an empty one too, by the same oids.
        self.create("scratch")
        with psycopg.connect(self.dsn("scratch"), autocommit=True) as connection:
            for file in schema_order(source.engine).bootstrap:
                connection.execute(file.read_bytes())
            roles = [text for (text,) in connection.execute(_ROLES).fetchall()]
        self.drop("scratch")
        self.create("template0")
        with psycopg.connect(self.dsn("template0"), autocommit=True) as connection:
            for statement in roles:
                connection.execute(statement.encode())
            # they would be half of what each copy has to load, and no client comes to them
            connection.execute("UPDATE pg_database SET datistemplate = false")
            for unused in ("template0", "postgres"):
                connection.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(unused)))
            connection.execute("UPDATE pg_database SET datistemplate = true")
        self.seal("template0")
        self._template = "migrated"
        self.create(self._template)
        migrate(self.dsn(self._template), engine=source.engine)
        self.seal(self._template)

    def seal(self, name: str) -> None:
        """Write a database to a file, from which copies start."""
        self._instances[name].dump(self._folder / name)
        self.drop(name)

    def dsn(self, database: str) -> str:
        """Return the superuser's DSN of one database that is lent."""
        return make_conninfo(self._instances[database].dsn, dbname=database)

    def admin(self) -> psycopg.Connection[Any]:
        """Refuse: there is no maintenance database."""
        raise NotImplementedError("each database is a server of its own here; connect to one")

    def create(self, name: str, template: str = "template0") -> None:
        """Start an instance: an empty one, or a copy of the migrated one."""
        dump = self._folder / template  # which "template0" is not yet when it is made itself
        self._instances[name] = wasm.Instance(dump if dump.exists() else None)
        with psycopg.connect(self.dsn(name), autocommit=True) as connection:
            for login, (password, roles) in self._logins.items():
                make_login(connection, login, password, roles)

    def drop(self, name: str) -> None:
        """Stop an instance; its data is gone."""
        self._instances.pop(name).close()

    @contextmanager
    def login(self, *roles: str) -> Iterator[tuple[str, str]]:
        """Lend a login that is a member of the given roles: in every database, as in a cluster."""
        name, password = f"entasis_login_{secrets.token_hex(4)}", secrets.token_urlsafe(12)
        self._logins[name] = (password, roles)
        for database in self._instances:
            with psycopg.connect(self.dsn(database), autocommit=True) as connection:
                make_login(connection, name, password, roles)
        try:
            yield name, password
        finally:
            del self._logins[name]
            for database in self._instances:
                with psycopg.connect(self.dsn(database), autocommit=True) as connection:
                    # elsewhere what a session has made for itself ends with it
                    connection.execute("DISCARD TEMP")
                    connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))

    def close(self) -> None:
        """Stop all instances."""
        for name in list(self._instances):
            self.drop(name)
        if self._stack is not None:
            self._stack.close()
