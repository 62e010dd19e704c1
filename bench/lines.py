"""The lines of the benchmark: what each compares, and how."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from random import Random
from time import perf_counter
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from bench import data
from bench.measure import (
    MeasurementError,
    Row,
    Samples,
    Section,
    Target,
    alternate,
    explain,
    ratio,
    timed,
)
from bench.progress import Progress
from bench.server import Server
from entasis_db import queries
from entasis_db.ingest import IngestReport, ingest_trades
from entasis_db.model import Trade

BATCH = 10_000
LARGE_BATCH = 100_000
_LARGE_SIZE = 2_000_000
"""More rows than this are loaded once per arm, and in fewer ways: each load takes minutes."""
_ROUNDS = 3
_SHORT_ROUNDS = 11
"""Rounds of what takes a second or less."""
_ENOUGH_TRADES_A_DAY = 150_000
_LIVELY_TRADES_AN_HOUR = 125_000
"""Of all markets together: some 260 trades a minute each. Binance's largest have more."""
_LATE_IDS = 10**12
"""Added to the ids of late trades, so that they are not those of stored ones."""

_COPY = sql.SQL(f"COPY entasis.market_data ({data.COLUMNS}) FROM STDIN")
_SOURCE = "benchmark"

Connection = psycopg.Connection[Any]
Batches = Callable[[], Iterable[list[Trade]]]
Payloads = Callable[[], Iterable[bytes]]


@dataclass
class Bench:
    """One run: the server, what was found so far, and the databases that others are cloned from."""

    server: Server
    progress: Progress
    sections: dict[int, Section] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.progress("migrating a database")
        self.migrated = self.server.migrated()
        self.plain = self.server.clone(self.migrated, "plain")
        with self.server.connect(self.plain) as connection:
            connection.execute("ALTER TABLE entasis.market_data DISABLE TRIGGER USER")

    def add(self, number: int, title: str, how: str, *rows: Row) -> None:
        """Write figures down, under the line that they belong to."""
        self.sections.setdefault(number, Section(number, title, how)).rows.extend(rows)

    @contextmanager
    def database(self, template: str, label: str) -> Iterator[str]:
        """Lend a clone."""
        name = self.server.clone(template, label)
        try:
            yield name
        finally:
            self.server.drop(name)


def run(bench: Bench, sizes: Sequence[int], numbers: Iterable[int]) -> None:
    """Take the chosen lines at every size."""
    from bench import archive  # which itself needs this module

    wanted = set(numbers)
    if 7 in wanted:
        ladder(bench, min(sizes))
    # which use what is below, and need more than psycopg
    from bench import live

    if 11 in wanted:
        live.writer(bench)
    if 12 in wanted:
        with loaded_database(bench, min(sizes)) as loaded:
            live.cache(bench, loaded)
    if 13 in wanted:
        live.telling(bench)
    if 14 in wanted:
        live.arrow(bench)
    if 15 in wanted:
        from bench import engines

        engines.side_by_side(bench, min(sizes), 15)
    for size in sizes:
        if wanted & {1, 2}:
            ingest(bench, size, wanted)
        if wanted & {3, 4, 5, 6, 8, 9, 10}:
            with loaded_database(bench, size) as loaded:
                for number, line in (
                    (9, storage),
                    (10, archive.line),
                    (4, day_of_candles),
                    (8, latest_prices),
                    (5, month_drop),
                    (3, trigger),
                    (6, refresh),
                ):
                    if number in wanted:
                        line(bench, size, loaded)


# ------------------------------------------------------------------ loading


def stored_trades(size: int) -> Iterator[Trade]:
    """Yield the trades that are loaded at this size; one more batch comes after them."""
    return islice(data.trades(size + BATCH), size)


