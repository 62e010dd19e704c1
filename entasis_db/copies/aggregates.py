"""A portable dump's candles into the continuous aggregates of engine timescaledb.

They are made of the trades first, as TimescaleDB makes them, so that it knows what is made. Where
the dump has others, those whose trades are gone among them, its own are put in their place.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from entasis_db.copies.dumped import Dumped
from entasis_db.copies.rows import without_triggers, write_rows
from entasis_db.copies.tables import CANDLES
from entasis_db.cursors import execute

Progress = Callable[[str], None]

_STEPS = {"entasis.ohlcv_1m": "1 minute", "entasis.ohlcv_1h": "1 hour", "entasis.ohlcv_1d": "1 day"}
_STORED = """
    SELECT pg_catalog.format('%%I.%%I', h.schema_name, h.table_name), a.mat_hypertable_id,
        _timescaledb_functions.to_timestamp(
            _timescaledb_functions.cagg_watermark(a.mat_hypertable_id)
        )::pg_catalog.text
    FROM _timescaledb_catalog.continuous_agg AS a
    CROSS JOIN LATERAL entasis_internal.hypertable_of(a.user_view_name::pg_catalog.text) AS h
    WHERE a.user_view_schema OPERATOR(pg_catalog.=) 'entasis'
        AND a.user_view_name::pg_catalog.text OPERATOR(pg_catalog.=) %s
"""
# of what the aggregate does not compute by itself when it is read, and does not change any more
_END = """
    SELECT pg_catalog.max(s.bucket OPERATOR(pg_catalog.+) {step}::pg_catalog.interval)
        ::pg_catalog.text
    FROM pg_temp.copied_candles AS s
    WHERE s.bucket OPERATOR(pg_catalog.>=) {watermark}::pg_catalog.timestamptz
        AND s.bucket OPERATOR(pg_catalog.+) {step}::pg_catalog.interval
            OPERATOR(pg_catalog.<=) pg_catalog.clock_timestamp()
        AND NOT EXISTS (SELECT FROM {view} AS m WHERE {same})
"""
_DELETE = """
    DELETE FROM {table} AS m
    WHERE NOT EXISTS (SELECT FROM pg_temp.copied_candles AS s WHERE {same})
"""
_INSERT = """
    INSERT INTO {table} ({columns})
    SELECT {columns} FROM pg_temp.copied_candles AS s
    WHERE s.bucket OPERATOR(pg_catalog.<) {watermark}::pg_catalog.timestamptz
        AND NOT EXISTS (SELECT FROM {table} AS m WHERE {same})
"""
_WATERMARK = """
    UPDATE _timescaledb_catalog.continuous_aggs_watermark SET watermark =
        (extract(EPOCH FROM %s::pg_catalog.timestamptz) OPERATOR(pg_catalog.*) 1000000)
            ::pg_catalog.int8
    WHERE mat_hypertable_id OPERATOR(pg_catalog.=) %s
"""


def take_over_candles(
    connection: psycopg.Connection[Any], folder: Path, dumped: Dumped, progress: Progress
) -> None:
    """Have the aggregates show exactly the candles of the dump; trades and floors are there.

    ``connection`` is a superuser's, in autocommit mode, and the jobs are paused.
    """
    progress("making candles of the trades")
    execute(
        connection,
        "CALL entasis_internal.refresh_levels('-infinity', 'infinity', 'all with trades')",
    )
    for name in CANDLES:
        progress(f"bringing {name}: {dumped.content.relations[name].rows:,} rows")
        _stage(connection, folder, dumped, name)
        _take_over(connection, name, dumped.columns[name])
        execute(connection, "DROP TABLE pg_temp.copied_candles")


def _stage(connection: psycopg.Connection[Any], folder: Path, dumped: Dumped, name: str) -> None:
    staged = sql.Identifier("pg_temp", "copied_candles")
    execute(
        connection,
        sql.SQL("CREATE TEMPORARY TABLE copied_candles (LIKE {})").format(
            sql.Identifier(*name.split("."))
        ),
    )
    write_rows(connection, folder, name, dumped.columns[name], staged)
    execute(
        connection, "ALTER TABLE pg_temp.copied_candles ADD PRIMARY KEY (symbol, exchange, bucket)"
    )
    execute(connection, "ANALYZE pg_temp.copied_candles")


def _take_over(connection: psycopg.Connection[Any], name: str, columns: list[str]) -> None:
    ((table, number, watermark),) = execute(connection, _STORED, name.partition(".")[2])
    key = {"symbol", "exchange", "bucket"}
    same = sql.SQL(" AND ").join(
        sql.SQL("s.{0} OPERATOR(pg_catalog.=) m.{0}").format(sql.Identifier(column))
        # the key first, for which there is an index
        for column in sorted(columns, key=lambda column: column not in key)
    )
    parts = {
        "table": sql.SQL(table),
        "view": sql.Identifier(*name.split(".")),
        "step": sql.Literal(_STEPS[name]),
        "same": same,
        "columns": sql.SQL(", ").join(map(sql.Identifier, columns)),
        "watermark": sql.Literal(watermark),
    }
    ((end,),) = execute(connection, sql.SQL(_END).format(**parts))
    if end is not None:
        # what lies between is refreshed all the same where trades come: it has not been yet
        parts["watermark"] = sql.Literal(end)
    with without_triggers(connection):
        execute(connection, sql.SQL(_DELETE).format(**parts))
        execute(connection, sql.SQL(_INSERT).format(**parts))
        if end is not None:
            execute(connection, _WATERMARK, end, number)
