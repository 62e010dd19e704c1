"""What each role tries with what it may call: it becomes nobody else, and breaks nothing."""

from typing import Any

import psycopg
import pytest
from psycopg import sql

from entasis_db.ingest import write_positions
from tests.conftest import Login
from tests.contract.portfolio.test_write import ADA, BOB, position
from tests.db import Connection, one
from tests.engines import Database

pytestmark = [pytest.mark.native_speed, pytest.mark.newest_server]

ROLES = ("entasis_reader", "entasis_writer", "entasis_admin", "entasis_service", "entasis_monitor")
# for each type, what an argument of it may be
HOSTILE: dict[str, list[Any]] = {
    "text": ["x'; DROP TABLE entasis.floors; --", 'a"b', "%s %I $1", "market_data", "\\", "", None],
    "name": ["x'; DROP TABLE entasis.floors; --", 'a"b', "%I", "market_data", "floors", "", None],
    "timestamp with time zone": ["-infinity", "infinity", "0001-01-01 BC", "2024-08-08", None],
    "interval": ["-1000 years", "178000000 years", "0", None],
    "integer": [-(2**31), 2**31 - 1, 0, None],
    "bigint": [-(2**63), 2**63 - 1, 0, None],
    "numeric": ["NaN", "Infinity", "1e1000", None],
    "boolean": [True, False, None],
    "uuid": [ADA, None],
    "oid": [0, 2**32 - 1, None],
    "regclass": ["pg_catalog.pg_authid", "entasis.user_logins", None],
    "jsonb": ["[]", "{}", "1", '[{"symbol": "a\'b", "exchange": 1, "kind": []}]', "[[[]]]", None],
    "text[]": [["x'; --", None], [], None],
    "timestamp with time zone[]": [["infinity"], [], None],
    "bigint[]": [[2**63 - 1], [], None],
    "boolean[]": [[None], [], None],
    "entasis.candle_interval": ["1m", "1mo", None],
    "entasis.candle_interval[]": [["1m"], [], None],
}
# what is wrong with a function that an argument brings to it
FAULTS = (
    psycopg.errors.SyntaxError,
    psycopg.errors.UndefinedTable,
    psycopg.errors.UndefinedColumn,
    psycopg.errors.InternalError_,
    psycopg.errors.DuplicateObject,
    psycopg.errors.IndeterminateDatatype,
)
DEFINERS = """
    SELECT p.oid::regproc::text, ARRAY(
        SELECT format_type(a.type, NULL) FROM unnest(p.proargtypes::oid[]) AS a (type)
    )
    FROM pg_proc AS p
    WHERE p.pronamespace::regnamespace::text LIKE 'entasis%%' AND p.prosecdef
        AND p.prorettype <> 'trigger'::regtype
        AND has_function_privilege(p.oid, 'EXECUTE')
    ORDER BY 1
"""


@pytest.mark.parametrize("role", ROLES[:3])
def test_definers_take_any_argument(connection: Connection, role: str) -> None:
    tables = "SELECT count(*) FROM pg_class WHERE relnamespace::regnamespace::text LIKE 'entasis%'"
    before = one(connection, tables)
    connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
    connection.execute("SET statement_timeout = '20s'")
    found = connection.execute(DEFINERS).fetchall()
    assert found
    for name, types in found:
        most = max((len(HOSTILE[kind]) for kind in types), default=1)
        for n in range(most):
            values = [HOSTILE[kind][n % len(HOSTILE[kind])] for kind in types]
            call = f"SELECT * FROM {name}({', '.join(f'%s::{kind}' for kind in types)})"
            try:
                with connection.transaction(force_rollback=True):
                    connection.execute(call.encode(), values).fetchall()
            except FAULTS as error:
                if "pg_temp.entasis_staged" in str(error):  # nothing is staged
                    continue
                pytest.fail(f"{name} {values}: {type(error).__name__}: {error}")
            except psycopg.Error as error:
                # an infinite time was answered, which Python has no value for
                if error.sqlstate is None and "timestamp too" in str(error):
                    continue
                if error.sqlstate is None or error.sqlstate.startswith(("XX", "57")):
                    pytest.fail(f"{name} {values}: {error}")
    connection.execute("RESET ROLE")
    assert one(connection, tables) == before


