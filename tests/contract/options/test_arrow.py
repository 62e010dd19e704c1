"""Quotes from Arrow and Parquet: what becomes of them is what becomes of them in a CSV file."""

import asyncio
import csv
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from entasis_db.errors import LoadError
from entasis_db.ingest import (
    ArrowReport,
    IngestReport,
    ingest_arrow_async,
    ingest_arrow_options,
    ingest_arrow_options_async,
    load_options,
)
from entasis_db.model import OptionQuote, Trade
from tests import make
from tests.contract.options.test_ingest import OPTION_FAULTS, stored
from tests.contract.trades.support import nanoseconds, quarantined
from tests.db import Connection, one, wipe
from tests.engines import Database
from tests.make import NOON, D, quote

pytestmark = [pytest.mark.copy, pytest.mark.newest_server, pytest.mark.native_speed]

NUMBERS = pa.decimal256(60, 24)
SCHEMA = pa.schema(
    [
        ("underlying", pa.string()),
        ("strike_price", NUMBERS),
        ("expiry_date", pa.timestamp("us", "UTC")),
        ("option_type", pa.dictionary(pa.int8(), pa.string())),
        ("timestamp", pa.timestamp("us", "UTC")),
        ("id", pa.int64()),
        *((name, NUMBERS) for name in OptionQuote._fields[6:]),
    ]
)


def table(*quotes: OptionQuote, schema: pa.Schema = SCHEMA) -> pa.Table:
    return pa.Table.from_pylist([q._asdict() for q in quotes], schema)


def in_csv(path: Path, quotes: Sequence[OptionQuote]) -> Path:
    names = OptionQuote._fields[5:]
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow([*OptionQuote._fields[:4], "timestamp_ns", *names])
        for q in quotes:
            out.writerow(
                [*q[:2], q.expiry_date.isoformat(), q.option_type, nanoseconds(q.timestamp), *q[5:]]
            )
    return path


some_quotes = st.builds(
    lambda strike, second, number, **values: quote(
        0, strike_price=strike, timestamp=NOON + timedelta(seconds=second), **values
    )._replace(id=number),
    strike=st.sampled_from([D(100), D("0.625"), D(0), D("1E+12"), D("1E-13")]),
    second=st.integers(0, 1),
    number=st.sampled_from([None, None, 0]),
    underlying=st.sampled_from(["BTC", " x", "a\\b", "U" * 65]),
    iv=st.sampled_from([None, D("0.5"), D("0.1234567890123456785"), D(-1), D("1E+6")]),
    rho=st.sampled_from([D("-1E-20"), D("1.0000000000000000005"), D("-0.5")]),
    bid_price=st.sampled_from([None, D(0), D("0.0705"), D(-1), D("1E-19")]),
)


@given(quotes=st.lists(some_quotes, max_size=8))
def test_arrow_does_what_a_file_does(
    months_connection: Connection, tmp_path_factory: pytest.TempPathFactory, quotes: Any
) -> None:
    found = []
    path = in_csv(tmp_path_factory.mktemp("quotes") / "a", quotes)
    for way in ("csv", "arrow"):
        wipe(months_connection)
        if way == "csv":
            report = asdict(load_options(months_connection, path, batch_rows=3).report)
            moved = 1  # the header is a line
        else:
            counted = ingest_arrow_options(
                months_connection, table(*quotes), source="a", batch_rows=3
            )
            report = asdict(counted)
            assert report.pop("truncated_nanoseconds") == 0
            moved = 0
        refused = [(line - moved, code) for _, line, code in quarantined(months_connection)]
        found.append((report, sorted(stored(months_connection), key=str), refused))
    assert found[0] == found[1]


def test_each_fault_is_named(connection: Connection) -> None:
    bad = {name: row for name, row in OPTION_FAULTS.items() if name not in ("id", "strike_price")}
    bad["mark_price"] = {"mark_price": D("1E+20")}
    bad["open_interest"] = {"open_interest": D(-1)}
    rows = [quote(n, **changes) for n, changes in enumerate(bad.values(), 1)]
    report = ingest_arrow_options(connection, table(*rows, quote(99)), source="o")
    assert report == ArrowReport(1, 0, len(bad))
    assert [(n, code) for _, n, code in quarantined(connection)] == list(enumerate(bad, 1))


def test_what_is_missing_or_no_time_is_named(connection: Connection) -> None:
    whole = table(quote(1)).to_pylist()[0]
    rows = [whole | {name: None} for name in ("underlying", "expiry_date", "timestamp")]
    odd = table(quote(2)).set_column(
        4, "timestamp", pa.array([-(2**62)], pa.timestamp("us", "UTC"))
    )
    data = pa.concat_tables([pa.Table.from_pylist(rows, SCHEMA), odd, table(quote(3))])
    assert ingest_arrow_options(connection, data, source="o") == ArrowReport(1, 0, 4)
    assert quarantined(connection) == [
        ("o", 1, "underlying"),
        ("o", 2, "expiry_date"),
        ("o", 3, "timestamp"),
        ("o", 4, "timestamp"),
    ]
    payload = one(connection, "SELECT payload FROM entasis.quarantine WHERE line = 4")
    assert payload["timestamp"] == f"{-(2**62)} microseconds since 1970"
    assert payload["iv"].rstrip("0") == "0.65"


