"""What the archive holds in the columns of an answer, and answers as rows and back."""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from decimal import MAX_PREC, Decimal, localcontext
from itertools import islice
from typing import Any, TypeVar

from entasis_db.extras import extra
from entasis_db.history.candles import Rates
from entasis_db.queries.arrow import Csv, columns_of, fitted, schema_of

with extra("archive"):
    import pyarrow as pa
    import pyarrow.compute as pc

Row = TypeVar("Row")

_ROWS = 8192  # of a record batch that is made of rows


def shaped(kind: type, table: Any, rates: Rates, floats: bool) -> Iterator[Any]:
    """Bring rows of the archive into record batches as queries answer them."""
    columns: dict[str, Any] = {name: table.column(name) for name in table.column_names}
    if "turnover" in kind._fields:  # type: ignore[attr-defined]
        columns["turnover"], columns["turnover_text"] = _turnover(table, rates)
    if floats:
        for column in columns_of(kind):
            if pa.types.is_decimal(column.type):
                texts = columns[column.name].cast(pa.string())
                if column.has_text:
                    texts = pc.coalesce(texts, columns[f"{column.name}_text"])
                # Arrow's cast of decimals is not always to the nearest
                columns[column.name] = texts.cast(pa.float64())
    schema = schema_of(kind, floats)
    yield from pa.table([columns[name] for name in schema.names], schema=schema).to_batches()


def _turnover(table: Any, rates: Rates) -> tuple[Any, Any]:
    """Return turnover, and as text what of it no decimal holds."""
    wide = table.schema.field("quote_volume").type
    if rates.per_volume is None and rates.per_quote_volume is None:
        return pa.nulls(table.num_rows, wide), pa.nulls(table.num_rows, pa.string())
    if rates.per_volume is None and rates.per_quote_volume == 1:
        return table.column("quote_volume"), table.column("quote_volume_text")
    volumes = _numbers(table.column("volume"), table.column("volume_text"))
    sums = _numbers(table.column("quote_volume"), table.column("quote_volume_text"))
    with localcontext() as context:
        context.prec = MAX_PREC
        found = [f"{rates.turnover(*pair):f}" for pair in zip(volumes, sums, strict=True)]
    numbers, texts = fitted(pa.array(found, pa.string()), wide)
    return numbers, texts


def rows_of(kind: type[Row], batch: Any) -> list[Row]:
    """Make rows of a record batch, whose numbers are exact."""
    values: list[list[Any]] = []
    named: type = kind
    for column in columns_of(named):
        found = batch.column(column.name)
        if pa.types.is_decimal(column.type):
            texts = batch.column(f"{column.name}_text") if column.has_text else None
            values.append(_numbers(found, texts))
        elif pa.types.is_timestamp(column.type):
            values.append([_in_utc(time) for time in found.cast(pa.timestamp("us")).to_pylist()])
        else:
            values.append(found.to_pylist())
    make: Callable[[Any], Row] = kind._make  # type: ignore[attr-defined]
    return [make(row) for row in zip(*values, strict=True)]


def _in_utc(time: datetime | None) -> datetime | None:
    return None if time is None else time.replace(tzinfo=UTC)


def _numbers(column: Any, texts: Any) -> list[Any]:
    """Return decimals without the zeros that the column's scale puts behind them."""
    found = pc.cast(column, pa.string())
    tiny = pc.match_substring(found, "E")
    found = pc.if_else(tiny, found, pc.ascii_rtrim(pc.ascii_rtrim(found, "0"), "."))
    if texts is not None:
        found = pc.coalesce(found, texts)
    return [None if text is None else Decimal(text) for text in found.to_pylist()]


def batches_of(kind: type, rows: Iterable[Any], floats: bool) -> Iterator[Any]:
    """Make record batches of rows."""
    form = Csv(kind, floats, b"ISO")
    remaining = iter(rows)
    while some := list(islice(remaining, _ROWS)):
        lines = (",".join(map(_text, row)) for row in some)
        yield form.parse(bytearray("\n".join(lines) + "\n", "utf-8"))


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return '"' + value.replace('"', '""') + '"'
    if isinstance(value, datetime):
        return value.isoformat(" ")
    return f"{value:f}" if isinstance(value, Decimal) else str(value)
