"""Row-level security: whose positions a login sees and writes, proved with logins of their own."""

from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql

from tests.conftest import Login
from tests.db import Connection

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
