"""PostgreSQL's own programs: found in the version that is needed, and told no secret in public."""

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from entasis_db.embedded.binaries import major_version, wheel_binaries
from entasis_db.errors import CopyError, EmbeddedServerError
from entasis_db.libpq import libpq

_INSTALLED = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin")


@dataclass(frozen=True)
class Program:
    """One of PostgreSQL's client programs."""

    path: Path
    major: int
    """The major version that it is of."""


@dataclass(frozen=True)
class Call:
    """How a program is called."""

    program: Program
    dsn: str
    jobs: int
    """How many tables at once."""


def find(name: str, oldest: int, newest: int, folder: Path | None = None) -> Program:
    """Return the oldest program of that name whose major version is from ``oldest`` to ``newest``.

    Looked for in ``folder`` alone, if it is given; else on the PATH, where packages put them, and
    in the wheel of the embedded server. Raises CopyError when there is none.
    """
    found = {one.major: one for one in reversed([*_there(name, folder)])}
    fitting = [major for major in sorted(found) if oldest <= major <= newest]
    if fitting:
        return found[fitting[0]]
    wanted = f"version {oldest}" if oldest == newest else f"versions {oldest} to {newest}"
    if oldest > newest:
        raise CopyError(
            f"no {name} reads a dump that was made by version {oldest} into a server of version "
            f"{newest}: take it with --portable"
        )
    here = ", ".join(f"{one.path} ({one.major})" for one in found.values()) or "none"
    raise CopyError(
        f"{name} of {wanted} is needed, and found was {here}. Install PostgreSQL's client programs "
        "of that version, and name their folder with --programs if it is not on the PATH"
    )


def _there(name: str, folder: Path | None) -> Iterator[Program]:
    for place in _folders(name, folder):
        if (major := major_version(place / name)) is not None:
            yield Program(place / name, major)


def _folders(name: str, folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        yield folder
        return
    if on_path := shutil.which(name):
        yield Path(on_path).parent
    for pattern in _INSTALLED:
        yield from sorted(Path("/").glob(pattern[1:]))
    try:
        package, _ = wheel_binaries()
    except EmbeddedServerError:
        return
    yield package / "pginstall" / "bin"


@contextmanager
def running(call: Call, arguments: Sequence[str], mend: str) -> Iterator[None]:
    """Run a program on a database while the block runs, and wait for its end.

    Raises CopyError when it failed; ``mend`` says what to do then. When the block raises, the
    program is ended.
    """
    with (
        libpq(call.dsn) as (environment, conninfo),
        subprocess.Popen(  # noqa: S603
            [call.program.path, *arguments, "--no-password", f"--dbname={conninfo}"],
            env={**environment, "LC_ALL": "C", "PGCLIENTENCODING": "UTF8"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        ) as process,
    ):
        try:
            yield
            _, said = process.communicate()
        except BaseException:
            process.terminate()
            raise
    if process.returncode:
        lines = [line for line in said.splitlines() if "error" in line] or said.splitlines()
        why = lines[0] if lines else f"it ended with {process.returncode}"
        raise CopyError(f"{call.program.path.name} failed: {why.rstrip('.')}. {mend}")
