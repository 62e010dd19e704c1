"""Writing trades and option quotes in batches, so that nothing is lost and nothing is held up.

A batch is looked over on the client and goes by COPY straight into its table, inside a savepoint.
When something in it looks wrong, or the server objects, the batch takes the slow way: through a
staging table, where SQL judges row by row, and quarantine takes what cannot be stored, with its
reason. So rules and reasons stand in one place, the database, and clean batches are not slowed.
"""

import random
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from itertools import count
from operator import itemgetter
from typing import Any, Generic, TypeVar

import psycopg
from psycopg import errors, sql
from psycopg.copy import AsyncLibpqWriter, LibpqWriter
from psycopg.rows import tuple_row
from psycopg.types.json import Jsonb

from entasis_db.errors import IdSpaceError
from entasis_db.model import OptionQuote, Trade

IdSpace = str | Mapping[tuple[str, str], str]
"""How trades are numbered: one name for all markets, or one for each (symbol, exchange)."""

_ZERO = Decimal(0)
PRICE_LIMIT = Decimal("1e12")
_GREEK_LIMIT = Decimal("1e12")
_IV_LIMIT = Decimal("1e6")
_PRICE_DECIMALS = 12
_GREEK_DECIMALS = 18
NAME_LENGTH = 20
_FIRST_MOMENT = datetime(2009, 1, 1, tzinfo=UTC)
_CLOCK_SKEW = timedelta(minutes=5)
_INT64 = 2**63
_SURROGATE = re.compile("[\ud800-\udfff]")
# PostgreSQL's NUMERIC ends far beyond; a number like this is no price, and text of it is long
_ABSURD_EXPONENT = 1000
_CHUNK = 2000


@dataclass(frozen=True)
class IngestReport:
    """What became of the rows of one or more batches; the three add up to what was given."""

    inserted: int = 0
    already_there: int = 0
    """Rows that were stored before, with the same values: repeating a load changes nothing."""
    quarantined: int = 0
    """Rows in entasis.quarantine, with their reasons; those of an earlier load count again."""

    def __add__(self, other: "IngestReport") -> "IngestReport":
        """Return the sum of two reports."""
        return IngestReport(
            self.inserted + other.inserted,
            self.already_there + other.already_there,
            self.quarantined + other.quarantined,
        )


@dataclass(frozen=True)
class Refusal:
    """A row that did not even get as far as the staging table."""

    line: int
    code: str
    reason: str
    payload: object
    """Anything that JSON can hold: the raw line, or the row's fields as text."""


def ingest_trades(
    connection: psycopg.Connection[Any],
    trades: Sequence[Trade],
    *,
    source: str,
    id_space: IdSpace,
    lines: Sequence[int] | None = None,
) -> IngestReport:
    """Write one batch of trades in one transaction, or inside the caller's.

    ``source`` names the file or feed, ``lines`` the line of each trade in it (by default its
    position in the batch, from 1): both stand in quarantine beside what is refused. ``id_space``
    says how the trades are numbered, as entasis.markets records it.

    Missing months are made. A repeated trade changes nothing; one that is stored with another
    price or volume goes to quarantine, as does whatever the table cannot hold.

    Raises IdSpaceError, before anything is written, when a market is on record with another id
    space. Raises psycopg's SerializationFailure and DeadlockDetected, after which the caller
    repeats the transaction: outside a transaction of the caller's, :func:`retrying` does it.
    """
    return _ingest(connection, _TRADES, trades, source, lines, id_space)


def ingest_options(
    connection: psycopg.Connection[Any],
    quotes: Sequence[OptionQuote],
    *,
    source: str,
    lines: Sequence[int] | None = None,
) -> IngestReport:
    """Write one batch of option quotes, as :func:`ingest_trades` does with trades."""
    return _ingest(connection, _OPTIONS, quotes, source, lines, None)


