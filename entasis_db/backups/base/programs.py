"""PostgreSQL's own programs: found in the version of the server, and run."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from entasis_db.embedded.binaries import major_version, usable_binaries
from entasis_db.embedded.process import ServiceUser, identity
from entasis_db.errors import BackupError, EmbeddedServerError

_WRONG = re.compile("(?i)error|fatal|detail|hint|cannot|denied|no such|space")
OLDEST = 17
"""The first major version that knows incremental backups."""


def find_programs(major: int, bindir: Path | None = None) -> Path:
    """Find the folder that holds pg_basebackup and its companions of a major version.

    ``bindir`` is looked into alone, if it is given. Raises BackupError when there is none.
    """
    seen: list[int] = []
    for folder in _folders(major) if bindir is None else [bindir]:
        found = major_version(folder / "pg_basebackup")
        if found == major:
            return folder
        if found is not None and found not in seen:
            seen.append(found)
    there = f" (here is that of {' and '.join(map(str, seen))})" if seen else ""
    raise BackupError(
        f"pg_basebackup of PostgreSQL {major} is needed, the version of the server, and was not"
        f" found{there}: install PostgreSQL {major}, or name the folder of its programs with"
        " --programs"
    )


def _folders(major: int) -> Iterator[Path]:
    for known in ("/usr/lib/postgresql/{}/bin", "/usr/pgsql-{}/bin"):
        yield Path(known.format(major))
    # (what Debian has on the PATH is a script, which finds another version each time)
    if (program := shutil.which("pg_basebackup")) is not None:
        yield Path(program).resolve().parent
    try:
        yield usable_binaries()
    except EmbeddedServerError:
        return


def run(
    command: Sequence[str | Path],
    *,
    user: ServiceUser | None = None,
    env: Mapping[str, str] | None = None,
    stdin: IO[bytes] | int = subprocess.DEVNULL,
    heard: Callable[[str], None] | None = None,
) -> None:
    """Run a program to its end, and tell ``heard`` what it says on the way.

    Raises BackupError with what it said when it fails; the program ends with this process's block.
    """
    said, name = "", Path(command[0]).name
    with (
        no_traceback(f"{name} could not be run"),
        subprocess.Popen(  # noqa: S603 - no shell
            [str(part) for part in command],
            env={**(os.environ if env is None else env), "LC_ALL": "C"},
            cwd="/",  # ours may be closed to the user
            umask=0o077,
            stdin=stdin,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            **identity(user),
        ) as process,
    ):
        assert process.stderr is not None
        try:
            while piece := os.read(process.stderr.fileno(), 65536):
                text = piece.decode(errors="replace")
                said = (said + text)[-20_000:]
                if heard is not None:
                    heard(text)
        except BaseException:
            process.terminate()
            raise
    if process.returncode != 0:
        raise BackupError(f"{name} failed: {_cause(said) or f'it ended with {process.returncode}'}")


@contextmanager
def no_traceback(what: str) -> Iterator[None]:
    """Turn what the system refuses into an error that can be shown to a person."""
    try:
        yield
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise BackupError(f"{what}: {error.strerror or error}{where}") from error


def _cause(said: str) -> str:
    """Pick what went wrong out of all that a program has said, as one line."""
    lines = [line.strip() for line in re.split(r"[\r\n]+", said)]
    wrong = [line for line in lines if _WRONG.search(line)]
    plain = (re.sub(r"^\w+: (?:error|detail|hint): ", "", line) for line in wrong or lines)
    return " ".join(filter(None, plain))[-600:]
