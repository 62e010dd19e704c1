"""A recompute holds its buckets from before it reads the trades until it ends."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from tests import oracle
from tests.contract.candles.sessions import Session
from tests.engines import Database
from tests.make import INSERT_TRADE

pytestmark = [
    pytest.mark.several_connections,
    pytest.mark.candle_tables,
    pytest.mark.user_triggers,
]

MINUTE = datetime(2025, 2, 10, 9, 30, tzinfo=UTC)
GATE = 4711


@pytest.fixture
def gated(connection: psycopg.Connection[Any], database: Database) -> Database:
    """Whoever is named "recomputes" stops before it writes a minute, while the gate is shut."""
    connection.execute(
        "SELECT entasis.ensure_partitions('market_data', %s, %s)",
        [MINUTE, MINUTE + timedelta(days=1)],
    )
    connection.execute(
        f"""
        CREATE FUNCTION public.gate() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF current_setting('application_name') = 'recomputes' THEN
                PERFORM pg_advisory_xact_lock_shared({GATE});
            END IF;
            RETURN new;
        END $$;
        CREATE TRIGGER gate BEFORE UPDATE ON entasis.ohlcv_1m
        FOR EACH ROW EXECUTE FUNCTION public.gate();
        """
    )
    for number in (1, 2):
        connection.execute(INSERT_TRADE, [number, MINUTE, 5])
    return database


@pytest.mark.parametrize(
    "apart",
    [timedelta(0), timedelta(minutes=1), timedelta(hours=1)],
    ids=["same minute", "same hour", "same day"],
)
def test_a_writer_of_the_same_bucket_waits(
    gated: Database, connection: psycopg.Connection[Any], apart: timedelta
) -> None:
    with (
        Session(gated, connection) as recomputes,
        Session(gated, connection) as inserts,
        gated.connect() as keeper,
    ):
        recomputes.connection.execute("SET application_name = 'recomputes'")
        recomputes.connection.commit()
        keeper.execute("SELECT pg_advisory_lock(%s)", [GATE])
        # all its buckets are locked when it comes to the gate
        assert recomputes.start("DELETE FROM entasis.market_data WHERE id = 1")
        # without that lock, this would be written now, and then overwritten by what was read before
        assert inserts.start(INSERT_TRADE, [3, MINUTE + apart, 5])
        keeper.execute("SELECT pg_advisory_unlock(%s)", [GATE])
        # and nobody is in anybody's way: buckets are locked in one order
        assert not recomputes.waits()
        assert recomputes.end()
        assert not inserts.waits()
        assert inserts.end()
    oracle.assert_candles_are_right(connection)
