"""The group of all commands, and how errors are shown."""

from importlib import import_module
from typing import Any

import click
import psycopg

from entasis_db import __version__
from entasis_db.cli.exit_codes import EXPLAINED
from entasis_db.cli.output import fail
from entasis_db.cli.target import Target
from entasis_db.cursors import NO_WRITES
from entasis_db.errors import EntasisError

_NOT_MIGRATED = (
    psycopg.errors.InvalidSchemaName,
    psycopg.errors.UndefinedTable,
    psycopg.errors.UndefinedFunction,
    psycopg.errors.UndefinedObject,
)
_ROLES = (
    "Reading needs the role entasis_reader, loading entasis_writer, maintaining, checking and "
    "archiving entasis_admin"
)


class Group(click.Group):
    """A group that lists its commands with whole summaries.

    click cuts a summary that does not fit beside the name of its command.
    """

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands."""
        rows = []
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command is not None and not command.hidden:
                # what is longer than the line goes on below itself
                rows.append((name, command.get_short_help_str(limit=1000)))
        with formatter.section("Commands"):
            formatter.write_dl(rows)


class _Root(Group):
    """Shows the package's own errors, and the server's, as a line and not as a traceback.

    A command's module is imported when the command is asked for: all of them, with what they
    stand on, take as long as a short command does.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.deferred: dict[str, str] = {}
        """Of a command's name, the module of entasis_db.cli that has it under that name."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - as click has it
        """Return the names of all commands."""
        return sorted(self.deferred)

    def get_command(  # as click has it
        self,
        ctx: click.Context,  # noqa: ARG002
        cmd_name: str,
    ) -> click.Command | None:
        """Return a command, after the import of its module."""
        if cmd_name not in self.deferred:
            return None
        module = import_module(f"entasis_db.cli.{self.deferred[cmd_name]}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except EntasisError as error:
            fail(str(error))
        except psycopg.Error as error:
            fail(explained(error))


def explained(error: psycopg.Error) -> str:
    """Say what a server or the driver refused, and what to do about it."""
    message = error.diag.message_primary
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return f"this login may not do that: {message}. {_ROLES}"
    if isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
        return NO_WRITES
    if isinstance(error, _NOT_MIGRATED):
        return f"{message}. Has this database been migrated? entasis migrate"
    if message is None and isinstance(error, psycopg.OperationalError):
        said = str(error).strip().rstrip(".")
        return f"{said}. Is the server up, and is DATABASE_URL (or --database) right?"
    said = ". ".join(filter(None, [message, error.diag.message_detail, error.diag.message_hint]))
    return said or str(error)


@click.group(cls=_Root, context_settings={"help_option_names": ["-h", "--help"]}, epilog=EXPLAINED)
@click.version_option(__version__, prog_name="entasis-db")
@click.option(
    "--database",
    "dsn",
    metavar="URL",
    envvar="DATABASE_URL",
    help="Connection string. Default: $DATABASE_URL, else the embedded server of this checkout.",
)
@click.pass_context
def main(ctx: click.Context, dsn: str | None) -> None:
    """Entasis DB: the database of a digital-asset trading desk."""
    source = ctx.get_parameter_source("dsn")
    ctx.obj = Target(dsn or None, from_environment=source is click.core.ParameterSource.ENVIRONMENT)
