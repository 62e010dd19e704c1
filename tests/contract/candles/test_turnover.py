"""What was traded in quote units, and the average price: computed when candles are read."""

import json
import re
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from entasis_db import queries
from entasis_db.instruments import set_market
from entasis_db.queries import INTERVALS
from tests import oracle
from tests.contract.cache.support import heard, open_cache
from tests.db import Connection
from tests.engines import Database
from tests.make import NOON, D, insert_trades, month_of, trade

pytestmark = [pytest.mark.newest_server, pytest.mark.native_speed]

# 10 contracts at 57,700.1 and 1 at 57,700.2, as Binance publishes them
VOLUME, QUOTE_VOLUME = D(11), D("634701.2")
LONG = D("0.000000000001")


@pytest.fixture
def traded(connection: Connection) -> Connection:
    """A market with eleven contracts in one minute, of which nobody knows anything."""
    connection.execute(
        "SELECT entasis.ensure_partitions('market_data', %s, %s)",
        [month_of(NOON), month_of(NOON, 1)],
    )
    insert_trades(
        connection,
        trade(1, price=D("57700.1"), volume=D(10)),
        trade(2, price=D("57700.2"), volume=D(1)),
    )
    oracle.refresh(connection)
    return connection


def candle(connection: Connection, interval: queries.Interval = "1h", **how: Any) -> queries.Candle:
    start = oracle.bucket(interval, NOON)
    found = queries.candles("BTC", "x", interval, start, start + timedelta(1), **how)
    row = found.one(connection)
    assert row is not None
    return row


KNOWN: list[tuple[dict[str, Any], Decimal | None]] = [
    ({}, None),
    ({"kind": "spot"}, QUOTE_VOLUME),
    ({"kind": "spot", "volume_unit": "base"}, QUOTE_VOLUME),
    ({"kind": "spot", "volume_unit": "contracts", "contract_size": 10}, None),
    ({"kind": "inverse_perpetual", "contract_size": 100}, D(1100)),
    ({"kind": "inverse_future", "contract_size": LONG}, 11 * LONG),
    ({"kind": "inverse_future", "contract_size": 10, "volume_unit": "contracts"}, D(110)),
    ({"kind": "inverse_perpetual", "volume_unit": "contracts"}, None),
    ({"kind": "inverse_perpetual"}, None),
    # Deribit: a contract is 10 USD, and volume is in USD
    ({"kind": "inverse_perpetual", "contract_size": 10, "volume_unit": "quote"}, VOLUME),
    ({"kind": "inverse_perpetual", "contract_size": 10, "volume_unit": "base"}, QUOTE_VOLUME),
    ({"kind": "linear_perpetual", "contract_size": D("0.01")}, D("6347.012")),
    (
        {"kind": "linear_future", "contract_size": LONG, "volume_unit": "contracts"},
        D("634701.2E-12"),
    ),
    ({"kind": "linear_future", "volume_unit": "contracts"}, None),
    ({"kind": "linear_perpetual"}, None),
    ({"kind": "linear_perpetual", "volume_unit": "base"}, QUOTE_VOLUME),
    (
        {"kind": "linear_perpetual", "contract_size": D("0.001"), "volume_unit": "base"},
        QUOTE_VOLUME,
    ),
    ({"kind": "linear_perpetual", "volume_unit": "quote"}, VOLUME),
    ({"contract_size": 100, "volume_unit": "contracts"}, None),
    *(
        ({"kind": kind, "contract_size": 1, "volume_unit": unit}, None)
        for kind in ("option", "combo", "spread")
        for unit in ("base", "quote")
    ),
]
"""What is known of a market, and its turnover."""


def test_turnover_follows_from_kind_size_and_unit(traded: Connection) -> None:
    nothing = dict.fromkeys(("kind", "contract_size", "volume_unit"))
    flat = queries.candles("BTC", "x", "1m", NOON, NOON + timedelta(minutes=2), fill_gaps=True)
    for known, turnover in KNOWN:
        set_market(traded, "BTC", "x", **(nothing | known))
        found = candle(traded)
        assert (found.volume, found.quote_volume) == (VOLUME, QUOTE_VOLUME)
        assert found.turnover == turnover, known
        first, gap = flat.fetch(traded)
        assert first.turnover == turnover, known
        assert gap.turnover == (None if turnover is None else 0), known
        assert (gap.trades, gap.vwap) == (0, None)


def test_every_interval_has_it(traded: Connection) -> None:
    set_market(traded, "BTC", "x", kind="inverse_perpetual", contract_size=100)
    assert [candle(traded, interval).turnover for interval in INTERVALS] == [D(1100)] * 9


