"""Row-level security: whose positions a login sees and writes, proved with logins of their own."""

from datetime import timedelta
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql

from entasis_db import queries
from tests.conftest import Login
from tests.db import Connection
from tests.make import NOON

pytestmark = [pytest.mark.native_speed, pytest.mark.newest_server]

ADA, BOB = uuid4(), uuid4()
DAY = timedelta(days=1)


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


def refused(connection: Connection, statement: str, *parameters: object) -> None:
    """See a statement refused because the session acts for nobody."""
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="acts for nobody") as caught:
        connection.execute(statement.encode(), parameters)
    assert "entasis.act_for(user_id)" in (caught.value.diag.message_hint or "")


READ = "SELECT user_id FROM entasis.portfolio_status"


def test_a_login_that_is_nobody_gets_an_error(positions: Connection, login: Login) -> None:
    for role in ("entasis_reader", "entasis_writer"):
        nobody = login(role)
        refused(nobody, READ)
        # only a trusted service says whom it acts for
        nobody.execute("SELECT set_config('entasis.user_id', %s, false)", [str(BOB)])
        refused(nobody, READ)
    refused(nobody, "DELETE FROM entasis.portfolio_status")
    refused(nobody, "UPDATE entasis.portfolio_status SET pnl = 0")
    refused(
        nobody,
        "INSERT INTO entasis.portfolio_status (user_id, asset_type, position_size, entry_price,"
        " current_price, pnl, timestamp) VALUES (%s, 'SOL', 1, 1, 1, 0, now())",
        BOB,
    )
    assert seen(positions) == {ADA, BOB}


@pytest.mark.parametrize("indexes", [True, False])
def test_the_error_comes_before_the_table_is_read(
    connection: Connection, login: Login, indexes: bool
) -> None:
    """No row is found, so that none would ask whose it is."""
    nobody = login("entasis_reader")
    connection.execute("VACUUM entasis.portfolio_status")
    if not indexes:
        nobody.execute("SET enable_indexscan = off")
        nobody.execute("SET enable_bitmapscan = off")
        nobody.execute("SET enable_indexonlyscan = off")
    refused(nobody, f"{READ} WHERE user_id = %s", ADA)
    for statement in (queries.portfolio(ADA), queries.pnl_history(ADA, NOON, NOON + DAY)):
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="acts for nobody"):
            statement.fetch(nobody)


def test_who_bypasses_policies_needs_nobody(positions: Connection, login: Login) -> None:
    """Superusers, logins with BYPASSRLS, and administrators as such."""
    assert seen(positions) == {ADA, BOB}
    dumper = login("entasis_reader")
    refused(dumper, READ)
    name = sql.Identifier(dumper.info.user)
    positions.execute(sql.SQL("ALTER ROLE {} BYPASSRLS").format(name))
    assert seen(dumper) == {ADA, BOB}
    admin = login("entasis_admin")
    assert seen(admin) == {ADA, BOB}
    # an administrator who reads as somebody else reads what that role may
    admin.execute("SET ROLE entasis_reader")
    refused(admin, READ)


def test_a_trusted_service_says_whom_it_acts_for(positions: Connection, login: Login) -> None:
    service = login("entasis_reader", "entasis_service")
    refused(service, READ)
    with service.transaction():
        service.execute("SELECT set_config('entasis.user_id', %s, true)", [str(ADA)])
        assert seen(service) == {ADA}
    # SET LOCAL ends with the transaction: a pooled connection carries nobody over
    refused(service, READ)
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
