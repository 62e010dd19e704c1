"""What a check makes of answers that take long to provoke: pgBackRest 2.45's, word for word."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from entasis_db.backups import Archiver, Backup, Finding, PgBackRest, Repository, Schedule
from entasis_db.backups.archiver import judge_archiver
from entasis_db.backups.pgbackrest import Stanza, one_line
from entasis_db.backups.repositories import (
    judge_ages,
    judge_repository,
    judge_state,
    judge_verified,
)
from entasis_db.backups.segments import whole
from entasis_db.backups.space import judge_space
from entasis_db.errors import BackupError

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
GOOD = """\
stanza: entasis
status: ok
  archiveId: 15-1, total WAL checked: 2, total valid WAL: 2
    missing: 0, checksum invalid: 0, size invalid: 0, other: 0
  backup: 20261128-132133F, status: valid, total files checked: 1262, total valid files: 1262
    missing: 0, checksum invalid: 0, size invalid: 0, other: 0
"""
# a truncated segment
WAL = GOOD.replace("status: ok", "status: error").replace(
    "valid WAL: 2\n    missing: 0, checksum invalid: 0, size invalid: 0, other: 0",
    "valid WAL: 1\n    missing: 0, checksum invalid: 0, size invalid: 0, other: 1",
)
# files that are not there, or are others; both manifests damaged; both lost, which it calls good
FILES = """\
stanza: entasis
status: error
  archiveId: 15-1, total WAL checked: 10, total valid WAL: 10
    missing: 0, checksum invalid: 0, size invalid: 0, other: 0
  backup: 20261128-130655F, status: invalid, total files checked: 1262, total valid files: 507
    missing: 755, checksum invalid: 2, size invalid: 0, other: 0
  backup: 20261128-130655F_20261128-130659I, status: in-progress, total files checked: 0
"""
MANIFEST = """\
stanza: entasis
status: error
  archiveId: 15-1, total WAL checked: 2, total valid WAL: 2
    missing: 0, checksum invalid: 0, size invalid: 0, other: 0
  backup: 20261128-132133F, status: invalid, total files checked: 0, total valid files: 0
"""
LOST = """\
stanza: entasis
status: ok
  archiveId: 15-1, total WAL checked: 2, total valid WAL: 2
    missing: 0, checksum invalid: 0, size invalid: 0, other: 0
  backup: 20261128-132133F, status: manifest missing, total files checked: 0, total valid files: 0
