"""Ingest of option quotes: each fault by itself, conflicts, and the asynchronous way."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

from entasis_db.ingest import (
    IngestReport,
    ingest_options,
    ingest_options_async,
)
from entasis_db.model import OPTION_KEY, OptionQuote
from tests.contract.trades.support import quarantined
from tests.engines import Database
from tests.make import EXPIRY, D, quote

pytestmark = [pytest.mark.copy, pytest.mark.newest_server]


@pytest.mark.parametrize(
    "field", ["strike_price", "iv", "delta", "bid_price", "open_interest", "rho"]
)
def test_an_option_with_a_float_raises(
    shared_connection: psycopg.Connection[Any], field: str
) -> None:
    for before in ([], [quote(2, strike_price=D("NaN"))]):
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
    "bid_price": {"bid_price": D("-0.1")},
    "ask_price": {"ask_price": D("1E-19")},
    "mark_price": {"mark_price": D("Infinity")},
    "underlying_price": {"underlying_price": D("1E+20")},
    "open_interest": {"open_interest": D("1E+1400")},
    "timestamp": {"timestamp": datetime(2262, 1, 1, tzinfo=UTC)},
    "id": {"id": 2**64},
}


def test_options_each_with_its_own_fault(connection: psycopg.Connection[Any]) -> None:
    bad = [quote(n, **changes) for n, changes in enumerate(OPTION_FAULTS.values(), 2)]
    good = [quote(1), quote(99, iv=None, delta=None, gamma=D("2E-18"), theta=None, vega=None)]
    batch = [good[0], *bad, good[1]]
    assert ingest_options(connection, batch, source="o") == IngestReport(2, 0, len(bad))
    assert ingest_options(connection, batch, source="o") == IngestReport(0, 2, len(bad))
    assert ingest_options(connection, batch, source="o") == IngestReport(0, 2, len(bad))
    assert [(n, code) for _, n, code in quarantined(connection)] == list(
        enumerate(OPTION_FAULTS, 2)
    )
    assert stored(connection) == good


def stored(connection: psycopg.Connection[Any]) -> list[OptionQuote]:
    columns = sql.SQL(", ").join(map(sql.Identifier, OptionQuote._fields))
    found = connection.execute(
        sql.SQL("SELECT {} FROM entasis.option_data ORDER BY id").format(columns)
    )
    return [OptionQuote(*row) for row in found.fetchall()]


def test_an_option_stored_with_other_values_is_a_conflict(
    connection: psycopg.Connection[Any],
) -> None:
    ingest_options(connection, [quote(1), quote(2, iv=None)], source="a")
    again = [quote(1, gamma=None), quote(2), quote(1), quote(2, iv=None)]
    assert ingest_options(connection, again, source="b") == IngestReport(0, 2, 2)
    assert quarantined(connection) == [("b", 1, "conflict"), ("b", 2, "conflict")]


VALUES = OptionQuote._fields[len(OPTION_KEY) :]


def test_every_value_tells_quotes_apart(connection: psycopg.Connection[Any]) -> None:
    """With an id of its source's, a quote with another value is a conflict; else it is another."""
    whole = quote(1, **{name: D(n) for n, name in enumerate(VALUES)})
    changed = [whole._replace(**{name: D("0.5")}) for name in VALUES]
    missing = [whole._replace(**{name: None}) for name in VALUES]
    others = [*changed, *missing]
    ingest_options(connection, [whole], source="a")
    assert ingest_options(connection, others, source="b") == IngestReport(0, 0, len(others))
    assert {code for _, _, code in quarantined(connection)} == {"conflict"}
    unnumbered = [q._replace(id=None) for q in (*others, whole, *others)]
    report = ingest_options(connection, unnumbered, source="c")
    assert report == IngestReport(len(others), len(others) + 1)
    assert [q._replace(id=1) for q in stored(connection)] == [whole, *others]


