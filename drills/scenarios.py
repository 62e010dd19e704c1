"""What can happen, and what its page states to be lost: one scenario a page of docs/recovery/."""

import os
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, timedelta

from drills.account import NOTHING, Loss
from drills.site import ARCHIVE_TIMEOUT, LAST_MONTH_IDS, Site
from drills.writer import write
from entasis_db.archive import archive, open_store
from entasis_db.maintenance import maintain
from entasis_db.migrate import migrate

# how long a segment may take to reach both repositories on a busy machine, in seconds
_SENDING = 15.0
# how far a replica falls behind before its primary is lost, in seconds
_BEHIND = 0.5
_UNARCHIVED = Loss(
    "what had not been archived: archive_timeout and the time of a segment",
    ARCHIVE_TIMEOUT + _SENDING,
)

Variables = dict[str, str]


def _nothing(_: Site) -> None:
    """Need no more than the site has."""


def _nothing_more(_: Site) -> list[str]:
    """Ask for no more than trades and candles."""
    return []


@dataclass(frozen=True)
class Scenario:
    """One way to lose something, whose page says how it is recovered."""

    name: str
    """Of the scenario, and of its page."""
    loss: Loss
    strike: Callable[[Site], Variables]
    """The disaster. Returns what an operator knows of it: variables that the page asks for."""
    prepare: Callable[[Site], None] = _nothing
    """What is there beside the site before clients begin to write."""
    writers_stop: bool = False
    """Whether clients are stopped before the disaster, as the page says they are."""
    replica: bool = False
    """Whether a replica is promoted: clients name both hosts, and what it has is counted."""
    archive_counts: bool = True
    """Whether the archive still has what was dropped."""
    check: Callable[[Site], list[str]] = _nothing_more
    """What has to be so afterwards beside trades and candles: says what is not."""
    played_by: str = ""
    """The page, where it is another's."""
    brief: bool = True
    """Whether it belongs to the short form of the drill."""

    @property
    def page(self) -> str:
        """Name of the page, without its ending."""
        return self.played_by or self.name


def _server_lost(site: Site) -> Variables:
    site.primary.kill()
    shutil.rmtree(site.primary.data)
    _forget(site)
    return {}


def _wal_on_a_disk_of_its_own(site: Site) -> None:
    site.primary.stop()
    wal = site.primary.data / "pg_wal"
    site.rig.run("mv", str(wal), str(site.wal_disk))
    site.rig.run("ln", "-s", str(site.wal_disk), str(wal))
    site.primary.start()


def _disk_lost(site: Site) -> Variables:
    site.primary.kill()
    shutil.rmtree(site.primary.data)
    site.rig.run("mkdir", "-m", "700", str(site.primary.data))
    return {}


def _rows_deleted(site: Site) -> Variables:
    target = _moment_before(site)
    rows = (
        "symbol = 'BTCUSDT' AND exchange = 'binance-usdm' AND timestamp >= '2024-09-01Z'"
        f" AND timestamp < timestamptz '{target}' - interval '1 second'"
    )
    with site.primary.connect() as connection:
        gone = connection.execute(f"DELETE FROM entasis.market_data WHERE {rows}").rowcount
    # those of last month, at the smallest size, are 410
    assert gone > 300, "too few trades were deleted for it to be seen"
    return {"TARGET": target, "ROWS": rows}


def _partition_dropped(site: Site) -> Variables:
    """Drop last month, which a client then makes again, by a late trade."""
    target = _moment_before(site)
    partition = f"market_data_{site.month:y%Ym%m}"
    late = [
        trade._replace(id=trade.id + 2 * LAST_MONTH_IDS, timestamp=site.month + timedelta(days=20))
        for trade in site.real[:5]
    ]
    with site.primary.connect() as connection:
        connection.execute(f"DROP TABLE entasis_internal.{partition}")
        write(connection, site.ledger, late)
    return {"TARGET": target, "PARTITION": partition}


def _bad_migration(site: Site) -> Variables:
    migrate(site.primary.dsn())
    with site.primary.connect() as connection:
        changed = connection.execute(
            "UPDATE entasis.market_data SET price = round(price) WHERE price <> round(price)"
        ).rowcount
    assert changed > 100, "too few trades were changed for it to be seen"
    return {}


