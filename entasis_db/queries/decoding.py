"""How rows are made of what the server sends: of the query's class, with times in UTC.

Rows are decoded once, by psycopg's own loaders (in C where it has them), and made by position. Of
its two formats the text is decoded in three quarters of the time: binary numbers become a Decimal
by arithmetic, text by Decimal itself. Binary is for sessions whose DateStyle or IntervalStyle the
loaders of text do not read. See docs/decisions/0023.
"""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import psycopg
from psycopg.abc import AdaptContext
from psycopg.adapt import AdaptersMap, Loader
from psycopg.rows import BaseRowFactory
from psycopg.types.datetime import TimestamptzBinaryLoader, TimestamptzLoader
from psycopg.types.numeric import NumericBinaryLoader, NumericLoader

Row = TypeVar("Row")


def register_loaders(adapters: AdaptersMap) -> None:
    """Have a cursor load times in UTC and numbers as Decimal, whatever its connection does."""
    for loader in _UTC:
        adapters.register_loader("timestamptz", loader)
    for exact in (NumericLoader, NumericBinaryLoader):
        adapters.register_loader("numeric", exact)


def rows_of(kind: type[Row]) -> BaseRowFactory[Row]:
    """Return psycopg's row factory of a named tuple whose fields are the columns, in their order.

    It does what ``_make`` does, without a call of Python's. Nothing is checked: the database did.
    """
    make: Any = partial(tuple.__new__, kind)
    return lambda _: make


@contextmanager
def collector_paused() -> Iterator[None]:
    """Keep the garbage collector from looking through rows while they are made.

    From Python 3.12 on it never runs within such a loop. Before, it runs all the time, and every
    so often looks through all the objects of the process; rows are in no cycle.
    """
    if sys.version_info >= (3, 12) or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _in_utc(loader: type[Loader]) -> type[Loader]:
    """Make psycopg's loader of timestamptz one that gives times in UTC.

    Its own gives them in the session's zone. Python takes two equal times of different zones for
    unequal in the hour that a zone's clock goes through twice, so candles of that hour would be
    found in no dictionary and equal nothing. Without a connection, the loader's zone is UTC.
    """
    adapters = AdaptersMap(types=psycopg.adapters.types)
    adapters.register_loader("timestamptz", loader)  # which is where psycopg takes the one in C
    number = psycopg.adapters.types["timestamptz"].oid
    own: Any = adapters.get_loader(number, loader.format)

    class InUtc(Loader):
        format = loader.format

        def __new__(cls, oid: int, context: AdaptContext | None = None) -> Any:  # noqa: ARG004
            return own(oid, None)

    return InUtc


_UTC = [_in_utc(loader) for loader in (TimestamptzLoader, TimestamptzBinaryLoader)]
