"""The side of a trade: filled in once, never replaced, and no candle is computed for it."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from psycopg import errors, sql
from psycopg.rows import dict_row

from entasis_db import queries
from entasis_db.ingest import IngestReport, retrying
from entasis_db.model import Trade
from tests import oracle
from tests.conftest import Login
from tests.contract.trades.support import (
    by_key,
    ingest,
    quarantined,
    with_months,
)
from tests.db import is_blocked
from tests.engines import Database
from tests.make import NOON, D, trade

pytestmark = [pytest.mark.copy, pytest.mark.newest_server]

THERE = IngestReport(already_there=1)
REFUSED = IngestReport(quarantined=1)


def stored(connection: psycopg.Connection[Any]) -> list[Trade]:
    rows = queries.trades("BTC", "x", NOON.replace(hour=0), NOON.replace(hour=23))
    return rows.fetch(connection)


def reasons(connection: psycopg.Connection[Any]) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            "SELECT line, code, reason, payload FROM entasis.quarantine ORDER BY id"
        ).fetchall()


# --- what is stored ------------------------------------------------------------------------------


@pytest.mark.direct_copies
def test_a_clean_batch_with_sides_goes_straight_in(
    connection: psycopg.Connection[Any], staged: list[str]
) -> None:
    with_months(connection)
    rows = [trade(1, side="buy"), trade(2, side="sell"), trade(3)]
    assert ingest(connection, *rows) == IngestReport(inserted=3)
    assert not staged
    assert stored(connection) == rows


def test_a_side_is_filled_in_and_stays(connection: psycopg.Connection[Any]) -> None:
    ingest(connection, trade(1), trade(2))
    columns = "SELECT id, price::text, volume::text, created_at FROM entasis.market_data ORDER BY 1"
    before = connection.execute(columns.encode()).fetchall()
    assert ingest(connection, trade(1, side="sell")) == THERE
    assert stored(connection) == [trade(1, side="sell"), trade(2)]
    assert connection.execute(columns.encode()).fetchall() == before
    assert ingest(connection, trade(1)) == THERE
    assert ingest(connection, trade(1, side="sell")) == THERE
    assert stored(connection) == [trade(1, side="sell"), trade(2)]
    assert quarantined(connection) == []
    oracle.assert_candles_are_right(connection, by_key(trade(1), trade(2)))


def test_two_sides_are_a_conflict(connection: psycopg.Connection[Any]) -> None:
    ingest(connection, trade(1, side="buy"))
    assert ingest(connection, trade(1, side="sell")) == REFUSED
    assert stored(connection) == [trade(1, side="buy")]
    (refusal,) = reasons(connection)
    assert refusal["code"] == "conflict"
    assert refusal["reason"].endswith(
        "is stored with price 61804.5, volume 0.25 and side buy;"
        " this one has 61804.5, 0.25 and sell"
    )
    assert refusal["payload"]["side"] == "sell"
    # again: the same refusal, once
    assert ingest(connection, trade(1, side="sell")) == REFUSED
    assert len(reasons(connection)) == 1


def test_a_side_does_not_come_with_another_price(connection: psycopg.Connection[Any]) -> None:
    ingest(connection, trade(1))
    assert ingest(connection, trade(1, price=D(1), side="sell")) == REFUSED
    assert ingest(connection, trade(1, volume=D(1), side="sell")) == REFUSED
    assert stored(connection) == [trade(1)]
    assert [refusal["reason"].partition(" is stored ")[2] for refusal in reasons(connection)] == [
        "with price 61804.5 and volume 0.25; this one has 1 and 0.25",
        "with price 61804.5 and volume 0.25; this one has 61804.5 and 1",
    ]


def test_sides_within_a_batch(connection: psycopg.Connection[Any]) -> None:
    """The rows of a batch are taken in their order, as if each came alone."""
    batch = [trade(1), trade(1, side="sell"), trade(1, side="buy"), trade(1), trade(1, side="sell")]
    assert ingest(connection, *batch) == IngestReport(1, 3, 1)
    assert stored(connection) == [trade(1, side="sell")]
    assert [refusal["line"] for refusal in reasons(connection)] == [3]


@pytest.mark.parametrize("side", ["", "BUY", "buyer", "b", " sell"])
def test_what_is_no_side(connection: psycopg.Connection[Any], side: Any) -> None:
    ingest(connection, trade(2))
    assert ingest(connection, trade(1, side=side), trade(2, side=side)).quarantined == 2
    assert stored(connection) == [trade(2)]
    assert [(r["code"], r["reason"]) for r in reasons(connection)] == [
        ("side", f'the side "{side}" is neither buy nor sell')
    ] * 2
    with pytest.raises(errors.CheckViolation, match="market_data_side_known"):
        connection.execute("UPDATE entasis.market_data SET side = %s", [side])


@pytest.mark.parametrize("side", [1, True, b"buy", ["buy"]])
def test_a_side_that_is_no_text_is_a_mistake(
    connection: psycopg.Connection[Any], side: Any
) -> None:
    with pytest.raises(TypeError, match="side must be str or NoneType"):
        ingest(connection, trade(1, side=side))
    assert stored(connection) == []


def test_a_writer_may_fill_sides(connection: psycopg.Connection[Any], login: Login) -> None:
    with login("entasis_writer") as writer:
        assert ingest(writer, trade(1)).inserted == 1
        assert ingest(writer, trade(1, side="sell")) == THERE
    assert stored(connection) == [trade(1, side="sell")]


def test_programs_in_other_languages_may_leave_the_side_out(
    connection: psycopg.Connection[Any],
) -> None:
    for side, counts in ((None, (1, 0, 0)), ("buy", (0, 1, 0)), ("sell", (0, 0, 1))):
        with connection.transaction():
            connection.execute("SELECT entasis.stage_trades()")
            connection.execute(
                "INSERT INTO pg_temp.entasis_staged_trades"
                " (line, symbol, exchange, timestamp, id, price, volume) VALUES"
                " (1, 'BTC', 'x', %s, 1, 2, 3)",
                [NOON],
            )
            if side is not None:
                connection.execute("UPDATE pg_temp.entasis_staged_trades SET side = %s", [side])
            row = connection.execute(
                "SELECT inserted, already_there, quarantined FROM entasis.insert_staged_trades('s')"
            ).fetchone()
            assert row == counts
    assert [t.side for t in stored(connection)] == ["buy"]


# --- sessions at once ----------------------------------------------------------------------------


@pytest.mark.several_connections
@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ"])
def test_two_sessions_with_different_sides(database: Database, level: str) -> None:
    rows = [trade(n, symbol="AB"[n % 2]) for n in range(60)]
    with database.connect() as connection:
        ingest(connection, *rows)

    def load(side: str) -> IngestReport:
        given = [row._replace(side=side) for row in (rows if side == "buy" else rows[::-1])]
        with database.connect() as own:
            own.execute(
                sql.SQL("SET default_transaction_isolation = {}").format(sql.Literal(level.lower()))
            )
            report = IngestReport()
            for start in range(0, 60, 20):
                batch = given[start : start + 20]
                report += retrying(lambda b=batch: ingest(own, *b, source=side))  # type: ignore[misc]
            return report

    with ThreadPoolExecutor(2) as pool:
        buys, sells = pool.map(load, ("buy", "sell"))
    with database.connect() as connection:
        sides = list(oracle.stored_sides(connection).values())
        assert len(sides) == 60
        assert None not in sides
        assert (buys.already_there, buys.quarantined) == (sides.count("buy"), sides.count("sell"))
        assert (sells.already_there, sells.quarantined) == (sides.count("sell"), sides.count("buy"))
        oracle.assert_candles_are_right(connection, by_key(*rows))


@pytest.mark.several_connections
@pytest.mark.candle_tables
def test_sides_are_filled_in_the_order_of_the_key(database: Database) -> None:
    """All sessions lock in one order, so that two of them cannot deadlock."""
    rows = [trade(n, timestamp=NOON) for n in range(50, 0, -1)]
    with database.connect() as holder, database.connect() as connection:
        for row in rows:
            ingest(connection, row)
        with ThreadPoolExecutor(1) as pool, holder.transaction():
            one_trade = (
                "SELECT FROM entasis.market_data WHERE symbol = 'BTC' AND id = %s FOR UPDATE"
            )
            holder.execute(one_trade, [50])
            filling = pool.submit(ingest, connection, *(r._replace(side="buy") for r in rows))
            until_blocked(holder, connection)
            # it waits for the last of the key, and has locked the first before
            with pytest.raises(errors.LockNotAvailable), holder.transaction():
                holder.execute(f"{one_trade} NOWAIT", [1])
        assert filling.result() == IngestReport(already_there=50)
        assert set(oracle.stored_sides(connection).values()) == {"buy"}


def until_blocked(
    by: psycopg.Connection[Any], blocked: psycopg.Connection[Any], attempts: int = 3_000
) -> None:
    for _ in range(attempts):
        if is_blocked(by, blocked, by_asking=True):
            return
        threading.Event().wait(0.01)
    raise AssertionError("the other session was never blocked")


# --- candles -------------------------------------------------------------------------------------


def candle_rows(connection: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    """Every candle with the place of its row: one that is written again shows."""
    return connection.execute(
        " UNION ALL ".join(
            f"SELECT '{level}', ctid::text, xmin::text, to_jsonb(c) FROM entasis.ohlcv_{level} AS c"
            for level in oracle.STORED
        ).encode()
    ).fetchall()


@pytest.mark.candle_tables
@pytest.mark.parametrize(
    ("statement", "touches"),
    [
        ("UPDATE entasis.market_data SET side = 'buy'", False),
        ("UPDATE entasis.market_data SET side = NULL", False),
        ("UPDATE entasis.market_data SET created_at = now()", False),
        ("UPDATE entasis.market_data SET price = price, volume = volume + 0", False),
        ("UPDATE entasis.market_data SET side = 'buy' WHERE false", False),
        ("UPDATE entasis.market_data SET price = price + 1", True),
        ("UPDATE entasis.market_data SET side = 'buy', volume = volume + 1", True),
        ("UPDATE entasis.market_data SET id = id + 100", True),
    ],
)
def test_candles_are_not_written_for_a_side(
    connection: psycopg.Connection[Any], statement: str, touches: bool
) -> None:
    ingest(connection, trade(1, side="sell"), trade(2), trade(70))
    before = candle_rows(connection)
    connection.execute(statement.encode())
    assert (candle_rows(connection) != before) == touches
    oracle.assert_candles_are_right(connection)


@pytest.mark.candle_tables
def test_candles_are_not_written_by_ingest_for_a_side(connection: psycopg.Connection[Any]) -> None:
    ingest(connection, trade(1), trade(2), trade(70))
    before = candle_rows(connection)
    report = ingest(connection, trade(1, side="sell"), trade(70, side="buy"))
    assert report == IngestReport(already_there=2)
    assert candle_rows(connection) == before
    # with a new trade among them, only its candles are
    report = ingest(connection, trade(2, side="sell"), trade(3, timestamp=trade(71).timestamp))
    assert report == IngestReport(1, 1)
    written = {row[3]["bucket"] for row in candle_rows(connection) if row not in before}
    assert written == {"2024-08-08T12:01:00+00:00", "2024-08-08T12:00:00+00:00"} | {
        "2024-08-08T00:00:00+00:00"
    }
    oracle.assert_candles_are_right(connection)


@pytest.mark.candle_tables
def test_an_upsert_that_only_sets_sides_merges_its_new_trades(
    connection: psycopg.Connection[Any],
) -> None:
    """Nothing is recomputed then, so the insert trigger must count every new one."""
    ingest(connection, trade(1), trade(2))
    for _ in range(2):
        connection.execute(
            """
            INSERT INTO entasis.market_data AS d (
                id, symbol, exchange, timestamp, price, volume, side
            )
            SELECT n, 'BTC', 'x', %s + n * interval '1 second', 61804.5, 0.25, 'buy'
            FROM generate_series(1, 4) AS n
            ON CONFLICT (symbol, exchange, timestamp, id) DO UPDATE SET side = excluded.side
            """,
            [NOON],
        )
    assert [t.side for t in stored(connection)] == ["buy"] * 4
    oracle.assert_candles_are_right(connection, by_key(*(trade(n) for n in range(1, 5))))


@pytest.mark.candle_tables
def test_a_side_below_the_floor_is_refused(connection: psycopg.Connection[Any]) -> None:
    ingest(connection, trade(1))
    connection.execute("UPDATE entasis.floors SET floor = %s", [NOON.replace(month=9, day=1)])
    assert ingest(connection, trade(1, side="buy")) == IngestReport(past_retention=1)
    with pytest.raises(errors.CheckViolation, match="past its keep period"):
        connection.execute("UPDATE entasis.market_data SET side = 'buy'")
