"""What was archived and dropped is reopened: restored first, corrected, and archived again."""

from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from psycopg import errors

from entasis_db.archive import Store, archive, open_store
from entasis_db.cli import main
from entasis_db.errors import ArchiveError
from entasis_db.ingest import ingest_trades
from entasis_db.maintenance import maintain
from entasis_db.model import Trade
from entasis_db.reopening import LostCandles, lost_candles, reopen
from tests import oracle
from tests.contract.archive.support import mortal, wait_for_the_dead
from tests.contract.floors.test_reopen import (
    FEBRUARY,
    MARCH,
    NEW,
    end_the_keep,
    reopened,
    stored,
)
from tests.contract.retention.support import RELATIONS, floors, insert_trade, keep_from
from tests.db import Connection, KilledError, discard, health, one
from tests.engines import Database
from tests.make import D, month

pytestmark = [pytest.mark.copy, pytest.mark.newest_server]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(f"{tmp_path.as_uri()}/archive")


@pytest.fixture
def gone(old: Connection, store: Store) -> Connection:
    """What ended before 2020-04 was archived and dropped."""
    discard(old, False)
    oracle.refresh(old)
    keep_from(old, month(2020, 4), "market_data", "option_data")
    archive(old, store)
    maintain(old)
    return old


def february(candles: dict[str, oracle.Candles]) -> dict[str, oracle.Candles]:
    return {
        level: {k: c for k, c in found.items() if FEBRUARY <= k[2] < MARCH}
        for level, found in candles.items()
    }


def test_one_month_in_the_middle_of_dropped_ones_is_reopened(
    gone: Connection, store: Store, database: Database
) -> None:
    before, floor = stored(gone), floors(gone)
    trades = oracle.stored_trades(gone)
    with pytest.raises(errors.ObjectNotInPrerequisiteState, match="has to be restored first"):
        gone.execute("CALL entasis.reopen('market_data', %s, %s)", [FEBRUARY, MARCH])
    with pytest.raises(ArchiveError, match="where is it"):
        reopen(gone, "market_data", FEBRUARY, MARCH)
    assert oracle.stored_trades(gone) == trades

    reopen(gone, "market_data", FEBRUARY, MARCH, store=store)
    assert stored(gone) == before
    assert floors(gone) == floor
    back = {k for k in oracle.stored_trades(gone) if FEBRUARY <= k[2] < MARCH}
    assert len(back) == 5
    # one of two trades of a minute is corrected, one deleted, one added, one of another market
    first = FEBRUARY + timedelta(minutes=1)
    gone.execute(
        "UPDATE entasis.market_data SET price = 99 WHERE id = 1 AND timestamp = %s", [first]
    )
    gone.execute(
        "DELETE FROM entasis.market_data WHERE id = 9 AND timestamp >= %s AND timestamp < %s",
        [FEBRUARY, MARCH],
    )
    insert_trade(gone, FEBRUARY + timedelta(days=5), 3, 7)
    gone.execute(NEW, [1, FEBRUARY + timedelta(days=5), 5])
    late = Trade(8, "BTC", "one", FEBRUARY + timedelta(days=6), D(3), D(2))
    report = ingest_trades(gone, [late], source="late", id_space="trade")
    assert report.inserted == 1
    # and by COPY into what was restored, when nothing else has made the candles of its day stale
    assert stored(gone)["1m"]["BTC", "one", late.timestamp].trades == 1
    copied = "COPY entasis.market_data (id, symbol, exchange, timestamp, price, volume) FROM STDIN"
    with gone.cursor().copy(copied) as copy:
        copy.write_row((9, "BTC", "one", FEBRUARY + timedelta(days=2), D(4), D(2)))
    after = stored(gone)
    trades = {k: v for k, v in oracle.stored_trades(gone).items() if FEBRUARY <= k[2] < MARCH}
    assert after["1m"]["BTC", "one", first].high == 99
    for level in ("1m", "1h", "1d"):
        assert february(after)[level] == oracle.candles(trades, level)
        # every other candle is untouched
        assert {k: c for k, c in after[level].items() if not FEBRUARY <= k[2] < MARCH} == {
            k: c for k, c in before[level].items() if not FEBRUARY <= k[2] < MARCH
        }
    for time in (FEBRUARY - timedelta(days=1), MARCH):
        with pytest.raises(errors.CheckViolation):
            insert_trade(gone, time, 3)
    # a trade that no candle counts, and candles of several, are no faults of an open range
    gone.execute(
        "UPDATE entasis.market_data SET excluded = 'adl' WHERE id = 9 AND timestamp = %s",
        [FEBRUARY + timedelta(days=2)],
    )
    oracle.refresh(gone)
    assert gone.execute("SELECT * FROM entasis.check_candles()").fetchall() == []


@pytest.mark.native_speed
def test_it_is_archived_again_before_it_goes_again(
    gone: Connection, store: Store, database: Database
) -> None:
    reopen(gone, "market_data", FEBRUARY, MARCH, store=store)
    first = FEBRUARY + timedelta(minutes=1)
    gone.execute("UPDATE entasis.market_data SET price = 99 WHERE timestamp = %s", [first])
    after, trades = stored(gone), oracle.stored_trades(gone)
    assert health(gone, "market_data")["stale_archives"] > 0
    maintain(gone)
    end_the_keep(gone)
    maintain(gone)
    assert oracle.stored_trades(gone) == trades
    assert health(gone, "market_data")["waiting_for_archive"] > 0

    archive(gone, store)
    maintain(gone)
    left = oracle.stored_trades(gone)
    assert not [k for k in left if k[2] < MARCH - timedelta(days=7)]
    assert reopened(gone) == []
    assert stored(gone) == after
    with pytest.raises(errors.CheckViolation):
        insert_trade(gone, FEBRUARY, 3)
    # and what comes back once more is what was corrected
    reopen(gone, "market_data", FEBRUARY, MARCH, store=store)
    assert stored(gone) == after
    assert {v for k, v in oracle.stored_trades(gone).items() if k[2] == first} == {(D(99), D(1))}


