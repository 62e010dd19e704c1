"""The configuration of backup/pgbackrest does what docs/recovery/backups.md says of it."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from drills.rig import Rig, Server
from entasis_db.backups import Archiver, PgBackRest, Schedule, check_backups
from entasis_db.backups.repositories import judge_ages
from entasis_db.backups.segments import number
from entasis_db.embedded.process import identity
from tests.backups.conftest import commands
from tests.contract.cli.support import entasis, fails, succeeds
from tests.engines import REPOSITORY


def numbers(server: Server) -> list[int]:
    with server.connect() as connection:
        return [n for (n,) in connection.execute("SELECT n FROM public.kept ORDER BY n")]


@contextmanager
def restored(made: Rig, *arguments: str) -> Iterator[Server]:
    """Restore beside the primary."""
    side = made.server("side")
    side.pgbackrest(*arguments, "--archive-mode=off", "restore")
    with recovered(side):
        yield side


@contextmanager
def recovered(side: Server) -> Iterator[None]:
    """Start a restored server, and wait until recovery has ended."""
    try:
        side.start()
        side.promoted()
        yield
    finally:
        side.remove()


def test_secrets_are_the_service_users_alone(lived_in: Rig) -> None:
    file = lived_in.config / "conf.d" / "secrets.conf"
    assert file.stat().st_mode & 0o777 == 0o600
    secrets = (*lived_in.passphrases, lived_in.password)
    shown = [lived_in.config / "pgbackrest.conf", *lived_in.logs.glob("*.log")]
    assert len(shown) > 3
    for text in (path.read_text(errors="replace") for path in shown):
        assert not any(secret in text for secret in secrets)


def test_nothing_is_found_where_nothing_is_wrong(lived_in: Rig) -> None:
    """Expiry has taken WAL between the monthly backups: that is no gap."""
    primary = lived_in.server("primary")
    said = succeeds(primary.dsn(), "backup", "check", "--verify", "--config", str(lived_in.config))
    assert "as they should be" in said
    listed = primary.pgbackrest("--output=json", "info").stdout
    assert '"annotation":{"kind":"monthly"}' in listed
    for kind in ("full", "incr", "diff"):
        assert f'"type":"{kind}"' in listed
    first, second = PgBackRest(config=lived_in.config).info().repositories[1].backups
    assert first.last_segment is not None
    assert second.first_segment is not None
    between = number(second.first_segment, 2**24) - number(first.last_segment, 2**24)
    assert between > 1
    left = primary.pgbackrest("--repo=2", "repo-ls", "archive/entasis/15-1", "--recurse").stdout
    assert f"{second.first_segment}-" in left
    expired = f"{first.last_segment[:8]}{number(first.last_segment, 2**24) + 1:016X}"
    assert f"{expired}-" not in left


def test_to_a_time(lived_in: Rig) -> None:
    with lived_in.server("primary").connect() as connection:
        ((at,),) = connection.execute("SELECT at FROM public.kept WHERE n = 3").fetchall()
    assert isinstance(at, datetime)
    target = f"--target={at:%Y-%m-%d %H:%M:%S.%f%z}"
    # up to the moment at which 3 was written, which is before it was committed
    arguments = ("--type=time", target, "--target-action=promote")
    with restored(lived_in, *arguments) as side:
        assert numbers(side) == [1, 2]
        with side.connect() as connection:
            assert connection.execute("SHOW archive_mode").fetchone() == ("off",)


def test_to_a_named_point_from_s3_alone(lived_in: Rig) -> None:
    away = lived_in.repository / "archive", lived_in.repository / "backup"
    for path in away:
        path.rename(path.with_suffix(".away"))
    try:
        arguments = ("--type=name", "--target=point", "--target-action=promote")
        with restored(lived_in, "--repo=2", *arguments) as side:
            assert numbers(side) == [1, 2, 3, 4, 5]
    finally:
        for path in away:
            path.with_suffix(".away").rename(path)


def test_a_damaged_page_is_brought_back(lived_in: Rig) -> None:
    *_, beside, _ = commands()
    side = lived_in.server("side")
    environment = {**lived_in.server("primary").environment(), "SIDE_PGDATA": str(side.data)}
    lived_in.run("bash", "-euc", beside.text, environment=environment)
    with recovered(side):
        with side.connect() as connection:
            ((path,),) = connection.execute("SELECT pg_relation_filepath('public.kept')").fetchall()
        side.stop()
        with (side.data / path).open("r+b") as file:
            file.seek(100)
            file.write(b"damaged by hand")
        said = side.pgbackrest(
            "--delta", "--archive-mode=off", "--log-level-console=detail", "restore"
        ).stdout
        assert f"{path} (" in said.replace(str(side.data) + "/", "")
        side.start()
        side.promoted()
        assert numbers(side) == [1, 2, 3, 4, 5, 6]


def test_a_replica(lived_in: Rig) -> None:
    primary, replica = lived_in.server("primary"), lived_in.server("replica")
    replica.pgbackrest("--type=standby", "restore")
    replica.append({"wal_retrieve_retry_interval": "200ms"})
    try:
        replica.start()
        with replica.connect() as connection:
            assert connection.execute("SELECT pg_is_in_recovery()").fetchone() == (True,)
            # on: if it is promoted, it goes on archiving
            assert connection.execute("SHOW archive_mode").fetchone() == ("on",)
        with primary.connect() as connection:
            connection.execute("CREATE TABLE public.seen ()")
        primary.archived()
        until = time.monotonic() + 20
        with replica.connect() as connection:
            while connection.execute("SELECT to_regclass('public.seen')").fetchone() == (None,):
                assert time.monotonic() < until
                time.sleep(0.1)
    finally:
        replica.remove()


def test_the_servers_settings_by_sql(lived_in: Rig) -> None:
    """The settings of a host, for a server in a container."""
    *_, block = commands()
    primary = lived_in.server("primary")
    done = subprocess.run(
        ["/bin/bash", "-euo", "pipefail", "-c", block.text],
        cwd=REPOSITORY,
        env={**os.environ, "DATABASE_URL": primary.dsn()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with primary.connect() as connection:
        auto = dict(
            connection.execute(
                "SELECT name, setting FROM pg_file_settings"
                " WHERE sourcefile LIKE '%postgresql.auto.conf' AND error IS NULL"
            ).fetchall()
        )
        connection.execute("ALTER SYSTEM RESET ALL")
    assert auto.keys() >= {"archive_mode", "archive_command", "archive_timeout", "wal_level"}
    assert auto["archive_timeout"] == "60s"
    assert auto["archive_command"] == "pgbackrest --stanza=entasis archive-push %p"


def test_root_is_told_why_it_fails(lived_in: Rig) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can try")
    options = ["--log-level-file=off", f"--lock-path={lived_in.home}/roots-lock"]
    environment = lived_in.server("primary").environment()
    del environment["PGUSER"]  # which a shell does not have
    done = subprocess.run(
        ["pgbackrest", *options, "backup"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert 'role "root" does not exist' in done.stderr


# Every fault is found by the next check, and kept in the log of runs.


def codes(made: Rig, *options: str, config: Path | None = None) -> list[tuple[str, int | None]]:
    """Check, and answer what was found: the code and the repository of each."""
    dsn = made.server("primary").dsn()
    named = ("--config", str(config or made.config))
    result = entasis(dsn, "backup", "check", *named, "--json", *options)
    assert result.exit_code == 6, result.output
    told = json.loads(result.stdout)
    assert last_run(dsn)["outcome"] == "failed"
    assert last_run(dsn)["detail"]["findings"] == told["findings"]
    assert all(one["text"].count(". ") and "\n" not in one["text"] for one in told["findings"])
    return [(one["code"], one["repository"]) for one in told["findings"]]


def last_run(dsn: str) -> dict[str, Any]:
    shown = json.loads(succeeds(dsn, "runs", "--action", "backup check", "--limit", "1", "--json"))
    (run,) = shown
    assert isinstance(run, dict)
    return run


@contextmanager
def replaced(made: Rig, path: Path, content: bytes | None) -> Iterator[None]:
    """Damage or hide a file of the repository for a while."""
    kept = path.rename(path.with_suffix(".kept"))
    if content is not None:
        path.write_bytes(content)
        made.own(path)
    try:
        yield
    finally:
        kept.rename(path)


def segment(made: Rig) -> Path:
    """The first segment that no backup needs."""
    return next((made.repository / "archive").rglob("000000010000000000000004-*"))


def test_a_missing_segment(lived_in: Rig) -> None:
    """pgbackrest verify of 2.45 calls this repository good."""
    with replaced(lived_in, segment(lived_in), None):
        assert codes(lived_in) == [("missing WAL", 1)]
        said = lived_in.server("primary").pgbackrest("--repo=1", "verify", "--output=text").stdout
        assert said == ""


def test_a_truncated_object(lived_in: Rig) -> None:
    bundle = next((lived_in.repository / "backup").rglob("*F/bundle/1"))
    with replaced(lived_in, bundle, bundle.read_bytes()[:-100]):
        # the full backup, and those that refer to it
        assert codes(lived_in, "--verify") == [("damaged", 1)] * 3


def test_a_wrong_passphrase(lived_in: Rig, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = lived_in.folder(lived_in.home / "other")
    lived_in.folder(other / "conf.d")
    for name in ("pgbackrest.conf", "conf.d/secrets.conf"):
        text = (lived_in.config / name).read_text()
        lived_in.write(other / name, text.replace(lived_in.passphrases[1], "another"))
    assert codes(lived_in, config=other) == [("passphrase", 2)]
    shown = str(last_run(lived_in.server("primary").dsn()))
    assert not any(secret in shown for secret in (*lived_in.passphrases, "another"))


def test_an_unfinished_backup(lived_in: Rig) -> None:
    primary = lived_in.server("primary")
    folder = lived_in.repository / "backup" / "entasis"
    before = set(folder.iterdir())
    running = subprocess.Popen(
        ["pgbackrest", "--type=incr", "backup"],
        env=primary.environment(),
        cwd="/",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **identity(lived_in.user),
    )
    until = time.monotonic() + 20
    while set(folder.iterdir()) == before:
        assert time.monotonic() < until
        time.sleep(0.002)
    running.kill()
    running.wait()
    assert codes(lived_in) == [("unfinished", 1)]
    (left,) = set(folder.iterdir()) - before
    lived_in.run("rm", "-r", str(left))


def test_a_run_that_never_happened(lived_in: Rig) -> None:
    stanza = PgBackRest(config=lived_in.config).info()
    now = datetime.now(UTC)

    def late(**age: int) -> list[tuple[str, int | None]]:
        found = judge_ages(stanza, Schedule(), now + timedelta(**age))
        return [(one.code, one.repository) for one in found]

    assert late(hours=25) == []
    assert late(hours=27) == [("late backup", 1)]
    # a monthly one is no weekly one
    assert late(days=9) == [("late full backup", 1), ("late backup", 1)]
    assert late(days=34)[-1] == ("late monthly backup", 2)


@pytest.fixture
def full(lived_in: Rig) -> Iterator[bool]:
    """Fill the disk of repo1; where it has none of its own, take the right to write away."""
    filler = lived_in.repository / "filler"
    archive = lived_in.repository / "archive" / "entasis" / "15-1" / "0000000100000000"
    own_disk = lived_in.repository.is_mount()
    if own_disk:
        with pytest.raises(OSError, match="No space left"), filler.open("wb") as file:
            while True:
                file.write(bytes(2**20))
    else:
        archive.chmod(0o500)
    yield own_disk
    filler.unlink(missing_ok=True)
    archive.chmod(0o750)
    lived_in.server("primary").archived()


def test_a_full_repository(lived_in: Rig, full: bool) -> None:
    with lived_in.server("primary").connect() as connection:
        ((failed,),) = connection.execute("SELECT failed_count FROM pg_stat_archiver")
        connection.execute("CREATE TABLE public.filled ()")
        connection.execute("SELECT pg_switch_wal()")
        until = time.monotonic() + 30
        while connection.execute("SELECT failed_count FROM pg_stat_archiver").fetchone() == (
            failed,
        ):
            assert time.monotonic() < until
            time.sleep(0.05)
    found = codes(lived_in)
    assert ("archiving fails", None) in found
    assert (("space", 1) in found) is full


def test_a_dead_s3_repository_holds_up_the_local_one(lived_in: Rig) -> None:
    assert lived_in.s3 is not None
    lived_in.s3.rclone.stop()
    try:
        with lived_in.server("primary").connect() as connection:
            ((failed,),) = connection.execute("SELECT failed_count FROM pg_stat_archiver")
            connection.execute("CREATE TABLE public.held ()")
            ((held,),) = connection.execute("SELECT pg_walfile_name(pg_switch_wal())")
            time.sleep(1.5)
            program = PgBackRest(config=lived_in.config, patience=0.2)
            schedule = Schedule(waiting=timedelta(seconds=1))
            report = check_backups(connection, program, schedule)
            assert report.archiver is not None
            assert report.archiver.failures == failed  # nobody hears of it there
        assert [one.code for one in report.findings] == ["unreachable", "WAL waits"]
        assert not list(lived_in.repository.rglob(f"{held}-*"))
    finally:
        lived_in.s3.rclone.start()


def test_what_cannot_be_checked(lived_in: Rig) -> None:
    dsn = lived_in.server("primary").dsn()
    named = ("--config", str(lived_in.config))
    said = fails(dsn, "backup", "check", "--pgbackrest", "/nowhere/pgbackrest")
    assert "/nowhere/pgbackrest is not on this machine" in said
    assert last_run(dsn)["outcome"] == "failed"
    assert "/nowhere/pgbackrest" in last_run(dsn)["detail"]["error"]
    assert codes(lived_in, "--stanza", "another") == [("no stanza", 1), ("no stanza", 2)]
    # the server is down: what the repositories have is told all the same
    down = entasis(
        "postgresql://postgres@127.0.0.1:1/entasis", "backup", "check", *named, "--hours", "1"
    )
    assert down.exit_code == 1
    assert "as they should be" in down.stdout
    assert "not in entasis.runs" in down.stderr


def test_a_login_that_may_not_see_what_waits(lived_in: Rig) -> None:
    primary = lived_in.server("primary")
    with primary.connect() as connection:
        connection.execute("CREATE ROLE checker LOGIN PASSWORD 'x' IN ROLE entasis_admin")
    dsn = f"postgresql://checker:x@127.0.0.1:{primary.port}/entasis"
    with psycopg.connect(dsn, autocommit=True) as connection:
        report = check_backups(connection, PgBackRest(config=lived_in.config))
        assert isinstance(report.archiver, Archiver)
        assert report.archiver.waiting is None
        assert report.findings == ()
