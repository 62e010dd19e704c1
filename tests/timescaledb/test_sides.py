"""Sides are filled in also where trades lie in columns, without unpacking more than they must."""

from datetime import timedelta

import pytest

from entasis_db.ingest import IngestReport
from entasis_db.model import Trade
from tests import oracle
from tests.contract.trades.support import by_key, ingest, quarantined
from tests.db import Connection, one
from tests.make import NOON, trade
from tests.timescaledb.columnstore import compress, unpacked

pytestmark = [pytest.mark.hypertables, pytest.mark.copy]


def test_sides_of_compressed_trades(quiet: Connection) -> None:
    rows = [trade(n, symbol="AB"[n % 2]) for n in range(40)]
    ingest(quiet, *rows)
    compress(quiet)
    sides: dict[oracle.TradeKey, str | None] = dict.fromkeys(by_key(*rows))
    told = [row._replace(side="sell") for row in rows[3:20]]
    assert ingest(quiet, *told) == IngestReport(already_there=17)
    sides |= dict.fromkeys(by_key(*told), "sell")
    assert oracle.stored_sides(quiet) == sides
    oracle.assert_candles_are_right(quiet, by_key(*rows))

    # told again, without one, otherwise, and with a new trade among them
    batch = [rows[3], told[0], told[1]._replace(side="buy"), rows[30]._replace(side="buy")]
    batch += [trade(41, symbol="A", side="buy")]
    assert ingest(quiet, *batch) == IngestReport(1, 3, 1)
    assert quarantined(quiet) == [("feed", 3, "conflict")]
    sides |= by_side(batch[3], batch[4])
    assert oracle.stored_sides(quiet) == sides
    compress(quiet)
    assert oracle.stored_sides(quiet) == sides
    oracle.assert_candles_are_right(quiet, by_key(*rows, batch[4]))


def by_side(*trades: Trade) -> dict[oracle.TradeKey, str | None]:
    return {key: t.side for t in trades for key in by_key(t)}


def test_an_update_of_the_side_keeps_the_candles(quiet: Connection) -> None:
    rows = [trade(n) for n in range(0, 200, 7)]
    ingest(quiet, *rows)
    compress(quiet)
    quiet.execute(
        "UPDATE entasis.market_data SET side = 'buy' WHERE timestamp < %s",
        [NOON + timedelta(seconds=70)],
    )
    found = oracle.stored_sides(quiet)
    assert {key[3] for key, side in found.items() if side == "buy"} == set(range(0, 70, 7))
    oracle.assert_candles_are_right(quiet, by_key(*rows))


def test_only_the_batches_around_them_are_unpacked(quiet: Connection) -> None:
    """TimescaleDB packs up to 1,000 trades of a market; a day of this market has 86 of such."""
    quiet.execute(
        "INSERT INTO entasis.market_data (symbol, exchange, timestamp, id, price, volume)"
        " SELECT s, 'x', %s + n * interval '1 s', n, 1, 1"
        " FROM generate_series(1, 10000) AS n, unnest(ARRAY['BTC', 'ETH']) AS s",
        [NOON],
    )
    compress(quiet)
    assert unpacked(quiet) == 0
    told = [trade(n, price=trade().volume * 4, volume=trade().volume * 4) for n in (5, 9_000)]
    told = [row._replace(side="buy") for row in told]
    # a small limit stands for a large chunk: filling in must not depend on it
    quiet.execute("SET timescaledb.max_tuples_decompressed_per_dml_transaction = 100")
    assert ingest(quiet, *told) == IngestReport(already_there=2)
    assert one(quiet, "SHOW timescaledb.max_tuples_decompressed_per_dml_transaction") == "100"
    assert one(quiet, "SELECT count(*) FROM entasis.market_data WHERE side = 'buy'") == 2
    assert unpacked(quiet) <= 2 * 1_000
    oracle.refresh(quiet, NOON - timedelta(days=1), NOON + timedelta(days=2))
    assert quiet.execute("SELECT * FROM entasis.check_candles()").fetchall() == []
