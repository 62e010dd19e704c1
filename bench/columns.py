"""What columns cost: tables that differ in them alone, loaded by the same COPY in turn."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from psycopg import sql
from psycopg.types.json import Jsonb

from bench.context import Bench
from bench.loaders import Connection
from bench.measure import MeasurementError, Row, alternate, only_row, ratio, timed

_TABLES = Path(__file__).with_name("columns.sql")


@dataclass(frozen=True)
class Variant:
    """A table, and what is copied into it."""

    name: str
    columns: Sequence[str]
    """Those that the text has, in its order."""
    text: bytes
    """All rows as COPY reads them."""
    without: Sequence[str] = ()
    """Columns of ours that it has not."""
    types: Mapping[str, str] = field(default_factory=dict)
    """Types that are others than ours; the CHECKs of these columns are left out."""


@dataclass(frozen=True)
class Comparison:
    """What one of the tables costs more than another one."""

    label: str
    more: str
    less: str


@contextmanager
def tables(bench: Bench, relation: str, variants: Sequence[Variant]) -> Iterator[Connection]:
    """Lend a database in which each variant has its table."""
    with (
        bench.database(bench.templates.migrated, "columns") as name,
        bench.server.connect(name) as connection,
    ):
        connection.execute(_TABLES.read_bytes())
        for variant in variants:
            connection.execute(
                "SELECT bench.table_like(%s::regclass, %s, %s, %s)",
                [relation, variant.name, list(variant.without), Jsonb(dict(variant.types))],
            )
        yield connection


def compare(
    bench: Bench,
    relation: str,
    rows: int,
    variants: Sequence[Variant],
    comparisons: Sequence[Comparison],
) -> Iterator[Row]:
    """Load each table in turn, a round at a time; then weigh them."""
    with tables(bench, relation, variants) as connection:
        samples = alternate(
            {v.name: partial(_load, bench, connection, v, rows) for v in variants},
            bench.effort.short_rounds,
            warm_up=1,
        )
        weights = {variant.name: _bytes(connection, variant) / rows for variant in variants}
    for comparison in comparisons:
        label = f"{rows:,} rows, {comparison.label}"
        yield ratio(label, samples, comparison.less, comparison.more)
        yield Row(
            f"{label}: a row",
            weights[comparison.more],
            unit="bytes",
            remark=f"instead of {weights[comparison.less]:.1f}",
        )


def _load(bench: Bench, connection: Connection, variant: Variant, rows: int) -> float:
    bench.progress(f"loading {variant.name}")
    table = sql.Identifier("bench", variant.name)
    connection.execute(sql.SQL("TRUNCATE {}").format(table))
    bench.server.checkpoint()
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        table, sql.SQL(", ").join(map(sql.Identifier, variant.columns))
    )

    def copy() -> None:
        with connection.cursor() as cursor:
            with cursor.copy(statement) as copying:
                copying.write(variant.text)
            if cursor.rowcount != rows:
                raise MeasurementError(f"{cursor.rowcount} of {rows} rows were copied")

    return timed(copy)


def _bytes(connection: Connection, variant: Variant) -> float:
    table = sql.Identifier("bench", variant.name)
    connection.execute(sql.SQL("VACUUM {}").format(table))
    (size,) = only_row(
        connection, "SELECT pg_total_relation_size(format('bench.%%I', %s::text))", variant.name
    )
    return float(size)
