"""Arrow and Parquet: the same rows as one by one, and no float that is taken for exact."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from entasis_db.errors import IdSpaceError, LoadError
from entasis_db.ingest import (
    ArrowReport,
    IngestReport,
    ingest_arrow,
    ingest_trades,
    limits,
    load_trades,
)
from entasis_db.ingest.arrow_batch import ArrowBatch
from entasis_db.model import Trade
from entasis_db.readers import arrow_tables
from entasis_db.readers.arrow import read_arrow
from tests import oracle
from tests.contract.trades.support import by_key, quarantined, with_months
from tests.db import Connection, one, wipe
from tests.engines import Database
from tests.make import NOON, D, trade

pytestmark = [pytest.mark.copy, pytest.mark.newest_server, pytest.mark.native_speed]

SCHEMA = pa.schema(
    [
        ("symbol", pa.string()),
        ("exchange", pa.string()),
        ("timestamp", pa.timestamp("us", "UTC")),
        ("id", pa.int64()),
        ("price", pa.decimal128(38, 14)),
        ("volume", pa.decimal128(38, 12)),
        ("side", pa.string()),
    ]
)


def table(*trades: Trade, schema: pa.Schema = SCHEMA) -> pa.Table:
    return pa.Table.from_pylist([t._asdict() for t in trades], schema)


def load(connection: Connection, data: Any, **options: Any) -> ArrowReport:
    return ingest_arrow(connection, data, **{"source": "a", "id_space": "trade", **options})


trades = st.builds(
    lambda number, symbol, minute, price, volume, side: trade(
        0,
        id=number,
        symbol=symbol,
        timestamp=NOON + timedelta(minutes=minute),
        price=price,
        volume=volume,
        side=side,
    ),
    st.integers(0, 30) | st.sampled_from([-(2**63), 2**63 - 1]),
    st.sampled_from(["A", "B", "\u20ac x", "back\\slash", "", "x" * 65, " x", "t\tx"]),
    st.integers(-10, 10) | st.sampled_from([-10_000_000, 10_000_000]),
    st.sampled_from(
        [
            *(D("1"), D("0"), D("-1"), D("0.000000000001"), D("0.00000000000012")),
            *(D("61804.5"), D("99999999999999999999.5"), D("1E20"), D("1E23")),
        ]
    )
    | st.integers(1, 10**20).map(lambda n: D(n).scaleb(-8)),
    st.sampled_from([D("1.50"), D("0.1"), D(0)]),
    st.sampled_from(["buy", "sell", None, "BUY", ""]),
)


@example(rows=[trade(1, symbol="back\\slash")], batch_rows=2)
@given(rows=st.lists(trades, max_size=25), batch_rows=st.integers(1, 30))
def test_arrow_does_what_trades_one_by_one_do(
    shared_connection: Connection, rows: list[Trade], batch_rows: int
) -> None:
    connection = shared_connection
    found = []
    for way in ("arrow", "by hand"):
        wipe(connection)
        with_months(connection)  # else each would begin by the slow way
        total = IngestReport()
        if way == "arrow":
            told: list[ArrowReport] = []
            load(connection, table(*rows), batch_rows=batch_rows, progress=told.append)
            counts = asdict(told[-1]) if told else asdict(ArrowReport())
            assert counts.pop("truncated_nanoseconds") == 0
        else:
            for start in range(0, len(rows), batch_rows):
                part = rows[start : start + batch_rows]
                lines = range(start + 1, start + 1 + len(part))
                batch = ingest_trades(connection, part, source="a", id_space="trade", lines=lines)
                total += batch
            counts = asdict(total)
        stored = oracle.stored_trades(connection)
        oracle.assert_candles_are_right(connection, stored)
        sides = oracle.stored_sides(connection)
        found.append((counts, stored, sides, quarantined(connection)))
    assert found[0] == found[1]


@pytest.mark.direct_copies
def test_a_clean_batch_is_copied_as_a_whole(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_months(connection)
    rows = [trade(n, symbol="BA"[n % 2], price=D(n + 1).scaleb(-12)) for n in range(100)]
    monkeypatch.setattr(ArrowBatch, "staged_text", lambda *_: pytest.fail("row by row"))
    sliced = pa.concat_tables([table(*rows[:30]).slice(10), table(*rows[30:])])
    assert load(connection, sliced, batch_rows=33) == ArrowReport(90)
    oracle.assert_candles_are_right(connection, by_key(*rows[10:]))
    written = connection.execute("SELECT symbol FROM entasis.market_data ORDER BY ctid").fetchall()
    assert written[:33] == sorted(written[:33])


@pytest.mark.direct_copies
def test_clean_sides_are_copied_as_a_whole(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_months(connection)
    monkeypatch.setattr(ArrowBatch, "staged_text", lambda *_: pytest.fail("row by row"))
    rows = [trade(1, side="buy"), trade(2), trade(3, side="sell")]
    assert load(connection, table(*rows)) == ArrowReport(3)
    sides = {key[3]: side for key, side in oracle.stored_sides(connection).items()}
    assert sides == {1: "buy", 2: None, 3: "sell"}


def test_sides_are_filled_in(connection: Connection) -> None:
    load(connection, table(trade(1), trade(2)).drop_columns("side"))
    data = table(trade(1, side="buy"), trade(2, side="taker"))
    assert load(connection, data) == ArrowReport(0, 1, 1)
    sides = {key[3]: side for key, side in oracle.stored_sides(connection).items()}
    assert sides == {1: "buy", 2: None}
    assert quarantined(connection) == [("a", 2, "side")]


KINDS: dict[str, Callable[[], Any]] = {
    "table": lambda: table(trade(1), trade(2)),
    "batch": lambda: table(trade(1), trade(2)).to_batches()[0],
    "reader": lambda: table(trade(1), trade(2)).to_reader(),
    "dictionary": lambda: table(trade(1), trade(2)).set_column(
        0, "symbol", pa.array(["BTC", "BTC"]).dictionary_encode()
    ),
    "large text": lambda: table(trade(1), trade(2)).cast(
        SCHEMA.set(0, pa.field("symbol", pa.large_string()))
    ),
    "text views": lambda: table(trade(1), trade(2)).cast(
        SCHEMA.set(0, pa.field("symbol", pa.string_view()))
    ),
    "zone": lambda: table(trade(1), trade(2)).cast(
        SCHEMA.set(2, pa.field("timestamp", pa.timestamp("ms", "+02:00")))
    ),
    "decimal256": lambda: table(trade(1), trade(2)).cast(
        SCHEMA.set(4, pa.field("price", pa.decimal256(60, 20)))
    ),
    "floats": lambda: table(trade(1), trade(2)).cast(
        SCHEMA.set(4, pa.field("price", pa.float64())), safe=False
    ),
    "dictionary of sides": lambda: table(trade(1), trade(2)).set_column(
        6, "side", pa.array([None, None], pa.string()).dictionary_encode()
    ),
    "sides of no type": lambda: table(trade(1), trade(2)).set_column(
        6, "side", pa.array([None, None])
    ),
    "no sides": lambda: table(trade(1), trade(2)).drop_columns("side"),
    "more columns": lambda: table(trade(1), trade(2)).append_column("x", pa.array([None, 1])),
}


@pytest.mark.parametrize("kind", KINDS)
def test_forms_of_the_same(connection: Connection, kind: str) -> None:
    options = {"decimals": 2} if kind == "floats" else {}
    assert load(connection, KINDS[kind](), **options) == ArrowReport(2)
    assert oracle.stored_trades(connection) == by_key(trade(1), trade(2))
    assert load(connection, KINDS[kind](), **options) == ArrowReport(0, 2)


def test_integers_and_constants(connection: Connection) -> None:
    data = pa.table(
        {
            "id": pa.array([1], pa.uint8()),
            "timestamp": pa.array([NOON], pa.timestamp("s", "UTC")),
            "price": pa.array([7], pa.int32()),
            "volume": pa.array([2], pa.uint64()),
        }
    )
    assert load(connection, data, symbol="BTC", exchange="x") == ArrowReport(1)
    expected = Trade(symbol="BTC", exchange="x", timestamp=NOON, id=1, price=D(7), volume=D(2))
    assert oracle.stored_trades(connection) == by_key(expected)


@pytest.mark.parametrize(
    ("column", "values", "said"),
    [
        ("price", pa.array([0.1]), r"cast\(decimal128"),
        ("price", pa.array(["0.1"]), r"Cast it to a decimal"),
        ("timestamp", pa.array([NOON.replace(tzinfo=None)]), "with a zone"),
        ("timestamp", pa.array([1]), "with a zone"),
        ("id", pa.array(["1"]), "Ids are integers"),
        ("symbol", pa.array([1]), "not text"),
        ("id", pa.array([2**64 - 1], pa.uint64()), "rows 1 to 1.*Nothing of them"),
    ],
)
def test_what_is_not_exact_is_refused(
    connection: Connection, column: str, values: Any, said: str
) -> None:
    data = table(trade(1))
    data = data.set_column(data.column_names.index(column), column, values)
    with pytest.raises(LoadError, match=said):
        load(connection, data)
    assert oracle.stored_trades(connection) == {}


@pytest.mark.parametrize(
    ("price", "kind", "fits"),
    [
        ("99999999999999999999", pa.decimal128(38, 0), True),
        ("99999999999999999999.999999999999999999", pa.decimal128(38, 18), True),
        ("99999999999999999999.999999999999999999", pa.decimal256(76, 40), True),
        ("0.000000000000000001", pa.decimal128(38, 38), True),
        ("0.0000000000000000001", pa.decimal128(38, 38), False),
        ("100000000000000000000", pa.decimal128(38, 0), False),
        # Arrow takes it for 18960114910927365649.47... when it is given 18 decimals
        ("1E30", pa.decimal128(38, 0), False),
        ("1E30", pa.decimal256(60, 20), False),
    ],
)
def test_numbers_at_the_bounds_in_any_decimal(
    connection: Connection, price: str, kind: Any, fits: bool
) -> None:
    with_months(connection)
    data = table(trade(1)).set_column(4, "price", pa.array([D(price)], kind))
    assert load(connection, data) == (ArrowReport(1) if fits else ArrowReport(0, 0, 1))
    assert one(connection, "SELECT sum(price) FROM entasis.market_data") == (
        D(price) if fits else None
    )
    if not fits:
        kept = one(connection, "SELECT payload->'price' FROM entasis.quarantine")
        assert D(str(kept)) == D(price)


def test_floats_of_a_stated_number_of_decimals(connection: Connection) -> None:
    def floats(*prices: float) -> pa.Table:
        rows = table(*(trade(n) for n in range(len(prices))))
        return rows.set_column(4, "price", pa.array(prices))

    load(connection, floats(0.1, 61804.55, 1e-2), decimals=2)
    assert sorted(price for price, _ in oracle.stored_trades(connection).values()) == [
        *(D("0.01"), D("0.1"), D("61804.55"))
    ]
    with pytest.raises(LoadError, match=r"row 2 of them, 0.125, has more than 2 decimals"):
        load(connection, floats(0.1, 0.125), decimals=2)
    for price in (float("nan"), float("inf")):
        with pytest.raises(LoadError, match="Nothing of them"):
            load(connection, floats(price), decimals=2)
    with pytest.raises(ValueError, match="decimals is 19"):
        load(connection, floats(0.1), decimals=19)


def test_nulls_go_to_quarantine(connection: Connection) -> None:
    data = table(trade(1), trade(2), trade(3))
    data = data.set_column(4, "price", pa.array([D(1), None, D(1)], pa.decimal128(38, 2)))
    data = data.set_column(0, "symbol", pa.array(["BTC", "BTC", None]))
    assert load(connection, data) == ArrowReport(1, 0, 2)
    assert quarantined(connection) == [("a", 2, "price"), ("a", 3, "symbol")]
    assert load(connection, data.slice(1)) == ArrowReport(0, 0, 2)


def test_missing_columns_and_other_things(connection: Connection) -> None:
    data = table(trade(1))
    with pytest.raises(LoadError, match=r"no column 'exchange'.*or give exchange="):
        load(connection, data.drop_columns("exchange"))
    with pytest.raises(LoadError, match="no column 'price': rename"):
        load(connection, data.drop_columns("price"))
    with pytest.raises(TypeError, match="no Arrow data"):
        load(connection, [1])
    with pytest.raises(ValueError, match="batch_rows"):
        load(connection, data, batch_rows=0)
    load(connection, data)
    with pytest.raises(IdSpaceError, match="a, line 2"):
        load(connection, table(trade(1, symbol="NEW"), trade(5)), id_space="aggtrade")


def test_inside_a_transaction_of_the_callers(connection: Connection) -> None:
    with pytest.raises(ZeroDivisionError), connection.transaction():
        assert load(connection, table(trade(1)), batch_rows=1) == ArrowReport(1)
        raise ZeroDivisionError
    assert oracle.stored_trades(connection) == {}


def test_nanoseconds_are_cut_and_counted(connection: Connection) -> None:
    stamps = [1_700_000_000_123_456_789, 1_700_000_000_123_456_000]
    data = table(trade(1), trade(2)).set_column(
        2, "timestamp", pa.array(stamps, pa.timestamp("ns", "UTC"))
    )
    assert load(connection, data) == ArrowReport(2, truncated_nanoseconds=1)
    cut = datetime(2023, 11, 14, 22, 13, 20, 123456, tzinfo=UTC)
    assert {time for _, _, time, _ in oracle.stored_trades(connection)} == {cut}


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_files(connection: Connection, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a file"
    rows = [trade(n) for n in range(10)]
    if kind == "parquet":
        pq.write_table(table(*rows), path, row_group_size=3)
    else:
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, SCHEMA) as writer:
            writer.write_table(table(*rows), max_chunksize=3)
    loaded = load_trades(connection, path, id_space="trade", batch_rows=4)
    assert (loaded.report.inserted, loaded.layout, loaded.source) == (10, "arrow", "a file")
    assert loaded.bytes_read == loaded.total_bytes == path.stat().st_size
    assert oracle.stored_trades(connection) == by_key(*rows)
    with pytest.raises(LoadError, match="--id-space"):
        load_trades(connection, path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(LoadError, match="cannot be read"):
        load_trades(connection, path, id_space="trade")
    path.write_bytes(b"symbol,exchange")
    with pytest.raises(LoadError, match="neither"):
        read_arrow(path)


def test_the_bounds_are_those_of_ingest() -> None:
    assert arrow_tables.PRICE_DECIMALS == limits.PRICE_DECIMALS


def test_polars_and_pandas_come_through_the_c_stream(database: Database) -> None:
    class Frame:
        """What Polars and pandas have in common."""

        def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
            return table(trade(1)).__arrow_c_stream__(requested_schema)

    with database.connect() as connection:
        assert load(connection, Frame()) == ArrowReport(1)


def test_a_trade_of_the_future_is_no_trade(connection: Connection) -> None:
    """Although there is a partition for it."""
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    connection.execute(
        "SELECT entasis.ensure_partitions('market_data', %s, %s)",
        [tomorrow - timedelta(days=2), tomorrow + timedelta(days=1)],
    )
    assert load(connection, table(trade(1, timestamp=tomorrow))) == ArrowReport(0, 0, 1)
