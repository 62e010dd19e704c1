"""What is to be filled: ranges of markets, as gaps or from a file."""

import csv
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from entasis_db.errors import LoadError
from entasis_db.quality import Gap

_INSTANT = timedelta(microseconds=1)
_COLUMNS = "exchange,symbol,from_time,to_time"


class Span(NamedTuple):
    """A time for which trades of a market are wanted."""

    symbol: str
    """Instrument, in the exchange's spelling."""
    exchange: str
    """Venue."""
    first: datetime
    """The first moment of it; UTC."""
    last: datetime | None
    """The last moment of it, included; UTC. None: it goes on."""


def span_of(symbol: str, exchange: str, from_time: datetime, to_time: datetime) -> Span:
    """Make a span of a range whose end is not included."""
    return Span(symbol, exchange, from_time, to_time - _INSTANT)


def spans_of(gaps: Iterable[Gap]) -> list[Span]:
    """Make spans of gaps: a trade that is missing may have the time of the one beside it."""
    return [Span(gap.symbol, gap.exchange, gap.after_time, gap.before_time) for gap in gaps]


def read_spans(path: Path | str) -> list[Span]:
    """Read ranges from a file, or standard input (``-``).

    It is what ``entasis gaps --json`` prints, or CSV with the columns exchange, symbol, from_time
    and to_time (not included). Raises LoadError for anything else.
    """
    name = "standard input" if str(path) == "-" else Path(path).name
    try:
        file = "/dev/stdin" if str(path) == "-" else path
        text = Path(file).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise LoadError(f"{name}: cannot be read: {error}") from error
    if text.lstrip()[:1] in {"[", "{"}:
        return _from_json(name, text)
    rows = csv.DictReader(text.splitlines())
    if not {*_COLUMNS.split(",")} <= {*(rows.fieldnames or ())}:
        raise LoadError(
            f"{name}: give what entasis gaps --json prints, or CSV with the columns {_COLUMNS}"
        )
    return [_span(f"{name}, line {rows.line_num}", row) for row in rows]


def _from_json(name: str, text: str) -> list[Span]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise LoadError(f"{name}: this is no JSON: {error}") from error
    if not (isinstance(found, list) and all(isinstance(one, dict) for one in found)):
        raise LoadError(f"{name}: give the list that entasis gaps --json prints")
    return [_span(f"{name}, entry {number}", one) for number, one in enumerate(found, 1)]


def _span(where: str, row: Mapping[str, Any]) -> Span:
    symbol, exchange = row.get("symbol"), row.get("exchange")
    if not (isinstance(symbol, str) and isinstance(exchange, str) and symbol and exchange):
        raise LoadError(f"{where}: it names no symbol or no exchange")
    if "after_time" in row:
        first = _moment(where, row["after_time"])
        before = row.get("before_time")
        span = Span(symbol, exchange, first, None if before is None else _moment(where, before))
    else:
        until = _moment(where, row.get("to_time"))
        span = span_of(symbol, exchange, _moment(where, row.get("from_time")), until)
    if span.last is not None and span.last < span.first:
        raise LoadError(f"{where}: its end is not after its beginning")
    return span


def _moment(where: str, value: object) -> datetime:
    try:
        moment = datetime.fromisoformat(str(value))
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise LoadError(f"{where}: {value!r} is no time; write 2024-08-08T23:55Z") from None
