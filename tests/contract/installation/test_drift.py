"""What is changed by hand is shown by ``status``, and mended by ``migrate`` or left with a word."""

import re

import pytest

from entasis_db.errors import MigrationError
from entasis_db.migrate import migrate, status
from tests.engines import Database

pytestmark = pytest.mark.copy

TABLE, VIEW, KEEP = "entasis.portfolio_status", "entasis.markets", "entasis.keep_periods"
MENDED = {
    "row-level security": (f"ALTER TABLE {TABLE} DISABLE ROW LEVEL SECURITY", f"{TABLE} is off"),
    "forced on the owner": (f"ALTER TABLE {TABLE} FORCE ROW LEVEL SECURITY", "forced on its owner"),
    "another policy": (f"CREATE POLICY more ON {TABLE} USING (true)", "policy more"),
    "a policy's text": (f"ALTER POLICY own_positions ON {TABLE} USING (true)", "is another"),
    "a policy's roles": (f"ALTER POLICY all_positions ON {TABLE} TO PUBLIC", "is another"),
    "a missing policy": (f"DROP POLICY own_positions ON {TABLE}", "own_positions on .* is missing"),
    "a disabled trigger": (f"ALTER TABLE {KEEP} DISABLE TRIGGER USER", "is disabled"),
    "all triggers": ("ALTER TABLE entasis.archive_objects DISABLE TRIGGER ALL", "is disabled"),
    "a missing trigger": (
        f"DROP TRIGGER refuse_short_candle_keep ON {KEEP}",
        "refuse_short_candle_keep of .* is missing",
    ),
    "another trigger": (
        f"CREATE OR REPLACE TRIGGER refuse_short_candle_keep AFTER DELETE ON {KEEP}"
        " FOR EACH STATEMENT EXECUTE FUNCTION entasis_internal.refuse_short_candle_keep()",
        "is another",
    ),
    "a table's owner": (f"ALTER TABLE {VIEW} OWNER TO CURRENT_USER", "belongs to"),
    "a routine's owner": (
        "ALTER FUNCTION entasis_internal.notify_caches OWNER TO CURRENT_USER",
        "belongs to",
    ),
    "a schema's owner": ("ALTER SCHEMA entasis OWNER TO CURRENT_USER", "entasis belongs to"),
    "a type's owner": ("ALTER TYPE entasis.candle_interval OWNER TO CURRENT_USER", "belongs to"),
    "a missing view": ("DROP VIEW entasis.mv_ohlcv_1h", "mv_ohlcv_1h is missing"),
    "a missing routine": ("DROP FUNCTION entasis.id_gaps", "id_gaps is missing"),
    "a right on a table": (f"REVOKE SELECT ON {VIEW} FROM entasis_reader", "has lost SELECT"),
    "a right on columns": (
        "REVOKE UPDATE (keep) ON entasis.keep_periods FROM entasis_admin",
        "has lost UPDATE on entasis.keep_periods.keep",
    ),
    "a right on a routine": (
        "REVOKE EXECUTE ON FUNCTION entasis.candles FROM entasis_reader",
        "has lost EXECUTE",
    ),
    "a right on a schema": ("REVOKE USAGE ON SCHEMA entasis FROM entasis_reader", "lost USAGE"),
    "a right more on a table": (
        f"GRANT DELETE ON {VIEW} TO entasis_reader WITH GRANT OPTION",
        "entasis_reader has DELETE",
    ),
    "a right more on a column": (
        f"GRANT SELECT (user_id) ON {TABLE} TO PUBLIC",
        "everybody has SELECT on .*user_id",
    ),
    "a right more on a routine": (
        "GRANT EXECUTE ON FUNCTION entasis.set_market TO PUBLIC",
        "everybody has EXECUTE",
    ),
    "a right more on a schema": (
        "GRANT CREATE ON SCHEMA entasis TO PUBLIC",
        "everybody has CREATE on entasis",
    ),
    "rights of what will be made": (
        "ALTER DEFAULT PRIVILEGES FOR ROLE entasis_owner GRANT EXECUTE ON ROUTINES TO PUBLIC",
        "everybody may execute what",
    ),
}


def test_each_change_is_shown_and_mended(database: Database) -> None:
    """All at once: a change is one statement, and none touches what another's line says."""
    with database.connect() as connection:
        assert status(connection).drift == ()
        for change, said in MENDED.values():
            with connection.transaction(force_rollback=True):
                connection.execute(change.encode())
                shown = status(connection).drift
                assert shown
                for line in shown:
                    assert line.endswith(". Mend: entasis migrate") or "entasis migrate, or" in line
                assert [line for line in shown if re.search(said, line)] == list(shown)
        for change, _ in MENDED.values():
            connection.execute(change.encode())
    assert migrate(database.dsn).drift == ()


LEFT = {
    "row-level security of another table": (
        f"ALTER TABLE {VIEW} ENABLE ROW LEVEL SECURITY",
        f"ALTER TABLE {VIEW} DISABLE ROW LEVEL SECURITY",
    ),
    "a stranger's routine": (
        "CREATE FUNCTION entasis.mine(text) RETURNS text LANGUAGE sql AS 'SELECT $1'",
        r"entasis\.mine\(text\).* are none of Entasis DB's",
    ),
    "a stranger's table": ("CREATE TABLE entasis.notes (x int)", "entasis.notes"),
}


def test_what_is_left_is_said(database: Database) -> None:
    with database.connect() as connection:
        for change, _ in LEFT.values():
            connection.execute(change.encode())
        told: list[str] = []
        left = migrate(database.dsn, progress=told.append).drift
        # what runs with its owner's rights must not be given to ours
        query = "SELECT proowner FROM pg_proc WHERE proname = 'mine'"
        assert connection.execute(query).fetchone() == (10,)
        connection.execute(
            "CREATE FUNCTION entasis.candles() RETURNS int LANGUAGE sql AS 'SELECT 1'"
        )
        with pytest.raises(MigrationError, match=r"more than one routine.*candles\(\) of .*drop"):
            migrate(database.dsn)
        assert any("more than one routine" in line for line in status(connection).drift)
    assert {line for line in told if line.startswith("left as it is: ")} == {
        f"left as it is: {line}" for line in left
    }
    assert len(left) == 2
    for _, said in LEFT.values():
        assert any(re.search(said, line) for line in left)
