"""How a batch is written, without saying how statements travel.

It is a generator: it yields what is to be done (run a statement, send text) and is sent what came
of it. So the synchronous and the asynchronous functions are the same but for who does it.
"""

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg import errors, sql

from entasis_db.ingest.batch import Batch, DoubtfulRowError
from entasis_db.ingest.id_spaces import (
    RECORD_MARKETS,
    STAGE_UNITS,
    IdSpace,
    Market,
    MarketBatch,
    TimeUnits,
    check_id_spaces,
    record_markets_parameters,
)
from entasis_db.ingest.numbers import HAS_NUMBERED, has_numbered_parameters
from entasis_db.ingest.quarantine import QUARANTINE, Refusal, quarantine_parameters
from entasis_db.ingest.report import IngestReport
from entasis_db.ingest.stored import STORED_TRADES, stored_trades_parameters

# in microseconds, because psycopg cannot read times in every DateStyle that a caller may have
KEEP_FROM = sql.SQL(
    """
    SELECT (extract(epoch FROM entasis.keep_from(k.keep)) OPERATOR(pg_catalog.*) 1000000)::bigint
    FROM entasis.keep_periods AS k WHERE k.relation OPERATOR(pg_catalog.=) %s
    """
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Query:
    """Run a statement; answer its rows."""

    statement: sql.SQL
    parameters: Sequence[object] | Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Execute:
    """Run a statement that has no rows to answer."""

    statement: sql.SQL
    parameters: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class StagesAll:
    """Answer whether the database takes rows of this kind through staging alone."""


@dataclass(frozen=True, slots=True)
class Unstage:
    """Drop a staging table behind a pooler, which may hand the session to another client."""

    statement: sql.SQL


@dataclass(frozen=True, slots=True)
class Copy:
    """Send text to a COPY; answer how many rows it wrote."""

    statement: sql.SQL
    text: Iterable[str | memoryview]
    in_savepoint: bool = False
    """Whether it may fail: then it is undone alone, and its error thrown in."""


@dataclass(frozen=True, slots=True)
class Compare:
    """Read what a COPY sends; answer whether it is this text.

    The server need not be at an end with it when the first of the text is written.
    """

    statement: sql.SQL
    parameters: Mapping[str, object]
    text: Iterable[str | memoryview]


Step = Query | Execute | StagesAll | Unstage | Copy | Compare
Steps = Generator[Step, Any, IngestReport]


def write(
    batch: Batch, source: str, id_space: IdSpace | None, time_unit: TimeUnits | None
) -> Steps:
    """Write a batch inside the running transaction, and answer its report.

    A batch that the client finds clean goes by COPY straight into its table. When something in it
    looks wrong, or the server objects, it goes through a staging table, where SQL judges row by
    row. So does a batch that may repeat ids which are stored at other times, and one of quotes
    without a number that may be stored under another than 0. Trades have an ``id_space``, option
    quotes none.
    """
    target = batch.target
    report = IngestReport(quarantined=len(batch.refusals)) + batch.prepared
    if batch.refusals:
        yield Execute(QUARANTINE, quarantine_parameters(target.relation, batch.refusals, source))
    if not len(batch):
        return report
    markets: Mapping[Market, MarketBatch] = {}
    doubtful, repeated, parameters = False, False, None
    if id_space is not None:
        if time_unit is None:
            time_unit = getattr(id_space, "time_units", batch.time_unit)
        markets = batch.markets()
        parameters = record_markets_parameters(markets, id_space, source, time_unit)
        recorded = yield Query(RECORD_MARKETS, parameters)
        answer = check_id_spaces(recorded, source, batch.line_of)
        doubtful, repeated = answer is not False, answer is True
    else:
        doubtful = (yield StagesAll()) or (yield from _meets_numbers(batch))
    if not doubtful:
        try:
            # rows are checked while the server is busy with what was sent before
            inserted = yield Copy(target.copy, batch.clean_text(), in_savepoint=True)
        except (DoubtfulRowError, errors.IntegrityError, errors.DataError) as error:
            # the staging table makes missing months, and finds out which row it was
            repeated = isinstance(error, errors.UniqueViolation)
        else:
            past_keep = yield from _count_past_keep(batch)
            return report + IngestReport(inserted, past_keep=past_keep)
    if repeated and parameters and (yield from _is_stored(batch, markets, parameters)):
        past_keep = yield from _count_past_keep(batch)
        return report + IngestReport(already_there=len(batch), past_keep=past_keep)
    return report + (yield from _stage(batch, source, parameters))


def _stage(batch: Batch, source: str, units: Mapping[str, object] | None) -> Steps:
    """Let SQL judge the rows of a batch, one by one."""
    target = batch.target
    refusals: list[Refusal] = []
    yield Query(target.stage)
    # written while the server is busy with what was sent before, as above
    yield Copy(target.copy_staged, batch.staged_text(refusals))
    if refusals:
        yield Execute(QUARANTINE, quarantine_parameters(target.relation, refusals, source))
    if units is not None:
        yield Execute(STAGE_UNITS, units)
    (counts,) = yield Query(target.insert_staged, [source])
    yield Unstage(target.unstage)
    return IngestReport(quarantined=len(refusals)) + IngestReport(*counts)


def _count_past_keep(batch: Batch) -> Generator[Step, Any, int]:
    ((keep_from,),) = yield Query(KEEP_FROM, [batch.target.relation])
    if keep_from is None:
        return 0
    return batch.count_before(_EPOCH + timedelta(microseconds=keep_from))


def _is_stored(
    batch: Batch, markets: Mapping[Market, MarketBatch], recorded: Mapping[str, object]
) -> Generator[Step, Any, bool]:
    """Say whether all that a batch of trades states is stored, to the letter.

    That is nearly always so when a load is repeated, and takes half as long to find out as by
    staging, which finds out everything else.
    """
    parameters = stored_trades_parameters(markets, recorded)
    if parameters is None:
        return False
    same = yield Compare(STORED_TRADES, parameters, batch.stored_text())
    return bool(same)


def _meets_numbers(batch: Batch) -> Generator[Step, Any, bool]:
    """Say whether quotes without a number may be stored under one that COPY does not meet.

    The clean way stores them as number 0, and a stored 0 makes COPY fail.
    """
    unnumbered = batch.unnumbered()
    if not unnumbered:
        return unnumbered is None
    ((found,),) = yield Query(HAS_NUMBERED, has_numbered_parameters(unnumbered))
    return bool(found)