async def ingest_trades_async(
    connection: psycopg.AsyncConnection[Any],
    trades: Sequence[Trade],
    *,
    source: str,
    id_space: IdSpace,
    lines: Sequence[int] | None = None,
) -> IngestReport:
    """Do what :func:`ingest_trades` does, on an asynchronous connection."""
    return await _ingest_async(connection, _TRADES, trades, source, lines, id_space)


async def ingest_options_async(
    connection: psycopg.AsyncConnection[Any],
    quotes: Sequence[OptionQuote],
    *,
    source: str,
    lines: Sequence[int] | None = None,
) -> IngestReport:
    """Do what :func:`ingest_options` does, on an asynchronous connection."""
    return await _ingest_async(connection, _OPTIONS, quotes, source, lines, None)


def quarantine(
    connection: psycopg.Connection[Any],
    relation: str,
    refusals: Iterable[Refusal],
    *,
    source: str,
) -> int:
    """Put rows that could not be read into quarantine, each once; return how many were given."""
    rows = _quarantine_rows(relation, refusals, source)
    if rows:
        with connection.cursor() as cursor:
            cursor.executemany(_QUARANTINE, rows)
    return len(rows)


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


R = TypeVar("R", Trade, OptionQuote)


@dataclass(frozen=True)
class _Target(Generic[R]):
    """How rows of one kind get into their relation."""

    relation: str
    copy: sql.SQL
    stage: sql.SQL
    copy_staged: sql.SQL
    absorb: sql.SQL
    key: Callable[[R], Any]
    writer: Callable[[], Callable[[R], str | None]]
    """Makes what writes a row for COPY if the table will surely take it; None for any other."""


class _CloserLook(Exception):  # noqa: N818 - a turn in the road, not an error
    """A row may not be what the table takes; SQL shall judge it."""


class _Writer(LibpqWriter):
    """Ends a COPY that is given up in silence: what the server had against it is of no interest.

    psycopg would log it as a warning, the row with it, although the row is about to be judged.
    """

    def finish(self, exc: BaseException | None = None) -> None:
        try:
            super().finish(exc)
        except psycopg.Error:
            if exc is None:
                raise


class _AsyncWriter(AsyncLibpqWriter):
    """Does what _Writer does."""

    async def finish(self, exc: BaseException | None = None) -> None:
        try:
            await super().finish(exc)
        except psycopg.Error:
            if exc is None:
                raise


# ------------------------------------------------------------------ the two ways of a batch


def _ingest(
    connection: psycopg.Connection[Any],
    target: _Target[R],
    rows: Sequence[R],
    source: str,
    lines: Sequence[int] | None,
    id_space: IdSpace | None,
) -> IngestReport:
    _check_lines(rows, lines)
    if not rows:
        return IngestReport()
    # the caller's own factories of cursors and rows are for the caller's statements
    with connection.transaction(), psycopg.Cursor(connection, row_factory=tuple_row) as cursor:
        if id_space is not None:
            record_id_spaces(cursor, rows, id_space, source, lines)
        try:
            with connection.transaction():
                with cursor.copy(target.copy, writer=_Writer(cursor)) as copy:
                    # checked while the server is busy with what was sent before
                    for chunk in _clean_text(target, _in_key_order(target, rows)):
                        copy.write(chunk)
                return IngestReport(inserted=cursor.rowcount)
        except (_CloserLook, errors.IntegrityError, errors.DataError):
            pass  # the slow way finds out which row it was
        staged, refusals = _staging_text(target, rows, lines)
        if refusals:
            cursor.executemany(_QUARANTINE, _quarantine_rows(target.relation, refusals, source))
        cursor.execute(target.stage)
        with cursor.copy(target.copy_staged) as copy:
            for chunk in staged:
                copy.write(chunk)
        cursor.execute(target.absorb, [source])
        counts = cursor.fetchone()
    return _report(counts, refusals)


