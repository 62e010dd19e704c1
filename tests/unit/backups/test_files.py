"""The files of backup/ and docker/, as far as they can be judged without a host of their own."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from entasis_db.backups import Schedule
from tests.engines import REPOSITORY
from tests.servers.container import compose

UNITS = REPOSITORY / "backup" / "systemd"
CONFIGURATION = REPOSITORY / "backup" / "pgbackrest"
BACKUPS = ("full", "incr", "monthly")


def commands(kind: str) -> list[str]:
    unit = (UNITS / f"entasis-backup-{kind}.service").read_text(encoding="utf-8")
    return re.findall("^ExecStart=(.+)$", unit, re.MULTILINE)


def test_every_backup_is_checked_and_its_failure_told() -> None:
    for kind in BACKUPS:
        backup, check = commands(kind)
        assert backup.startswith("/usr/bin/pgbackrest --stanza=entasis --repo=")
        assert check == "/opt/entasis/bin/entasis backup check --verify"
        # the page has the same for other schedulers
        on_path = backup.replace("/usr/bin/", "")
        page = (REPOSITORY / "docs" / "recovery" / "backups.md").read_text(encoding="utf-8")
        assert f"\n{on_path}\nentasis backup check --verify" in page
    assert commands("check") == ["/opt/entasis/bin/entasis backup check"]
    for kind in (*BACKUPS, "check"):
        unit = (UNITS / f"entasis-backup-{kind}.service").read_text(encoding="utf-8")
        assert "\nOnFailure=entasis-backup-failed@%n.service\n" in unit
        assert "\nUser=postgres\n" in unit
        assert not re.search("^PrivateTmp=", unit, re.MULTILINE)
        assert (UNITS / f"entasis-backup-{kind}.timer").exists()


def test_backups_are_not_late_by_their_own_timers() -> None:
    longest = {"full": 7 * 24, "incr": 24, "monthly": 31 * 24}
    schedule = Schedule()
    for kind, allowed in (
        ("full", schedule.full),
        ("incr", schedule.any),
        ("monthly", schedule.monthly),
    ):
        assert allowed is not None
        assert longest[kind] < allowed.total_seconds() / 3600 < longest[kind] * 1.2
    assert "Sun " in (UNITS / "entasis-backup-full.timer").read_text()
    assert "Mon..Sat " in (UNITS / "entasis-backup-incr.timer").read_text()
    assert "*-*-01 " in (UNITS / "entasis-backup-monthly.timer").read_text()


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not on this machine")
    for unit in UNITS.iterdir():
        text = unit.read_text(encoding="utf-8")
        for program in ("/opt/entasis/bin/entasis", "/usr/bin/pgbackrest", "/usr/bin/logger"):
            text = text.replace(program, sys.executable)
        (tmp_path / unit.name).write_text(text)
    names = [str(tmp_path / unit.name) for unit in UNITS.iterdir()]
    done = subprocess.run(
        [analyze, "verify", "--man=no", "--recursive-errors=no", *names],
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
        capture_output=True,
        text=True,
        check=False,
    )
    ours = [line for line in done.stderr.splitlines() if "entasis-backup" in line]
    assert (done.returncode, ours) == (0, []), done.stderr


def options(name: str) -> dict[str, str]:
    text = (CONFIGURATION / name).read_text(encoding="utf-8")
    return dict(re.findall(r"^([\w-]+)=(.*)$", text, re.MULTILINE))


def test_pgbackrest_takes_the_configuration_as_it_is() -> None:
    if shutil.which("pgbackrest") is None:
        pytest.skip("pgbackrest is not on this machine")
    secrets = {
        "PGBACKREST_" + name.upper().replace("-", "_"): "x"
        for name in options("secrets.conf.example")
    }
    done = subprocess.run(
        [
            "pgbackrest",
            f"--config={CONFIGURATION / 'pgbackrest.conf'}",
            *("--stanza=entasis", "--repo=1", "--log-level-console=warn", "info"),
        ],
        env={"PATH": os.environ["PATH"], **secrets},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "WARN" not in done.stdout


def test_no_secret_is_where_others_read_it() -> None:
    shown = options("pgbackrest.conf")
    hidden = options("secrets.conf.example")
    assert set(hidden.values()) == {""}
    assert not hidden.keys() & shown.keys()
    assert not [name for name in shown if re.search("pass|key|secret|token", name)]
    for number in (1, 2):
        assert shown[f"repo{number}-cipher-type"] == "aes-256-cbc"
        assert f"repo{number}-cipher-pass" in hidden
    assert (shown["repo2-retention-full"], shown["repo2-retention-archive"]) == ("12", "1")
    assert "archive-push-queue-max" not in shown


def overlay() -> dict[str, object]:
    text = (REPOSITORY / "docker" / "compose.backup.yaml").read_text(encoding="utf-8")
    ((service),) = yaml.safe_load(text)["services"].values()
    assert isinstance(service, dict)
    return service


def mounts() -> Iterator[str]:
    volumes = overlay()["volumes"]
    assert isinstance(volumes, list)
    for mount in volumes:
        yield re.sub(r"\$\{[^}]*\}", "", mount).split(":")[1]


def test_docker_has_the_same_server_and_keeps_its_queue() -> None:
    plain = compose()["services"]["timescaledb"]["image"]
    dockerfile = (REPOSITORY / "docker" / "pgbackrest.Dockerfile").read_text(encoding="utf-8")
    assert re.findall("^FROM (.+)$", dockerfile, re.MULTILINE) == [plain]
    assert str(overlay()["image"]).endswith(":" + plain.partition(":")[2])
    shown = options("pgbackrest.conf")
    assert {shown["repo1-path"], shown["spool-path"], "/etc/pgbackrest"} == set(mounts())
    # nothing of what keeps it on this machine is taken back
    assert not overlay().keys() & {"ports", "network_mode", "environment", "command"}
    ignored = (REPOSITORY / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert "docker/pgbackrest/" in ignored
