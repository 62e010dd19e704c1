"""What is in the database and in the archive at one moment."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from psycopg import IsolationLevel, sql

from entasis_db.archive import FolderStore, layout
from entasis_db.model import OPTION_KEY
from tests import oracle
from tests.contract.archive.support import LEFT_DETACHED
from tests.db import Connection
from tests.oracle import Candle, CandleKey, TradeKey
from tests.soak.model import Range, Values
from tests.soak.universe import Market

CANDLES = ("ohlcv_1m", "ohlcv_1h", "ohlcv_1d")
KEYS = {
    "option_data": tuple(OPTION_KEY),
    "exchange_candles": ("symbol", "exchange", "interval", "bucket"),
}
"""Of relations from which nothing is derived."""
RELATIONS = ("market_data", *CANDLES, *KEYS)


@dataclass
class Archive:
    """A verified archive that no other has superseded."""

    relation: str
    range: Range
    stale: bool
    dropped: bool
    keys: list[str]
    rows: int


@dataclass
class State:
    """A snapshot."""

    trades: dict[TradeKey, Values]
    books: dict[str, dict[Any, Any]]
    """Quotes, and candles of exchanges, by relation."""
    candles: dict[str, oracle.Candles]
    """By level, as the views show them."""
    partitions: dict[str, tuple[Range, ...]]
    floors: dict[str, datetime]
    keep_from: dict[str, datetime | None]
    """Up to where each relation is past its keep period now."""
    archived: dict[str, bool]
    """Whether a relation needs an archive."""
    open: frozenset[tuple[Market | None, datetime, datetime]]
    """Of trades, and so of their candles."""
    open_quotes: frozenset[tuple[str | None, datetime, datetime]]
    held: list[tuple[str, datetime, datetime]]
    """Ranges that maintenance must leave: those that are reopened, or attached."""
    attached: list[tuple[str, datetime, datetime]]
    leaving: list[tuple[str, datetime, datetime]]
    """Ranges that maintenance began to detach: the floor rises before."""
    archives: list[Archive]
    quarantined: Counter[str]
    past: Counter[tuple[str, str, str | None]]
    health: dict[str, dict[str, Any]]
    """By relation; empty if it was not read."""
    detached: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict)
    """Rows of tables that a killed maintenance detached."""
    computes: bool = False
    """Whether the views compute candles of trades whose own candles are stored nowhere."""

    def openings(self, relation: str) -> frozenset[tuple[Any, datetime, datetime]]:
        """Return the markets and ranges of a relation that are open below its floor."""
        if relation in KEYS:
            return self.open_quotes if relation == "option_data" else frozenset()
        return self.open

    def rows(self, relation: str) -> dict[Any, Any]:
        """Return what a relation holds."""
        if relation == "market_data":
            return self.trades
        if relation in KEYS:
            return self.books[relation]
        return self.candles[relation.removeprefix("ohlcv_")]

    def is_live(self, relation: str, time: datetime) -> bool:
        """Whether a partition of the relation holds the moment."""
        return any(start <= time < end for start, end in self.partitions[relation])


def utc(value: Any) -> Any:
    """Return times in UTC."""
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def read(connection: Connection, health: bool) -> State:
    """Read everything in one snapshot, with or without health."""
    before = connection.isolation_level
    connection.isolation_level = IsolationLevel.REPEATABLE_READ
    try:
        with connection.transaction():
            return _read(connection, health)
    finally:
        connection.isolation_level = before


def _read(connection: Connection, health: bool) -> State:
    def rows(query: str) -> list[tuple[Any, ...]]:
        found = connection.execute(query.encode()).fetchall()
        return [tuple(map(utc, row)) for row in found]

    keep = rows(
        "SELECT k.relation, k.archived, entasis.keep_from(k.keep) FROM entasis.keep_periods AS k"
        " JOIN entasis.floors AS f ON k.relation = f.relation"
    )
    return State(
        trades=_trades(rows),
        books={relation: _book(rows, relation) for relation in KEYS},
        candles=oracle.stored_candles(connection),
        partitions=_partitions(rows),
        floors={
            relation: datetime.min.replace(tzinfo=UTC) if floor is None else floor
            for relation, floor in rows(
                "SELECT relation, nullif(floor, '-infinity') FROM entasis.floors"
            )
        },
        keep_from={relation: keep_from for relation, _, keep_from in keep},
        archived={relation: archived for relation, archived, _ in keep},
        open=frozenset(
            ((symbol, exchange) if symbol else None, start, end)
            for symbol, exchange, start, end in _openings(rows, "market_data")
        ),
        open_quotes=frozenset(
            (underlying, start, end) for underlying, _, start, end in _openings(rows, "option_data")
        ),
        held=[
            (relation, start, end)
            for relation, start, end in rows(
                "SELECT relation, from_time, to_time FROM entasis.reopened WHERE keep_until > now()"
                " UNION ALL SELECT relation, from_time, to_time FROM entasis.restores"
                " WHERE held_until > now()"
            )
        ],
        attached=[
            (relation, start, end)
            for relation, start, end in rows(
                "SELECT relation, from_time, to_time FROM entasis.restores"
                " WHERE attached_at IS NOT NULL"
            )
        ],
        leaving=_leaving(rows),
        archives=_archives(rows),
        quarantined=Counter(
            dict(rows("SELECT source, count(*) FROM entasis.quarantine GROUP BY source"))
        ),
        past=Counter(
            {
                (source, symbol, exchange): count
                for source, symbol, exchange, count in rows(
                    "SELECT source, symbol, exchange, refused FROM entasis.past_retention"
                )
            }
        ),
        health=_health(rows) if health else {},
        detached=_detached(connection),
    )


def _openings(rows: Any, relation: str) -> Any:
    return rows(
        "SELECT symbol, exchange, from_time, to_time FROM entasis.reopened"
        f" WHERE relation = '{relation}' AND opened_at IS NOT NULL"
    )


def _partitions(rows: Any) -> dict[str, tuple[Range, ...]]:
    partitions: dict[str, list[Range]] = {relation: [] for relation in RELATIONS}
    for relation, start, end in rows(
        "SELECT f.relation, p.from_time, p.to_time FROM entasis.floors AS f"
        " CROSS JOIN LATERAL entasis_internal.partitions_of(f.relation) AS p"
        " LEFT JOIN pg_inherits AS i ON i.inhrelid = p.partition_oid"
        " WHERE i.inhdetachpending IS NOT TRUE"
    ):
        partitions[relation].append((start, end))
    return {relation: tuple(sorted(found)) for relation, found in partitions.items()}


def _leaving(rows: Any) -> list[tuple[str, datetime, datetime]]:
    return [
        (relation, start, end)
        for relation, start, end in rows(
            "SELECT s.relation, s.from_time, s.to_time FROM ("
            " SELECT DISTINCT ON (m.detail) m.detail, m.action"
            " FROM entasis.maintenance_log AS m"
            " WHERE m.action IN ('detach', 'attach', 'drop', 'restore')"
            " ORDER BY m.detail, m.id DESC) AS l"
            " JOIN entasis_internal.known_partitions AS s ON l.detail = s.partition_name"
            " WHERE l.action IN ('detach', 'attach')"
        )
    ]


def _health(rows: Any) -> dict[str, dict[str, Any]]:
    return {
        relation: {"past_keep": p, "waiting": w, "stale": s, "gone": g, "ahead": a}
        for relation, p, w, s, g, a in rows(
            "SELECT relation, past_keep, waiting_for_archive, stale_archives,"
            " gone_without_archive, partitions_reach_ahead FROM entasis.lifecycle"
        )
    }


def _trades(rows: Any) -> dict[TradeKey, Values]:
    return {
        (symbol, exchange, time, number): Values(*values)
        for symbol, exchange, time, number, *values in rows(
            "SELECT symbol, exchange, timestamp, id, price, volume, side, excluded, source_id"
            " FROM entasis.market_data"
        )
    }


def _book(rows: Any, relation: str) -> dict[Any, Any]:
    columns = ", ".join(layout.LAYOUTS[relation].stored)
    return dict(as_row(relation, row) for row in rows(f"SELECT {columns} FROM entasis.{relation}"))


def _archives(rows: Any) -> list[Archive]:
    return [
        Archive(relation, (start, end), stale, dropped, keys or [], count)
        for relation, start, end, stale, dropped, keys, count in rows(
            "SELECT a.relation, a.from_time, a.to_time, a.stale_at IS NOT NULL,"
            " a.dropped_at IS NOT NULL, (SELECT array_agg(o.key ORDER BY o.part)"
            " FROM entasis.archive_objects AS o WHERE o.archive_id = a.id), a.row_count"
            " FROM entasis.archives AS a"
            " WHERE a.verified_at IS NOT NULL AND a.superseded_at IS NULL"
            " ORDER BY a.relation, a.from_time"
        )
    ]


def _detached(connection: Connection) -> dict[str, list[tuple[Any, ...]]]:
    found: dict[str, list[tuple[Any, ...]]] = {}
    for relation, table in connection.execute(LEFT_DETACHED).fetchall():
        columns = map(sql.Identifier, layout.LAYOUTS[relation].stored)
        found.setdefault(relation, []).extend(
            tuple(map(utc, row))
            for row in connection.execute(
                sql.SQL("SELECT {} FROM entasis.{}").format(
                    sql.SQL(", ").join(columns), sql.Identifier(table)
                )
            ).fetchall()
        )
    return found


class Reader:
    """Reads objects of the archive, each once: they are never written again."""

    def __init__(self, store: FolderStore, folder: Path) -> None:
        self._store = store
        self._folder = folder
        self._known: dict[str, list[tuple[Any, ...]]] = {}

    def rows(self, archive: Archive) -> list[tuple[Any, ...]]:
        """Return the rows of an archive, in the columns of its relation."""
        return [row for key in archive.keys for row in self._object(key)]

    def _object(self, key: str) -> list[tuple[Any, ...]]:
        if key not in self._known:
            file = self._folder / "object.parquet"
            self._store.get(key, file)
            found = []
            for row in pq.read_table(file).to_pylist():
                for name in ("volume", "quote_volume"):
                    if (exact := row.pop(f"{name}_text", None)) is not None:
                        row[name] = Decimal(exact)
                found.append(tuple(map(utc, row.values())))
            self._known[key] = found
        return self._known[key]


def as_row(relation: str, row: tuple[Any, ...]) -> tuple[Any, Any]:
    """Return key and values of a row in the columns of the archive."""
    if relation == "market_data":
        return as_trade(row)
    if relation not in KEYS:
        return as_candle(relation, row)
    named = dict(zip(layout.LAYOUTS[relation].stored, row, strict=True))
    return tuple(named.pop(name) for name in KEYS[relation]), tuple(named.values())


def time_of(relation: str, key: Any) -> datetime:
    """Return the time by which a row is partitioned."""
    place = {"option_data": 4, "exchange_candles": 3}.get(relation, 2)
    time: datetime = key[place]
    return time


def as_trade(row: tuple[Any, ...]) -> tuple[TradeKey, Values]:
    """Return what the archive's columns of a trade say."""
    named = dict(zip(layout.LAYOUTS["market_data"].stored, row, strict=True))
    key = (named["symbol"], named["exchange"], named["timestamp"], named["id"])
    return key, Values(*(named[name] for name in Values._fields))


def as_candle(relation: str, row: tuple[Any, ...]) -> tuple[CandleKey, Candle]:
    """Return what the archive's columns of a candle say."""
    named = dict(zip(layout.LAYOUTS[relation].stored, row, strict=True))
    key = (named["symbol"], named["exchange"], named["bucket"])
    return key, Candle(*(named[name] for name in oracle.COLUMNS[3:]))
