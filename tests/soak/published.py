"""Candles of exchanges: few buckets and values, what loads make of them, and the loads."""

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from psycopg import errors

from entasis_db.errors import LoadError
from entasis_db.exchange_candles import load_exchange_candles, write_exchange_candles
from entasis_db.ingest import retrying
from entasis_db.model import CandleInterval, ExchangeCandle
from tests.db import Connection
from tests.make import months_ago
from tests.soak.model import Model, Result

Step = Mapping[str, Any]
INTERVALS: tuple[CandleInterval, ...] = ("1m", "1h")
_D = Decimal
CANDLES: tuple[tuple[Any, ...], ...] = (
    (_D(10), _D("11.5"), _D(9), _D("9.000000000000000001"), _D(3), _D("30.5"), 7),
    (_D(10), _D("11.5"), _D(9), _D("9.000000000000000001"), _D(3), None, None),
    (_D(0), _D(0), _D("-12.5"), _D("-12.5"), _D("0.25"), _D(-3), 1),
    (_D(10), _D(10), _D(10), _D(10), _D(0), _D(0), 0),
    (_D(10), _D(9), _D(11), _D(10), _D(1), _D(10), 1),
)
"""Prices, volume, quote volume and number of trades; the last one's high is below its low."""
_REFUSED = len(CANDLES) - 1


class CandleRow(NamedTuple):
    """A candle as a history writes it."""

    interval: int
    back: int
    minute: int
    """Minutes after the beginning of that month."""
    values: int

    def candle(self) -> ExchangeCandle:
        """Return it as its source tells it."""
        bucket = months_ago(self.back) + timedelta(minutes=self.minute)
        return ExchangeCandle("AAA", "one", INTERVALS[self.interval], bucket, *CANDLES[self.values])


def rows_of(coded: Sequence[Any]) -> list[CandleRow]:
    """Return the rows of a step, which may have come from a file."""
    return [CandleRow(*row) for row in coded]


def expect(model: Model, step: Step, source: str) -> Result:
    """Do to the model what a load does to exchange_candles."""
    counts: Counter[str] = Counter()
    book = model.published
    good = [row for row in rows_of(step["rows"]) if row.values != _REFUSED]
    if any(row.candle().bucket < book.facts.floor for row in good):
        return "refused"
    counts["conflict"] = len(step["rows"]) - len(good)
    before: dict[Any, Any] = {}
    for row in good:
        candle = row.candle()
        key, values = candle[:4], candle[4:]
        if key not in book.rows:
            counts["inserted"] += 1
            book.rows[key] = (*values, source)
        # all lines of a candle are compared with what was stored, or with the first of them
        stored = before.setdefault(key, book.rows[key])
        if stored[:-1] == values:
            counts["there"] += 1
            book.rows[key] = stored
        elif step["replace"]:
            counts["superseded"] += 1
            book.rows[key] = (*values, source)
        else:
            counts["conflict"] += 1
    counts["there"] -= counts["inserted"]
    model.quarantined[source] += counts["conflict"]
    return tuple(counts[name] for name in ("inserted", "there", "superseded", "conflict"))


def load(connection: Connection, step: Step, source: str, folder: Path) -> Result:
    """Load rows from a file, or out of memory."""
    candles = [row.candle() for row in rows_of(step["rows"])]
    try:
        if step["path"] == "file":
            report = load_exchange_candles(
                connection, _write_file(folder / source, candles), replace=step["replace"]
            )
        else:
            report = retrying(
                lambda: write_exchange_candles(
                    connection, candles, source=source, replace=step["replace"]
                )
            )
    except (LoadError, errors.CheckViolation):
        return "refused"  # something lies below the floor
    return report.inserted, report.already_there, report.superseded, report.quarantined


def _write_file(path: Path, candles: Sequence[ExchangeCandle]) -> Path:
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["exchange", "symbol", *ExchangeCandle._fields[2:]])
        for candle in candles:
            symbol, exchange, interval, bucket, *values = candle
            out.writerow([exchange, symbol, interval, bucket.isoformat(), *values])
    return path
