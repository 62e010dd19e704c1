"""Progress on a terminal, on standard error; elsewhere nothing of it is printed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from entasis_db.cli.output import err, step
from entasis_db.exchange_candles import CandleReport
from entasis_db.ingest import Loaded

if TYPE_CHECKING:  # the archive needs libraries that not everybody has
    from entasis_db.archive import Event

Told = Loaded | CandleReport


@contextmanager
def loading(name: str, size: int | None) -> Iterator[Callable[[Told], None]]:
    """Show how much of a file has been read, of so many bytes as far as that is known."""
    if not err.is_terminal:
        yield lambda _: None
        return
    columns = (TextColumn(name), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task(name, total=size)

        def show(told: Told) -> None:
            # of a compressed pipe it is known as soon as that was read
            total = size if isinstance(told, CandleReport) else told.total_bytes
            bar.update(task, completed=told.bytes_read, total=total)

        yield show


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


@contextmanager
def backing_up() -> Iterator[Callable[[str], None]]:
    """Show on a terminal what is being done, in a line that changes."""
    if not err.is_terminal:
        yield lambda _: None
        return
    with err.status("beginning") as line:
        yield lambda text: line.update(escape(text))
