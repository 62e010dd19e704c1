"""What readers and writers may do, proved with logins of their own."""

from datetime import timedelta

import psycopg
import pytest
from psycopg import sql

from entasis_db.ingest import (
    IngestReport,
    ingest_options,
)
from tests import oracle
from tests.conftest import Login
from tests.contract.trades.support import by_key, ingest
from tests.db import Connection
from tests.engines import Database
from tests.make import NOON, D, quote, trade

pytestmark = pytest.mark.copy

Relation = tuple[str, str, str, bool]
"""Schema, name, kind, and whether it is a partition."""


def test_a_writer_can_ingest_everything(login: Login, connection: Connection) -> None:
    with login("entasis_writer") as writer:
        batch = [trade(1), trade(2, price=D(0)), trade(3, id=2**70), trade(1, price=D(5))]
        assert ingest(writer, *batch) == IngestReport(1, 0, 3)
        assert ingest(writer, trade(7)) == IngestReport(1)
        assert ingest_options(writer, [quote(1), quote(1, iv=D(9))], source="o") == IngestReport(
            1, 0, 1
        )
        writer.execute("DELETE FROM entasis.market_data WHERE id = 7")
    oracle.assert_candles_are_right(connection, by_key(trade(1)))


def relations(connection: Connection) -> list[Relation]:
    return connection.execute(
        """
        SELECT n.nspname, c.relname, c.relkind::text, c.relispartition
        FROM pg_class AS c INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
        WHERE n.nspname IN ('entasis', 'entasis_internal', 'entasis_migrations')
            AND c.relkind IN ('r', 'p', 'v', 'm')
        ORDER BY 1, 2
        """
    ).fetchall()


NOT_FOR_READERS = {
    "anomalies",
    "quarantine",
    "past_retention",
    "user_logins",
    "maintenance_log",
    "runs",
    "archives",
    "archive_objects",
    "restores",
    "health",
    "settings",
    "lifecycle",
    "thresholds",
    "jobs",
}


def assert_may_only_read(reader: Connection, admin: Connection, found: Relation) -> None:
    """Try everything that changes a relation, and then to read it."""
    schema, name, kind, is_partition = found
    relation = sql.Identifier(schema, name)
    (column,) = admin.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0"
        " AND attidentity <> 'a' AND attgenerated = '' ORDER BY attnum DESC LIMIT 1",
        [f"{schema}.{name}"],
    ).fetchone() or ("",)
    writes = [
        "INSERT INTO {r} DEFAULT VALUES",
        "UPDATE {r} SET {c} = NULL",
        "DELETE FROM {r}",
    ]
    if kind != "v":
        writes += ["TRUNCATE {r}", "ALTER TABLE {r} RENAME {c} TO x", "DROP TABLE {r}"]
    refusals: tuple[type[psycopg.Error], ...] = (psycopg.errors.InsufficientPrivilege,)
    if kind == "v":  # it is refused for being a view before anybody asks for rights
        refusals += (psycopg.errors.ObjectNotInPrerequisiteState,)
        refusals += (psycopg.errors.FeatureNotSupported,)
    for write in writes:
        with pytest.raises(refusals):
            reader.execute(sql.SQL(write).format(r=relation, c=sql.Identifier(column)))
    if schema == "entasis" and not is_partition and name not in NOT_FOR_READERS:
        reader.execute(sql.SQL("SELECT * FROM {} LIMIT 1").format(relation))
    else:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute(sql.SQL("SELECT * FROM {} LIMIT 1").format(relation))


