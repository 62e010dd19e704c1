"""Which trades are missing: an oracle in plain Python says so from those that were taken away."""

import json
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from entasis_db import quality
from entasis_db.model import Trade
from tests import oracle
from tests.contract.cli.support import entasis, fails, succeeds
from tests.contract.trades.support import ingest, with_months
from tests.db import Connection, wipe
from tests.engines import Database
from tests.make import NOON, D, trade

pytestmark = [pytest.mark.newest_server, pytest.mark.native_speed_when_short]

SPOT = {"symbol": "BTCUSDT", "exchange": "binance-spot"}
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
END = NOON + DAY


def store(connection: Connection, *rows: Trade, id_space: str = "trade") -> None:
    with_months(connection)
    ingest(connection, *rows, id_space=id_space)
    oracle.refresh(connection)


def spans(connection: Connection, *asked: Any) -> list[tuple[str, datetime, datetime | None]]:
    found = quality.gaps(*asked).fetch(connection)
    return [(one.kind, one.after_time, one.before_time) for one in found]


@given(
    there=st.lists(st.booleans(), min_size=2, max_size=40).filter(any),
    bounds=st.tuples(st.integers(0, 40), st.integers(1, 40)),
    step=st.sampled_from([1, 20, 90]),
)
def test_missing_ids_of_any_range(
    shared_connection: psycopg.Connection[Any],
    there: list[bool],
    bounds: tuple[int, int],
    step: int,
) -> None:
    """Also at the edges of the range: between its first trade and the last one before it."""
    connection = shared_connection
    wipe(connection)
    ids = [number for number, is_there in enumerate(there) if is_there]
    store(connection, *(trade(n, timestamp=NOON + n * step * SECOND, **SPOT) for n in ids))
    from_time = NOON + bounds[0] * step * SECOND
    to_time = from_time + bounds[1] * step * SECOND
    expected = [
        (low + 1, high - 1)
        for low, high in pairwise(ids)
        if high > low + 1
        and NOON + high * step * SECOND >= from_time
        and NOON + low * step * SECOND < to_time
    ]
    statement = quality.gaps(*SPOT.values(), from_time, to_time)
    found = [(one.first_id, one.last_id) for one in statement.fetch(connection) if one.first_id]
    assert found == expected
    everything = quality.coverage(*SPOT.values()).one(connection)
    assert everything is not None
    assert everything.trades == len(ids)
    span = ids[-1] - ids[0] + 1
    assert (everything.missing or 0) == span - len(ids)
    assert everything.covered == D(10**6 * len(ids) // span) / 10**6  # cut


def beats(*numbers: int, **changes: Any) -> list[Trade]:
    """Trades of a market that trades every 10 s, without those that are not named."""
    return [trade(n, timestamp=NOON + 10 * n * SECOND, **changes) for n in numbers]


def test_a_silence_is_named_as_such_and_closes_when_it_is_filled(connection: Connection) -> None:
    taken = range(200, 260)
    store(connection, *beats(*(n for n in range(600) if n not in taken)), id_space="digest")
    gap = ("silence", NOON + 1990 * SECOND, NOON + 2600 * SECOND)
    assert spans(connection) == [gap]
    assert spans(connection, "BTC", "x", NOON, NOON + 1991 * SECOND)[0] == gap
    assert spans(connection, "BTC", "x", NOON + 2600 * SECOND, NOON + 4000 * SECOND) == [gap]
    assert spans(connection, "BTC", "x", NOON + 2700 * SECOND, NOON + 4000 * SECOND) == []
    assert spans(connection, "BTC", "y") == []
    (covered,) = quality.coverage().fetch(connection)
    assert covered.silent == 610 * SECOND
    assert covered.covered == D(10**6 - -(-610 * 10**6 // 5990)) / 10**6
    # a part of it, and before candles know of it
    ingest(connection, *beats(*range(200, 230)), id_space="digest")
    assert spans(connection) == [("silence", NOON + 2290 * SECOND, NOON + 2600 * SECOND)]
    # a trade that no candle counts was made all the same
    ingest(connection, *beats(245, excluded="adl"), id_space="digest")
    assert spans(connection) == []
    ingest(connection, *beats(*range(230, 260)), id_space="digest")
    assert spans(connection) == []


def test_ids_that_are_filled_close_before_candles_know(connection: Connection) -> None:
    there = [n for n in range(300) if n % 100 > 20]
    store(connection, *beats(*there, **SPOT))
    assert [one.missing for one in quality.gaps().fetch(connection)] == [21, 21]
    ingest(connection, *beats(*range(100, 121), **SPOT))
    assert [one.first_id for one in quality.gaps().fetch(connection)] == [200]


def test_what_is_usual_is_no_gap(connection: Connection) -> None:
    """A quiet market, one whose usual gap was set, and the nights of a third week."""
    quiet = [trade(n, timestamp=NOON + 900 * n * SECOND, symbol="A") for n in range(40)]
    named = [trade(n, timestamp=NOON + 10 * n * SECOND, symbol="B") for n in range(300) if n != 50]
    nightly = [
        trade(60 * day + n, timestamp=NOON + day * DAY + 300 * n * SECOND, symbol="C")
        for day in range(20)
        for n in range(60)
        if (day, n) != (17, 30)
    ]
    store(connection, *quiet, *named, *nightly, id_space="digest")
    found = quality.gaps(symbol="C").fetch(connection)
    assert {one.after_time.hour for one in found} == {16}
    assert max(one.after_time for one in found) < NOON + 16 * DAY
    assert spans(connection, "A") == spans(connection, "B") == []
    connection.execute("SELECT entasis.set_market('B', 'x', '{\"usual_gap\": \"15 seconds\"}')")
    assert spans(connection, "B") == [("silence", NOON + 490 * SECOND, NOON + 510 * SECOND)]
    connection.execute("SELECT entasis.set_market('B', 'x', '{\"usual_gap\": \"1 minute\"}')")
    assert spans(connection, "B") == []


def test_a_market_of_which_nothing_comes_any_more(connection: Connection) -> None:
    store(connection, *beats(*range(300)), *beats(*range(300), **SPOT), id_space="trade")
    last = NOON + 2990 * SECOND
    open_end = [("silence", last, None)] * 2
    assert spans(connection, None, None, NOON, END) == open_end
    assert spans(connection, None, None, last + 100 * SECOND, END) == open_end
    # without an end, whoever asks knows how long it has been
    assert spans(connection) == []
    connection.execute(
        "SELECT entasis.set_market('BTC', 'x', jsonb_build_object('expiry', %s::text))", [last]
    )
    assert spans(connection, None, None, NOON, END) == open_end[:1]


@pytest.mark.candle_tables
def test_below_the_floor_nothing_is_asked_for(connection: Connection) -> None:
    store(connection, *beats(*(n for n in range(300) if n not in range(50, 100)), **SPOT))
    connection.execute("UPDATE entasis.floors SET floor = %s", [NOON + 600 * SECOND])
    assert [one.first_id for one in quality.gaps().fetch(connection)] == [50]
    connection.execute("UPDATE entasis.floors SET floor = %s", [NOON + 1100 * SECOND])
    assert quality.gaps().fetch(connection) == []
    connection.execute("UPDATE entasis.floors SET floor = %s", [END])
    assert quality.gaps(to_time=NOON + 1300 * SECOND).fetch(connection) == []


@pytest.mark.parametrize(
    ("bounds", "says"),
    [
        ((NOON.replace(tzinfo=None), None), "without a time zone"),
        ((NOON, NOON), "is not before to_time"),
    ],
)
def test_a_range_that_is_none(bounds: tuple[datetime, datetime | None], says: str) -> None:
    for ask in (quality.gaps, quality.coverage):
        with pytest.raises(ValueError, match=says):
            ask(None, None, *bounds)


def test_the_command(database: Database, connection: Connection) -> None:
    assert "nothing was loaded yet" in fails(database, "gaps")
    store(connection, *beats(*range(100)), id_space="digest")
    assert succeeds(database, "gaps") == "nothing is missing, by what can be told of 1 markets\n"
    there = (n for n in range(300) if n not in (7, 8))
    store(connection, *beats(*there, **SPOT))
    assert "no market y BTC is on record" in fails(database, "gaps", "BTC", "--exchange", "y")
    assert "is not after" in fails(
        database, "gaps", "--from", "2024-01-02", "--to", "2024-01-01", code=2
    )
    told = entasis(database, "gaps")
    assert told.exit_code == 7
    assert told.stdout == (
        "binance-spot BTCUSDT 2024-08-08 12:01:00.000000 to 2024-08-08 12:01:30.000000:"
        " ids 7 to 8 are missing (2)\n"
    )
    assert told.stderr == "1 gaps, 2 ids missing in those that ids tell\n"
    told = entasis(database, "gaps", "BTCUSDT", "--json")
    assert json.loads(told.stdout) == [
        {
            **SPOT,
            "kind": "ids",
            "after_time": "2024-08-08T12:01:00+00:00",
            "before_time": "2024-08-08T12:01:30+00:00",
            "first_id": 7,
            "last_id": 8,
            "missing": 2,
            "usual": None,
        }
    ]
    told = entasis(database, "gaps", "--coverage", "--json")
    assert [one["covered"] for one in json.loads(told.stdout)] == ["0.993333", "1.000000"]
    assert "0.993333" in entasis(database, "gaps", "--coverage").stdout
