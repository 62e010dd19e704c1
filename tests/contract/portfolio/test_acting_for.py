"""Acting for a user in a block: it is so inside, and as it was before after every way out."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import dict_row

from entasis_db import queries
from entasis_db.acting import acting_for, acting_for_async
from entasis_db.errors import IdentityError
from entasis_db.ingest import write_positions
from tests.conftest import Login
from tests.contract.portfolio.test_write import ADA, BOB, position
from tests.db import Connection, one
from tests.engines import Database

pytestmark = [pytest.mark.native_speed, pytest.mark.newest_server]

NOBODY = "SELECT entasis.acting_user_id()"


@pytest.fixture
def service(database: Database, login: Login) -> Connection:
    """A trusted service, and a position of each user."""
    with database.connect() as admin:
        write_positions(admin, [position(), position(user_id=BOB)])
    return login("entasis_writer", "entasis_service")


def acts_for(connection: Connection) -> UUID | None:
    """Say for whom the session acts; what it sees says the same."""
    found: UUID | None = one(connection, NOBODY)
    if found is None:
        with (
            pytest.raises(psycopg.errors.InsufficientPrivilege, match="acts for nobody"),
            connection.transaction(),
        ):
            queries.portfolio(ADA).fetch(connection)
    else:
        seen = connection.execute("SELECT user_id FROM entasis.portfolio_status").fetchall()
        assert {user for (user,) in seen} == {found}
    return found


def test_it_ends_with_its_block(service: Connection) -> None:
    assert acts_for(service) is None
    with acting_for(service, ADA):
        assert acts_for(service) == ADA
        assert [row.user_id for row in queries.portfolio(ADA).fetch(service)] == [ADA]
        assert queries.portfolio(BOB).fetch(service) == []
        write_positions(service, [position(asset_type="ETH")])
    assert acts_for(service) is None
    assert service.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    with acting_for(service, ADA):
        assert len(queries.portfolio(ADA).fetch(service)) == 2


def test_blocks_nest(service: Connection) -> None:
    with acting_for(service, ADA):
        with acting_for(service, BOB):
            assert acts_for(service) == BOB
            with acting_for(service, ADA):
                assert acts_for(service) == ADA
            assert acts_for(service) == BOB
        assert acts_for(service) == ADA
    assert acts_for(service) is None


def test_a_savepoint_of_the_callers_transaction_gives_it_back(service: Connection) -> None:
    """Releasing a savepoint keeps what SET LOCAL has set; the next statement would act for Ada."""
    with service.transaction():
        with service.transaction():
            service.execute("SELECT entasis.act_for(%s)", [BOB])
        assert acts_for(service) == BOB
        service.execute("SET LOCAL entasis.user_id = ''")
        with acting_for(service, ADA):
            assert acts_for(service) == ADA
        assert acts_for(service) is None
        write_nothing = pytest.raises(psycopg.errors.InsufficientPrivilege)
        with write_nothing, service.transaction():
            write_positions(service, [position(asset_type="SOL")])


class OopsError(Exception):
    """What a block may raise."""


@contextmanager
def wrong(how: str, connection: Connection) -> Iterator[None]:
    """Go wrong in a block around which nothing else does."""
    match how:
        case "exception":
            with pytest.raises(OopsError):
                yield
        case "statement":
            with pytest.raises(psycopg.errors.UndefinedFunction):
                yield
        case "swallowed":
            # what was not rolled back cannot be gone on with
            with pytest.raises(psycopg.errors.InFailedSqlTransaction):
                yield
        case _:
            yield


@pytest.mark.native_speed
@pytest.mark.parametrize("how", ["exception", "statement", "swallowed", "rollback"])
@pytest.mark.parametrize("outer", [None, BOB])
def test_every_way_out_gives_it_back(service: Connection, how: str, outer: UUID | None) -> None:
    def block() -> None:
        with wrong(how, service), acting_for(service, ADA) as transaction:
            write_positions(service, [position(asset_type="ETH")])
            match how:
                case "exception":
                    raise OopsError
                case "statement":
                    service.execute("SELECT no_such_function()")
                case "swallowed":
                    with pytest.raises(psycopg.errors.UndefinedFunction):
                        service.execute("SELECT no_such_function()")
                case "rollback":
                    raise psycopg.Rollback(transaction)

    if outer is None:
        block()
    else:
        with acting_for(service, outer):
            block()
            assert acts_for(service) == outer
    assert acts_for(service) is None
    with acting_for(service, ADA):
        assert [row.asset_type for row in queries.portfolio(ADA).fetch(service)] == ["BTC"]


def test_the_sessions_own_identity_comes_back(service: Connection) -> None:
    service.execute("SELECT set_config('entasis.user_id', %s, false)", [str(BOB)])
    with acting_for(service, ADA):
        assert acts_for(service) == ADA
    assert acts_for(service) == BOB


def test_a_mapped_login_acts_for_its_own_user_only(service: Connection, database: Database) -> None:
    with database.connect() as admin:
        admin.execute("INSERT INTO entasis.user_logins VALUES (%s, %s)", (service.info.user, ADA))
    with acting_for(service, ADA):
        assert acts_for(service) == ADA
    with (
        pytest.raises(IdentityError, match=f"is mapped to user {ADA}, and cannot act for {BOB}"),
        acting_for(service, BOB),
    ):
        pytest.fail("the block is not entered")
    assert one(service, "SELECT coalesce(current_setting('entasis.user_id', true), '')") == ""
    assert acts_for(service) == ADA


def test_only_a_service_acts_for_others(service: Connection, login: Login) -> None:
    for role in ("entasis_reader", "entasis_writer", "entasis_admin"):
        other = login(role)
        with (
            pytest.raises(IdentityError, match=r"no member of entasis_service \(GRANT"),
            acting_for(other, ADA),
        ):
            pytest.fail("the block is not entered")
    with pytest.raises(psycopg.errors.NullValueNotAllowed):
        service.execute("SELECT entasis.act_for(NULL)")


def test_an_error_in_the_block_is_the_blocks_own(service: Connection) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege), acting_for(service, ADA):
        write_positions(service, [position(user_id=BOB, asset_type="ETH")])


def test_an_asynchronous_connection_does_the_same(service: Connection, login: Login) -> None:
    other = login("entasis_writer", "entasis_service", row_factory=dict_row)
    dsn, password = other.info.dsn, other.info.password

    async def run() -> None:
        async with await psycopg.AsyncConnection.connect(
            dsn, password=password, autocommit=True, row_factory=dict_row
        ) as connection:

            async def acting() -> UUID | None:
                row = await (await connection.execute(NOBODY)).fetchone()
                assert row is not None
                found: UUID | None = row["acting_user_id"]
                return found

            async with acting_for_async(connection, ADA):
                assert await acting() == ADA
                with pytest.raises(OopsError):
                    async with acting_for_async(connection, BOB):
                        assert await acting() == BOB
                        raise OopsError
                assert await acting() == ADA
                async with acting_for_async(connection, BOB):
                    pass
                assert await acting() == ADA
            assert await acting() is None

    asyncio.run(run())

    async def refused() -> None:
        reader = login("entasis_reader")
        async with (
            await psycopg.AsyncConnection.connect(
                reader.info.dsn, password=reader.info.password, autocommit=True
            ) as connection,
            acting_for_async(connection, ADA),
        ):
            pytest.fail("the block is not entered")

    with pytest.raises(IdentityError, match="no member of entasis_service"):
        asyncio.run(refused())