async def _ingest_async(
    connection: psycopg.AsyncConnection[Any],
    target: _Target[R],
    rows: Sequence[R],
    source: str,
    lines: Sequence[int] | None,
    id_space: IdSpace | None,
) -> IngestReport:
    _check_lines(rows, lines)
    if not rows:
        return IngestReport()
    async with (
        connection.transaction(),
        psycopg.AsyncCursor(connection, row_factory=tuple_row) as cursor,
    ):
        if id_space is not None:
            await cursor.execute(_RECORD_ID_SPACES, _id_space_parameters(rows, id_space, source))
            _check_id_spaces(await cursor.fetchall(), rows, lines, source)
        try:
            async with connection.transaction():
                async with cursor.copy(target.copy, writer=_AsyncWriter(cursor)) as copy:
                    for chunk in _clean_text(target, _in_key_order(target, rows)):
                        await copy.write(chunk)
                return IngestReport(inserted=cursor.rowcount)
        except (_CloserLook, errors.IntegrityError, errors.DataError):
            pass  # the slow way finds out which row it was
        staged, refusals = _staging_text(target, rows, lines)
        if refusals:
            await cursor.executemany(
                _QUARANTINE, _quarantine_rows(target.relation, refusals, source)
            )
        await cursor.execute(target.stage)
        async with cursor.copy(target.copy_staged) as copy:
            for chunk in staged:
                await copy.write(chunk)
        await cursor.execute(target.absorb, [source])
        counts = await cursor.fetchone()
    return _report(counts, refusals)


def _check_lines(rows: Sequence[object], lines: Sequence[int] | None) -> None:
    if lines is not None and len(lines) != len(rows):
        raise ValueError(f"{len(lines)} lines are given for {len(rows)} rows")


def _in_key_order(target: _Target[R], rows: Sequence[R]) -> Sequence[R]:
    try:
        return sorted(rows, key=target.key)
    except (TypeError, InvalidOperation):
        # a time without a zone, or a strike that is NaN: whoever looks at that row says so
        return rows


def _report(counts: Any, refusals: Sequence[Refusal]) -> IngestReport:
    inserted, already_there, quarantined = counts
    return IngestReport(inserted, already_there, quarantined + len(refusals))


# ------------------------------------------------------------------ id spaces


_RECORD_ID_SPACES = sql.SQL(
    """
    SELECT m.symbol, m.exchange, m.id_space,
        entasis.record_id_space(m.symbol, m.exchange, m.id_space, %(source)s) AS recorded
    FROM unnest(%(symbols)s::text[], %(exchanges)s::text[], %(id_spaces)s::text[])
        AS m (symbol, exchange, id_space)
    """
)


def _id_space_parameters(
    rows: Sequence[Any], id_space: IdSpace, source: str
) -> dict[str, str | list[str]]:
    # in one order, so that two loaders of the same new markets cannot wait for each other; a name
    # that no market can have is judged later, with the rest of its row
    markets = sorted(
        {
            (row.symbol, row.exchange)
            for row in rows
            if _is_name(row.symbol) and _is_name(row.exchange)
        }
    )
    if not isinstance(id_space, str):
        for market in markets:
            if market not in id_space:
                raise ValueError(f"id_space does not say how trades of {market} are numbered")
    return {
        "source": source,
        "symbols": [symbol for symbol, _ in markets],
        "exchanges": [exchange for _, exchange in markets],
        "id_spaces": [
            id_space if isinstance(id_space, str) else id_space[market] for market in markets
        ],
    }


def record_id_spaces(
    cursor: psycopg.Cursor[Any],
    rows: Sequence[Any],
    id_space: IdSpace,
    source: str,
    lines: Sequence[int] | None,
) -> None:
    """Record how the markets of these rows number their trades, or raise IdSpaceError."""
    cursor.execute(_RECORD_ID_SPACES, _id_space_parameters(rows, id_space, source))
    _check_id_spaces(cursor.fetchall(), rows, lines, source)


