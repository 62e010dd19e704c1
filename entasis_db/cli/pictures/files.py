"""The options by which a command writes a chart, and the writing."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from entasis_db.charts import FORMATS, Chart, save
from entasis_db.cli.output import step

Command = TypeVar("Command", bound=Callable[..., Any])

_HELP = {
    "png": "Draw them into this file, as PNG.",
    "svg": "Draw them into this file, as SVG.",
    "html": "Draw them into this file, as a page that opens offline.",
}


def options(command: Command) -> Command:
    """Give a command --png, --svg and --html, which it takes as ``**files``."""
    for form in FORMATS:
        command = click.option(
            f"--{form}",
            metavar="FILE",
            type=click.Path(dir_okay=False, path_type=Path),
            help=_HELP[form],
        )(command)
    return command


def save_all(chart: Chart, files: Mapping[str, Path | None]) -> None:
    """Write a chart to each file that was named, and say so."""
    for form, path in files.items():
        if path is not None:
            save(chart, path, form)
            step(f"{path}: {chart.title}")
            for said in chart.notes:
                step(f"  {said}")
