"""Running a page: one shell, as the user who runs the server, with what a host of his has.

``entasis`` belongs to the user of the drill, whose checkout that of the server may not be able to
read: its place is taken by a script that hands its arguments over, and prints what the drill says.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from threading import Thread
from typing import IO

from drills import pages
from entasis_db.embedded.process import ServiceUser, identity, last_lines

_BEHIND = """#!/bin/bash
set -euo pipefail
call=$(mktemp --directory --tmpdir={folder} call.XXXXXX)
printf '%s\\0' "$@" > "$call/arguments"
env -0 > "$call/environment"
printf '%s\\0' {name} > "$call/program"
mkfifo "$call/code"
echo "$call" > {folder}/calls
code=$(cat "$call/code")
cat "$call/output"
exit "$code"
"""
_END = "end"

Program = Callable[[Sequence[str], Mapping[str, str], IO[bytes]], int]
"""What answers for a program: of its arguments, its environment as far as it concerns databases,
and a file for what it prints; the exit code."""


@dataclass(frozen=True)
class Played:
    """How a page went."""

    blocks: list[tuple[int, float]]
    """Each block's line in the page, and how many seconds it took."""
    seconds: float
    """How long it took in all."""
    output: str
    """What the commands printed."""


@contextmanager
def entasis(folder: Path, user: ServiceUser | None) -> Iterator[Path]:
    """Lend a folder for a PATH in which ``entasis`` is the one of this checkout.

    It is made in ``folder``, for the user who runs the server.
    """
    with programs(folder, user, {"entasis": _entasis}) as bin_:
        yield bin_


@contextmanager
def programs(
    folder: Path, user: ServiceUser | None, answers: Mapping[str, Program]
) -> Iterator[Path]:
    """Lend a folder for a PATH with programs that this process answers for, one call at a time.

    It is made in ``folder``, for the user who runs the server.
    """
    bin_, calls = folder / "bin", folder / "bin" / "calls"
    bin_.mkdir(mode=0o700)
    os.mkfifo(calls, 0o600)
    for name in answers:
        program = bin_ / name
        program.write_text(_BEHIND.format(folder=bin_, name=name), encoding="utf-8")
        program.chmod(0o755)
    for path in (bin_, calls):
        if user is not None:
            os.chown(path, user.uid, user.gid)
    # open for writing too, so that it does not end with its first writer
    with calls.open("r+b", buffering=0) as pipe:
        thread = Thread(target=_serve, args=(pipe.fileno(), answers), daemon=True)
        thread.start()
        try:
            yield bin_
        finally:
            pipe.write(f"{_END}\n".encode())
            thread.join(60)
            shutil.rmtree(bin_)


def _serve(pipe: int, answers: Mapping[str, Program]) -> None:
    with os.fdopen(pipe, encoding="utf-8", closefd=False) as calls:
        for line in calls:
            if line.strip() == _END:
                return
            _answer(Path(line.strip()), answers)


def _answer(call: Path, answers: Mapping[str, Program]) -> None:
    def read(name: str) -> list[str]:
        return (call / name).read_bytes().decode(errors="surrogateescape").split("\0")[:-1]

    its_own = dict(line.split("=", 1) for line in read("environment"))
    (name,) = read("program")
    with (call / "output").open("wb") as output:
        (call / "output").chmod(0o644)
        code = answers[name](read("arguments"), _kept(its_own), output)
    (call / "code").write_text(str(code % 256), encoding="ascii")


def _entasis(arguments: Sequence[str], environment: Mapping[str, str], output: IO[bytes]) -> int:
    return subprocess.run(
        [sys.executable, "-m", "entasis_db", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env={**os.environ, **environment},
        cwd=pages.FOLDER.parent.parent,
        check=False,
    ).returncode


def _kept(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in environment.items()
        if name.startswith(("PG", "ENTASIS_")) or name == "DATABASE_URL"
    }


class FailedError(Exception):
    """A command of a page failed."""


def play(
    page: str,
    commands: Sequence[pages.Block],
    folder: Path,
    user: ServiceUser | None,
    environment: Mapping[str, str],
    patience: float = 600,
) -> Played:
    """Run the commands of a page as the user of the server, in the order of the page.

    ``page`` is its name; ``folder`` belongs to the user; ``environment`` is all that they see.
    Raises FailedError at the first command that fails, and when they take more than ``patience``
    seconds.
    """
    progress, said = folder / "progress", folder / "said"
    try:
        # into files: a server that is started here keeps the other end of a pipe open
        with said.open("wb") as output:
            code = subprocess.run(
                ["/bin/bash", "--noprofile", "--norc", "-c", pages.script(commands, progress)],
                env=dict(environment),
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=patience,
                check=False,
                umask=0o077,
                **identity(user),
            ).returncode
    except subprocess.TimeoutExpired:
        raise FailedError(
            f"{page} took more than {patience:.0f} s: {last_lines(_text(said))}"
        ) from None
    times = [
        (line, float(at)) for line, at in (one.split() for one in _text(progress).splitlines())
    ]
    if code or not times or times[-1][0] != "end":
        line = times[-1][0] if times else "1"
        raise FailedError(
            f"{page}: the block of line {line} ended with {code}:\n{last_lines(_text(said), 40)}"
        )
    spans = [(int(line), after - at) for (line, at), (_, after) in pairwise(times)]
    return Played(spans, times[-1][1] - times[0][1], _text(said))


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""
