"""Judges what lies in repositories: whether the backups are there, whole, and joined by WAL."""

import re
from collections.abc import Iterator
from datetime import datetime

from entasis_db.backups import segments
from entasis_db.backups.findings import Finding, Schedule
from entasis_db.backups.pgbackrest import PgBackRest, Repository, Stanza
from entasis_db.backups.report import Kind, last_backup
from entasis_db.backups.space import judge_space
from entasis_db.errors import BackupError

_LABEL = re.compile(r"\d{8}-\d{6}F(_\d{8}-\d{6}[DI])?")
_TAKE: dict[Kind, tuple[str, str]] = {
    "full": ("full backup", "backup --type=full"),
    "any": ("backup", "backup --type=incr"),
    "monthly": ("monthly backup", "--repo=2 backup --type=full --annotation=kind=monthly"),
}
_LOG = "pgBackRest's log says why"
_STATUS = re.compile(r"^\s*status: (\w+)", re.MULTILINE)
_WRONG = re.compile(
    r"^ *(?:archiveId: ([^,]+), total|backup: ([^,]+), status: (?!valid,|in-progress,)([^,]+),).*\n"
    r"(?: +((?:missing|checksum invalid|size invalid|other): .*))?",
    re.MULTILINE,
)


def judge_ages(stanza: Stanza, schedule: Schedule, now: datetime) -> Iterator[Finding]:
    """Find what should have been taken, and was not."""
    all_known = all(one.is_readable for one in stanza.repositories)
    for kind, (what, how) in _TAKE.items():
        most = getattr(schedule, kind)
        if most is None:
            continue
        remedy = (
            f"Take one (pgbackrest {how}), and see why its timer did not: systemctl list-timers"
        )
        found = last_backup(stanza.repositories, kind)
        if found is None and not all_known:
            continue  # it may lie where nothing can be read
        if found is None:
            yield Finding(f"no {what}", f"there is no {what}", remedy)
        elif now - found[1].ended_at > most:
            age = now - found[1].ended_at
            said = f"the last {what}, {found[1].label}, is {_age(age)} old, more than {_age(most)}"
            yield Finding(f"late {what}", said, remedy, found[0])


def _age(age: object) -> str:
    seconds = int(age.total_seconds())  # type: ignore[attr-defined]
    days, hours = seconds // 86400, seconds % 86400 // 3600
    if days:
        return f"{days} d {hours} h" if hours else f"{days} d"
    return f"{hours} h {seconds % 3600 // 60} min"


def judge_state(repository: Repository) -> Iterator[Finding]:
    """Find what pgBackRest itself says of a repository."""
    key = repository.key
    if repository.status == 1 or repository.status == 3:
        yield Finding(
            "no stanza",
            f"nothing was ever written for this server ({repository.message})",
            "Is its path the right one, and mounted? A new one needs pgbackrest stanza-create",
            key,
        )
    elif repository.status == 2:
        yield Finding("no backup", "it has no backup", "Take one: pgbackrest backup", key)
    elif not repository.is_readable:
        yield unreadable(key, repository.message, encrypted=repository.cipher != "none")
    for one in repository.backups:
        if one.has_errors:
            yield Finding(
                "page checksums",
                f"when backup {one.label} was taken, pages of the server were damaged",
                f"pgbackrest --set={one.label} info names their files; see"
                " docs/recovery/backups.md for how they are brought back from an older backup",
                key,
            )


def unreadable(key: int, said: str, *, encrypted: bool) -> Finding:
    """Say that a repository cannot be read."""
    if encrypted and ("FormatError" in said or "CryptoError" in said):
        return Finding(
            "passphrase",
            "it cannot be decrypted",
            f"Is repo{key}-cipher-pass the passphrase it was made with? If it is, a file is"
            f" damaged: pgbackrest --repo={key} info says which",
            key,
        )
    return Finding(
        "unreachable",
        f"it cannot be read ({said})",
        "While one repository is away, no WAL is archived to any: mend it, or take it out of the"
        " configuration before the disk of pg_wal is full",
        key,
    )


def judge_files(
    program: PgBackRest, repository: Repository, segment_bytes: int, *, running: bool
) -> Iterator[Finding]:
    """Find backups that were not finished, and WAL that is missing, by the names of the files."""
    key, stanza = repository.key, program.stanza
    labels = {one.label for one in repository.backups} | set(repository.older)
    there = {n for n in program.files(key, f"backup/{stanza}") if _LABEL.fullmatch(n)}
    for label in [] if running else sorted(there - labels):
        yield Finding(
            "unfinished",
            f"backup {label} was begun and not finished",
            f"{_LOG}; the next backup goes on with it or removes it",
            key,
        )
    if repository.archive is None:
        return
    files = program.files(key, f"archive/{stanza}/{repository.archive}", below=True)
    for gap in segments.gaps(segments.named(files), repository.backups, segment_bytes):
        one_or_more = f"{gap.count} segments of WAL are missing, {gap.first} to {gap.last}"
        yield Finding(
            "missing WAL",
            one_or_more if gap.count > 1 else f"segment {gap.first} of WAL is missing",
            "What was written after them cannot be recovered from the backups before them: take a"
            " full backup now (pgbackrest backup --type=full)",
            key,
        )


def judge_verified(program: PgBackRest, repository: Repository) -> Iterator[Finding]:
    """Have every file read, and find those that are not what was written."""
    try:
        said = program.verify(repository.key)
    except BackupError as error:
        yield Finding(
            "not verified",
            f"{error}",
            "A file of it is empty or damaged, or it went away: pgbackrest"
            f" --repo={repository.key} --log-level-console=detail verify says more",
            repository.key,
        )
        return
    status = _STATUS.search(said)
    wrong = list(_wrong(said))
    remedy = (
        f"Take a full backup now (pgbackrest --repo={repository.key} backup --type=full); see"
        " docs/recovery/backups.md for what the others are still good for"
    )
    for what, counts in wrong:
        yield Finding("damaged", f"{what} is damaged ({counts})", remedy, repository.key)
    if not wrong and (status is None or status[1] != "ok"):
        yield Finding(
            "not verified",
            "pgbackrest verify did not come to a result",
            f"Run it: pgbackrest --repo={repository.key} verify --output=text --verbose",
            repository.key,
        )


def _wrong(said: str) -> Iterator[tuple[str, str]]:
    for found in _WRONG.finditer(said):
        archive, backup, status, counts = found.groups()
        bad = [c for c in (counts or "").split(", ") if c and not c.endswith(": 0")]
        if backup is not None:
            yield f"backup {backup}", ", ".join(bad) or status
        elif bad:
            yield f"WAL in {archive}", ", ".join(bad)


def judge_repository(
    program: PgBackRest,
    repository: Repository,
    segment_bytes: int,
    *,
    running: bool,
    verify: bool,
) -> Iterator[Finding]:
    """Find what is wrong with a repository."""
    yield from judge_state(repository)
    if not repository.is_readable:
        return
    yield from judge_space(program, repository)
    try:
        yield from judge_files(program, repository, segment_bytes, running=running)
        if verify:
            yield from judge_verified(program, repository)
    except BackupError as error:
        yield unreadable(repository.key, str(error), encrypted=repository.cipher != "none")
