"""What failed: files loaded past retention and behind the floor, read where they lie."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from entasis_db.ingest import IngestReport, load_trades
from entasis_db.reopening import reopen
from tests import oracle
from tests.contract.retention.support import CANDLES, floors, keep, keep_from, maintain
from tests.db import Connection
from tests.make import month

pytestmark = [
    pytest.mark.samples,
    pytest.mark.copy,
    pytest.mark.newest_server,
    pytest.mark.native_speed,
]


@pytest.fixture
def cases(samples: Path) -> Path:
    return samples.parent / "cases"


def test_days_dropped_in_the_middle_of_a_week(admin: Connection, cases: Path) -> None:
    """Four trades a day: the week shows 28 or has no row."""
    keep(admin, market_data=None, option_data=None, **dict.fromkeys(CANDLES))
    loaded = load_trades(admin, cases / "floor" / "weekly.csv", id_space=None)
    assert loaded.report == IngestReport(432)
    oracle.refresh(admin)
    everything = oracle.stored_candles(admin)
    keep_from(admin, datetime(2026, 8, 19, tzinfo=UTC), "market_data")
    keep_from(admin, datetime(2026, 7, 30, tzinfo=UTC), *CANDLES)
    maintain(admin)
    maintain(admin)
    floor = floors(admin)["ohlcv_1d"]
    assert month(2026, 5) < floor <= datetime(2026, 7, 30, tzinfo=UTC)
    left = oracle.stored_candles(admin)
    for level in ("1w", "1mo"):
        assert left[level] == {
            key: candle for key, candle in everything[level].items() if key[2] >= floor
        }
        assert left[level].keys() < everything[level].keys()
    *whole, last = (candle.trades for _, candle in sorted(left["1w"].items()))
    assert set(whole) == {28}
    assert last == 12  # the file ends on a Wednesday
    assert admin.execute("SELECT * FROM entasis.check_candles()").fetchall() == []


def test_the_history_of_a_market_behind_the_floor(
    admin: Connection, cases: Path, tmp_path: Path
) -> None:
    """It is counted, not stored; once its days are open, the same file is loaded as it is."""
    sample = Path(__file__).parents[2] / "data" / "trades_binance_sample.csv.gz"
    load_trades(admin, sample)
    oracle.refresh(admin)
    maintain(admin)
    for candles in CANDLES:
        keep(admin, **{candles: None})
    keep(admin, market_data=None)
    before = oracle.stored_candles(admin)
    floor = floors(admin)["market_data"]
    assert floor > month(2024, 8)

    name = "SKYBTC-trades-2021-02-04.csv"
    shutil.copy(cases / "identity" / name, tmp_path)
    how = {"exchange": "binance-spot", "symbol": "SKYBTC"}
    for _ in range(2):
        loaded = load_trades(admin, tmp_path / name, **how)
        assert loaded.report == IngestReport(past_retention=2)
    ((symbol, refused, start, end),) = admin.execute(
        "SELECT symbol, refused, date_trunc('day', from_time, 'UTC'),"
        " date_trunc('day', to_time, 'UTC') + interval '1 day' FROM entasis.past_retention"
    ).fetchall()
    assert (symbol, refused) == ("SKYBTC", 4)
    assert (start, end) == (datetime(2021, 2, 3, tzinfo=UTC), datetime(2021, 2, 4, tzinfo=UTC))
    reopen(admin, "market_data", start, end, **how)
    for report in (IngestReport(2), IngestReport(0, 2)):
        assert load_trades(admin, tmp_path / name, **how).report == report
    oracle.refresh(admin)
    after = oracle.stored_candles(admin)
    trades = {k: v for k, v in oracle.stored_trades(admin).items() if k[0] == "SKYBTC"}
    assert len(trades) == 2
    for level in ("1m", "1h", "1d"):
        assert after[level] == before[level] | oracle.candles(trades, level)
    assert floors(admin)["market_data"] == floor
