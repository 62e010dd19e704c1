"""The rows that a command prints: for people, and for machines by one rule.

Decimals are text with all their digits, whole numbers are numbers, times are ISO 8601 in UTC, spans
are seconds, and what is not known is null, or empty in text. Fields have the names of the class
whose rows they are.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum, auto
from functools import wraps
from typing import Any

import click

from entasis_db.cli.exit_codes import ExitCode
from entasis_db.cli.output import fail, note, out, step


class Form(Enum):
    """How rows are printed."""

    DEFAULT = auto()
    """As suits who reads: for people, but that a table is plain lines where it is no terminal."""
    PEOPLE = auto()
    """As a table, or in sentences."""
    PLAIN = auto()
    """A line for each, with tabs between the values."""
    JSON = auto()
    CSV = auto()

    @property
    def for_people(self) -> bool:
        """Whether people read it, who want sentences, too."""
        return self in (Form.DEFAULT, Form.PEOPLE)


@dataclass(frozen=True)
class Shape:
    """What the rows of a command are."""

    of: str
    """The class that says what each field means, with its module."""
    names: tuple[str, ...]
    """Names of the fields, in their order."""
    option: str = ""
    """The option that asks for these rows and not for others."""
    as_table: bool = True
    """Whether people get a table, and what is no terminal plain lines; else both get sentences."""


@dataclass(frozen=True)
class Printed:
    """What a command prints, for the tests and the page that describe it."""

    shapes: tuple[Shape, ...]
    by_line: bool
    """Whether JSON is an object a line, as the rows come, and not a list."""


def rows_of(
    kind: type, option: str = "", *, more: Sequence[str] = (), as_table: bool = True
) -> Shape:
    """Make the shape of the rows of a class: a named tuple's or a dataclass's fields."""
    names = tuple(f.name for f in fields(kind)) if is_dataclass(kind) else kind._fields  # type: ignore[attr-defined]
    return Shape(f"{kind.__module__}.{kind.__name__}", (*names, *more), option, as_table)


def prints(
    *shapes: Shape, by_line: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command that prints rows the options for their form; it is told the ``form``."""
    printed = Printed(shapes, by_line)

    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def command(*arguments: Any, **given: Any) -> Any:
            asked = [form for name, form in _OPTIONS.items() if given.pop(name, False)]
            if len(asked) > 1:
                fail("choose one of --json, --csv and --table", ExitCode.USAGE)
            # a group hands on what it was told
            given.setdefault("form", Form.DEFAULT)
            if asked:
                given["form"] = asked[0]
            return function(*arguments, **given)

        command.__entasis_rows__ = printed  # type: ignore[attr-defined]
        rows = "an object for each row" + (", a line each" if by_line else ", in a list")
        options = [
            click.option("--json", "as_json", is_flag=True, help=f"As JSON: {rows}."),
            click.option("--csv", "as_csv", is_flag=True, help="As CSV, with the fields' names."),
        ]
        if any(shape.as_table for shape in shapes):
            help_ = "As a table, also where it is no terminal that reads."
            options.append(click.option("--table", "as_table", is_flag=True, help=help_))
        for option in reversed(options):
            option(command)
        return command

    return add


_HEADED = "entasis_db.headed"
_OPTIONS = {"as_json": Form.JSON, "as_csv": Form.CSV, "as_table": Form.PEOPLE}


def printed_by(command: click.Command) -> Printed | None:
    """Return what rows a command prints; None if it prints none."""
    found: Printed | None = getattr(command.callback, "__entasis_rows__", None)
    return found


def show(
    form: Form,
    shape: Shape,
    rows: Iterable[Any],
    people: Callable[[], None],
    nothing: str | None = None,
) -> None:
    """Print rows in the form that was asked for.

    ``people`` prints what people are to see. ``nothing`` is what they are told when there is no
    row, without which ``people`` says it.
    """
    values = [as_values(row, shape.names) for row in rows]
    if form is Form.DEFAULT:
        form = Form.PEOPLE if out.is_terminal or not shape.as_table else Form.PLAIN
    match form:
        case Form.PEOPLE:
            if values or nothing is None:
                people()
            else:
                step(nothing)
        case Form.JSON:
            click.echo("[" + ",\n ".join(map(as_json, values)) + "]")
        case Form.CSV:
            click.echo(as_csv([shape.names, *(map(as_text, one.values()) for one in values)]))
        case Form.PLAIN:
            for one in values:
                click.echo("\t".join(_escaped(as_text(value)) for value in one.values()))
            if not values and nothing is not None:
                note(nothing)


def show_one(form: Form, shape: Shape, row: Any) -> None:
    """Print a row of those that come one by one, as JSON or CSV; the first has the names above it.

    A row is an object a line, or a line of CSV.
    """
    values = as_values(row, shape.names)
    if form is Form.JSON:
        click.echo(as_json(values))
        return
    told = click.get_current_context().meta
    if _HEADED not in told:
        told[_HEADED] = True
        click.echo(as_csv([shape.names]))
    click.echo(as_csv([map(as_text, values.values())]))


def as_values(row: Any, names: Sequence[str]) -> dict[str, Any]:
    """Return the fields of a row, by name, as JSON has them."""
    read = row.__getitem__ if isinstance(row, dict) else lambda name: getattr(row, name)
    return {name: as_value(read(name)) for name in names}


def as_value(value: Any) -> Any:
    """Return a value as JSON has it."""
    match value:
        case Decimal():
            return f"{value:f}"
        case datetime():
            # a time without a zone has no meaning of its own, and is left as it is
            return (value.astimezone(UTC) if value.tzinfo else value).isoformat()
        case date():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case dict():
            return {str(name): as_value(one) for name, one in value.items()}
        case list() | tuple():
            return [as_value(one) for one in value]
        case None | bool() | int() | float() | str():
            return value
    return str(value)


def as_json(values: dict[str, Any]) -> str:
    """Write an object of JSON, in one line."""
    return json.dumps(values, ensure_ascii=False)


def as_text(value: Any) -> str:
    """Write a value of JSON as a field of CSV or of a plain line."""
    match value:
        case None:
            return ""
        case str():
            return value
        case bool() | dict() | list():
            return json.dumps(value, ensure_ascii=False)
    return str(value)


def as_csv(lines: Iterable[Iterable[str]]) -> str:
    """Write lines of CSV, without the end of the last one."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue().removesuffix("\n")


def _escaped(text: str) -> str:
    """Keep a value in its line and column: as COPY writes text."""
    for character, written in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r")):
        text = text.replace(character, written)
    return text