def _check_id_spaces(
    recorded: Iterable[Sequence[Any]],
    rows: Sequence[Any],
    lines: Sequence[int] | None,
    source: str,
) -> None:
    for symbol, exchange, wanted, known in recorded:
        if known is None:
            raise errors.SerializationFailure(
                "another session is recording the id space of this market; repeat the transaction"
            )
        if known != wanted:
            position = next(
                n for n, row in enumerate(rows) if (row.symbol, row.exchange) == (symbol, exchange)
            )
            line = position + 1 if lines is None else lines[position]
            raise IdSpaceError(
                f"{source}, line {line}: {exchange} {symbol} has trades numbered by {known!r}, and "
                f"these are numbered by {wanted!r}. Loading both would count every trade twice, so "
                "nothing of this batch was loaded. Load the file that has the same kind of ids as "
                "the first one; entasis.markets says which that was"
            )


# ------------------------------------------------------------------ text for COPY


def _is_name(name: object) -> bool:
    return isinstance(name, str) and 0 < len(name) <= NAME_LENGTH and _is_text(name)


def _is_text(text: str) -> bool:
    """Say whether PostgreSQL can hold it: no NUL, and no half of a surrogate pair."""
    return "\0" not in text and (text.isascii() or not _SURROGATE.search(text))


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def _plain(value: Decimal) -> str:
    """Write a finite number so that its decimals can be counted, if it is of a sane size."""
    text = str(value)
    # str() writes 0.0000001 as 1E-7, and what normalize() made of 100 as 1E+2
    if "E" in text and abs(value.adjusted()) <= _ABSURD_EXPONENT:
        return f"{value:f}"
    return text


def _is_exact(text: str, decimals: int) -> bool:
    """Say whether a number surely has no more decimals than fit, trailing zeros counted."""
    dot = text.find(".")
    return (dot < 0 or len(text) - dot - 1 <= decimals) and "E" not in text


def time_bounds() -> tuple[datetime, datetime]:
    """Return between which times the table surely takes rows now, both included."""
    return _FIRST_MOMENT, datetime.now(UTC) + _CLOCK_SKEW


def _trade_writer() -> Callable[[Trade], str | None]:
    """Return a function that writes a trade for COPY if the table will surely take it, else None.

    It runs once for every trade there is, which is why it is one loop-free piece that asks for
    nothing twice: a market's names are looked at once, and a repeated time is written once.
    """
    first, latest = time_bounds()
    markets: dict[tuple[str, str], str] = {}
    last_moment: datetime | None = None
    last_time = ""

    def write(trade: Trade) -> str | None:
        nonlocal last_moment, last_time
        symbol, exchange, timestamp, number, price, volume = trade
        if type(price) is not Decimal or type(volume) is not Decimal or type(number) is not int:
            check_row(trade)
        # of other zones, Python takes two times an hour apart for equal when the clock is put back
        if timestamp != last_moment or timestamp.tzinfo is not UTC:
            # most times are in UTC, and asking any other zone takes longer
            if type(timestamp) is not datetime or (
                timestamp.tzinfo is not UTC and timestamp.utcoffset() is None
            ):
                check_row(trade)
            if not first <= timestamp <= latest:
                return None
            last_moment, last_time = timestamp, _time_text(timestamp)
        names = markets.get((symbol, exchange))
        if names is None:
            check_row(trade)
            if not (_is_name(symbol) and _is_name(exchange)):
                return None
            names = markets[symbol, exchange] = f"{_escape(symbol)}\t{_escape(exchange)}"
        # NaN compares with an exception, so it must not come so far
        if not (price.is_finite() and volume.is_finite()):
            return None
        price_text, volume_text = str(price), str(volume)
        if "E" in price_text or "E" in volume_text:
            price_text, volume_text = _plain(price), _plain(volume)
        if not (
            _ZERO < price < PRICE_LIMIT
            and _ZERO < volume < PRICE_LIMIT
            and -_INT64 <= number < _INT64
            and _is_exact(price_text, _PRICE_DECIMALS)
            and _is_exact(volume_text, _PRICE_DECIMALS)
        ):
            return None
        return f"{names}\t{last_time}\t{number}\t{price_text}\t{volume_text}\n"

    return write


