"""A look at the health reads no old trades, and no more of them where there are more."""

from datetime import timedelta

import pytest

from entasis_db.queries import Statement
from tests import oracle
from tests.contract.health.test_faults import put
from tests.db import Connection, one
from tests.make import months_ago, trade
from tests.plans import count_reads

pytestmark = [pytest.mark.newest_server, pytest.mark.native_speed]

LOOK = Statement("health", "SELECT * FROM entasis.health", {}, tuple)


@pytest.mark.one_server
def test_it_reads_trades_of_the_last_hour_alone(connection: Connection) -> None:
    now = one(connection, "SELECT date_trunc('second', now())")
    connection.execute("UPDATE entasis.keep_periods SET keep = NULL")
    put(
        connection,
        *(trade(n, timestamp=months_ago(3) + timedelta(minutes=n)) for n in range(1, 500)),
        *(trade(n, symbol="ETH", timestamp=now - timedelta(minutes=n)) for n in range(1, 500)),
    )
    oracle.refresh(connection)
    connection.execute("CALL entasis.maintain()")
    connection.execute("VACUUM ANALYZE")
    trades = {
        name
        for (name,) in connection.execute(
            "SELECT partition_name FROM entasis.partitions WHERE relation = 'market_data'"
        )
    }
    read = count_reads(connection, LOOK)
    rows = {name: count for name, count in read.rows.items() if name in trades and count}
    # the newest trade of the one live market
    assert sum(rows.values()) == 1
    assert not read.seq_scans & trades


def test_more_trades_cost_no_more(connection: Connection) -> None:
    connection.execute("UPDATE entasis.keep_periods SET keep = NULL")
    put(connection, *(trade(n, timestamp=months_ago(3)) for n in range(1, 10)))
    oracle.refresh(connection)
    connection.execute("CALL entasis.maintain()")
    connection.execute("VACUUM ANALYZE")
    few = count_reads(connection, LOOK).blocks
    connection.execute(
        "INSERT INTO entasis.market_data (id, symbol, exchange, timestamp, price, volume)"
        " SELECT n, s, 'x', %s + n * interval '1 minute', 1, 1"
        " FROM generate_series(100, 5000) n, unnest(ARRAY['BTC', 'ETH', 'SOL']) s",
        [months_ago(3)],
    )
    oracle.refresh(connection)
    connection.execute("VACUUM ANALYZE")
    # of markets that have not traded for 30 days nothing is read
    assert count_reads(connection, LOOK).blocks <= few + 20
