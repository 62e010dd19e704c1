"""The bridge to TimescaleDB as WebAssembly keeps its clients apart, as far as one backend can."""

import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from tests import wasm

pytestmark = pytest.mark.skipif(
    not wasm.is_installed(), reason="the bridge is not installed: python -m tests.wasm"
)

Connection = psycopg.Connection[Any]
Connect = Callable[..., Connection]


@pytest.fixture(scope="module")
def instance() -> Iterator[wasm.Instance]:
    started = wasm.Instance()
    with psycopg.connect(started.dsn, autocommit=True) as connection:
        connection.execute(
            "CREATE ROLE ada LOGIN PASSWORD 'ada'; CREATE ROLE clerk; GRANT clerk TO ada;"
            "CREATE TABLE kept (id int PRIMARY KEY CHECK (id > 0), word text DEFAULT 'none');"
            "CREATE TABLE said (rows bigint);"
            "GRANT SELECT, INSERT, DELETE ON kept, said TO clerk;"
            "CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN"
            " INSERT INTO said SELECT count(*) FROM new; RETURN NULL; END';"
            "CREATE TRIGGER tell AFTER INSERT ON kept REFERENCING NEW TABLE AS new"
            " EXECUTE FUNCTION tell()"
        )
    yield started
    started.close()


@pytest.fixture
def connect(instance: wasm.Instance) -> Iterator[Connect]:
    with ExitStack() as stack:

        def connected(**options: Any) -> Connection:
            opened = psycopg.connect(instance.dsn, **{"autocommit": True, **options})
            return stack.enter_context(opened)

        yield connected


@pytest.fixture
def root(connect: Connect) -> Connection:
    connection = connect()
    connection.execute("TRUNCATE kept, said")
    return connection


def one(connection: Connection, query: str) -> Any:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0] if len(row) == 1 else row


def who(connection: Connection) -> Any:
    return one(connection, "SELECT session_user, current_user, current_setting('is_superuser')")


def test_timescaledb_is_the_community_edition(connect: Connect) -> None:
    root = connect()
    # what a program does that asks whether there is a TimescaleDB
    with root.transaction(force_rollback=True):
        root.execute("CREATE EXTENSION timescaledb")
        assert one(root, "SHOW timescaledb.license") == "timescale"
    root.execute("CREATE EXTENSION timescaledb")
    root.execute("CREATE TABLE ticks (at timestamptz NOT NULL, price numeric)")
    root.execute("SELECT create_hypertable('ticks', 'at')")
    root.execute("INSERT INTO ticks VALUES ('2024-01-01Z', 1), ('2024-01-02Z', 2)")
    root.execute(
        "CREATE MATERIALIZED VIEW daily WITH (timescaledb.continuous) AS SELECT"
        " time_bucket('1 day', at) AS day, max(price) FROM ticks GROUP BY 1 WITH NO DATA"
    )
    root.execute("CALL refresh_continuous_aggregate('daily', NULL, NULL)")
    assert one(root, "SELECT count(*) FROM daily") == 2
    job = one(root, "SELECT add_retention_policy('ticks', INTERVAL '1 month')")
    root.execute("CALL run_job(%s)", [job])
    assert one(root, "SELECT count(*) FROM ticks") == 0
    root.execute("DROP TABLE ticks CASCADE")


