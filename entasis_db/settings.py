"""The server's settings beside those that suit this workload."""

from dataclasses import dataclass
from typing import Any

import psycopg

from entasis_db.cursors import execute

__all__ = ["Setting", "settings"]


@dataclass(frozen=True)
class Setting:
    """A setting of the server, and what is advised for it."""

    setting: str
    """Its name."""
    value: str | None
    """What sessions begin with. None: this login has a value of its own, which hides it."""
    advised: str
    """A value that fits, in the form of postgresql.conf."""
    fits: bool | None
    """Whether the value is as advised, or as good. None: it is not seen."""
    found_by: str | None
    """The check of ``health()`` that finds the value. None: none does."""
    needs_restart: bool
    """Whether a change needs a restart of the server, and not only a reload."""
    reason: str
    """Why it is advised."""


def settings(connection: psycopg.Connection[Any]) -> list[Setting]:
    """Return every row of ``entasis.settings``, in its order; changes nothing.

    ``connection`` belongs to a member of entasis_monitor or entasis_admin. What the server does not
    have, or not with such a value, is left out. Raises psycopg.Error when the server refuses.
    """
    rows = execute(
        connection,
        "SELECT s.setting, s.value, s.advised, s.fits, s.found_by, s.needs_restart, s.reason"
        " FROM entasis.settings AS s",
    )
    return [Setting(*row) for row in rows]
