"""Anything as JSON that PostgreSQL can hold."""

import json
from collections.abc import Mapping

_MAX_DEPTH = 20
_MAX_CHARACTERS = 10_000
_INT64 = 2**63


def jsonable(value: object) -> object:
    """Return a value as JSON can hold it, with numbers that are no 64-bit integers as text.

    What is longer than 10,000 characters as JSON becomes an object with its beginning and its
    length. NUL characters and halves of surrogate pairs, which PostgreSQL refuses, are written as
    escapes.
    """
    plain = _plain(value, 0)
    written = json.dumps(plain, ensure_ascii=False)
    if len(written) <= _MAX_CHARACTERS:
        return plain
    return {"beginning": written[:_MAX_CHARACTERS], "characters": len(written)}


def storable(text: str) -> str:
    """Return text without what PostgreSQL refuses."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\0")


def shown(value: object) -> str:
    """Return an object as text, whatever its own way to become text raises."""
    try:
        return storable(str(value))
    except Exception as error:  # noqa: BLE001 - an object of a feed may do anything
        return f"({type(value).__name__} that cannot be shown: {type(error).__name__})"


def _plain(value: object, depth: int) -> object:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        # of huge ones, Python refuses to write the decimal digits
        return value if -_INT64 <= value < _INT64 else hex(value)
    if depth >= _MAX_DEPTH:
        return "..."
    if isinstance(value, Mapping):
        return {shown(key): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, depth + 1) for item in value]
    return shown(value)
