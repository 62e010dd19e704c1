"""What each part of the table costs a load."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from psycopg import sql

from bench import data
from bench.context import Bench
from bench.line import Sizes, Subject
from bench.loaders import in_batches
from bench.measure import Row, alternate, ratio

TITLE = "What each part of the table costs: throughput of COPY, the bare table being 1"
HOW = (
    "Plain COPY, in batches from memory, into an empty market_data that was stripped of its parts;"
    " every figure has those of the lines above it too. Bare means partitioned, with its NOT NULLs."
)
SUBJECT = Subject.LOADING
SIZES = Sizes.ONCE

_BARE = "bare table"
Statements = Sequence[sql.SQL | sql.Composed]


def run(bench: Bench) -> Iterator[Row]:
    """Load into the table stripped of its parts, and with one more at each step."""
    load = bench.load(in_batches(bench.stored_trades, bench.batch))
    payloads = [data.payload(batch) for batch in load.batches()]
    bench.progress("stripping the table of its parts")
    parts = _parts(bench)
    databases = [bench.templates.migrated]
    for _, strip in parts:
        databases.append(bench.server.clone(databases[-1], "stripped"))
        with bench.server.connect(databases[-1]) as connection:
            for statement in strip:
                connection.execute(statement)
    labels = [*(f"+ {part}" for part, _ in parts), _BARE]
    arms: dict[str, Callable[[], float]] = {}
    for label, database in reversed(list(zip(labels, databases, strict=True))):
        way = partial(load.by_copy, payloads=lambda: payloads)
        what = f"plain COPY of {bench.size:,} trades, {label}"
        arms[label] = bench.fresh(database, what, way)
    samples = alternate(arms, bench.effort.rounds)
    for database in databases[1:]:
        bench.server.drop(database)
    yield from (ratio(label, samples, _BARE, label) for label in samples if label != _BARE)


def _parts(bench: Bench) -> list[tuple[str, Statements]]:
    """Name what the table has beyond its columns, last part first, with how to take it away.

    Indexes and constraints are those that the catalog has: what the schema gains is measured too.
    """
    alter = sql.SQL("ALTER TABLE entasis.market_data DROP CONSTRAINT {}")
    with bench.server.connect(bench.templates.migrated) as connection:
        indexes = connection.execute(
            """
            SELECT c.relname FROM pg_index AS i INNER JOIN pg_class AS c ON i.indexrelid = c.oid
            WHERE i.indrelid = 'entasis.market_data'::regclass AND NOT i.indisprimary
            ORDER BY c.relname
            """
        ).fetchall()
        constraints = connection.execute(
            """
            SELECT conname, contype FROM pg_constraint
            WHERE conrelid = 'entasis.market_data'::regclass AND contype IN ('p', 'c')
            """
        ).fetchall()
    return [
        ("candles", [sql.SQL("ALTER TABLE entasis.market_data DISABLE TRIGGER USER")]),
        *(
            (name, [sql.SQL("DROP INDEX entasis.{}").format(sql.Identifier(name))])
            for (name,) in indexes
        ),
        *(
            (part, [alter.format(sql.Identifier(name)) for name, kind in constraints if kind == of])
            for part, of in (("key", "p"), ("CHECKs", "c"))
        ),
    ]
