"""Writing trades from Arrow data in memory: tables, and data frames of Polars and pandas."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

from entasis_db.ingest.id_spaces import IdSpace, TimeUnits
from entasis_db.ingest.report import IngestReport
from entasis_db.ingest.retry import retrying
from entasis_db.ingest.write import write_batch

BATCH_ROWS = 50_000
"""Rows of one transaction."""


@dataclass(frozen=True)
class ArrowReport(IngestReport):
    """What became of the rows, and of their times."""

    truncated_nanoseconds: int = 0
    """Timestamps whose digits below the microsecond were cut off, never rounded up."""


def ingest_arrow(
    connection: psycopg.Connection[Any],
    trades: Any,
    *,
    source: str,
    id_space: IdSpace,
    time_unit: TimeUnits | None = None,
    symbol: str | None = None,
    exchange: str | None = None,
    decimals: int | None = None,
    batch_rows: int = BATCH_ROWS,
    progress: Callable[[ArrowReport], None] = lambda _: None,
) -> ArrowReport:
    """Write trades in batches, each a transaction of its own, or all inside the caller's.

    ``trades`` is a pyarrow Table, RecordBatch or RecordBatchReader, or whatever has
    ``__arrow_c_stream__``: a data frame of Polars, or of pandas from 2.2 on. Its columns are id,
    symbol, exchange, timestamp, price, volume and optionally side, source_id and excluded, in any
    order; others are ignored. An id may be text where ``id_space`` is ``digest``: it is digested,
    and kept as source_id. ``symbol`` and ``exchange`` stand for columns that are missing.
    ``source`` and ``id_space`` are as for ingest_trades, and so is ``time_unit``: by default it is
    that of the column's type; lines in quarantine count rows from 1.

    Timestamps must have a time zone; digits below the microsecond are cut off. Price and volume are
    decimals or integers. Floats are not exact and are refused, unless ``decimals`` says how many
    decimals they were written with: then each is taken for the decimal of so many places that reads
    back as the same float, and refused where there is none. A row with a null in another column
    than these three goes to quarantine.

    It needs the extra ``entasis-db[arrow]``. Raises LoadError for columns that are missing or of a
    type that is not exact, before anything is written; IdSpaceError and psycopg's errors as
    ingest_trades does.
    """
    from entasis_db.ingest.arrow_batch import ArrowBatch, check_text_ids
    from entasis_db.readers.arrow import ArrowReader

    if batch_rows < 1:
        raise ValueError(f"batch_rows is {batch_rows}: give 1 or more")
    reader = ArrowReader(trades, source=source, symbol=symbol, exchange=exchange, decimals=decimals)
    check_text_ids(reader, id_space)
    total = ArrowReport()
    for table in reader.tables(batch_rows):
        step = partial(
            write_batch,
            connection,
            ArrowBatch(table, reader.time_unit),
            source,
            id_space,
            time_unit,
        )
        own = connection.info.transaction_status == TransactionStatus.IDLE
        report = total + (retrying(step) if own else step())
        total = ArrowReport(
            **asdict(report) | {"truncated_nanoseconds": reader.truncated_nanoseconds}
        )
        progress(total)
    return total
