"""A market to ask the command about."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from entasis_db.ingest import load_trades
from tests.contract.cli.support import HEADER, lines
from tests.engines import Database, Server


@pytest.fixture(scope="module")
def shared(server: Server) -> Iterator[Database]:
    """A database with two hours of trades of BTC on x."""
    with server.database() as lent:
        with lent.connect() as connected:
            connected.execute("UPDATE entasis.keep_periods SET keep = NULL")
        yield lent


@pytest.fixture
def market(shared: Database, tmp_path: Path) -> Database:
    """The same, with its candles as they ought to be."""
    path = tmp_path / "market.csv"
    path.write_text(HEADER + lines(360))
    with shared.connect() as connected:
        load_trades(connected, path)
        connected.execute("CALL entasis.rebuild_candles('-infinity', 'infinity')")
    return shared
