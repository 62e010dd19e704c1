"""The same history on both engines: every relation is the same."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from psycopg import errors

from tests import oracle
from tests.conftest import start_once
from tests.contract.candles.histories import Transaction, histories
from tests.contract.candles.support import MONTHS
from tests.db import Connection
from tests.engines import Server
from tests.servers import sources

pytestmark = pytest.mark.hypertables

Pair = tuple[Connection, Connection]

# what engine timescaledb alone refuses: to move a trade out of its chunk, or within columns
_ITS_OWN = (errors.CheckViolation, errors.FeatureNotSupported)
_REFUSED = (errors.UniqueViolation, errors.CardinalityViolation)


@pytest.fixture(scope="module")
def pair(server: Server) -> Iterator[Pair]:
    """A database of each engine: timescaledb, then postgresql."""
    plain = [s for s in sources() if s.can("candle_tables")]
    if not plain:
        pytest.skip("no server of engine postgresql runs beside it")
    with (
        server.database() as one,
        start_once(plain[-1]).database() as other,
        one.connect() as hyper,
        other.connect() as tables,
    ):
        for relation in ("market_data", "option_data"):
            tables.execute("SELECT entasis.ensure_partitions(%s, %s, %s)", [relation, *MONTHS])
        # these plans look dear beside the few rows that they read
        hyper.execute("SET jit = off")
        hyper.execute("SET max_parallel_workers_per_gather = 0")
        yield hyper, tables


def attempt(connection: Connection, transaction: Transaction, leave_out: set[int]) -> set[int]:
    """Run a transaction without some of its steps; answer which were refused as the engine's own.

    All of them, when that ended the transaction.
    """
    refused: set[int] = set()
    try:
        with connection.transaction(force_rollback=not transaction.committed):
            connection.execute("SELECT set_config('TimeZone', %s, true)", [transaction.zone])
            for number, step in enumerate(transaction.steps):
                if number in leave_out:
                    continue
                if not step.in_savepoint:
                    step.run(connection)
                    continue
                try:
                    with connection.transaction(force_rollback=step.undone):
                        step.run(connection)
                except _REFUSED:
                    pass
                except _ITS_OWN:
                    refused.add(number)
    except _REFUSED:
        event("the transaction failed")
    except _ITS_OWN:
        return set(range(len(transaction.steps)))
    return refused


def relations(connection: Connection) -> dict[str, Any]:
    """Read everything that callers see, but for when it was written."""
    oracle.refresh(connection)
    return {
        "market_data": oracle.stored_trades(connection),
        **oracle.stored_candles(connection),
        "option_data": sorted(
            connection.execute(
                "SELECT underlying, expiry_date, strike_price, option_type, timestamp, id, iv,"
                " delta, gamma, theta, vega FROM entasis.option_data"
            ).fetchall(),
            key=lambda row: row[:6],
        ),
    }


quotes = st.lists(
    st.tuples(
        st.sampled_from(["insert", "correct", "delete"]),
        st.sampled_from(["BTC", "ETH"]),
        st.sampled_from([Decimal(1000), Decimal("1000.5")]),
        st.sampled_from(["call", "put"]),
        st.sampled_from([MONTHS[0] + timedelta(days=d, hours=d % 5) for d in (0, 6, 7, 40)]),
        st.sampled_from([None, Decimal("0.65"), Decimal("0.00002")]),
    ),
    max_size=12,
)


def quote(connection: Connection, row: tuple[Any, ...]) -> None:
    what, underlying, strike, kind, when, iv = row
    key = [underlying, strike, kind, when]
    where = "underlying = %s AND strike_price = %s AND option_type = %s AND timestamp = %s"
    if what == "insert":
        connection.execute(
            "INSERT INTO entasis.option_data (underlying, strike_price, option_type, timestamp,"
            " expiry_date, id, iv, gamma) VALUES (%s, %s, %s, %s, '2026-01-01Z', 1, %s, 0.00002)"
            " ON CONFLICT DO NOTHING",
            [*key, iv],
        )
    elif what == "correct":
        connection.execute(f"UPDATE entasis.option_data SET iv = %s WHERE {where}", [iv, *key])
    else:
        connection.execute(f"DELETE FROM entasis.option_data WHERE {where}", key)


@settings(max_examples=max(5, settings().max_examples // 2))
@given(history=histories(merges=False), options=quotes, compress=st.booleans())
def test_both_engines_come_to_the_same(
    server: Server,
    pair: Pair,
    history: list[Transaction],
    options: list[tuple[Any, ...]],
    compress: bool,
) -> None:
    hyper, tables = pair
    compress = compress and server.source.can("columnstore_writes")
    for connection in pair:
        connection.execute("DELETE FROM entasis.market_data")
        connection.execute("DELETE FROM entasis.option_data")
        oracle.refresh(connection)
    for number, transaction in enumerate(history):
        refused = attempt(hyper, transaction, set())
        if refused:
            event("timescaledb refused to move a trade")
        attempt(tables, transaction, refused)
        if compress and number == 0:
            # the rest of the history meets columns
            hyper.execute(
                "SELECT public.compress_chunk(c.partition_oid::regclass)"
                " FROM entasis_internal.chunks_to_compress('0') AS c"
            )
    for row in options:
        for connection in pair:
            quote(connection, row)
    ours, theirs = relations(hyper), relations(tables)
    for name, expected in theirs.items():
        assert ours[name] == expected, name


def test_the_pair_is_of_two_engines(pair: Pair) -> None:
    found = [c.execute("SELECT engine FROM entasis.installation").fetchone() for c in pair]
    assert found == [("timescaledb",), ("postgresql",)]
    # a difference would be seen
    pair[0].execute(
        "INSERT INTO entasis.market_data (symbol, exchange, timestamp, id, price, volume)"
        " VALUES ('BTC', 'x', %s, 99, 1, 1)",
        [datetime(2025, 1, 2, tzinfo=UTC)],
    )
    ours, theirs = relations(pair[0]), relations(pair[1])
    assert all(ours[name] != theirs[name] for name in ours if name != "option_data")
