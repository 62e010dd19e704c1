"""Keep periods: what is past them goes with its floor, and the rest stays."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from psycopg import errors

from tests import oracle
from tests.conftest import Login
from tests.contract.retention.support import (
    CANDLES,
    FOREVER,
    RELATIONS,
    Gone,
    _load,
    ended,
    floors,
    insert_trade,
    keep,
    keep_from,
    maintain,
    partitions,
    since,
    top,
)
from tests.db import Connection, ensure, one
from tests.engines import Database
from tests.make import month, month_of

pytestmark = pytest.mark.newest_server_when_short


def names(gone: Gone) -> list[str]:
    return [name for name, _ in gone.values()]


# --- Keep periods --------------------------------------------------------------------------------


@pytest.mark.parametrize("candles", CANDLES)
def test_trades_may_not_outlive_their_candles(admin: Connection, candles: str) -> None:
    keep(admin, market_data="3 months", ohlcv_1m="1 year", ohlcv_1h="1 year", ohlcv_1d="1 year")
    for statement in (
        f"UPDATE entasis.keep_periods SET keep = '2 months' WHERE relation = '{candles}'",
        "UPDATE entasis.keep_periods SET keep = '13 months' WHERE relation = 'market_data'",
        "UPDATE entasis.keep_periods SET keep = NULL WHERE relation = 'market_data'",
    ):
        with pytest.raises(errors.CheckViolation, match="would outlive their candles"):
            admin.execute(statement)
    keep(admin, market_data="1 year")
    keep(admin, **{candles: None})
    with pytest.raises(errors.CheckViolation):
        keep(admin, option_data="0 days")


# --- What goes, and what stays -------------------------------------------------------------------


def test_what_is_past_its_keep_period_goes_and_the_rest_stays(old: Connection) -> None:
    trades, candles = oracle.stored_trades(old), oracle.stored_candles(old)
    keep_from(old, month(2020, 3), "market_data")
    before = {relation: partitions(old, relation) for relation in RELATIONS}
    gone = ended(old, "market_data", month(2020, 3))
    floor = top(gone)
    assert len(gone) > 1
    said = maintain(old)

    assert partitions(old, "market_data").keys() == before["market_data"].keys() - gone.keys()
    assert [s for s in said if s.startswith("dropped")] == [f"dropped {n}" for n in names(gone)]
    left = {key: value for key, value in trades.items() if key[2] >= floor}
    assert len(left) < len(trades)
    assert oracle.stored_trades(old) == left
    # candles of trades that are gone stay exactly what they were
    assert oracle.stored_candles(old) == candles
    assert old.execute("SELECT * FROM entasis.check_candles()").fetchall() == []
    assert floors(old) == {r: floor if r == "market_data" else FOREVER for r in RELATIONS}
    # the other relations keep all they have
    assert one(old, "SELECT count(*) FROM entasis.option_data") == 21
    for relation in ("option_data", *CANDLES):
        assert before[relation].items() <= partitions(old, relation).items()
    log = old.execute(
        "SELECT relation, detail FROM entasis.maintenance_log WHERE action = 'drop' ORDER BY id"
    ).fetchall()
    assert [relation for relation, _ in log] == ["market_data"] * len(gone)
    for (begin, (name, _)), (_, detail) in zip(gone.items(), log, strict=True):
        assert detail.startswith(f"{name} [{begin:%Y-%m-%d}")


@pytest.mark.native_speed
def test_maintaining_twice_changes_nothing_more(old: Connection) -> None:
    oracle.refresh(old)  # so that candles have their partitions
    keep_from(old, month(2020, 3), *RELATIONS)
    maintain(old)
    state = [partitions(old, r) for r in RELATIONS], floors(old), oracle.stored_candles(old)
    raised = old.execute("SELECT relation, raised_at FROM entasis.floors").fetchall()
    assert not [s for s in maintain(old) if "dropped" in s or "made" in s or "stays" in s]
    assert state == (
        [partitions(old, r) for r in RELATIONS],
        floors(old),
        oracle.stored_candles(old),
    )
    assert raised == old.execute("SELECT relation, raised_at FROM entasis.floors").fetchall()


@given(
    number=st.integers(1, 6),
    offset=st.one_of(
        st.sampled_from([0, -1, 1]), st.integers(-40 * 86_400_000_000, 40 * 86_400_000_000)
    ),
    zone=st.sampled_from(["UTC", "America/New_York", "Asia/Kathmandu"]),
)
@example(number=3, offset=0, zone="UTC")
@example(number=3, offset=-1, zone="America/New_York")
def test_a_partition_is_past_its_keep_period_when_its_end_is(
    old: Connection, number: int, offset: int, zone: str
) -> None:
    bound = month(2020, number) + timedelta(microseconds=offset)
    oracle.refresh(old)  # so that candles have their partitions
    with old.transaction(force_rollback=True):
        # now() stands still in a transaction; in UTC, because a day of the difference is 24 hours
        old.execute("SET LOCAL TimeZone = 'UTC'")
        old.execute("UPDATE entasis.keep_periods SET keep = now() - %s", [bound])
        old.execute("SELECT set_config('TimeZone', %s, true)", [zone])
        for relation in RELATIONS:
            found = old.execute(
                "SELECT partition_name, to_time FROM entasis_internal.expired_partitions()"
                " WHERE relation = %s",
                [relation],
            ).fetchall()
            assert {name for name, _ in found} == {
                name for name, end in partitions(old, relation).values() if end <= bound
            }


def test_the_view_says_the_same_in_every_zone(old: Connection) -> None:
    oracle.refresh(old)  # so that no job gives candles partitions meanwhile
    with old.transaction(force_rollback=True):
        old.execute("UPDATE entasis.keep_periods SET keep = now() - '2020-04-01 00:00:00+00'")
        for zone in ("UTC", "America/New_York", "Australia/Lord_Howe", "Europe/Berlin"):
            old.execute("SELECT set_config('TimeZone', %s, true)", [zone])
            assert (
                old.execute(
                    "SELECT partition_name FROM entasis.partitions WHERE past_keep ORDER BY 1"
                ).fetchall()
                == old.execute(
                    "SELECT partition_name FROM entasis_internal.expired_partitions() ORDER BY 1"
                ).fetchall()
            )


@settings(max_examples=max(3, settings().max_examples // 8))
@given(number=st.integers(1, 6), hours=st.integers(-20 * 24, 20 * 24))
def test_maintain_leaves_what_the_keep_period_says(
    old: Connection, number: int, hours: int
) -> None:
    # an hour is more than a test takes: the border cannot pass a partition's end meanwhile
    bound = month(2020, number) + timedelta(hours=hours, minutes=30)
    _make_anew(old)
    candles = oracle.stored_candles(old)
    keep(old, market_data=since(bound), option_data=since(bound))
    before = {relation: partitions(old, relation) for relation in ("market_data", "option_data")}
    maintain(old)
    for relation, had in before.items():
        gone = {begin: (name, end) for begin, (name, end) in had.items() if end <= bound}
        assert partitions(old, relation).keys() == had.keys() - gone.keys()
        assert floors(old)[relation] == top(gone)
    assert oracle.stored_candles(old) == candles
    assert old.execute("SELECT * FROM entasis.check_candles()").fetchall() == []


def _make_anew(old: Connection) -> None:
    """Put a database back to where no partition of 2020 was dropped."""
    keep(old, **dict.fromkeys(RELATIONS))
    old.execute("UPDATE entasis.floors SET floor = '-infinity'")
    for relation in ("market_data", "option_data"):
        ensure(old, relation, month(2020, 1), month(2020, 5))
        old.execute(f"DELETE FROM entasis.{relation}")
    for level in oracle.STORED:
        old.execute(f"DELETE FROM {oracle.candle_table(old, level)}")
    _load(old)
    # not a refresh, which knows nothing of the candles that were deleted
    old.execute("CALL entasis.rebuild_candles('-infinity', 'infinity')")


@pytest.mark.several_connections
def test_floor_and_drop_are_one_transaction(old: Connection, database: Database) -> None:
    oracle.refresh(old)
    keep_from(old, month(2020, 2), "market_data")
    begin, (name, end) = next(iter(ended(old, "market_data", month(2020, 2)).items()))
    with database.connect() as other:
        with old.transaction(force_rollback=True):
            old.execute("SELECT entasis_internal.drop_partition('market_data', %s)", [name])
            assert floors(old)["market_data"] == end
            assert floors(other)["market_data"] == FOREVER
        assert floors(other)["market_data"] == FOREVER
        assert begin in partitions(other, "market_data")
    insert_trade(old, month(2020, 1), 77)
    oracle.assert_candles_are_right(old)


def test_only_what_is_past_its_keep_period_can_be_dropped(old: Connection) -> None:
    keep_from(old, month(2020, 2), "market_data")
    (first, *_) = names(ended(old, "market_data", month(2020, 2)))
    begin = max(b for b in partitions(old, "market_data") if b <= month(2020, 2))
    for relation, name in (
        ("market_data", partitions(old, "market_data")[begin][0]),
        ("option_data", first),
        ("market_data", "installation"),
        ("option_data", names(ended(old, "option_data", month(2020, 2)))[0]),
    ):
        with pytest.raises(errors.ObjectNotInPrerequisiteState):
            old.execute("SELECT entasis_internal.drop_partition(%s, %s)", [relation, name])


def test_candles_go_after_their_trades(old: Connection) -> None:
    oracle.refresh(old)
    candles = oracle.stored_candles(old)
    # candles and trades are kept equally long, and the trades of January are in use
    keep_from(old, month(2020, 3), "market_data", *CANDLES)
    reasons = dict(
        old.execute(
            "SELECT partition_name, kept_because FROM entasis_internal.expired_partitions()"
        ).fetchall()
    )
    before = {r: partitions(old, r) for r in ("market_data", *CANDLES)}
    gone = {relation: ended(old, relation, month(2020, 3)) for relation in before}
    for name in names(gone["market_data"]):
        assert reasons[name] is None
    for relation in CANDLES:
        for name in names(gone[relation]):
            assert "still has trades" in reasons[name]
            with pytest.raises(errors.ObjectNotInPrerequisiteState, match="is kept"):
                old.execute("SELECT entasis_internal.drop_partition(%s, %s)", [relation, name])
    # but one run is enough for both
    maintain(old)
    for relation, had in before.items():
        assert partitions(old, relation).keys() == had.keys() - gone[relation].keys()
        assert floors(old)[relation] == top(gone[relation])
    after = oracle.stored_candles(old)
    for level in oracle.STORED:
        floor = top(gone[f"ohlcv_{level}"])
        assert after[level] == {k: c for k, c in candles[level].items() if k[2] >= floor}
    assert old.execute("SELECT * FROM entasis.check_candles()").fetchall() == []


def test_archived_relations_stay_and_say_why(old: Connection) -> None:
    oracle.refresh(old)
    keep_from(old, month(2020, 3), *RELATIONS)
    old.execute("UPDATE entasis.keep_periods SET archived = true WHERE relation = 'market_data'")
    before = {relation: partitions(old, relation) for relation in RELATIONS}
    gone = {relation: ended(old, relation, month(2020, 3)) for relation in RELATIONS}
    said = maintain(old)
    assert partitions(old, "market_data") == before["market_data"]
    assert floors(old)["market_data"] == FOREVER
    assert (
        partitions(old, "option_data").keys()
        == before["option_data"].keys() - gone["option_data"].keys()
    )
    for name in names(gone["market_data"]):
        reason = f"{name} is past its keep period and stays: it is marked as archived"
        assert any(s.startswith(reason) for s in said)
    # candles wait for the trades that wait for their archive
    for relation in CANDLES:
        assert partitions(old, relation) == before[relation]
        for name in names(gone[relation]):
            assert any(s.startswith(f"{name} is past") and "still has trades" in s for s in said)
    first = names(gone["market_data"])[0]
    with pytest.raises(errors.ObjectNotInPrerequisiteState, match="is kept"):
        old.execute("SELECT entasis_internal.drop_partition('market_data', %s)", [first])
    oracle.assert_candles_are_right(old)


@pytest.mark.native_speed
def test_an_administrator_may_maintain(old: Connection, login: Login) -> None:
    oracle.refresh(old)
    administrator = login("entasis_admin")
    administrator.execute("UPDATE entasis.keep_periods SET keep = '5 years'")
    maintain(administrator)
    assert min(partitions(old, "market_data")) > month(2020, 4)
    with pytest.raises(errors.InsufficientPrivilege):
        login("entasis_writer").execute("CALL entasis.maintain()")


@pytest.mark.monthly_partitions
def test_maintain_makes_the_months_ahead(admin: Connection) -> None:
    admin.execute("UPDATE entasis.keep_periods SET months_ahead = 5 WHERE relation = 'option_data'")
    maintain(admin)
    this = month_of(datetime.now(UTC))
    for relation, ahead in (("market_data", 3), ("ohlcv_1d", 3), ("option_data", 5)):
        assert set(partitions(admin, relation)) == {month_of(this, n) for n in range(ahead + 1)}


@pytest.mark.newest_server
@pytest.mark.monthly_partitions
def test_no_transaction_makes_the_partitions_of_more_than_a_year(admin: Connection) -> None:
    # each is locked to the end of the transaction that makes it
    admin.execute(
        "UPDATE entasis.keep_periods SET months_ahead = 30 WHERE relation = 'market_data'"
    )
    maintain(admin)
    this = month_of(datetime.now(UTC))
    assert set(partitions(admin, "market_data")) == {month_of(this, n) for n in range(31)}
    made = (
        "SELECT count(*) FROM pg_class WHERE relispartition AND relkind = 'r' GROUP BY xmin::text"
    )
    assert max(count for (count,) in admin.execute(made).fetchall()) <= 12 * 4
    with pytest.raises(errors.ProgramLimitExceeded):
        one(
            admin,
            "SELECT entasis.ensure_partitions('market_data', %s, %s)",
            month_of(this, -18),
            month_of(this, 19),
        )


# --- Partitions in use ---------------------------------------------------------------------------


@pytest.mark.newest_server
@pytest.mark.several_connections
def test_a_partition_in_use_waits_for_the_next_run(old: Connection, database: Database) -> None:
    oracle.refresh(old)
    keep_from(old, month(2020, 2), "market_data")
    gone = ended(old, "market_data", month(2020, 2))
    name = names(gone)[0]
    had = partitions(old, "market_data")
    # it waits for 2 s; here for less, five times
    drop = "entasis_internal.drop_partition(text, name)"
    settings = one(old, f"SELECT proconfig FROM pg_proc WHERE oid = '{drop}'::regprocedure")
    assert "lock_timeout=2s" in settings
    old.execute(f"ALTER FUNCTION {drop} SET lock_timeout = '100ms'")
    before = datetime.now(UTC)
    with database.connect(autocommit=False) as reader:
        # planning and reading one partition is enough
        reader.execute(
            "SELECT * FROM entasis.market_data WHERE timestamp < '2020-01-02Z'"
        ).fetchall()
        said = maintain(old)
        seconds = (datetime.now(UTC) - before).total_seconds()
        assert [s for s in said if "in use; attempt" in s] == [
            f"{name} is in use; attempt {n} of 5" for n in range(1, 6)
        ]
        assert any(s.startswith(f"{name} is past") and "was in use" in s for s in said)
        # a second after each
        assert 5 < seconds < 30
        # nor does a later one go, which would leave rows below the floor
        assert partitions(old, "market_data") == had
        assert floors(old)["market_data"] == FOREVER
        insert_trade(old, month(2020, 4), 81)
        reader.rollback()
    assert [s for s in maintain(old) if s.startswith("dropped")] == [
        f"dropped {name}" for name in names(gone)
    ]
    assert floors(old)["market_data"] == top(gone)
    insert_trade(old, month(2020, 4), 82)


@pytest.mark.several_connections
def test_a_partition_in_use_does_not_hold_up_others_for_long(
    old: Connection, database: Database
) -> None:
    oracle.refresh(old)
    keep_from(old, month(2020, 2), "market_data")
    name = names(ended(old, "market_data", month(2020, 2)))[0]
    with database.connect(autocommit=False) as reader, database.connect() as writer:
        reader.execute("SELECT count(*) FROM entasis.market_data")
        dropper = threading.Thread(target=_try_to_drop, args=(database, name))
        dropper.start()
        try:
            _wait_for_waiters(writer, 1)
            # it stands behind the drop, which gives up after 2 s
            writer.execute("SET lock_timeout = '10s'")
            insert_trade(writer, month(2020, 4), 80)
        finally:
            dropper.join(30)
        reader.rollback()
    oracle.assert_candles_are_right(old)


def _try_to_drop(database: Database, name: str) -> None:
    with database.connect() as connection, pytest.raises(errors.LockNotAvailable):
        connection.execute("SET statement_timeout = '20s'")
        connection.execute("SELECT entasis_internal.drop_partition('market_data', %s)", [name])


def _wait_for_waiters(connection: Connection, number: int) -> None:
    while (
        one(
            connection,
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE wait_event_type = 'Lock' AND datname = current_database()",
        )
        < number
    ):
        time.sleep(0.01)


@pytest.mark.several_connections
def test_two_sessions_maintain_at_once(old: Connection, database: Database) -> None:
    oracle.refresh(old)
    keep_from(old, month(2020, 3), "market_data")
    gone = ended(old, "market_data", month(2020, 3))
    with (
        database.connect(autocommit=False) as reader,
        database.connect() as one_session,
        database.connect() as other,
        ThreadPoolExecutor(2) as threads,
    ):
        # both get as far as the drop before either can do it
        reader.execute("SELECT count(*) FROM entasis.market_data")
        running = [threads.submit(maintain, c) for c in (one_session, other)]
        _wait_for_waiters(old, 2)
        reader.rollback()
        said = [s for future in running for s in future.result(60) if s.startswith("dropped")]
    assert sorted(said) == sorted(f"dropped {name}" for name in names(gone))
    assert floors(old)["market_data"] == top(gone)
