"""Arguments that several commands take."""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from entasis_db.cli.exit_codes import ExitCode
from entasis_db.cli.output import fail, when

_RELATIVE = re.compile(r"(now|today|yesterday)?(?:-(\d{1,9})([smhdw]))?")
_BARE = re.compile(r"-\d+[a-z]+")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_NOW = "entasis_db.now"
TIMES = (
    "2024-08-08, 2024-08-08T23:55 (UTC), now, today, yesterday, -24h or today-7d (s, m, h, d, w)"
)
"""What a time may be."""


def moment(ctx: click.Context, _param: click.Parameter, text: str | None) -> datetime | None:
    """Read a date or a time, in UTC unless it names its own offset, or how long ago it was."""
    if text is None:
        return None
    try:
        return read_moment(text, ctx)
    except (ValueError, OverflowError):
        fail(f"{text!r} is no time; write {TIMES}", ExitCode.USAGE)


def read_moment(text: str, ctx: click.Context | None = None) -> datetime:
    """Read a time that a command was told.

    Raises ValueError or OverflowError for what is no time.
    """
    ctx = ctx or click.get_current_context(silent=True)
    # one for all of a command's times: from -24h to now is a day
    now = datetime.now(UTC)
    found = _ago(text, now if ctx is None else ctx.meta.setdefault(_NOW, now))
    found = found or datetime.fromisoformat(text)
    # in UTC, for which the years 1 and 9999 may be too narrow
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def _ago(text: str, now: datetime) -> datetime | None:
    """Read a moment before now; None if it is written otherwise."""
    found = _RELATIVE.fullmatch(text)
    if not text or found is None:
        return None
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    days = {"today": today, "yesterday": today - timedelta(days=1)}
    base = days.get(found[1] or "", now)
    return base - timedelta(**{_UNITS[found[3] or "s"]: int(found[2] or 0)})


class _Moment(click.Argument):
    """An argument that is a time, also one that begins like an option: -24h."""

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        """Have the parser see now-24h in its place."""
        super().add_to_parser(parser, ctx)
        parse = parser.parse_args

        def parse_args(args: list[str]) -> Any:
            return parse([f"now{one}" if _BARE.fullmatch(one) else one for one in args])

        parser.parse_args = parse_args


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


from_time = click.argument("from_time", cls=_Moment, callback=moment)
to_time = click.argument("to_time", cls=_Moment, callback=moment)
optional_from_time = click.argument("from_time", cls=_Moment, required=False, callback=moment)
session_pooler = click.option(
    "--session-pooler",
    is_flag=True,
    help="The connection goes through a pooler that keeps a session for each client.",
)
optional_to_time = click.argument("to_time", cls=_Moment, required=False, callback=moment)
new_exchange = click.option(
    "--new-exchange",
    is_flag=True,
    help="Take an exchange whose name is nearly that of one that is known.",
)
