"""What somebody decides about what was found, and what that does to trades and candles."""

import json
from pathlib import Path

import psycopg
import pytest

from entasis_db import quality
from entasis_db.model import Trade
from tests import oracle
from tests.conftest import Login
from tests.contract.cli.support import entasis, fails, succeeds
from tests.contract.quality.support import DAY, SECOND, found, made, of, store, walk
from tests.contract.trades.support import ingest
from tests.db import Connection, one
from tests.engines import Database
from tests.make import NOON, D, insert_trades

pytestmark = [pytest.mark.newest_server, pytest.mark.native_speed_when_short]


def spiked(connection: Connection) -> tuple[list[Trade], int]:
    """A market with one spike, and the id of the anomaly."""
    rows = made(walk(60))
    rows[30] = rows[30]._replace(price=D(9))
    store(connection, rows)
    quality.detect(connection)
    (spike,) = quality.anomalies(kind="price_spike").fetch(connection)
    return rows, spike.id


def assert_counted(connection: Connection, rows: list[Trade]) -> None:
    oracle.refresh(connection)
    oracle.assert_candles_are_right(connection)
    counted = connection.execute("SELECT trades, low FROM entasis.ohlcv_1d").fetchall()
    assert counted == [(len(rows), min(row.price for row in rows))]


def test_a_confirmed_trade_is_counted_by_no_candle(connection: Connection) -> None:
    rows, spike = spiked(connection)
    assert quality.decide(connection, spike, "acknowledged", "asked the exchange") is False
    assert_counted(connection, rows)
    assert quality.decide(connection, spike, "confirmed", reason="withdrawn") is True
    assert_counted(connection, [*rows[:30], *rows[31:]])
    (told,) = quality.anomalies("confirmed").fetch(connection)
    assert (told.note, told.excluded_as) == ("asked the exchange", "withdrawn")
    assert told.decided_by == connection.info.user
    assert told.decided_at is not None
    # it stays decided, and confirming it again does nothing
    assert quality.detect(connection).found == 0
    assert quality.detect(connection, NOON, NOON + DAY).found == 0
    assert quality.decide(connection, spike, "confirmed") is False
    assert quality.decide(connection, spike, "dismissed", "it was real") is True
    assert_counted(connection, rows)
    assert quality.detect(connection).found == 0
    assert found(connection, state="dismissed") == of("price_spike", rows[30])
    assert quality.decide(connection, spike, "dismissed") is False


def test_a_trade_that_its_source_excluded_stays_so(connection: Connection) -> None:
    _, spike = spiked(connection)
    connection.execute("UPDATE entasis.market_data SET excluded = 'adl' WHERE id = 31")
    assert quality.decide(connection, spike, "confirmed") is False
    assert quality.decide(connection, spike, "dismissed") is False
    assert one(connection, "SELECT excluded FROM entasis.market_data WHERE id = 31") == "adl"


def test_two_anomalies_of_one_trade(connection: Connection) -> None:
    rows = made(walk(60))
    rows[30] = rows[30]._replace(price=D(9), volume=D(900))
    store(connection, rows)
    quality.detect(connection)
    first, second = (a.id for a in quality.anomalies().fetch(connection))
    assert quality.decide(connection, first, "confirmed") is True
    assert quality.decide(connection, second, "confirmed") is False
    assert quality.decide(connection, first, "dismissed") is False
    assert_counted(connection, [*rows[:30], *rows[31:]])
    assert quality.decide(connection, second, "acknowledged") is True
    assert_counted(connection, rows)


def test_what_cannot_be_decided(connection: Connection) -> None:
    _, spike = spiked(connection)
    with pytest.raises(psycopg.errors.NoDataFound, match="there is no anomaly 7000000"):
        quality.decide(connection, 7_000_000, "confirmed")
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="cannot be gone"):
        quality.decide(connection, spike, "gone")  # type: ignore[arg-type]
    connection.execute("DELETE FROM entasis.market_data WHERE id = 31")
    with pytest.raises(psycopg.errors.NoDataFound, match="not stored any more"):
        quality.decide(connection, spike, "confirmed")
    connection.execute("UPDATE entasis.floors SET floor = %s", [NOON + DAY])
    with pytest.raises(psycopg.errors.CheckViolation, match="past its keep period"):
        quality.decide(connection, spike, "confirmed")
    assert quality.decide(connection, spike, "dismissed") is False


