"""Where the client's time of a batch goes: ingest_trades() with a clock between its steps."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from time import perf_counter
from typing import Any

import psycopg

from bench import data
from bench.loaders import SOURCE, Connection
from entasis_db.cursors import Cursor
from entasis_db.ingest import IngestReport, steps
from entasis_db.ingest.batch import RowBatch
from entasis_db.ingest.id_spaces import RECORD_MARKETS, STAGE_UNITS
from entasis_db.ingest.steps import KEEP_FROM, Copy, Step
from entasis_db.ingest.stored import is_what_comes
from entasis_db.ingest.targets import TRADES
from entasis_db.model import Trade

BUILDING = "client: building rows"
SORTING = "client: sorting, markets, ids"
ENCODING = "client: encoding COPY text"
BETWEEN = "client: between statements"
TRANSACTION = "waiting: BEGIN and SAVEPOINT"
IDS = "waiting: ids check, record_markets()"
SENDING = "waiting: sending text"
COPYING = "waiting: end of COPY"
COMPARING = "waiting: what is stored of it?"
KEEP = "waiting: keep period"
STAGING = "waiting: staging table, its units"
INSERTING = "waiting: insert_staged_trades()"
COMMIT = "waiting: commit"
PARTS = (
    *(BUILDING, SORTING, ENCODING, BETWEEN, TRANSACTION),
    *(IDS, SENDING, COPYING, COMPARING, KEEP, STAGING, INSERTING, COMMIT),
)
"""In the order of the report; together they are the whole batch."""

_STATEMENTS = (
    (RECORD_MARKETS, IDS),
    (KEEP_FROM, KEEP),
    (TRADES.stage, STAGING),
    (STAGE_UNITS, STAGING),
    (TRADES.insert_staged, INSERTING),
)
Texts = Sequence[tuple[str, ...]]
"""Trades as a feed's texts."""


def texts(batch: Iterable[Trade]) -> Texts:
    """Return what a batch is built from."""
    return [
        tuple(str(getattr(trade, name)) for name in data.COLUMNS.split(", ")) for trade in batch
    ]


class Laps:
    """The seconds of one batch, by part."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._last = perf_counter()

    def lap(self, part: str) -> None:
        """Say what the time since the last lap was."""
        now = perf_counter()
        self.seconds[part] += now - self._last
        self._last = now

    @property
    def whole(self) -> float:
        """The seconds of all parts."""
        return sum(self.seconds.values())


def write(connection: Connection, given: Texts) -> tuple[IngestReport, Laps]:
    """Do what ingest_trades() does with a batch; its rows are built first."""
    laps = Laps()
    trades = [_trade(*fields) for fields in given]
    laps.lap(BUILDING)
    writing = steps.write(RowBatch(TRADES, trades), SOURCE, data.ID_SPACE, None)
    report: IngestReport | None = None
    with connection.transaction(), Cursor(connection) as cursor:
        laps.lap(TRANSACTION)
        try:
            step = next(writing)
            laps.lap(SORTING)
            while True:
                try:
                    reply = _do(connection, cursor, step, laps)
                except Exception as error:  # noqa: BLE001 - the steps decide
                    step = writing.throw(error)
                else:
                    step = writing.send(reply)
                laps.lap(BETWEEN)
        except StopIteration as done:
            report = done.value
            laps.lap(BETWEEN)
    laps.lap(COMMIT)
    assert report is not None
    return report, laps


def _trade(number: str, symbol: str, exchange: str, moment: str, *rest: Any) -> Trade:
    price, volume, side = rest
    return Trade(
        *(int(number), symbol, exchange, datetime.fromisoformat(moment)),
        *(Decimal(price), Decimal(volume), side),
    )


def _do(connection: Connection, cursor: psycopg.Cursor[Any], step: Step, laps: Laps) -> Any:
    match step:
        case Copy(statement, text, in_savepoint=True):
            with connection.transaction():
                laps.lap(TRANSACTION)
                copied = _do(connection, cursor, Copy(statement, text), laps)
            laps.lap(TRANSACTION)
            return copied
        case Copy(statement, text):
            with cursor.copy(statement) as copy:
                laps.lap(SENDING)
                for piece in _encoded(text, laps):
                    copy.write(piece)
                    laps.lap(SENDING)
            laps.lap(COPYING)
            return cursor.rowcount
        case steps.Compare(statement, parameters, text):
            with cursor.copy(statement, parameters) as comes:
                same = connection.wait(is_what_comes(comes, _encoded(text, laps)))
            laps.lap(COMPARING)
            return same
        case steps.Unstage():
            return None  # the connection is direct
        case steps.Query(statement, parameters) | steps.Execute(statement, parameters):
            cursor.execute(statement, parameters)
    found = cursor.fetchall() if isinstance(step, steps.Query) else cursor
    laps.lap(next((part for known, part in _STATEMENTS if known is step.statement), BETWEEN))
    return found


def _encoded(text: Iterable[Any], laps: Laps) -> Iterator[Any]:
    for piece in text:
        laps.lap(ENCODING)
        yield piece
    laps.lap(ENCODING)
