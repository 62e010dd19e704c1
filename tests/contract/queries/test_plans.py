"""How the named queries are answered: which partitions and indexes are touched, and what is sorted.

The table sizes are such that reading everything is never the cheapest way. What is proved here is a
property of every plan, whatever its costs are: EXPLAIN's text is not compared.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from entasis_db import queries
from entasis_db.queries import Interval, Statement
from tests import oracle
from tests.db import ensure
from tests.engines import Database, Server, pause_jobs
from tests.plans import Mode, Plan, count_reads, explain, explain_candles

pytestmark = pytest.mark.one_server

MARKET = ("S001", "kraken")
MARKETS = 100
USER = UUID(int=3)
EXPIRY = datetime(2024, 3, 29, 8, tzinfo=UTC)
CONTRACTS = 2 * 8 * 2
"""Of one underlying: expiries, strikes, types."""

KEY = "idx_market_data_symbol_timestamp"

# Two months of four, and two chunks: the last days of February and the first of March.
FROM, TO = datetime(2024, 2, 28, tzinfo=UTC), datetime(2024, 3, 3, tzinfo=UTC)
DAY = timedelta(days=1)
YEAR = datetime(2024, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC)


# three busy markets, and many quiet ones so that days have enough rows too
TRADES = """
    INSERT INTO entasis.market_data (symbol, exchange, timestamp, id, price, volume)
    SELECT
        'S' || lpad(m::text, 3, '0'),
        CASE WHEN m % 2 = 0 THEN 'binance-spot' ELSE 'kraken' END,
        t, 1, 100 + m, 1
    FROM generate_series(1, 100) AS m
    CROSS JOIN LATERAL generate_series(
        '2024-01-01 00:00+00'::timestamptz, '2024-04-30 23:00+00',
        CASE WHEN m <= 3 THEN interval '20 minutes' ELSE interval '1 day' END
    ) AS t
    ORDER BY t, m
"""
# where plain SQL is not seen at once, these are not on record yet
RECORDED = """
    DO $$
    DECLARE
        m record;
    BEGIN
        FOR m IN SELECT DISTINCT symbol, exchange FROM entasis.market_data LOOP
            PERFORM entasis.set_market(m.symbol, m.exchange, '{}');
        END LOOP;
    END $$
"""
QUOTES = """
    INSERT INTO entasis.option_data (
        underlying, expiry_date, strike_price, option_type, timestamp, id, iv, delta
    )
    SELECT u, e, 1000 * k, y, t, 1, CASE WHEN k <> 3 THEN 0.5 END, 0.1
    FROM
        generate_series(
            '2024-01-01 00:00+00'::timestamptz, '2024-04-30 23:00+00', interval '6 hours'
        ) AS t,
        unnest(ARRAY['BTC', 'ETH']) AS u,
        unnest(ARRAY['2024-03-29 08:00+00', '2024-06-28 08:00+00']::timestamptz[]) AS e,
        generate_series(1, 8) AS k,
        unnest(ARRAY['call', 'put']) AS y
    WHERE t < e
"""
PREDICTIONS = """
    INSERT INTO entasis.predictions (
        model_id, symbol, prediction_type, predicted_value, confidence,
        timestamp, target_time
    )
    SELECT
        'm' || m, 'S' || lpad(s::text, 3, '0'), 'price', 1, 0.5, t, t + interval '1 hour'
    FROM
        generate_series(
            '2024-01-01 00:00+00'::timestamptz, '2024-04-30 23:00+00', interval '12 hours'
        ) AS t,
        generate_series(1, 5) AS m,
        generate_series(1, 10) AS s
"""
PORTFOLIOS = """
    INSERT INTO entasis.portfolio_status (
        user_id, asset_type, position_size, entry_price, current_price, pnl, timestamp
    )
    SELECT lpad(to_hex(u), 32, '0')::uuid, a, 1, 1, 1, 0, t
    FROM
        generate_series(
            '2024-01-01 00:00+00'::timestamptz, '2024-04-30 23:00+00', interval '6 hours'
        ) AS t,
        generate_series(1, 10) AS u,
        unnest(ARRAY['BTC', 'ETH', 'SOL', 'USD']) AS a
