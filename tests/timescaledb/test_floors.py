"""Nothing makes a candle vanish whose trades were dropped: upstream, a refresh does."""

from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import errors

from entasis_db.archive import archive, open_store, restore
from tests import oracle
from tests.db import discard
from tests.engines import Server
from tests.make import TODAY
from tests.timescaledb.jobs import job

pytestmark = pytest.mark.hypertables

INSERT = (
    "INSERT INTO entasis.market_data (symbol, exchange, timestamp, id, price, volume)"
    " VALUES (%s, %s, %s, %s, %s, %s)"
)
Row = tuple[str, str, datetime, int, Decimal, Decimal]

rows = st.lists(
    st.builds(
        lambda symbol, days, offset, trade_id, price, volume: (
            symbol, "x", TODAY - timedelta(days=days) + offset, trade_id, price, volume
        ),
        st.sampled_from(["BTC", "ETH"]),
        # kept are the last 90 days and what shares a chunk with them
        st.sampled_from([1, 3, 40, 88, 95, 99, 105, 120, 121, 200]),
        st.sampled_from([timedelta(0), timedelta(seconds=59), timedelta(hours=23)]),
        st.integers(1, 3),
        st.sampled_from([Decimal("10"), Decimal("10.000000000001"), Decimal("11.5")]),
        st.sampled_from([Decimal(1), Decimal("0.25")]),
    ),
    min_size=1,
    max_size=10,
    unique_by=lambda r: r[:4],
)  # fmt: skip


def refresh_natively(connection: psycopg.Connection[Any], *, forced: bool) -> None:
    """Refresh as a superuser who knows nothing of ours may."""
    for relation in ("ohlcv_1m", "ohlcv_1h", "ohlcv_1d"):
        connection.execute(
            # by default, a forced refresh goes through months of minutes in batches of ten
            "CALL public.refresh_continuous_aggregate(%s::regclass, NULL, NULL, force => %s,"
            " options => '{\"buckets_per_batch\": 0}')",
            [f"entasis.{relation}", forced],
        )


def run_jobs(connection: psycopg.Connection[Any]) -> None:
    for procedure in ("refresh_job", "compress_job", "maintain_job"):
        connection.execute("CALL public.run_job(%s)", [job(connection, procedure)])


def floor_of(connection: psycopg.Connection[Any]) -> datetime:
    (floor,) = connection.execute(
        "SELECT greatest(floor, '2000-01-01') FROM entasis.floors WHERE relation = 'market_data'"
    ).fetchone() or (TODAY,)
    return floor


