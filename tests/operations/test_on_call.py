"""Each heading of the page for those on call mends what it is about: the fault is planted, the
commands are run as they stand there, and the doctor finds nothing any more.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import timedelta

import psycopg
import pytest

from entasis_db.archive import archive, open_store
from entasis_db.health import health
from tests.contract.health.test_faults import FAULTS, LONG_AGO, OLDER, put
from tests.db import Connection, one
from tests.make import months_ago, trade
from tests.operations import site as sites
from tests.operations.site import Site, on_call

pytestmark = pytest.mark.long

HEADER = "exchange,symbol,timestamp_ns,sequence,trade_id,price,volume\n"
Plant = Callable[[Site, Connection, ExitStack], None]


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with on_call() as made:
        yield made


def warn(connection: Connection, check: str, warning: float) -> None:
    connection.execute(
        "UPDATE entasis.thresholds SET warning = %s, critical = NULL WHERE check_name = %s",
        [warning, check],
    )


def changed(connection: Connection, function: str, before: str, after: str) -> Callable[[], None]:
    """Change the text of a function; return what changes it back."""
    dsn = connection.info.dsn
    text = one(connection, f"SELECT pg_get_functiondef('entasis_internal.{function}'::regproc)")
    assert before in text
    connection.execute(text.replace(before, after).encode())
    password = connection.info.password

    def back() -> None:
        with psycopg.connect(dsn, password=password, autocommit=True) as again:
            again.execute(text.encode())

    return back


def statement(text: str) -> Plant:
    def plant(_: Site, connection: Connection, stack: ExitStack) -> None:
        for part in text.split(";\n"):
            connection.execute(part.encode())

    return plant


def feed_silent(_: Site, connection: Connection, stack: ExitStack) -> None:
    now = one(connection, "SELECT date_trunc('second', now())")
    times = [now - timedelta(minutes=n) for n in range(220, 40, -1)]
    put(connection, *(trade(n, symbol="LIVELY", timestamp=t) for n, t in enumerate(times)))


def ids_missing(site: Site, connection: Connection, stack: ExitStack) -> None:
    now = one(connection, "SELECT date_trunc('second', now())")
    connection.execute("SELECT entasis.record_id_space('DENSE', 'x', 'trade', 'test')")
    connection.execute("SELECT entasis.set_market('DENSE', 'x', '{\"ids_dense\": true}')")
    whole = [
        trade(n, symbol="DENSE", timestamp=now - timedelta(minutes=99 - n, seconds=20))
        for n in range(1, 100)
    ]
    put(connection, *(t for t in whole if t.id not in (50, 51)))
    site.trades = HEADER + "".join(
        f"x,DENSE,{int(t.timestamp.timestamp())}000000000,{t.id},{t.id},{t.price},{t.volume}\n"
        for t in whole[49:51]
    )


def quarantined(site: Site, connection: Connection, stack: ExitStack) -> None:
    connection.execute(FAULTS["quarantined"].encode())
    now = int(one(connection, "SELECT extract(epoch FROM now())"))
    site.trades = HEADER + f"x,MENDED,{now}000000000,1,1,5,1\n"


def anomalies_undecided(_: Site, connection: Connection, stack: ExitStack) -> None:
    connection.execute(FAULTS["anomalies_undecided"].encode())


def missing_month(_: Site, connection: Connection, stack: ExitStack) -> None:
    name = one(
        connection,
        "SELECT partition_name FROM entasis.partitions WHERE relation = 'option_data'"
        " ORDER BY from_time DESC LIMIT 1",
    )
    connection.execute(f"DROP TABLE entasis_internal.{name}".encode())
    connection.execute(
        "DELETE FROM entasis_internal.known_partitions WHERE partition_name = %s", [name]
    )
    days = health_of(connection, "partitions_ahead")
    warn(connection, "partitions_ahead", float(days) + 1)


def health_of(connection: Connection, check: str) -> float:
    return next(float(c.value or 0) for c in health(connection) if c.check == check)


def expired(*, archived: bool) -> Plant:
    def plant(_: Site, connection: Connection, stack: ExitStack) -> None:
        connection.execute("UPDATE entasis.floors SET floor = DEFAULT")
        month = months_ago(7 if archived else 6)
        connection.execute("UPDATE entasis.keep_periods SET archived = true")
        put(connection, trade(1, symbol="OLD", timestamp=month))
        connection.execute("CALL entasis.maintain()")
        connection.execute("UPDATE entasis.keep_periods SET archived = %s", [archived])
        connection.execute(
            "UPDATE entasis_internal.known_partitions SET first_seen_at = " + LONG_AGO
        )

    return plant


def archive_stale(site: Site, connection: Connection, stack: ExitStack) -> None:
    connection.execute("UPDATE entasis.floors SET floor = DEFAULT")
    connection.execute("UPDATE entasis.keep_periods SET archived = true")
    put(connection, trade(1, symbol="OLD", timestamp=months_ago(5)))
    archive(connection, open_store((site.home / "archive").as_uri()))
    put(connection, trade(2, symbol="OLD", timestamp=months_ago(5)))
    connection.execute("CALL entasis.maintain()")  # which compares before it drops


def partition_detached(_: Site, connection: Connection, stack: ExitStack) -> None:
    name = one(
        connection,
        "SELECT partition_name FROM entasis.partitions WHERE relation = 'market_data'"
        " AND now() >= from_time AND now() < to_time",
    )
    connection.execute(
        f"ALTER TABLE entasis.market_data DETACH PARTITION entasis_internal.{name}".encode()
    )


def trigger_disabled(_: Site, connection: Connection, stack: ExitStack) -> None:
    connection.execute("ALTER TABLE entasis.market_data DISABLE TRIGGER USER")
    now = one(connection, "SELECT now()")
    put(connection, trade(10**6, timestamp=now))


def object_changed(_: Site, connection: Connection, stack: ExitStack) -> None:
    changed(connection, "health_quarantine", "'24 hours'", "'23 hours'")


def index_unused(_: Site, connection: Connection, stack: ExitStack) -> None:
    connection.execute("CREATE TABLE public.u (id int); CREATE INDEX unused ON public.u (id)")
    connection.execute("UPDATE pg_class SET relpages = 9000 WHERE relname = 'unused'")
    connection.execute("SELECT pg_stat_reset()")
    warn(connection, "index_unused", 0)


def slot(connection: Connection) -> None:
    connection.execute("SELECT pg_create_physical_replication_slot('gone', true)")


def slot_inactive(_: Site, connection: Connection, stack: ExitStack) -> None:
    slot(connection)


def slot_wal(_: Site, connection: Connection, stack: ExitStack) -> None:
    slot(connection)
    connection.execute("SELECT pg_logical_emit_message(false, 'test', repeat('x', 100000))")
    warn(connection, "slot_wal", 10)


def slot_lost(_: Site, connection: Connection, stack: ExitStack) -> None:
    slot(connection)
    connection.execute("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'")
    connection.execute("SELECT pg_reload_conf()")
    for _round in range(20):
        connection.execute("SELECT pg_logical_emit_message(false, 'test', 'x', true)")
        connection.execute("SELECT pg_switch_wal()")
        connection.execute("CHECKPOINT")
        if one(connection, "SELECT wal_status FROM pg_replication_slots") == "lost":
            break


def not_archived(check: str) -> Plant:
    def plant(_: Site, connection: Connection, stack: ExitStack) -> None:
        warn(connection, check, 1 if check == "archive_command_failing" else 0.01)
        if check == "wal_ready":
            warn(connection, check, 1)
        connection.execute("ALTER SYSTEM SET archive_command = 'false'")
        connection.execute("SELECT pg_reload_conf()")
        connection.execute("SELECT pg_logical_emit_message(false, 'test', 'x', true)")
        connection.execute("SELECT pg_switch_wal()")
        for _round in range(100):
            if health_of(connection, check) >= 0.01:
                break
            connection.execute("SELECT pg_sleep(0.1)")

    return plant


def standby_missing(_: Site, connection: Connection, stack: ExitStack) -> None:
    connection.execute("ALTER SYSTEM SET synchronous_standby_names = 'gone'")
    connection.execute("SELECT pg_reload_conf(), pg_sleep(0.1)")


def idle_in_transaction(site: Site, connection: Connection, stack: ExitStack) -> None:
    warn(connection, "idle_in_transaction", 0)
    stack.enter_context(left_alone(site)).execute("SELECT 1")


def left_alone(site: Site) -> closing[Connection]:
    """Open a session that others may end."""
    return closing(site.connect(autocommit=False))


def transaction_age(site: Site, connection: Connection, stack: ExitStack) -> None:
    warn(connection, "transaction_age", 0)
    stack.enter_context(left_alone(site)).execute("SELECT 1")


def prepared_age(_: Site, connection: Connection, stack: ExitStack) -> None:
    warn(connection, "prepared_age", 0)
    connection.execute("BEGIN")
    connection.execute("CREATE TABLE public.prepared ()")
    connection.execute("PREPARE TRANSACTION 'forgotten'")


def blocked(site: Site, connection: Connection, stack: ExitStack) -> None:
    warn(connection, "blocked", 0)
    stack.enter_context(left_alone(site)).execute("LOCK TABLE entasis.predictions")
    waiting = stack.enter_context(site.connect())
    stack.enter_context(waiting.pipeline())
    waiting.execute("SELECT FROM entasis.predictions")
    waiting.pgconn.flush()
    for _round in range(100):
        if "blocked" in site.over():
            break
        connection.execute("SELECT pg_sleep(0.01)")


def connections(site: Site, connection: Connection, stack: ExitStack) -> None:
    for _client in range(20):
        stack.enter_context(closing(site.connect()))
    connection.execute("SELECT pg_sleep(0.1)")
    warn(connection, "connections", health_of(connection, "connections") - 5)


def deadlocks(site: Site, connection: Connection, stack: ExitStack) -> None:
    first, second = (stack.enter_context(left_alone(site)) for _client in range(2))
    for session in (first, second):
        session.execute("SET deadlock_timeout = '10ms'")
    first.execute("LOCK TABLE entasis.predictions")
    second.execute("LOCK TABLE entasis.runs")
    with first.pipeline():
        first.execute("LOCK TABLE entasis.runs")
        first.pgconn.flush()
        connection.execute("SELECT pg_sleep(0.1)")  # so that the second is the one that is ended
        with pytest.raises(psycopg.errors.DeadlockDetected):
            second.execute("LOCK TABLE entasis.predictions")
        second.rollback()
    first.rollback()
    second.execute("SELECT pg_stat_force_next_flush()")
    second.rollback()


def dead_rows(_: Site, connection: Connection, stack: ExitStack) -> None:
    connection.execute("""
        CREATE TABLE public.t (id int);
        INSERT INTO public.t SELECT generate_series(1, 10000);
        DELETE FROM public.t WHERE id <= 4000;
    """)
    connection.execute("SELECT pg_stat_force_next_flush()")


def checksum_failures(site: Site, connection: Connection, stack: ExitStack) -> None:
    connection.execute("CREATE TABLE public.c AS SELECT generate_series(1, 1000) AS id")
    connection.execute("CREATE INDEX damaged ON public.c (id)")
    file = one(
        connection,
        "SELECT current_setting('data_directory') || '/' || pg_relation_filepath('damaged')",
    )
    assert site.cluster is not None
    connection.close()
    site.cluster.stop()
    with open(file, "r+b") as index:  # noqa: PTH123
        index.seek(8192 + 4000)
        index.write(b"damage" * 10)
    site.cluster.start()
    with site.connect() as again:
        again.execute("SET enable_seqscan = off")
        with pytest.raises(psycopg.Error, match="invalid page"):
            again.execute("SELECT id FROM public.c WHERE id = 3")


def cache_hits(_: Site, connection: Connection, stack: ExitStack) -> None:
    connection.execute(
        "SET enable_memoize = off; SET enable_hashjoin = off; SET enable_mergejoin = off"
    )
    connection.execute(
        "SELECT count(c.relname) FROM generate_series(1, 700000) AS n"
        " INNER JOIN pg_class AS c ON c.oid = (1200 + n % 100)::oid"
    )
    connection.execute("SELECT pg_stat_force_next_flush()")
    connection.execute("SELECT 1")
    warn(connection, "cache_hits", 100)


def unsafe(_: Site, connection: Connection, stack: ExitStack) -> None:
    connection.execute("ALTER SYSTEM SET fsync = off")
    connection.execute("ALTER DATABASE entasis SET zero_damaged_pages = on")
    connection.execute("SELECT pg_reload_conf(), pg_sleep(0.1)")


def unfit(_: Site, connection: Connection, stack: ExitStack) -> None:
    connection.execute("ALTER SYSTEM SET random_page_cost = 10")
    connection.execute("ALTER DATABASE entasis SET timezone = 'Asia/Tokyo'")
    connection.execute("SELECT pg_reload_conf(), pg_sleep(0.1)")


def version_broken(site: Site, connection: Connection, stack: ExitStack) -> None:
    here = connection.info.server_version
    site.upgrade = changed(
        connection, "health_versions", "VALUES (15, 9)",
        f"VALUES ({here // 10000}, {here % 10000}), (15, 9)",
    )  # fmt: skip


PLANTS: dict[str, Plant] = {
    **{n: statement(text) for n, text in FAULTS.items() if n != "gone_without_archive"},
    "feed_silent": feed_silent,
    "ingest_lag": statement(
        "UPDATE entasis.market_data SET created_at = timestamp + interval '5 minutes'"
        " WHERE timestamp > now() - interval '1 hour'"
    ),
    "ids_missing": ids_missing,
    "quarantined": quarantined,
    "anomalies_undecided": anomalies_undecided,
    "partitions_ahead": missing_month,
    "past_keep": expired(archived=False),
    "archive_lag": expired(archived=True),
    "archive_stale": archive_stale,
    "trigger_disabled": trigger_disabled,
    "index_unused": index_unused,
    "slot_inactive": slot_inactive,
    "slot_wal": slot_wal,
    "slot_lost": slot_lost,
    **{
        name: not_archived(name)
        for name in ("wal_ready", "wal_ready_age", "archive_command_failing")
    },
    "standby_missing": standby_missing,
    "idle_in_transaction": idle_in_transaction,
    "transaction_age": transaction_age,
    "prepared_age": prepared_age,
    "blocked": blocked,
    "connections": connections,
    "dead_rows": dead_rows,
    "wraparound": statement(OLDER.format("datfrozenxid")),
    "partition_detached": partition_detached,
    "object_changed": object_changed,
    "deadlocks": deadlocks,
    "autovacuum_off": statement("CREATE TABLE public.t (a int) WITH (autovacuum_enabled = off)"),
    "ids_used": statement("SELECT setval('entasis.predictions_id_seq', 8000000000000000000)"),
    "checksum_failures": checksum_failures,
    "cache_hits": cache_hits,
    "setting_unsafe": unsafe,
    "setting_unfit": unfit,
    "version_broken": version_broken,
}
REPEATED = {
    *(
        "archive_lag",
        "days_left",
        "foreign_grant",
        "object_changed",
        "maintain_overdue",
        "past_keep",
    ),
    *("row_security_off", "setting_unfit", "slot_wal", "transaction_age"),
    *("wal_ready_age", "archive_command_failing"),
}
"""Whose commands are those of another: the short form leaves them out."""
OF_ANOTHER_ENGINE = {"candle_lag", "job_failed"}
OF_RECOVERY = {"gone_without_archive"}
OF_REPLICAS = {
    *("replication_lag", "replication_behind", "replica_cut_off", "recovery_conflicts"),
}


def test_every_check_has_a_heading(site: Site) -> None:
    with site.connect() as connection:
        checks = [check.check for check in health(connection)]
        pages = [check.page for check in health(connection)]
    headings = list(sites.sections())
    assert headings == ["EntasisUnknown", *checks]
    assert pages == [f"docs/operations/on-call.md#{check}" for check in checks]
    assert set(PLANTS) | OF_ANOTHER_ENGINE | OF_RECOVERY | OF_REPLICAS == set(checks)


@pytest.mark.parametrize("check", PLANTS)
def test_what_is_planted_is_mended(site: Site, check: str, short: bool) -> None:
    if short and check in REPEATED:
        pytest.skip("its commands are those of another check")
    before = site.over()
    with ExitStack() as stack:
        connection = stack.enter_context(site.connect())
        PLANTS[check](site, connection, stack)
        connection.close()
        assert check in site.over()
        site.play(check)
        assert site.over().keys() <= before.keys()
        with site.connect() as tidying:
            tidying.execute(
                "UPDATE entasis.thresholds AS t SET warning = c.warning, critical = c.critical"
                " FROM entasis_internal.health_checks() AS c WHERE c.check_name = t.check_name"
            )
            tidying.execute("DROP TABLE IF EXISTS public.child, public.t, public.u, public.c")
            tidying.execute("DROP VIEW IF EXISTS entasis.mine")


def test_what_is_unknown_is_seen(site: Site) -> None:
    with site.connect() as connection:
        connection.execute("REVOKE pg_monitor FROM entasis_monitor")
    assert "blocked" in site.over(site.monitor)
    site.play("EntasisUnknown")
    assert site.over(site.monitor) == {}


def test_a_replica(site: Site, short: bool) -> None:
    if short:
        pytest.skip("health/test_replica.py makes the same faults, and reads no page")
    with site.replica() as replica, psycopg.connect(replica, autocommit=True) as there:
        with site.connect() as connection:
            connection.execute("CREATE TABLE public.r AS SELECT 1 AS id")
            connection.execute(
                "UPDATE entasis.thresholds SET warning = 0.01"
                " WHERE check_name IN ('replication_lag', 'recovery_conflicts')"
            )
            warn(connection, "replication_behind", 50_000)
            written = one(connection, "SELECT pg_current_wal_lsn()")
            for _round in range(100):
                if one(there, "SELECT pg_last_wal_replay_lsn() >= %s", written):
                    break
                there.execute("SELECT pg_sleep(0.05)")
            there.execute("SELECT pg_wal_replay_pause()")
            connection.execute("CREATE TABLE public.s ()")
            connection.execute(
                "SELECT pg_logical_emit_message(false, 'test', repeat('x', 100000), true)"
            )
        there.execute("SELECT pg_sleep(0.3)")
        assert "replication_lag" in site.over(replica)
        assert "replication_behind" in site.over()
        site.play("replication_lag")
        assert site.over(replica).keys() & OF_REPLICAS == set()
        assert site.over().keys() & OF_REPLICAS == set()

        there.execute("ALTER SYSTEM SET primary_conninfo = 'host=127.0.0.1 port=1'")
        there.execute("SELECT pg_reload_conf(), pg_sleep(0.3)")
        assert "replica_cut_off" in site.over(replica)
        site.play("replica_cut_off")
        assert site.over(replica).keys() & OF_REPLICAS == set()

        there.execute("ALTER SYSTEM SET max_standby_streaming_delay = 0")
        there.execute("SELECT pg_reload_conf(), pg_sleep(0.1)")
        with closing(psycopg.connect(replica)) as reading, site.connect() as connection:
            reading.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            reading.execute("SELECT * FROM public.r")
            connection.execute("DELETE FROM public.r")
            connection.execute("VACUUM public.r")
            for _round in range(50):
                if "recovery_conflicts" in site.over(replica):
                    break
                there.execute("SELECT pg_sleep(0.05)")
        assert "recovery_conflicts" in site.over(replica)
        site.play("recovery_conflicts")
        assert site.over(replica).keys() & OF_REPLICAS == set()
