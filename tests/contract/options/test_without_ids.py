"""Quotes without an id: the same values are there already, others are another quote."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from entasis_db.ingest import IngestReport, ingest_options, load_options, retrying
from entasis_db.model import OptionQuote
from tests.contract.trades.support import quarantined
from tests.contract.trades.test_concurrency import wait_until_blocked
from tests.db import wipe
from tests.engines import Database
from tests.make import NOON, D, quote

pytestmark = pytest.mark.copy

Connection = psycopg.Connection[Any]

AT = NOON
HEADER = (
    "recv,instrument_name,timestamp,mark_iv,bid_iv,ask_iv,mark_price,underlying_price,"
    "open_interest,vega,theta,rho,gamma,delta\n"
)


def unnumbered(**changes: Any) -> OptionQuote:
    return quote(**{"timestamp": AT} | changes)._replace(id=None)


def stored(connection: Connection) -> list[tuple[Any, ...]]:
    return connection.execute(
        "SELECT timestamp, strike_price, iv, gamma, id FROM entasis.option_data"
        " ORDER BY timestamp, strike_price, id"
    ).fetchall()


some_quotes = st.builds(
    lambda strike, second, iv, gamma: unnumbered(
        strike_price=D(strike),
        timestamp=AT + timedelta(seconds=second),
        iv=iv,
        gamma=gamma,
    ),
    st.sampled_from([100, 200]),
    st.integers(0, 1),
    st.sampled_from([None, D("0.5"), D("0.50"), D("0.7")]),
    st.sampled_from([None, D(1)]),
)


@given(batches=st.lists(st.lists(some_quotes, min_size=1, max_size=5), min_size=1, max_size=4))
def test_any_batches(months_connection: Connection, batches: Sequence[list[OptionQuote]]) -> None:
    wipe(months_connection)
    model: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
    for batch in batches:
        inserted = 0
        for q in batch:
            group = model.setdefault((q.timestamp, q.strike_price), [])
            if (q.iv, q.gamma) not in group:
                group.append((q.iv, q.gamma))
                inserted += 1
        report = ingest_options(months_connection, batch, source="o")
        assert report == IngestReport(inserted, len(batch) - inserted)
    assert stored(months_connection) == [
        (*moment, *values, number)
        for moment in sorted(model)
        for number, values in enumerate(model[moment])
    ]


def test_those_with_an_id_are_counted_on_from(connection: Connection) -> None:
    numbered = [quote(7, timestamp=AT), quote(8, timestamp=AT, iv=D("0.7"))]
    ingest_options(connection, numbered, source="a")
    # what SQL has to look at, because the second is one of the first's
    batch = [unnumbered(iv=D("0.8")), unnumbered(iv=D("0.7")), unnumbered(iv=None)]
    assert ingest_options(connection, batch, source="b") == IngestReport(2, 1)
    assert [(row[2], row[4]) for row in stored(connection)] == [
        (D("0.65"), 7),
        (D("0.7"), 8),
        (D("0.8"), 9),
        (None, 10),
    ]


@pytest.mark.native_speed
def test_again_each_quote_is_read_a_few_times(connection: Connection) -> None:
    """Not all quotes of a strike for each, as long as no statistics tell the planner better."""
    count = 1000
    batch = [unnumbered(timestamp=AT + timedelta(seconds=n)) for n in range(count)]
    ingest_options(connection, batch, source="a")
    with connection.transaction():
        assert ingest_options(connection, batch, source="b") == IngestReport(0, count)
        (read,) = connection.execute(
            "SELECT sum(coalesce(idx_tup_fetch, 0) + seq_tup_read) FROM pg_stat_xact_user_tables"
            " WHERE schemaname NOT LIKE 'pg_temp%' AND relname ~ '^option_data|^_hyper'"
        ).fetchone() or (None,)
    assert read is not None
    assert count <= read <= 10 * count


def test_what_cannot_be_stored_takes_no_number(connection: Connection) -> None:
    batch = [
        unnumbered(bid_price=D(-1)),
        unnumbered(),
        unnumbered(mark_price=D("Infinity")),
        unnumbered(iv=None),
    ]
    assert ingest_options(connection, batch, source="o") == IngestReport(2, 0, 2)
    assert quarantined(connection) == [("o", 1, "bid_price"), ("o", 3, "mark_price")]
    assert [row[4] for row in stored(connection)] == [0, 1]
    rows = connection.execute("SELECT payload FROM entasis.quarantine").fetchall()
    assert all(payload.keys() == set(OptionQuote._fields) for (payload,) in rows)


@pytest.mark.several_connections
@pytest.mark.parametrize("same", [True, False], ids=["same", "other"])
def test_two_sessions_at_once(database: Database, same: bool) -> None:
    """Of one moment, the later session sees what the earlier one has committed."""
    with database.connect() as first, database.connect() as second:
        ingest_options(first, [unnumbered(strike_price=D(1))], source="o")
        mine = [unnumbered() if same else unnumbered(iv=None), unnumbered(strike_price=D(2))]
        with ThreadPoolExecutor(1) as pool, first.transaction():
            ingest_options(first, [unnumbered()], source="o")
            waiting = pool.submit(retrying, lambda: ingest_options(second, mine, source="o"))
            wait_until_blocked(first, second)
        assert waiting.result() == (IngestReport(1, 1) if same else IngestReport(2))
        assert quarantined(first) == []
        assert [row[4] for row in stored(first)] == ([0, 0, 0] if same else [0, 0, 0, 1])


def test_two_files_and_again(connection: Connection, tmp_path: Path) -> None:
    """Two quotes of one contract in one millisecond, in two files."""
    for number, iv in ((1, 50), (2, 51)):
        (tmp_path / f"options_{number}.csv").write_text(
            f"{HEADER}1,ETH-31DEC26-5000-C,1795132801000,{iv},,,1,1,1,0.1,1,1,0,0.5\n"
        )
    for name, there in (("1", False), ("2", False), ("2", True), ("1", True)):
        loaded = load_options(connection, tmp_path / f"options_{name}.csv")
        assert loaded.report == (IngestReport(0, 1) if there else IngestReport(1))
    assert [(row[2], row[4]) for row in stored(connection)] == [(D("0.50"), 0), (D("0.51"), 1)]


@pytest.mark.samples
def test_the_samples_that_were_lost(connection: Connection, samples: Path) -> None:
    folder = samples.parent / "cases" / "identity"
    for name in ("options_1.csv", "options_2.csv", "options_1.csv"):
        load_options(connection, folder / name)
    assert len(stored(connection)) == 2
    assert quarantined(connection) == []
