"""Quotes of options: few contracts, moments and values, what loads make of them, and the loads."""

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
from psycopg.pq import TransactionStatus

from entasis_db.archive import layout
from entasis_db.ingest import (
    IngestReport,
    ingest_arrow_options,
    ingest_options,
    load_options,
    retrying,
)
from entasis_db.model import OPTION_KEY, OptionQuote, OptionType
from tests.contract.trades.support import nanoseconds
from tests.db import Connection
from tests.make import months_ago
from tests.soak.model import Model, Result

Step = Mapping[str, Any]
UNDERLYINGS = ("BTC", "ETH")
"""Sources number the quotes of the second one, and not those of the first."""
_EXPIRY = datetime(2030, 3, 29, 8, tzinfo=UTC)
CONTRACTS: tuple[tuple[str, Decimal, datetime, OptionType], ...] = (
    ("BTC", Decimal(100_000), _EXPIRY, "call"),
    ("BTC", Decimal("0.625"), _EXPIRY, "put"),
    ("ETH", Decimal(2_800), _EXPIRY, "call"),
    ("ETH", Decimal(2_800), _EXPIRY + timedelta(days=7), "call"),
)
COLUMNS = tuple(n for n in layout.LAYOUTS["option_data"].stored if n not in OPTION_KEY)


class Quote(NamedTuple):
    """What a source tells, and what is stored of it."""

    told: dict[str, Decimal]
    stored: dict[str, Decimal] | None
    """None: it goes to quarantine."""
    rounded: int = 0
    nulled: int = 0


def _quote(stored: dict[str, str] | None = None, **told: str) -> Quote:
    def numbers(texts: Mapping[str, str]) -> dict[str, Decimal]:
        return {name: Decimal(text) for name, text in texts.items()}

    if stored is None:
        return Quote(numbers(told), numbers(told))
    return Quote(
        numbers(told),
        numbers({n: t for n, t in stored.items() if t}),
        rounded=sum(bool(text) for name, text in stored.items() if text != told[name]),
        nulled=sum(not text for text in stored.values()),
    )


QUOTES = (
    _quote(),
    _quote(iv="0.65", delta="0.5", bid_price="0.07", ask_price="0.0705", mark_price="0.0702"),
    _quote(iv="0.65", delta="0.5", bid_price="0.07", ask_price="0.0705", mark_price="0.07"),
    _quote({"gamma": "0.000000000000000802"}, gamma="0.00000000000000080179"),
    _quote({"vega": "12.000000000000000002", "iv": ""}, vega="12.0000000000000000015", iv="-1"),
    _quote(
        {"rho": "", "bid_price": "", "underlying_price": "61234.5"},
        rho="NaN",
        bid_price="NaN",
        underlying_price="61234.5",
    ),
    _quote(open_interest="0", bid_iv="0.6", ask_iv="0.7", theta="-12.5"),
    Quote({"mark_price": Decimal("-0.01")}, None),
)
"""Told; beside what is stored instead, where that differs."""


class QuoteRow(NamedTuple):
    """A quote as a history writes it."""

    contract: int
    back: int
    micro: int
    id: int
    """Given by the source where it numbers quotes."""
    values: int

    def quote(self) -> OptionQuote:
        """Return it as its source tells it."""
        underlying, strike, expiry, option_type = CONTRACTS[self.contract]
        return OptionQuote(
            underlying,
            strike,
            expiry,
            option_type,
            months_ago(self.back) + timedelta(microseconds=self.micro),
            id=self.id if is_numbered(self) else None,
            **QUOTES[self.values].told,
        )


def is_numbered(row: QuoteRow) -> bool:
    """Tell whether the source numbers its quotes."""
    return CONTRACTS[row.contract][0] == UNDERLYINGS[1]


def rows_of(coded: Sequence[Any]) -> list[QuoteRow]:
    """Return the rows of a step, which may have come from a file."""
    return [QuoteRow(*row) for row in coded]


# ---------------------------------------------------------------------- what has to come of them


def expect(model: Model, step: Step, source: str) -> Result:
    """Do to the model what a load does to option_data."""
    rows = rows_of(step["rows"])
    counts: Counter[str] = Counter()
    size = step["batch"] if step["path"] == "file" else len(rows)
    for start in range(0, len(rows), size):
        _load(model, rows[start : start + size], source, counts)
    names = ("inserted", "there", "conflict", "past", "rounded", "nulled")
    return tuple(counts[name] for name in names)


