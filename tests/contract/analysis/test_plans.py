"""What analysis reads: the partitions of its range, and nothing of other markets."""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest

from entasis_db import analysis
from entasis_db.queries import Statement
from tests import oracle
from tests.contract.queries.test_plans import partitions
from tests.db import Connection, ensure
from tests.engines import Server, pause_jobs
from tests.plans import Mode, count_reads

pytestmark = [pytest.mark.native_speed, pytest.mark.one_server]

MARKET, OTHER = ("S001", "kraken"), ("S001", "binance-spot")
FIRST, LAST = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 5, 1, tzinfo=UTC)
# the last days of February and the first of March
FROM, TO = datetime(2024, 2, 28, tzinfo=UTC), datetime(2024, 3, 3, tzinfo=UTC)
SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
MOMENTS = [FROM + DAY + n * HOUR for n in range(24)]

MANY = 16
"""Markets of a hypertable whose minutes are not found as cheaply by the index of buckets."""

TRADES = """
    INSERT INTO entasis.market_data (symbol, exchange, timestamp, id, price, volume, side)
    SELECT
        'S' || lpad(m::text, 3, '0'), x, t, 1, 100 + m, 1, 'buy'
    FROM
        generate_series({first}, {last}) AS m,
        unnest(ARRAY['binance-spot', 'kraken']) AS x,
        generate_series(
            '2024-01-01 00:00+00'::timestamptz, '2024-04-30 23:00+00', interval '30 minutes'
        ) AS t
    ORDER BY t, m
"""

EXAMPLES: tuple[Statement[Any], ...] = (
    analysis.prices_asof(*MARKET, MOMENTS),
    analysis.candles_of_width(*MARKET, "7m", FROM, TO),
    analysis.candles_of_width(*MARKET, "2d", FROM, TO, zone="Asia/Kathmandu"),
    analysis.session_candles(*MARKET, time(9, 30), time(16), FROM, TO, "America/New_York"),
    analysis.tick_bars(*MARKET, 7, FROM, TO),
    analysis.volume_bars(*MARKET, 7, FROM, TO),
    analysis.trade_markouts(*MARKET, [HOUR], FROM, TO - DAY),
    analysis.basis(*MARKET, *OTHER, "1h", FROM, TO),
    analysis.basis_asof(*MARKET, *OTHER, MOMENTS),
    analysis.returns(*MARKET, "1h", FROM, TO),
    analysis.realized_volatility(*MARKET, "1h", FROM, TO),
    analysis.return_correlation(*MARKET, *OTHER, "1h", FROM, TO),
    analysis.drawdown(*MARKET, "1d", FROM, TO),
    analysis.vwap(*MARKET, FROM + SECOND, TO - SECOND),
    analysis.twap(*MARKET, FROM + DAY, TO),
    analysis.volume_profile(*MARKET, 7, FROM, TO),
    analysis.order_flow_imbalance(*MARKET, "4h", FROM, TO),
)
each = pytest.mark.parametrize("statement", EXAMPLES, ids=lambda s: s.name)


@pytest.fixture(scope="module")
def filled(server: Server) -> Iterator[Connection]:
    """Four months of two markets, with statistics."""
    with server.database() as database, database.connect() as connection:
        if database.can("hypertables"):
            pause_jobs(connection)
        ensure(connection, "market_data", FIRST, LAST)
        add_markets(connection, 1, MANY if has_chunks(connection) else 2)
        connection.execute("SET random_page_cost = 1.1")
        yield connection


def add_markets(connection: Connection, first: int, last: int) -> None:
    connection.execute(TRADES.format(first=first, last=last).encode())
    oracle.refresh(connection)
    connection.execute("VACUUM ANALYZE")


def has_chunks(connection: Connection) -> bool:
    return oracle.candle_table(connection, "1m") != "entasis.ohlcv_1m"


@pytest.mark.parametrize("mode", ["custom", "generic"])
@each
def test_only_the_partitions_of_the_range_are_read(
    filled: Connection, statement: Statement[Any], mode: Mode
) -> None:
    reads = count_reads(filled, statement, mode)
    levels = ("market_data", "ohlcv_1m", "ohlcv_1h", "ohlcv_1d")
    everything = {p for level in levels for p in partitions(filled, level, FIRST, LAST)}
    asked = {p for level in levels for p in partitions(filled, level, FROM, TO)}
    # chunks outside are searched by their index where the range is not known when it is planned,
    # and the planner looks at the ends of their indexes: in each there are 5,000 rows and more
    probes = 20 if has_chunks(filled) else 0
    found = {name for name, rows in reads.rows.items() if rows > probes} & everything
    assert {name for name, rows in reads.rows.items() if rows} & asked
    assert found <= asked
    if not has_chunks(filled):
        assert reads.rows.keys() & everything <= asked
    assert len(everything) > len(asked)
    assert reads.seq_scans & everything == set()


def test_other_markets_are_not_read(filled: Connection) -> None:
    """The last test of the file: the markets stay."""
    before = [count_reads(filled, statement) for statement in EXAMPLES]
    first = MANY if has_chunks(filled) else 2
    add_markets(filled, first + 1, first + 2)
    for statement, once in zip(EXAMPLES, before, strict=True):
        now = count_reads(filled, statement)
        # the list of markets is too short for its index to be used
        rows, rows_once = {**now.rows, "markets": 0}, {**once.rows, "markets": 0}
        if has_chunks(filled):
            # the planner looks at the ends of indexes
            assert rows.keys() == rows_once.keys(), statement.name
            assert all(rows[name] <= rows_once[name] + 5 for name in rows), statement.name
        else:
            assert rows == rows_once, statement.name
        assert now.seq_scans == once.seq_scans, statement.name
        # a tree may have grown by a level
        assert now.blocks <= 1.5 * once.blocks + 10, statement.name
