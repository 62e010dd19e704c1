"""Ranges below the floor are opened again, and nothing else is touched by it."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from click.testing import CliRunner
from psycopg import errors

from entasis_db.candles import check_candles
from entasis_db.cli import main
from entasis_db.cli.exit_codes import ExitCode
from tests import oracle
from tests.conftest import Login
from tests.contract.retention.support import (
    floors,
    insert_quote,
    insert_trade,
    keep_from,
    load_old_rows,
    maintain,
    partitions,
)
from tests.db import Connection, health, one, violates
from tests.engines import Database, Prepare
from tests.make import INSERT_QUOTE, INSERT_TRADE, MICROSECOND, month

pytestmark = pytest.mark.newest_server

NEW = (
    "INSERT INTO entasis.market_data (id, symbol, exchange, timestamp, price, volume)"
    " VALUES (%s, 'NEW', 'one', %s, %s, 1)"
)
FEBRUARY, MARCH = month(2020, 2), month(2020, 3)


def reopen(connection: Connection, *arguments: Any, **named: Any) -> None:
    """Call the procedure, as a client without our helpers does."""
    values = [*arguments, *named.values()]
    marks = [*(["%s"] * len(arguments)), *(f"{name} => %s" for name in named)]
    connection.execute(f"CALL entasis.reopen({', '.join(marks)})".encode(), values)


def reopened(connection: Connection) -> list[tuple[Any, ...]]:
    return [
        (relation, symbol, start.astimezone(UTC), end.astimezone(UTC), is_open)
        for relation, symbol, start, end, is_open in connection.execute(
            "SELECT relation, symbol, from_time, to_time, opened_at IS NOT NULL"
            " FROM entasis.reopened ORDER BY 1, 2, 3"
        )
    ]


def end_the_keep(connection: Connection) -> None:
    connection.execute("UPDATE entasis.reopened SET keep_until = now() - interval '1 second'")
    connection.execute("UPDATE entasis.restores SET held_until = now()")


def without(candles: dict[str, oracle.Candles], symbol: str) -> dict[str, oracle.Candles]:
    return {
        level: {key: candle for key, candle in found.items() if key[0] != symbol}
        for level, found in candles.items()
    }


def stored(connection: Connection) -> dict[str, oracle.Candles]:
    """All candles that are stored, once they follow from the trades."""
    oracle.refresh(connection)
    found = oracle.stored_candles(connection)
    return {level: found[level] for level in ("1m", "1h", "1d")}


def assert_right(connection: Connection, symbol: str, candles: dict[str, oracle.Candles]) -> None:
    """See the candles of a market equal all its stored trades, which are some."""
    trades = {k: v for k, v in oracle.stored_trades(connection).items() if k[0] == symbol}
    assert trades
    for level in ("1m", "1h", "1d"):
        mine = {key: candle for key, candle in candles[level].items() if key[0] == symbol}
        assert mine == oracle.candles(trades, level)


def drop_the_first_months(connection: Connection) -> None:
    """Drop what ended before 2020-04, archived nowhere; its candles stay."""
    load_old_rows(connection)
    oracle.refresh(connection)
    keep_from(connection, month(2020, 4), "market_data", "option_data")
    maintain(connection)
    assert floors(connection)["market_data"] > month(2020, 3) + timedelta(days=15)


@pytest.fixture
def prepare() -> Prepare:
    return drop_the_first_months


@pytest.fixture
def floored(connection: Connection) -> Connection:
    """What ended before 2020-04 is gone, and was archived nowhere; its candles are there."""
    return connection


def test_a_new_market_is_filled_in_behind_the_floor(floored: Connection) -> None:
    before, floor = stored(floored), floors(floored)
    reopen(floored, "market_data", FEBRUARY, MARCH, "NEW", "one")
    assert reopened(floored) == [("market_data", "NEW", FEBRUARY, MARCH, True)]
    for number, time in enumerate(
        (FEBRUARY, FEBRUARY, FEBRUARY + timedelta(days=9), MARCH - MICROSECOND)
    ):
        floored.execute(NEW, [number, time, 5 + number])
    # several of one statement, a correction, a deletion, and one that changes nothing
    floored.execute(
        "INSERT INTO entasis.market_data (id, symbol, exchange, timestamp, price, volume)"
        " SELECT n, 'NEW', 'one', %s + n * interval '1 hour', n, 2"
        " FROM generate_series(10, 60) AS n",
        [FEBRUARY],
    )
    floored.execute("UPDATE entasis.market_data SET price = 77 WHERE symbol = 'NEW' AND id = 1")
    floored.execute("DELETE FROM entasis.market_data WHERE symbol = 'NEW' AND id = 12")
    floored.execute("UPDATE entasis.market_data SET volume = volume WHERE symbol = 'NEW'")
    after = stored(floored)
    assert_right(floored, "NEW", after)
    assert without(after, "NEW") == before
    assert floors(floored) == floor


@pytest.mark.candle_tables
def test_candles_of_a_reopened_range_are_checked(floored: Connection, database: Database) -> None:
    reopen(floored, "market_data", FEBRUARY, MARCH, "NEW", "one")
    floored.execute(NEW, [1, FEBRUARY, 5])
    floored.execute(NEW, [2, FEBRUARY + timedelta(days=1), 6])
    right = stored(floored)
    assert check_candles(floored) == []
    floored.execute("UPDATE entasis.ohlcv_1h SET high = 99 WHERE symbol = 'NEW' AND high = 5")
    (wrong,) = check_candles(floored)
    assert (wrong.relation, wrong.bucket, wrong.problem) == ("ohlcv_1h", FEBRUARY, "different")
    assert check_candles(floored, FEBRUARY + timedelta(days=1), MARCH) == []
    result = CliRunner().invoke(main, ["--database", database.dsn, "check"])
    assert result.exit_code == ExitCode.CANDLES_DIFFER
    assert "Mend them with: entasis reopen market_data 2020-02-01 2020-02-02" in result.output
    reopen(floored, "market_data", FEBRUARY, FEBRUARY + timedelta(days=1), "NEW", "one")
    assert stored(floored) == right
    assert check_candles(floored) == []
    # what is open for all and for one is told once
    floored.execute("UPDATE entasis.ohlcv_1m SET trades = trades + 1 WHERE symbol = 'NEW'")
    found = check_candles(floored, FEBRUARY, FEBRUARY + timedelta(days=1))
    assert [(one.relation, one.missing_trades) for one in found] == [("ohlcv_1m", 1)]
    floored.execute("CALL entasis.rebuild_candles('2020-01-01Z', '2020-06-01Z')")


def test_of_what_is_not_open_no_candle_is_compared(floored: Connection) -> None:
    """Candles of other markets count trades that are gone, and must not be told as wrong."""
    reopen(floored, "market_data", FEBRUARY, MARCH, "NEW", "one")
    reopen(floored, "market_data", FEBRUARY, MARCH, "NEW", "two")
    reopen(floored, "option_data", FEBRUARY, MARCH)
    # of which reopen() has not come to its end
    floored.execute(
        "INSERT INTO entasis.reopened (relation, from_time, to_time, keep_until)"
        " VALUES ('market_data', %s, %s, 'infinity')",
        [month(2020, 1), MARCH],
    )
    for number, seconds in enumerate((0, 20, 40)):
        floored.execute(NEW, [number, FEBRUARY + timedelta(seconds=seconds), 5 + number])
    floored.execute(NEW.replace("'one'", "'two'").encode(), [1, FEBRUARY, 9])
    assert len(stored(floored)["1d"]) > 2
    assert check_candles(floored) == []


def test_a_range_without_a_partition_is_closed_when_its_time_is_over(
    floored: Connection, database: Database
) -> None:
    months = [month(2020, 1), FEBRUARY, MARCH, MARCH + timedelta(days=5)]
    for start, end in pairwise(months):
        reopen(floored, "market_data", start, end, "NEW", "one")
    if database.can("candle_tables"):
        floored.execute("DROP TABLE entasis_internal.market_data_y2020m02")
    still = [row for row in reopened(floored) if row[2] != FEBRUARY]
    assert len(still) == 2
    maintain(floored)
    assert len(reopened(floored)) == 3
    floored.execute(
        "UPDATE entasis.reopened SET keep_until = now() - interval '1 second' WHERE from_time = %s",
        [FEBRUARY],
    )
    maintain(floored)
    assert reopened(floored) == still


def test_what_lies_outside_of_a_reopened_range_stays_closed(
    floored: Connection, database: Database
) -> None:
    reopen(floored, "market_data", FEBRUARY, MARCH, "NEW", "one")
    floored.execute(NEW, [1, FEBRUARY, 5])
    before, trades = stored(floored), oracle.stored_trades(floored)
    day = FEBRUARY + timedelta(days=3)
    for time in (FEBRUARY - MICROSECOND, MARCH):
        _closed(floored, NEW, [2, time, 5])
    # another market in the same range, an instrument of that name elsewhere
    _closed(floored, INSERT_TRADE, [2, day, 5])
    _closed(floored, NEW.replace("'one'", "'two'"), [2, day, 5])
    # one of another market among many
    _closed(
        floored,
        "INSERT INTO entasis.market_data (id, symbol, exchange, timestamp, price, volume)"
        " SELECT 3, s, 'one', %s, 1, 1 FROM unnest(ARRAY['NEW', 'OLD', 'ZZZ']) AS s",
        [day],
    )
    # moved out of it, into it, and from market to market within it
    move = "UPDATE entasis.market_data SET {} WHERE symbol = %s AND timestamp = %s"
    above = month(2020, 4) + timedelta(days=14, minutes=15)
    assert one(floored, "SELECT count(*) FROM entasis.market_data WHERE timestamp = %s", above)
    if database.can("moves_between_symbols"):
        _closed(floored, move.format("symbol = 'BTC'"), ["NEW", FEBRUARY])
    _closed(floored, move.format("exchange = 'two'"), ["NEW", FEBRUARY])
    _closed(floored, move.format("timestamp = '2020-03-01 00:00:00+00'"), ["NEW", FEBRUARY])
    _closed(floored, move.format("timestamp = '2020-02-02 00:00:00+00'"), ["BTC", above])
    assert oracle.stored_trades(floored) == trades
    assert stored(floored) == before
    with pytest.raises(errors.CheckViolation):
        floored.execute(
            "SELECT entasis.ensure_partitions('market_data', %s, %s)", [FEBRUARY, MARCH]
        )


def _closed(connection: Connection, query: str, values: list[Any]) -> None:
    """See a statement refused: by a floor, or because no partition, or another chunk, takes it."""
    with pytest.raises((errors.CheckViolation, errors.InternalError_)) as caught:
        connection.execute(query.encode(), values)
    # rows of several symbols go to the nodes of a cluster by COPY, which loses the class
    assert caught.type is errors.CheckViolation or "past its keep period" in str(caught.value)


@pytest.mark.native_speed
def test_a_merge_moves_nothing_past_the_edges(floored: Connection) -> None:
    reopen(floored, "market_data", FEBRUARY, MARCH, "NEW", "one")
    floored.execute(NEW, [1, FEBRUARY, 5])
    before, trades = stored(floored), oracle.stored_trades(floored)
    merge = (
        "MERGE INTO entasis.market_data AS d USING (VALUES (1)) AS s (id)"
        " ON d.symbol = 'NEW' AND d.id = s.id AND d.timestamp = '2020-02-01 00:00:00+00'"
        " WHEN MATCHED THEN UPDATE SET {}"
    )
    for change in ("symbol = 'BTC'", "timestamp = '2020-03-01 00:00:00+00'"):
        with pytest.raises(errors.Error):
            floored.execute(merge.format(change).encode())
    assert oracle.stored_trades(floored) == trades
    assert stored(floored) == before


@pytest.mark.native_speed
def test_quotes_are_reopened_by_underlying(floored: Connection, database: Database) -> None:
    reopen(floored, "option_data", FEBRUARY, MARCH, "BTC")
    insert_quote(floored, FEBRUARY + timedelta(days=1))
    _closed(floored, INSERT_QUOTE, [2, MARCH])
    _closed(floored, INSERT_QUOTE.replace("'BTC'", "'ETH'"), [2, FEBRUARY])
    floored.execute("UPDATE entasis.option_data SET iv = 1 WHERE timestamp < '2020-03-01Z'")
    if database.can("moves_between_symbols"):
        _closed(
            floored,
            "UPDATE entasis.option_data SET underlying = %s WHERE timestamp < '2020-03-01Z'",
            ["ETH"],
        )
    assert (
        floored.execute("DELETE FROM entasis.option_data WHERE timestamp < '2020-03-01Z'").rowcount
        == 1
    )
    # the trades' floor is another
    _closed(floored, INSERT_TRADE, [2, FEBRUARY, 5])


def test_candles_without_trades_are_thrown_away_on_request_only(floored: Connection) -> None:
    before = stored(floored)
    for market in ((), ("BTC", "one")):
        with pytest.raises(errors.ObjectNotInPrerequisiteState, match="not stored"):
            reopen(floored, "market_data", FEBRUARY, MARCH, *market)
    assert reopened(floored) == []
    assert stored(floored) == before
    assert not any(b == FEBRUARY for b in partitions(floored, "market_data"))

    reopen(floored, "market_data", FEBRUARY, MARCH, discard_candles=True)
    gone = {
        level: {k: c for k, c in found.items() if not FEBRUARY <= k[2] < MARCH}
        for level, found in before.items()
    }
    assert gone != before
    assert stored(floored) == gone
    insert_trade(floored, FEBRUARY + timedelta(days=20), 1, 4)
    floored.execute(NEW, [1, FEBRUARY, 5])
    _closed(floored, INSERT_TRADE, [1, MARCH, 5])
    after = stored(floored)
    assert after["1d"]["BTC", "one", FEBRUARY + timedelta(days=20)].trades == 1
    assert {
        level: {k: c for k, c in found.items() if not FEBRUARY <= k[2] < MARCH}
        for level, found in after.items()
    } == gone


def test_a_reopened_range_is_kept_and_then_goes_again(floored: Connection) -> None:
    reopen(floored, "market_data", FEBRUARY, month(2020, 4), "NEW", "one")
    floored.execute(NEW, [1, FEBRUARY + timedelta(days=10), 5])
    floored.execute(NEW, [2, MARCH + timedelta(days=10), 5])
    oracle.refresh(floored)
    reasons = health(floored, "market_data")["kept_because"]
    assert reasons
    assert all("reopened" in reason for reason in reasons)
    assert not [s for s in maintain(floored) if s.startswith("dropped")]
    # it holds up no younger one
    floor = floors(floored)["market_data"]
    keep_from(floored, month(2020, 4) + timedelta(days=25), "market_data")
    insert_trade(floored, month(2020, 4) + timedelta(days=14), 91)
    maintain(floored)
    left = oracle.stored_trades(floored)
    assert {k[2].month for k in left if k[0] == "NEW"} == {2, 3}
    assert floors(floored)["market_data"] >= floor

    floored.execute("UPDATE entasis.market_data SET price = 8 WHERE symbol = 'NEW' AND id = 1")
    before = oracle.candles(
        {k: v for k, v in oracle.stored_trades(floored).items() if k[0] == "NEW"}, "1m"
    )
    end_the_keep(floored)
    maintain(floored)
    assert not [k for k in oracle.stored_trades(floored) if k[0] == "NEW"]
    assert reopened(floored) == []
    # its candles stay, the corrected one too
    after = stored(floored)
    assert {k: c for k, c in after["1m"].items() if k[0] == "NEW"} == before
    _closed(floored, NEW, [3, FEBRUARY + timedelta(days=10), 5])


def test_what_is_dropped_is_closed_and_the_rest_stays_open(floored: Connection) -> None:
    reopen(floored, "market_data", FEBRUARY, MARCH + timedelta(days=10), "NEW", "one")
    floored.execute(
        "SELECT entasis_internal.close_reopened('market_data', %s, %s)",
        [FEBRUARY + timedelta(days=5), MARCH],
    )
    assert reopened(floored) == [
        ("market_data", "NEW", FEBRUARY, FEBRUARY + timedelta(days=5), True),
        ("market_data", "NEW", MARCH, MARCH + timedelta(days=10), True),
    ]


def test_what_cannot_be_reopened(floored: Connection) -> None:
    floor = floors(floored)["market_data"]
    for arguments, error in (
        (("predictions", FEBRUARY, MARCH), errors.InvalidParameterValue),
        ((None, FEBRUARY, MARCH), errors.InvalidParameterValue),
        (("market_data", MARCH, FEBRUARY), errors.InvalidParameterValue),
        (("market_data", None, MARCH), errors.InvalidParameterValue),
        (("market_data", FEBRUARY, None), errors.InvalidParameterValue),
        (("market_data", "-infinity", MARCH), errors.InvalidParameterValue),
        (("market_data", FEBRUARY, MARCH, "NEW"), errors.InvalidParameterValue),
        (("market_data", FEBRUARY, MARCH, None, "one"), errors.InvalidParameterValue),
        (("option_data", FEBRUARY, MARCH, "NEW", "one"), errors.InvalidParameterValue),
        (
            ("market_data", FEBRUARY + MICROSECOND, MARCH, "NEW", "one"),
            errors.InvalidParameterValue,
        ),
        (
            ("market_data", FEBRUARY, MARCH - MICROSECOND, "NEW", "one"),
            errors.InvalidParameterValue,
        ),
        (
            ("market_data", floor, datetime.now(UTC), "NEW", "one"),
            errors.ObjectNotInPrerequisiteState,
        ),
    ):
        with pytest.raises(error):
            reopen(floored, *arguments)
    assert reopened(floored) == []
    # the end is the floor at most, and a range may be reopened for longer
    for days in (1, 400):
        reopen(floored, "market_data", MARCH, datetime.now(UTC), "NEW", "one", f"{days} days")
        assert reopened(floored) == [("market_data", "NEW", MARCH, floor, True)]
    assert one(floored, "SELECT keep_until > now() + '399 days'::interval FROM entasis.reopened")


def test_the_error_at_the_floor_names_the_command(floored: Connection) -> None:
    # a partition that only the floor closes
    reopen(floored, "market_data", FEBRUARY, MARCH, "NEW", "one")
    with pytest.raises(errors.CheckViolation) as caught:
        floored.execute(NEW.replace("'one'", "'two'"), [2, FEBRUARY + timedelta(hours=30), 5])
    violates(floored, caught.value, "market_data_floor")
    assert "entasis reopen market_data 2020-02-02 2020-02-03 --symbol NEW --exchange two" in str(
        caught.value.diag.message_hint
    )


@pytest.mark.several_connections
def test_a_reopened_range_is_not_closed_under_a_writer(floored: Connection, database: Any) -> None:
    reopen(floored, "market_data", FEBRUARY, MARCH, "NEW", "one")
    close = "SELECT entasis_internal.close_reopened('market_data', %s, %s)"
    with database.connect(autocommit=False) as writer:
        writer.execute(NEW, [1, FEBRUARY, 5])
        if not database.can("hypertables"):  # a chunk is locked by its writers, and by its drop
            with pytest.raises(errors.LockNotAvailable):
                floored.execute("SET lock_timeout = '100ms'")
                floored.execute(close, [FEBRUARY, MARCH])
        writer.commit()
    with database.connect(autocommit=False) as writer:
        writer.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        writer.execute("SELECT count(*) FROM entasis.market_data")
        floored.execute(close, [FEBRUARY, MARCH])
        with pytest.raises((errors.SerializationFailure, errors.CheckViolation)):
            writer.execute(NEW, [2, FEBRUARY, 5])


def test_only_an_administrator_reopens(floored: Connection, login: Login) -> None:
    with pytest.raises(errors.InsufficientPrivilege):
        reopen(login("entasis_writer"), "market_data", FEBRUARY, MARCH, "NEW", "one")
    reopen(login("entasis_admin"), "market_data", FEBRUARY, MARCH, "NEW", "one")
    writer = login("entasis_writer")
    writer.execute(NEW, [1, FEBRUARY, 5])