"""


@pytest.fixture(scope="module")
def filled(server: Server) -> Iterator[psycopg.Connection[Any]]:
    """Four months of everything, with statistics."""
    with server.database() as database, database.connect() as connection:
        if is_aggregated(connection):
            # tests/timescaledb has the plans of compressed chunks
            pause_jobs(connection)
        connection.execute("""
            SELECT entasis.ensure_partitions(r, '2024-01-01 00:00+00', '2024-05-01 00:00+00')
            FROM unnest(ARRAY['market_data', 'option_data']) AS r
        """)
        for rows in (TRADES, QUOTES, PREDICTIONS, PORTFOLIOS, RECORDED):
            connection.execute(rows)
        oracle.refresh(connection)
        connection.execute("VACUUM ANALYZE")
        # What servers on flash storage set. With the default of 4, made for spinning disks,
        # a bitmap scan and a sort are often reckoned cheaper than an index scan in order.
        connection.execute("SET random_page_cost = 1.1")
        yield connection


def partitions(
    connection: psycopg.Connection[Any], relation: str, from_time: datetime, to_time: datetime
) -> list[str]:
    """Name the partitions or chunks that hold the range, the oldest first."""
    rows = connection.execute(
        "SELECT partition_name FROM entasis.partitions"
        " WHERE relation = %s AND from_time < %s AND to_time > %s ORDER BY from_time",
        [relation, to_time, from_time],
    ).fetchall()
    assert rows
    return [name for (name,) in rows]


def months(first: datetime, last: datetime) -> tuple[datetime, datetime]:
    """Round a range to calendar months, as the queries do that jump from contract to contract."""
    after = last.replace(day=1, hour=0) + 31 * DAY
    return first.replace(day=1, hour=0), after.replace(day=1)


Names = frozenset[str]


def assert_proper(
    plan: Plan,
    relations: set[str],
    indexes: set[str],
    beside: tuple[Names, Names] = (frozenset(), frozenset()),
) -> None:
    """No table but these was opened, by no index but these, and none was read from end to end."""
    assert plan.relations() - (beside[0] - relations) == relations
    assert plan.indexes() - (beside[1] - indexes) == indexes
    assert plan.seq_scans() <= beside[0]


@pytest.fixture(scope="module")
def open_end(filled: psycopg.Connection[Any]) -> tuple[Names, Names]:
    """Tables and indexes in which a real-time aggregate looks for what is not materialized yet.

    These are the chunks from the watermark on, of which there is one at the end of the data, and
    the aggregates' second index, which begins with the bucket.
    """
    if not is_aggregated(filled):
        return frozenset(), frozenset()
    last = datetime(2024, 4, 30, tzinfo=UTC), datetime(2024, 5, 1, tzinfo=UTC)
    levels = ("market_data", "ohlcv_1m", "ohlcv_1h")
    return (
        frozenset(name for level in levels for name in partitions(filled, level, *last)),
        frozenset(
            {
                "idx_market_data_symbol_timestamp",
                "idx_market_data_exchange_timestamp",
                "ohlcv_1m_key",
                "ohlcv_1h_key",
                "bucket_idx",
            }
        ),
    )


def is_aggregated(connection: psycopg.Connection[Any]) -> bool:
    """Answer whether candles are continuous aggregates."""
    return oracle.candle_table(connection, "1m") != "entasis.ohlcv_1m"


def skip_generic_jumps(connection: psycopg.Connection[Any], mode: Mode) -> None:
    if mode == "generic" and is_aggregated(connection):
        pytest.skip("a generic plan that jumps through a hypertable looks into all its chunks")


@pytest.mark.parametrize("mode", ["custom", "generic"])
@pytest.mark.parametrize("limit", [None, 10])
def test_trades_come_in_the_order_of_the_key_from_the_partitions_of_the_range(
    filled: psycopg.Connection[Any], mode: Mode, limit: int | None
) -> None:
    plan = explain(filled, queries.trades(*MARKET, FROM, TO, limit), mode)
    held = partitions(filled, "market_data", FROM, TO)
    assert len(held) == 2
    # with a limit, the first one was enough
    assert_proper(plan, set(held if limit is None else held[:1]), {KEY})
    assert plan.sorts() == []
    assert plan.rows_read() == (limit or 4 * 72)


STORED: dict[Interval, str] = {
    "1m": "ohlcv_1m",
    "5m": "ohlcv_1m",
    "15m": "ohlcv_1m",
    "30m": "ohlcv_1m",
    "1h": "ohlcv_1h",
    "4h": "ohlcv_1h",
    "1d": "ohlcv_1d",
    "1w": "ohlcv_1d",
    "1mo": "ohlcv_1d",
}
"""What the candles of an interval are read from."""


@pytest.mark.parametrize("mode", ["custom", "generic"])
@pytest.mark.parametrize("interval", STORED)
def test_candles_read_one_level_and_only_the_partitions_of_the_range(
    filled: psycopg.Connection[Any],
    open_end: tuple[Names, Names],
    mode: Mode,
    interval: Interval,
) -> None:
    # a week begins on Monday, 26 February, and a month on the first of March: neither is cut
    from_time = datetime(2024, 2, 26, tzinfo=UTC) if interval == "1w" else FROM
    plan = explain_candles(filled, queries.candles(*MARKET, interval, from_time, TO), mode)
    if interval == "1mo":
        from_time, to_time = datetime(2024, 3, 1, tzinfo=UTC), datetime(2024, 4, 1, tzinfo=UTC)
    else:
        to_time = TO
    relation = STORED[interval]
    held = set(partitions(filled, relation, from_time, to_time))
    if "bucket_idx" in plan.indexes() and is_aggregated(filled):
        # with few markets, reading a range of buckets is as cheap as reading a market's
        assert_proper(plan, held, {"bucket_idx"}, open_end)
    else:
        assert_proper(plan, held, {f"{relation}_key"}, open_end)


@pytest.mark.parametrize("mode", ["custom", "generic"])
@pytest.mark.parametrize("interval", ["5m", "4h", "1w", "1mo"])
def test_the_floor_of_derived_candles_is_read_once(
    filled: psycopg.Connection[Any], mode: Mode, interval: Interval
) -> None:
    # a whole bucket of each
    to_time = TO + 30 * DAY
    plan = explain_candles(filled, queries.candles(*MARKET, interval, FROM, to_time), mode)
    assert [node.loops for node in plan.nodes if node.init and node.relation is None] == [1]


@pytest.mark.parametrize("interval", ["1m", "1h", "1d"])
def test_stored_candles_are_not_sorted(filled: psycopg.Connection[Any], interval: Interval) -> None:
    sorts = explain_candles(filled, queries.candles(*MARKET, interval, FROM, TO)).sorts()
    if is_aggregated(filled):
        # what is stored meets what is not materialized yet: the answer may be sorted, nothing else
        asked = {"1m": 4 * 72, "1h": 4 * 24, "1d": 4}
        assert sum(node.rows for node in sorts) <= asked[interval]
    else:
        assert sorts == []


@pytest.mark.parametrize("mode", ["custom", "generic"])
def test_filled_candles_look_back_no_further_than_the_last_trade(
    filled: psycopg.Connection[Any], open_end: tuple[Names, Names], mode: Mode
) -> None:
    statement = queries.candles(*MARKET, "1h", FROM, TO, fill_gaps=True)
    plan = explain_candles(filled, statement, mode)
    hours = set(partitions(filled, "ohlcv_1h", FROM, TO))
    minutes = set(partitions(filled, "ohlcv_1m", FROM - DAY, FROM))
    # the minute before the range is looked for only when the range begins with a gap
    assert plan.relations() - minutes - open_end[0] == hours
    assert plan.indexes() - {"ohlcv_1m_key"} - (open_end[1] - {"ohlcv_1h_key"}) == {"ohlcv_1h_key"}
    assert plan.seq_scans() <= open_end[0]


FLOORS = {"floors"}, {"floors_pkey"}
"""Where latest prices look for the floor: a table of some rows."""


@pytest.mark.parametrize("mode", ["custom", "generic"])
def test_the_latest_price_is_the_end_of_the_key(
    filled: psycopg.Connection[Any], mode: Mode
) -> None:
    read = count_reads(filled, queries.latest_price(*MARKET), mode)
    # months still to come are empty and come first; what is older than the newest trade is not read
    held = partitions(filled, "market_data", *YEAR)
    assert set(read.rows) & set(held) == {held[-1]}
    # where candles are exact, the newest says when its last trade was
    hinted = not is_aggregated(filled)
    assert read.indexes - FLOORS[1] == ({KEY, "ohlcv_1m_key"} if hinted else {KEY})
    assert read.seq_scans <= FLOORS[0]
    # from the end of the index: nothing is left that would have to be sorted
    assert sum(n for table, n in read.rows.items() if table not in FLOORS[0]) == 1 + hinted


def test_latest_prices_reads_an_entry_for_each_market_and_partition(
    filled: psycopg.Connection[Any],
) -> None:
    read = count_reads(filled, queries.latest_prices())
    hinted = not is_aggregated(filled)
    indexes = read.indexes - FLOORS[1] - {"markets_pkey"}
    assert indexes == ({KEY, "ohlcv_1m_key"} if hinted else {KEY})
    # the list of markets is read whole
    assert read.seq_scans <= {"markets"} | FLOORS[0]
    # each market is on the list, and has one newest trade and at most one newest candle: too few
    # for any trade to be sorted
    assert sum(n for t, n in read.rows.items() if t not in FLOORS[0]) <= (2 + hinted) * MARKETS


@pytest.mark.parametrize("mode", ["custom", "generic"])
@pytest.mark.parametrize(
    "at",
    [
        datetime(2024, 3, 10, 12, tzinfo=UTC),
        datetime(2024, 3, 1, 12, tzinfo=UTC),
        # the first moment of a month has nothing of the month before within reach but its last day
        datetime(2024, 3, 2, tzinfo=UTC),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_an_option_chain_jumps_from_contract_to_contract(
    filled: psycopg.Connection[Any], mode: Mode, at: datetime, zone: str
) -> None:
    skip_generic_jumps(filled, mode)
    with filled.transaction():
        filled.execute(f"SET LOCAL TIME ZONE '{zone}'")
        plan = explain(filled, queries.option_chain("BTC", at), mode)
    held = partitions(filled, "option_data", *months(at - DAY, at))
    assert plan.relations() <= set(held)
    assert plan.indexes() == {"idx_option_data_underlying_expiry"}
    assert plan.seq_scans() == set()
    # of some thousand quotes: one entry a jump and partition, and one newest quote a contract
    assert plan.rows_read() <= (CONTRACTS + 1) * len(held) + CONTRACTS
    assert sum(node.rows for node in plan.sorts()) <= CONTRACTS


@pytest.mark.parametrize("mode", ["custom", "generic"])
def test_expiries_are_listed_from_one_quote_of_each_contract(
    filled: psycopg.Connection[Any], mode: Mode
) -> None:
    skip_generic_jumps(filled, mode)
    at = datetime(2024, 3, 10, 12, tzinfo=UTC)
    plan = explain(filled, queries.option_expiries("BTC", at), mode)
    held = partitions(filled, "option_data", *months(at - DAY, at))
    assert plan.relations() <= set(held)
    assert plan.indexes() == {"idx_option_data_underlying_expiry"}
    assert plan.seq_scans() == set()
    assert plan.rows_read() <= (CONTRACTS + 1) * len(held) + CONTRACTS


@pytest.mark.parametrize("mode", ["custom", "generic"])
def test_a_smile_jumps_from_contract_to_contract(
    filled: psycopg.Connection[Any], mode: Mode
) -> None:
    skip_generic_jumps(filled, mode)
    at = datetime(2024, 3, 10, 12, tzinfo=UTC)
    plan = explain(filled, queries.iv_smile("BTC", EXPIRY, at), mode)
    held = partitions(filled, "option_data", *months(at - DAY, at))
    assert plan.relations() == set(held)
    assert plan.indexes() == {"idx_option_data_underlying_expiry"}
    assert plan.seq_scans() == set()
    # two contracts have no implied volatility: their eight quotes of the day are passed over
    assert plan.rows_read() <= 17 * len(held) + 16 + 2 * 8
    assert sum(node.rows for node in plan.sorts()) <= 16


@pytest.mark.parametrize("mode", ["custom", "generic"])
def test_an_options_history_comes_in_the_order_of_the_key(
    filled: psycopg.Connection[Any], mode: Mode
) -> None:
    plan = explain(filled, queries.option_history("BTC", EXPIRY, 2000, "call", FROM, TO), mode)
    held = partitions(filled, "option_data", FROM, TO)
    assert_proper(plan, set(held), {"idx_option_data_underlying_expiry"})
    # a generic plan reckons with a row or two, which it may as well sort
    if mode == "custom":
        assert plan.sorts() == []


def test_models_are_listed_without_reading_their_predictions(
    filled: psycopg.Connection[Any],
) -> None:
    plan = explain(filled, queries.models())
    assert_proper(plan, {"predictions"}, {"predictions_key"})
    series = 5 * 10
    # a jump, the oldest and the newest of each
    assert plan.rows_read() <= 3 * series + 1


@pytest.mark.parametrize("mode", ["custom", "generic"])
def test_predictions_come_in_the_order_of_their_index(
    filled: psycopg.Connection[Any], mode: Mode
) -> None:
    plan = explain(filled, queries.predictions("m1", MARKET[0], FROM, TO), mode)
    assert_proper(plan, {"predictions"}, {"idx_predictions_model_symbol"})
    assert plan.sorts() == []


@pytest.mark.parametrize("mode", ["custom", "generic"])
def test_scores_read_one_candle_for_each_price(
    filled: psycopg.Connection[Any], open_end: tuple[Names, Names], mode: Mode
) -> None:
    plan = explain(filled, queries.prediction_scores("m1", *MARKET, FROM, TO), mode)
    assert_proper(
        plan,
        {"predictions", *partitions(filled, "ohlcv_1m", FROM, TO)},
        {"idx_predictions_model_symbol", "ohlcv_1m_key"},
        open_end,
    )
    if not is_aggregated(filled):
        assert plan.sorts() == []
    scored = 4 * 4
    # the minute that holds the moment may have closed after it: then it is looked at in vain
    if not is_aggregated(filled):
        assert plan.rows_read() <= scored * (1 + 2 * 2)


def test_a_portfolio_jumps_from_position_to_position(filled: psycopg.Connection[Any]) -> None:
    plan = explain(filled, queries.portfolio(USER))
    assert_proper(plan, {"portfolio_status"}, {"portfolio_status_key"})
    assert plan.rows_read() <= 4 + 1
    assert sum(node.rows for node in plan.sorts()) <= 4


def test_row_level_security_leaves_a_portfolio_its_index(
    filled: psycopg.Connection[Any], server: Server
) -> None:
    # leaky operators are kept from an index when a policy is in force: these are not
    with server.login("entasis_reader") as (name, password):
        filled.execute("INSERT INTO entasis.user_logins VALUES (%s, %s)", (name, USER))
        dsn = psycopg.conninfo.make_conninfo(
            server.dsn(filled.info.dbname), user=name, password=password
        )
        with psycopg.connect(dsn, autocommit=True) as reader:
            for statement, read in (
                (queries.portfolio(USER), 4 + 1),
                (queries.pnl_history(USER, FROM, TO), 4 * 4 * 4),
            ):
                plan = explain(reader, statement)
                assert plan.seq_scans() == set()
                assert sum(n.read for n in plan.nodes if n.relation == "portfolio_status") <= read
        filled.execute("DELETE FROM entasis.user_logins WHERE login = %s", (name,))


def test_a_pnl_history_reads_only_its_range(filled: psycopg.Connection[Any]) -> None:
    plan = explain(filled, queries.pnl_history(USER, FROM, TO))
    assert_proper(plan, {"portfolio_status"}, {"idx_portfolio_user_timestamp"})
    assert plan.rows_read() == 4 * 4 * 4


def test_a_pnl_history_is_not_sorted(filled: psycopg.Connection[Any]) -> None:
    assert explain(filled, queries.pnl_history(USER, FROM, TO)).sorts() == []


UNBOUNDED: tuple[Statement[Any], ...] = (queries.latest_price(*MARKET), queries.latest_prices())


@pytest.mark.parametrize("statement", UNBOUNDED, ids=lambda s: s.name)
def test_an_unknown_future_costs_no_more_than_its_empty_partitions(
    filled: psycopg.Connection[Any], statement: Statement[Any]
) -> None:
    # partitions made ahead of need are opened, and hold nothing
    read = count_reads(filled, statement)
    held = {p for level in ("market_data", "ohlcv_1m") for p in partitions(filled, level, *YEAR)}
    ahead = read.rows.keys() - held - {"markets"} - FLOORS[0]
    assert sum(read.rows[table] for table in ahead) == 0


@pytest.mark.several_connections
@pytest.mark.parametrize("name", ["latest_price", "latest_prices"])
def test_the_first_latest_price_is_planned_without_the_past(
    database: Database, connection: psycopg.Connection[Any], name: str
) -> None:
    """A session has no plans yet: its first call has the partitions of this month and later."""
    now = datetime.now(UTC)
    connection.execute("UPDATE entasis.keep_periods SET keep = NULL")
    for age in (400 * DAY, 200 * DAY, 100 * DAY, 0 * DAY):
        ensure(connection, "market_data", now - age, now - age + DAY / 24)
        connection.execute(
            "INSERT INTO entasis.market_data (symbol, exchange, timestamp, price, volume)"
            " VALUES ('BTC', 'x', %s, 1, 1)",
            [now - age],
        )
    oracle.refresh(connection)
    past = {
        name
        for level in ("market_data", "ohlcv_1m")
        for name in partitions(connection, level, now - 500 * DAY, now - 60 * DAY)
    }
    assert len(past) == 6
    statement = (
        queries.latest_price("BTC", "x") if name == "latest_price" else queries.latest_prices()
    )
    with database.connect() as first:
        read = count_reads(first, statement)
        assert read.locked & past == set()
        assert read.locked & set(partitions(connection, "market_data", now, now + DAY / 24))