@settings(max_examples=max(2, settings().max_examples // 4))
@given(early=rows, late=rows, merging=st.booleans())
def test_no_candle_vanishes(
    server: Server, early: list[Row], late: list[Row], merging: bool
) -> None:
    with server.database() as database, database.connect() as connection:
        discard(connection)
        accepted = {row[:4]: row[4:] for row in early}
        for row in early:
            connection.execute(INSERT, row)
        connection.execute("CALL entasis.maintain()")
        floor = floor_of(connection)
        # three months and a chunk
        dropped = [row for row in early if row[2] < TODAY - timedelta(days=100)]
        assert all(row[2] < floor for row in dropped)

        for row in late:
            if row[2] < floor:
                with pytest.raises(errors.CheckViolation) as refused:
                    connection.execute(INSERT, row)
                assert refused.value.diag.constraint_name == "market_data_floor"
            elif row[:4] in accepted:
                with pytest.raises(errors.UniqueViolation):
                    connection.execute(INSERT, row)
            else:
                connection.execute(INSERT, row)
                accepted[row[:4]] = row[4:]

        if merging:
            connection.execute("SET timescaledb.enable_merge_on_cagg_refresh = on")
        for forced in (False, True):
            run_jobs(connection)
            connection.execute("CALL entasis.refresh_candles('-infinity', 'infinity')")
            connection.execute("CALL entasis.rebuild_candles('-infinity', 'infinity')")
            refresh_natively(connection, forced=forced)
            assert not oracle.differences(connection, accepted)
        stored = oracle.stored_trades(connection)
        assert stored.items() <= accepted.items()
        # what came late and was past its keep period has gone the way of the others
        assert {key for key in accepted if key[2] >= floor_of(connection)} == stored.keys()


def test_without_the_guard_a_refresh_wipes(server: Server) -> None:
    """The guard is what holds: without it the trap is there."""
    with server.database() as database, database.connect() as connection:
        discard(connection)
        connection.execute(INSERT, ("BTC", "x", TODAY - timedelta(days=200), 1, 10, 1))
        connection.execute("CALL entasis.maintain()")
        before = oracle.stored_candles(connection)
        assert before["1m"]
        refresh_natively(connection, forced=True)
        assert oracle.stored_candles(connection) == before
        (schema, table) = connection.execute(
            "SELECT * FROM entasis_internal.hypertable_of('ohlcv_1m')"
        ).fetchone() or ("", "")
        connection.execute(
            psycopg.sql.SQL("DROP TRIGGER protect_candle_below_floor ON {}").format(
                psycopg.sql.Identifier(schema, table)
            )
        )
        refresh_natively(connection, forced=True)
        assert not oracle.stored_candles(connection)["1m"]


@pytest.mark.copy
def within_days(connection: psycopg.Connection[Any]) -> dict[str, Any]:
    """Candles of a day or less: a week or month of which a part did not come back has no row."""
    found = oracle.stored_candles(connection)
    return {level: found[level] for level in found if level not in ("1w", "1mo")}


def test_what_was_restored_survives_a_forced_refresh(server: Server, tmp_path: Path) -> None:
    """Candles that are past their own keep period, and came back, with their trades or without."""
    with server.database() as database, database.connect() as connection:
        store = open_store(tmp_path.as_uri())
        for days in (500, 499, 450, 200):
            connection.execute(INSERT, ("BTC", "x", TODAY - timedelta(days=days), 1, 10, 1))
        oracle.refresh(connection)
        before = within_days(connection)
        archive(connection, store)
        connection.execute("CALL entasis.maintain()")
        assert len(oracle.stored_candles(connection)["1d"]) < len(before["1d"]) == 4
        span = (TODAY - timedelta(days=1000), TODAY)
        for relation in ("ohlcv_1m", "ohlcv_1h", "ohlcv_1d", "market_data"):
            assert restore(connection, store, relation, *span, attach=True)
            assert relation != "ohlcv_1d" or within_days(connection) == before
            refresh_natively(connection, forced=True)
            run_jobs(connection)
        assert within_days(connection) == before
        assert len(oracle.stored_trades(connection)) == 4

        connection.execute("UPDATE entasis.restores SET held_until = now()")
        connection.execute("CALL entasis.maintain()")
        refresh_natively(connection, forced=True)
        assert oracle.stored_candles(connection)["1d"].keys() == {
            key for key in before["1d"] if key[2] > TODAY - timedelta(days=300)
        }
        assert not oracle.stored_trades(connection)


def test_candles_that_lag_behind_hold_their_trades_back(server: Server) -> None:
    with server.database() as database, database.connect() as connection:
        discard(connection)
        time = TODAY - timedelta(days=200)
        connection.execute(INSERT, ("BTC", "x", time, 1, 10, 1))
        connection.execute("CALL entasis.refresh_candles('-infinity', 'infinity')")
        # below what is materialized, and not yet refreshed
        connection.execute(INSERT, ("BTC", "x", time, 2, 12, 1))
        (chunk,) = connection.execute(
            "SELECT partition_name FROM entasis_internal.expired_partitions()"
            " WHERE relation = 'market_data'"
        ).fetchone() or (None,)
        with pytest.raises(psycopg.Error) as refused:
            connection.execute("SELECT entasis_internal.drop_partition('market_data', %s)", [chunk])
        assert refused.value.sqlstate == "EN001"
        assert len(oracle.stored_trades(connection)) == 2
        # maintain brings them up to date by itself
        connection.execute("CALL entasis.maintain()")
        assert not oracle.stored_trades(connection)
        assert not oracle.differences(
            connection,
            {
                ("BTC", "x", time, 1): (Decimal(10), Decimal(1)),
                ("BTC", "x", time, 2): (Decimal(12), Decimal(1)),
            },
        )
