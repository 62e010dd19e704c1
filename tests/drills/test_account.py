"""A drill that cannot fail tells nothing: what is planted here has to be counted."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from drills.account import NOTHING, Account, Loss, faults, take
from drills.ledger import Acknowledged, Ledger, key_of
from drills.writer import Writer, live, write
from entasis_db.model import Trade
from tests.engines import Database

pytestmark = [pytest.mark.newest_server, pytest.mark.native_speed]
STRUCK = datetime(2026, 3, 2, 9, tzinfo=UTC)
TRADES = [
    Trade(
        id=number,
        symbol="BTC",
        exchange="x",
        timestamp=STRUCK - timedelta(days=300, seconds=number),
        price=Decimal(60000 + number),
        volume=Decimal("0.5"),
        side="buy",
    )
    for number in range(1, 41)
][::-1]
FIRST = TRADES[0]


@pytest.fixture
def ledger(connection: psycopg.Connection[Any]) -> Ledger:
    """What a client was told, of trades that are stored."""
    told = Ledger()
    renumbered = [t._replace(id=n) for n, t in enumerate(TRADES, 1)]
    write(connection, told, renumbered)
    return told


def says(connection: psycopg.Connection[Any], ledger: Ledger, loss: Loss = NOTHING) -> str:
    return "\n".join(faults(take(connection, ledger), loss, datetime.now(UTC), 0))


def test_nothing_is_wrong(connection: psycopg.Connection[Any], ledger: Ledger) -> None:
    account = take(connection, ledger)
    assert faults(account, NOTHING, datetime.now(UTC), 0) == []
    assert (account.acknowledged, account.candles) == (40, 9)


def test_a_lost_trade_is_counted(connection: psycopg.Connection[Any], ledger: Ledger) -> None:
    connection.execute("DELETE FROM entasis.market_data WHERE id = 3")
    assert says(connection, ledger).startswith("1 acknowledged trades are lost")
    # within what the page states
    assert says(connection, ledger, Loss("a minute", 60)) == ""
    # and beyond
    (key,) = (key for key in ledger.acknowledged if key[3] == 3)
    old = ledger.acknowledged[key]
    ledger.acknowledged[key] = Acknowledged(old.told, old.at - timedelta(seconds=90), old.lsn)
    assert "9" in says(connection, ledger, Loss("a minute", 60))
    assert "a minute (60 s)" in says(connection, ledger, Loss("a minute", 60))


def test_a_trade_in_archived_wal_is_never_lost() -> None:
    trade = Acknowledged((Decimal(1), Decimal(1), None), STRUCK, 1000)
    account = Account(1, {("BTC", "x", STRUCK, 1): trade}, [], [], 0, [], [])
    assert faults(account, Loss("a minute", 60), STRUCK, 999) == []
    assert faults(account, Loss("a minute", 60), STRUCK, 1000) == [
        "1 lost trades were committed in WAL that had been archived"
    ]


def test_a_changed_trade_is_seen(connection: psycopg.Connection[Any], ledger: Ledger) -> None:
    connection.execute("UPDATE entasis.market_data SET price = price + 1 WHERE id = 3")
    assert says(connection, ledger).startswith("1 trades have other values")


def test_a_trade_that_nobody_sent_is_seen(
    connection: psycopg.Connection[Any], ledger: Ledger
) -> None:
    forgetful = ledger.without([key for key in ledger.acknowledged if key[3] == 3])
    assert says(connection, forgetful).startswith("1 trades are stored that nobody sent")
    # one whose client was never told is no surprise
    forgetful.send([TRADES[2]._replace(id=3)])
    assert says(connection, forgetful) == ""


def test_a_wrong_candle_is_seen(
    connection: psycopg.Connection[Any], database: Database, ledger: Ledger
) -> None:
    if not database.can("candle_tables"):
        pytest.skip("candles are no table here")
    connection.execute("UPDATE entasis.ohlcv_1h SET high = high + 1")
    found = says(connection, ledger)
    assert "candles are not what their trades make" in found
    assert "check_candles() reports" in found


def test_archived_trades_count_in_candles(
    connection: psycopg.Connection[Any], database: Database, ledger: Ledger
) -> None:
    if not database.can("candle_tables"):
        pytest.skip("what is deleted past triggers leaves no candle there")
    told = {key: one.told for key, one in ledger.acknowledged.items()}
    connection.execute("SET session_replication_role = replica; DELETE FROM entasis.market_data")
    account = take(connection, ledger, told)
    assert (account.missing, account.wrong_candles) == ({}, [])
    assert len(take(connection, ledger).missing) == 40


@pytest.fixture
def writing(database: Database) -> Iterator[tuple[Writer, Ledger]]:
    told = Ledger()
    writer = Writer(database.dsn, told, live(TRADES, 1000), batch=5, pause=0.01)
    writer.start()
    yield writer, told
    writer.stop()


@pytest.mark.several_connections
def test_a_writer_comes_back_and_sends_again(
    connection: psycopg.Connection[Any], writing: tuple[Writer, Ledger]
) -> None:
    writer, told = writing
    writer.await_written(20, datetime.now(UTC))
    gone = connection.execute(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    ).fetchone()
    assert gone != (0,)
    writer.await_written(20, datetime.now(UTC))
    writer.stop()
    assert says(connection, told) == ""
    assert len(told.acknowledged) % 5 == 0


def test_live_trades_are_real_ones_at_a_time_of_their_own() -> None:
    made = [trade for trade, _ in zip(live(TRADES, 7), range(100), strict=False)]
    assert [t.id for t in made] == list(range(7, 107))
    assert [t.price for t in made[:40]] == [t.price for t in TRADES]
    assert len({key_of(t) for t in made}) == len({t.timestamp for t in made}) == 100