COMPUTED = {
    "1.0000000000000000005": "1",  # halves go to the even digit
    "1.0000000000000000015": "1.000000000000000002",
    "1.00000000000000000050001": "1.000000000000000001",
    "1E-1500": "0",
    "0.650000000000000000000": "0.65",
    "NaN": None,
    "sNaN": None,
    "-NaN12": None,
    "Infinity": None,
    "-Infinity": None,
    "1E+12": None,
    "999999999999.9999999999999999999": None,
    "1E+1500": None,
}
ONLY_IV = {"-0.1": None, "-1E-18": None, "1000000": None, "999999.9999999999999999999": None}
ONLY_GREEK = {"-1.0000000000000000015": "-1.000000000000000002", "-0.1": "-0.1"}
IVS = ("iv", "bid_iv", "ask_iv")
GREEKS = ("delta", "gamma", "theta", "vega", "rho")
EXACT = ("bid_price", "ask_price", "mark_price", "underlying_price", "open_interest")
ALL_COMPUTED = [
    *((name, *case) for name in IVS for case in (COMPUTED | ONLY_IV).items()),
    *((name, *case) for name in GREEKS for case in (COMPUTED | ONLY_GREEK).items()),
    *((name, "NaN", None) for name in EXACT),
]


def expected_of(cases: list[tuple[str, str, str | None]]) -> tuple[list[OptionQuote], int, int]:
    quotes = [
        quote(n, **{name: None if stored_as is None else D(stored_as)})
        for n, (name, _, stored_as) in enumerate(cases, 1)
    ]
    nulled = sum(stored_as is None for _, _, stored_as in cases)
    rounded = sum(
        stored_as is not None and D(given) != D(stored_as) for _, given, stored_as in cases
    )
    return quotes, rounded, nulled


@pytest.mark.parametrize("path", ["clean", "staged"])
def test_what_a_model_computed_is_rounded_and_counted(
    connection: psycopg.Connection[Any], path: str
) -> None:
    quotes, rounded, nulled = expected_of(ALL_COMPUTED)
    batch = [quote(n, **{name: D(given)}) for n, (name, given, _) in enumerate(ALL_COMPUTED, 1)]
    more = [] if path == "clean" else [quote(999, strike_price=D(0))]
    report = ingest_options(connection, [*batch, *more], source="o")
    assert report == IngestReport(len(batch), 0, len(more), rounded=rounded, nulled=nulled)
    assert rounded > len(IVS + GREEKS)
    assert stored(connection) == quotes
    again = ingest_options(connection, batch, source="o")
    assert again == IngestReport(0, len(batch), rounded=rounded, nulled=nulled)


def test_what_sql_stages_is_rounded_and_counted(connection: psycopg.Connection[Any]) -> None:
    # NUMERIC ends before 1E-1500 does, and knows one NaN
    cases = [c for c in ALL_COMPUTED if not {"1E-1500", "1E+1500", "sNaN", "-NaN12"} & {c[1]}]
    quotes, rounded, nulled = expected_of(cases)
    names = ", ".join(OptionQuote._fields)
    with connection.transaction():
        connection.execute("SELECT entasis.stage_options()")
        with connection.cursor() as cursor:
            cursor.executemany(
                f"INSERT INTO pg_temp.entasis_staged_options (line, {names}) VALUES"
                f" ({', '.join(['%s'] * (1 + len(OptionQuote._fields)))})".encode(),
                [(n, *quote(n, **{name: D(given)})) for n, (name, given, _) in enumerate(cases, 1)],
            )
        found = connection.execute(
            "SELECT inserted, already_there, quarantined, rounded, nulled"
            " FROM entasis.insert_staged_options('sql')"
        ).fetchall()
    assert found == [(len(cases), 0, 0, rounded, nulled)]
    assert stored(connection) == quotes


def test_options_asynchronously(database: Database) -> None:
    async def run() -> list[IngestReport]:
        async with await psycopg.AsyncConnection.connect(
            database.dsn, autocommit=True, row_factory=dict_row
        ) as connected:
            batches = [[quote(1)], [quote(1), quote(2)], [quote(3, strike_price=D("NaN"))], []]
            return [await ingest_options_async(connected, b, source="o") for b in batches]

    assert asyncio.run(run()) == [
        IngestReport(1),
        IngestReport(1, 1),
        IngestReport(0, 0, 1),
        IngestReport(),
    ]
