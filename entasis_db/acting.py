"""Acting for a user: whose positions a session reads and writes."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from uuid import UUID

import psycopg
from psycopg import errors

from entasis_db.cursors import AsyncCursor, Cursor
from entasis_db.errors import IdentityError

_ACT = "SELECT entasis.act_for(%s::pg_catalog.uuid)"
_RESTORE = "SELECT pg_catalog.set_config('entasis.user_id', %s::pg_catalog.text, true)"


@contextmanager
def acting_for(connection: psycopg.Connection[Any], user_id: UUID) -> Iterator[psycopg.Transaction]:
    """Act for a user within a transaction, or a savepoint inside the caller's.

        with acting_for(connection, user_id):
            positions = queries.portfolio(user_id).fetch(connection)

    However the block is left, the session then acts for whom it did before: for nobody, or for the
    user of the block around it. An exception rolls back what the block did, as
    ``connection.transaction()`` does.

    Raises IdentityError when the session cannot act for the user: its login is mapped to another
    user in entasis.user_logins, or is neither mapped nor a member of entasis_service.
    """
    # the caller's own factories of cursors and rows are for the caller's statements
    with (
        connection.transaction() as transaction,
        Cursor(connection) as cursor,
    ):
        try:
            former = cursor.execute(_ACT, [user_id]).fetchone()
        except errors.InsufficientPrivilege as error:
            raise _identity_error(error) from error
        yield transaction
        # rolling back takes the setting back; releasing a savepoint does not
        cursor.execute(_RESTORE, [_setting(former)])


@asynccontextmanager
async def acting_for_async(
    connection: psycopg.AsyncConnection[Any], user_id: UUID
) -> AsyncIterator[psycopg.AsyncTransaction]:
    """Do what :func:`acting_for` does, on an asynchronous connection."""
    async with (
        connection.transaction() as transaction,
        AsyncCursor(connection) as cursor,
    ):
        try:
            await cursor.execute(_ACT, [user_id])
            former = await cursor.fetchone()
        except errors.InsufficientPrivilege as error:
            raise _identity_error(error) from error
        yield transaction
        await cursor.execute(_RESTORE, [_setting(former)])


def _setting(former: tuple[Any, ...] | None) -> str:
    # a setting that was never made cannot be made NULL again; the empty one means the same
    return (former and former[0]) or ""


def _identity_error(error: psycopg.Error) -> IdentityError:
    hint = error.diag.message_hint
    return IdentityError(f"{error.diag.message_primary}{f' ({hint})' if hint else ''}")