def test_floats_of_models_are_taken_and_those_of_prices_are_not(connection: Connection) -> None:
    told = {
        "strike_price": [2800, 2800, 2800],
        "expiry_date": pa.array([date(2030, 3, 29)] * 3),
        "option_type": ["call", "put", "call"],
        "timestamp": pa.array([nanoseconds(NOON) + n for n in (0, 1, 1000)], _NS),
        "iv": [0.65, float("nan"), -1.0],
        "gamma": [8.0179e-16, float("inf"), 0.1],
        "vega": pa.array([0.1, 0.7, 1e-30], pa.float32()),
        "bid_price": [0.07, float("nan"), 0.25],
        "open_interest": pa.nulls(3),
        "anything": ["else"] * 3,
    }
    with pytest.raises(LoadError, match=r"'underlying': rename .*or give underlying="):
        ingest_arrow_options(connection, pa.table(told), source="o", decimals=4)
    with pytest.raises(LoadError, match="column 'bid_price' is a double, which is not exact"):
        ingest_arrow_options(connection, pa.table(told), source="o", underlying="SPY")
    zone = ZoneInfo("America/New_York")
    report = ingest_arrow_options(
        connection, pa.table(told), source="o", underlying="SPY", zone=zone, decimals=4
    )
    # 8.0179e-16 and 1e-30 have more than 18 decimals
    assert report == ArrowReport(3, rounded=2, nulled=4, truncated_nanoseconds=1)
    rows = {(q.option_type, q.timestamp): q for q in stored(connection)}
    call, put = rows["call", NOON], rows["put", NOON]
    late = rows["call", NOON + timedelta(microseconds=1)]
    assert call.expiry_date == datetime(2030, 3, 30, 3, 59, 59, 999999, tzinfo=UTC)
    assert (call.iv, call.gamma, call.vega, call.bid_price) == (
        *(D("0.65"), D("0.000000000000000802"), D("0.1"), D("0.07")),
    )
    assert (put.iv, put.gamma, put.vega, put.bid_price) == (None, None, D("0.7"), None)
    assert (late.iv, late.vega, late.bid_price) == (None, D(0), D("0.25"))
    with pytest.raises(LoadError, match=r"'bid_price', rows 1 to 3: .* more than 1 decimals"):
        ingest_arrow_options(connection, pa.table(told), source="o", underlying="S", decimals=1)


_NS = pa.timestamp("ns", "UTC")


@pytest.mark.parametrize(
    ("name", "column", "said"),
    [
        ("timestamp", pa.array([NOON.replace(tzinfo=None)]), "is a timestamp.* with a zone"),
        ("expiry_date", pa.array(["2030-03-29"]), "Cast it to a timestamp with a zone"),
        ("strike_price", pa.array(["100"]), "Cast it to a decimal"),
        ("iv", pa.array(["0.5"]), "is a string, and no number"),
        ("id", pa.array([1.0]), "is a double, and no number"),
        ("id", pa.array([2**63], pa.uint64()), "rows 1 to 1"),
        ("option_type", pa.array([1]), "is a int64, and not text"),
    ],
)
def test_a_column_that_is_not_exact_is_refused(
    connection: Connection, name: str, column: Any, said: str
) -> None:
    data = table(quote(1))
    data = data.set_column(data.column_names.index(name), name, column)
    with pytest.raises(LoadError, match=f"column '{name}'.*{said}"):
        ingest_arrow_options(connection, data, source="o")
    assert stored(connection) == []


def test_a_parquet_file_is_loaded_and_again(connection: Connection, tmp_path: Path) -> None:
    rows = [quote(n)._replace(id=None) for n in range(1, 6)]
    path = tmp_path / "quotes.parquet"
    pq.write_table(table(*rows), path)
    for inserted in (5, 0):
        loaded = load_options(connection, path, batch_rows=2)
        assert (loaded.layout, loaded.source) == ("arrow", "quotes.parquet")
        assert loaded.report == IngestReport(inserted, 5 - inserted)
        assert loaded.bytes_read == loaded.total_bytes == path.stat().st_size
    with pytest.raises(ValueError, match="batch_rows is 0"):
        ingest_arrow_options(connection, table(*rows), source="o", batch_rows=0)


def test_both_kinds_of_connection_do_the_same(database: Database) -> None:
    trades = [make.trade(n) for n in range(3)]
    quotes = table(*(quote(n) for n in range(3)), quote(4, bid_price=D(-1)))
    columns = ("id", "symbol", "exchange", "timestamp", "price", "volume")
    told = pa.table({n: [getattr(t, n) for t in trades] for n in columns if n in Trade._fields})
    told = told.set_column(3, "timestamp", told["timestamp"].cast(pa.timestamp("us", "UTC")))

    async def load(times: list[ArrowReport]) -> list[ArrowReport]:
        connection = await psycopg.AsyncConnection.connect(database.dsn, autocommit=True)
        async with connection:
            return [
                await ingest_arrow_options_async(
                    connection, quotes, source="o", batch_rows=2, progress=times.append
                ),
                await ingest_arrow_async(connection, told, source="t", id_space="trade"),
            ]

    progress: list[ArrowReport] = []
    assert asyncio.run(load(progress)) == [ArrowReport(3, 0, 1), ArrowReport(3)]
    assert progress == [ArrowReport(2), ArrowReport(3, 0, 1)]
    assert asyncio.run(load([])) == [ArrowReport(0, 3, 1), ArrowReport(0, 3)]
