"""Answers as Arrow, Polars and pandas: the same values as the rows, exactly."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from itertools import zip_longest
from types import MappingProxyType
from typing import Any, NamedTuple, get_args, get_type_hints
from uuid import UUID

import polars as pl
import psycopg
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from entasis_db import queries
from entasis_db.ingest import ingest_arrow
from entasis_db.queries import Candle, Statement
from entasis_db.queries import arrow as arrow_module
from entasis_db.queries.rows import Computed
from tests.contract.queries.support import DAY, MARCH, MARKET
from tests.contract.queries.test_queries import EXAMPLES, seeded
from tests.engines import Database

pytestmark = [pytest.mark.native_speed, pytest.mark.newest_server_when_short]

__all__ = ["seeded"]

Connection = psycopg.Connection[Any]

# digits before and behind the point of what may have more: docs/decisions/0036
MAY_NOT_FIT = {
    "Candle": {"volume": (20, 18), "quote_volume": (14, 24), "turnover": (14, 24)},
    "SmilePoint": {"moneyness": (14, 24)},
    "PredictionScore": {"actual_value": (14, 24), "error": (14, 24)},
    "PositionSnapshot": {"pnl": (14, 24)},
}

SESSIONS: tuple[dict[str, Any], ...] = (
    {},
    {"options": "-c timezone=America/New_York -c datestyle=SQL,DMY"},
    {"options": "-c timezone=Asia/Kathmandu -c intervalstyle=sql_standard"},
    {"cursor_factory": psycopg.RawCursor},
    {"autocommit": False},
)


def plain(number: Decimal) -> str:
    """Write a number as PostgreSQL does, without zeros at its end."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def computed(kind: Any) -> dict[str, tuple[int, int]]:
    """Find the numbers that a row's class says are computed."""
    hints = get_type_hints(kind, include_extras=True).items()
    return {name: (14, 24) for name, hint in hints if Computed in {hint, *get_args(hint)}}


def in_arrow(rows: Sequence[Any], kind: Any, floats: bool = False) -> list[dict[str, Any]]:
    """Say what the rows are in Arrow, as Python's values."""
    found = []
    for row in rows:
        line: dict[str, Any] = {}
        limits = MAY_NOT_FIT.get(kind.__name__) or computed(kind)
        for name, value in row._asdict().items():
            line[name] = str(value) if isinstance(value, UUID) else value
            if isinstance(value, Decimal) and floats:
                line[name] = float(value)
            elif name in limits and not floats:
                whole, scale = limits[name]
                fits = value is None or (
                    value.copy_abs() < 10**whole and value == round(value, scale, Context(prec=400))
                )
                line[name] = value if fits else None
                line[f"{name}_text"] = None if fits else plain(value)
        found.append(line)
    return found


def round(number: Decimal, decimals: int, context: Context) -> Decimal:  # noqa: A001
    return number.quantize(Decimal(1).scaleb(-decimals), context=context)


def check(
    connection: Connection, statement: Statement[Any], floats: bool = False
) -> tuple[Any, Any]:
    """Compare Arrow's table with the rows, and return both."""
    rows = statement.fetch(connection)
    table = statement.arrow(connection, floats=floats)
    assert table.schema == statement.arrow_schema(floats=floats)
    assert table.to_pylist() == in_arrow(rows, statement.row, floats)
    table.validate(full=True)
    return table, rows


# --- every query, on every kind of session -------------------------------------------------------


@pytest.mark.parametrize("statement", EXAMPLES, ids=lambda s: s.name)
def test_every_query_gives_its_rows(seeded: Database, statement: Statement[Any]) -> None:
    async def run() -> tuple[Any, ...]:
        async with await psycopg.AsyncConnection.connect(seeded.dsn, autocommit=True) as connection:
            batches = statement.record_batches_async(connection)
            return (
                await statement.arrow_async(connection),
                await statement.polars_async(connection),
                await statement.pandas_async(connection),
                [batch async for batch in batches],
            )

    for options in SESSIONS:
        if "datestyle" in str(options) and not seeded.can("any_datestyle"):
            continue
        with seeded.connect(**options) as connection:
            table, rows = check(connection, statement)
            assert rows
    with seeded.connect() as connection:
        check(connection, statement, floats=True)
        frames = statement.polars(connection), statement.pandas(connection)
    assert frames[0].to_dicts() == table.to_pylist()
    assert pa.Table.from_pandas(frames[1], table.schema, preserve_index=False) == table
    found = asyncio.run(run())
    assert found[0] == table
    assert found[1].equals(frames[0])
    assert found[2].equals(frames[1])
    assert pa.Table.from_batches(found[3]) == table