"""
NO_INFO = "stanza: entasis\nstatus: error\n  No usable backup.info file\n"


class Program(PgBackRest):
    """Gives prepared answers."""

    answers: dict[str, Any]

    def _run(self, command: str, *_: str, stanza: bool = True) -> str:  # noqa: ARG002
        answer = self.answers[command]
        if isinstance(answer, Exception):
            raise answer
        return str(answer)


def program(**answers: Any) -> Program:
    made = Program()
    object.__setattr__(made, "answers", {name.replace("_", "-"): a for name, a in answers.items()})
    return made


def backup(age: timedelta, kind: str = "full", *, errors: bool = False, **notes: str) -> Backup:
    ended = NOW - age
    return Backup("label", kind, ended, ended, 10, 5, None, None, errors, notes)


def repository(
    *backups: Backup, key: int = 1, status: int = 0, message: str = "ok", cipher: str = "none"
) -> Repository:
    return Repository(key, cipher, status, message, backups, (), None, None, None)


def codes(found: Any) -> list[str]:
    said = list(found)
    assert all(isinstance(one, Finding) for one in said)
    assert all("\n" not in str(one) and one.remedy for one in said)
    return [one.code for one in said]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (GOOD, []),
        (WAL, ["repo1: WAL in 15-1 is damaged (other: 1)"]),
        (
            FILES,
            ["repo1: backup 20261128-130655F is damaged (missing: 755, checksum invalid: 2)"],
        ),
        (MANIFEST, ["repo1: backup 20261128-132133F is damaged (invalid)"]),
        (LOST, ["repo1: backup 20261128-132133F is damaged (manifest missing)"]),
        (NO_INFO, ["repo1: pgbackrest verify did not come to a result"]),
        ("", ["repo1: pgbackrest verify did not come to a result"]),
        # an empty segment
        (BackupError("[095]: cipher header missing"), ["repo1: [095]: cipher header missing"]),
    ],
)
def test_verification(answer: str, expected: list[str]) -> None:
    found = list(judge_verified(program(verify=answer), repository()))
    assert [one.what for one in found] == expected


def test_what_should_have_been_taken() -> None:
    weekly, monthly = backup(timedelta(days=3)), backup(timedelta(days=30), kind="full")
    daily = backup(timedelta(hours=5), "incr")
    noted = backup(timedelta(days=30), kind="full")
    assert monthly == noted
    noted = Backup(**{**vars(noted), "annotations": {"kind": "monthly"}})

    def judged(*repositories: Repository, **schedule: Any) -> list[str]:
        return codes(judge_ages(Stanza(repositories, False), Schedule(**schedule), NOW))

    assert judged(repository(weekly, daily), repository(noted, key=2)) == []
    assert judged(repository(weekly), repository(noted, key=2)) == ["late backup"]
    assert judged(repository(), repository(noted, key=2)) == ["no full backup", "no backup"]
    assert judged(repository(weekly, daily)) == ["no monthly backup"]
    assert judged(repository(weekly, daily), monthly=None) == []
    # what cannot be read may have it
    away = repository(key=2, status=99, message="[HostConnectError] unable to connect")
    assert judged(repository(weekly, daily), away) == []
    assert judged(repository(weekly), away) == ["late backup"]


def test_the_state_of_a_repository() -> None:
    assert codes(judge_state(repository(backup(timedelta())))) == []
    assert codes(judge_state(repository(status=1, message="missing stanza path"))) == ["no stanza"]
    assert codes(judge_state(repository(status=2))) == ["no backup"]
    away = "[HostConnectError] unable to connect to 'localhost:1': [111] Connection refused"
    assert codes(judge_state(repository(status=99, message=away))) == ["unreachable"]
    bytes_of_another = one_line("[FormatError] unable to load\x07 \ufffd'x':\nFormatError: \x07")
    assert bytes_of_another == "[FormatError] unable to load 'x':"
    encrypted = repository(status=99, message=bytes_of_another, cipher="aes-256-cbc")
    assert codes(judge_state(encrypted)) == ["passphrase"]
    plain = repository(status=99, message=bytes_of_another)
    assert codes(judge_state(plain)) == ["unreachable"]
    assert codes(judge_state(repository(backup(timedelta(), errors=True)))) == ["page checksums"]


def test_files_are_asked_for_where_there_are_any() -> None:
    label = "20261128-132133F"
    there = program(repo_ls=f'{{".":{{}},"{label}":{{}},"latest":{{}},"backup.info":{{}}}}')

    def judged(running: bool) -> list[str]:
        found = judge_repository(there, repository(), 2**24, running=running, verify=False)
        return codes(found)

    assert judged(running=False) == ["unfinished"]
    assert judged(running=True) == []
    gone = program(repo_ls=BackupError("[103]: unable to find"))
    found = judge_repository(gone, repository(), 2**24, running=False, verify=False)
    assert codes(found) == ["unreachable"]


def archiver(**changed: Any) -> Archiver:
    values = {
        "mode": "on",
        "timeout": 60,
        "segment_bytes": 2**24,
        "last_segment": "000000010000000000000005",
        "last_at": NOW - timedelta(minutes=1),
        "failures": 0,
        "failed_segment": None,
        "failed_at": None,
        "current_segment": "000000010000000000000006",
        "waiting": 0,
        "waiting_since": None,
    }
    return Archiver(**{**values, **changed})


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, []),
        ({"mode": "off"}, ["archive_mode"]),
        ({"timeout": 0}, ["archive_timeout"]),
        ({"failed_at": NOW, "failures": 3, "failed_segment": "x"}, ["archiving fails"]),
        ({"failed_at": NOW - timedelta(hours=1), "failures": 3}, []),
        ({"failed_at": NOW, "last_at": None}, ["archiving fails"]),
        ({"waiting": 3, "waiting_since": NOW - timedelta(minutes=14)}, []),
        ({"waiting": 3, "waiting_since": NOW - timedelta(minutes=16)}, ["WAL waits"]),
        ({"waiting": 65, "waiting_since": NOW}, ["WAL waits"]),
        # a login that may not look
        ({"waiting": None}, []),
        ({"waiting": None, "last_at": NOW - timedelta(hours=1)}, []),
        (
            {
                "waiting": None,
                "last_at": NOW - timedelta(hours=1),
                "current_segment": "000000010000000000000008",
            },
            ["WAL waits"],
        ),
        ({"waiting": None, "current_segment": "000000010000000100000008"}, ["WAL waits"]),
        ({"waiting": None, "last_segment": None, "last_at": None}, []),
        # what goes with a segment may be the last that was archived
        ({"waiting": None, "last_segment": "00000001.history"}, []),
        ({"waiting": None, "last_segment": "000000010000000000000005.00000028.backup"}, []),
    ],
)
def test_the_archiver(changed: dict[str, Any], expected: list[str]) -> None:
    assert codes(judge_archiver(archiver(**changed), Schedule(), NOW)) == expected


def stanza(*backups: dict[str, Any], archive: list[dict[str, Any]]) -> str:
    """The answer to info of a server that was upgraded from 15 to 18."""
    return json.dumps(
        [
            {
                "name": "entasis",
                "db": [{"id": 1, "repo-key": 1}, {"id": 2, "repo-key": 1}],
                "repo": [{"key": 1, "cipher": "none", "status": {"code": 0, "message": "ok"}}],
                "status": {"lock": {"backup": {"held": False}}},
                "backup": backups,
                "archive": archive,
            }
        ]
    )


def told(label: str, database: int) -> dict[str, Any]:
    return {
        "label": label,
        "type": "full",
        "database": {"id": database, "repo-key": 1},
        "timestamp": {"start": 1, "stop": 2},
        "info": {"size": 10, "repository": {"delta": 5}},
        "archive": {"start": None, "stop": None},
        "error": None,
        "annotation": None,
    }


def test_backups_of_before_an_upgrade_are_finished_and_not_counted() -> None:
    old, new = "20261101-010000F", "20261108-010000F"
    called = program(
        info=stanza(
            told(old, 1),
            told(new, 2),
            archive=[
                {"id": "15-1", "database": {"id": 1, "repo-key": 1}, "min": "a", "max": "b"},
                {"id": "18-2", "database": {"id": 2, "repo-key": 1}, "min": None, "max": None},
            ],
        ),
        repo_ls=json.dumps({old: {}, new: {}}),
    )
    (found,) = called.info().repositories
    assert [one.label for one in found.backups] == [new]
    assert found.older == (old,)
    assert found.archive is None
    assert codes(judge_repository(called, found, 2**24, running=False, verify=False)) == []
    (found,) = program(info=stanza(archive=[])).info().repositories
    assert found.backups == ()


def test_how_it_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What calls it elsewhere runs where we are; what it says is one line, and no secret."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").write_text('pwd >&2; echo "HINT: no" >&2; exit 3')
    with pytest.raises(BackupError, match=f"pgbackrest info failed: {tmp_path}"):
        PgBackRest(command=("/bin/sh", "./elsewhere")).info()
    # one that ends otherwise when it finds something
    (tmp_path / "elsewhere").write_text(f"cat <<E\n{FILES}E\nexit 1")
    found = judge_verified(PgBackRest(command=("/bin/sh", "./elsewhere")), repository())
    assert codes(found) == ["damaged"]
    (tmp_path / "elsewhere").write_text('echo \'[{"name": "\'')
    with pytest.raises(BackupError, match="cannot be read: are repo1-cipher-pass"):
        PgBackRest(command=("/bin/sh", "./elsewhere")).info()
    (tmp_path / "elsewhere").write_text("echo '[]'")
    with pytest.raises(BackupError, match="no repository for stanza entasis"):
        PgBackRest(command=("/bin/sh", "./elsewhere")).info()


def test_whole_segments() -> None:
    segment = "000000010000000000000005"
    assert whole(segment) == whole(f"{segment}.00000028.backup") == segment
    assert whole(f"{segment}.partial") is whole("00000002.history") is whole(None) is None


def test_space(tmp_path: Path) -> None:
    conf = tmp_path / "pgbackrest.conf"
    conf.write_text(
        f"[global]\nrepo1-path={tmp_path}\nrepo2-type=s3\nrepo2-path=/x\nrepo3-path={tmp_path}\n"
        f"repo3-host=backup\nrepo4-path={tmp_path}/nowhere\n"
    )
    huge = Backup(**{**vars(backup(timedelta())), "stored": 2**60})

    def judged(key: int, *backups: Backup, **called: Any) -> list[str]:
        return codes(judge_space(PgBackRest(config=conf, **called), repository(*backups, key=key)))

    assert judged(1, huge) == ["space"]
    assert judged(1, backup(timedelta())) == judged(1) == []
    # S3, another host, and what is not there or lies in a container, cannot be seen
    assert judged(2, huge) == judged(3, huge) == judged(4, huge) == judged(5, huge) == []
    assert judged(1, huge, command=("docker", "exec", "x", "pgbackrest")) == []
    assert codes(judge_space(PgBackRest(config=tmp_path / "none"), repository(huge))) == []
