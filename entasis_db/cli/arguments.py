"""Arguments that several commands take."""

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from entasis_db.cli.exit_codes import ExitCode
from entasis_db.cli.output import fail, when


def moment(_ctx: click.Context, _param: click.Parameter, text: str | None) -> datetime | None:
    """Read a date or a time, in UTC unless it names its own offset."""
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
        # in UTC, for which the years 1 and 9999 may be too narrow
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        fail(f"{text!r} is no time; write 2024-08-08 or 2024-08-08T23:55 (UTC)", ExitCode.USAGE)


def zone_of(_ctx: click.Context, _param: click.Parameter, name: str) -> tzinfo:
    """Find a zone by its name."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        fail(f"there is no zone {name!r}; write UTC or America/New_York", ExitCode.USAGE)


def check_range(from_time: datetime | None, to_time: datetime | None) -> None:
    """Refuse a range that is empty or reversed: it was hardly meant."""
    if from_time is not None and to_time is not None and not from_time < to_time:
        fail(f"{when(to_time)} is not after {when(from_time)}", ExitCode.USAGE)


from_time = click.argument("from_time", callback=moment)
to_time = click.argument("to_time", callback=moment)
optional_from_time = click.argument("from_time", required=False, callback=moment)
session_pooler = click.option(
    "--session-pooler",
    is_flag=True,
    help="The connection goes through a pooler that keeps a session for each client.",
)
optional_to_time = click.argument("to_time", required=False, callback=moment)
