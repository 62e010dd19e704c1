"""What analysis of options, predictions and portfolios reads: its range, and nothing of others."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from entasis_db import analysis
from entasis_db.queries import Statement
from tests import oracle
from tests.contract.queries.test_plans import is_aggregated, partitions
from tests.db import Connection, ensure
from tests.engines import Server, pause_jobs
from tests.plans import count_reads

pytestmark = [pytest.mark.native_speed, pytest.mark.one_server]

MARKET = ("S1", "kraken")
FIRST, LAST = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 5, 1, tzinfo=UTC)
FROM, TO = datetime(2024, 2, 28, tzinfo=UTC), datetime(2024, 3, 3, tzinfo=UTC)
DAY = timedelta(days=1)
USER = UUID(int=1)

ROWS = (
    """
    INSERT INTO entasis.option_data (
        underlying, expiry_date, strike_price, option_type, timestamp, id, iv, delta,
        underlying_price, open_interest
    )
    SELECT
        'U' || m, e, 80 + 10 * k, y, t, 1, 0.5, CASE y WHEN 'call' THEN 1 ELSE -1 END * 0.2 * k,
        105, k
    FROM
        generate_series(
            '2024-01-01 00:00+00'::timestamptz, '2024-04-30 23:00+00', interval '12 hours'
        ) AS t,
        unnest(ARRAY['2024-03-29 08:00+00', '2024-06-28 08:00+00']::timestamptz[]) AS e,
        generate_series(1, 4) AS k,
        unnest(ARRAY['call', 'put']) AS y,
        generate_series({first}, {last}) AS m
    WHERE t < e
    ORDER BY t, m
    """,
    """
    INSERT INTO entasis.market_data (symbol, exchange, timestamp, id, price, volume)
    SELECT 'S' || m, 'kraken', t, 1, 100 + m, 1
    FROM
        generate_series(
            '2024-01-01 00:00+00'::timestamptz, '2024-04-30 23:00+00', interval '3 hours'
        ) AS t,
        generate_series(6 * {first} - 5, 6 * {last}) AS m
    ORDER BY t, m
    """,
    """
    INSERT INTO entasis.predictions (
        model_id, symbol, prediction_type, predicted_value, confidence, timestamp, target_time
    )
    SELECT 'm' || m, 'S' || s, 'price', 1, 0.5, t, t + interval '1 hour'
    FROM
        generate_series(
            '2024-01-01 00:00+00'::timestamptz, '2024-04-30 23:00+00', interval '3 hours'
        ) AS t,
        generate_series({first}, {last}) AS m,
        generate_series({first}, {last}) AS s
    ORDER BY t, m, s
    """,
    """
    INSERT INTO entasis.portfolio_status (
        user_id, asset_type, position_size, entry_price, current_price, pnl, timestamp
    )
    SELECT lpad(to_hex(m), 32, '0')::uuid, a, 1, 1, 1, 0, t
    FROM
        generate_series(
            '2024-01-01 00:00+00'::timestamptz, '2024-04-30 23:00+00', interval '3 hours'
        ) AS t,
        unnest(ARRAY['BTC', 'ETH', 'SOL', 'USD']) AS a,
        generate_series({first}, {last}) AS m
    ORDER BY t, m
    """,
)

OPTIONS: tuple[Statement[Any], ...] = (
    analysis.iv_term_structure("U1", TO),
    analysis.risk_reversals("U1", TO),
    analysis.put_call_open_interest("U1", TO),
    analysis.iv_history("U1", FROM, TO),
    analysis.iv_rank("U1", TO, TO - FROM),
)
SCORES: tuple[Statement[Any], ...] = (
    analysis.prediction_accuracy("m1", *MARKET, FROM, TO),
    analysis.prediction_calibration("m1", *MARKET, FROM, TO),
)
PORTFOLIOS: tuple[Statement[Any], ...] = (
    analysis.portfolio_exposure(USER, TO),
    analysis.portfolio_pnl(USER, FROM, TO),
    analysis.portfolio_drawdown(USER, FROM, TO),
)


@pytest.fixture(scope="module")
def filled(server: Server) -> Iterator[Connection]:
    """Four months of one of each, with statistics; of six markets, since any index finds one."""
    with server.database() as database, database.connect() as connection:
        if database.can("hypertables"):
            pause_jobs(connection)
        for relation in ("market_data", "option_data"):
            ensure(connection, relation, FIRST, LAST)
        add(connection, 1, 1)
        connection.execute("SET random_page_cost = 1.1")
        yield connection


def add(connection: Connection, first: int, last: int) -> None:
    for rows in ROWS:
        connection.execute(rows.format(first=first, last=last).encode())
    oracle.refresh(connection)
    connection.execute("VACUUM ANALYZE")


@pytest.mark.parametrize("statement", [*OPTIONS, *SCORES], ids=lambda s: s.name)
def test_only_the_partitions_of_the_range_are_read(
    filled: Connection, statement: Statement[Any]
) -> None:
    levels = ("option_data",) if statement in OPTIONS else ("market_data", "ohlcv_1m")
    read = count_reads(filled, statement)
    everything = {p for level in levels for p in partitions(filled, level, FIRST, LAST)}
    # contracts are looked for in whole months
    asked = {
        p for level in levels for p in partitions(filled, level, FROM.replace(day=1), TO + 28 * DAY)
    }
    if is_aggregated(filled):
        # a real-time aggregate looks for what is not materialized yet at the end of the data
        asked |= {p for level in levels for p in partitions(filled, level, LAST - DAY, LAST)}
    found = {name for name, rows in read.rows.items() if rows} & everything
    assert found
    assert found <= asked
    assert len(everything) > len(asked)
    assert read.seq_scans & everything == set()


@pytest.mark.parametrize("statement", PORTFOLIOS, ids=lambda s: s.name)
def test_only_the_snapshots_of_the_range_are_read(
    filled: Connection, statement: Statement[Any]
) -> None:
    read = count_reads(filled, statement)
    snapshots = 4 * 8 * 4
    assert read.seq_scans == set()
    # and for each asset a jump and what stood before
    assert read.rows["portfolio_status"] <= snapshots + 2 * 4 + 2


def test_others_are_not_read(filled: Connection) -> None:
    """The last test of the file: other underlyings, markets, models and users stay."""
    statements = (*OPTIONS, *SCORES, *PORTFOLIOS)
    before = [count_reads(filled, statement) for statement in statements]
    add(filled, 2, 4)
    for statement, once in zip(statements, before, strict=True):
        now = count_reads(filled, statement)
        if is_aggregated(filled):
            # where a real-time aggregate begins may have moved by a bucket
            assert sum(now.rows.values()) <= sum(once.rows.values()) + 5, statement.name
        else:
            assert now.rows == once.rows, statement.name
            assert now.seq_scans == once.seq_scans, statement.name
        # a tree may have grown by a level
        assert now.blocks <= 1.5 * once.blocks + 10, statement.name
