"""Daily maintenance: what expired goes, whichever way, whoever reads, wherever it was killed."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from entasis_db.ingest import ingest_options, ingest_trades
from entasis_db.maintenance import maintain
from entasis_db.model import OptionQuote, Trade
from tests import oracle
from tests.conftest import Login
from tests.db import KilledError, discard, mortal
from tests.engines import Database, Server
from tests.make import THIS_MONTH, months_ago

pytestmark = [pytest.mark.copy, pytest.mark.newest_server_when_short]


def name(relation: str, back: int) -> str:
    """Name a partition where each is a calendar month."""
    return f"{relation}{months_ago(back):_y%Ym%m}"


TRADES_OF = (14, 6, 5, 1)  # months ago; kept are 3 for trades and quotes, 12 for candles


def fill(connection: psycopg.Connection[Any]) -> None:
    discard(connection)
    trades = [
        Trade(
            symbol="BTC",
            exchange="x",
            timestamp=months_ago(back) + timedelta(days=day),
            id=day,
            price=Decimal(day + 1),
            volume=Decimal(back),
        )
        for back in TRADES_OF
        for day in range(3)
    ]
    ingest_trades(connection, trades, source="fill", id_space="ordinal")
    quote = OptionQuote(
        id=0,
        underlying="ETH",
        strike_price=Decimal(1),
        expiry_date=THIS_MONTH,
        option_type="put",
        iv=Decimal("0.5"),
        delta=None,
        gamma=None,
        theta=None,
        vega=None,
        timestamp=months_ago(5),
    )
    ingest_options(connection, [quote, quote._replace(timestamp=months_ago(1))], source="fill")
    # so that candles have their partitions, and an administrator need not wait for a job
    oracle.refresh(connection)


@pytest.fixture
def filled(server: Server) -> Iterator[Database]:
    with server.database(fill) as lent:
        yield lent


State = dict[str, Any]


def state(connection: psycopg.Connection[Any]) -> State:
    """Everything that maintenance may change."""
    queries = {
        "partitions": "SELECT relation, partition_name, from_time, to_time, past_keep"
        " FROM entasis.partitions",
        "tables": "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p')"
        # TimescaleDB's job may compress a chunk at any time
        " AND relname !~ '^compress|_compressed$'",
        "pending": "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhdetachpending",
        "floors": "SELECT relation, floor FROM entasis.floors WHERE isfinite(floor)",
        "trades": "SELECT symbol, exchange, timestamp, id, price, volume FROM entasis.market_data",
        "quotes": "SELECT timestamp, * FROM entasis.option_data",
        "minutes": "SELECT * FROM entasis.ohlcv_1m",
        "hours": "SELECT * FROM entasis.ohlcv_1h",
        "days": "SELECT * FROM entasis.ohlcv_1d",
        "wrong": "SELECT relation FROM entasis.check_candles()",
    }
    return {
        what: sorted(connection.execute(query + " ORDER BY 1").fetchall(), key=repr)
        for what, query in queries.items()
    }


def due(before: State, relation: str) -> list[tuple[Any, ...]]:
    """The partitions that were past their keep period, first the oldest."""
    rows = (row for row in before["partitions"] if row[0] == relation and row[4])
    return sorted(rows, key=lambda row: row[2])


def dues(before: State) -> set[str]:
    return {row[1] for row in before["partitions"] if row[4]}


def assert_maintained(found: State, before: State) -> None:
    assert {t[2] for t in found["trades"]} == {
        months_ago(1) + timedelta(days=day) for day in range(3)
    }
    assert [q[0] for q in found["quotes"]] == [months_ago(1)]
    assert dict(found["floors"]) == {
        relation: max(row[3] for row in due(before, relation))
        for relation in ("market_data", "option_data", "ohlcv_1m", "ohlcv_1h", "ohlcv_1d")
    }
    # the candles of trades that went are as they were, and those past their own year are gone
    for candles in ("minutes", "hours", "days"):
        assert found[candles] == [c for c in before[candles] if c[2] >= months_ago(13)]
        assert len(found[candles]) == 9
    assert found["pending"] == []
    assert found["wrong"] == []
    assert found["partitions"] == [row for row in before["partitions"] if not row[4]]
    # and no table is left lying beside its parent
    assert dues(before) <= {table for (table,) in before["tables"]}
    assert not dues(before) & {table for (table,) in found["tables"]}


@pytest.mark.native_speed
@pytest.mark.parametrize("roles", [("entasis_owner", "entasis_admin"), ("entasis_admin",), None])
def test_every_way_comes_to_the_same(
    filled: Database, login: Login, server: Server, roles: tuple[str, ...] | None
) -> None:
    said: list[str] = []
    with filled.connect() as superuser:
        before = state(superuser)
        if roles is None:
            maintain(superuser, said.append)
            assert superuser.execute("SELECT current_user = session_user").fetchone() == (True,)
        else:
            with (
                server.login(*roles) as (user, password),
                psycopg.connect(
                    filled.dsn, user=user, password=password, autocommit=True, row_factory=dict_row
                ) as connected,
            ):
                maintain(connected, said.append)
                row = connected.execute("SELECT current_user AS me").fetchone()
                assert row == {"me": user}
        after = state(superuser)
        assert_maintained(after, before)
        concurrently = any(line.startswith("detaching") for line in said)
        assert concurrently is (filled.can("detach") and roles != ("entasis_admin",))
        dropped = [line for line in said if line.startswith("dropped")]
        assert sorted(dropped) == sorted(f"dropped {n}" for n in dues(before))
        said.clear()
        maintain(superuser, said.append)
        assert state(superuser) == after
        assert said == []


@pytest.mark.monthly_partitions
def test_partitions_are_made_ahead(connection: psycopg.Connection[Any], database: Database) -> None:
    connection.execute("UPDATE entasis.keep_periods SET months_ahead = 5")
    maintain(connection)
    found = connection.execute(
        "SELECT relation, max(to_time) FROM entasis.partitions GROUP BY 1"
    ).fetchall()
    relations = ("market_data", "option_data", "ohlcv_1m", "ohlcv_1h", "ohlcv_1d")
    assert dict(found) == dict.fromkeys((*relations, "exchange_candles"), months_ago(-6))


def test_a_connection_that_does_not_commit_by_itself_is_refused(database: Database) -> None:
    connected = database.connect(autocommit=False)
    with connected, pytest.raises(ValueError, match="autocommit"):
        maintain(connected)


@pytest.mark.parametrize("roles", [("entasis_reader",), ("entasis_writer",)])
def test_others_may_not(login: Login, roles: tuple[str, ...], database: Database) -> None:
    with login(*roles) as connected, pytest.raises(psycopg.errors.InsufficientPrivilege):
        maintain(connected)


def test_archived_relations_stay(filled: Database) -> None:
    said: list[str] = []
    with filled.connect() as connected:
        before = state(connected)
        connected.execute("UPDATE entasis.keep_periods SET archived = true")
        maintain(connected, said.append)
        assert state(connected) == before
    assert due(before, "market_data")
    for row in due(before, "market_data"):
        assert any(row[1] in line and "no verified archive" in line for line in said)


# --- beside readers ----------------------------------------------------------------------------


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(1500):
        if condition():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it did not come to that")


def pending(connection: psycopg.Connection[Any]) -> bool:
    return bool(connection.execute("SELECT FROM pg_inherits WHERE inhdetachpending").fetchall())


@pytest.mark.detach
@pytest.mark.several_connections
def test_a_running_reader_holds_nobody_else_up(filled: Database) -> None:
    with filled.connect() as reader, filled.connect() as worker, filled.connect() as other:
        before = state(other)
        with ThreadPoolExecutor(1) as pool:
            with reader.transaction():
                reader.execute("SELECT count(*) FROM entasis.market_data")
                running = pool.submit(maintain, worker)
                wait_for(lambda: pending(other))
                # everybody else goes on, and does not see what goes
                other.execute("SET lock_timeout = '2s'")
                assert other.execute(
                    "SELECT count(*) FROM entasis.market_data WHERE timestamp < %s", [months_ago(6)]
                ).fetchone() == (0,)
                late = Trade(
                    symbol="BTC",
                    exchange="x",
                    timestamp=months_ago(1),
                    id=99,
                    price=Decimal(1),
                    volume=Decimal(1),
                )
                ingest_trades(other, [late], source="meanwhile", id_space="ordinal")
                other.execute("DELETE FROM entasis.market_data WHERE id = 99")
                assert not running.done()
            running.result(60)
        assert_maintained(state(other), before)


@pytest.mark.several_connections
def test_an_administrator_brings_late_candles_up_to_date_first(
    filled: Database, server: Server
) -> None:
    """Where a job has to do it, maintenance waits for the job."""
    with filled.connect() as connected, server.login("entasis_admin") as (user, password):
        late = Trade(
            symbol="BTC",
            exchange="x",
            timestamp=months_ago(5),
            id=99,
            price=Decimal(7),
            volume=Decimal(7),
        )
        ingest_trades(connected, [late], source="late", id_space="ordinal")
        expected = oracle.candles(oracle.stored_trades(connected), "1m")
        if filled.can("hypertables"):  # which does it every minute
            connected.execute(
                "SELECT alter_job(job_id, schedule_interval => '1 second')"
                " FROM timescaledb_information.jobs WHERE proc_name = 'refresh_job'"
            )
        with psycopg.connect(filled.dsn, user=user, password=password, autocommit=True) as admin:
            maintain(admin)
        found = oracle.stored_candles(connected)["1m"]
        assert found == {k: c for k, c in expected.items() if k[2] >= months_ago(13)}
        assert len(found) == 9
        assert connected.execute("SELECT min(timestamp) FROM entasis.market_data").fetchone() == (
            months_ago(1),
        )


def left_pending(database: Database, watching: psycopg.Connection[Any]) -> None:
    """Kill the maintenance while it waits for a reader, with a partition half detached."""
    with database.connect() as reader, database.connect() as worker:
        pid = worker.info.backend_pid
        with ThreadPoolExecutor(1) as pool, reader.transaction():
            reader.execute("SELECT count(*) FROM entasis.market_data")
            running = pool.submit(maintain, worker)
            wait_for(lambda: pending(watching))
            watching.execute("SELECT pg_terminate_backend(%s)", [pid])
            with pytest.raises(psycopg.OperationalError):
                running.result(60)
    assert pending(watching)


@pytest.mark.detach
@pytest.mark.several_connections
@pytest.mark.parametrize("as_owner", [True, False], ids=["owner", "admin"])
def test_what_was_left_half_detached_is_completed(
    filled: Database, server: Server, as_owner: bool
) -> None:
    said: list[str] = []
    with filled.connect() as connected:
        before = state(connected)
        left_pending(filled, connected)
        if as_owner:
            maintain(connected, said.append)
            assert said[0] == f"completing the detaching of {name('market_data', 14)}"
        else:
            with (
                server.login("entasis_admin") as (user, password),
                psycopg.connect(filled.dsn, user=user, password=password, autocommit=True) as admin,
            ):
                maintain(admin, said.append)
        assert_maintained(state(connected), before)


@pytest.mark.detach
@pytest.mark.several_connections
def test_what_somebody_else_left_half_detached_is_completed_and_kept(filled: Database) -> None:
    """A detaching cannot be taken back, and blocks every other one of the relation."""
    kept = name("market_data", 1)
    with filled.connect() as connected:
        with (
            filled.connect() as reader,
            filled.connect() as worker,
            ThreadPoolExecutor(1) as pool,
            reader.transaction(),
        ):
            reader.execute("SELECT count(*) FROM entasis.market_data")
            running = pool.submit(
                worker.execute,
                "ALTER TABLE entasis.market_data DETACH PARTITION"
                f" entasis_internal.{kept} CONCURRENTLY",
            )
            wait_for(lambda: pending(connected))
            connected.execute("SELECT pg_terminate_backend(%s)", [worker.info.backend_pid])
            with pytest.raises(psycopg.OperationalError):
                running.result(60)
        maintain(connected)
        assert connected.execute(f"SELECT count(*) FROM entasis_internal.{kept}").fetchone() == (3,)
        assert connected.execute("SELECT count(*) FROM entasis.market_data").fetchone() == (0,)
        assert not pending(connected)


# --- killed anywhere ---------------------------------------------------------------------------


def killed(database: Database, kill_at: int) -> bool:
    """Say whether a run has so many statements; it was killed before that one."""
    doomed = mortal(kill_at).connect(database.dsn, autocommit=True)
    try:
        with doomed:
            maintain(doomed)
    except KilledError:
        return True
    return False


@pytest.mark.newest_server
@pytest.mark.long
def test_killed_between_any_two_statements_the_next_run_completes_it(
    server: Server, short: bool
) -> None:
    for kill_at in range(1, 1000, 7 if short else 1):
        with server.database(fill) as lent, lent.connect() as connected:
            before = state(connected)
            going_on = killed(lent, kill_at)
            maintain(connected)
            assert_maintained(state(connected), before)
        if not going_on:
            break


def test_a_failing_progress_callback_does_no_harm(filled: Database) -> None:
    with filled.connect() as connected:
        before = state(connected)
        for stop_at in range(1, 40):
            said: list[str] = []

            def progress(line: str, said: list[str] = said, stop_at: int = stop_at) -> None:
                said.append(line)
                if len(said) == stop_at:
                    raise KilledError

            try:
                maintain(connected, progress)
            except KilledError:
                # whom it acted for is as it was
                assert connected.execute("SELECT current_user = session_user").fetchone() == (True,)
            else:
                break
        assert_maintained(state(connected), before)


@pytest.mark.detach
def test_history_that_somebody_restores_under_an_old_name_is_left_alone(filled: Database) -> None:
    restored = name("market_data", 6)
    with filled.connect() as connected:
        maintain(connected)
        connected.execute(f"CREATE TABLE entasis.{restored} (LIKE entasis.market_data)")
        maintain(connected)
        assert connected.execute(
            "SELECT to_regclass(%s)::text", [f"entasis.{restored}"]
        ).fetchone() == (f"entasis.{restored}",)


@pytest.mark.detach
def test_history_restored_after_the_other_way_dropped_what_was_to_be_detached(
    filled: Database, server: Server
) -> None:
    restored = name("market_data", 14)
    with filled.connect() as connected:
        # noted as to be detached, and killed there
        noted = "SELECT detail FROM entasis.maintenance_log WHERE action = 'detach'"
        kill_at = 1
        while not connected.execute(noted).fetchall():
            assert killed(filled, kill_at)
            kill_at += 1
        assert connected.execute(noted).fetchall() == [(restored,)]
        connected.execute("CALL entasis.maintain()")
        connected.execute(f"CREATE TABLE entasis.{restored} (LIKE entasis.market_data)")
        maintain(connected)
        assert connected.execute(
            "SELECT to_regclass(%s)::text", [f"entasis.{restored}"]
        ).fetchone() == (f"entasis.{restored}",)


# --- rights ------------------------------------------------------------------------------------


def test_an_administrator_checks_mends_and_maintains(
    filled: Database, login: Login, server: Server
) -> None:
    with filled.connect() as superuser, server.login("entasis_admin") as (user, password):
        hours = oracle.candle_table(superuser, "1h")
        superuser.execute(f"UPDATE {hours} SET volume = volume + 1 WHERE trades = 1")
        with psycopg.connect(filled.dsn, user=user, password=password, autocommit=True) as admin:
            assert len(admin.execute("SELECT * FROM entasis.check_candles()").fetchall()) > 0
            rebuild = "CALL entasis.rebuild_candles('-infinity', 'infinity')"
            if filled.can("hypertables"):  # only their owner may rebuild aggregates
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    admin.execute(rebuild)
                superuser.execute(rebuild)
            else:
                admin.execute(rebuild)
            assert admin.execute("SELECT * FROM entasis.check_candles()").fetchall() == []
            admin.execute(
                "UPDATE entasis.keep_periods SET keep = '2 years' WHERE relation LIKE 'ohlcv%'"
            )
            admin.execute("UPDATE entasis.keep_periods SET keep = '2 years'")
            before = state(superuser)
            maintain(admin)
            assert state(superuser) == before
