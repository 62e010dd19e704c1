"""Run histories drawn from seeds, one after the other, until the time is over or one fails.

``make soak SEED=7 MINUTES=10`` begins with the history of seed 7 and goes on with 8, 9, … A failure
is printed with its seed and steps, made shorter by leaving steps out, and ends the run with exit
code 1. ``--steps FILE`` runs the steps of a file instead, one JSON value a line, as they are
printed. A server is a new cluster of this machine, because it is killed, too.
"""

import json
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import click

from tests.engines import Server, Source, pause_jobs
from tests.servers import cluster as clusters
from tests.servers import sources
from tests.soak.checks import BrokenError
from tests.soak.drawing import Drawing
from tests.soak.history import run
from tests.soak.plants import PLANTS, Plant

Step = dict[str, Any]


class Soak:
    """A cluster of its own, on which histories run, each in a database of its own."""

    def __init__(self, source: Source, stack: ExitStack) -> None:
        """Start the cluster; it ends with the stack."""
        assert source.bindir is not None, "the soak kills its server: it needs one of its own"
        # what a commit has said must outlive the server's death
        settings = {**source.settings, "synchronous_commit": "on"}
        self.cluster = stack.enter_context(clusters.bare_cluster(source.bindir, **settings))
        self.source = source
        self.server = Server(source, self.cluster.dsn("postgres"))
        self._folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="entasis-soak-"))
        )
        self._count = 0

    def draw(self, seed: int, length: int) -> list[Step]:
        """Draw the history of a seed."""
        drawing = Drawing(
            seed,
            merges=self.source.can("merge"),
            moves=self.source.can("move_across_partitions"),
            own_cluster=True,
        )
        return drawing.history(length)

    def play(
        self, steps: Sequence[Step], fault: Plant | None = None
    ) -> tuple[int, BaseException] | None:
        """Run a history in a new database, with a fault planted in it or not."""
        self._count += 1
        with self.server.database() as database:
            with database.connect() as connection:
                if fault is not None:
                    fault.plant(connection)
                if self.source.can("hypertables"):
                    pause_jobs(connection)
            try:
                return run(database, self._folder / str(self._count), steps, self.cluster)
            finally:
                self.cluster.start()

    def shorten(self, steps: list[Step], until: float, fault: Plant | None = None) -> list[Step]:
        """Leave out what a failure does not need, as long as there is time."""
        size = len(steps) // 2
        while size:
            start = 0
            while start < len(steps) and monotonic() < until:
                fewer = steps[:start] + steps[start + size :]
                found = self.play(fewer, fault)
                if found is not None:
                    steps = fewer[: found[0]]
                else:
                    start += size
            size //= 2
        return steps


@contextmanager
def soaking(name: str | None, engine: str) -> Iterator[Soak]:
    """Lend a soak on a server of that name, or the newest of an engine."""
    found = [s for s in sources() if s.bindir and (s.name == name if name else s.engine == engine)]
    if not found:
        raise click.UsageError(f"no server of this machine that can be killed is {name or engine}")
    with ExitStack() as stack:
        yield Soak(found[-1], stack)


def describe(steps: Sequence[Step]) -> str:
    """Return steps as lines of JSON."""
    return "\n".join(json.dumps(step) for step in steps)


def told(error: BaseException) -> str:
    """Return what an error says."""
    if isinstance(error, BrokenError):
        return "\n".join([str(error), *getattr(error, "__notes__", ())])
    return "".join(traceback.format_exception(error))


def report(
    soak: Soak,
    seed: int,
    steps: list[Step],
    found: tuple[int, BaseException],
    fault: Plant | None = None,
    seconds: float = 180,
) -> None:
    """Print a failure, and the shortest history with one that a few minutes find."""
    number, error = found
    click.echo(f"seed {seed}: step {number} of {len(steps)} broke: {told(error)}")
    if seconds <= 0:
        click.echo(describe(steps[:number]))
        return
    short = soak.shorten(steps[:number], monotonic() + seconds, fault)
    again = soak.play(short, fault)
    click.echo(f"the shortest history that fails has {len(short)} steps:\n{describe(short)}")
    click.echo(f"it ends: {told(again[1]) if again else 'without a failure this time'}")
    click.echo(f"again: make soak SEED={seed}")


@click.command(help=__doc__)
@click.option("--seed", type=int, default=1, help="Of the first history.")
@click.option("--minutes", type=float, default=10.0, help="How long to go on.")
@click.option("--length", type=int, default=40, help="Steps of a history.")
@click.option("--server", help="As in ENTASIS_TEST_ONLY.")
@click.option("--engine", default="postgresql", help="The newest server of that engine.")
@click.option("--plant", type=click.Choice(sorted(PLANTS)), help="Plant a fault, to be found.")
@click.option("--shorten", type=float, default=180.0, help="Seconds for making a failure shorter.")
@click.option("--steps", type=click.Path(path_type=Path), help="A file of steps to run instead.")
def main(
    seed: int,
    minutes: float,
    length: int,
    server: str | None,
    engine: str,
    plant: str | None,
    shorten: float,
    steps: Path | None,
) -> None:
    """Run histories."""
    fault = PLANTS[plant] if plant else None
    # whoever ends it, its cluster ends with it
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    server = server or os.environ.get("ENTASIS_TEST_ONLY")
    with soaking(server, engine) as soak:
        click.echo(f"{soak.source.name}: {soak.source.origin}")
        if steps is not None:
            lines = steps.read_text(encoding="utf-8").splitlines()
            found = soak.play([json.loads(line) for line in lines if line.strip()], fault)
            click.echo(f"step {found[0]}: {found[1]!r}" if found else "everything held")
            sys.exit(1 if found else 0)
        until = monotonic() + 60 * minutes
        taken = 0
        first = seed
        while monotonic() < until:
            start = monotonic()
            history = soak.draw(seed, length)
            found = soak.play(history, fault)
            if found is not None:
                click.echo(f"found after {taken + found[0]} steps")
                report(soak, seed, history, found, fault, shorten)
                sys.exit(1)
            taken += len(history)
            click.echo(f"seed {seed}: {len(history)} steps in {monotonic() - start:.1f} s")
            seed += 1
        click.echo(f"{seed - first} histories, {taken} steps: everything held")


if __name__ == "__main__":
    main()
