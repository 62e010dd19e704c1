"""Nothing leaves without a verified archive, unless somebody wrote down that it may."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from psycopg import errors

from entasis_db.maintenance import maintenance_plan
from tests import oracle
from tests.contract.cli.support import succeeds
from tests.contract.retention.support import (
    CANDLES,
    FOREVER,
    RELATIONS,
    ended,
    floors,
    insert_trade,
    keep,
    keep_from,
    maintain,
    partitions,
)
from tests.db import Connection, discard, health, one, violates
from tests.engines import Database
from tests.make import INSERT_TRADE, month

pytestmark = pytest.mark.newest_server

UNPARTITIONED = ("predictions", "portfolio_status", "quarantine", "past_retention")


@pytest.fixture
def kept(old: Connection) -> Connection:
    """The rows of 2020, past their keep period, with ``archived`` as a new database has it."""
    discard(old, False)
    oracle.refresh(old)
    return old


def test_a_new_database_keeps_what_was_not_archived(connection: Connection) -> None:
    assert (
        connection.execute(
            "SELECT relation FROM entasis.keep_periods WHERE NOT archived"
        ).fetchall()
        # what ran is nobody's data
        == [("runs",)]
    )


def test_nothing_goes_without_an_archive_and_what_waits_is_told(
    kept: Connection, database: Database
) -> None:
    trades, candles = oracle.stored_trades(kept), oracle.stored_candles(kept)
    # one mistaken keep period for one run
    keep(kept, market_data="1 day", option_data="1 day", ohlcv_1m="1 day", ohlcv_1h="1 day")
    before = {relation: partitions(kept, relation) for relation in RELATIONS}
    said = maintain(kept)
    assert [s for s in said if s.startswith("dropped")] == []
    for relation in RELATIONS:
        assert before[relation].items() <= partitions(kept, relation).items()
    assert floors(kept) == dict.fromkeys(RELATIONS, FOREVER)
    assert oracle.stored_trades(kept) == trades
    assert oracle.stored_candles(kept) == candles

    for relation in ("market_data", "option_data", "ohlcv_1m", "ohlcv_1h"):
        waiting = kept.execute(
            "SELECT count(*), sum(bytes)::bigint FROM entasis.partitions"
            " WHERE relation = %s AND past_keep",
            [relation],
        ).fetchall()
        found = health(kept, relation)
        assert [(found["waiting_for_archive"], found["waiting_bytes"])] == waiting
        assert found["waiting_bytes"] > 0
        assert found["bytes"] >= found["waiting_bytes"]
        summary = f"{relation}: {waiting[0][0]} partitions of {waiting[0][1]} bytes wait"
        assert [s for s in said if s.startswith(summary)]
    assert health(kept, "ohlcv_1d")["waiting_bytes"] == 0
    # the period put right again, all is as it was
    keep(kept, **dict.fromkeys(RELATIONS))
    assert not [s for s in maintain(kept) if "wait" in s]
    insert_trade(kept, month(2020, 1), 77)


@pytest.mark.native_speed
def test_a_dry_run_tells_what_a_run_then_does(kept: Connection, database: Database) -> None:
    keep_from(kept, month(2020, 3), *RELATIONS)
    kept.execute(
        "UPDATE entasis.keep_periods SET archived = false"
        " WHERE relation IN ('market_data', 'ohlcv_1m', 'ohlcv_1h')"
    )
    due = {relation: ended(kept, relation, month(2020, 3)) for relation in RELATIONS}
    before = oracle.stored_trades(kept)
    said = succeeds(database, "maintain", "--dry-run")
    plan = maintenance_plan(kept)
    assert oracle.stored_trades(kept) == before
    assert {p.partition for p in plan} == {n for gone in due.values() for n, _ in gone.values()}
    goes = {p.relation: p.goes for p in plan}
    assert goes == {relation: relation not in ("option_data", "ohlcv_1d") for relation in RELATIONS}
    for planned in plan:
        assert (planned.bytes or 0) > 0
        line = f"{'would drop' if planned.goes else 'would keep'} {planned.partition} of"
        assert [x for x in said.splitlines() if x.startswith(line) and planned.reason in x]
        assert ("archived = false" in planned.reason) is planned.goes
        assert ("no verified archive" in planned.reason) is not planned.goes
    assert f"{sum(p.goes for p in plan)} of {len(plan)} partitions" in said

    dropped = {s.removeprefix("dropped ") for s in maintain(kept) if s.startswith("dropped")}
    assert dropped == {p.partition for p in plan if p.goes}
    assert {p.partition for p in maintenance_plan(kept)} == {p.partition for p in plan} - dropped


def test_candles_whose_trades_wait_wait_too(kept: Connection) -> None:
    keep_from(kept, month(2020, 3), *RELATIONS)
    kept.execute("UPDATE entasis.keep_periods SET archived = false WHERE relation <> 'market_data'")
    plan = {p.partition: p for p in maintenance_plan(kept)}
    for relation in CANDLES:
        for name, _ in ended(kept, relation, month(2020, 3)).values():
            assert not plan[name].goes
            assert "still has trades" in plan[name].reason


# --- What cannot be archived is refused when it is written ---------------------------------------

TRADED = (
    "INSERT INTO entasis.market_data (id, symbol, exchange, timestamp, price, volume, created_at)"
)
QUOTED = (
    "INSERT INTO entasis.option_data"
    " (id, underlying, strike_price, option_type, iv, timestamp, expiry_date)"
)


@pytest.mark.native_speed
@pytest.mark.parametrize(
    "moment", ["infinity", "-infinity", "4000-01-01 00:00:00+00 BC", "10000-01-01 00:00:00+00"]
)
def test_what_cannot_be_archived_is_refused_when_it_is_written(
    admin: Connection, moment: str
) -> None:
    now = datetime.now(UTC)
    for statement, constraint in (
        (f"{TRADED} VALUES (1, 'BTC', 'x', %s, 1, 1, %s)", "market_data_created_at_archivable"),
        (f"{QUOTED} VALUES (1, 'BTC', 1, 'put', 1, %s, %s)", "option_data_expiry_date_archivable"),
    ):
        with pytest.raises(errors.CheckViolation) as caught:
            admin.execute(statement, [now, moment])
        violates(admin, caught.value, constraint)
    insert_trade(admin, now)
    with pytest.raises(errors.CheckViolation):
        admin.execute("UPDATE entasis.market_data SET created_at = %s", [moment])
    # where a chunk is made for any time, there is none for an infinite one
    with pytest.raises((errors.CheckViolation, errors.DatetimeFieldOverflow)):
        admin.execute(INSERT_TRADE, [1, moment, 1])
    for number, bound in enumerate(("0001-01-01 00:00:00+00", "9999-12-31 23:59:59.999999+00")):
        admin.execute(f"{TRADED} VALUES (%s, 'ETH', 'x', %s, 1, 1, %s)", [number, now, bound])


# --- What grows without partitions ---------------------------------------------------------------


def _age(connection: Connection, days: int) -> None:
    """One row of each, so many days old."""
    at = datetime.now(UTC) - timedelta(days=days)
    for statement in (
        "INSERT INTO entasis.predictions (model_id, symbol, prediction_type, predicted_value,"
        " confidence, timestamp) VALUES ('m', 's', 'price', 1, 1, %s)",
        "INSERT INTO entasis.portfolio_status (user_id, asset_type, position_size, entry_price,"
        " current_price, pnl, timestamp) VALUES ('00000000-0000-0000-0000-000000000001', 'a', 1,"
        " 1, 1, 1, %s)",
        "INSERT INTO entasis.quarantine (relation, source, line, code, reason, payload,"
        " quarantined_at) SELECT 'market_data', 's', extract(epoch FROM at), 'c', 'r', '{}', at"
        " FROM (VALUES (%s::timestamptz)) AS v (at)",
        "INSERT INTO entasis.past_retention (relation, source, symbol, refused, from_time, to_time,"
        " last_refused_at) SELECT 'market_data', at::text, 's', 1, at, at, at"
        " FROM (VALUES (%s::timestamptz)) AS v (at)",
    ):
        connection.execute(statement, [at])


def _counts(connection: Connection) -> dict[str, int]:
    count: Callable[[str], Any] = lambda relation: one(  # noqa: E731
        connection, f"SELECT count(*) FROM entasis.{relation}"
    )
    return {relation: count(relation) for relation in UNPARTITIONED}


def test_what_grows_has_a_keep_period_and_shows_its_growth(connection: Connection) -> None:
    for relation in (*UNPARTITIONED, "maintenance_log"):
        found = health(connection, relation)
        assert (found["keep"], found["archived"]) == (None, True)
        assert found["partitions_reach_ahead"] is None
        assert found["grown_in_30_days"] is None
    maintain(connection)
    size = health(connection, "quarantine")["bytes"]
    connection.execute(
        "INSERT INTO entasis.quarantine (relation, source, line, code, reason, payload)"
        " SELECT 'market_data', 's', n, 'c', repeat('r', 100), '{}'"
        " FROM generate_series(1, 1000) AS n"
    )
    grown = health(connection, "quarantine")
    assert grown["grown_in_30_days"] == grown["bytes"] - size > 100_000
    # what was measured earlier is not forgotten by a later run of the same day, nor kept for ever
    connection.execute(
        "UPDATE entasis_internal.relation_sizes SET measured_on = measured_on - 29, bytes = 1"
    )
    connection.execute(
        "INSERT INTO entasis_internal.relation_sizes VALUES"
        " ('quarantine', current_date - 31, 7), ('quarantine', current_date - 402, 7)"
    )
    maintain(connection)
    assert health(connection, "quarantine")["grown_in_30_days"] == grown["bytes"] - 1
    assert (
        one(
            connection,
            "SELECT count(*) FROM entasis_internal.relation_sizes"
            " WHERE measured_on < current_date - 400",
        )
        == 0
    )


def test_rows_without_partitions_go_only_when_they_may_be_discarded(connection: Connection) -> None:
    for days in (100, 50, 1):
        _age(connection, days)
    connection.execute(
        "DELETE FROM entasis.portfolio_status WHERE timestamp > now() - '2 days'::interval"
    )
    everything = {**dict.fromkeys(UNPARTITIONED, 3), "portfolio_status": 2}
    maintain(connection)
    assert _counts(connection) == everything
    connection.execute(
        "UPDATE entasis.keep_periods SET keep = '30 days' WHERE relation = ANY (%s)",
        [[*UNPARTITIONED, "maintenance_log"]],
    )
    maintain(connection)
    assert _counts(connection) == everything
    assert "archived = false" in health(connection, "predictions")["kept_because"][0]
    for relation in UNPARTITIONED:
        connection.execute(
            "UPDATE entasis.keep_periods SET archived = false WHERE relation = %s", [relation]
        )
    said = maintain(connection)
    # the last known state of a position stays, however old it is
    assert _counts(connection) == {**dict.fromkeys(UNPARTITIONED, 1)}
    assert any(s.startswith("deleted 2 rows of predictions") for s in said)
    assert not [s for s in maintain(connection) if "deleted" in s]


def test_a_note_of_a_detached_partition_is_kept(connection: Connection) -> None:
    for action in ("detach", "drop"):
        connection.execute(
            "INSERT INTO entasis.maintenance_log (action, relation, detail, logged_at)"
            " VALUES (%s, 'market_data', 'old', now() - interval '1 year')",
            [action],
        )
    connection.execute(
        "UPDATE entasis.keep_periods SET keep = '30 days', archived = false"
        " WHERE relation = 'maintenance_log'"
    )
    maintain(connection)
    assert connection.execute(
        "SELECT action FROM entasis.maintenance_log WHERE detail = 'old'"
    ).fetchall() == [("detach",)]