@pytest.mark.native_speed  # encodings are no engine's, and WebAssembly has none but UTF-8
def test_the_clients_encoding_does_not_count(seeded: Database) -> None:
    with seeded.connect(client_encoding="latin1") as connection:
        check(connection, anything([("K\u00f6ln", *(None,) * 6)]))
        table = anything([("\u20bf", *(None,) * 6)])
        with pytest.raises(UnicodeEncodeError):  # as a parameter, as everywhere
            table.arrow(connection)


def test_an_empty_answer_has_the_same_schema(connection: Connection) -> None:
    for statement in EXAMPLES:
        table, rows = check(connection, statement)
        assert rows == []
        assert table.num_rows == 0
        assert list(statement.record_batches(connection)) == []
        names = table.column_names
        assert statement.polars(connection).columns == names
        assert statement.pandas(connection).columns.to_list() == names


def test_schemas_are_those_that_the_page_says() -> None:
    numbers = {
        str(field.type)
        for statement in EXAMPLES
        for field in statement.arrow_schema()
        if pa.types.is_decimal(field.type)
    }
    assert numbers == {
        "decimal128(38, 18)",
        "decimal128(38, 24)",
        "decimal128(24, 12)",
        "decimal128(30, 18)",
    }
    schema = queries.candles(*MARKET, "1m", MARCH, MARCH + DAY).arrow_schema()
    assert schema.field("bucket").type == pa.timestamp("us", "UTC")
    assert schema.names[7:11] == ["volume", "volume_text", "quote_volume", "quote_volume_text"]
    floats = queries.candles(*MARKET, "1m", MARCH, MARCH + DAY).arrow_schema(floats=True)
    assert floats.names == list(Candle._fields)


# --- any value ----------------------------------------------------------------------------------


class Anything(NamedTuple):
    text: str | None
    price: Decimal | None
    time: datetime | None
    flag: bool | None
    number: int | None
    gap: timedelta | None
    whose: UUID | None
    words: list[str] | None


ANYTHING = """
    SELECT
        v.text, v.price, v.time, v.flag, v.number, v.gap, v.whose,
        CASE WHEN v.text <> 'none' THEN ARRAY[v.text, '', 'a"b', 'c\\d'] END AS words
    FROM unnest(
        %(text)s::text[], %(price)s::numeric[], %(time)s::timestamptz[], %(flag)s::boolean[],
        %(number)s::bigint[], %(gap)s::interval[], %(whose)s::uuid[]
    ) WITH ORDINALITY AS v (text, price, time, flag, number, gap, whose, line)
    ORDER BY v.line
"""

