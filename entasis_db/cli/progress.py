"""Progress on a terminal, on standard error; elsewhere nothing of it is printed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from entasis_db.cli.output import err, step
from entasis_db.ingest import Loaded

if TYPE_CHECKING:  # the archive needs libraries that not everybody has
    from entasis_db.archive import Event


@contextmanager
def loading(name: str) -> Iterator[Callable[[Loaded], None]]:
    """Show how much of a file has been read."""
    if not err.is_terminal:
        yield lambda _: None
        return
    columns = (TextColumn(name), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task(name, total=None)
        yield lambda loaded: bar.update(task, completed=loaded.bytes_read, total=loaded.total_bytes)


@contextmanager
def archiving() -> Iterator[Callable[[Event], None]]:
    """Show results as lines, and on a terminal the steps on the way in a line that changes."""
    with ExitStack() as stack:
        line = stack.enter_context(err.status("reading")) if err.is_terminal else None

        def show(event: Event) -> None:
            if event.final:
                step(str(event))
            elif line is not None:
                line.update(str(event))

        yield show
