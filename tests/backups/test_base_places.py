"""What the check finds in a place of base backups, what a restore refuses, and what is deleted."""

import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from entasis_db.backups import Schedule
from entasis_db.backups.base import judged_place, manifest, place, read_place, restore_backup
from entasis_db.backups.base.programs import find_programs, run
from entasis_db.backups.base.retention import expire
from entasis_db.backups.base.scratch import scratch
from entasis_db.cli import main
from entasis_db.errors import BackupError, StoreError
from entasis_db.store import Store, open_store
from tests.backups.base_places import NAMES, SERVER, altered, content, plant, put, rewrite
from tests.s3 import S3Server
from tests.unit.embedded.clusters import DEBIAN, needs_wheel, reachable_folder

pytestmark = needs_wheel

Fault = Callable[[Store, str], None]


@pytest.fixture
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """An empty place: a folder, or what a test asks for by ``in_both``."""
    if getattr(request, "param", "folder") == "folder":
        return open_store((tmp_path / "place").as_uri())
    server: S3Server = request.getfixturevalue("s3")
    return open_store(server.url(secrets.token_hex(4)))


in_both = pytest.mark.parametrize("store", ["folder", "s3"], indirect=True)


@pytest.fixture
def empty() -> Iterator[Path]:
    """A folder that is not there yet, where the user may go who runs servers in root's place."""
    folder = reachable_folder()
    yield folder / "data"
    shutil.rmtree(folder)


def codes(store: Store, **asked: object) -> list[str]:
    return [one.code for one in judged_place(store, **asked).findings]  # type: ignore[arg-type]


@in_both
def test_a_place_that_is_as_it_should_be(store: Store) -> None:
    full = plant(store, 2)
    last = plant(store, 0.5, plant(store, 1, full))
    put(store, "something-else", b"of somebody else")
    report = judged_place(store, server=SERVER, verify=True)
    assert report.findings == ()
    assert report.place == store.location
    for kind, label in (("full", full), ("any", last)):
        found = report.last(kind)  # type: ignore[arg-type]
        assert found is not None
        assert found.label == label
        assert report.detail()["last"][kind]["label"] == label
    assert json.dumps(report.detail())
    assert read_place(store).chain(report.backups[-1])[0].label == full


def object_fault(change: Callable[[bytes], bytes] | None, name: str) -> Fault:
    def fault(store: Store, label: str) -> None:
        key = place.key_of(label, name)
        before = content(store, key)
        store.discard(key)
        if change is not None:
            put(store, key, change(before))

    return fault