def _corrupted_page(site: Site) -> Variables:
    with site.primary.connect() as connection:
        row = connection.execute(
            "SELECT pg_relation_filepath("
            " to_regclass(format('entasis_internal.market_data_%%s', %s::text)))",
            [f"{site.month:y%Ym%m}"],
        ).fetchone()
    assert row is not None
    site.primary.stop()
    with (site.primary.data / row[0]).open("r+b") as file:
        file.seek(2 * 8192 + 4096)
        file.write(bytes(64))
    site.primary.start()
    return {}


def _replica(site: Site) -> None:
    _make_replica(site, synchronous=False)


def _synchronous_replica(site: Site) -> None:
    _make_replica(site, synchronous=True)


def _make_replica(site: Site, *, synchronous: bool) -> None:
    replica = site.replica
    with site.primary.connect() as connection:
        connection.execute("SELECT pg_create_physical_replication_slot('replica', true)")
        if synchronous:
            connection.execute("ALTER SYSTEM SET synchronous_standby_names = 'replica'")
            connection.execute("SELECT pg_reload_conf()")
    source = f"{site.primary.dsn('postgres')}?application_name=replica"
    replica.pgbackrest(
        *("--type=standby", f"--recovery-option=primary_conninfo={source}"),
        *("--recovery-option=primary_slot_name=replica", "restore"),
    )
    replica.start()
    until = time.monotonic() + 60
    with site.primary.connect() as connection:
        while not connection.execute(
            "SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'"
        ).fetchone():
            assert time.monotonic() < until, replica.said()[-2000:]
            time.sleep(0.05)


def _primary_lost(site: Site) -> Variables:
    """Let the replica fall behind for a moment first, as a network does that breaks down."""
    with site.primary.connect() as connection:
        ((sender,),) = connection.execute("SELECT pid FROM pg_stat_replication").fetchall()
    os.kill(sender, signal.SIGSTOP)
    time.sleep(_BEHIND)
    site.primary.kill()
    return {}


def _copy_left_no_trace(site: Site) -> list[str]:
    """Say what the side server has left behind, or tried to."""
    # its WAL is of the second timeline; a promoted copy that archives would spoil the original's
    found = [*site.rig.repository.glob("archive/entasis/*/00000002*")]
    tried = found or "archive command failed" in site.side.said()
    return [
        *(["the copy has archived its own WAL"] if tried else []),
        *(["the copy was not deleted"] if site.side.data.exists() else []),
    ]


def _partition_is_back(site: Site) -> list[str]:
    """Say in what the partition differs from one that was never dropped."""
    with site.primary.connect() as connection:
        gone = connection.execute(
            "SELECT gone_without_archive FROM entasis.lifecycle WHERE relation = 'market_data'"
        ).fetchone()
        odd = connection.execute(
            "SELECT c.relname FROM pg_class AS c JOIN pg_inherits AS i ON i.inhrelid = c.oid"
            " WHERE i.inhparent = 'entasis.market_data'::regclass"
            " AND (c.relowner <> 'entasis_owner'::regrole OR 3 > ("
            "SELECT count(*) FROM pg_index AS x WHERE x.indrelid = c.oid AND x.indisvalid))"
        ).fetchall()
        maintain(connection)
    return [
        *([] if gone == ([],) else [f"a partition is said to be gone: {gone}"]),
        *(f"{name} has another owner, or lacks an index" for (name,) in odd),
        *_copy_left_no_trace(site),
    ]


def _old_primary_follows(site: Site) -> list[str]:
    """Say what the old primary lacks as a replica of the new one, and whether that archives."""
    until = time.monotonic() + 30
    with site.replica.connect() as connection:
        while (
            connection.execute(
                "SELECT 1 FROM pg_stat_archiver WHERE last_archived_wal >= '00000002'"
            ).fetchone()
            is None
        ):
            if time.monotonic() > until:
                return ["the new primary does not archive"]
            time.sleep(0.1)
        ((reached,),) = connection.execute("SELECT pg_current_wal_flush_lsn()").fetchall()
        while time.monotonic() < until:
            if connection.execute(
                "SELECT 1 FROM pg_replication_slots AS s JOIN pg_stat_replication AS r"
                " ON s.active_pid = r.pid WHERE s.slot_name = 'old_primary' AND r.replay_lsn >= %s",
                [reached],
            ).fetchone():
                break
            time.sleep(0.1)
        else:
            return ["the old primary does not follow the new one by its slot"]
    with site.primary.connect() as connection:
        if connection.execute("SELECT pg_is_in_recovery()").fetchone() != (True,):
            return ["the old primary is not a replica"]
    return []


