"""Writing positions: as predictions are written, for the user that the session acts for."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest

from entasis_db import queries
from entasis_db.ingest import Conflict, WriteReport, write_positions, write_positions_async
from entasis_db.model import PositionSnapshot
from tests.conftest import Login
from tests.db import Connection, one
from tests.engines import Database

pytestmark = pytest.mark.native_speed

ADA, BOB = UUID(int=1), UUID(int=2)
NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)


def position(**changes: Any) -> PositionSnapshot:
    made = PositionSnapshot(
        user_id=ADA,
        asset_type="BTC",
        position_size=Decimal(-3),
        entry_price=Decimal("60000.01"),
        current_price=Decimal(61000),
        pnl=Decimal("-2999.97"),
        timestamp=NOON,
    )
    return made._replace(**changes)


@pytest.fixture
def connection(shared_connection: Connection) -> Connection:
    """The file's database, without positions."""
    shared_connection.execute("DELETE FROM entasis.portfolio_status")
    return shared_connection


def stored(connection: Connection, user: UUID = ADA) -> list[PositionSnapshot]:
    return queries.pnl_history(user, NOON, NOON + timedelta(days=1)).fetch(connection)


def test_what_is_written_is_read_back(connection: Connection) -> None:
    """Short positions too, and spreads that were opened for a credit."""
    spread = position(asset_type="BTC-FS-27JUN25_PERP", entry_price=-12.5, current_price=-11)
    rows = [position(), spread, position(timestamp=NOON + timedelta(hours=1))]
    assert write_positions(connection, rows) == WriteReport(inserted=3)
    assert sorted(stored(connection), key=rows.index) == rows
    assert {row.asset_type: row for row in queries.portfolio(ADA).fetch(connection)} == {
        "BTC": rows[2],
        spread.asset_type: spread,
    }
    assert write_positions(connection, stored(connection)) == WriteReport(already_there=3)
    assert write_positions(connection, []) == WriteReport()


@pytest.mark.parametrize("column", ["position_size", "entry_price", "current_price", "pnl"])
def test_another_value_is_a_conflict_until_it_replaces(connection: Connection, column: str) -> None:
    first, new = position(), position(**{column: Decimal("0.125")})
    write_positions(connection, [first])
    (kept,) = stored(connection)
    report = write_positions(connection, [new, first])
    assert report == WriteReport(already_there=1, conflicts=(Conflict(new, first),))
    assert report.conflicts[0].stored.id == kept.id
    assert stored(connection) == [first]
    assert write_positions(connection, [new], replace=True) == WriteReport(replaced=1)
    assert [(row, row.id) for row in stored(connection)] == [(new, kept.id)]


@pytest.mark.parametrize("column", ["position_size", "entry_price", "current_price", "pnl"])
def test_rows_of_one_key_count_in_their_order(connection: Connection, column: str) -> None:
    one_, two = position(), position(**{column: Decimal("0.125")})
    assert write_positions(connection, [one_, one_, two]) == WriteReport(
        inserted=1, already_there=1, conflicts=(Conflict(two, one_),)
    )
    # each is compared with the one before it
    assert write_positions(connection, [one_, two, two, two], replace=True) == WriteReport(
        already_there=3, replaced=1
    )
    assert stored(connection) == [two]


def test_numbers_are_rounded_and_counted(connection: Connection) -> None:
    average = Decimal(180001) / 21
    assert average == Decimal("8571.476190476190476190476190")
    row = position(
        position_size=Decimal("0.0000000000000000015"),
        entry_price=average,
        current_price=Decimal("1e-19"),
        pnl=Decimal("-1e-25"),
    )
    assert write_positions(connection, [row]) == WriteReport(inserted=1, rounded=4)
    assert stored(connection) == [
        position(
            position_size=Decimal("0.000000000000000002"),
            entry_price=Decimal("8571.476190476190476190"),
            current_price=0,
            pnl=0,
        )
    ]
    assert write_positions(connection, [row], replace=True) == WriteReport(
        already_there=1, rounded=4
    )
    exact = position(asset_type="ETH", pnl=Decimal("1e-24"))
    assert write_positions(connection, [exact]) == WriteReport(inserted=1)
    assert exact in stored(connection)


def test_what_does_not_fit_leaves_nothing_of_the_call(connection: Connection) -> None:
    for changes, error in (
        ({"position_size": Decimal("1e20")}, psycopg.errors.CheckViolation),
        ({"asset_type": ""}, psycopg.errors.CheckViolation),
        ({"asset_type": "a" * 64 + " "}, psycopg.errors.StringDataRightTruncation),
    ):
        with pytest.raises(error):
            write_positions(
                connection, [position(pnl=1), position(**{"asset_type": "ETH", **changes})]
            )
        assert stored(connection) == []
    with pytest.raises(ValueError, match="entry_price is nan, which is no number"):
        position(entry_price=float("nan"))


def test_an_asynchronous_connection_does_the_same(connection: Connection, shared: Database) -> None:
    new = position(pnl=1)

    async def run() -> list[WriteReport[PositionSnapshot]]:
        async with await psycopg.AsyncConnection.connect(shared.dsn, autocommit=True) as other:
            return [
                await write_positions_async(other, [position()]),
                await write_positions_async(other, [new]),
                await write_positions_async(other, [new], replace=True),
            ]

    assert asyncio.run(run()) == [
        WriteReport(inserted=1),
        WriteReport(conflicts=(Conflict(new, position()),)),
        WriteReport(replaced=1),
    ]


def test_a_login_writes_and_replaces_its_own_only(database: Database, login: Login) -> None:
    ada = login("entasis_writer")
    with database.connect() as admin:
        admin.execute("INSERT INTO entasis.user_logins VALUES (%s, %s)", (ada.info.user, ADA))
        write_positions(admin, [position(user_id=BOB)])
        assert write_positions(ada, [position()], replace=True) == WriteReport(inserted=1)
        assert write_positions(ada, [position(pnl=1)], replace=True) == WriteReport(replaced=1)
        for replacing in (False, True):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                write_positions(ada, [position(user_id=BOB, pnl=7)], replace=replacing)
        assert stored(admin, BOB) == [position(user_id=BOB)]


def test_a_double_keeps_its_shortest_text(connection: Connection) -> None:
    """An INSERT keeps 15 digits of it in silence."""
    with connection.transaction():
        connection.execute("SET LOCAL extra_float_digits = -15")
        written = connection.execute(
            "SELECT outcome, rounded, held_size, held_entry_price, held_current_price, held_pnl"
            " FROM entasis.write_position(%s, 'BTC', %s::float8, %s::float8, %s::float8,"
            " %s::float8, %s)",
            [ADA, -0.1 - 0.2, 8571.476190476192, 1 / 3 * 1e-5, 1e-30, NOON],
            binary=True,
        ).fetchone()
    assert written == (
        "inserted",
        2,
        Decimal("-0.30000000000000004"),
        Decimal(repr(8571.476190476192)),
        Decimal("0.000003333333333333"),
        0,
    )
    with pytest.raises(psycopg.errors.CheckViolation, match="row 1: pnl is NaN"):
        one(connection, "SELECT entasis.write_position(%s, 'BTC', 1, 1, 1, 'NaN', now())", ADA)
