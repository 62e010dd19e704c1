"""A release is what its changelog, its frozen migrations and its wheel say."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from datetime import date
from pathlib import Path
from shutil import copytree

import pytest

from entasis_db.ledger import checksum
from tests.engines import REPOSITORY, Database

CHANGELOG = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
KINDS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
VERSION = re.compile(r"\[(\d+)\.(\d+)\.(\d+)\] - (\d{4}-\d\d-\d\d)")


def released() -> list[tuple[int, ...]]:
    """Return the versions that the changelog gives a day, newest first."""
    found = re.findall(r"^## (.*)$", CHANGELOG, re.MULTILINE)
    return [tuple(map(int, m.groups()[:3])) for title in found if (m := VERSION.fullmatch(title))]


def test_the_changelog_keeps_its_form() -> None:
    first, *titles = re.findall(r"^## (.*)$", CHANGELOG, re.MULTILINE)
    assert first == "[Unreleased]"
    days = []
    for title in titles:
        match = VERSION.fullmatch(title)
        assert match, title
        days.append(date.fromisoformat(match[4]))
    assert days == sorted(days, reverse=True)
    assert released() == sorted(set(released()), reverse=True)
    for kind in re.findall(r"^### (.*)$", CHANGELOG, re.MULTILINE):
        assert kind in KINDS


def test_the_version_is_the_newest_that_was_released_or_a_later_one() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    version = tuple(map(int, project["project"]["version"].split(".")))
    assert not released() or version >= released()[0]


def edited(migrations: Path) -> list[str]:
    """Return the files that are no longer what migrations/checksums says; it may be missing."""
    listed = migrations / "checksums"
    lines = listed.read_text(encoding="utf-8").splitlines() if listed.exists() else []
    return [
        name
        for sha256, name in (line.split("  ") for line in lines)
        if not (migrations / name).exists() or checksum(migrations / name) != sha256
    ]


def test_released_migrations_are_frozen() -> None:
    migrations = REPOSITORY / "migrations"
    assert (migrations / "checksums").exists() == bool(released()), "CONTRIBUTING.md, Releasing"
    assert edited(migrations) == []


def test_an_edited_migration_is_noticed(tmp_path: Path) -> None:
    text = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (freeze,) = re.findall(r"`(cd migrations && sha256sum [^`]*)`", text)
    migrations = copytree(REPOSITORY / "migrations", tmp_path / "migrations")
    subprocess.run(["bash", "-c", freeze], cwd=tmp_path, check=True)
    files = sorted(migrations.glob("*/*.sql"))
    listed = (migrations / "checksums").read_text(encoding="utf-8").splitlines()
    assert len(listed) == len(files) > 5
    assert edited(migrations) == []
    for file in files:
        file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))  # another checkout of the same
    assert edited(migrations) == []
    files[0].write_bytes(files[0].read_bytes() + b"-- clearer\n")
    files[1].unlink()
    assert edited(migrations) == [str(f.relative_to(migrations)) for f in files[:2]]


@pytest.mark.native_speed
@pytest.mark.newest_server
@pytest.mark.long
def test_the_wheel_migrates_an_empty_server(empty_database: Database, tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--no-deps", "--wheel-dir", tmp_path, REPOSITORY], check=True)
    (wheel,) = tmp_path.glob("entasis_db-*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    ran = subprocess.run(
        [sys.executable, "-c", FROM_THE_WHEEL, empty_database.dsn, empty_database.engine],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "installed")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    root, migrated, pending = ran.stdout.split()
    assert root == str(tmp_path / "installed" / "entasis_db")
    assert migrated == wheel.name.split("-")[1]
    assert pending == "0"


FROM_THE_WHEEL = """
import sys
from entasis_db.migrate import migrate
from entasis_db.resources import sql_root
status = migrate(sys.argv[1], engine=sys.argv[2])
print(sql_root(), status.release, len(status.pending))
"""
