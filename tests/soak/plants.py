"""Faults that the soak has to find: ``python -m tests.soak --plant NAME`` installs one.

Each changes the text of one file of ``schema/`` and runs that file again in the soak's database.
"""

from dataclasses import dataclass

from tests.db import Connection
from tests.engines import REPOSITORY


@dataclass(frozen=True)
class Plant:
    """A fault: in a file of schema/, another text; and perhaps in a second file, too."""

    file: str
    old: str
    """What stands there, at least once; all of it is replaced."""
    new: str
    more: "Plant | None" = None

    def text(self) -> str:
        """Return the file with the fault; ValueError if the text to change is not there."""
        text = (REPOSITORY / "schema" / self.file).read_text(encoding="utf-8")
        if self.old not in text:
            raise ValueError(f"schema/{self.file} has no {self.old!r} that could be changed")
        return text.replace(self.old, self.new)

    def plant(self, connection: Connection) -> None:
        """Install it."""
        connection.execute(self.text().encode())
        if self.more is not None:
            self.more.plant(connection)


PLANTS = {
    "merge-after-recompute": Plant(
        "postgresql/trades/market_data_inserted.sql",
        "IF EXISTS (\n        SELECT FROM entasis_internal.recomputing",
        "IF false AND EXISTS (\n        SELECT FROM entasis_internal.recomputing",
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
        "core/floors/raise_floor.sql",
        "    SELECT entasis.flush_caches();\n",
        "",
        Plant(
            "core/retention/drop_expired.sql",
            "        dropped := false;\n",
            "        dropped := false;\n        PERFORM entasis.flush_caches();\n        COMMIT;\n",
        ),
    ),
    "price-ignored": Plant(
        "core/trades/insert_staged_trades.sql",
        "s.price <> d.price OR s.volume",
        "s.volume",
    ),
    "market-ignored": Plant("core/reopen/is_reopened.sql", "r.symbol IS NULL\n", "true\n"),
}
"""By name. They are of engine postgresql."""
