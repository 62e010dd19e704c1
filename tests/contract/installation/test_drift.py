"""What is changed by hand is shown by ``status`` and mended by ``migrate``."""

import pytest

from entasis_db.migrate import migrate, status
from tests.engines import Database

pytestmark = pytest.mark.copy

TABLE, VIEW = "entasis.portfolio_status", "entasis.markets"
CHANGES = {
    "row-level security": (f"ALTER TABLE {TABLE} DISABLE ROW LEVEL SECURITY", "security of"),
    "policy": (f"CREATE POLICY more ON {TABLE} USING (true)", "policy more"),
    "trigger": (f"ALTER TABLE {VIEW} DISABLE TRIGGER USER", "is disabled"),
    "table's owner": (f"ALTER TABLE {VIEW} OWNER TO CURRENT_USER", "belongs to"),
    "routine's owner": (
        "ALTER FUNCTION entasis_internal.notify_caches OWNER TO CURRENT_USER",
        "belongs to",
    ),
    "schema's owner": ("ALTER SCHEMA entasis OWNER TO CURRENT_USER", "entasis belongs to"),
    "right on a table": (f"REVOKE SELECT ON {VIEW} FROM entasis_reader", "lost SELECT"),
    "right on a routine": (
        "REVOKE EXECUTE ON FUNCTION entasis.candles FROM entasis_reader",
        "lost EXECUTE",
    ),
}


@pytest.mark.parametrize(("change", "said"), CHANGES.values(), ids=CHANGES)
def test_a_change_is_shown_and_mended(database: Database, change: str, said: str) -> None:
    with database.connect() as connection:
        assert status(connection).drift == ()
        connection.execute(change.encode())
        shown = status(connection).drift
        assert shown
        assert all(said in each for each in shown)
    assert migrate(database.dsn).drift == ()
