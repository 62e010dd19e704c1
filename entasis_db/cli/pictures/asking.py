"""Arguments of named queries and of analysis, read from KEY=VALUE by the functions' annotations."""

import inspect
import re
from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta, tzinfo
from decimal import Decimal, InvalidOperation
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints
from uuid import UUID
from zoneinfo import ZoneInfo

from entasis_db import analysis, queries
from entasis_db.charts import ChartError
from entasis_db.cli import arguments
from entasis_db.queries import Statement

_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_SPAN = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_UNITS = {
    "ms": "milliseconds",
    "s": "seconds",
    "m": "minutes",
    "h": "hours",
    "d": "days",
    "w": "weeks",
}
_BOOLEANS = {"true": True, "yes": True, "false": False, "no": False}


def known() -> dict[str, Callable[..., Statement[Any]]]:
    """Return every query, by its name."""
    return {
        name: value
        for module in (queries, analysis)
        for name in module.__all__
        if inspect.isfunction(value := getattr(module, name))
    }


def ask(name: str, given: Sequence[str]) -> Statement[Any]:
    """Make the statement of a query from KEY=VALUE.

    Raises ChartError for what the query does not take, and what the query itself raises.
    """
    query = known()[name]
    hints = get_type_hints(query)
    wanted = inspect.signature(query).parameters
    values: dict[str, Any] = {}
    for each in given:
        key, equals, text = each.partition("=")
        if not equals or key not in wanted:
            raise ChartError(f"{each!r} is no argument of {name}: {usage(name)}")
        try:
            values[key] = _read(text, hints[key])
        except (ValueError, InvalidOperation, OverflowError, KeyError) as error:
            raise ChartError(f"{each!r} cannot be read: {_why(error)}") from error
    missing = [
        key
        for key, parameter in wanted.items()
        if parameter.default is inspect.Parameter.empty and key not in values
    ]
    if missing:
        raise ChartError(f"{name} lacks {', '.join(missing)}: {usage(name)}")
    return query(**values)


def _why(error: Exception) -> str:
    if isinstance(error, InvalidOperation):
        return "that is no number"
    return "it is yes or no" if isinstance(error, KeyError) else str(error)


def usage(name: str) -> str:
    """Say what a query takes."""
    return " ".join(
        f"{key}=…" if parameter.default is inspect.Parameter.empty else f"[{key}=…]"
        for key, parameter in inspect.signature(known()[name]).parameters.items()
    )


def _read(text: str, wanted: Any) -> Any:
    origin = get_origin(wanted)
    if origin in (Union, UnionType):
        kinds = [kind for kind in get_args(wanted) if kind is not type(None)]
        return _read(text, Decimal if Decimal in kinds else kinds[0])
    if origin is Literal:
        if text not in get_args(wanted):
            raise ValueError(f"it is one of {', '.join(get_args(wanted))}")
        return text
    if origin is not None and issubclass(origin, Sequence):
        (kind,) = get_args(wanted)[:1]
        return [_read(part, kind) for part in text.split(",")]
    return _READERS[wanted](text)


def _moment(text: str) -> datetime:
    try:
        return arguments.read_moment(text)
    except ValueError:
        raise ValueError(f"a time is written {arguments.TIMES}") from None


def _span(text: str) -> timedelta:
    if not (found := _SPAN.fullmatch(text)):
        raise ValueError("a span is written 90s, 5m, 1h, 7d")
    return timedelta(**{_UNITS[found[2]]: float(found[1])})


def _day(text: str) -> date:
    return date.fromisoformat(text) if _DATE.fullmatch(text) else _moment(text)


def _number(text: str) -> Decimal:
    found = Decimal(text)
    if not found.is_finite():
        raise ValueError("that is no number")
    return found


_READERS: dict[Any, Callable[[str], Any]] = {
    str: str,
    int: int,
    bool: lambda text: _BOOLEANS[text.lower()],
    Decimal: _number,
    datetime: _moment,
    date: _day,
    time: time.fromisoformat,
    timedelta: _span,
    tzinfo: ZoneInfo,
    UUID: UUID,
}