def test_another_market_has_its_own(traded: Connection) -> None:
    set_market(traded, "BTC", "y", kind="spot")
    set_market(traded, "ETH", "x", kind="spot")
    assert candle(traded).turnover is None


def test_the_average_in_sql_is_the_quotient(traded: Connection) -> None:
    # 634701.2 / 11 has no end; a minute without trades has no average
    vwaps = traded.execute(
        "SELECT vwap FROM entasis.candles_filled('BTC', 'x', '1m', %s, %s) ORDER BY bucket",
        [NOON, NOON + timedelta(minutes=2)],
    ).fetchall()
    assert vwaps[1] == (None,)
    (vwap,) = vwaps[0]
    assert abs(vwap - candle(traded).vwap) < D("1e-11")
    assert vwap * 11 != QUOTE_VOLUME


def test_times_of_filled_candles_may_be_left_out(traded: Connection, database: Database) -> None:
    """From the market's first trade to now: nothing was before it."""
    day = timedelta(days=1)
    found = traded.execute(
        "SELECT bucket, trades, close, now() FROM entasis.candles_filled('BTC', 'x', '1d')"
        " ORDER BY bucket"
    ).fetchall()
    first, now = oracle.bucket("1d", NOON), found[0][3]
    assert [row[0] for row in found] == [first + n * day for n in range((now - first) // day + 1)]
    assert [row[1] for row in found] == [candle(traded).trades, *[0] * (len(found) - 1)]
    assert {row[2] for row in found} == {candle(traded).close}
    if not database.can("one_server"):
        return
    # not a minute of the years before
    minutes = "SELECT min(bucket) FROM entasis.candles_filled('BTC', 'x', '1m', to_time => %s)"
    end = NOON + timedelta(minutes=1)
    plan = traded.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {minutes}", [end]).fetchone()
    assert max(map(int, re.findall(r'"Actual Rows": (\d+)', json.dumps(plan)))) < 1000


def test_times_may_be_left_out(traded: Connection) -> None:
    traded.execute("SET TIME ZONE 'America/New_York'")
    for interval in INTERVALS:
        bucket = oracle.bucket(interval, NOON)
        rows = traded.execute(
            "SELECT bucket, trades FROM entasis.candles('BTC', 'x', %s)", [interval]
        ).fetchall()
        assert rows == [(bucket, 2)]
        after: tuple[str, datetime] = (interval, bucket + timedelta(microseconds=1))
        rows = traded.execute("SELECT FROM entasis.candles('BTC', 'x', %s, %s)", after).fetchall()
        assert rows == []


def test_the_newest_trades_are_within_the_defaults(connection: Connection) -> None:
    row = connection.execute("SELECT now()").fetchone()
    assert row is not None
    now: datetime = row[0]
    connection.execute(
        "SELECT entasis.ensure_partitions('market_data', %s, %s)", [now, now + timedelta(hours=1)]
    )
    insert_trades(connection, trade(1, timestamp=now))
    assert connection.execute(
        "SELECT trades FROM entasis.candles('BTC', 'x', '1m')"
    ).fetchall() == [(1,)]


@pytest.mark.several_connections
def test_caches_evict_what_was_computed_otherwise(database: Database) -> None:
    with database.connect() as connection, open_cache(database.dsn, None) as cache:
        connection.execute(
            "SELECT entasis.ensure_partitions('market_data', %s, %s)",
            [month_of(NOON), month_of(NOON, 1)],
        )
        insert_trades(connection, trade(1, price=D(100), volume=D(3)))
        oracle.refresh(connection)
        heard(cache)
        hours = queries.candles("BTC", "x", "1h", NOON, NOON + timedelta(hours=1))

        def turnover() -> Decimal | None:
            heard(cache)
            (found,) = hours.fetch(cache)
            return found.turnover

        assert turnover() is None
        set_market(connection, "BTC", "x", kind="inverse_perpetual", contract_size=10)
        assert turnover() == 30
        connection.execute(
            "SELECT entasis.record_instruments(%s)",
            ['[{"symbol": "BTC", "exchange": "x", "volume_unit": "quote"}]'],
        )
        assert turnover() == 3
        if database.can("announced_sql"):
            connection.execute("DELETE FROM entasis.markets")
        else:
            set_market(connection, "BTC", "x", kind=None, contract_size=None, volume_unit=None)
        assert turnover() is None
        # what changes no candle of the market evicts none
        asked = cache.metrics().queries
        set_market(connection, "BTC", "x", tick_size=1)
        set_market(connection, "BTC", "x", contract_size=1)
        set_market(connection, "ETH", "x", kind="spot")
        assert turnover() is None
        assert cache.metrics().queries == asked
