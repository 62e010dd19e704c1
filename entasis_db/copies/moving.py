"""A portable dump's rows into a newly migrated database, of either engine.

Triggers do not fire: rows come as they were, candles whose trades are gone among them.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from entasis_db.copies.aggregates import take_over_candles
from entasis_db.copies.chunks import cut_chunks
from entasis_db.copies.dumped import Dumped
from entasis_db.copies.jobs import pause
from entasis_db.copies.roles import make_roles
from entasis_db.copies.rows import without_triggers, write_rows
from entasis_db.copies.tables import BROUGHT, CANDLES, DROPPED
from entasis_db.cursors import execute
from entasis_db.migrate import migrate

Progress = Callable[[str], None]

_FIRST = ("entasis.keep_periods", "entasis.floors", "entasis.market_data")
_OVERLAPPING = """
    SELECT p.partition_oid::pg_catalog.regclass::pg_catalog.text
    FROM entasis_internal.partitions_of(%s) AS p
    WHERE p.from_time OPERATOR(pg_catalog.<) %s AND p.to_time OPERATOR(pg_catalog.>) %s
"""
# as far as no partition is there: those of the other engine have other bounds
_GONE = """
    INSERT INTO entasis_internal.known_partitions (relation, partition_name, from_time, to_time)
    SELECT k.relation, k.partition_name, pg_catalog.lower(g.part), pg_catalog.upper(g.part)
    FROM (VALUES (
        %s::pg_catalog.text, %s::pg_catalog.name,
        %s::pg_catalog.timestamptz, %s::pg_catalog.timestamptz
    )) AS k (relation, partition_name, from_time, to_time)
    CROSS JOIN LATERAL pg_catalog.unnest(
        pg_catalog.tstzmultirange(pg_catalog.tstzrange(k.from_time, k.to_time))
        OPERATOR(pg_catalog.-) coalesce(
            (
                SELECT pg_catalog.range_agg(pg_catalog.tstzrange(p.from_time, p.to_time))
                FROM entasis_internal.partitions_of(k.relation) AS p
            ),
            '{}'
        )
    ) AS g (part)
    ON CONFLICT DO NOTHING
"""
# candles are made of these, and another chunk may have taken the place of one that was dropped
_LOST = """
    INSERT INTO entasis_internal.lost_ranges AS l (relation, partition_name, ranges)
    SELECT k.relation, k.partition_name, pg_catalog.tstzmultirange(pg_catalog.tstzrange(
        greatest(k.from_time, f.floor), k.to_time
    ))
    FROM (VALUES (
        %s::pg_catalog.text, %s::pg_catalog.name,
        %s::pg_catalog.timestamptz, %s::pg_catalog.timestamptz
    )) AS k (relation, partition_name, from_time, to_time)
    INNER JOIN entasis.floors AS f ON k.relation OPERATOR(pg_catalog.=) f.relation
    WHERE k.relation OPERATOR(pg_catalog.=) ANY (ARRAY['market_data', 'ohlcv_1m', 'ohlcv_1h'])
        AND k.to_time OPERATOR(pg_catalog.>) f.floor
    ON CONFLICT (relation, partition_name) DO UPDATE
        SET ranges = l.ranges OPERATOR(pg_catalog.+) excluded.ranges
"""
_SETVAL = """
    SELECT pg_catalog.setval(c.oid::pg_catalog.regclass, %s) FROM pg_catalog.pg_class AS c
    WHERE c.oid OPERATOR(pg_catalog.=) pg_catalog.to_regclass(%s)::pg_catalog.oid
"""


def move(
    connection: psycopg.Connection[Any],
    dsn: str,
    folder: Path,
    dumped: Dumped,
    engine: str,
    progress: Progress,
) -> list[int]:
    """Migrate an empty database and bring the rows of a portable dump into it.

    Returns the jobs that are paused until the rows have been compared.
    """
    migrate(dsn, engine=engine, progress=progress)
    has_chunks = engine == "timescaledb"
    paused = pause(connection) if has_chunks else []
    make_roles(connection, dumped.roles if has_chunks else dumped.roles.without({"entasis_jobs"}))
    if not has_chunks:
        progress("making partitions")
        _make_partitions(connection, dumped)
    for name in _FIRST:
        _bring(connection, folder, dumped, name, progress)
        if has_chunks and name == "entasis.floors":
            cut_chunks(connection)
    _note_gone(connection, dumped, has_chunks=has_chunks)
    if has_chunks:
        take_over_candles(connection, folder, dumped, progress)
    for name in BROUGHT:
        if name not in _FIRST and not (has_chunks and name in CANDLES):
            _bring(connection, folder, dumped, name, progress)
    if engine != dumped.engine:
        _forget_stored(connection)
    if engine == "citus":
        execute(connection, "SELECT entasis_internal.copy_all_to_shards()")
    for name, last in dumped.content.sequences.items():
        if last is not None:
            execute(connection, _SETVAL, last, name)
    return paused


def _bring(
    connection: psycopg.Connection[Any],
    folder: Path,
    dumped: Dumped,
    name: str,
    progress: Progress,
) -> None:
    """Put the dump's rows of a relation in the place of what a migration has written."""
    progress(f"bringing {name}: {dumped.content.relations[name].rows:,} rows")
    with without_triggers(connection):
        execute(connection, sql.SQL("DELETE FROM {}").format(sql.Identifier(*name.split("."))))
        write_rows(connection, folder, name, dumped.columns[name])


