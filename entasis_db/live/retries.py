"""Which errors pass by themselves, and how long to wait between attempts."""

import random
from collections.abc import Iterator

import psycopg
from psycopg import errors

from entasis_db.citus import lost_a_node

_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 5.0  # seconds between attempts

PASSING = (psycopg.OperationalError, psycopg.InterfaceError, errors.ReadOnlySqlTransaction)
"""What passes by itself: a lost connection, a server that starts, stops, fails over or is full, or
that rolled the transaction back in favour of another. Anything else would fail again."""


def passes(error: psycopg.Error) -> bool:
    """Say whether an error is in PASSING, or is that of a node of a cluster that went away."""
    return isinstance(error, PASSING) or lost_a_node(error)


def keeps_connection(error: psycopg.Error) -> bool:
    """Say whether the connection is as good as before the error.

    A deadlock or a serialization failure leaves a sound one. After anything else a new one is the
    safer choice: it may lead to a server that takes writes.
    """
    return isinstance(error, errors.SerializationFailure | errors.DeadlockDetected)


def pauses() -> Iterator[float]:
    """Yield the seconds to wait after each failed attempt in a row, longer each time."""
    pause = _FIRST_PAUSE
    while True:
        # at random, so that two writers that collided do not collide again
        yield random.uniform(pause / 2, pause)  # noqa: S311
        pause = min(pause * 2, _LONGEST_PAUSE)
