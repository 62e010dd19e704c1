"""A database for properties whose examples take their rows back, and which way batches take."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from entasis_db.ingest import write
from entasis_db.ingest.steps import Query
from entasis_db.ingest.targets import OPTIONS, TRADES
from tests.engines import Database, Server


@pytest.fixture(scope="module")
def months(server: Server) -> Iterator[Database]:
    """A database with the months that the tests write to."""
    with server.database() as database:
        with database.connect() as connection:
            connection.execute("""
                SELECT entasis.ensure_partitions(r, '2024-01-01 00:00+00', '2024-05-01 00:00+00')
                FROM unnest(ARRAY['market_data', 'option_data']) AS r
            """)
            connection.execute("""
                SELECT entasis.ensure_partitions(
                    'market_data', '2024-10-01 00:00+00', '2024-12-01 00:00+00'
                )
            """)
        yield database


@pytest.fixture(scope="module")
def months_connection(months: Database) -> Iterator[psycopg.Connection[Any]]:
    """One connection for all examples of all properties; each example takes its rows back."""
    with months.connect() as connection:
        if not months.can("one_role"):  # whose functions have to see what was written
            connection.execute("SET ROLE entasis_owner")
        yield connection


@pytest.fixture
def staged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The relations of batches that went the slow way, through a staging table."""
    found: list[str] = []

    def watch(do: Any) -> Any:
        def watched(connection: Any, cursor: Any, step: Any) -> Any:
            if isinstance(step, Query):
                found.extend(t.relation for t in (TRADES, OPTIONS) if t.stage == step.statement)
            return do(connection, cursor, step)

        return watched

    for name in ("_do", "_do_async"):
        monkeypatch.setattr(write, name, watch(getattr(write, name)))
    return found
