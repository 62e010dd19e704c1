"""Any batches in any order: every row is stored, was there already, or is in quarantine."""

import asyncio
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import localcontext
from functools import partial
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.rows import dict_row

from entasis_db.errors import IdSpaceError
from entasis_db.ingest import (
    IngestReport,
    ingest_trades_async,
    retrying,
)
from entasis_db.model import Trade
from tests import oracle
from tests.contract.trades.support import by_key, good_trades, ingest, quarantined, sides
from tests.db import wipe
from tests.engines import Database
from tests.make import D, trade

pytestmark = pytest.mark.copy

bad_fields: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        *({"symbol": name} for name in ("", "S" * 65, "a\0", "\udfff", "a ", "a\tb")),
        *({"exchange": name} for name in ("", "é" * 65, "\u200ex")),
        *({"timestamp": datetime(y, 1, 1, tzinfo=UTC)} for y in (1, 2008, 2262, 9999)),
        *({"side": text} for text in ("", "BUY", "b", "buyer", "s\0", "\udfff")),
        *({"id": n} for n in (2**63, -(2**63) - 1)),
        *(
            {field: D(text)}
            for field in ("price", "volume")
            for text in (
                *("NaN", "sNaN", "-NaN7", "Infinity", "-Infinity", "0", "-0", "-1", "1E+20"),
                *("1E-19", "1.0000000000000000001", "1E+5000", "1E-5000", "-1E+5000", "0E+5000"),
            )
        ),
        {"price": D("1e11"), "volume": D("1e3")},
    ]
)

bad_trades = st.builds(lambda t, bad: t._replace(**bad), good_trades, bad_fields)


@st.composite
def runs(draw: st.DrawFn) -> list[tuple[int, list[Trade]]]:
    """Some batches, each with its number; some of them are given more than once."""
    # of few keys, so that rows repeat and contradict one another within batches and between them
    keys = draw(st.lists(good_trades, min_size=1, max_size=3))
    few = st.sampled_from(keys)
    other_values = st.builds(
        lambda t, price, volume: t._replace(price=price, volume=volume),
        few,
        st.sampled_from([D(1), D("1.0"), D(2)]),
        st.sampled_from([D(3), D(4)]),
    )
    other_sides = st.builds(lambda t, side: t._replace(side=side), few, sides)
    changed = st.one_of(few, other_values, other_sides, good_trades)
    batches = draw(
        st.lists(
            st.one_of(
                st.lists(good_trades, min_size=1, max_size=6),
                st.lists(changed, min_size=1, max_size=6),
                st.lists(st.one_of(changed, bad_trades), min_size=1, max_size=8),
            ),
            min_size=1,
            max_size=4,
        )
    )
    order = draw(st.lists(st.sampled_from(range(len(batches))), max_size=3))
    return [(n, batches[n]) for n in draw(st.permutations([*range(len(batches)), *order]))]


def is_admissible(t: Trade) -> bool:
    """Say what the rules say, told a second time and in other words."""
    for name in (t.symbol, t.exchange):
        if not 1 <= len(name) <= 64 or name != name.strip():
            return False
        if any(unicodedata.category(c) in ("Cc", "Cs") or c in "\u200e\u200f" for c in name):
            return False
    for number in (t.price, t.volume):
        if not number.is_finite() or number.is_signed() or number.is_zero():
            return False
        if number.adjusted() >= 20 or (number.adjusted() < -18):
            return False
        if number != number.quantize(D("1e-18")):
            return False
    if t.side not in (None, "buy", "sell"):
        return False
    return 2009 <= t.timestamp.year < 2200 and t.id in range(-(2**63), 2**63)


Ingest = Callable[[psycopg.Connection[Any], str, list[Trade], str], IngestReport]


def _synchronous(
    connection: psycopg.Connection[Any], _: str, rows: list[Trade], source: str
) -> IngestReport:
    return ingest(connection, *rows, source=source, id_space="digest")


def _asynchronous(
    _: psycopg.Connection[Any], dsn: str, rows: list[Trade], source: str
) -> IngestReport:
    async def run() -> IngestReport:
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connected:
            return await ingest_trades_async(connected, rows, source=source, id_space="digest")

    return asyncio.run(run())


@pytest.mark.parametrize("way", [_synchronous, _asynchronous], ids=["sync", "async"])
@given(run=runs())
def test_whatever_comes_is_stored_or_explained(
    shared: Database,
    shared_connection: psycopg.Connection[Any],
    way: Ingest,
    run: list[tuple[int, list[Trade]]],
) -> None:
    connection = shared_connection
    wipe(connection)
    stored = oracle.Ingested()
    refused = set()
    with localcontext() as context:
        context.prec = 60
        for number, batch in run:
            inserted = already_there = 0
            source = f"batch {number}"
            for position, t in enumerate(batch, 1):
                if not is_admissible(t):
                    refused.add((source, position, "inadmissible"))
                    continue
                ((key, values),) = by_key(t).items()
                verdict = stored.put(key, values, t.side)
                inserted += verdict == "inserted"
                already_there += verdict == "already there"
                if verdict == "conflict":
                    refused.add((source, position, "conflict"))
            # a job that compresses a chunk meanwhile may be in the way
            report = retrying(partial(way, connection, shared.dsn, batch, source))
            assert report == IngestReport(
                inserted, already_there, len(batch) - inserted - already_there
            )
    found = quarantined(connection)
    assert len(found) == len(refused)
    assert {(s, n, c if c == "conflict" else "inadmissible") for s, n, c in found} == refused
    assert {code for *_, code in found} <= {*Trade._fields, "conflict"}
    assert oracle.stored_sides(connection) == stored.sides
    oracle.assert_candles_are_right(connection, stored.trades)


def test_asynchronous_mistakes_and_id_spaces(database: Database) -> None:
    async def run() -> None:
        async with await psycopg.AsyncConnection.connect(
            database.dsn, autocommit=True, row_factory=dict_row
        ) as connected:
            options: dict[str, Any] = {"source": "feed", "id_space": "trade"}
            await ingest_trades_async(connected, [trade(1)], **options)
            with pytest.raises(TypeError):
                await ingest_trades_async(connected, [trade(2), trade(3, price=1.5)], **options)
            with pytest.raises(ValueError, match="lines are given"):
                await ingest_trades_async(connected, [trade(2)], **options, lines=[])
            with pytest.raises(IdSpaceError, match="feed, line 2"):
                await ingest_trades_async(
                    connected, [trade(2, symbol="NEW"), trade(3)], source="feed", id_space="agg"
                )

    asyncio.run(run())
    with database.connect() as connected:
        oracle.assert_candles_are_right(connected, by_key(trade(1)))