OBJECT_FAULTS: dict[str, Callable[[bytes], bytes] | None] = {
    "missing": None,
    "size": lambda before: before[:-1],
    "altered": altered,
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("code", OBJECT_FAULTS)
def test_an_object_that_is_not_what_was_written(
    store: Store, empty: Path, code: str, name: str
) -> None:
    """Of a parent: what goes on with it cannot be restored either."""
    full = plant(store, 1)
    last = plant(store, 0, full)
    object_fault(OBJECT_FAULTS[code], name)(store, full)
    (finding,) = judged_place(store, server=SERVER, verify=True).findings
    assert finding.code == code
    assert f"{name} of backup {full}" in finding.problem
    if code != "altered":
        assert codes(store) == [code]
        assert not read_place(store).is_intact(read_place(store).backups[last])
    with pytest.raises((BackupError, StoreError), match=name):
        restore_backup(store, empty, label=last)
    assert not empty.exists()


def unfinished(store: Store, label: str) -> None:
    store.discard(place.key_of(label, "json"))


def half_deleted(store: Store, label: str) -> None:
    unfinished(store, label)
    store.discard(place.key_of(label, "backup_manifest"))


def manifest_altered(store: Store, label: str) -> None:
    key = place.key_of(label, "json")
    before = content(store, key)
    store.discard(key)
    put(store, key, before.replace(b'"size": 1000000', b'"size": 1000001'))


def manifest_cut(store: Store, label: str) -> None:
    key = place.key_of(label, "json")
    before = content(store, key)
    store.discard(key)
    put(store, key, before[:100])


def of_another(store: Store, label: str) -> None:
    store.discard(place.key_of(label, "json"))
    put(store, place.key_of(label, "json"), b"{}")
    known = read_place(store)
    other = next(iter(known.backups))
    text = content(store, place.key_of(other, "json"))
    store.discard(place.key_of(label, "json"))
    put(store, place.key_of(label, "json"), text)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (unfinished, "unfinished"),
        (half_deleted, "unfinished"),
        (manifest_altered, "manifest"),
        (manifest_cut, "manifest"),
        (of_another, "manifest"),
    ],
)
def test_a_backup_without_a_good_manifest_is_none(
    store: Store, tmp_path: Path, fault: Fault, code: str
) -> None:
    full = plant(store, 1)
    last = plant(store, 0, full)
    fault(store, last)
    assert codes(store) == [code]
    # while one is being taken, it has none yet
    assert codes(store, running=True) == ([] if code == "unfinished" else [code])
    with pytest.raises(BackupError, match=f"there is no backup {last}"):
        restore_backup(store, tmp_path / "data", label=last)
    assert next(iter(read_place(store).backups)) == full


def test_a_parent_that_is_gone(store: Store, tmp_path: Path) -> None:
    full = plant(store, 2)
    middle = plant(store, 1, full)
    last = plant(store, 0, middle)
    place.delete(store, middle)
    assert codes(store) == ["no parent"]
    with pytest.raises(BackupError, match=f"needs {middle}"):
        restore_backup(store, tmp_path / "data", label=last)
    place.delete(store, full)
    assert codes(store) == ["no full backup", "no parent"]


def test_what_was_not_taken(store: Store, tmp_path: Path) -> None:
    assert codes(store) == ["no full backup", "no backup"]
    with pytest.raises(BackupError, match="no finished backup"):
        restore_backup(store, tmp_path / "data")
    full = plant(store, 9)
    assert codes(store) == ["late full backup", "late backup"]
    plant(store, 1.1, full)
    assert codes(store) == ["late full backup", "late backup"]
    plant(store, 1, full)
    assert codes(store) == ["late full backup"]
    assert codes(store, schedule=Schedule(full=timedelta(days=10))) == []
    assert codes(store, schedule=Schedule(full=None, any=None)) == []


def test_backups_of_another_server(store: Store) -> None:
    label = plant(store, 0)
    assert codes(store, server="7000000000000000002") == ["another server"]
    rewrite(store, label, server_version=170000)
    assert codes(store, server=SERVER) == []


def test_a_place_that_cannot_be_read(s3: S3Server, tmp_path: Path) -> None:
    nowhere = s3.url("x").replace("s3://history", "s3://nowhere")
    assert codes(open_store(nowhere)) == ["unreachable"]
    (tmp_path / "file").write_text("no folder")
    assert codes(open_store((tmp_path / "file").as_uri())) == ["unreachable"]


@in_both
def test_whole_chains_are_deleted_and_never_the_last_good_one(store: Store) -> None:
    first, second, third = plant(store, 9), plant(store, 6), plant(store, 3)
    of_first, of_third = plant(store, 8, first), plant(store, 2, third)
    assert expire(read_place(store), 3) == ()
    # the third one counts for nothing
    object_fault(None, "base.tar.gz")(store, third)
    assert expire(read_place(store), 2) == ()
    assert expire(read_place(store), 1) == (first, of_first)
    assert list(read_place(store).backups) == [second, third, of_third]
    assert store.sizes(first[:8]) == {}
    object_fault(None, "pg_wal.tar.gz")(store, second)
    assert expire(read_place(store), 1) == ()
    assert list(read_place(store).backups) == [second, third, of_third]


