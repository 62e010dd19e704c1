"""Trades are replaced also where they lie in columns, and none stays that had to go."""

from datetime import timedelta
from pathlib import Path

import pytest

from entasis_db.ingest import Replaced, replace_trades
from tests import oracle
from tests.contract.trades.support import by_key, ingest, write
from tests.db import Connection, one
from tests.make import NOON, D, trade
from tests.timescaledb.columnstore import compress, unpacked

pytestmark = [pytest.mark.hypertables, pytest.mark.copy, pytest.mark.columnstore_writes]

SECOND = timedelta(seconds=1)


def test_compressed_trades(quiet: Connection, tmp_path: Path) -> None:
    quiet.execute("SET timezone = 'Asia/Tokyo'")
    stored = [trade(n, symbol="AB"[n % 2]) for n in range(60)]
    stored += [trade(n, timestamp=NOON + timedelta(days=n)) for n in range(100, 120)]
    ingest(quiet, *stored)
    compress(quiet)
    # new rows beside the columns
    ingest(quiet, *(more := [trade(n, symbol="A") for n in range(60, 64)]))
    told = [stored[4]._replace(price=D(9)), stored[8], more[1]._replace(volume=D(9))]
    told += [trade(110, symbol="A", timestamp=NOON + timedelta(days=40)), trade(111)]
    path = write(tmp_path / "new.csv", *told)
    replaced = replace_trades(quiet, path)
    assert replaced == Replaced("new.csv", "entasis", 1, 3, 0, 1, 0, 0)
    gone = {stored[4], stored[71], more[1]}
    left = [t for t in [*stored, *more] if t not in gone]
    oracle.assert_candles_are_right(quiet, by_key(*left, *told))

    compress(quiet)
    path = write(tmp_path / "new.csv", told[0], stored[8], trade(500, symbol="A", timestamp=NOON))
    replaced = replace_trades(quiet, path, from_time=NOON, to_time=NOON + 40 * SECOND)
    assert replaced == Replaced("new.csv", "entasis", 1, 0, 18, 2, 0, 0)
    kept = [t for t in [*left, *told] if t.symbol != "A" or t.timestamp >= NOON + 40 * SECOND]
    now = [*kept, told[0], stored[8], trade(500, symbol="A", timestamp=NOON)]
    oracle.assert_candles_are_right(quiet, by_key(*now))


def test_only_the_batches_around_them_are_unpacked(quiet: Connection, tmp_path: Path) -> None:
    quiet.execute(
        "INSERT INTO entasis.market_data (symbol, exchange, timestamp, id, price, volume)"
        " SELECT 'BTC', 'x', %s + n * interval '1 s', n, 1, 1 FROM generate_series(1, 20000) AS n",
        [NOON],
    )
    compress(quiet)
    told = [trade(n, price=D(2), volume=D(1)) for n in (5, 9_000)]
    told += [trade(30_000 + n, timestamp=NOON + 15_000 * SECOND, price=D(1)) for n in range(3)]
    # a small limit stands for a large chunk: replacing must not depend on it
    quiet.execute("SET timescaledb.max_tuples_decompressed_per_dml_transaction = 1")
    replaced = replace_trades(quiet, write(tmp_path / "new.csv", *told))
    assert (replaced.added, replaced.changed, replaced.removed) == (3, 2, 0)
    assert one(quiet, "SHOW timescaledb.max_tuples_decompressed_per_dml_transaction") == "1"
    assert one(quiet, "SELECT count(*) FROM entasis.market_data") == 20_003
    assert one(quiet, "SELECT sum(price) FROM entasis.market_data") == 20_005
    assert unpacked(quiet) <= 3 * 1_000
    oracle.assert_candles_are_right(quiet)
