"""Faults that the soak has to find: ``python -m tests.soak --plant NAME`` installs one.

Each changes the text of one file of ``schema/`` and runs that file again in the soak's database.
"""

import sys
from dataclasses import dataclass

from psycopg.conninfo import make_conninfo

from tests.db import Connection
from tests.engines import REPOSITORY


@dataclass(frozen=True)
class Plant:
    """A fault: in a file of schema/, another text."""

    file: str
    old: str
    """What stands there, at least once; all of it is replaced."""
    new: str

    def text(self) -> str:
        """Return the file with the fault; ValueError if the text to change is not there."""
        text = (REPOSITORY / "schema" / self.file).read_text(encoding="utf-8")
        if self.old not in text:
            raise ValueError(f"schema/{self.file} has no {self.old!r} that could be changed")
        return text.replace(self.old, self.new)

    def plant(self, connection: Connection) -> None:
        """Install it."""
        connection.execute(self.text().replace("@conninfo@", _conninfo(connection)).encode())


def _conninfo(connection: Connection) -> str:
    info = connection.info
    return make_conninfo(
        host=info.host, port=info.port, dbname=info.dbname, user=info.user, password=info.password
    )


_TELL = (
    "import sys, psycopg; psycopg.connect(sys.argv[1], autocommit=True)"
    ".execute('SELECT pg_notify(%s, %s)', ['entasis_cache', sys.stdin.read().strip()])"
)
_BEFORE_COMMIT = f"""LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    EXECUTE format(
        'COPY (SELECT %L) TO PROGRAM %L', message::text,
        $c$'{sys.executable}' -c "{_TELL}" '@conninfo@'$c$
    );
END
$$;
ALTER FUNCTION entasis_internal.notify_caches OWNER TO CURRENT_USER;
GRANT EXECUTE ON FUNCTION entasis_internal.notify_caches TO entasis_owner;
"""

PLANTS = {
    "merge-after-recompute": Plant(
        "postgresql/trades/market_data_inserted.sql",
        "IF current_setting('entasis.recompute', true) = 'on' THEN",
        "IF false THEN",
    ),
    "no-placeholder": Plant(
        "postgresql/candles/lock_candles.sql",
        "FROM unnest(minutes) AS t ORDER",
        "FROM unnest(minutes) AS t INNER JOIN entasis.ohlcv_1m AS o"
        " USING (symbol, exchange, bucket) ORDER",
    ),
    "floor-not-raised": Plant(
        "postgresql/retention/drop_partition.sql",
        "PERFORM entasis_internal.raise_floor(relation_name, expired.to_time);",
        "",
    ),
    "guard-skipped": Plant(
        "core/archive/check_archive_and_record_drop.sql",
        "IF (found_rows, found_checksum) IS DISTINCT FROM (archived.row_count, archived.checksum)",
        "IF false",
    ),
    "row-trigger-gone": Plant(
        "postgresql/trades/market_data.triggers.sql",
        "EXECUTE FUNCTION entasis_internal.record_moved_trade();",
        "EXECUTE FUNCTION entasis_internal.record_moved_trade();\n"
        "DROP TRIGGER zz_record_moved_trade ON entasis.market_data;",
    ),
    "least-closed-at": Plant(
        "postgresql/candles/merge_candles.sql",
        "closed_at = greatest(",
        "closed_at = least(",
    ),
    "stale-not-set": Plant(
        "core/archive/mark_archive_stale.sql", "AND a.stale_at IS NULL", "AND false"
    ),
    "announced-before-commit": Plant(
        "core/cache/notify_caches.sql",
        "LANGUAGE sql VOLATILE\n"
        "SET search_path = pg_catalog, pg_temp\n"
        "BEGIN ATOMIC\n"
        "    SELECT pg_notify('entasis_cache', message::text);\n"
        "END;\n",
        _BEFORE_COMMIT,
    ),
    "price-ignored": Plant(
        "core/trades/insert_staged_trades.sql",
        "s.price <> d.price OR s.volume",
        "s.volume",
    ),
    "market-ignored": Plant("core/reopen/is_reopened.sql", "r.symbol IS NULL\n", "true\n"),
}
"""By name. They are of engine postgresql."""
