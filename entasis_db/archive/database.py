"""Asking the database: for rows, while something else is done, and by COPY."""

from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg import generators, sql
from psycopg.abc import PQGen
from psycopg.pq import ConnStatus, ExecStatus
from psycopg.pq.abc import PGresult
from psycopg.waiting import Wait

from entasis_db.cursors import execute

_PAUSE = 0.1  # s


@contextmanager
def meanwhile(connection: psycopg.Connection[Any], query: str, *values: object) -> Iterator[None]:
    """Run a query while the block runs, which leaves the connection alone; raise what it raises."""
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(execute, connection, query, *values)
        try:
            yield
        except BaseException:
            # again, as it may not have begun yet
            while not answer.done():
                with suppress(psycopg.Error):
                    connection.cancel_safe()
                wait([answer], _PAUSE)
            raise
        answer.result()


def copied(
    connection: psycopg.Connection[Any], query: sql.Composed, rows: int
) -> Generator[bytearray, None, None]:
    """Yield what COPY TO STDOUT sends, so many rows at a time.

    Nothing else may be asked of the connection before the end. psycopg's own Copy makes an object
    of each row, which takes twice as long as to receive it.
    """
    pgconn = connection.pgconn
    pgconn.send_query(query.as_bytes(connection))
    _expect(connection, connection.wait(generators.execute(pgconn)), ExecStatus.COPY_OUT)
    ended = False
    try:
        while not ended:
            block, ended = connection.wait(_block(connection, rows))
            if block:
                yield block
    finally:
        if not ended and pgconn.status == ConnStatus.OK:
            with suppress(psycopg.Error):
                connection.cancel_safe()
                while not ended:
                    _, ended = connection.wait(_block(connection, rows))
                connection.wait(generators.fetch_many(pgconn))
    _expect(connection, connection.wait(generators.fetch_many(pgconn)), ExecStatus.COMMAND_OK)


def _block(connection: psycopg.Connection[Any], rows: int) -> PQGen[tuple[bytearray, bool]]:
    """Receive so many rows, or as many as there are; say whether these were the last."""
    pgconn = connection.pgconn
    block = bytearray()
    while rows:
        size, row = pgconn.get_copy_data(1)
        if size > 0:
            block += row
            rows -= 1
        elif size < 0:
            return block, True
        else:
            while not (yield Wait.R):
                pass
            pgconn.consume_input()
    return block, False


def _expect(
    connection: psycopg.Connection[Any], results: Sequence[PGresult], status: ExecStatus
) -> None:
    for result in results:
        if result.status != status:
            raise psycopg.errors.error_from_result(result, connection.info.encoding)
