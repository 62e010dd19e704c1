"""What is traded: recorded from exchanges' own lists, and set by hand."""

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import psycopg

from entasis_db.cursors import Cursor
from entasis_db.errors import InstrumentError
from entasis_db.ingest.origins import refuse_near
from entasis_db.model import MarketKind, VolumeUnit
from entasis_db.readers.instruments import Instrument, read_instruments

SETTABLE: dict[str, tuple[str, ...] | None] = {
    "kind": get_args(MarketKind),
    "base": None,
    "quote": None,
    "settlement": None,
    "contract_size": None,
    "tick_size": None,
    "lot_size": None,
    "expiry": None,
    "volume_unit": get_args(VolumeUnit),
    "is_active": ("true", "false"),
    "usual_gap": None,
    "ids_dense": ("true", "false"),
}
"""The columns that set_market() can set, with their values where these are few."""


@dataclass(frozen=True)
class ImportedInstruments:
    """What became of a list of instruments."""

    source: str
    """The file's base name."""
    exchange: str
    """The venue under which they are recorded."""
    listed: int
    """Entries that could be read."""
    recorded: int
    """How many of these were new or said something new."""
    faults: list[str]
    """Why an entry was left out, one line for each."""


def import_instruments(
    connection: psycopg.Connection[Any],
    path: Path | str,
    *,
    exchange: str | None = None,
    new_exchange: bool = False,
) -> ImportedInstruments:
    """Record what an exchange's own list, given as a file of JSON, says of its instruments.

    Known are Binance's ``exchangeInfo`` (spot, USD-M, COIN-M, options), Bybit's
    ``v5/market/instruments-info``, Deribit's ``public/get_instruments`` and OKX's
    ``public/instruments``, plain or gzipped. ``exchange`` is the name under which trades of the
    venue are stored, where that is not binance-spot, binance-usdm, binance-cm,
    binance-european-options, bybit, deribit, kraken or okx. A list replaces what an earlier one
    said; what it leaves out stays, and so does what a person has set. ``connection`` belongs to a
    member of entasis_writer.

    Raises LoadError for a file that cannot be read or is none of these lists, and for an exchange
    that is not known, with a name nearly that of one that is, without ``new_exchange``.
    """
    refuse_near(connection, Path(path).name, exchange, new_exchange=new_exchange)
    found = read_instruments(path, exchange=exchange)
    rows = [
        {"exchange": found.exchange} | {name: _said(value) for name, value in asdict(one).items()}
        for one in found.instruments
    ]
    with Cursor(connection) as cursor:
        row = cursor.execute(
            "SELECT entasis.record_instruments(%s::pg_catalog.jsonb)", [json.dumps(rows)]
        ).fetchone()
    assert row is not None
    return ImportedInstruments(
        found.source, found.exchange, len(rows), int(row[0]), list(found.faults)
    )


def set_market(
    connection: psycopg.Connection[Any], symbol: str, exchange: str, **settings: object
) -> bool:
    """Set what is known of a market, against all that loaders and lists will say.

    ``settings`` are columns of entasis.markets: those of SETTABLE. None empties a column and gives
    it back to loaders and lists. The market is recorded if it is new; the answer is whether it was.
    ``connection`` belongs to a member of entasis_admin.

    Raises InstrumentError for a column or a value that there is not.
    """
    for name, value in settings.items():
        if name not in SETTABLE:
            raise InstrumentError(
                f"a market has no {name!r} to set; there are {', '.join(SETTABLE)}"
            )
        values = SETTABLE[name]
        if values is not None and value is not None and _said(value) not in (*values, True, False):
            raise InstrumentError(f"{name} is one of {', '.join(values)}, and not {value!r}")
        if isinstance(value, float):
            raise InstrumentError(
                f"{name} is {value!r}: give a Decimal, an int or text, not a float"
            )
    said = json.dumps({name: _said(value) for name, value in settings.items()})
    with Cursor(connection) as cursor:
        try:
            row = cursor.execute(
                "SELECT entasis.set_market(%s, %s, %s::pg_catalog.jsonb)", [symbol, exchange, said]
            ).fetchone()
        except (psycopg.errors.CheckViolation, psycopg.DataError) as error:
            reason = error.diag.message_primary or str(error)
            raise InstrumentError(f"{exchange} {symbol} cannot be set so: {reason}") from error
    assert row is not None
    return bool(row[0])


def _said(value: object) -> object:
    """Write a value as JSON holds it: numbers as text, which no float comes near."""
    match value:
        case None | bool() | str():
            return value
        case datetime():
            return value.isoformat()
        case Decimal():
            return f"{value:f}"
    return str(value)


__all__ = [
    "SETTABLE",
    "ImportedInstruments",
    "Instrument",
    "import_instruments",
    "set_market",
]
