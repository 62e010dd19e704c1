"""The promise of the candles: after every commit, all nine levels are what the trades say.

What one writer does is here; several at once are in test_concurrency.py.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st
from psycopg import errors

from entasis_db.ingest import ingest_trades
from tests import oracle
from tests.conftest import Login
from tests.contract.candles.histories import Copy, Transaction, flat, histories, run, values
from tests.contract.candles.support import TRADE_COLUMNS, ZONES, empty, trade
from tests.db import Connection
from tests.engines import Database
from tests.make import MICROSECOND, NOON, insert_trades

# --- What a history consists of ------------------------------------------------------------------


# --- Histories -----------------------------------------------------------------------------------


@given(data=st.data())
def test_candles_follow_every_history(
    trading: Connection, database: Database, data: st.DataObject
) -> None:
    empty(trading, database)
    for transaction in data.draw(histories(merges=database.can("merge_of_values"))):
        run(trading, transaction)
        oracle.assert_candles_are_right(trading)


@pytest.mark.copy_errors
@pytest.mark.copy
@settings(max_examples=max(5, settings().max_examples // 4))
@given(data=st.data())
def test_candles_follow_histories_with_copy(
    trading: Connection, database: Database, data: st.DataObject
) -> None:
    history = data.draw(histories(copy=True, merges=database.can("merge_of_values")))
    assume(any(isinstance(step, Copy) for t in history for step in t.steps))
    empty(trading, database)
    for transaction in history:
        run(trading, transaction)
        oracle.assert_candles_are_right(trading)


@pytest.mark.merge
@pytest.mark.parametrize(
    ("step", "deletes", "inserts"),
    [
        ("1 minute", False, False),
        ("1 minute", True, False),
        ("1 minute", False, True),
        ("1 minute", True, True),
        ("31 days", False, False),
        ("31 days", True, False),
        ("31 days", False, True),
        ("31 days", True, True),
    ],
)
def test_merge_may_move_trades(
    trading: Connection, database: Database, step: str, deletes: bool, inserts: bool
) -> None:
    time = datetime(2025, 1, 1, tzinfo=UTC)
    insert_trades(trading, trade(time, 2), trade(time, 3))
    with trading.transaction():
        # a nested loop takes the source's rows in their order: the INSERT action comes first
        for method in ("hashjoin", "mergejoin"):
            trading.execute(f"SET LOCAL enable_{method} = off")
        trading.execute(
            "MERGE INTO entasis.market_data AS t"
            " USING (VALUES (1), (2)) AS s (id) ON t.id = s.id"
            + (" WHEN MATCHED AND t.price > 1000 THEN DELETE" if deletes else "")
            + f" WHEN MATCHED THEN UPDATE SET timestamp = t.timestamp + interval '{step}'"
            + (
                f" WHEN NOT MATCHED THEN INSERT ({TRADE_COLUMNS})"
                " VALUES (s.id, 'BTC', 'one', '2025-01-01 00:00:00+00', 10, 1, NULL, NULL, NULL)"
                if inserts
                else ""
            )
        )
    moved = time + (timedelta(minutes=1) if step == "1 minute" else timedelta(days=31))
    one = (Decimal(10), Decimal(1))
    oracle.assert_candles_are_right(
        trading,
        {
            ("BTC", "one", moved, 2): one,
            ("BTC", "one", time, 3): one,
            **({("BTC", "one", time, 1): one} if inserts else {}),
        },
    )


# What a user's own trigger may write, besides the statement that fires it. The guard on the depth
# keeps a trigger from firing itself for ever.
TRIGGER_BODIES = {
    "insert": """
        INSERT INTO entasis.market_data (id, symbol, exchange, timestamp, price, volume)
        SELECT 5000, t.symbol, t.exchange, t.timestamp, t.price + 1, 1
        FROM entasis.market_data AS t WHERE t.id <= 2
        ON CONFLICT DO NOTHING;""",
    "upsert": """
        INSERT INTO entasis.market_data (id, symbol, exchange, timestamp, price, volume)
        SELECT i, 'BTC', 'one', '2025-02-03 05:00:00+00', 7, 1 FROM generate_series(1, 3) AS i
        ON CONFLICT (symbol, exchange, timestamp, id)
        DO UPDATE SET volume = market_data.volume + 1;""",
    "update": """
        UPDATE entasis.market_data SET volume = volume + 1 WHERE id IN (1, 3);""",
    "move": """
        UPDATE entasis.market_data
        SET id = id + 10000, timestamp = timestamp + interval '1 minute' WHERE id = 2;""",
    "delete": """
        DELETE FROM entasis.market_data WHERE id = 1;""",
    "undone": """
        BEGIN
            DELETE FROM entasis.market_data WHERE id IN (1, 2);
            RAISE division_by_zero;
        EXCEPTION WHEN division_by_zero THEN NULL;
        END;""",
}

TRIGGERS = st.builds(
    lambda name, when, each: (name, when, each),
    # triggers fire in the order of their names: before and after the schema's own
    st.sampled_from(["a_first", "z_last"]),
    st.sampled_from(
        [
            "AFTER INSERT",
            "AFTER UPDATE",
            "AFTER DELETE",
            "AFTER INSERT OR UPDATE OR DELETE",
            "BEFORE INSERT",
            "BEFORE UPDATE OR DELETE",
        ]
    ),
    st.sampled_from(["STATEMENT", "ROW"]),
)


# Merges that move trades are in test_a_users_trigger_beside_a_merge_that_moves.
@pytest.mark.user_triggers
@given(
    body=st.sampled_from(sorted(TRIGGER_BODIES)),
    trigger=TRIGGERS,
    history=histories(merge_moves=False),
)
def test_candles_follow_what_a_users_trigger_writes(
    trading: Connection,
    database: Database,
    body: str,
    trigger: tuple[str, str, str],
    history: list[Transaction],
) -> None:
    name, when, each = trigger
    empty(trading, database)
    trading.execute(
        "CREATE OR REPLACE FUNCTION public.users_own() RETURNS trigger LANGUAGE plpgsql AS $$"
        f"BEGIN IF pg_trigger_depth() = 1 THEN {TRIGGER_BODIES[body]} END IF;"
        " RETURN CASE WHEN tg_op = 'DELETE' THEN old ELSE new END; END $$"
    )
    trading.execute(
        f"CREATE TRIGGER {name} {when} ON entasis.market_data"
        f" FOR EACH {each} EXECUTE FUNCTION public.users_own()"
    )
    try:
        for transaction in history:
            try:
                run(trading, transaction)
            # a row that a BEFORE trigger has changed cannot be changed by the statement as well
            except errors.TriggeredDataChangeViolation:
                event("the trigger was in the statement's way")
            oracle.assert_candles_are_right(trading)
    finally:
        trading.execute(f"DROP TRIGGER {name} ON entasis.market_data")


@pytest.mark.user_triggers
@pytest.mark.parametrize("on", ["DELETE", "INSERT"])
@pytest.mark.xfail(strict=True, reason="the nested UPDATE takes the notes of the one around it")
def test_a_users_trigger_beside_a_merge_that_moves(
    trading: Connection, database: Database, on: str
) -> None:
    """A row that goes to another partition fires these between its note and its move."""
    time = datetime(2025, 1, 1, tzinfo=UTC)
    insert_trades(trading, trade(time, 2), trade(time, 3))
    trading.execute(
        "CREATE FUNCTION public.users_own() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF pg_trigger_depth() = 1 THEN"
        " UPDATE entasis.market_data SET volume = volume + 1 WHERE id = 3; END IF;"
        " RETURN CASE WHEN tg_op = 'DELETE' THEN old ELSE new END; END $$"
    )
    trading.execute(
        f"CREATE TRIGGER users_own BEFORE {on} ON entasis.market_data"
        " FOR EACH ROW EXECUTE FUNCTION public.users_own()"
    )
    trading.execute(
        "MERGE INTO entasis.market_data AS t USING (VALUES (2)) AS s (id) ON t.id = s.id"
        " WHEN MATCHED THEN UPDATE SET timestamp = t.timestamp + interval '31 days'"
    )
    oracle.assert_candles_are_right(
        trading,
        {
            ("BTC", "one", time + timedelta(days=31), 2): (Decimal(10), Decimal(1)),
            ("BTC", "one", time, 3): (Decimal(10), Decimal(2)),
        },
    )


# --- Borders -------------------------------------------------------------------------------------


@pytest.mark.native_speed
@pytest.mark.parametrize(
    "zone",
    [
        # of whole hours, as UTC
        pytest.param(
            z, marks=[pytest.mark.long] if z in ("America/New_York", "Europe/Berlin") else []
        )
        for z in ZONES
    ],
)
def test_a_trade_at_the_start_of_a_bucket_belongs_to_it(trading: Connection, zone: str) -> None:
    trading.execute("SELECT set_config('TimeZone', %s, false)", [zone])
    levels = {
        "1m": (datetime(2025, 2, 3, 5, 34, tzinfo=UTC), datetime(2025, 2, 3, 5, 35, tzinfo=UTC)),
        "5m": (datetime(2025, 2, 3, 5, 30, tzinfo=UTC), datetime(2025, 2, 3, 5, 35, tzinfo=UTC)),
        "15m": (datetime(2025, 2, 3, 5, tzinfo=UTC), datetime(2025, 2, 3, 5, 15, tzinfo=UTC)),
        "30m": (datetime(2025, 2, 3, 5, tzinfo=UTC), datetime(2025, 2, 3, 5, 30, tzinfo=UTC)),
        "1h": (datetime(2025, 2, 3, 4, tzinfo=UTC), datetime(2025, 2, 3, 5, tzinfo=UTC)),
        "4h": (datetime(2025, 2, 3, 4, tzinfo=UTC), datetime(2025, 2, 3, 8, tzinfo=UTC)),
        "1d": (datetime(2025, 3, 8, tzinfo=UTC), datetime(2025, 3, 9, tzinfo=UTC)),
        "1w": (datetime(2025, 3, 24, tzinfo=UTC), datetime(2025, 3, 31, tzinfo=UTC)),
        "1mo": (datetime(2025, 2, 1, tzinfo=UTC), datetime(2025, 3, 1, tzinfo=UTC)),
    }
    assert set(levels) == set(oracle.LEVELS)
    for start, end in levels.values():
        insert_trades(
            trading, trade(start), trade(end - MICROSECOND, price="11"), trade(end, price="12")
        )
        oracle.refresh(trading)
        stored = oracle.stored_candles(trading)
        level = next(name for name, borders in levels.items() if borders == (start, end))
        before = stored[level]["BTC", "one", start]
        after = stored[level]["BTC", "one", end]
        assert (before.opened_at, before.closed_at) == (start, end - MICROSECOND)
        assert (before.open, before.close, before.trades) == (10, 11, 2)
        assert (after.opened_at, after.open, after.trades) == (end, 12, 1)
        # corrected trades at the border stay on their side of it
        trading.execute("UPDATE entasis.market_data SET volume = volume + 1")
        oracle.assert_candles_are_right(trading)
        trading.execute("DELETE FROM entasis.market_data WHERE timestamp = %s", [end])
        oracle.assert_candles_are_right(trading)
        trading.execute("DELETE FROM entasis.market_data")


def test_ties_are_broken_by_id_however_they_arrive(trading: Connection) -> None:
    time = datetime(2025, 2, 3, 5, 35, tzinfo=UTC)
    # neither the smallest nor the largest price is the first or last trade's
    rows = [trade(time, i, price) for i, price in ((-5, "12"), (9, "14"), (100, "11"))]
    extremes = [trade(time, 10, "1"), trade(time, 11, "99")]
    for batches in (
        [[*rows, *extremes]],
        [[*extremes, *reversed(rows)]],
        [[row] for row in [*extremes, rows[1], rows[2], rows[0]]],
        [[rows[2]], extremes, [rows[0], rows[1]]],
    ):
        for batch in batches:
            trading.execute(
                f"INSERT INTO entasis.market_data ({TRADE_COLUMNS}) {values(batch)}", flat(batch)
            )
        oracle.refresh(trading)
        for level in oracle.LEVELS:
            (candle,) = oracle.stored_candles(trading)[level].values()
            assert (candle.open, candle.first_trade_id) == (12, -5)
            assert (candle.close, candle.last_trade_id) == (11, 100)
            assert (candle.low, candle.high) == (1, 99)
        oracle.assert_candles_are_right(trading)
        # computed anew rather than merged
        trading.execute("UPDATE entasis.market_data SET volume = 2")
        oracle.assert_candles_are_right(trading)
        trading.execute("DELETE FROM entasis.market_data")
        oracle.assert_candles_are_right(trading, {})


def test_ids_and_sums_of_any_size_are_exact(trading: Connection) -> None:
    time = datetime(2025, 2, 3, 5, 35, tzinfo=UTC)
    insert_trades(
        trading,
        trade(time, 2**63 - 1, "99999999999.999999999999", "999.999999999999"),
        trade(time, 2**63 - 2, "0.000000000001", "0.000000000001"),
        trade(time, -(2**63), "999999999999.999999999999", "99.999999999999"),
        trade(time + MICROSECOND, -(2**63), "123456789.123456789012", "0.000000000003"),
    )
    oracle.assert_candles_are_right(trading)
    trading.execute("UPDATE entasis.market_data SET volume = volume + 0.000000000001 WHERE id < 0")
    oracle.assert_candles_are_right(trading)


def test_the_columns_of_all_levels_are_the_same(trading: Connection) -> None:
    for level in oracle.LEVELS:
        columns = trading.execute(
            "SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_catalog.pg_attribute AS a"
            " WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped",
            [f"entasis.ohlcv_{level}"],
        ).fetchone()
        assert columns == (list(oracle.COLUMNS),)


# --- Who writes ----------------------------------------------------------------------------------


def test_a_writer_needs_no_right_on_the_candles(trading: Connection, login: Login) -> None:
    time = datetime(2025, 2, 3, 5, 35, tzinfo=UTC)
    writer = login("entasis_writer")
    insert_trades(writer, trade(time), trade(time, 2), trade(time + timedelta(minutes=1)))
    writer.execute("UPDATE entasis.market_data SET price = 12 WHERE id = 2")
    writer.execute("DELETE FROM entasis.market_data WHERE timestamp > %s", [time])
    oracle.assert_candles_are_right(
        trading,
        {
            ("BTC", "one", time, 1): (Decimal(10), Decimal(1)),
            ("BTC", "one", time, 2): (Decimal(12), Decimal(1)),
        },
    )
    for level in oracle.STORED:
        # an aggregate is a view that nobody writes to
        with pytest.raises((errors.InsufficientPrivilege, errors.ObjectNotInPrerequisiteState)):
            writer.execute(f"DELETE FROM entasis.ohlcv_{level}")


@pytest.mark.monthly_partitions
def test_a_writer_cannot_go_past_the_triggers(
    trading: Connection, database: Database, login: Login
) -> None:
    insert_trades(trading, trade(datetime(2025, 2, 3, 5, 35, tzinfo=UTC)))
    writer = login("entasis_writer")
    for statement in (
        "DELETE FROM entasis_internal.market_data_y2025m02",
        "UPDATE entasis_internal.market_data_y2025m02 SET price = 1",
        "INSERT INTO entasis_internal.market_data_y2025m02 SELECT * FROM entasis.market_data",
        "TRUNCATE entasis_internal.market_data_y2025m02",
        "SET session_replication_role = replica",
        "ALTER TABLE entasis.market_data DISABLE TRIGGER ALL",
    ):
        with pytest.raises(errors.InsufficientPrivilege):
            writer.execute(statement)
    oracle.assert_candles_are_right(trading)


def test_truncate_is_refused(trading: Connection) -> None:
    insert_trades(trading, trade(datetime(2025, 2, 3, 5, 35, tzinfo=UTC)))
    for table in ("market_data", "option_data"):
        with pytest.raises(errors.ObjectNotInPrerequisiteState, match="TRUNCATE of entasis"):
            trading.execute(f"TRUNCATE entasis.{table}")
    assert len(oracle.stored_trades(trading)) == 1
    oracle.assert_candles_are_right(trading)


@pytest.mark.candle_tables
@pytest.mark.one_server
def test_the_newest_minute_is_looked_for_once_for_each_market(connection: Connection) -> None:
    """Not again with every minute of a batch."""
    ingest_trades(connection, [trade(NOON)], source="t", id_space="trade")
    minutes = 50
    batch = [trade(NOON + n * timedelta(minutes=1), n) for n in range(2, minutes)]
    with connection.transaction():
        ingest_trades(connection, batch, source="t", id_space="trade")
        (looks,) = connection.execute(
            "SELECT sum(idx_scan) FROM pg_stat_xact_user_tables WHERE relname ~ '^ohlcv_1m'"
        ).fetchone() or (None,)
    assert looks is not None
    assert 1 <= looks < minutes
    oracle.assert_candles_are_right(connection)