@pytest.mark.several_connections
def test_nobody_becomes_another(login: Login) -> None:
    for roles in ((), *((role,) for role in ROLES), ROLES):
        session = login(*roles)
        for role in ("entasis_owner", "pg_read_all_data", "postgres"):
            for how in ("SET ROLE {}", "SET SESSION AUTHORIZATION {}"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    session.execute(sql.SQL(how).format(sql.Identifier(role)))
        for statement in (
            "ALTER TABLE entasis.market_data DISABLE TRIGGER ALL",
            "SET session_replication_role = replica",
            "CREATE FUNCTION entasis.f() RETURNS int LANGUAGE sql RETURN 1",
            "CREATE TABLE entasis_internal.t ()",
            "CREATE TRIGGER t AFTER INSERT ON entasis.market_data EXECUTE FUNCTION"
            " suppress_redundant_updates_trigger()",
            "CREATE RULE r AS ON INSERT TO entasis.market_data DO NOTHING",
            "CREATE POLICY p ON entasis.portfolio_status USING (true)",
            "CREATE INDEX ON entasis.market_data (price)",
            "TRUNCATE entasis.market_data",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                session.execute(statement.encode())


@pytest.mark.several_connections
def test_no_function_of_a_users_own_sees_rows_of_others(database: Database, login: Login) -> None:
    user = login("entasis_writer")
    with database.connect() as admin:
        write_positions(admin, [position(), position(user_id=BOB)])
        admin.execute(
            "INSERT INTO entasis.user_logins (login, user_id) VALUES (%s, %s)",
            [user.info.user, ADA],
        )
    said: list[str | None] = []
    user.add_notice_handler(lambda diagnostic: said.append(diagnostic.message_primary))
    user.execute(
        "CREATE FUNCTION pg_temp.tell(uuid, numeric) RETURNS boolean LANGUAGE plpgsql COST 0.0001"
        " AS $$ BEGIN RAISE NOTICE '% %', $1, $2; RETURN true; END $$"
    )
    tell = "pg_temp.tell(user_id, pnl)"
    for statement in (
        f"SELECT FROM entasis.portfolio_status WHERE {tell}",
        f"SELECT FROM entasis.portfolio_status ORDER BY {tell}",
        f"UPDATE entasis.portfolio_status SET pnl = pnl WHERE {tell}",
        f"UPDATE entasis.portfolio_status SET user_id = user_id RETURNING {tell}",
        "MERGE INTO entasis.portfolio_status AS p USING (SELECT 1 AS one) AS s ON true"
        " WHEN MATCHED AND pg_temp.tell(p.user_id, p.pnl) THEN DO NOTHING",
        f"COPY (SELECT {tell} FROM entasis.portfolio_status) TO STDOUT",
        f"DELETE FROM entasis.portfolio_status WHERE {tell}",
    ):
        said.clear()
        with user.cursor() as cursor:
            if statement.startswith("COPY"):
                with cursor.copy(statement.encode()) as copy:
                    assert len(list(copy)) == 1
            else:
                cursor.execute(statement.encode())
        assert len(said) == 1, statement
        assert str(said[0]).startswith(str(ADA))
    # nor does taking the place of another's row
    for statement in (
        "INSERT INTO entasis.portfolio_status (user_id, asset_type, position_size, entry_price,"
        " current_price, pnl, timestamp) VALUES (%s, 'BTC', 1, 1, 1, 1, %s)"
        " ON CONFLICT (user_id, asset_type, timestamp) DO UPDATE SET pnl = 0 RETURNING pnl",
        "SELECT entasis.write_position(%s, 'BTC', 1, 1, 1, 1, %s)",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            user.execute(statement.encode(), [BOB, position().timestamp])
    with database.connect() as admin:
        assert one(admin, "SELECT count(*) FROM entasis.portfolio_status") == 1


@pytest.mark.several_connections
def test_no_setting_of_ours_lets_anybody_do_more(database: Database, login: Login) -> None:
    with database.connect() as admin:
        write_positions(admin, [position(user_id=BOB)])
    session = login("entasis_writer")
    for name in ("user_id", "moved", "recompute", "trade_ids", "row_notifications_left"):
        session.execute("SELECT set_config(%s, %s, false)", [f"entasis.{name}", str(BOB)])
    assert one(session, "SELECT entasis.acting_user_id()") is None
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        session.execute("SELECT FROM entasis.portfolio_status")
