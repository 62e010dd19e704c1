"""Partitions: made for a range, by a writer, beside others; and where rows land."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from psycopg import errors

from tests import oracle
from tests.conftest import Login
from tests.contract.retention.support import (
    CANDLES,
    RELATIONS,
    floors,
    insert_quote,
    insert_trade,
    keep,
    keep_from,
    maintain,
    partitions,
)
from tests.db import Connection, ensure, one, unsharded
from tests.engines import Database
from tests.make import MICROSECOND, month, month_of


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


@pytest.mark.one_role
@settings(max_examples=max(10, settings().max_examples // 2))
@given(time=times, zone=st.sampled_from(["UTC", "America/New_York", "Pacific/Kiritimati"]))
@example(time=datetime(2009, 1, 1, tzinfo=UTC), zone="America/New_York")
def test_a_row_lands_in_the_partition_that_holds_its_time(
    routed: Connection, time: datetime, zone: str
) -> None:
    routed.execute("SELECT set_config('TimeZone', %s, false)", [zone])
    with routed.transaction(force_rollback=True):
        for relation, put in (("market_data", insert_trade), ("option_data", insert_quote)):
            ensure(routed, relation, time, time + MICROSECOND)
            put(routed, time)
            where = f"SELECT tableoid::regclass::text FROM entasis.{relation} WHERE id = 1"
            name = unsharded(one(routed, where).rpartition(".")[2])
            (found,) = [(b, e) for b, (n, e) in partitions(routed, relation).items() if n == name]
            assert found[0] <= time < found[1]
            # so that no candle of a day is computed from two partitions
            assert all(bound.time() == datetime.min.time() for bound in found)


@pytest.mark.one_role
@pytest.mark.monthly_partitions
@settings(max_examples=max(10, settings().max_examples // 2))
@given(time=times, zone=st.sampled_from(["UTC", "America/New_York", "Pacific/Kiritimati"]))
@example(time=datetime(2009, 1, 1, tzinfo=UTC), zone="America/New_York")
@example(time=datetime(2024, 2, 29, 23, 59, 59, 999999, tzinfo=UTC), zone="Pacific/Kiritimati")
def test_a_row_lands_in_the_partition_of_its_utc_month(
    routed: Connection, time: datetime, zone: str
) -> None:
    routed.execute("SELECT set_config('TimeZone', %s, false)", [zone])
    with routed.transaction(force_rollback=True):
        for relation, number, put in (
            ("market_data", 4, insert_trade),
            ("option_data", 1, insert_quote),
        ):
            assert ensure(routed, relation, time, time + MICROSECOND) == number
            assert ensure(routed, relation, time, time + MICROSECOND) == 0
            put(routed, time)
            name = unsharded(
                one(routed, f"SELECT tableoid::regclass::text FROM entasis.{relation} WHERE id = 1")
            )
            assert name == f"entasis_internal.{relation}_y{time.year:04}m{time.month:02}"
            begin = month_of(time)
            assert partitions(routed, relation)[begin] == (
                name.removeprefix("entasis_internal."),
                month_of(time, 1),
            )
        for level in CANDLES:
            name = one(routed, f"SELECT tableoid::regclass::text FROM entasis.{level}")
            assert unsharded(name) == f"entasis_internal.{level}_y{time.year:04}m{time.month:02}"


@pytest.mark.monthly_partitions
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


@pytest.mark.monthly_partitions
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
                [f"entasis.{relation}", f"entasis_internal.{relation}_y2020m01"],
            ).fetchall()
            == []
        )
        owner = "SELECT relowner::regrole::text FROM pg_class WHERE oid = %s::regclass"
        assert one(admin, owner, f"entasis_internal.{relation}_y2020m01") == "entasis_owner"


def test_ranges_that_cannot_be_meant_are_refused(admin: Connection) -> None:
    this = month_of(datetime.now(UTC))
    first = month(2009, 1)
    before = {relation: partitions(admin, relation) for relation in RELATIONS}
    for from_time, to_time, error in (
        (first, month(2012, 1) + MICROSECOND, errors.ProgramLimitExceeded),
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


@pytest.mark.monthly_partitions
def test_a_month_without_a_partition_is_a_clear_error(admin: Connection) -> None:
    with pytest.raises(
        errors.CheckViolation, match=r'no partition of relation "market_data(_\d+)?"'
    ):
        insert_trade(admin, month(2020, 1))
    with pytest.raises(
        errors.CheckViolation, match=r'no partition of relation "option_data(_\d+)?"'
    ):
        insert_quote(admin, month(2020, 1))
    # nor is there a candle's partition without the trades' own
    ensure(admin, "ohlcv_1m", month(2020, 1), month(2020, 2))
    with pytest.raises(
        errors.CheckViolation, match=r'no partition of relation "market_data(_\d+)?"'
    ):
        insert_trade(admin, month(2020, 1))


@pytest.mark.monthly_partitions
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
        admin.execute(f"ALTER TABLE entasis.{name} OWNER TO entasis_owner")
    # the candles' own partitions are made beside them
    assert ensure(admin, "market_data", month(2020, 1), month(2020, 7)) == 6 * 3 + 2
    assert ensure(admin, "market_data", month(2020, 1), month(2020, 7)) == 0
    insert_trade(admin, month(2020, 1))
    insert_trade(admin, month(2020, 5) + timedelta(days=30))
    insert_trade(admin, month(2020, 6))
    with pytest.raises(errors.CheckViolation, match="no partition of relation"):
        insert_trade(admin, month(2020, 1) + timedelta(days=15))
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


@pytest.mark.monthly_partitions
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


@pytest.mark.monthly_partitions
def test_rebuild_ends_where_a_partition_has_no_bound(admin: Connection) -> None:
    keep(admin, **dict.fromkeys(RELATIONS))
    admin.execute(
        "CREATE TABLE entasis.early PARTITION OF entasis.market_data"
        " FOR VALUES FROM (MINVALUE) TO ('2010-01-01 00:00:00+00')"
    )
    ensure(admin, "market_data", month(2009, 12), month(2010, 2))
    insert_trade(admin, month(2009, 12))
    insert_trade(admin, month(2010, 1))
    admin.execute("UPDATE entasis.ohlcv_1h SET high = high + 1")
    admin.execute("SET statement_timeout = '3s'")
    admin.execute("CALL entasis.rebuild_candles('-infinity', 'infinity')")
    oracle.assert_candles_are_right(admin)


def test_partitions_of_a_range_are_made_with_a_writers_rights(
    admin: Connection, database: Database, login: Login
) -> None:
    writer = login("entasis_writer")
    ensure(writer, "market_data", month(2020, 1), month(2020, 2))
    insert_trade(writer, month(2020, 1))
    table = one(
        admin,
        "SELECT partition_oid::regclass::text FROM entasis_internal.partitions_of('market_data')"
        " WHERE from_time <= %s AND to_time > %s",
        *[month(2020, 1)] * 2,
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
        if database.can("hypertables"):
            # a chunk has the rights of its hypertable, and what is written to it is noted
            writer.execute(statement)
            oracle.assert_candles_are_right(admin)
        else:
            with pytest.raises(errors.InsufficientPrivilege):
                writer.execute(statement)
    with pytest.raises(errors.InsufficientPrivilege):
        ensure(login("entasis_reader"), "market_data", month(2020, 2), month(2020, 3))


@pytest.mark.monthly_partitions
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


@pytest.mark.monthly_partitions
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


@pytest.mark.quiet_partitions
@pytest.mark.several_connections
def test_making_partitions_blocks_nobody(admin: Connection, database: Database) -> None:
    keep(admin, **dict.fromkeys(RELATIONS))
    ensure(admin, "market_data", month(2020, 1), month(2020, 2))
    tenth = datetime(2020, 1, 10, tzinfo=UTC)  # and the days after it share a partition
    insert_trade(admin, tenth)
    admin.execute("SET lock_timeout = '5s'")
    with (
        database.connect(autocommit=False) as writer,
        database.connect(autocommit=False) as reader,
        database.connect(autocommit=False) as maker,
    ):
        for connection in (writer, reader, maker):
            connection.execute("SET lock_timeout = '5s'")
            connection.commit()
        insert_trade(writer, tenth + timedelta(days=1))
        reader.execute("SELECT count(*) FROM entasis.market_data").fetchall()
        # others are in the middle of a transaction
        ensure(maker, "market_data", month(2020, 2), month(2020, 4))
        insert_trade(maker, month(2020, 3))
        # and go on before the maker has committed
        insert_trade(writer, tenth + timedelta(days=2))
        reader.execute("SELECT count(*) FROM entasis.market_data").fetchall()
        insert_trade(admin, tenth + timedelta(days=3))
        maker.commit()
        insert_trade(writer, month(2020, 3) + timedelta(hours=1))
        writer.commit()
        reader.commit()
    oracle.assert_candles_are_right(admin)
