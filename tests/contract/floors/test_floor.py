"""Partitions: how they are made, when they go, and the floor that this leaves.

They are calendar months on one engine and chunks of some days on another, so what has to go is read
from the bounds that entasis.partitions gives.
"""

import re
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from psycopg import errors

from tests import oracle
from tests.conftest import Login
from tests.engines import Database

Connection = psycopg.Connection[Any]

CANDLES = ("ohlcv_1m", "ohlcv_1h", "ohlcv_1d")
RELATIONS = ("market_data", "option_data", *CANDLES)
MICROSECOND = timedelta(microseconds=1)
FOREVER = datetime.min.replace(tzinfo=UTC)


def month(year: int, number: int) -> datetime:
    return datetime(year + (number - 1) // 12, (number - 1) % 12 + 1, 1, tzinfo=UTC)


def month_of(time: datetime, ahead: int = 0) -> datetime:
    return month(time.year, time.month + ahead)


@pytest.fixture
def admin(connection: Connection) -> Connection:
    """A superuser's connection."""
    return connection


@pytest.fixture
def months(database: Database) -> None:
    """Leave out what is only of interest where partitions are made before their rows come."""
    if database.engine == "timescaledb":
        pytest.skip("chunks are made by the rows that need them")


by_month = pytest.mark.usefixtures("months")


def one(connection: Connection, query: str, parameters: Sequence[Any] = ()) -> Any:
    row = connection.execute(query, parameters).fetchone()
    assert row is not None
    return row[0]


def ensure(connection: Connection, relation: str, from_time: Any, to_time: Any) -> int:
    made: int = one(
        connection, "SELECT entasis.ensure_partitions(%s, %s, %s)", [relation, from_time, to_time]
    )
    return made


def keep(connection: Connection, **periods: str | timedelta | None) -> None:
    """Set keep periods, in one statement, because candles may not be kept shorter than trades."""
    connection.execute(
        "UPDATE entasis.keep_periods AS k SET keep = n.keep FROM ("
        + " UNION ALL ".join(["SELECT %s AS relation, %s::interval AS keep"] * len(periods))
        + ") AS n WHERE n.relation = k.relation",
        [value for pair in periods.items() for value in pair],
    )


def partitions(connection: Connection, relation: str) -> dict[datetime, tuple[str, datetime]]:
    """Name and end of each partition by its begin."""
    return {
        begin.astimezone(UTC): (name, end.astimezone(UTC))
        for name, begin, end in connection.execute(
            "SELECT partition_name, from_time, to_time FROM entasis.partitions WHERE relation = %s",
            [relation],
        )
    }


Gone = dict[datetime, tuple[str, datetime]]


def ended(connection: Connection, relation: str, bound: datetime) -> Gone:
    """Those partitions that end at the bound or before it, of which there is one at least."""
    found = {b: v for b, v in sorted(partitions(connection, relation).items()) if v[1] <= bound}
    assert found
    return found


def names(gone: Gone) -> list[str]:
    return [name for name, _ in gone.values()]


def top(gone: Gone) -> datetime:
    """The floor that is left when these have gone."""
    return max((end for _, end in gone.values()), default=FOREVER)


def floors(connection: Connection) -> dict[str, datetime]:
    return {
        relation: floor.astimezone(UTC)
        for relation, floor in connection.execute(
            "SELECT relation, CASE WHEN isfinite(floor) THEN floor ELSE %s END FROM entasis.floors",
            [FOREVER],
        )
    }


def maintain(connection: Connection) -> list[str]:
    """Run it, and answer what it said."""
    said: list[str] = []

    def hear(notice: psycopg.errors.Diagnostic) -> None:
        said.append(notice.message_primary or "")

    connection.add_notice_handler(hear)
    try:
        connection.execute("SET client_min_messages = notice")
        connection.execute("SET statement_timeout = '60s'")  # rather fail than hang
        connection.execute("CALL entasis.maintain()")
    finally:
        connection.remove_notice_handler(hear)
    return said


INSERT_TRADE = (
    "INSERT INTO entasis.market_data (id, symbol, exchange, timestamp, price, volume)"
    " VALUES (%s, 'BTC', 'one', %s, %s, 1)"
)
INSERT_QUOTE = (
    "INSERT INTO entasis.option_data (id, underlying, strike_price, expiry_date, option_type, iv,"
    " timestamp) VALUES (%s, 'BTC', 100, '2030-01-01', 'call', 0.5, %s)"
)


def trade(connection: Connection, time: datetime, trade_id: int = 1, price: int = 10) -> None:
    connection.execute(INSERT_TRADE, [trade_id, time, price])


def quote(connection: Connection, time: datetime, quote_id: int = 1) -> None:
    connection.execute(INSERT_QUOTE, [quote_id, time])


def _load(connection: Connection) -> None:
    for number in range(1, 5):
        for day in (1, 15):
            moment = month(2020, number) + timedelta(days=day - 1, minutes=day)
            for trade_id in (1, 2):
                trade(connection, moment, trade_id, 10 * number + trade_id)
                quote(connection, moment, trade_id)
        trade(connection, month(2020, number + 1) - MICROSECOND, 9, number)
        quote(connection, month(2020, number + 1) - MICROSECOND, 9)
    now = datetime.now(UTC)
    trade(connection, now)
    quote(connection, now)


@pytest.fixture
def old(admin: Connection) -> Connection:
    """Trades and quotes of 2020-01 to 2020-04, and of today; nothing is dropped yet."""
    keep(admin, **dict.fromkeys(RELATIONS))
    for relation in ("market_data", "option_data"):
        ensure(admin, relation, month(2020, 1), month(2020, 5))
    with admin.transaction():  # a job may refresh candles at any time, and then the rest is late
        _load(admin)
    return admin


def since(time: datetime) -> timedelta:
    """A keep period that ends at the time, give or take a test's duration."""
    return datetime.now(UTC) - time


def keep_from(connection: Connection, time: datetime, *relations: str) -> None:
    """Let everything that ended half a day before the time be past its keep period."""
    keep(connection, **dict.fromkeys(relations, since(time + timedelta(hours=12))))


# Keep periods


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


# What goes, and what stays


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
    trade(old, month(2020, 1), 77)
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


def test_the_floor_of_candles_is_one_of_trades(old: Connection) -> None:
    oracle.refresh(old)
    # only a hand-made gap brings candles to go before trades: their partitions are gone already
    for (table,) in old.execute(
        "SELECT partition_oid::regclass::text FROM entasis_internal.partitions_of('market_data')"
        " WHERE to_time <= %s",
        [month(2020, 2)],
    ).fetchall():
        old.execute(f"DROP TABLE {table}")
    keep_from(old, month(2020, 2), "market_data", *CANDLES)
    floor = top(ended(old, "ohlcv_1m", month(2020, 2)))
    maintain(old)
    assert floors(old) == {r: FOREVER if r == "option_data" else floor for r in RELATIONS}
    with pytest.raises(errors.CheckViolation):
        ensure(old, "market_data", month(2020, 1), month(2020, 2))


def test_an_administrator_may_maintain(old: Connection, login: Login) -> None:
    oracle.refresh(old)
    administrator = login("entasis_admin")
    administrator.execute("UPDATE entasis.keep_periods SET keep = '5 years'")
    maintain(administrator)
    assert min(partitions(old, "market_data")) > month(2020, 4)
    with pytest.raises(errors.InsufficientPrivilege):
        login("entasis_writer").execute("CALL entasis.maintain()")


@by_month
def test_maintain_makes_the_months_ahead(admin: Connection) -> None:
    admin.execute("UPDATE entasis.keep_periods SET months_ahead = 5 WHERE relation = 'option_data'")
    maintain(admin)
    this = month_of(datetime.now(UTC))
    for relation, ahead in (("market_data", 3), ("ohlcv_1d", 3), ("option_data", 5)):
        assert set(partitions(admin, relation)) == {month_of(this, n) for n in range(ahead + 1)}


# Below the floor


@pytest.fixture
def floored(old: Connection) -> Connection:
    """What ended before 2020-03 is dropped, of trades and quotes."""
    keep_from(old, month(2020, 3), "market_data", "option_data")
    maintain(old)
    assert floors(old)["market_data"] == floors(old)["option_data"] > month(2020, 2)
    return old


def _remake_by_hand(connection: Connection, database: Database, relation: str) -> None:
    """Let there be a partition below the floor, so that only a trigger can object to a row."""
    if database.engine == "postgresql":  # a chunk comes with its row
        connection.execute(
            f"CREATE TABLE entasis.{relation}_by_hand PARTITION OF entasis.{relation}"
            " FOR VALUES FROM ('2020-02-01 00:00:00+00') TO ('2020-03-01 00:00:00+00')"
        )


def refused(connection: Connection, relation: str, query: str, *parameters: Any) -> None:
    with pytest.raises(errors.CheckViolation) as caught:
        connection.execute(query, parameters)
    assert caught.value.diag.constraint_name == f"{relation}_floor"
    assert "past its keep period" in str(caught.value)


def _not_moved(connection: Connection, relation: str, query: str, *parameters: Any) -> None:
    with pytest.raises(errors.CheckViolation) as caught:
        connection.execute(query, parameters)
    # a chunk's own constraint lets no row leave it
    name = caught.value.diag.constraint_name or ""
    assert name == f"{relation}_floor" or re.fullmatch(r"constraint_\d+", name)


def test_what_is_gone_is_not_made_again(floored: Connection) -> None:
    for relation in ("market_data", "option_data"):
        for from_time in (month(2020, 1), floors(floored)[relation] - MICROSECOND):
            with pytest.raises(errors.CheckViolation) as caught:
                ensure(floored, relation, from_time, month(2020, 4))
            assert caught.value.diag.constraint_name == f"{relation}_floor"
        assert ensure(floored, relation, month(2020, 3), month(2020, 4)) == 0
    for put in (trade, quote):
        with pytest.raises(
            errors.CheckViolation, match=r"no partition of relation|past its keep period"
        ):
            put(floored, month(2020, 2))


@pytest.mark.parametrize("relation", ["market_data", "option_data"])
def test_nothing_is_written_below_the_floor(
    floored: Connection, database: Database, relation: str
) -> None:
    oracle.refresh(floored)
    candles = oracle.stored_candles(floored)
    statement = INSERT_TRADE if relation == "market_data" else INSERT_QUOTE
    values = [10] if relation == "market_data" else []
    first = floors(floored)[relation]
    last = first - MICROSECOND
    _remake_by_hand(floored, database, relation)

    refused(floored, relation, statement, 50, last, *values)
    # one row below it is enough, and none of the statement stays
    with pytest.raises(errors.CheckViolation), floored.transaction():
        floored.execute(statement, [50, first, *values])
        floored.execute(statement, [50, month(2020, 2), *values])
    floored.execute(statement, [51, first, *values])
    floored.execute(f"DELETE FROM entasis.{relation} WHERE id = 51")
    # moving down, and what went past the triggers
    _not_moved(
        floored,
        relation,
        f"UPDATE entasis.{relation} SET timestamp = %s WHERE id = 1 AND timestamp < '2020-03-10'",
        last,
    )
    with floored.transaction():
        floored.execute("SET LOCAL session_replication_role = replica")
        floored.execute(statement, [60, last, *values])
    refused(floored, relation, f"DELETE FROM entasis.{relation} WHERE id = 60")
    refused(floored, relation, f"UPDATE entasis.{relation} SET id = 61 WHERE id = 60")
    _not_moved(
        floored, relation, f"UPDATE entasis.{relation} SET timestamp = %s WHERE id = 60", first
    )
    refused(floored, relation, f"DELETE FROM entasis.{relation}")
    oracle.refresh(floored)
    assert oracle.stored_candles(floored) == candles


@pytest.mark.copy
def test_copy_below_the_floor_is_refused(floored: Connection, database: Database) -> None:
    _remake_by_hand(floored, database, "market_data")
    with (
        pytest.raises(errors.CheckViolation) as caught,
        floored.cursor() as cursor,
        cursor.copy(
            "COPY entasis.market_data (id, symbol, exchange, timestamp, price, volume) FROM STDIN"
        ) as copy,
    ):
        copy.write_row((1, "BTC", "one", month(2020, 3), 1, 1))
        copy.write_row((1, "BTC", "one", month(2020, 2), 1, 1))
    assert caught.value.diag.constraint_name == "market_data_floor"


def test_check_and_rebuild_leave_what_lies_below_the_floor_alone(floored: Connection) -> None:
    candles = oracle.stored_candles(floored)
    assert candles["1d"]["BTC", "one", month(2020, 1)].trades == 2
    for from_time, to_time in (
        ("-infinity", "infinity"),
        (month(2020, 1), month(2020, 2)),
        (month(2020, 2) + timedelta(days=20), month(2020, 3) + timedelta(days=3)),
    ):
        found = floored.execute(
            "SELECT * FROM entasis.check_candles(%s, %s)", [from_time, to_time]
        ).fetchall()
        assert found == []
        floored.execute("CALL entasis.rebuild_candles(%s, %s)", [from_time, to_time])
        assert oracle.stored_candles(floored) == candles
    # above the floor they do their work
    oracle.refresh(floored)
    floored.execute(f"UPDATE {oracle.candle_table(floored, '1m')} SET high = high + 1")
    floored.execute("CALL entasis.rebuild_candles('-infinity', 'infinity')")
    assert floored.execute("SELECT * FROM entasis.check_candles()").fetchall() == []
    mended = oracle.stored_candles(floored)["1m"]
    for key, candle in candles["1m"].items():
        damaged = key[2] < floors(floored)["market_data"]
        assert mended[key].high == candle.high + (1 if damaged else 0)


def test_a_day_of_a_market_below_the_floor_is_not_rebuilt(
    floored: Connection, database: Database
) -> None:
    if database.engine == "timescaledb":
        pytest.skip("a continuous aggregate is not rebuilt by market")
    with pytest.raises(errors.CheckViolation):
        floored.execute(
            "SELECT entasis_internal.rebuild_market_day('BTC', 'one', %s)", [month(2020, 1)]
        )


def test_a_correction_at_the_floor_leaves_the_candles_below_it(floored: Connection) -> None:
    """The first trades above the floor share a week with trades that are gone."""
    candles = oracle.stored_candles(floored)
    floored.execute(
        "UPDATE entasis.market_data SET price = 1"
        " WHERE timestamp >= '2020-03-01Z' AND timestamp < '2020-03-02Z'"
    )
    oracle.refresh(floored)
    after = oracle.stored_candles(floored)
    for level in oracle.STORED:
        for key, candle in candles[level].items():
            if key[2] < month(2020, 3):
                assert after[level][key] == candle
    assert after["1d"]["BTC", "one", month(2020, 3)].high == 1
    # the month below the floor and the days of the week below it are still counted
    week = after["1w"]["BTC", "one", datetime(2020, 2, 24, tzinfo=UTC)]
    assert (week.open, week.low, week.trades) == (2, 1, 3)


# Partitions in use


@pytest.mark.several_connections
def test_a_partition_in_use_waits_for_the_next_run(old: Connection, database: Database) -> None:
    oracle.refresh(old)
    keep_from(old, month(2020, 2), "market_data")
    gone = ended(old, "market_data", month(2020, 2))
    name = names(gone)[0]
    had = partitions(old, "market_data")
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
        # five times 2 s, and a second after each
        assert 10 < seconds < 40
        # nor does a later one go, which would leave rows below the floor
        assert partitions(old, "market_data") == had
        assert floors(old)["market_data"] == FOREVER
        trade(old, month(2020, 4), 81)
        reader.rollback()
    assert [s for s in maintain(old) if s.startswith("dropped")] == [
        f"dropped {name}" for name in names(gone)
    ]
    assert floors(old)["market_data"] == top(gone)
    trade(old, month(2020, 4), 82)


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
            trade(writer, month(2020, 4), 80)
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


# Making partitions


@pytest.fixture
def routed(admin: Connection) -> Connection:
    keep(admin, **dict.fromkeys(RELATIONS))
    return admin


times = st.one_of(
    st.builds(
        lambda y, m, us: month(y, m) + timedelta(microseconds=us),
        st.integers(2009, 2025),
        st.integers(2, 12),
        st.sampled_from([0, -1, 1, 3_600_000_000 * 5]),
    ),
    st.datetimes(datetime(2009, 1, 1), datetime(2025, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001
)


@settings(max_examples=max(10, settings().max_examples // 2))
@given(time=times, zone=st.sampled_from(["UTC", "America/New_York", "Pacific/Kiritimati"]))
@example(time=datetime(2009, 1, 1, tzinfo=UTC), zone="America/New_York")
def test_a_row_lands_in_the_partition_that_holds_its_time(
    routed: Connection, time: datetime, zone: str
) -> None:
    routed.execute("SELECT set_config('TimeZone', %s, false)", [zone])
    with routed.transaction(force_rollback=True):
        for relation, put in (("market_data", trade), ("option_data", quote)):
            ensure(routed, relation, time, time + MICROSECOND)
            put(routed, time)
            name = one(
                routed,
                f"SELECT c.relname FROM entasis.{relation} AS r"
                " INNER JOIN pg_class AS c ON r.tableoid = c.oid WHERE r.id = 1",
            )
            (found,) = [(b, e) for b, (n, e) in partitions(routed, relation).items() if n == name]
            assert found[0] <= time < found[1]
            # so that no candle of a day is computed from two partitions
            assert all(bound.time() == datetime.min.time() for bound in found)


@by_month
@settings(max_examples=max(10, settings().max_examples // 2))
@given(time=times, zone=st.sampled_from(["UTC", "America/New_York", "Pacific/Kiritimati"]))
@example(time=datetime(2009, 1, 1, tzinfo=UTC), zone="America/New_York")
@example(time=datetime(2024, 2, 29, 23, 59, 59, 999999, tzinfo=UTC), zone="Pacific/Kiritimati")
def test_a_row_lands_in_the_partition_of_its_utc_month(
    routed: Connection, time: datetime, zone: str
) -> None:
    routed.execute("SELECT set_config('TimeZone', %s, false)", [zone])
    with routed.transaction(force_rollback=True):
        for relation, number, put in (("market_data", 4, trade), ("option_data", 1, quote)):
            assert ensure(routed, relation, time, time + MICROSECOND) == number
            assert ensure(routed, relation, time, time + MICROSECOND) == 0
            put(routed, time)
            name = one(
                routed, f"SELECT tableoid::regclass::text FROM entasis.{relation} WHERE id = 1"
            )
            assert name == f"entasis.{relation}_y{time.year:04}m{time.month:02}"
            begin = month_of(time)
            assert partitions(routed, relation)[begin] == (
                name.removeprefix("entasis."),
                month_of(time, 1),
            )
        for level in CANDLES:
            name = one(routed, f"SELECT tableoid::regclass::text FROM entasis.{level}")
            assert name == f"entasis.{level}_y{time.year:04}m{time.month:02}"


@by_month
@settings(max_examples=10)
@given(
    first=st.integers(0, 30),
    count=st.integers(1, 5),
    inset=st.sampled_from([timedelta(0), MICROSECOND, timedelta(days=13)]),
)
def test_all_months_of_a_range_are_made(
    routed: Connection, first: int, count: int, inset: timedelta
) -> None:
    with routed.transaction(force_rollback=True):
        begin, end = month(2015, 1 + first), month(2015, 1 + first + count)
        made = ensure(routed, "option_data", begin + inset, end - inset)
        assert made == count
        assert {b: e for b, (_, e) in partitions(routed, "option_data").items() if b < end} == {
            month(2015, 1 + first + n): month(2015, 2 + first + n) for n in range(count)
        }


@by_month
def test_a_partition_is_like_its_parent(admin: Connection) -> None:
    ensure(admin, "market_data", month(2020, 1), month(2020, 2))
    ensure(admin, "option_data", month(2020, 1), month(2020, 2))
    for relation in RELATIONS:
        # what is missing in a partition, or is more in it
        assert (
            admin.execute(
                "WITH described AS (SELECT a.attrelid, jsonb_build_object('name', a.attname,"
                " 'type', format_type(a.atttypid, a.atttypmod), 'collation', a.attcollation,"
                " 'not_null', a.attnotnull, 'default', pg_get_expr(d.adbin, d.adrelid)) AS what"
                " FROM pg_attribute AS a LEFT JOIN pg_attrdef AS d"
                " ON d.adrelid = a.attrelid AND d.adnum = a.attnum WHERE a.attnum > 0"
                " UNION ALL SELECT conrelid, to_jsonb(pg_get_constraintdef(oid)) FROM pg_constraint"
                " UNION ALL SELECT indrelid, to_jsonb(regexp_replace(pg_get_indexdef(indexrelid),"
                " '^.* USING ', '')) FROM pg_index)"
                " SELECT p.what, c.what FROM"
                " (SELECT what FROM described WHERE attrelid = %s::regclass) AS p FULL JOIN"
                " (SELECT what FROM described WHERE attrelid = %s::regclass) AS c"
                " ON p.what = c.what WHERE p.what IS NULL OR c.what IS NULL",
                [f"entasis.{relation}", f"entasis.{relation}_y2020m01"],
            ).fetchall()
            == []
        )
        owner = "SELECT relowner::regrole::text FROM pg_class WHERE oid = %s::regclass"
        assert one(admin, owner, [f"entasis.{relation}_y2020m01"]) == "entasis_owner"


def test_ranges_that_cannot_be_meant_are_refused(admin: Connection) -> None:
    this = month_of(datetime.now(UTC))
    first = month(2009, 1)
    before = {relation: partitions(admin, relation) for relation in RELATIONS}
    for from_time, to_time, error in (
        (first - MICROSECOND, month(2009, 2), errors.DatetimeFieldOverflow),
        (datetime(1970, 1, 20, tzinfo=UTC), month(2009, 2), errors.DatetimeFieldOverflow),
        ("-infinity", month(2009, 2), errors.DatetimeFieldOverflow),
        (this, month_of(this, 4) + MICROSECOND, errors.DatetimeFieldOverflow),
        (this, "infinity", errors.DatetimeFieldOverflow),
        (this, "54000-01-01", errors.DatetimeFieldOverflow),
        (month(2020, 2), month(2020, 1), errors.InvalidParameterValue),
        (month(2020, 2), month(2020, 2), errors.InvalidParameterValue),
        (None, month(2020, 2), errors.InvalidParameterValue),
        (month(2020, 2), None, errors.InvalidParameterValue),
    ):
        for relation in ("market_data", "option_data"):
            with pytest.raises(error):
                ensure(admin, relation, from_time, to_time)
    for unknown in ("predictions", "pg_class", "", None):
        with pytest.raises(errors.InvalidParameterValue, match="is not a partitioned relation"):
            ensure(admin, unknown, month(2020, 1), month(2020, 2))  # type: ignore[arg-type]
    assert before == {relation: partitions(admin, relation) for relation in RELATIONS}
    ensure(admin, "market_data", first, first + MICROSECOND)
    assert ensure(admin, "market_data", this, month_of(this, 4)) == 0


@by_month
def test_a_month_without_a_partition_is_a_clear_error(admin: Connection) -> None:
    with pytest.raises(errors.CheckViolation, match='no partition of relation "market_data"'):
        trade(admin, month(2020, 1))
    with pytest.raises(errors.CheckViolation, match='no partition of relation "option_data"'):
        quote(admin, month(2020, 1))
    # nor is there a candle's partition without the trades' own
    ensure(admin, "ohlcv_1m", month(2020, 1), month(2020, 2))
    with pytest.raises(errors.CheckViolation, match='no partition of relation "market_data"'):
        trade(admin, month(2020, 1))


@by_month
def test_a_partition_made_by_hand_may_be_cut_otherwise(admin: Connection) -> None:
    keep(admin, **dict.fromkeys(RELATIONS))
    for name, begin, end in (
        ("early", "'2009-01-01 00:00:00+00'", "'2010-01-01 00:00:00+00'"),
        ("half", "'2020-01-01 00:00:00+00'", "'2020-01-16 00:00:00+00'"),
        ("long", "'2020-03-01 00:00:00+00'", "'2020-06-01 00:00:00+00'"),
    ):
        admin.execute(
            f"CREATE TABLE entasis.{name} PARTITION OF entasis.market_data"
            f" FOR VALUES FROM ({begin}) TO ({end})"
        )
    # the candles' own partitions are made beside them
    assert ensure(admin, "market_data", month(2020, 1), month(2020, 7)) == 6 * 3 + 2
    assert ensure(admin, "market_data", month(2020, 1), month(2020, 7)) == 0
    trade(admin, month(2020, 1))
    trade(admin, month(2020, 5) + timedelta(days=30))
    trade(admin, month(2020, 6))
    with pytest.raises(errors.CheckViolation, match="no partition of relation"):
        trade(admin, month(2020, 1) + timedelta(days=15))
    oracle.assert_candles_are_right(admin)
    # what is dropped has the bounds that it really has
    keep_from(admin, month(2020, 2), "market_data")
    assert [x for x in maintain(admin) if x.startswith("dropped")] == [
        "dropped early",
        "dropped half",
    ]
    assert floors(admin)["market_data"] == datetime(2020, 1, 16, tzinfo=UTC)
    with pytest.raises(errors.CheckViolation):
        ensure(admin, "market_data", month(2020, 1), month(2020, 2))
    assert admin.execute("SELECT * FROM entasis.check_candles()").fetchall() == []
    admin.execute("CALL entasis.rebuild_candles('-infinity', 'infinity')")
    assert oracle.stored_candles(admin)["1m"]["BTC", "one", month(2020, 1)].trades == 1


@by_month
def test_a_partition_of_another_schema_is_dropped_too(admin: Connection) -> None:
    keep(admin, **dict.fromkeys(RELATIONS))
    admin.execute("CREATE SCHEMA elsewhere AUTHORIZATION entasis_owner")
    admin.execute(
        "CREATE TABLE elsewhere.early PARTITION OF entasis.market_data"
        " FOR VALUES FROM ('2020-01-01 00:00:00+00') TO ('2020-02-01 00:00:00+00')"
    )
    admin.execute("ALTER TABLE elsewhere.early OWNER TO entasis_owner")
    keep_from(admin, month(2020, 3), "market_data")
    assert "dropped early" in maintain(admin)
    assert min(partitions(admin, "market_data")) > month(2020, 2)


@by_month
def test_rebuild_ends_where_a_partition_has_no_bound(admin: Connection) -> None:
    keep(admin, **dict.fromkeys(RELATIONS))
    admin.execute(
        "CREATE TABLE entasis.early PARTITION OF entasis.market_data"
        " FOR VALUES FROM (MINVALUE) TO ('2010-01-01 00:00:00+00')"
    )
    ensure(admin, "market_data", month(2009, 12), month(2010, 2))
    trade(admin, month(2009, 12))
    trade(admin, month(2010, 1))
    admin.execute("UPDATE entasis.ohlcv_1h SET high = high + 1")
    admin.execute("SET statement_timeout = '3s'")
    admin.execute("CALL entasis.rebuild_candles('-infinity', 'infinity')")
    oracle.assert_candles_are_right(admin)


def test_check_and_rebuild_work_with_a_floor_within_a_day(
    admin: Connection, database: Database
) -> None:
    keep(admin, **dict.fromkeys(RELATIONS))
    noon = datetime(2020, 1, 15, 12, tzinfo=UTC)
    if database.engine == "timescaledb":
        # what a DBA may do who has more trades a second than seven days take
        admin.execute("SELECT set_chunk_time_interval('entasis.market_data', interval '12 hours')")
    else:
        for name, begin, end in (("one", month(2020, 1), noon), ("two", noon, month(2020, 2))):
            admin.execute(
                f"CREATE TABLE entasis.{name} PARTITION OF entasis.market_data"
                f" FOR VALUES FROM ('{begin}') TO ('{end}')"
            )
        ensure(admin, "market_data", month(2020, 1), month(2020, 2))
    for hours in (-1, 1, 30):
        trade(admin, noon + timedelta(hours=hours))
    candles = oracle.stored_candles(admin)
    keep(admin, market_data=since(noon + timedelta(hours=6)))
    maintain(admin)
    assert floors(admin)["market_data"] == noon
    assert min(partitions(admin, "market_data")) == noon
    assert admin.execute("SELECT * FROM entasis.check_candles()").fetchall() == []
    admin.execute("CALL entasis.rebuild_candles('-infinity', 'infinity')")
    assert oracle.stored_candles(admin) == candles


def test_partitions_of_a_range_are_made_with_a_writers_rights(
    admin: Connection, database: Database, login: Login
) -> None:
    writer = login("entasis_writer")
    ensure(writer, "market_data", month(2020, 1), month(2020, 2))
    trade(writer, month(2020, 1))
    table = one(
        admin,
        "SELECT partition_oid::regclass::text FROM entasis_internal.partitions_of('market_data')"
        " WHERE from_time <= %s AND to_time > %s",
        [month(2020, 1)] * 2,
    )
    for statement in (f"DROP TABLE {table}", f"TRUNCATE {table}"):
        with pytest.raises(errors.InsufficientPrivilege):
            writer.execute(statement)
    for statement in (
        f"SELECT * FROM {table}",
        f"INSERT INTO {table} (id, symbol, exchange, timestamp, price, volume)"
        " VALUES (2, 'BTC', 'one', '2020-01-01Z', 7, 1)",
        f"UPDATE {table} SET price = 11 WHERE id = 1",
        f"DELETE FROM {table} WHERE id = 1",
    ):
        if database.engine == "timescaledb":
            # a chunk has the rights of its hypertable, and what is written to it is noted
            writer.execute(statement)
            oracle.assert_candles_are_right(admin)
        else:
            with pytest.raises(errors.InsufficientPrivilege):
                writer.execute(statement)
    with pytest.raises(errors.InsufficientPrivilege):
        ensure(login("entasis_reader"), "market_data", month(2020, 2), month(2020, 3))


@by_month
@pytest.mark.several_connections
def test_several_sessions_make_the_same_partitions(admin: Connection, database: Database) -> None:
    keep(admin, **dict.fromkeys(RELATIONS))
    sessions, rounds = 4, 4
    start = threading.Barrier(sessions)

    def make() -> int:
        made = 0
        with database.connect() as connection:
            for number in range(rounds):
                start.wait(30)
                made += ensure(
                    connection,
                    "market_data",
                    month(2018, 1 + 2 * number),
                    month(2018, 3 + 2 * number),
                )
        return made

    with ThreadPoolExecutor(sessions) as threads:
        made = [future.result(60) for future in [threads.submit(make) for _ in range(sessions)]]
    assert sum(made) == rounds * 2 * 4
    assert {b for b in partitions(admin, "market_data") if b.year == 2018} == {
        month(2018, 1 + n) for n in range(2 * rounds)
    }


@by_month
@pytest.mark.several_connections
def test_a_partition_made_since_the_snapshot_is_no_error(
    admin: Connection, database: Database
) -> None:
    with database.connect(autocommit=False) as other:
        other.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        other.execute("SELECT count(*) FROM entasis.market_data")
        assert ensure(admin, "market_data", month(2020, 1), month(2020, 2)) == 4
        try:
            assert ensure(other, "market_data", month(2020, 1), month(2020, 2)) == 0
        except errors.SerializationFailure:  # which says: try again
            other.rollback()
            assert ensure(other, "market_data", month(2020, 1), month(2020, 2)) == 0


@pytest.mark.several_connections
def test_making_partitions_blocks_nobody(admin: Connection, database: Database) -> None:
    keep(admin, **dict.fromkeys(RELATIONS))
    ensure(admin, "market_data", month(2020, 1), month(2020, 2))
    tenth = datetime(2020, 1, 10, tzinfo=UTC)  # and the days after it share a partition
    trade(admin, tenth)
    admin.execute("SET lock_timeout = '5s'")
    with (
        database.connect(autocommit=False) as writer,
        database.connect(autocommit=False) as reader,
        database.connect(autocommit=False) as maker,
    ):
        for connection in (writer, reader, maker):
            connection.execute("SET lock_timeout = '5s'")
            connection.commit()
        trade(writer, tenth + timedelta(days=1))
        reader.execute("SELECT count(*) FROM entasis.market_data").fetchall()
        # others are in the middle of a transaction
        ensure(maker, "market_data", month(2020, 2), month(2020, 4))
        trade(maker, month(2020, 3))
        # and go on before the maker has committed
        trade(writer, tenth + timedelta(days=2))
        reader.execute("SELECT count(*) FROM entasis.market_data").fetchall()
        trade(admin, tenth + timedelta(days=3))
        maker.commit()
        trade(writer, month(2020, 3) + timedelta(hours=1))
        writer.commit()
        reader.commit()
    oracle.assert_candles_are_right(admin)
