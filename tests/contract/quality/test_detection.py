"""What stands out among trades: everything that was planted, nothing else, and nothing twice."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from entasis_db import quality
from entasis_db.model import Trade
from tests import oracle
from tests.contract.quality.support import (
    DAY,
    HOUR,
    SECOND,
    STEP,
    found,
    made,
    of,
    spread,
    steady,
    store,
    walk,
)
from tests.db import Connection, wipe
from tests.make import NOON, D, insert_trades, trade

pytestmark = [pytest.mark.newest_server, pytest.mark.native_speed_when_short]

MARKETS = {"steady": steady, "walk": walk, "spread": spread}


@st.composite
def planted(draw: st.DrawFn) -> tuple[str, list[Trade], list[Trade]]:
    """A market with runs of up to three spikes, at its ends too; and the spikes."""
    market = draw(st.sampled_from(sorted(MARKETS)))
    count = draw(st.sampled_from([5, 9, 30, 130]))
    prices = MARKETS[market](count)
    longest = 1 if count < 8 else 3
    at, bad = draw(st.integers(0, 6)) if count > 9 else draw(st.integers(0, count - longest)), set()
    for _ in range(draw(st.integers(1, 3)) if count > 9 else 1):
        length = draw(st.integers(1, longest))
        factor = draw(st.sampled_from([D(10), D("0.1"), D("1.25"), D("0.5")]))
        for n in range(at, min(at + length, count)):
            moved = prices[n] + (factor - 1) * 40 if market == "spread" else prices[n] * factor
            prices[n] = moved
            bad.add(n)
        at += length + draw(st.integers(9, 30))
    if draw(st.booleans()) and count > 9 and not bad & set(range(count - 14, count)):
        length = draw(st.integers(1, 3))
        for n in range(count - length, count):
            prices[n] += 77 if market == "spread" else prices[n] * D("0.3")
            bad.add(n)
    rows = made(prices)
    return market, rows, [rows[n] for n in sorted(bad)]


@given(example=planted(), cut=st.integers(0, 130))
def test_every_price_that_was_planted_is_found_once(
    shared_connection: psycopg.Connection[Any],
    example: tuple[str, list[Trade], list[Trade]],
    cut: int,
) -> None:
    _, rows, bad = example
    connection = shared_connection
    wipe(connection)
    connection.execute("SELECT entasis.set_market('BTC', 'x', '{\"kind\": \"spread\"}')")
    store(connection, rows)
    middle = NOON + cut * STEP
    quality.detect(connection, NOON, middle + SECOND)
    assert found(connection) == of("price_spike", *(b for b in bad if b.timestamp <= middle))
    # overlapping, and what nobody has examined
    quality.detect(connection, middle - 9 * STEP, NOON + HOUR)
    assert found(connection) == of("price_spike", *bad)
    assert quality.detect(connection).found == 0
    assert found(connection) == of("price_spike", *bad)


def shifted(prices: list[Decimal], at: int) -> list[Decimal]:
    return prices[:at] + [price * D("1.3") for price in prices[at:]]


def crashed(prices: list[Decimal], at: int, steps: int) -> list[Decimal]:
    """A fall and a recovery, some percent a trade."""
    moved = list(prices)
    for n in range(-steps, steps + 1):
        moved[at + n] = prices[at + n] * (1 - D("0.04") * (steps - abs(n) + 1))
    return moved


@pytest.mark.parametrize(
    "prices",
    [
        *(shifted(steady(40), at) for at in (4, 5, 20, 35, 36)),
        *(shifted(walk(40), at) for at in (4, 20, 36)),
        *(crashed(market(60), at, steps) for market in (steady, walk) for at in (12, 30)
          for steps in (4, 9)),
        # to and fro between two prices, and a quiet market whose price stands still
        [D(757 if n % 7 == 0 else 767) for n in range(120)],
        [D(767)] * 45 + [D(757)] + [D(767)] * 6 + [D(757)] * 60,
        [D(100 + n // 150) for n in range(900)],
        steady(400),
    ],
)  # fmt: skip
def test_what_is_real_is_not_flagged(connection: Connection, prices: list[Decimal]) -> None:
    store(connection, made(prices))
    quality.detect(connection)
    assert found(connection) == set()


def test_a_shift_that_was_taken_for_spikes_is_gone(connection: Connection) -> None:
    """At the end of what is stored, a new level cannot be told from a spike."""
    rows = made(shifted(walk(60), 58))
    store(connection, rows)
    quality.detect(connection)
    assert found(connection) == of("price_spike", *rows[58:])
    more = made(shifted(walk(70), 58))
    store(connection, more[60:])
    quality.detect(connection)
    assert found(connection) == set()
    assert found(connection, state="gone") == of("price_spike", *rows[58:])
    with connection.transaction():
        connection.execute("DELETE FROM entasis.market_data WHERE id > 60")
    oracle.refresh(connection)
    quality.detect(connection)
    assert found(connection) == of("price_spike", *rows[58:])


@pytest.mark.parametrize("at", [0, 1, 60, 118, 119])
@pytest.mark.parametrize("is_even", [True, False])
def test_volumes(connection: Connection, at: int, is_even: bool) -> None:
    """Of a market in which all are the same, and of one of many sizes; runs of up to three."""
    rows = made(walk(120))
    sizes = [D(1) if is_even else D(1 + n * 7919 % 97) / 50 for n in range(120)]
    bad = range(at, min(at + 3, 120))
    rows = [row._replace(volume=sizes[n] + (4000 if n in bad else 0)) for n, row in enumerate(rows)]
    store(connection, rows)
    quality.detect(connection)
    assert found(connection) == of("volume_spike", *(rows[n] for n in bad))


def test_a_volume_among_five(connection: Connection) -> None:
    rows = made(steady(5))
    rows[2] = rows[2]._replace(volume=D(900))
    store(connection, rows)
    quality.detect(connection)
    assert found(connection) == of("volume_spike", rows[2])


def test_a_stuck_price(connection: Connection) -> None:
    """Found once, however long it lasts, and from whichever hour one looks at it."""
    lively = walk(700)
    rows = made(lively[:250] + [D(61000)] * 90)
    store(connection, rows)
    quality.detect(connection)
    stuck = of("stuck_price", rows[250])
    assert found(connection) == stuck
    rows = made(lively[:250] + [D(61000)] * 200 + lively[450:])
    store(connection, rows[340:])
    quality.detect(connection)
    assert found(connection) == stuck
    (one,) = quality.anomalies().fetch(connection)
    assert (one.observed, one.ends_at) == (200, rows[449].timestamp)
    quality.detect(connection, rows[350].timestamp, rows[550].timestamp)
    quality.detect(connection, rows[100].timestamp, rows[300].timestamp)
    assert found(connection) == stuck


def late(connection: Connection, low: int, high: int, lag: timedelta) -> None:
    connection.execute(
        "UPDATE entasis.market_data SET created_at ="
        " (timestamp AT TIME ZONE 'UTC' + %s) AT TIME ZONE 'UTC' WHERE id BETWEEN %s AND %s",
        [lag, low, high],
    )


def test_the_clock(connection: Connection) -> None:
    """A gap that was filled, and the history that was there first, are no fault of the clock."""
    rows = made(walk(300))
    store(connection, rows)
    for low, high, lag in (
        (1, 15, DAY),
        (50, 54, HOUR),
        (100, 140, DAY),
        (200, 200, -12 * SECOND),
        (210, 210, -9 * SECOND),
        (300, 300, HOUR),
    ):
        late(connection, low, high, lag)
    quality.detect(connection)
    assert found(connection) == (
        of("stored_late", *rows[49:54], rows[299]) | of("stored_early", rows[199])
    )


def test_ids_of_another_time(connection: Connection) -> None:
    rows = made(walk(300))
    moved = {
        50: rows[50].timestamp + 40 * SECOND,
        51: rows[51].timestamp + 40 * SECOND,
        120: rows[120].timestamp - 60 * SECOND,
        200: NOON + 5 * HOUR,
    }
    # a feed's jitter, and units of time, are none
    moved |= {n: rows[n + 1].timestamp + SECOND for n in (80, 160)}
    rows = [row._replace(timestamp=moved.get(n, row.timestamp)) for n, row in enumerate(rows)]
    store(connection, rows)
    quality.detect(connection)
    assert found(connection) == of("misplaced", rows[50], rows[51], rows[120], rows[200])


def test_trades_that_are_told_twice(connection: Connection) -> None:
    rows = made(walk(200))
    # two equal trades of one moment are two trades
    rows.append(rows[10]._replace(id=201, timestamp=rows[-1].timestamp))
    rows.append(rows[200]._replace(id=202))
    copies = [rows[60]._replace(id=203), rows[150]._replace(id=204), rows[190]._replace(id=9000)]
    fine = rows[100]._replace(id=101, timestamp=rows[100].timestamp + timedelta(microseconds=37))
    rows = [*rows[:100], fine, *rows[101:], rows[100]._replace(id=100_000)]
    store(connection, [*rows, *copies])
    quality.detect(connection)
    assert found(connection) == of("duplicate", *copies, rows[-1])


def test_trades_without_ids_that_are_told_twice(connection: Connection) -> None:
    """Equal ones that came together are two trades; one that came later is the same again."""
    rows = made(walk(60))
    rows.append(rows[20]._replace(id=0))
    store(connection, rows, id_space="ordinal")
    again = rows[30]._replace(id=99)
    insert_trades(connection, again)
    late(connection, 99, 99, HOUR)
    oracle.refresh(connection)
    quality.detect(connection)
    assert found(connection, "duplicate") == of("duplicate", again)


def test_what_is_new_late_or_changed_is_looked_at(connection: Connection) -> None:
    days = [[row._replace(id=row.id + 10_000 * day, timestamp=row.timestamp + day * DAY)
             for row in made(walk(90))] for day in range(3)]  # fmt: skip
    bad = [day[40]._replace(price=D(9)) for day in days]
    store(connection, days[1])
    assert quality.detect(connection) == quality.Detected(1, 0)
    assert quality.detect(connection) == quality.Detected(0, 0)
    # what is newer, what is older than all, and a late one among those that were examined
    store(connection, [*days[0][:40], bad[0], *days[0][41:]])
    store(connection, [*days[2][:40], bad[2], *days[2][41:]])
    assert quality.detect(connection) == quality.Detected(2, 2)
    extra = trade(95, timestamp=days[1][20].timestamp + SECOND, price=D(9))
    store(connection, [extra])
    assert quality.detect(connection).market_days == 1
    spikes = of("price_spike", bad[0], bad[2], extra)
    assert found(connection, "price_spike") == spikes
    assert found(connection, "misplaced") == of("misplaced", extra)
    # one is corrected, one is deleted, one gets a price that is none
    connection.execute("UPDATE entasis.market_data SET price = 60000 WHERE id = 41")
    connection.execute("DELETE FROM entasis.market_data WHERE id = 95")
    connection.execute("UPDATE entasis.market_data SET price = 9 WHERE id = 10070")
    oracle.refresh(connection)
    assert quality.detect(connection) == quality.Detected(2, 1)
    assert found(connection) == of("price_spike", bad[2], days[1][69]._replace(price=D(9)))
    assert quality.detect(connection) == quality.Detected(0, 0)
    # beyond its reach, a change is not seen, unless one asks for the range
    connection.execute("UPDATE entasis.market_data SET price = 9 WHERE id = 71")
    oracle.refresh(connection)
    assert quality.detect(connection, reach=DAY).market_days == 0
    assert quality.detect(connection, NOON, NOON + DAY).found == 1
