"""Asking the database: for rows, while something else is done, and by COPY."""

from collections.abc import Generator, Iterable, Iterator, Sequence
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
    connection: psycopg.Connection[Any], queries: Iterable[sql.Composed], rows: int
) -> Generator[bytearray, None, None]:
    """Yield what one COPY TO STDOUT after the other sends, so many rows at a time.

    Nothing else may be asked of the connection before the end. psycopg's own Copy makes an object
    of each row, which takes twice as long as to receive it.
    """
    pgconn = connection.pgconn
    block, missing = bytearray(), rows
    for query in queries:
        pgconn.send_query(query.as_bytes(connection))
        _expect(connection, connection.wait(generators.execute(pgconn)), ExecStatus.COPY_OUT)
        ended = False
        try:
            while not ended:
                missing, ended = connection.wait(_receive(connection, block, missing))
                if not missing:
                    yield block
                    block, missing = bytearray(), rows
        finally:
            if not ended and pgconn.status == ConnStatus.OK:
                with suppress(psycopg.Error):
                    connection.cancel_safe()
                    while not ended:
                        _, ended = connection.wait(_receive(connection, bytearray(), rows))
                    connection.wait(generators.fetch_many(pgconn))
        _expect(connection, connection.wait(generators.fetch_many(pgconn)), ExecStatus.COMMAND_OK)
    if block:
        yield block


def _receive(
    connection: psycopg.Connection[Any], block: bytearray, rows: int
) -> PQGen[tuple[int, bool]]:
    """Receive so many rows, or as many as there are; say how many lack, and whether it was all."""
    pgconn = connection.pgconn
    while rows:
        size, row = pgconn.get_copy_data(1)
        if size > 0:
            block += row
            rows -= 1
        elif size < 0:
            return rows, True
        else:
            while not (yield Wait.R):
                pass
            pgconn.consume_input()
    return rows, False


def _expect(
    connection: psycopg.Connection[Any], results: Sequence[PGresult], status: ExecStatus
) -> None:
    for result in results:
        if result.status != status:
            raise psycopg.errors.error_from_result(result, connection.info.encoding)
