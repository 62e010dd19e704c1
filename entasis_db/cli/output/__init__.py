"""What commands print: results on standard output, progress and errors on standard error."""

import sys
from datetime import UTC, datetime
from typing import NoReturn

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from entasis_db.cli.exit_codes import ExitCode

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def step(message: str) -> None:
    """Print a line of the result."""
    out.print(message, markup=False, soft_wrap=True)


def note(message: str) -> None:
    """Print a line that is no part of the result, and no error."""
    err.print(message, markup=False, soft_wrap=True)


def complain(message: str) -> None:
    """Print an error as one line, also where a driver or a server says it in several."""
    line = " ".join(message.split())
    err.print(f"entasis: {line}", style="red", markup=False, soft_wrap=True)


def fail(message: str, code: ExitCode = ExitCode.FAILED) -> NoReturn:
    """Print an error and end the command."""
    complain(message)
    sys.exit(code)


def when(moment: datetime) -> str:
    """Write a moment in UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def minute(moment: datetime) -> str:
    """Write a moment in UTC, to the minute and without its zone."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"


def print_whole(table: Table) -> None:
    """Print a table as wide as it is: a number that is cut to fit is a wrong number."""
    whole = Measurement.get(out, out.options.update(width=10_000), table).maximum
    Console(highlight=False, width=max(whole, out.width)).print(table)