def _option_writer() -> Callable[[OptionQuote], str | None]:
    """Return a function that writes a quote for COPY if the table surely takes it, else None."""
    latest = datetime.now(UTC) + _CLOCK_SKEW

    def write(quote: OptionQuote) -> str | None:
        check_row(quote)
        greeks = (quote.iv, quote.delta, quote.gamma, quote.theta, quote.vega)
        if (
            _is_name(quote.underlying)
            and quote.option_type in ("call", "put")
            and _FIRST_MOMENT <= quote.timestamp <= latest
            and -_INT64 <= quote.id < _INT64
            and _unstageable(quote) is None
            and quote.strike_price.is_finite()
            and _ZERO < quote.strike_price < PRICE_LIMIT
            and _is_exact(_plain(quote.strike_price), _PRICE_DECIMALS)
            and all(
                value is None
                or (
                    value.is_finite()
                    and -_GREEK_LIMIT < value < _GREEK_LIMIT
                    and _is_exact(_plain(value), _GREEK_DECIMALS)
                )
                for value in greeks
            )
            and (quote.iv is None or _ZERO <= quote.iv < _IV_LIMIT)
        ):
            return _fields_text(quote)
        return None

    return write


def _clean_text(target: _Target[R], rows: Iterable[R]) -> Iterator[str]:
    """Write rows that the table will surely take, in pieces; raise _CloserLook at any other."""
    write = target.writer()
    lines = []
    for row in rows:
        line = write(row)
        if line is None:
            raise _CloserLook
        lines.append(line)
        if len(lines) == _CHUNK:
            yield "".join(lines)
            lines.clear()
    yield "".join(lines)


_MUST_BE: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("symbol", "exchange", "underlying", "option_type"), (str,)),
    **dict.fromkeys(("timestamp", "expiry_date"), (datetime,)),
    "id": (int,),
    **dict.fromkeys(("price", "volume", "strike_price"), (Decimal,)),
    **dict.fromkeys(("iv", "delta", "gamma", "theta", "vega"), (Decimal, type(None))),
}


def check_row(row: Trade | OptionQuote) -> None:
    """Refuse what is a mistake in the caller's program, and not in the data."""
    for name, value in row._asdict().items():
        if not isinstance(value, _MUST_BE[name]) or isinstance(value, bool):
            wanted = " or ".join(kind.__name__ for kind in _MUST_BE[name])
            raise TypeError(f"{name} must be {wanted}, and {value!r} is {type(value).__name__}")
        if isinstance(value, datetime) and value.utcoffset() is None:
            raise ValueError(f"{name} {value} has no time zone; times are told in UTC")


def _time_text(moment: datetime) -> str:
    if moment.tzinfo is not UTC:
        # PostgreSQL does not know all offsets that Python does
        moment = moment.astimezone(UTC)
    return moment.isoformat()


def _fields_text(row: Iterable[object]) -> str:
    return "\t".join(map(_field_text, row)) + "\n"


def _field_text(value: object) -> str:
    if value is None:
        return "\\N"
    if isinstance(value, str):
        return _escape(value)
    if isinstance(value, datetime):
        return _time_text(value)
    if isinstance(value, Decimal) and value.is_nan():
        return "NaN"  # signs and payloads of NaN are unknown to PostgreSQL
    return str(value)


def _staging_text(
    target: _Target[R], rows: Sequence[R], lines: Sequence[int] | None
) -> tuple[list[str], list[Refusal]]:
    write = target.writer()
    chunks = []
    refusals = []
    for line, row in zip(lines if lines is not None else count(1), rows, strict=False):
        text = write(row)
        if text is None:
            check_row(row)
            if fault := _unstageable(row):
                payload = {
                    name: None if value is None else _storable(value)
                    for name, value in row._asdict().items()
                }
                refusals.append(Refusal(line, *fault, payload))
                continue
            text = _fields_text(row)
        chunks.append(f"{line}\t{text}")
    # few large pieces: each one is a call into the driver
    return ["".join(chunks[n : n + _CHUNK]) for n in range(0, len(chunks), _CHUNK)], refusals