def _make_partitions(connection: psycopg.Connection[Any], dumped: Dumped) -> None:
    """Make the partitions of the months that have rows.

    The month of a floor begins at the floor: what lies before it may come back from the archive,
    whose ranges are those of the dump's engine.
    """
    for relation, text in dumped.content.floors.items():
        rows = dumped.content.relations[f"entasis.{relation}"]
        starts = {month_start(month) for month in rows.months}
        floor = None if text == "-infinity" else datetime.fromisoformat(text).astimezone(UTC)
        if floor is not None and floor != month_of(floor):
            starts.discard(month_of(floor))
            _make_cut_partition(connection, relation, floor)
        for start in sorted(starts):
            execute(connection, "SELECT entasis_internal.create_partition(%s, %s)", relation, start)


def _make_cut_partition(
    connection: psycopg.Connection[Any], relation: str, floor: datetime
) -> None:
    start, end = month_of(floor), next_month(floor)
    with connection.transaction():
        # a migration makes that of this month, which is empty yet
        for (table,) in execute(connection, _OVERLAPPING, relation, end, start):
            execute(connection, sql.SQL("DROP TABLE {}").format(sql.SQL(table)))
        name = sql.Identifier("entasis_internal", f"{relation}_y{start:%Y}m{start:%m}")
        parent = sql.Identifier("entasis", relation)
        for statement in (
            "CREATE TABLE {name} (LIKE {parent} INCLUDING DEFAULTS INCLUDING CONSTRAINTS"
            " INCLUDING STORAGE INCLUDING COMMENTS)",
            "ALTER TABLE {name} OWNER TO entasis_owner",
            "ALTER TABLE {parent} ATTACH PARTITION {name} FOR VALUES FROM ({start}) TO ({end})",
            "COMMENT ON TABLE {name} IS {comment}",
        ):
            execute(
                connection,
                sql.SQL(statement).format(
                    name=name,
                    parent=parent,
                    start=sql.Literal(floor.isoformat()),
                    end=sql.Literal(end.isoformat()),
                    comment=sql.Literal(
                        f"Partition of entasis.{relation}: [{floor:%Y-%m-%d %H:%M}, "
                        f"{end:%Y-%m-%d}) UTC."
                    ),
                ),
            )


def _note_gone(connection: psycopg.Connection[Any], dumped: Dumped, *, has_chunks: bool) -> None:
    """Have health show what was dropped by hand, and candles of it stay."""
    with connection.transaction():
        execute(connection, "DELETE FROM entasis_internal.known_partitions")
        execute(connection, "SELECT entasis_internal.record_partitions()")
        for gone in dumped.gone:
            execute(connection, _GONE, *gone)
        if has_chunks:
            for lost in sorted({*dumped.gone, *dumped.lost}):
                execute(connection, _LOST, *lost)


def _forget_stored(connection: psycopg.Connection[Any]) -> None:
    """Leave the archives of what is stored to be made again: their ranges are another engine's."""
    with without_triggers(connection):
        for name in reversed(DROPPED):
            execute(
                connection,
                sql.SQL("DELETE FROM {} AS r WHERE NOT {}").format(
                    sql.Identifier(*name.split(".")), DROPPED[name]
                ),
            )


def month_start(month: str) -> datetime:
    """Return the first moment of a month that is written as 2024-08."""
    return datetime.fromisoformat(f"{month}-01").replace(tzinfo=UTC)


def month_of(moment: datetime) -> datetime:
    """Return the first moment of a moment's month."""
    return moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def next_month(moment: datetime) -> datetime:
    """Return the first moment of the month after a moment's."""
    year, month = divmod(moment.year * 12 + moment.month, 12)
    return month_of(moment).replace(year=year, month=month + 1)
