"""Quotes without an id: the same values are there already, others are another quote."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from entasis_db.ingest import (
    IngestReport,
    ingest_arrow_options,
    ingest_options,
    load_options,
    retrying,
)
from entasis_db.live import TickWriter
from entasis_db.model import OptionQuote
from tests.contract.options.test_arrow import in_csv, table
from tests.contract.trades.support import quarantined, with_months
from tests.contract.trades.test_concurrency import wait_until_blocked
from tests.db import wipe
from tests.engines import Database, Server
from tests.make import NOON, D, quote

pytestmark = [pytest.mark.copy, pytest.mark.native_speed_when_short]

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
    lambda strike, second, iv, gamma, number: unnumbered(
        strike_price=D(strike),
        timestamp=AT + timedelta(seconds=second),
        iv=iv,
        gamma=gamma,
    )._replace(id=number),
    st.sampled_from([100, 200]),
    st.integers(0, 1),
    st.sampled_from([None, D("0.5"), D("0.50"), D("0.7")]),
    st.sampled_from([None, D(1)]),
    st.sampled_from([None, None, 0, 7]),
)

Stored = dict[tuple[Any, ...], dict[int, tuple[Any, ...]]]


def store(model: Stored, batch: list[OptionQuote]) -> IngestReport:
    """Store a batch in the model: what has a number by that, then the others by their values."""
    inserted = refused = 0
    for q in sorted(batch, key=lambda q: q.id is None):
        group = model.setdefault((q.timestamp, q.strike_price), {})
        values = (q.iv, q.gamma)
        if q.id is None:
            if values not in group.values():
                group[max(group, default=-1) + 1] = values
                inserted += 1
        elif q.id not in group:
            group[q.id] = values
            inserted += 1
        else:
            refused += group[q.id] != values
    return IngestReport(inserted, len(batch) - inserted - refused, refused)


REFUSED = [unnumbered(iv=D("0.7"))._replace(id=7), unnumbered(iv=D("0.7"))]


@example(batches=[[unnumbered()._replace(id=7)], REFUSED, REFUSED])
@example(batches=[[unnumbered()._replace(id=7), *REFUSED]])
@given(batches=st.lists(st.lists(some_quotes, min_size=1, max_size=5), min_size=1, max_size=4))
def test_any_batches(months_connection: Connection, batches: Sequence[list[OptionQuote]]) -> None:
    wipe(months_connection)
    model: Stored = {}
    for batch in batches:
        report = ingest_options(months_connection, batch, source="o")
        assert report == store(model, batch)
    assert stored(months_connection) == [
        (*moment, *values, number)
        for moment in sorted(model)
        for number, values in sorted(model[moment].items())
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


def tell(database: Database, way: str, path: Path, *quotes: OptionQuote) -> None:
    """Store quotes without ids in some way."""
    if way == "writer":
        with TickWriter(database.dsn, source="o", id_space="trade") as writer:
            for q in quotes:
                writer.put(q)
        return
    with database.connect() as connection:
        if way == "call":
            ingest_options(connection, quotes, source="o")
        elif way == "arrow":
            ingest_arrow_options(connection, table(*quotes), source="o")
        else:
            load_options(connection, in_csv(path, quotes))


@pytest.mark.several_connections
@pytest.mark.parametrize("way", ["call", "file", "arrow", "writer"])
def test_what_its_source_has_numbered_is_there_already(
    database: Database, tmp_path: Path, way: str
) -> None:
    """Whatever its number, when it is told again without; other values are the next number."""
    later = {"strike_price": D(2900), "timestamp": AT + timedelta(seconds=1)}
    with database.connect() as connection:
        ingest_options(connection, [quote(-3, timestamp=AT), quote(7, **later)], source="a")
        same = [unnumbered(), unnumbered(**later)]
        tell(database, way, tmp_path / "same.csv", *same)
        assert [row[4] for row in stored(connection)] == [-3, 7]
        tell(database, way, tmp_path / "other.csv", same[0], unnumbered(**later, iv=D("0.7")))
        assert [row[4] for row in stored(connection)] == [-3, 7, 8]
        assert quarantined(connection) == []


@pytest.mark.direct_copies
def test_only_numbers_at_their_times_send_quotes_the_slow_way(
    connection: Connection, staged: list[str]
) -> None:
    with_months(connection)
    second = timedelta(seconds=1)
    numbered = [quote(7, timestamp=AT), quote(7, timestamp=AT + 4 * second)]
    ingest_options(connection, [*numbered, quote(7, timestamp=AT, underlying="B")], source="a")
    fast = [
        [unnumbered(timestamp=AT + n * second) for n in (1, 2, 3)],
        [unnumbered(timestamp=AT + 5 * second)],
        [unnumbered(timestamp=AT - second), unnumbered(timestamp=AT - second, underlying="B")],
        # others have the number 0
        [unnumbered(timestamp=AT + n * second, strike_price=D(1)) for n in (1, 3)],
        # the times of each underlying count
        [
            unnumbered(timestamp=AT + 2 * second, underlying="B"),
            unnumbered(timestamp=AT - 2 * second),
        ],
    ]
    for batch in fast:
        assert ingest_options(connection, batch, source="b") == IngestReport(len(batch))
    assert not staged
    slow = [unnumbered(timestamp=AT + n * second, iv=None) for n in (-3, 0)]
    assert ingest_options(connection, slow, source="b") == IngestReport(2)
    assert staged


def test_a_number_of_its_source_tells_a_quote_from_one_without(connection: Connection) -> None:
    """A source may number equal quotes, and who gave the stored 0 is unknown."""
    for report in (IngestReport(1), IngestReport(0, 1)):
        assert ingest_options(connection, [unnumbered()], source="a") == report
    for report in (IngestReport(1), IngestReport(0, 1)):
        assert ingest_options(connection, [quote(7, timestamp=AT)], source="b") == report
    assert ingest_options(connection, [unnumbered()], source="a") == IngestReport(0, 1)
    assert [row[4] for row in stored(connection)] == [0, 7]


@pytest.mark.native_speed
@pytest.mark.one_server
def test_again_each_quote_is_read_a_few_times(server: Server) -> None:
    """Not all quotes of a strike for each, as long as no statistics tell the planner better."""
    # those of the other tests' few quotes would stay in a database that is only emptied
    with server.database() as database, database.connect() as connection:
        count = 1000
        batch = [unnumbered(timestamp=AT + timedelta(seconds=n)) for n in range(count)]
        ingest_options(connection, batch, source="a")
        with connection.transaction():
            assert ingest_options(connection, batch, source="b") == IngestReport(0, count)
            (read,) = connection.execute(
                "SELECT sum(coalesce(idx_tup_fetch, 0) + seq_tup_read)"
                " FROM pg_stat_xact_user_tables"
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
