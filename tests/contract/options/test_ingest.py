"""Ingest of option quotes: each fault by itself, conflicts, and the asynchronous way."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from entasis_db.ingest import (
    IngestReport,
    ingest_options,
    ingest_options_async,
)
from tests.contract.trades.support import quarantined
from tests.engines import Database
from tests.make import EXPIRY, D, quote

pytestmark = pytest.mark.copy


@pytest.mark.parametrize("field", ["strike_price", "iv", "delta", "gamma", "theta", "vega"])
def test_an_option_with_a_float_raises(
    shared_connection: psycopg.Connection[Any], field: str
) -> None:
    for before in ([], [quote(2, gamma=D("NaN"))]):
        with pytest.raises(TypeError, match=f"{field} must be Decimal"):
            ingest_options(
                shared_connection, [*before, quote(1, **{field: 0.5})], source="float option"
            )
    with pytest.raises(ValueError, match=r"expiry_date .* has no time zone"):
        ingest_options(
            shared_connection,
            [quote(1, expiry_date=EXPIRY.replace(tzinfo=None))],
            source="float option",
        )
    assert ("float option",) not in {row[:1] for row in quarantined(shared_connection)}


OPTION_FAULTS: dict[str, dict[str, Any]] = {
    "underlying": {"underlying": "U" * 65},
    "option_type": {"option_type": "straddle"},
    "strike_price": {"strike_price": D("NaN")},
    "iv": {"iv": D("-0.1")},
    "delta": {"delta": D("1E-19")},
    "gamma": {"gamma": D("NaN")},
    "theta": {"theta": D("-Infinity")},
    "vega": {"vega": D("1E+400")},
    "timestamp": {"timestamp": datetime(2262, 1, 1, tzinfo=UTC)},
    "id": {"id": 2**64},
}


def test_options_each_with_its_own_fault(connection: psycopg.Connection[Any]) -> None:
    bad = [quote(n, **changes) for n, changes in enumerate(OPTION_FAULTS.values(), 2)]
    good = [quote(1), quote(99, iv=None, delta=None, gamma=D("2E-18"), theta=None, vega=None)]
    batch = [good[0], *bad, good[1]]
    assert ingest_options(connection, batch, source="o") == IngestReport(2, 0, len(bad))
    assert ingest_options(connection, batch, source="o") == IngestReport(0, 2, len(bad))
    assert [(n, code) for _, n, code in quarantined(connection)] == list(
        enumerate(OPTION_FAULTS, 2)
    )
    found = connection.execute(
        "SELECT id, underlying, strike_price, expiry_date, option_type,"
        " iv, delta, gamma, theta, vega, timestamp FROM entasis.option_data ORDER BY id"
    ).fetchall()
    assert found == [tuple(row) for row in good]


def test_an_option_stored_with_other_values_is_a_conflict(
    connection: psycopg.Connection[Any],
) -> None:
    ingest_options(connection, [quote(1), quote(2, iv=None)], source="a")
    again = [quote(1, gamma=None), quote(2), quote(1), quote(2, iv=None)]
    assert ingest_options(connection, again, source="b") == IngestReport(0, 2, 2)
    assert quarantined(connection) == [("b", 1, "conflict"), ("b", 2, "conflict")]


def test_options_asynchronously(database: Database) -> None:
    async def run() -> list[IngestReport]:
        async with await psycopg.AsyncConnection.connect(
            database.dsn, autocommit=True, row_factory=dict_row
        ) as connected:
            batches = [[quote(1)], [quote(1), quote(2)], [quote(3, iv=D("NaN"))], []]
            return [await ingest_options_async(connected, b, source="o") for b in batches]

    assert asyncio.run(run()) == [
        IngestReport(1),
        IngestReport(1, 1),
        IngestReport(0, 0, 1),
        IngestReport(),
    ]