def assert_may_call_nothing_that_writes(reader: Connection) -> None:
    for call in (
        "stage_trades()",
        "stage_options()",
        "insert_staged_trades('s')",
        "insert_staged_options('s')",
        "record_id_space('BTC', 'x', 'other', 's')",
        "ensure_partitions('market_data', '2020-01-01', '2020-02-01')",
        "check_candles()",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute(f"SELECT * FROM entasis.{call}")
    for attempt in (
        lambda: ingest(reader, trade(3)),
        lambda: ingest_options(reader, [quote()], source="o"),
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            attempt()
    # whatever function is added one day: what a reader may call, changes nothing
    callable_ones = reader.execute(
        """
        SELECT p.oid::regprocedure::text FROM pg_proc AS p
        WHERE p.pronamespace IN ('entasis'::regnamespace, 'entasis_internal'::regnamespace)
            AND p.provolatile = 'v' AND has_function_privilege(p.oid, 'EXECUTE')
        """
    ).fetchall()
    assert sorted(callable_ones) == [
        # it changes a setting of the session, as SET does
        ("entasis.act_for(uuid)",),
        # it notes that the session listens, which LISTEN alone does not show to others
        ("entasis_internal.cache_listen()",),
    ]


def test_a_reader_reads_everything_and_writes_nothing(login: Login, connection: Connection) -> None:
    ingest(connection, trade(1), trade(2, price=D(0)))
    oracle.refresh(connection)
    found = relations(connection)
    assert {"market_data", "option_data", "predictions", "ohlcv_1m", "ohlcv_1w"} <= {
        name for _, name, *_ in found
    }
    with login("entasis_reader") as reader:
        # who acts for nobody may not read positions
        connection.execute(
            "INSERT INTO entasis.user_logins VALUES (%s, gen_random_uuid())", [reader.info.user]
        )
        for each in found:
            assert_may_only_read(reader, connection, each)
        for function in ("candles", "candles_filled"):
            (row,) = reader.execute(
                f"SELECT open FROM entasis.{function}('BTC', 'x', '1h', %s, %s)",
                [NOON, NOON + timedelta(hours=1)],
            )
            assert row == (trade(1).price,)
        assert_may_call_nothing_that_writes(reader)
    oracle.assert_candles_are_right(connection, by_key(trade(1)))


def public_relations(connection: Connection) -> list[tuple[str, str]]:
    return connection.execute(
        "SELECT format('%I.%I', relnamespace::regnamespace, relname), relkind::text FROM pg_class"
        " WHERE relnamespace IN ('entasis'::regnamespace, 'entasis_internal'::regnamespace)"
        " AND relkind IN ('r', 'p', 'v')"
    ).fetchall()


BACK_DOORS = {
    "postgresql": (
        "SELECT entasis_internal.recompute_candles('{}')",
        "SELECT entasis_internal.merge_candles('{}')",
        "SELECT entasis_internal.create_partition('market_data', now())",
    ),
    "citus": (
        "SELECT entasis_internal.recompute_market_day('a', 'b', now())",
        "SELECT entasis_internal.rebuild_market_day('a', 'b', now())",
        "SELECT entasis_internal.create_partition('market_data', now())",
    ),
    "timescaledb": (
        "CALL entasis_internal.refresh_job(1, NULL)",
        'CALL entasis_internal.compress_job(1, \'{"compress_after": "1 day"}\')',
        "CALL entasis_internal.maintain_job(1, NULL)",
        "SELECT entasis_internal.create_candle_triggers()",
        "SELECT public.drop_chunks('entasis.market_data', older_than => now())",
        "CALL public.refresh_continuous_aggregate('entasis.ohlcv_1m', NULL, NULL)",
    ),
}


def test_a_reader_writes_nothing(connection: Connection, database: Database, login: Login) -> None:
    reader = login("entasis_reader")
    for name, _ in public_relations(connection):
        for right in ("INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"):
            allowed = reader.execute("SELECT has_table_privilege(%s, %s)", [name, right]).fetchone()
            assert allowed == (False,), f"{right} on {name}"
    # rights may be right and a function still open: these are the doors there are
    for statement in (
        "SELECT entasis.ensure_partitions('market_data', now(), now() + interval '1 day')",
        "SELECT entasis.record_id_space('a', 'b', 'c', 'd')",
        "SELECT entasis.stage_trades()",
        "SELECT entasis.insert_staged_trades('x')",
        "SELECT * FROM entasis.check_candles()",
        "CALL entasis.maintain()",
        "CALL entasis.rebuild_candles(now(), now() + interval '1 day')",
        "SELECT entasis_internal.drop_partition('market_data', 'x')",
        "SELECT entasis_internal.raise_floor('market_data', now())",
        *BACK_DOORS[database.engine],
        "INSERT INTO entasis.market_data (symbol, exchange, timestamp, price, volume)"
        " VALUES ('a', 'b', now(), 1, 1)",
        "CREATE TABLE entasis.mine ()",
        "CREATE TABLE entasis_internal.mine ()",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute(statement)


def test_a_reader_reads_candles(connection: Connection, login: Login) -> None:
    connection.execute(
        "INSERT INTO entasis.market_data (symbol, exchange, timestamp, id, price, volume)"
        " VALUES ('a', 'b', now(), 1, 1, 1)"
    )
    reader = login("entasis_reader")
    for relation in ("ohlcv_1m", "ohlcv_5m", "ohlcv_1mo", "mv_ohlcv_1h", "market_data"):
        rows = reader.execute(
            sql.SQL("SELECT * FROM entasis.{}").format(sql.Identifier(relation))
        ).fetchall()
        assert len(rows) == 1
    for function in ("candles", "candles_filled"):
        rows = reader.execute(
            sql.SQL(
                "SELECT * FROM entasis.{}('a', 'b', '1mo', now() - interval '40 days',"
                " now() + interval '1 day')"
            ).format(sql.Identifier(function))
        ).fetchall()
        assert len(rows) >= 1


def test_nobody_but_the_owner_has_rights_on_a_partition(connection: Connection) -> None:
    connection.execute(
        "SELECT entasis.ensure_partitions('market_data', '2024-01-01Z', '2024-02-01Z')"
    )
    open_partitions = connection.execute(
        "SELECT oid::regclass FROM pg_class WHERE relispartition"
        " AND EXISTS (SELECT FROM aclexplode(relacl) AS a"
        "     WHERE a.grantee <> 'entasis_owner'::regrole)"
    ).fetchall()
    assert open_partitions == []


def test_a_writer_reaches_candles_only_through_trades(connection: Connection, login: Login) -> None:
    writer = login("entasis_writer")
    writer.execute(
        "INSERT INTO entasis.market_data (symbol, exchange, timestamp, id, price, volume)"
        " VALUES ('a', 'b', now(), 1, 1, 1)"
    )
    assert connection.execute("SELECT count(*) FROM entasis.ohlcv_1m").fetchone() == (1,)
    for statement in (
        "UPDATE entasis.ohlcv_1m SET close = 2",
        "DELETE FROM entasis.ohlcv_1h",
        "INSERT INTO entasis.ohlcv_1d SELECT * FROM entasis.ohlcv_1d",
        "DELETE FROM entasis.quarantine",
        "UPDATE entasis.keep_periods SET keep = '1 day'",
        "UPDATE entasis.floors SET floor = '-infinity'",
        "TRUNCATE entasis.market_data",
        "ALTER TABLE entasis.market_data DISABLE TRIGGER ALL",
        "SET session_replication_role = replica",
        "DROP TABLE entasis.predictions",
    ):
        # an aggregate is a view that nobody writes to
        with pytest.raises(
            (
                psycopg.errors.InsufficientPrivilege,
                psycopg.errors.ObjectNotInPrerequisiteState,
            )
        ):
            writer.execute(statement)
