"""What needs a session of its own refuses a pooler and leaves nothing in it; writers work there."""

import psycopg
import pytest

from entasis_db.errors import SessionError
from entasis_db.live import TickWriter
from entasis_db.maintenance import maintain
from entasis_db.migrate import migrate
from tests.db import one
from tests.engines import Database
from tests.make import trade
from tests.poolers import pooled

pytestmark = pytest.mark.several_connections

_LEFT = (
    "SELECT concat_ws('|', current_setting('search_path'), current_setting('role'),"
    " current_setting('lock_timeout'), (SELECT count(*) FROM pg_locks"
    " WHERE locktype = 'advisory' AND pid = pg_backend_pid()))"
)


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_a_session_of_its_own_is_required(shared: Database, mode: str) -> None:
    with pooled(shared.dsn, mode) as dsn:
        with psycopg.connect(dsn, autocommit=True) as connection:
            before = one(connection, _LEFT)
        with pytest.raises(SessionError, match="pooler"):
            migrate(dsn)
        with psycopg.connect(dsn, autocommit=True) as connection:
            with pytest.raises(SessionError, match="pooler"):
                maintain(connection)
            assert one(connection, _LEFT) == before


def test_writers_share_one_session(shared: Database) -> None:
    with pooled(shared.dsn) as dsn:
        writers = [
            TickWriter(dsn, source=f"w{n}", id_space="ordinal", batch_rows=5) for n in range(3)
        ]
        for writer in writers:
            writer.open()
        for number in range(100):
            for n, writer in enumerate(writers):
                writer.put(trade(number, symbol=f"S{n}"))
        for writer in writers:
            writer.close()
            assert writer.metrics().written == 100
