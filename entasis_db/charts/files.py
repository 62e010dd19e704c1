"""Charts as files."""

import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

from entasis_db.charts.figure import document
from entasis_db.charts.image import Format, image
from entasis_db.charts.model import Chart, ChartError

FORMATS = ("html", *get_args(Format))
"""What a chart can be written as: the ending of its file says which."""


def save(chart: Chart, path: Path, form: str | None = None) -> None:
    """Write a chart to a file, whole or not at all; one that is there is replaced.

    ``form``, one of FORMATS, is by default what the name ends with. Raises ChartError for another,
    MissingExtraError where matplotlib is missing, OSError where it cannot be written.
    """
    form = form or path.suffix.removeprefix(".").lower()
    if form not in FORMATS:
        raise ChartError(f"{path.name}: a chart is {', '.join(FORMATS)}; let the name end with one")
    if form == "html":
        now = f"{datetime.now(UTC):%Y-%m-%d %H:%M}"
        write(path, document(chart, f"Made by entasis-db on {now}.").encode())
    else:
        write(path, image(chart, "png" if form == "png" else "svg"))


def write(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all, readable as the folder's other files are."""
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise ChartError(f"{path}: {error.strerror}; choose another file") from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        umask = os.umask(0)
        os.umask(umask)
        Path(name).chmod(0o666 & ~umask)
        Path(name).replace(path)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        raise ChartError(f"{path}: {error.strerror}; choose another file") from error
