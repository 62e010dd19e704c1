"""Which tables hold what a database is for, and which only what its own server or session needs."""

from psycopg import sql

BROUGHT = (
    "entasis.keep_periods",
    "entasis.floors",
    "entasis.thresholds",
    "entasis.reopened",
    "entasis.past_retention",
    "entasis.maintenance_log",
    "entasis.runs",
    "entasis.quarantine",
    "entasis.markets",
    "entasis.market_data",
    "entasis.ohlcv_1m",
    "entasis.ohlcv_1h",
    "entasis.ohlcv_1d",
    "entasis.option_data",
    "entasis.exchange_candles",
    "entasis.predictions",
    "entasis.user_logins",
    "entasis.portfolio_status",
    "entasis.archives",
    "entasis.archive_objects",
    "entasis.restores",
    "entasis.anomalies",
    "entasis.anomaly_limits",
)
"""What another database takes over, row by row."""

LEFT = {
    "entasis.installation": "a migration writes it",
    "entasis_migrations.checksums": "a migration writes it",
    "entasis_internal.cache_channel": "a secret of one installation",
    "entasis_internal.cache_listeners": "of sessions",
    "entasis_internal.leases": "of sessions",
    "entasis_internal.moved_trades": "of transactions",
    "entasis_internal.recomputing": "of transactions",
    "entasis_internal.known_partitions": "partitions are the engine's own",
    "entasis_internal.lost_ranges": "made of the partitions that are gone",
    "entasis_internal.last_refresh": "of the engine's own jobs",
    "entasis_internal.made_objects": "a migration writes it",
    "entasis_internal.examined_days": "examined again: its candles may have other scales",
    "entasis_internal.examined_up_to": "examined again",
    "entasis_internal.relation_sizes": "measured, and another on another server",
    "entasis_internal.shard_floors": "copied from entasis.floors",
    "entasis_internal.shard_reopened": "copied from entasis.reopened",
    "entasis_internal.shard_restored": "copied from entasis.restores",
}
"""What is not taken over, and why."""

LEDGER = "entasis_migrations."
"""yoyo's own tables are there."""

CANDLES = ("entasis.ohlcv_1m", "entasis.ohlcv_1h", "entasis.ohlcv_1d")
"""The levels that are stored."""

DROPPED = {
    "entasis.archives": sql.SQL("(r.dropped_at IS NOT NULL AND r.superseded_at IS NULL)"),
    "entasis.archive_objects": sql.SQL(
        "EXISTS (SELECT FROM entasis.archives AS a"
        " WHERE a.id OPERATOR(pg_catalog.=) r.archive_id"
        " AND a.dropped_at IS NOT NULL AND a.superseded_at IS NULL)"
    ),
}
"""What of the archive another engine takes over, of a row r: its partitions have other bounds, so
that what is still stored is archived again."""