def lively_trades(size: int) -> Iterator[Trade]:
    """Yield as many trades of the same markets in far less time."""
    return data.trades(size, hours=max(1, size // _LIVELY_TRADES_AN_HOUR))


def load_through_helper(connection: Connection, bench: Bench, size: int, batches: Batches) -> float:
    """Return the seconds in ingest_trades; making the trades is not timed."""
    seconds, done = 0.0, 0
    for batch in batches():
        began = perf_counter()
        report = ingest_trades(connection, batch, source=_SOURCE, id_space=data.ID_SPACE)
        seconds += perf_counter() - began
        if report != IngestReport(inserted=len(batch)):
            raise MeasurementError(f"a clean batch of {len(batch)} trades came to {report}")
        done += len(batch)
        bench.progress.part(done, size)
    if _was_staged(connection):
        raise MeasurementError("a clean batch went through staging")
    return seconds


def load_through_staging(
    connection: Connection, bench: Bench, size: int, batches: Batches
) -> float:
    """Return the seconds in ingest_trades when each batch repeats one trade of the one before."""
    random = Random(size)
    market = data.BUSY_MARKET
    repeated = Trade(market.symbol, market.exchange, data.START, 1, market.tick, market.lot)
    ingest_trades(connection, [repeated], source=_SOURCE, id_space=data.ID_SPACE)
    seconds, done = 0.0, 0
    for batch in batches():
        given = [*batch, repeated]
        began = perf_counter()
        report = ingest_trades(connection, given, source=_SOURCE, id_space=data.ID_SPACE)
        seconds += perf_counter() - began
        if report != IngestReport(inserted=len(batch), already_there=1):
            raise MeasurementError(f"{len(batch)} new trades and a stored one came to {report}")
        repeated = random.choice(batch)
        done += len(batch)
        bench.progress.part(done, size)
    if not _was_staged(connection):
        raise MeasurementError("no batch went through staging")
    return seconds


def load_by_copy(connection: Connection, bench: Bench, size: int, payloads: Payloads) -> float:
    """Return the seconds of plain COPY, one transaction a batch; making the text is not timed."""
    seconds, done = 0.0, 0
    for text in payloads():
        began = perf_counter()
        with connection.transaction(), connection.cursor() as cursor:
            with cursor.copy(_COPY) as copy:
                copy.write(text)
            rows = cursor.rowcount
        seconds += perf_counter() - began
        done += rows
        bench.progress.part(done, size)
    if done != size:
        raise MeasurementError(f"{done} of {size} trades were copied")
    return seconds


def _was_staged(connection: Connection) -> bool:
    """Say whether this session has ever taken the slow way."""
    found = _row(connection, "SELECT to_regclass('pg_temp.entasis_staged_trades') IS NOT NULL")
    return bool(found[0])


def _batches(
    size: int, batch_rows: int, trades: Callable[[int], Iterator[Trade]] = stored_trades
) -> Batches:
    """Make the same batches at every call, one at a time: all of them would fill the memory."""
    return lambda: data.batches(trades(size), batch_rows)


def _fresh(
    bench: Bench, template: str, label: str, load: Callable[[Connection], float]
) -> Callable[[], float]:
    """Make an arm that loads into an empty database of its own."""

    def arm() -> float:
        bench.progress(label)
        with bench.database(template, "arm") as name:
            bench.server.checkpoint()
            with bench.server.connect(name) as connection:
                return load(connection)

    return arm


@contextmanager
def loaded_database(bench: Bench, size: int) -> Iterator[str]:
    """Lend a database with ``size`` trades, vacuumed and analyzed."""
    with bench.database(bench.migrated, "loaded") as name:
        bench.progress(f"filling a database with {size:,} trades")
        with bench.server.connect(name) as connection:
            load_through_helper(connection, bench, size, _batches(size, LARGE_BATCH))
            bench.progress("vacuuming it")
            connection.execute("VACUUM (ANALYZE)")
            (counted,) = _row(connection, "SELECT sum(trades) FROM entasis.ohlcv_1d")
            if counted != size:
                raise MeasurementError(f"the candles count {counted} of {size} trades")
        bench.server.checkpoint()
        yield name


# ------------------------------------------------------------------ 1 and 2: ingest


def ingest(bench: Bench, size: int, wanted: set[int]) -> None:
    """Load the same trades through the helper, through staging, and by plain COPY."""
    if size > _LARGE_SIZE:
        wanted = wanted & {1}
    if wanted & {1, 2}:
        ingest_arms(bench, size, BATCH, stored_trades, wanted)
        ingest_arms(bench, size, LARGE_BATCH, stored_trades, wanted)
    if 1 in wanted and size <= _LARGE_SIZE:
        ingest_arms(bench, size, BATCH, lively_trades, {1})


def ingest_arms(
    bench: Bench,
    size: int,
    batch_rows: int,
    trades: Callable[[int], Iterator[Trade]],
    wanted: set[int],
) -> None:
    """Take lines 1 and 2, as far as they are wanted, with one size of batches."""
    batches = _batches(size, batch_rows, trades)
    what = f"{size:,} trades in batches of {batch_rows:,}"
    if trades is lively_trades:
        what += ", lively markets"

    def payloads() -> Iterator[bytes]:
        return map(data.payload, batches())

    loads: dict[str, tuple[str, Callable[[Connection], float]]] = {
        "plain COPY": (
            bench.plain,
            partial(load_by_copy, bench=bench, size=size, payloads=payloads),
        )
    }
    if 1 in wanted:
        load = partial(load_through_helper, bench=bench, size=size, batches=batches)
        loads["helper"] = (bench.migrated, load)
    if 2 in wanted:
        load = partial(load_through_staging, bench=bench, size=size, batches=batches)
        loads["staging"] = (bench.migrated, load)
    samples = alternate(
        {
            arm: _fresh(bench, template, f"{what}: {arm}", load)
            for arm, (template, load) in loads.items()
        },
        _ROUNDS if size <= _LARGE_SIZE else 1,
    )
    if 1 in wanted:
        density = _LIVELY_TRADES_AN_HOUR // 60 // len(data.MARKETS)
        bench.add(
            1,
            "Ingest of clean batches, against plain COPY into the same indexed table",
            "Throughput of ingest_trades() over that of COPY (text from memory, the same client"
            " library, batches, order and transactions) into a database migrated in the same way"
            " with its triggers disabled. Every load begins with an empty database and a"
            " checkpoint; making trades and text is not timed. The more trades a minute has, the"
            f" less its candles cost: lively markets have some {density} each, the others what 9"
            f" tells. More than {_LARGE_SIZE:,} trades are loaded in one round only.",
            ratio(what, samples, "plain COPY", "helper", Target(">=", 0.7)),
        )
    if 2 in wanted:
        bench.add(
            2,
            "Ingest through staging, against plain COPY into the same indexed table",
            "As 1, but each batch repeats one trade of the batch before, drawn at random: COPY"
            " fails on it, and the batch goes through staging. Not taken with more than"
            f" {_LARGE_SIZE:,} trades.",
            ratio(what, samples, "plain COPY", "staging", Target(">=", 0.4)),
        )


# ------------------------------------------------------------------ 3: the trigger

_INSERT_BATCH = f"""
    INSERT INTO entasis.market_data ({data.COLUMNS})
    SELECT {data.COLUMNS} FROM pg_temp.batch ORDER BY symbol, exchange, timestamp, id
"""
_VACUUM_WRITTEN = """
    VACUUM (INDEX_CLEANUP ON)
    entasis.market_data, entasis.ohlcv_1m, entasis.ohlcv_1h, entasis.ohlcv_1d
"""


def trigger(bench: Bench, size: int, loaded: str) -> None:
    """Compare the upkeep of candles over a full table with that over an empty one."""
    with (
        bench.database(bench.migrated, "empty") as empty,
        bench.server.connect(loaded) as full_table,
        bench.server.connect(empty) as empty_table,
    ):
        for label, batch in (("in order", _next_batch(size)), ("late", _late_batch(size))):
            bench.progress(f"candle upkeep of a batch that is {label}, over {size:,} trades")
            for connection in (full_table, empty_table):
                _put_batch(connection, batch)
            samples = alternate(
                {
                    "full table": partial(_trigger_seconds, full_table),
                    "empty table": partial(_trigger_seconds, empty_table),
                },
                _SHORT_ROUNDS,
                warm_up=1,
            )
            where = "right after them" if label == "in order" else "in their middle"
            bench.add(
                3,
                f"Candle upkeep of one batch of {BATCH:,} trades, against an empty table",
                "Time of the insert trigger, as EXPLAIN (ANALYZE) of INSERT ... SELECT reports it,"
                " over that of the same batch into an empty table. Alternated, rolled back and"
                " vacuumed each time; the first round is dropped.",
                ratio(
                    f"over {size:,} trades, {where}",
                    samples,
                    "full table",
                    "empty table",
                    Target("<=", 1.3),
                ),
            )


def _next_batch(size: int) -> list[Trade]:
    return list(islice(data.trades(size + BATCH), size, None))


def _late_batch(size: int) -> list[Trade]:
    """Return new trades at moments of stored ones: each bucket that they touch has a candle."""
    begin = (size - BATCH) // 2
    stored = islice(data.trades(size + BATCH), begin, begin + BATCH)
    return [trade._replace(id=trade.id + _LATE_IDS) for trade in stored]


def _put_batch(connection: Connection, batch: Sequence[Trade]) -> None:
    connection.execute("DROP TABLE IF EXISTS pg_temp.batch")
    connection.execute("CREATE TEMPORARY TABLE batch (LIKE entasis.market_data INCLUDING DEFAULTS)")
    statement = sql.SQL(f"COPY pg_temp.batch ({data.COLUMNS}) FROM STDIN")
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(data.payload(batch))
    connection.execute("ANALYZE pg_temp.batch")


def _trigger_seconds(connection: Connection) -> float:
    # what was rolled back is still in the indexes, and would slow the next round down; more so,
    # relatively, over the empty table
    connection.execute(_VACUUM_WRITTEN)
    with connection.transaction(force_rollback=True):
        plan = explain(connection, _INSERT_BATCH, timing=True)
    fired = plan["Triggers"]
    if not fired:
        raise MeasurementError("no trigger fired")
    return float(sum(one["Time"] for one in fired)) / 1000


# ------------------------------------------------------------------ 4: reading candles

_DAY_OF_CANDLES = """
    SELECT bucket, open, high, low, close, volume, quote_volume, trades
    FROM entasis.candles(%(symbol)s, %(exchange)s, '1m', %(day)s, %(day)s + interval '1 day')
    ORDER BY bucket
"""
# Of the ways to find the first price, this is the fastest that is known here.
_DAY_OF_TRADES = """
    SELECT bucket, opening[3], high, low, closing[3], volume, quote_volume, trades
    FROM (
        SELECT
            date_bin('1 minute', timestamp, '2000-01-01 00:00:00+00') AS bucket,
            min(ARRAY[extract(EPOCH FROM timestamp), id, price]) AS opening,
            max(price) AS high,
            min(price) AS low,
            max(ARRAY[extract(EPOCH FROM timestamp), id, price]) AS closing,
            sum(volume) AS volume,
            sum(price * volume) AS quote_volume,
            count(*) AS trades
        FROM entasis.market_data
        WHERE
            symbol = %(symbol)s AND exchange = %(exchange)s
            AND timestamp >= %(day)s AND timestamp < %(day)s + interval '1 day'
        GROUP BY 1
    ) AS minutes
    ORDER BY bucket
"""


def day_of_candles(bench: Bench, size: int, loaded: str) -> None:
    """Compare reading a day's minutes with aggregating its trades."""
    bench.progress("a day of candles")
    trades = data.busy_trades(size + BATCH)
    enough = trades >= _ENOUGH_TRADES_A_DAY
    params = {
        "symbol": data.BUSY_MARKET.symbol,
        "exchange": data.BUSY_MARKET.exchange,
        "day": data.BUSY_DAY,
    }
    with bench.server.connect(loaded) as connection:
        _same_rows(connection, _DAY_OF_CANDLES, _DAY_OF_TRADES, params)
        plans = alternate(
            {
                "candles": lambda: explain(connection, _DAY_OF_CANDLES, params),
                "trades": lambda: explain(connection, _DAY_OF_TRADES, params),
            },
            _SHORT_ROUNDS,
            warm_up=1,
        )
    label = f"of {size:,} trades, {trades:,} that day"
    bench.add(
        4,
        "A day of 1-minute candles of one market, how many times faster than from its trades",
        "Execution time of entasis.candles(..., '1m', ...) by EXPLAIN (ANALYZE), against"
        " aggregating market_data by minute with the same rule of order. The answers are compared"
        " first; alternated, the first round is dropped. The target is for a day of"
        f" {_ENOUGH_TRADES_A_DAY:,} trades or more.",
        ratio(
            label,
            _server_seconds(plans, "Execution Time"),
            "trades",
            "candles",
            Target(">=", 100) if enough else None,
            "" if enough else "too few trades for the target",
        ),
        ratio(
            f"{label}, planning included",
            _server_seconds(plans, "Execution Time", "Planning Time"),
            "trades",
            "candles",
        ),
    )


def _server_seconds(plans: Mapping[str, Sequence[Mapping[str, Any]]], *parts: str) -> Samples:
    return {
        arm: [sum(plan[part] for part in parts) / 1000 for plan in found]
        for arm, found in plans.items()
    }


def _same_rows(
    connection: Connection, one: str, other: str, params: Mapping[str, object] | None = None
) -> None:
    answers = [connection.execute(text.encode(), params).fetchall() for text in (one, other)]
    if answers[0] != answers[1] or not answers[0]:
        raise MeasurementError("the two queries do not give the same rows")


# ------------------------------------------------------------------ 5: dropping a month

_KEEP_A_DAY = "UPDATE entasis.keep_periods SET keep = '1 day' WHERE relation = 'market_data'"
_FIRST_MONTH = sql.SQL("timestamp >= {start} AND timestamp < {end}").format(
    start=data.START, end=data.SECOND_MONTH
)


def month_drop(bench: Bench, size: int, loaded: str) -> None:
    """Compare dropping the first month's partition with deleting its rows."""
    vacuums: list[float] = []
    rows: set[int] = set()

    def warm(connection: Connection) -> None:
        # both find the month in memory, as far as it fits: DELETE gains more by it
        statement = sql.SQL("SELECT count(price) FROM entasis.market_data WHERE {}")
        rows.add(_row(connection, statement.format(_FIRST_MONTH))[0])

    def drop() -> float:
        bench.progress(f"dropping a month of {size:,} trades")
        with bench.database(loaded, "arm") as name, bench.server.connect(name) as connection:
            connection.execute(_KEEP_A_DAY)
            (partition,) = _row(
                connection,
                "SELECT partition_name FROM entasis_internal.expired_partitions()"
                " WHERE relation = 'market_data' AND to_time = %s",
                data.SECOND_MONTH,
            )
            warm(connection)
            bench.server.checkpoint()
            return timed(
                lambda: connection.execute(
                    "SELECT entasis_internal.drop_partition('market_data', %s)", [partition]
                )
            )

    def delete(*, triggers: bool) -> float:
        bench.progress(f"deleting a month of {size:,} trades")
        with bench.database(loaded, "arm") as name, bench.server.connect(name) as connection:
            if not triggers:
                connection.execute("ALTER TABLE entasis.market_data DISABLE TRIGGER USER")
            warm(connection)
            bench.server.checkpoint()
            statement = sql.SQL("DELETE FROM entasis.market_data WHERE {}").format(_FIRST_MONTH)
            seconds = timed(lambda: connection.execute(statement))
            if not triggers:
                vacuums.append(timed(lambda: connection.execute("VACUUM entasis.market_data")))
            return seconds

    arms = {
        "drop": drop,
        "DELETE": lambda: delete(triggers=True),
        "bare DELETE": lambda: delete(triggers=False),
    }
    samples = alternate(arms, _ROUNDS)
    samples["bare DELETE and VACUUM"] = [
        a + b for a, b in zip(samples["bare DELETE"], vacuums, strict=True)
    ]
    (count,) = rows
    bench.add(
        5,
        "Dropping a month of trades, how many times faster than deleting it",
        "entasis_internal.drop_partition(), which is what entasis.maintain() calls, against DELETE"
        " of the same month: in the database as it is, where triggers bring the candles along, and"
        " with the triggers disabled, without and with the VACUUM that frees the space. By the"
        " client's clock with the commit, each in a fresh copy of the loaded database with the"
        " month read once, after a checkpoint.",
        ratio(f"{count:,} of {size:,} trades", samples, "DELETE", "drop", Target(">=", 100)),
        ratio(f"{count:,} of {size:,} trades, no triggers", samples, "bare DELETE", "drop"),
        ratio(
            f"{count:,} of {size:,} trades, no triggers, with VACUUM",
            samples,
            "bare DELETE and VACUUM",
            "drop",
        ),
    )


# ------------------------------------------------------------------ 6: the materialized view

# As in the source document, but with an order for its first() and last(), which are not
# PostgreSQL's; of the ways to state it, the fastest.
_MATERIALIZED_VIEW = """
    CREATE MATERIALIZED VIEW public.mv_ohlcv_1h AS
    SELECT
        symbol,
        date_trunc('hour', timestamp) AS timeframe,
        (min(ARRAY[extract(EPOCH FROM timestamp), id, price]))[3] AS open,
        max(price) AS high,
        min(price) AS low,
        (max(ARRAY[extract(EPOCH FROM timestamp), id, price]))[3] AS close,
        sum(volume) AS volume
    FROM entasis.market_data
    GROUP BY symbol, timeframe
"""


def refresh(bench: Bench, size: int, loaded: str) -> None:
    """Compare a refresh of the source document's view with the upkeep of one batch."""
    bench.progress(f"refreshing a materialized view of {size:,} trades")
    with bench.server.connect(loaded) as connection:
        _put_batch(connection, _next_batch(size))
        connection.execute(_MATERIALIZED_VIEW)
        arms: dict[str, Callable[[], float]] = {
            "refresh": lambda: timed(
                lambda: connection.execute("REFRESH MATERIALIZED VIEW public.mv_ohlcv_1h")
            ),
            "upkeep": partial(_trigger_seconds, connection),
        }
        samples = alternate(arms, _ROUNDS, warm_up=1)
        connection.execute("DROP MATERIALIZED VIEW public.mv_ohlcv_1h")
    bench.add(
        6,
        "One REFRESH of the document's materialized view, in upkeeps of a batch",
        "REFRESH MATERIALIZED VIEW of its hourly candles by the client's clock, over the insert"
        f" trigger's time for one batch of {BATCH:,} trades right after the stored ones (minutes,"
        " hours and days), as in 3. Alternated; the first round is dropped.",
        ratio(f"over {size:,} trades", samples, "refresh", "upkeep"),
    )


# ------------------------------------------------------------------ 7: what each part costs


def ladder(bench: Bench, size: int) -> None:
    """Load by plain COPY into the table stripped of its parts, and with one more at each step."""
    payloads = [data.payload(batch) for batch in _batches(size, BATCH)()]
    bench.progress("stripping the table of its parts")
    parts = _parts(bench)
    databases = [bench.migrated]
    for _, strip in parts:
        databases.append(bench.server.clone(databases[-1], "stripped"))
        with bench.server.connect(databases[-1]) as connection:
            for statement in strip:
                connection.execute(statement)
    bare = "bare table"
    labels = [*(f"+ {part}" for part, _ in parts), bare]
    arms: dict[str, Callable[[], float]] = {}
    for label, database in reversed(list(zip(labels, databases, strict=True))):
        load = partial(load_by_copy, bench=bench, size=size, payloads=lambda: payloads)
        arms[label] = _fresh(bench, database, f"plain COPY of {size:,} trades, {label}", load)
    samples = alternate(arms, _ROUNDS)
    bench.add(
        7,
        "What each part of the table costs: throughput of COPY, the bare table being 1",
        f"Plain COPY of {size:,} trades in batches of {BATCH:,} into an empty market_data that was"
        " stripped of its parts; every figure has those of the lines above it too. Bare means"
        " partitioned, with its NOT NULLs.",
        *(ratio(label, samples, bare, label) for label in samples if label != bare),
    )
    for database in databases[1:]:
        bench.server.drop(database)


def _parts(bench: Bench) -> list[tuple[str, Sequence[sql.SQL | sql.Composed]]]:
    """Name what the table has beyond its columns, last part first, with how to take it away.

    Indexes and constraints are those that the catalog has: what the schema gains is measured too.
    """
    alter = sql.SQL("ALTER TABLE entasis.market_data DROP CONSTRAINT {}")
    with bench.server.connect(bench.migrated) as connection:
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


# ------------------------------------------------------------------ 8: latest prices

_DISTINCT_ON = """
    SELECT DISTINCT ON (symbol, exchange) symbol, exchange, timestamp, id, price, volume
    FROM entasis.market_data
    ORDER BY symbol, exchange, timestamp DESC, id DESC
"""


def latest_prices(bench: Bench, size: int, loaded: str) -> None:
    """Compare the named query with the obvious one."""
    bench.progress("latest prices")
    named = queries.latest_prices().sql
    with bench.server.connect(loaded) as connection:
        _same_rows(connection, named, _DISTINCT_ON)
        plans = alternate(
            {
                "named query": lambda: explain(connection, named),
                "DISTINCT ON": lambda: explain(connection, _DISTINCT_ON),
            },
            _SHORT_ROUNDS,
            warm_up=1,
        )
    bench.add(
        8,
        "Latest price of every market, how many times faster than SELECT DISTINCT ON",
        "Execution and planning time of queries.latest_prices() by EXPLAIN (ANALYZE), against"
        f" DISTINCT ON over all trades of {len(data.MARKETS)} markets. The answers are compared"
        " first; alternated, the first round is dropped.",
        ratio(
            f"over {size:,} trades",
            _server_seconds(plans, "Execution Time", "Planning Time"),
            "DISTINCT ON",
            "named query",
        ),
    )


# ------------------------------------------------------------------ 9: storage

_SIZES = """
    SELECT sum(pg_table_size(relid)), sum(pg_indexes_size(relid))
    FROM unnest(%s::regclass[]) AS parent
    CROSS JOIN LATERAL pg_partition_tree(parent)
    WHERE isleaf
"""


def storage(bench: Bench, size: int, loaded: str) -> None:
    """Weigh the trades and what is kept beside them."""
    with bench.server.connect(loaded) as connection:
        table, indexes = _row(connection, _SIZES, ["entasis.market_data"])
        levels = [f"entasis.ohlcv_{level}" for level in ("1m", "1h", "1d")]
        candles = sum(_row(connection, _SIZES, levels))
        (minutes,) = _row(connection, "SELECT count(*) FROM entasis.ohlcv_1m")
    what = f"of {size:,} trades"
    bench.add(
        9,
        "Storage of a trade",
        f"Size of the partitions over the number of trades, loaded in batches of {LARGE_BATCH:,}"
        " and vacuumed. Candles: minutes, hours and days with their keys. How much they take, and"
        " what their upkeep costs, hangs on how many trades a minute has.",
        Row(f"{what}: table", float(table) / size, unit="bytes"),
        Row(f"{what}: indexes", float(indexes) / size, unit="bytes"),
        Row(f"{what}: candles", float(candles) / size, unit="bytes"),
        Row(f"{what}: trades in a 1-minute candle", size / minutes, unit="rows"),
    )


def _row(connection: Connection, query: LiteralString | sql.Composed, *params: object) -> Any:
    row = connection.execute(query, params or None).fetchone()
    if row is None:
        raise MeasurementError("a query that must give a row gave none")
    return row