def _region_lost(site: Site) -> Variables:
    _server_lost(site)
    shutil.rmtree(site.rig.repository)
    site.rig.folder(site.rig.repository)
    return {}


def _candles_archived_too(site: Site) -> None:
    with site.primary.connect() as connection:
        connection.execute(
            "UPDATE entasis.keep_periods SET keep = '1 year' WHERE derived_from = 'market_data'"
        )
        archive(connection, open_store(site.archive.as_uri()))
        maintain(connection)
        dropped = connection.execute(
            "SELECT FROM entasis.archives WHERE dropped_at IS NOT NULL"
        ).rowcount
    assert dropped == 4, "trades and candles of three levels were to be dropped"


def _archive_store_lost(site: Site) -> Variables:
    for found in site.archive.iterdir():
        shutil.rmtree(found) if found.is_dir() else found.unlink()
    with site.primary.connect() as connection:
        row = connection.execute(
            "SELECT min(dropped_at) - interval '1 s' FROM entasis.archives"
        ).fetchone()
    assert row is not None
    return {"TARGET": row[0].astimezone(UTC).isoformat(sep=" ")}


def _archived_anew(site: Site) -> list[str]:
    """Say which ranges have no archive that counts, with all of its objects in the store."""
    with site.primary.connect() as connection:
        found = connection.execute(
            "SELECT a.relation, a.dropped_at, a.stale_at, o.key FROM entasis.archives AS a"
            " LEFT JOIN entasis.archive_objects AS o ON o.archive_id = a.id"
            " WHERE a.verified_at IS NOT NULL AND a.superseded_at IS NULL"
        ).fetchall()
    return (
        [
            f"the archive of {relation} is not whole: {key}"
            for relation, dropped_at, stale_at, key in found
            if dropped_at or stale_at or key is None or not (site.archive / key).is_file()
        ]
        + ([] if found else ["nothing is archived"])
        + _copy_left_no_trace(site)
    )


def _forget(site: Site) -> None:
    """Lose what pgBackRest keeps on the server's own disks."""
    for path in (site.rig.home / "spool").iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _no_disaster(site: Site) -> Variables:
    """Name a moment that has reached the archive, with what comes after it."""
    target = _moment_before(site)
    site.primary.pgbackrest("check")
    return {"TARGET": target, "REPO": "2"}


def _moment_before(site: Site) -> str:
    """Return the moment that an operator gives: nothing of the disaster has been committed yet."""
    with site.primary.connect() as connection:
        row = connection.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None
    return str(row[0].astimezone(UTC).isoformat(sep=" "))


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("server-lost", _UNARCHIVED, _server_lost),
        Scenario("disk-lost", NOTHING, _disk_lost, _wal_on_a_disk_of_its_own),
        Scenario("rows-deleted", NOTHING, _rows_deleted, check=_copy_left_no_trace),
        Scenario("partition-dropped", NOTHING, _partition_dropped, check=_partition_is_back),
        Scenario("bad-migration", NOTHING, _bad_migration, writers_stop=True),
        Scenario("corrupted-page", NOTHING, _corrupted_page),
        Scenario(
            "primary-lost",
            NOTHING,
            _primary_lost,
            _synchronous_replica,
            replica=True,
            check=_old_primary_follows,
        ),
        Scenario(
            "primary-lost-asynchronous",
            Loss("what had not reached the replica", _BEHIND + 1),
            _primary_lost,
            _replica,
            replica=True,
            check=_old_primary_follows,
            played_by="primary-lost",
            brief=False,
        ),
        Scenario("region-lost", _UNARCHIVED, _region_lost),
        Scenario(
            "archive-store-lost",
            NOTHING,
            _archive_store_lost,
            _candles_archived_too,
            archive_counts=False,
            check=_archived_anew,
        ),
        Scenario("practice", NOTHING, _no_disaster, check=_copy_left_no_trace, brief=False),
    )
}
"""By their names, in the order of docs/recovery/README.md."""