def test_a_copy_of_a_database_is_that_database(instance: wasm.Instance, tmp_path: Path) -> None:
    with psycopg.connect(instance.dsn, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
        connection.execute("CREATE TABLE copied (at timestamptz NOT NULL)")
        connection.execute("SELECT create_hypertable('copied', 'at')")
    instance.dump(tmp_path / "dump")
    copy = wasm.Instance(tmp_path / "dump")
    try:
        with psycopg.connect(copy.dsn, autocommit=True) as connection:
            # as the first statement: the extension must be loaded already
            connection.execute("INSERT INTO copied VALUES (now())")
            assert one(connection, "SELECT count(*) FROM show_chunks('copied')") == 1
    finally:
        copy.close()
    with psycopg.connect(instance.dsn, autocommit=True) as connection:
        assert one(connection, "SELECT count(*) FROM copied") == 0
        connection.execute("DROP TABLE copied")


def test_each_client_has_settings_of_its_own(connect: Connect) -> None:
    options = "-c search_path=pg_catalog,public -c lock_timeout=5s -c role=clerk"
    ada = connect(user="ada", password="ada", options=options, application_name="ada's")
    root = connect(options=r"-c TimeZone=Asia/Kathmandu -c entasis.note=a\ b")
    for _ in range(2):
        assert who(ada) == ("ada", "clerk", "off")
        assert one(ada, "SHOW search_path") == "pg_catalog,public"
        assert one(ada, "SHOW lock_timeout") == "5s"
        assert one(ada, "SHOW application_name") == "ada's"
        assert str(ada.info.timezone) == "GMT"
        assert who(root) == ("postgres", "postgres", "on")
        assert one(root, "SHOW search_path") == '"$user", public'
        assert one(root, "SHOW lock_timeout") == "0"
        assert str(root.info.timezone) == "Asia/Kathmandu"
        assert one(root, "SHOW entasis.note") == "a b"
    assert one(ada, "SELECT current_setting('entasis.note', true)") != "a b"
    # and what is set later stays with whoever set it
    ada.execute("SELECT set_config('entasis.note', 'mine', false)")
    ada.execute("SET entasis.other = 'too'")
    ada.execute("SET TimeZone = 'Europe/Paris'")
    root.execute("SET ROLE clerk")
    assert one(root, "SELECT current_setting('entasis.other', true)") != "too"
    assert one(ada, "SHOW entasis.other") == "too"
    assert one(ada, "SHOW entasis.note") == "mine"
    assert str(ada.info.timezone) == "Europe/Paris"
    assert one(root, "SHOW entasis.note") == "a b"
    assert str(root.info.timezone) == "Asia/Kathmandu"
    assert who(root) == ("postgres", "clerk", "off")


def test_the_settings_are_those_of_a_server(connect: Connect) -> None:
    connection = connect()
    for forget in ("SELECT 1", "RESET ALL", "DISCARD ALL", "RESET enable_seqscan"):
        connection.execute(forget.encode())
        assert one(connection, "SHOW enable_seqscan") == "on"
        assert one(connection, "SHOW client_min_messages") == "notice"
        assert one(connection, "SHOW search_path") == '"$user", public'


def test_no_client_takes_it_for_a_pooler(connect: Connect) -> None:
    first, second = connect(), connect(user="ada", password="ada")
    for client in (first, second, first):
        assert client.info.backend_pid == one(client, "SELECT pg_backend_pid()")


def test_a_login_stays_what_it_is(connect: Connect) -> None:
    ada = connect(user="ada", password="ada", options="-c role=clerk")
    for statement in (
        "SET SESSION AUTHORIZATION postgres",
        "SET LOCAL SESSION AUTHORIZATION postgres",
        "SELECT set_config('session_authorization', 'postgres', false)",
        "CREATE ROLE eve SUPERUSER",
        "SET ROLE postgres",
        "COPY kept FROM '/dev/blob'",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            ada.execute(statement.encode())
    for statement in ("RESET SESSION AUTHORIZATION", "DISCARD ALL", "RESET ROLE", "RESET ALL"):
        ada.execute(statement.encode())
        assert who(ada)[0] == "ada"
        assert who(ada)[2] == "off"
    # a superuser may, and comes back
    root = connect()
    root.execute("SET SESSION AUTHORIZATION ada")
    assert who(root) == ("ada", "ada", "off")
    assert who(ada)[0] == "ada"
    root.execute("RESET SESSION AUTHORIZATION")
    assert who(root) == ("postgres", "postgres", "on")


@pytest.mark.parametrize("user", ["clerk", "nobody"])
def test_who_may_not_log_in_does_not(connect: Connect, user: str) -> None:
    with pytest.raises(psycopg.OperationalError, match=user):
        connect(user=user)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        connect(password="wrong")
    with pytest.raises(psycopg.OperationalError, match="unrecognized"):
        connect(options="-c nonsense=1")


def test_a_transaction_keeps_the_backend(connect: Connect, root: Connection) -> None:
    other = connect()
    with root.transaction():
        root.execute("INSERT INTO kept VALUES (1)")
        with pytest.raises(psycopg.OperationalError, match="several_connections"):
            other.execute("SELECT 1")
        with pytest.raises(psycopg.OperationalError, match="several_connections"):
            connect()
        root.execute("INSERT INTO kept VALUES (2)")
    assert one(connect(), "SELECT count(*) FROM kept") == 2


def test_prepared_statements_have_owners(connect: Connect) -> None:
    first, second = connect(prepare_threshold=0), connect(prepare_threshold=0)
    for _ in range(3):
        assert first.execute("SELECT %s::int, 'first'", [1]).fetchone() == (1, "first")
        assert second.execute("SELECT %s::text, 'second'", ["x"]).fetchone() == ("x", "second")
    first.execute("DEALLOCATE ALL")
    assert second.execute("SELECT %s::text, 'second'", ["x"]).fetchone() == ("x", "second")
    second.execute("DISCARD ALL")
    first = connect(prepare_threshold=0)
    for _ in range(3):
        assert first.execute("SELECT %s::int, 'first'", [1]).fetchone() == (1, "first")


def test_pipelines(connect: Connect, root: Connection) -> None:
    with root.pipeline():
        cursors = [root.execute("SELECT %s::int", [i]) for i in range(10)]
        assert [c.fetchone() for c in cursors] == [(i,) for i in range(10)]
    told: list[str | None] = []
    root.add_notice_handler(lambda notice: told.append(notice.message_primary))
    with pytest.raises(psycopg.errors.CheckViolation), root.pipeline():
        root.execute("INSERT INTO kept VALUES (%s)", [1])
        root.execute("INSERT INTO kept VALUES (%s)", [-1])
        root.execute("INSERT INTO kept VALUES (%s)", [2])
    assert one(root, "SELECT count(*) FROM kept") == 0
    assert told == []  # PGlite traces that a transaction is rolled back
    # the pipeline of an executemany ends with a Flush that asks for nothing
    with root.cursor() as cursor:
        cursor.executemany("INSERT INTO kept VALUES (%s)", [(1,), (2,)])
    assert one(connect(), "SELECT count(*) FROM kept") == 2


def packed(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


def greeting(instance: wasm.Instance) -> bytes:
    password = str(conninfo_to_dict(instance.dsn)["password"]).encode()
    hello = packed(b"", struct.pack("!i", 196608) + b"user\0postgres\0\0")
    return hello + packed(b"p", password + b"\0")


@contextmanager
def raw(instance: wasm.Instance) -> Iterator[socket.socket]:
    """Connect without a driver, and leave without a word."""
    found = conninfo_to_dict(instance.dsn)
    with socket.create_connection((str(found["host"]), int(str(found["port"])))) as client:
        yield client


def ready(client: socket.socket, status: bytes) -> None:
    """Read until the server is ready for a query, in the given state of a transaction."""
    read = b""
    while not read.endswith(packed(b"Z", status)):
        piece = client.recv(4096)
        assert piece, read
        read += piece


@pytest.mark.parametrize(
    ("queries", "status"),
    [
        (["SET ROLE clerk", "SET search_path = nowhere"], b"I"),
        (["BEGIN", "INSERT INTO kept VALUES (1)"], b"T"),
        (["BEGIN", "INSERT INTO kept VALUES (1)", "SELECT 1/0"], b"E"),
    ],
)
def test_a_client_that_dies_leaves_nothing(
    instance: wasm.Instance, root: Connection, queries: list[str], status: bytes
) -> None:
    with raw(instance) as client:
        client.sendall(greeting(instance))
        ready(client, b"I")
        for query in queries:
            client.sendall(packed(b"Q", query.encode() + b"\0"))
        ready(client, status)
    assert one(root, "SELECT count(*) FROM kept") == 0
    assert who(root) == ("postgres", "postgres", "on")


def test_half_a_message_harms_nobody(instance: wasm.Instance, root: Connection) -> None:
    hello, query = greeting(instance), packed(b"Q", b"SELECT 1\0")
    for part in (b"\0\0", hello[:10], hello[:-4], hello + query[:9]):
        with raw(instance) as client:
            client.sendall(part)
        assert one(root, "SELECT 1") == 1


def test_a_request_that_never_ends_harms_nobody(instance: wasm.Instance, root: Connection) -> None:
    with raw(instance) as client:
        client.sendall(greeting(instance))
        ready(client, b"I")
        client.sendall(packed(b"P", b"\0INSERT INTO kept VALUES (1)\0\0\0"))
        client.sendall(packed(b"B", b"\0\0" + bytes(6)) + packed(b"E", bytes(5)))
        assert client.recv(4096)
    assert one(root, "SELECT count(*) FROM kept") == 0
    with raw(instance) as client:
        client.sendall(greeting(instance))
        ready(client, b"I")
        client.sendall(packed(b"Q", b"COPY kept (id) FROM STDIN\0") + packed(b"d", b"1\n"))
        assert client.recv(4096)
    assert one(root, "SELECT count(*) FROM kept") == 0


def test_what_comes_before_a_greeting(instance: wasm.Instance) -> None:
    with raw(instance) as client:
        for wish in (80877103, 80877104):  # SSL, GSS
            client.sendall(packed(b"", struct.pack("!i", wish)))
            assert client.recv(1) == b"N"
        client.sendall(greeting(instance))
        ready(client, b"I")
    with raw(instance) as client:
        client.sendall(packed(b"", struct.pack("!iii", 80877102, 0, 0)))  # cancel
        assert client.recv(1) == b""


def copied(connection: Connection, statement: str, data: bytes) -> int:
    with connection.cursor() as cursor:
        with cursor.copy(statement.encode()) as copy:
            # in pieces that are no lines
            for start in range(0, len(data), 3):
                copy.write(data[start : start + 3])
        return cursor.rowcount


COPIES = {
    "COPY kept (id, word) FROM STDIN": b"1\ta\\tb\n2\t\\N\n",
    "COPY kept (word, id) FROM STDIN WITH (FORMAT csv)": b'"a\tb",1\n,2\n',
}


@pytest.mark.parametrize("user", ["postgres", "ada"])
@pytest.mark.parametrize("statement", COPIES)
def test_copy(connect: Connect, root: Connection, statement: str, user: str) -> None:
    connection = connect(**({"user": user, "password": user} if user == "ada" else {}))
    assert copied(connection, statement, COPIES[statement]) == 2
    expected = [(1, "a\tb"), (2, None)]
    assert root.execute("SELECT id, word FROM kept ORDER BY id").fetchall() == expected
    # one statement, so its triggers fired once
    assert root.execute("SELECT rows FROM said").fetchall() == [(2,)]
    assert copied(connection, "COPY kept (id) FROM STDIN", b"3\n") == 1
    assert one(root, "SELECT word FROM kept WHERE id = 3") == "none"


@pytest.mark.parametrize("user", ["postgres", "ada"])
def test_what_copy_refuses(connect: Connect, root: Connection, user: str) -> None:
    connection = connect(**({"user": user, "password": user} if user == "ada" else {}))
    with pytest.raises(psycopg.errors.InvalidTextRepresentation, match="line 2"):
        copied(connection, "COPY kept (id) FROM STDIN", b"1\nx\n")
    with pytest.raises(psycopg.errors.CheckViolation):
        copied(connection, "COPY kept (id) FROM STDIN", b"1\n-1\n")
    with pytest.raises(psycopg.errors.UndefinedTable):
        copied(connection, "COPY nothing FROM STDIN", b"1\n")
    with (
        pytest.raises(RuntimeError, match="enough"),
        connection.cursor() as cursor,
        cursor.copy("COPY kept (id) FROM STDIN") as copy,
    ):
        copy.write(b"1\n")
        raise RuntimeError("enough")
    assert one(root, "SELECT count(*) FROM kept") == 0
    # within a transaction, a savepoint is enough
    with connection.transaction():
        copied(connection, "COPY kept (id) FROM STDIN", b"1\n")
        with pytest.raises(psycopg.errors.UniqueViolation), connection.transaction():
            copied(connection, "COPY kept (id) FROM STDIN", b"1\n")
        copied(connection, "COPY kept (id) FROM STDIN", b"2\n")
    assert one(root, "SELECT count(*) FROM kept") == 2
    assert who(connection)[0] == user


def test_copy_needs_the_right_to_insert(connect: Connect, root: Connection) -> None:
    root.execute("CREATE TABLE closed (id int)")
    ada = connect(user="ada", password="ada")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        copied(ada, "COPY closed (id) FROM STDIN", b"1\n")
    assert who(ada) == ("ada", "ada", "off")
    root.execute("DROP TABLE closed")
