"""Plant small changes into the SQL one by one, and run the tests of their subject on each.

``python -m tests.mutants floors`` does it for schema/*/floors, ``queries`` for the named queries. A
change that no test notices survives: it needs a test, or makes no difference. Exit code 0: none
did; 3: some did; 1: the tests fail without any change.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from entasis_db.resources import engines, schema_order
from tests.engines import REPOSITORY
from tests.mutants.changes import Change, changes

_TESTS: dict[str, tuple[str, ...]] = {
    "health": ("retention", "floors", "archive"),
    "installation": ("installation/test_migrations.py", "installation/test_drafts.py"),
    "predictions": ("predictions", "queries"),
    "queries": ("queries", "predictions", "options", "portfolio"),
    "reopen": ("floors", "archive/test_reopen.py"),
    "floors": ("floors", "retention"),
}
"""Which tests are of a subject, below tests/contract; by default the folder of its name."""


@dataclass(frozen=True)
class Outcome:
    """What became of a change."""

    change: str
    """File, line, what stood there and what stood there instead."""
    outcome: str
    """``caught``, ``survived``, or ``too slow``: the tests did not end, which somebody notices."""
    seconds: float
    """How long the tests ran."""


def files_of(subject: str) -> list[Path]:
    """Return the files of a subject, below the root of the repository."""
    folders = ["entasis_db/queries"] if subject == "queries" else []
    folders += [f"schema/{engine}/{subject}" for engine in ("core", "postgresql", "timescaledb")]
    found = {path for folder in folders for path in (REPOSITORY / folder).rglob("*.sql")}
    for engine in engines():
        # migrations make what holds rows, and a test compares these files with them
        found -= set(schema_order(engine).state)
    return sorted(
        path.relative_to(REPOSITORY) for path in found if not path.stem.endswith(".comments")
    )


class Copy:
    """A copy of the checkout, in which the changes are made."""

    def __init__(self, folder: Path, subject: str, server: str) -> None:
        """Copy what git knows."""
        self._folder = folder
        self._paths = [f"tests/contract/{path}" for path in _TESTS.get(subject, (subject,))]
        if server.startswith("timescaledb"):
            self._paths.append("tests/timescaledb")
        self._environment = {
            **os.environ,
            "ENTASIS_TEST_ONLY": server,
            "ENTASIS_TEST_EXAMPLES": os.environ.get("ENTASIS_TEST_EXAMPLES", "5"),
        }
        listed = subprocess.run(
            ["git", "ls-files", "-z"], cwd=REPOSITORY, check=True, capture_output=True, text=True
        ).stdout
        for name in filter(None, listed.split("\0")):
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if (REPOSITORY / name).is_file():
                target.write_bytes((REPOSITORY / name).read_bytes())
        modules = REPOSITORY / "tests" / "wasm" / "node_modules"
        if modules.is_dir():
            (folder / "tests" / "wasm" / "node_modules").symlink_to(modules.resolve())

    def run(self, limit: float | None) -> tuple[str, float]:
        """Run the tests until one fails."""
        start = time.monotonic()
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
        with subprocess.Popen(
            [*command, *self._paths],
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            try:
                code = process.wait(limit)
            except subprocess.TimeoutExpired:
                process.terminate()  # pytest stops its servers
                process.wait()
                return "too slow", time.monotonic() - start
        return "survived" if code == 0 else "caught", time.monotonic() - start

    def plant(self, change: Change, limit: float) -> Outcome:
        """Make one change, run the tests, and take it back."""
        whole = (self._folder / change.path).read_bytes()
        try:
            change.apply(self._folder)
            return Outcome(str(change), *self.run(limit))
        finally:
            (self._folder / change.path).write_bytes(whole)


def plant_all(
    subject: str, server: str, known: set[str], most: int | None, seed: int
) -> Iterator[Outcome]:
    """Plant the changes of a subject that are not known yet; the first outcome is of none."""
    planned = [
        change
        for path in files_of(subject)
        for change in changes(REPOSITORY, path)
        if str(change) not in known and _runs_on(path, server)
    ]
    if most is not None and most < len(planned):
        planned = sorted(random.Random(seed).sample(planned, most), key=planned.index)
    with tempfile.TemporaryDirectory(prefix="entasis-mutants-") as folder:
        copy = Copy(Path(folder), subject, server)
        outcome, seconds = copy.run(None)
        yield Outcome("no change", outcome, seconds)
        for number, change in enumerate(planned, 1):
            click.echo(f"{number}/{len(planned)} {change}", err=True)
            yield copy.plant(change, 60 + 3 * seconds)


def _runs_on(path: Path, server: str) -> bool:
    room = path.parts[1]
    return room not in {"postgresql", "timescaledb"} or server.startswith(room)


@click.command(help=__doc__)
@click.argument("subject")
@click.option("--server", default="postgresql-18", help="As in ENTASIS_TEST_ONLY.")
@click.option("--most", type=int, help="Only so many changes, drawn at random.")
@click.option("--seed", type=int, default=0, help="Of that draw.")
@click.option("--file", type=Path, help="Outcomes, a line of JSON each; goes on where it ends.")
def main(subject: str, server: str, most: int | None, seed: int, file: Path | None) -> None:
    """Plant the changes of a subject."""
    known: set[str] = set()
    if file is not None and file.exists():
        lines = file.read_text(encoding="utf-8").splitlines()
        known = {json.loads(line)["change"] for line in lines}
    planted = survived = 0
    for outcome in plant_all(subject, server, known, most, seed):
        if outcome.change == "no change":
            if outcome.outcome != "survived":
                click.echo("the tests fail as they are", err=True)
                sys.exit(1)
            continue
        planted += 1
        survived += outcome.outcome == "survived"
        click.echo(f"{outcome.outcome:9} {outcome.change}")
        if file is not None:
            with file.open("a", encoding="utf-8") as told:
                told.write(json.dumps(asdict(outcome)) + "\n")
    click.echo(f"{planted} changes planted, {survived} survived")
    sys.exit(3 if survived else 0)


if __name__ == "__main__":
    main()