def _storable(value: object) -> str:
    """Write anything as text that PostgreSQL can hold."""
    if isinstance(value, int) and not -_INT64 <= value < _INT64:
        return hex(value) if value.bit_length() > _ABSURD_EXPONENT else str(value)
    text = str(value).encode("utf-8", "backslashreplace").decode("utf-8")
    return text.replace("\0", "\\0")


def _unstageable(row: Trade | OptionQuote) -> tuple[str, str] | None:
    """Say what PostgreSQL's types cannot even hold long enough to be judged."""
    for name, value in row._asdict().items():
        if isinstance(value, str):
            if "\0" in value:
                return name, f"the {name} holds a NUL character, which PostgreSQL cannot store"
            if not _is_text(value):
                return name, f"the {name} holds half a character, which PostgreSQL cannot store"
        elif isinstance(value, int):
            if not -_INT64 <= value < _INT64:
                return name, f"the {name} {_storable(value)} is not a 64-bit integer"
        elif isinstance(value, datetime):
            try:
                value.astimezone(UTC)
            except OverflowError:
                return name, f"the {name} {value} is beyond the years 1 to 9999"
        elif (
            isinstance(value, Decimal)
            and value.is_finite()
            and (
                abs(value.adjusted()) > _ABSURD_EXPONENT
                or abs(int(value.as_tuple().exponent)) > _ABSURD_EXPONENT
            )
        ):
            return name, f"the {name} {value} is beyond any price"
    return None


# ------------------------------------------------------------------ statements

_QUARANTINE = sql.SQL(
    """
    INSERT INTO entasis.quarantine (relation, source, line, code, reason, payload)
    VALUES (%(relation)s, %(source)s, %(line)s, %(code)s, %(reason)s, %(payload)s)
    ON CONFLICT DO NOTHING
    """
)


def _quarantine_rows(
    relation: str, refusals: Iterable[Refusal], source: str
) -> list[dict[str, object]]:
    return [
        {
            "relation": relation,
            "source": source,
            "line": refusal.line,
            "code": refusal.code,
            "reason": refusal.reason,
            "payload": Jsonb(refusal.payload),
        }
        for refusal in refusals
    ]


COPY_TRADES = sql.SQL(
    "COPY entasis.market_data (symbol, exchange, timestamp, id, price, volume) FROM STDIN"
)

_TRADES: _Target[Trade] = _Target(
    relation="market_data",
    copy=COPY_TRADES,
    stage=sql.SQL("SELECT entasis.stage_trades()"),
    copy_staged=sql.SQL(
        "COPY pg_temp.entasis_staged_trades"
        " (line, symbol, exchange, timestamp, id, price, volume) FROM STDIN"
    ),
    absorb=sql.SQL(
        "SELECT inserted, already_there, quarantined FROM entasis.insert_staged_trades(%s)"
    ),
    # Trade's fields begin with the key: writers that lock in one order do not deadlock
    key=itemgetter(0, 1, 2, 3),
    writer=_trade_writer,
)

_OPTIONS: _Target[OptionQuote] = _Target(
    relation="option_data",
    copy=sql.SQL(
        "COPY entasis.option_data (underlying, strike_price, expiry_date, option_type, timestamp,"
        " id, iv, delta, gamma, theta, vega) FROM STDIN"
    ),
    stage=sql.SQL("SELECT entasis.stage_options()"),
    copy_staged=sql.SQL(
        "COPY pg_temp.entasis_staged_options (line, underlying, strike_price, expiry_date,"
        " option_type, timestamp, id, iv, delta, gamma, theta, vega) FROM STDIN"
    ),
    absorb=sql.SQL(
        "SELECT inserted, already_there, quarantined FROM entasis.insert_staged_options(%s)"
    ),
    # underlying, expiry_date, strike_price, option_type, timestamp, id
    key=itemgetter(0, 2, 1, 3, 4, 5),
    writer=_option_writer,
)
