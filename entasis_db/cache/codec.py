"""Rows as text and back, exactly: JSON of strings, so that no number passes through a float."""

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from functools import cache
from operator import attrgetter
from typing import Any, get_args, get_type_hints

_Convert = Callable[[Any], Any]


@cache
def _fields(kind: type) -> list[tuple[str, _Convert | None, _Convert | None]]:
    """Return a class's fields in their order, with what writes and what reads a value.

    None: JSON holds the value as it is.
    """
    fields: list[tuple[str, _Convert | None, _Convert | None]] = []
    for name, hint in get_type_hints(kind).items():
        types = {hint, *get_args(hint)}
        if Decimal in types:
            fields.append((name, str, Decimal))
        elif datetime in types:
            fields.append((name, datetime.isoformat, datetime.fromisoformat))
        else:
            fields.append((name, None, None))
    return fields


def _converted(values: Iterable[Any], convert: _Convert | None) -> list[Any]:
    if convert is None:
        return list(values)
    return [None if value is None else convert(value) for value in values]


def encode(rows: Sequence[Any], kind: type) -> bytes:
    """Write rows of one class, column by column."""
    columns = [
        _converted(map(attrgetter(name), rows), to_text) for name, to_text, _ in _fields(kind)
    ]
    return json.dumps(columns, separators=(",", ":")).encode()


def decode(data: bytes, kind: type) -> tuple[Any, ...]:
    """Read what ``encode`` wrote: rows equal to those, in their order.

    Raises ValueError, TypeError, ArithmeticError or RecursionError for anything else.
    """
    # decoded first, so that JSON's encoding need not be guessed
    columns = json.loads(data.decode())
    if not isinstance(columns, list):
        raise TypeError("a value in Redis is no list of columns")
    values = []
    for column, (_, _, to_value) in zip(columns, _fields(kind), strict=True):
        if not isinstance(column, list) or len(column) != len(columns[0]):
            raise ValueError("a value in Redis has no columns, or such of different lengths")
        values.append(_converted(column, to_value))
    return tuple(map(kind, *values))
