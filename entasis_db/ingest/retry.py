"""Repeating a transaction that lost to another one."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import psycopg
from psycopg import errors

from entasis_db.citus import lost_a_node

T = TypeVar("T")


def retrying(step: Callable[[], T], *, attempts: int = 10) -> T:
    """Run a transaction again for as long as it loses to others: on 40001 and 40P01.

    On engine citus also while a node that it needs is away.

    ``step`` is one whole transaction. The last failure is raised as it is.
    """
    for attempt in range(1, attempts):
        try:
            return step()
        except psycopg.Error as error:
            if not _passes(error):
                raise
            time.sleep(_pause(attempt))
    return step()


async def retrying_async(step: Callable[[], Awaitable[T]], *, attempts: int = 10) -> T:
    """Do what :func:`retrying` does, with a step that is awaited."""
    for attempt in range(1, attempts):
        try:
            return await step()
        except psycopg.Error as error:
            if not _passes(error):
                raise
            await asyncio.sleep(_pause(attempt))
    return await step()


def _passes(error: psycopg.Error) -> bool:
    lost_to_another = (errors.SerializationFailure, errors.DeadlockDetected)
    return isinstance(error, lost_to_another) or lost_a_node(error)


def _pause(attempt: int) -> float:
    # at random, so that two who met do not meet again
    return random.uniform(0, 0.02 * 2**attempt)  # noqa: S311
