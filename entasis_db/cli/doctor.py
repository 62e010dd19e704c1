"""The command that says what is wrong, in the words and exit codes of monitoring plugins."""

from collections.abc import Sequence
from decimal import Decimal
from enum import IntEnum
from typing import Any

import click
import psycopg

from entasis_db.cli.output import complain, note, step, when
from entasis_db.cli.output.rows import Form, prints, rows_of, show
from entasis_db.cli.root import explained
from entasis_db.cli.target import Target
from entasis_db.errors import EntasisError
from entasis_db.health import Check, Severity, health
from entasis_db.settings import Setting, settings

_CHECKS = rows_of(Check, as_table=False)
_SETTINGS = rows_of(Setting, "--settings", as_table=False)


class State(IntEnum):
    """The exit codes of monitoring plugins, which all of them share."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


_STATES: dict[Severity, State] = {
    "critical": State.CRITICAL,
    "warning": State.WARNING,
    "unknown": State.UNKNOWN,
    "ok": State.OK,
}
"""The worst first."""


class _UsageError(click.UsageError):
    exit_code = State.UNKNOWN


class _Plugin(click.Command):
    """A command that ends as a plugin does, also when it was called wrongly or finds no server."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Read the arguments."""
        try:
            return super().make_context(*args, **kwargs)
        except click.UsageError as error:
            raise _UsageError(error.message, error.ctx) from error

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what keeps it from an answer leaves the answer unknown."""
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            raise _UsageError(error.message, error.ctx) from error
        except EntasisError as error:
            complain(str(error))
        except psycopg.Error as error:
            complain(explained(error))
        except SystemExit:
            pass  # it has said why
        raise click.exceptions.Exit(State.UNKNOWN)


@click.command(
    cls=_Plugin,
    epilog="Exit codes are those of monitoring plugins: 0 ok, 1 warning, 2 critical, 3 unknown, "
    "which is also when it was called wrongly or finds no server.",
)
@prints(_CHECKS, _SETTINGS)
@click.option("--check", "only", metavar="NAME", multiple=True, help="Only this check, or these.")
@click.option(
    "--settings",
    "compare",
    is_flag=True,
    help="Compare the server's settings with those that suit this workload instead. What merely "
    "differs is no warning.",
)
@click.pass_obj
def doctor(target: Target, only: tuple[str, ...], compare: bool, form: Form) -> None:
    """Say what is wrong with the database, since when, and what to do.

    Needs the role entasis_monitor, and what that has of pg_monitor; what the login may not see is
    unknown. entasis.thresholds has what each check is compared with.
    """
    if compare and only:
        raise click.UsageError("--check and --settings do not go together")
    with target.connect() as connection:
        found = health(connection)
        compared = settings(connection) if compare else []
    if compare:
        only = ("setting_unsafe", "setting_unfit")
    if missing := sorted(set(only) - {one.check for one in found}):
        raise click.UsageError(f"there is no check {', '.join(missing)}")
    found = [one for one in found if not only or one.check in only]
    worst = next(severity for severity in _STATES if severity in {one.severity for one in found})
    if compare:
        show(form, _SETTINGS, compared, lambda: _tell_settings(compared))
    else:
        show(form, _CHECKS, found, lambda: _tell(found))
    raise click.exceptions.Exit(_STATES[worst])


def _tell_settings(compared: Sequence[Setting]) -> None:
    for one in compared:
        if one.fits:
            continue
        found = f" ({one.found_by})" if one.found_by else ""
        value = "not seen: this login has a value of its own" if one.value is None else one.value
        how = "restart" if one.needs_restart else "reload"
        step(f"{one.setting}{found}: {value}; advised {one.advised}, by a {how}")
        step(f"    {one.reason}")
    step(f"{sum(one.fits is True for one in compared)} of {len(compared)} settings are as advised")


def _tell(found: Sequence[Check]) -> None:
    for severity in _STATES:
        if severity != "ok":
            for one in found:
                if one.severity == severity:
                    _tell_one(one)
    well = sum(one.severity == "ok" for one in found)
    step(f"{well} of {len(found)} checks are ok")
    if any(one.severity == "unknown" for one in found):
        note("unknown: log in as a member of entasis_monitor, and GRANT pg_monitor TO it")


def _tell_one(one: Check) -> None:
    what = "unknown" if one.value is None else f"{_number(one.value)} {one.unit}"
    limit = "" if one.threshold is None else f" (threshold {_number(one.threshold)})"
    where = f" {one.subject}" if one.subject else ""
    others = f", and {one.subjects - 1} more" if one.subjects > 1 else ""
    since = f", since {when(one.since)}" if one.since else ""
    step(f"{one.severity.upper()} {one.check}:{where} {what}{limit}{since}{others}")
    step(f"    {one.measures}")
    step(f"    do: {one.advice}. See {one.page}")


def _number(value: Decimal) -> str:
    return f"{value.normalize():,f}"