@pytest.mark.several_connections
def test_who_may_decide(connection: Connection, login: Login) -> None:
    _, spike = spiked(connection)
    writer, admin = login("entasis_writer"), login("entasis_admin")
    assert [a.id for a in quality.anomalies().fetch(writer)] == [spike]
    for attempt in (
        lambda: quality.decide(writer, spike, "confirmed"),
        lambda: quality.detect(writer),
        lambda: quality.anomalies().fetch(login("entasis_reader")),
        lambda: admin.execute("UPDATE entasis.anomalies SET state = 'dismissed'"),
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            attempt()
    admin.execute("UPDATE entasis.anomaly_limits SET value = value WHERE name = 'price_jump'")
    assert quality.detect(admin, NOON, NOON + DAY).found == 0
    assert quality.decide(admin, spike, "confirmed") is True
    (told,) = quality.anomalies("confirmed").fetch(admin)
    assert told.decided_by == admin.info.user


def test_what_ingest_refused_is_in_the_list(connection: Connection) -> None:
    rows = made(walk(30))
    store(connection, rows)
    future = rows[0]._replace(id=900, timestamp=NOON.replace(year=2200))
    nothing = rows[0]._replace(id=901, price=D(0))
    ingest(connection, future, nothing)
    assert quality.detect(connection).found == 2
    assert quality.detect(connection).found == 0
    told = quality.anomalies(kind="refused").fetch(connection)
    assert sorted(a.detail["code"] for a in told) == ["price", "timestamp"]
    assert {(a.symbol, a.exchange) for a in told} == {("BTC", "x")}
    assert quality.decide(connection, told[0].id, "confirmed") is False
    connection.execute("DELETE FROM entasis.quarantine")
    assert quality.detect(connection).found == 0
    assert [a.state for a in quality.anomalies(None, "refused").fetch(connection)] == [
        "confirmed",
        "gone",
    ]


@pytest.mark.copy
def test_what_differs_from_the_exchange_is_in_the_list(
    database: Database, connection: Connection, tmp_path: Path
) -> None:
    rows = made(walk(60))
    store(connection, rows)
    theirs = tmp_path / "theirs.csv"
    theirs.write_text(
        "exchange,symbol,interval,bucket,open,high,low,close,volume,quote_volume,trades\n"
        f"x,BTC,1h,2024-08-08T12:00:00Z,{rows[0].price},99999,{rows[0].price},{rows[-1].price},15,,\n"
    )
    succeeds(database, "load", "candles", str(theirs))
    assert "differ" in fails(database, "check", "--against", "exchange", code=4)
    (told,) = quality.anomalies(kind="candle_differs").fetch(connection)
    assert told.row_key == {"interval": "1h"}
    assert told.begins_at == NOON
    # found again by detection, which is once
    quality.detect(connection)
    quality.detect(connection, NOON, NOON + DAY)
    assert len(quality.anomalies(None, "candle_differs").fetch(connection)) == 1
    connection.execute("UPDATE entasis.exchange_candles SET interval = '3m'")
    entasis(database, "check", "--against", "exchange")
    assert [a.kind for a in quality.anomalies("gone").fetch(connection)] == ["candle_differs"]
    connection.execute("DELETE FROM entasis.exchange_candles")


def test_the_commands(database: Database, connection: Connection) -> None:
    assert (
        succeeds(database, "anomalies", "--table")
        == "nothing is listed that nobody has looked at\n"
    )
    rows, spike = spiked(connection)
    insert_trades(connection, *made(walk(5), symbol="ETH", volume=D(3)))
    oracle.refresh(connection)
    told = entasis(database, "anomalies", "list", "--json")
    assert told.exit_code == 7
    assert json.loads(told.stdout)[0] | {"found_at": ""} == {
        "id": spike,
        "kind": "price_spike",
        "state": "new",
        "relation": "market_data",
        "symbol": "BTC",
        "exchange": "x",
        "begins_at": rows[30].timestamp.isoformat(),
        "ends_at": None,
        "row_key": {"id": 31},
        "observed": "9",
        "expected": "60036.50",
        "detail": json.loads(told.stdout)[0]["detail"],
        "found_at": "",
        "decided_at": None,
        "decided_by": None,
        "note": None,
        "excluded_as": None,
    }
    assert "price_spike" in entasis(database, "anomalies").stdout
    assert "0 anomalies found" in succeeds(database, "anomalies", "detect")
    assert "1 days" in succeeds(database, "anomalies", "detect", "BTC", "--from", "2024-08-08")
    said = succeeds(database, "anomalies", "confirm", str(spike), "--note", "far off")
    assert said == f"{spike} confirmed: candles count its trade no more\n"
    assert "again" in succeeds(database, "anomalies", "dismiss", str(spike))
    assert succeeds(database, "anomalies", "acknowledge", str(spike)).endswith("acknowledged\n")
    assert "no anomaly 7" in fails(database, "anomalies", "confirm", "7000000")
    assert "far off" in succeeds(database, "anomalies", "list", "--state", "all", "--json")
    rows[40] = rows[40]._replace(price=D(9))
    connection.execute("UPDATE entasis.market_data SET price = 9 WHERE id = 41 AND symbol = 'BTC'")
    oracle.refresh(connection)
    told = entasis(database, "anomalies", "detect")
    assert (told.exit_code, told.stdout.splitlines()[0]) == (7, "x BTC 2024-08-08: 1 anomalies")
    runs = json.loads(succeeds(database, "runs", "--action", "detect", "--json"))
    assert runs[0]["detail"] == {"market_days": 1, "found": 1}


def blocks(connection: Connection) -> int:
    """How many blocks of tables and indexes this and earlier statements have asked for."""
    connection.execute("SELECT pg_stat_force_next_flush()")
    return int(
        one(
            connection,
            "SELECT sum(s.heap_blks_read + s.heap_blks_hit"
            " + coalesce(s.idx_blks_read + s.idx_blks_hit, 0))"
            " FROM pg_statio_all_tables AS s WHERE s.schemaname ~ '^entasis'",
        )
    )


@pytest.mark.native_speed
@pytest.mark.candle_tables
def test_the_cost_grows_with_what_is_new(connection: Connection) -> None:
    """A trade more is looked at by reading as much, however many days there are before."""
    costs = []
    for days in (range(18, 22), range(18)):
        rows = [
            row._replace(id=row.id + 10_000 * day, timestamp=row.timestamp + day * DAY)
            for day in days
            for row in made(walk(60))
        ]
        store(connection, rows)
        # once the server has analyzed them, tables of so few pages are read whole
        connection.execute(
            "DO $$ DECLARE r regclass; BEGIN FOR r IN SELECT oid FROM pg_class WHERE relkind = 'r'"
            " AND relnamespace::regnamespace::text ~ '^entasis' LOOP EXECUTE"
            " format('ALTER TABLE %s SET (autovacuum_enabled = off)', r); END LOOP; END $$"
        )
        quality.detect(connection)
        more, tries = made(walk(61))[60], []
        # several times: a server that analyzes a table meanwhile reads it too
        for _ in range(6):
            number = 10 * len(costs) + len(tries)
            moment = NOON + 21 * DAY + (200 + number) * SECOND
            insert_trades(connection, more._replace(id=500_000 + number, timestamp=moment))
            before = blocks(connection)
            assert quality.detect(connection).market_days == 1
            tries.append(blocks(connection) - before)
        costs.append(min(tries))
    # for each day a daily candle is looked up, and compared with what it was
    assert costs[1] - costs[0] < 18 * 60, costs
