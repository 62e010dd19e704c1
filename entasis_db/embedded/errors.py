"""What the system and the driver raise, as an error that says what to do."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator

import psycopg

from entasis_db.errors import EmbeddedServerError

NO_WINDOWS = "The embedded server needs Linux or macOS. Use WSL, or set DATABASE_URL."


@contextlib.contextmanager
def plain_errors(doing: str) -> Iterator[None]:
    """Turn what the system and the driver raise into an error that can be shown to a person."""
    try:
        yield
    except OSError as fault:
        where = f" ({fault.filename})" if fault.filename else ""
        raise EmbeddedServerError(
            f"Could not {doing} the embedded server: {fault.strerror or fault}{where}. "
            "Set that right, or set DATABASE_URL."
        ) from fault
    except (psycopg.Error, subprocess.SubprocessError) as fault:
        raise EmbeddedServerError(
            f"Could not {doing} the embedded server: {str(fault).rstrip(' .')}. "
            "Try again, or set DATABASE_URL."
        ) from fault
