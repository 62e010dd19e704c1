"""Who may do what, proved with logins of their own."""

from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql

from tests.conftest import Login
from tests.db import Connection
from tests.engines import Database

ADA, BOB = uuid4(), uuid4()


@pytest.fixture
def positions(connection: Connection) -> Connection:
    """Two users with a position each."""
    connection.execute(
        "INSERT INTO entasis.portfolio_status (user_id, asset_type, position_size, entry_price,"
        " current_price, pnl, timestamp) VALUES (%s, 'BTC', 1, 1, 2, 1, now()),"
        " (%s, 'ETH', 2, 1, 2, 2, now())",
        [ADA, BOB],
    )
    return connection


def map_login(admin: Connection, login: Connection, user: UUID) -> None:
    admin.execute(
        "INSERT INTO entasis.user_logins (login, user_id) VALUES (%s, %s)", [login.info.user, user]
    )


def seen(connection: Connection, relation: str = "portfolio_status") -> set[UUID]:
    rows = connection.execute(
        sql.SQL("SELECT user_id FROM entasis.{}").format(sql.Identifier(relation))
    ).fetchall()
    return {user for (user,) in rows}


def relations_with_users(connection: Connection) -> list[str]:
    rows = connection.execute(
        "SELECT relname FROM pg_attribute INNER JOIN pg_class AS c ON attrelid = c.oid"
        " WHERE attname = 'user_id' AND relnamespace = 'entasis'::regnamespace"
        " AND relkind IN ('r', 'p', 'v') AND relname <> 'user_logins'"
    ).fetchall()
    return [name for (name,) in rows]


def test_a_user_with_a_login_sees_only_its_own(positions: Connection, login: Login) -> None:
    ada = login("entasis_reader")
    map_login(positions, ada, ADA)
    relations = relations_with_users(positions)
    assert "portfolio_status" in relations
    for relation in relations:
        assert seen(ada, relation) == {ADA}
        # a user cannot say that it is somebody else
        ada.execute("SELECT set_config('entasis.user_id', %s, false)", [str(BOB)])
        assert seen(ada, relation) == {ADA}


def test_a_mapped_writer_writes_only_its_own(positions: Connection, login: Login) -> None:
    ada = login("entasis_writer")
    map_login(positions, ada, ADA)
    insert = (
        "INSERT INTO entasis.portfolio_status (user_id, asset_type, position_size, entry_price,"
        " current_price, pnl, timestamp) VALUES (%s, 'SOL', 1, 1, 1, 0, now())"
    )
    ada.execute(insert, [ADA])
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ada.execute(insert, [BOB])
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ada.execute("UPDATE entasis.portfolio_status SET user_id = %s", [BOB])
    assert ada.execute("DELETE FROM entasis.portfolio_status").rowcount == 2
    assert seen(positions) == {BOB}


def test_a_login_that_is_nobody_sees_nothing(positions: Connection, login: Login) -> None:
    for role in ("entasis_reader", "entasis_writer"):
        nobody = login(role)
        assert seen(nobody) == set()
        nobody.execute("SELECT set_config('entasis.user_id', %s, false)", [str(BOB)])
        assert seen(nobody) == set()


def test_a_trusted_service_says_whom_it_acts_for(positions: Connection, login: Login) -> None:
    service = login("entasis_reader", "entasis_service")
    assert seen(service) == set()
    with service.transaction():
        service.execute("SELECT set_config('entasis.user_id', %s, true)", [str(ADA)])
        assert seen(service) == {ADA}
    # SET LOCAL ends with the transaction: a pooled connection carries nobody over
    assert seen(service) == set()
    with pytest.raises(psycopg.errors.InvalidTextRepresentation), service.transaction():
        service.execute("SET LOCAL entasis.user_id = 'not a uuid'")
        seen(service)


def test_set_role_does_not_change_who_one_is(positions: Connection, login: Login) -> None:
    ada = login("entasis_writer", "entasis_service")
    map_login(positions, ada, ADA)
    for role in ("entasis_reader", "entasis_service", "entasis_writer"):
        ada.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
        if role != "entasis_service":
            assert seen(ada) == {ADA}
        ada.execute("RESET ROLE")


def test_a_function_of_the_user_cannot_look_past_the_policy(
    positions: Connection, login: Login
) -> None:
    # a cheap function in the WHERE clause would see every row, if it ran before the policy
    positions.execute("GRANT CREATE ON SCHEMA public TO public")
    ada = login("entasis_reader")
    map_login(positions, ada, ADA)
    told: list[str] = []
    ada.add_notice_handler(lambda d: told.append(d.message_primary or ""))
    ada.execute(
        "CREATE FUNCTION public.leak(uuid) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS"
        " $$ BEGIN RAISE NOTICE '%', $1; RETURN true; END $$"
    )
    ada.execute("SELECT * FROM entasis.portfolio_status WHERE public.leak(user_id)")
    ada.execute("DROP FUNCTION public.leak")
    assert told == [str(ADA)]


def test_an_admin_sees_all_unless_it_is_a_user(positions: Connection, login: Login) -> None:
    admin = login("entasis_admin")
    assert seen(admin) == {ADA, BOB}
    map_login(positions, admin, BOB)
    assert seen(admin) == {BOB}


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
        "CALL entasis.rebuild_candles(now(), now())",
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
