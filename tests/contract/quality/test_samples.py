"""Detection on the real samples as they are, and with faults planted in them."""

import random
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from entasis_db import quality
from tests import oracle
from tests.contract.trades.test_samples import keep_for_ever, load_all
from tests.engines import Server

pytestmark = [
    pytest.mark.samples,
    pytest.mark.copy,
    pytest.mark.newest_server,
    pytest.mark.native_speed,
]

TRADE = "symbol = %s AND exchange = %s AND timestamp = %s AND id = %s"


@pytest.fixture(scope="module")
def sampled(server: Server, samples: Path) -> Iterator[psycopg.Connection[Any]]:
    with server.database() as lent, lent.connect() as connected:
        keep_for_ever(connected)
        load_all(connected, samples)
        oracle.refresh(connected)
        yield connected


def test_hardly_anything_is_flagged_in_the_untouched_samples(
    sampled: psycopg.Connection[Any],
) -> None:
    quality.detect(sampled)
    found = Counter((one.relation, one.kind) for one in quality.anomalies().fetch(sampled))
    # SPY's quotes of one day are crossed, and Binance's stream has a trade of nothing
    assert found == {("option_data", "crossed_quote"): 17, ("market_data", "refused"): 1}
    assert quality.detect(sampled) == quality.Detected(0, 0)


def plant(
    connection: psycopg.Connection[Any], market: tuple[str, str], seed: int
) -> set[tuple[Any, ...]]:
    """Plant faults far enough from one another in a market; return what is to be found."""
    draw = random.Random(seed)
    rows = connection.execute(
        "SELECT timestamp, id, price, volume FROM entasis.market_data"
        " WHERE symbol = %s AND exchange = %s ORDER BY timestamp, id",
        market,
    ).fetchall()
    count, most = len(rows), max(row[3] for row in rows)
    expected = set()
    for part, length in enumerate((1, 2, 3, 1)):
        first = (0, *(draw.randrange(n, n + count // 9) for n in (count // 8, count // 4)), -1)[
            part
        ]
        factor = Decimal(draw.choice(["10", "0.1", "1.08", "0.9"]))
        for moment, number, price, _ in [rows[first + n] for n in range(length)]:
            connection.execute(
                f"UPDATE entasis.market_data SET price = %s WHERE {TRADE}".encode(),
                [price * factor, *market, moment, number],
            )
            expected.add(("price_spike", *market, moment, number))
    moment, number, *_ = rows[draw.randrange(count // 2, count * 5 // 9)]
    connection.execute(
        f"UPDATE entasis.market_data SET volume = %s WHERE {TRADE}".encode(),
        [most * 200, *market, moment, number],
    )
    expected.add(("volume_spike", *market, moment, number))
    if market[1] != "phemex":  # which has no ids
        new = max(row[1] for row in rows) + 5000
        moment, number, *_ = rows[draw.randrange(count * 3 // 5, count * 2 // 3)]
        connection.execute(
            "INSERT INTO entasis.market_data (symbol, exchange, timestamp, id, price, volume, side)"
            " SELECT symbol, exchange, timestamp, %s, price, volume, side"
            f" FROM entasis.market_data WHERE {TRADE}".encode(),
            [new, *market, moment, number],
        )
        expected.add(("duplicate", *market, moment, new))
        for nth, moved in ((count * 7 // 9, rows[count * 7 // 9][0] - timedelta(seconds=63)),
                           (count // 9, rows[-1][0] + timedelta(hours=3))):  # fmt: skip
            moment, number, *_ = rows[nth]
            connection.execute(
                f"UPDATE entasis.market_data SET timestamp = %s WHERE {TRADE}".encode(),
                [moved, *market, moment, number],
            )
            expected.add(("misplaced", *market, moved, number))
    return expected


@pytest.mark.one_role
@pytest.mark.parametrize("seed", range(3))
def test_each_that_is_planted_is_found_and_none_twice(
    sampled: psycopg.Connection[Any], seed: int, short: bool
) -> None:
    if short and seed:
        pytest.skip("one seed is enough in the short form")
    with sampled.transaction(force_rollback=True):
        markets = sampled.execute(
            "SELECT symbol, exchange FROM entasis.market_coverage WHERE trades >= 900"
        ).fetchall()
        assert len(markets) == 17
        expected = {one for market in markets for one in plant(sampled, market, seed)}
        sampled.execute("SELECT entasis.take_refused()")
        for symbol, exchange, day in sampled.execute(
            "SELECT * FROM entasis.unexamined_days()"
        ).fetchall():
            sampled.execute("SELECT entasis.examine_day(%s, %s, %s)", [symbol, exchange, day])
        found = [
            (one.kind, one.symbol, one.exchange, one.begins_at, one.row_key["id"])
            for one in quality.anomalies("new").fetch(sampled)
            if one.relation == "market_data" and one.kind != "refused"
        ]
        assert set(found) == expected
        assert len(found) == len(expected)