def _load(model: Model, rows: Sequence[QuoteRow], source: str, counts: Counter[str]) -> None:
    facts = model.quotes.facts
    taken: list[tuple[QuoteRow, OptionQuote]] = []
    for row in rows:
        told, quote = QUOTES[row.values], row.quote()
        counts["rounded"] += told.rounded
        counts["nulled"] += told.nulled
        if told.stored is None:
            model.quarantined[source] += 1
            counts["conflict"] += 1
        elif not facts.is_open(quote.underlying, quote.timestamp):
            model.past[source, quote.underlying, None] += 1
            counts["past"] += 1
        else:
            taken.append((row, quote))
    for row, quote in taken:
        key, values = _key(quote), _values(row)
        stored = {k[-1]: v for k, v in model.quotes.rows.items() if k[:-1] == key[:-1]}
        number = quote.id
        if number is None:
            same = [n for n, v in stored.items() if v == values]
            number = min(same) if same else max(stored, default=-1) + 1
        if number not in stored:
            model.quotes.rows[*key[:-1], number] = values
            counts["inserted"] += 1
        elif stored[number] == values:
            counts["there"] += 1
        else:
            model.quarantined[source] += 1
            counts["conflict"] += 1


def _key(quote: OptionQuote) -> tuple[Any, ...]:
    return tuple(getattr(quote, name) for name in OPTION_KEY)


def _values(row: QuoteRow) -> tuple[Decimal | None, ...]:
    stored = QUOTES[row.values].stored
    assert stored is not None
    return tuple(stored.get(name) for name in COLUMNS)


# ---------------------------------------------------------------------- loads


def load(connection: Connection, step: Step, source: str, folder: Path) -> Result:
    """Load rows by one of the package's paths, or as a program in another language does."""
    quotes = [row.quote() for row in rows_of(step["rows"])]
    if step["path"] == "file":
        path = write_file(folder / source, quotes)
        report = load_options(connection, path, batch_rows=step["batch"]).report
    else:

        def run() -> IngestReport:
            if step["path"] == "staged":
                return _staged(connection, quotes, source)
            if step["path"] == "arrow":
                return ingest_arrow_options(connection, table(quotes), source=source, decimals=4)
            return ingest_options(connection, quotes, source=source)

        idle = connection.info.transaction_status == TransactionStatus.IDLE
        report = retrying(run) if idle else run()
    return (
        *(report.inserted, report.already_there, report.quarantined, report.past_retention),
        *(report.rounded, report.nulled),
    )


def table(quotes: Sequence[OptionQuote]) -> pa.Table:
    """Return quotes as Arrow's."""
    number = pa.decimal128(38, 20)
    kinds: dict[str, Any] = {
        **dict.fromkeys(("underlying", "option_type"), pa.string()),
        **dict.fromkeys(("expiry_date", "timestamp"), pa.timestamp("us", "UTC")),
        "id": pa.int64(),
        # what is no number, only floats can say
        "rho": pa.float64(),
        "bid_price": pa.float64() if any(q.bid_price != q.bid_price for q in quotes) else number,
    }
    columns = {}
    for name in OptionQuote._fields:
        kind = kinds.get(name, number)
        values = [getattr(quote, name) for quote in quotes]
        if kind == pa.float64():
            values = [None if value is None else float(value) for value in values]
        columns[name] = pa.array(values, kind)
    return pa.table(columns)


def _staged(connection: Connection, quotes: Sequence[OptionQuote], source: str) -> IngestReport:
    names = OptionQuote._fields
    with connection.transaction():
        connection.execute("SELECT entasis.stage_options()")
        connection.cursor().executemany(
            f"INSERT INTO pg_temp.entasis_staged_options (line, {', '.join(names)})"
            f" VALUES (%s{', %s' * len(names)})",
            [(line, *quote) for line, quote in enumerate(quotes, 1)],
        )
        row = connection.execute(
            "SELECT inserted, already_there, quarantined, past_retention, past_keep, rounded,"
            " nulled FROM entasis.insert_staged_options(%s)",
            [source],
        ).fetchone()
    assert row is not None
    return IngestReport(*row)


def write_file(path: Path, quotes: Sequence[OptionQuote]) -> Path:
    """Write a file in our own layout, with ids where the source gives any."""
    names = OptionQuote._fields[5:]
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow([*OptionQuote._fields[:4], "timestamp_ns", *names])
        for quote in quotes:
            out.writerow(
                [
                    *(quote.underlying, quote.strike_price, quote.expiry_date.isoformat()),
                    *(quote.option_type, nanoseconds(quote.timestamp)),
                    *(getattr(quote, name) for name in names),
                ]
            )
    return path