@pytest.mark.native_speed
def test_candles_that_were_dropped_too_come_back(old: Connection, store: Store) -> None:
    """Their own archive first: the one made next replaces it."""
    discard(old, False)
    for number, time in enumerate((FEBRUARY, MARCH, month(2020, 4))):
        insert_trade(old, time + timedelta(days=3), 50 + number)
    oracle.refresh(old)
    before = stored(old)
    keep_from(old, month(2020, 5), *RELATIONS)
    archive(old, store)
    maintain(old)
    archive(old, store)
    maintain(old)
    assert not february(stored(old))["1m"]
    reopen(old, "market_data", FEBRUARY, MARCH, store=store)
    assert february(stored(old)) == february(before)
    insert_trade(old, FEBRUARY + timedelta(days=4), 60)
    trades = {k: v for k, v in oracle.stored_trades(old).items() if FEBRUARY <= k[2] < MARCH}
    assert february(stored(old))["1d"] == oracle.candles(trades, "1d")
    end_the_keep(old)
    archive(old, store)
    maintain(old)
    archive(old, store)
    maintain(old)
    assert not february(stored(old))["1m"]
    reopen(old, "market_data", FEBRUARY, MARCH, store=store)
    assert february(stored(old))["1d"] == oracle.candles(trades, "1d")


@pytest.mark.native_speed
def test_candles_without_an_archive_are_made_from_the_restored_trades(
    old: Connection, store: Store
) -> None:
    old.execute("UPDATE entasis.keep_periods SET archived = true WHERE relation = 'market_data'")
    oracle.refresh(old)
    before = stored(old)
    keep_from(old, month(2020, 5), *RELATIONS)
    archive(old, store)
    maintain(old)
    maintain(old)
    assert not february(stored(old))["1d"]
    reopen(old, "market_data", FEBRUARY, MARCH, store=store)
    assert february(stored(old)) == february(before)


@pytest.mark.several_connections
def test_killed_anywhere_it_is_repeated(gone: Connection, store: Store, database: Database) -> None:
    before, floor = stored(gone), floors(gone)
    for kill_at in range(1, 1000, 5):
        doomed = mortal(kill_at).connect(database.dsn, autocommit=True)
        try:
            reopen(doomed, "market_data", FEBRUARY, MARCH, store=store)
        except KilledError:
            wait_for_the_dead(gone)
            assert stored(gone) == before
            if not reopened(gone):
                with pytest.raises(errors.CheckViolation):
                    insert_trade(gone, FEBRUARY, 3)
        else:
            doomed.close()
            break
    assert [row[-1] for row in reopened(gone)] == [True]
    assert floors(gone) == floor
    assert stored(gone) == before
    insert_trade(gone, FEBRUARY, 3)


@pytest.mark.native_speed
def test_the_command_line(
    gone: Connection, store: Store, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*arguments: str, said: str | None = None) -> tuple[int, str]:
        result = CliRunner().invoke(main, ["--database", database.dsn, *arguments], input=said)
        return result.exit_code, result.output

    monkeypatch.delenv("ENTASIS_ARCHIVE_URL", raising=False)
    reopening = ("reopen", "market_data", "2020-02-01", "2020-03-01")
    before = stored(gone)
    code, said = run(*reopening)
    assert (code, "ENTASIS_ARCHIVE_URL" in said) == (1, True)
    assert run("reopen", "ohlcv_1m", "2020-02-01", "2020-03-01")[0] == 2
    assert run("reopen", "market_data", "2020-03-01", "2020-02-01")[0] == 2
    code, said = run(*reopening, "--from", store.location)
    assert (code, "attached as" in said, "for all markets" in said) == (0, True, True)
    assert stored(gone) == before
    # a candle that counts a trade which is nowhere
    oracle_table = oracle.candle_table(gone, "1m")
    gone.execute(f"UPDATE {oracle_table} SET trades = trades + 5")
    (lost,) = lost_candles(gone, FEBRUARY, MARCH)
    assert isinstance(lost, LostCandles)
    assert (lost.symbol, lost.exchange, lost.days, lost.candles > 0) == ("BTC", "one", 0, True)
    code, said = run(*reopening)
    assert (code, "--discard-candles" in said) == (1, True)
    code, said = run(*reopening, "--discard-candles", said="n\n")
    assert code == 1
    assert f"throws away {lost.candles} candles of one BTC" in said
    assert lost_candles(gone, FEBRUARY, MARCH) == [lost]
    code, said = run(*reopening, "--discard-candles", "--yes")
    assert code == 0, said
    assert lost_candles(gone, FEBRUARY, MARCH) == []
    trades = {k: v for k, v in oracle.stored_trades(gone).items() if FEBRUARY <= k[2] < MARCH}
    assert february(stored(gone))["1m"] == oracle.candles(trades, "1m")
    assert one(gone, "SELECT count(*) FROM entasis.reopened") == 1