texts = st.one_of(
    st.sampled_from(["", "none", " ", "a,b", '"', 'a"b', "a\nb", "a\r\nb", "\\N", "\\.", "'%s'"]),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8),
)
# whatever prices the schema lets in, with as many zeros behind as a client may write
prices_ = st.builds(
    lambda price, zeros: (
        price.quantize(Decimal(1).scaleb(-zeros), context=Context(prec=60))
        if price == 0
        else Decimal(f"{price:f}" + ("" if "." in f"{price:f}" else ".") + "0" * zeros)
    ),
    st.decimals(-(10**20) + 1, 10**20 - 1, places=18),
    st.sampled_from([0, 0, 1, 12]),
)
times = st.datetimes(datetime(1800, 1, 1), datetime(9998, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
rows_of_anything = st.lists(
    st.tuples(
        st.none() | texts,
        st.none() | prices_,
        st.none() | times,
        st.none() | st.booleans(),
        st.none() | st.integers(-(2**63), 2**63 - 1),
        st.none() | st.timedeltas(timedelta(-(10**5)), timedelta(10**5)),
        st.none() | st.uuids(),
    ),
    max_size=12,
)


def anything(rows: Sequence[tuple[Any, ...]]) -> Statement[Anything]:
    names = Anything._fields[:-1]
    columns = zip(*rows, strict=True) if rows else [()] * len(names)
    params = {n: list(c) for n, c in zip_longest(names, columns)}
    return Statement("anything", ANYTHING, MappingProxyType(params), Anything)


@given(rows=rows_of_anything, session=st.sampled_from(SESSIONS[:3]), size=st.sampled_from([1, 99]))
def test_any_value_is_the_rows(
    server_connections: dict[str, Connection],
    rows: list[tuple[Any, ...]],
    session: dict[str, Any],
    size: int,
) -> None:
    connection = server_connections[str(session)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrow_module, "FIRST_BYTES", size)
        patch.setattr(arrow_module, "MOST_BYTES", size)
        table, found = check(connection, anything(rows))
    assert [tuple(row)[:-1] for row in found] == rows
    if size == 1:
        assert [len(batch) for batch in table.to_batches()] == [1] * len(rows)


@pytest.fixture(scope="module")
def server_connections(seeded: Database) -> Any:
    with (
        seeded.connect(**SESSIONS[0]) as one,
        seeded.connect(**SESSIONS[1]) as two,
        seeded.connect(**SESSIONS[2]) as three,
    ):
        yield {str(s): c for s, c in zip(SESSIONS, (one, two, three), strict=False)}


CANDLES = """
    SELECT
        'BTC' AS symbol, 'x' AS exchange, '2024-03-01 00:00+00'::timestamptz AS bucket,
        1.0 AS open, 1.0 AS high, 1.0 AS low, 1.0 AS close, v.volume, v.quote_volume,
        1::bigint AS trades, NULL::timestamptz AS opened_at, NULL::bigint AS first_trade_id,
        NULL::timestamptz AS closed_at, NULL::bigint AS last_trade_id, v.turnover
    FROM unnest(%(volume)s::numeric[], %(quote_volume)s::numeric[], %(turnover)s::numeric[])
        WITH ORDINALITY AS v (volume, quote_volume, turnover, line)
    ORDER BY v.line
"""
sums = st.one_of(
    st.decimals(0, 10**6, places=8),
    st.decimals(-(10**14) - 1, 10**14 + 1, places=24),
    st.builds(
        lambda digits, scale: Decimal(digits).scaleb(-scale, Context(prec=99)),
        st.integers(0, 10**44) | st.sampled_from([10**n + d for n in (38, 39) for d in (-1, 0)]),
        st.integers(0, 36),
    ),
    st.sampled_from([Decimal(10) ** n - d for n in (14, 20, 30) for d in (0, 1)]),
)


@example([(Decimal("123456789012345.5"),) * 3])
@example([(Decimal("123456789012345678901.5"),) * 3])
@example([(Decimal(10) ** 14,) * 3])
@given(st.lists(st.tuples(sums, sums, st.none() | sums), min_size=1, max_size=6))
def test_a_sum_that_does_not_fit_is_text_with_every_digit(
    server_connections: dict[str, Connection], drawn: list[tuple[Any, ...]]
) -> None:
    names = ("volume", "quote_volume", "turnover")
    params = {n: list(c) for n, c in zip(names, zip(*drawn, strict=True), strict=True)}
    statement = Statement("sums", CANDLES, MappingProxyType(params), Candle)
    for session in SESSIONS[:2]:
        check(server_connections[str(session)], statement)


def test_a_value_that_arrow_cannot_hold_is_an_error_that_says_so(connection: Connection) -> None:
    for time in ("infinity", "-infinity", "0044-03-15 12:00+00 BC"):
        params: Any = {**anything([(None,) * 7]).params, "time": [time]}
        statement = Statement("anything", ANYTHING, MappingProxyType(params), Anything)
        with pytest.raises(psycopg.DataError):
            statement.arrow(connection)
    fine = anything([(None, Decimal("1.0000000000000000001"), *(None,) * 5)])
    with pytest.raises(psycopg.DataError, match=r"price is 1\.0000000000000000001"):
        fine.arrow(connection)
    assert fine.arrow(connection, floats=True)["price"].to_pylist() == [1.0]


# --- what goes in again, and what is left in the middle ------------------------------------------


def test_trades_can_be_written_again(seeded: Database) -> None:
    with seeded.connect() as connection:
        table = queries.trades(*MARKET, MARCH, MARCH + DAY).arrow(connection)
        report = ingest_arrow(connection, table, source="again", id_space="ordinal")
        assert (report.inserted, report.already_there) == (0, table.num_rows)


def test_batches_can_be_left_and_the_connection_goes_on(
    seeded: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrow_module, "FIRST_BYTES", 1)
    statement = queries.trades(*MARKET, MARCH, MARCH + DAY)
    with seeded.connect() as connection:
        batches = statement.record_batches(connection)
        first = next(batches)
        batches.close()  # type: ignore[attr-defined]
        assert first.to_pylist() == in_arrow(statement.fetch(connection)[:1], statement.row)

    async def run() -> Any:
        async with await psycopg.AsyncConnection.connect(seeded.dsn, autocommit=True) as connection:
            batches: Any = statement.record_batches_async(connection)
            first = await anext(batches)
            await batches.aclose()
            return first.to_pylist(), await statement.fetch_async(connection)

    found, rows = asyncio.run(run())
    assert found == in_arrow(rows[:1], statement.row)


def test_polars_and_pandas_keep_decimals(seeded: Database) -> None:
    statement = queries.candles(*MARKET, "1m", MARCH, MARCH + DAY)
    with seeded.connect() as connection:
        frame = statement.polars(connection)
        assert frame.schema["close"] == pl.Decimal(38, 18)
        assert statement.polars(connection, floats=True).schema["close"] == pl.Float64
        exact = statement.pandas(connection)
        assert str(exact.dtypes["close"]) == "decimal128(38, 18)[pyarrow]"
        assert isinstance(exact["close"][0], Decimal)
        assert str(statement.pandas(connection, floats=True).dtypes["close"]) == "double[pyarrow]"
