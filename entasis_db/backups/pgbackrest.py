"""pgBackRest, called as a program: what it says of its repositories. Nothing is changed there."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from entasis_db.errors import BackupError

if sys.platform != "win32":
    import pwd

_OWNER = "postgres"
_LONGEST = 200
_OK, _EMPTY = 0, 2


@dataclass(frozen=True)
class Backup:
    """A backup that came to its end."""

    label: str
    """Its name, which says of which full backup it is a part."""
    kind: str
    """full, diff or incr."""
    started_at: datetime
    """When it began; UTC."""
    ended_at: datetime
    """When it ended; UTC."""
    size: int
    """Bytes of the files of the server that it brings back."""
    stored: int
    """Bytes that it added to its repository."""
    first_segment: str | None
    """First segment of WAL that it needs. None: it was taken of a stopped server."""
    last_segment: str | None
    """Last segment of WAL without which it cannot be restored."""
    has_errors: bool
    """Whether pages had a wrong checksum when it was taken."""
    annotations: dict[str, str]
    """What was noted with it, such as kind: monthly."""


@dataclass(frozen=True)
class Repository:
    """A place where pgBackRest keeps backups and WAL."""

    key: int
    """Its number in the configuration."""
    cipher: str
    """How it is encrypted; none if it is not."""
    status: int
    """What pgBackRest found: 0 is good, 2 is no backup, others are faults."""
    message: str
    """What pgBackRest says of it, in one line."""
    backups: tuple[Backup, ...]
    """Those that can be restored, the oldest first."""
    older: tuple[str, ...]
    """Labels of those of the server before its last upgrade."""
    archive: str | None
    """Where the WAL of the server as it is now lies in it. None: there is no WAL."""
    first_segment: str | None
    """First segment of WAL that it has."""
    last_segment: str | None
    """Last segment of WAL that it has."""

    @property
    def is_readable(self) -> bool:
        """Whether what it holds can be told."""
        return self.status in (_OK, _EMPTY)


@dataclass(frozen=True)
class Stanza:
    """What is known of the backups of one server."""

    repositories: tuple[Repository, ...]
    """Its repositories, by number."""
    is_running: bool
    """Whether a backup runs now on this machine."""


@dataclass(frozen=True)
class PgBackRest:
    """How pgBackRest is called."""

    stanza: str = "entasis"
    """The name under which it knows the server."""
    config: Path | None = None
    """Its configuration, a file, or a folder with pgbackrest.conf and conf.d. None: where
    pgBackRest looks itself."""
    command: tuple[str, ...] = ("pgbackrest",)
    """The program, with what has to stand before it, such as docker exec."""
    patience: float = 10
    """Seconds for which a store that does not answer is asked once; it is asked four times."""

    @property
    def is_local(self) -> bool:
        """Whether it is the program itself that is called, and not another that calls it."""
        return Path(self.command[0]).name == "pgbackrest"

    def info(self) -> Stanza:
        """Read what there is.

        Raises BackupError when pgBackRest cannot be run or refuses its configuration.
        """
        said = self._run("info", f"--io-timeout={self.patience}", "--output=json")
        found = [one for one in _read(said) if one["name"] == self.stanza]
        if not found:
            raise BackupError(
                f"pgBackRest has no repository for stanza {self.stanza}: is it configured on this "
                "machine, and is the name right? See docs/recovery/backups.md"
            )
        (stanza,) = found
        return Stanza(
            tuple(_repository(stanza, repo) for repo in stanza["repo"]),
            bool(stanza["status"].get("lock", {}).get("backup", {}).get("held")),
        )

    def files(self, repository: int, folder: str, *, below: bool = False) -> list[str]:
        """List the names in a folder of a repository, of all folders below it if asked for.

        Raises BackupError when the repository cannot be read.
        """
        options = [f"--io-timeout={self.patience}", *(["--recurse"] if below else [])]
        said = self._run(
            "repo-ls",
            f"--repo={repository}",
            *options,
            "--output=json",
            folder,
            stanza=False,
        )
        return [str(name) for name in _read(said)]

    def verify(self, repository: int) -> str:
        """Have every file of a repository read and compared with its checksum; say what was found.

        Raises BackupError when the repository cannot be read.
        """
        return self._run("verify", f"--repo={repository}", "--output=text", "--verbose")

    def _run(self, command: str, *arguments: str, stanza: bool = True) -> str:
        options = []
        if self.config is not None:
            options.append(f"--config{'-path' if self.config.is_dir() else ''}={self.config}")
        if stanza:
            options.append(f"--stanza={self.stanza}")
        called = [*self.command, *options, "--log-level-console=off", "--log-level-file=off"]
        called += ["--log-level-stderr=error", command, *arguments]
        try:
            done = subprocess.run(  # noqa: S603 - no shell reads the arguments
                called,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                # ours may be closed to that user; what calls it elsewhere may have names from here
                **({"cwd": "/", **_owner()} if self.is_local else {}),
            )
        except FileNotFoundError:
            raise BackupError(
                f"{self.command[0]} is not on this machine: install pgBackRest, or name it with "
                "--pgbackrest"
            ) from None
        except OSError as error:
            raise BackupError(f"{self.command[0]} cannot be run: {error.strerror}") from None
        # a verify that found something may end as one that failed
        if done.returncode != 0 and not (command == "verify" and done.stdout.strip()):
            why = one_line(done.stderr.decode(errors="replace"))
            raise BackupError(f"pgbackrest {command} failed: {why or done.returncode}")
        said: str = done.stdout.decode(errors="replace")
        return said


def _read(said: str) -> Any:
    """Read JSON, in which a wrong passphrase leaves bytes that should not be there."""
    try:
        return json.loads(said, strict=False)
    except ValueError:
        raise BackupError(
            "what pgbackrest says cannot be read: are repo1-cipher-pass and the others the"
            " passphrases that the repositories were made with? pgbackrest info says more"
        ) from None


def _owner() -> dict[str, Any]:
    """Have the owner of the repositories read them where root calls.

    What root writes (a lock, a log) would stand in the owner's way afterwards.
    """
    if sys.platform == "win32" or os.geteuid() != 0:
        return {}
    try:
        owner = pwd.getpwnam(_OWNER)
    except KeyError:
        return {}
    return {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}


def _repository(stanza: dict[str, Any], repo: dict[str, Any]) -> Repository:
    key = int(repo["key"])
    current = max((db["id"] for db in stanza["db"] if db["repo-key"] == key), default=None)

    def is_here(one: dict[str, Any]) -> bool:
        return bool(one["database"]["repo-key"] == key and one["database"]["id"] == current)

    backups = [one for one in stanza["backup"] if one["database"]["repo-key"] == key]
    archives = [one for one in stanza["archive"] if is_here(one)]
    archive = archives[-1] if archives else {}
    has_wal = archive.get("max") is not None
    return Repository(
        key,
        str(repo["cipher"]),
        int(repo["status"]["code"]),
        one_line(str(repo["status"]["message"])),
        tuple(_backup(one) for one in backups if is_here(one)),
        tuple(one["label"] for one in backups if not is_here(one)),
        archive["id"] if has_wal else None,
        archive.get("min"),
        archive.get("max"),
    )


def _backup(found: dict[str, Any]) -> Backup:
    archive = found.get("archive") or {}
    size = found["info"]
    return Backup(
        found["label"],
        found["type"],
        datetime.fromtimestamp(found["timestamp"]["start"], UTC),
        datetime.fromtimestamp(found["timestamp"]["stop"], UTC),
        int(size["size"]),
        int(size["repository"]["delta"]),
        archive.get("start"),
        archive.get("stop"),
        bool(found.get("error")),
        dict(found.get("annotation") or {}),
    )


def one_line(said: str) -> str:
    """Take the first line of an error, of which a wrong passphrase makes unreadable bytes."""
    first = next(filter(None, map(str.strip, said.splitlines())), "").removeprefix("ERROR: ")
    shown = "".join(c for c in first if c.isprintable() and c != "\N{REPLACEMENT CHARACTER}")
    return shown if len(shown) <= _LONGEST else shown[:_LONGEST] + "..."