def test_a_killed_deletion_leaves_no_half_backup(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = plant(store, 9)
    of_first, second = plant(store, 8, first), plant(store, 1)
    discard = type(store).discard

    def dies(self: Store, prefix: str) -> None:
        if prefix == f"{of_first}.":
            raise KeyboardInterrupt
        discard(self, prefix)

    with monkeypatch.context() as patch:
        patch.setattr(type(store), "discard", dies)
        with pytest.raises(KeyboardInterrupt):
            expire(read_place(store), 1)
    there = read_place(store)
    assert list(there.backups) == [first, second]
    assert all(there.is_intact(one) for one in there.backups.values())
    assert there.unfinished == (of_first,)


def test_a_manifest_of_a_later_release_is_not_guessed(store: Store) -> None:
    text = content(store, place.key_of(plant(store, 0), "json")).decode()
    values = json.loads(text)
    values["format"] = 2
    values["sha256"] = manifest._checksum({k: v for k, v in values.items() if k != "sha256"})
    with pytest.raises(BackupError, match="a later release"):
        manifest.read(json.dumps(values))


def test_the_commands_say_what_is_wrong_without_a_server(tmp_path: Path) -> None:
    store = open_store((tmp_path / "place").as_uri())
    last = plant(store, 0, full := plant(store, 1))

    def entasis(*arguments: str) -> tuple[int, str, str]:
        done = CliRunner().invoke(
            main, ["--database", "postgresql://nobody@127.0.0.1:1/none", *arguments]
        )
        return done.exit_code, done.stdout, done.stderr

    place_url = store.location
    code, said, _ = entasis("backup", "list", "--from", place_url)
    assert code == 0
    assert full in said
    code, said, errors = entasis("backup", "check", "--from", place_url)
    assert code == 1
    assert f"the last backup, {last}, ended" in said
    assert "could not be asked" in errors
    object_fault(None, "base.tar.gz")(store, full)
    code, said, _ = entasis("backup", "check", "--from", place_url, "--json")
    assert code == 6
    assert [one["code"] for one in json.loads(said)["findings"]] == ["missing"]
    code, _, errors = entasis("restore-backup", "--from", place_url, "--into", str(tmp_path / "x"))
    assert code == 1
    assert "base.tar.gz" in errors
    assert errors.count("\n") == 1
    for arguments in (
        ("restore-backup", "--from", place_url),
        ("restore-backup", "--from", place_url, "--into", "x", "--embedded"),
        ("restore-backup", "--into", "x"),
        ("backup",),
        ("backup", "list"),
    ):
        assert entasis(*arguments)[0] == 2, arguments


def test_a_place_that_cannot_be_restored_into(store: Store, empty: Path) -> None:
    plant(store, 0)
    empty.mkdir()
    (empty / "something").touch()
    with pytest.raises(BackupError, match="is not empty: name a new folder"):
        restore_backup(store, empty)
    assert [path.name for path in empty.iterdir()] == ["something"]
    for bad in (empty / "something", empty / "something" / "below"):
        with pytest.raises(BackupError, match="cannot be used"):
            restore_backup(store, bad)


@pytest.mark.skipif(not DEBIAN.exists(), reason="Debian's PostgreSQL 15 is not installed")
def test_programs_of_another_version_are_not_used(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match=r"PostgreSQL 18 is needed.*here is that of 15"):
        find_programs(18, DEBIAN)
    with pytest.raises(BackupError, match="was not found: install PostgreSQL 18"):
        find_programs(18, tmp_path)
    with pytest.raises(BackupError, match="could not be run: No such file"):
        run([tmp_path / "pg_basebackup"])


def test_the_temporary_folder_of_another_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / f"entasis-backup-{os.geteuid()}").symlink_to("/")
    with pytest.raises(BackupError, match="name another temporary folder in TMPDIR"), scratch():
        pass
