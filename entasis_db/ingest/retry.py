"""Repeating a transaction that lost to another one."""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from psycopg import errors

T = TypeVar("T")


def retrying(step: Callable[[], T], *, attempts: int = 10) -> T:
    """Run a transaction again for as long as it loses to others: on 40001 and 40P01.

    ``step`` is one whole transaction. The last failure is raised as it is.
    """
    for attempt in range(1, attempts):
        try:
            return step()
        except (errors.SerializationFailure, errors.DeadlockDetected):
            # at random, so that two who met do not meet again
            time.sleep(random.uniform(0, 0.02 * 2**attempt))  # noqa: S311
    return step()
