"""The steps that write trades, by every path."""

import csv
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import psycopg
import pyarrow as pa
from psycopg import IsolationLevel, errors
from psycopg.pq import TransactionStatus

from entasis_db.errors import LoadError
from entasis_db.ids import digest_id
from entasis_db.ingest import (
    IngestReport,
    ingest_arrow,
    ingest_trades,
    load_trades,
    replace_trades,
    retrying,
)
from entasis_db.live import TickWriter, opening
from entasis_db.live import writer as live_writer
from entasis_db.model import Trade
from tests.contract.candles.histories import INSERT, TRADE_COLUMNS, flat, values
from tests.contract.trades.support import nanoseconds
from tests.db import Connection
from tests.make import months_ago
from tests.soak import published, quotes
from tests.soak.model import CHECK, MOVES, UNIQUE, Model, Result
from tests.soak.universe import (
    DIGEST,
    EXCLUDED,
    ID_SPACES,
    MARKETS,
    NUMBERED,
    ORDINAL,
    PRICES,
    SIDES,
    VOLUMES,
    Unit,
    file_trades,
    id_of,
    rows_of,
    trades_of,
)

Step = Mapping[str, Any]
REFUSED = (errors.UniqueViolation, errors.CheckViolation, errors.CardinalityViolation)
"""What a statement may rightly end with."""


def units(unit: Unit) -> dict[tuple[str, str], Unit]:
    """Return the unit that each market is told in."""
    return {market: unit if market in NUMBERED else "us" for market in MARKETS}


# ---------------------------------------------------------------------- loads


Connect = Callable[[], Connection]
"""Opens another connection of the same kind."""


def load(connection: Connection, step: Step, source: str, folder: Path, connect: Connect) -> Result:
    """Load rows by one of the package's paths."""
    trades = trades_of(step["rows"])
    how: dict[str, Any] = {
        "source": source,
        "id_space": ID_SPACES,
        "time_unit": units(step["unit"]),
    }
    if step["path"] == "rows":

        def run() -> IngestReport:
            return ingest_trades(connection, trades, **how)

        idle = connection.info.transaction_status == TransactionStatus.IDLE
        report = retrying(run) if idle else run()
    elif step["path"] == "arrow":
        if all(t[1:3] in DIGEST and t.id == _digest(t) for t in trades):
            how["id_space"] = "digest"
        report = ingest_arrow(
            connection,
            table(trades, as_text=how["id_space"] == "digest"),
            batch_rows=step["batch"],
            **how,
        )
    elif step["path"] == "staged":
        return staged(connection, trades, step["unit"], source)
    elif step["path"] == "file":
        path = write_file(folder / source, file_trades(step["rows"]), step.get("positions", False))
        try:
            report = load_trades(
                connection, path, batch_rows=step["batch"], time_unit=step["unit"]
            ).report
        except LoadError:
            return "LoadError"
    else:
        return stream(connect, trades, step, source)
    return report.inserted, report.already_there, report.quarantined, report.past_retention


def _digest(trade: Trade) -> int | None:
    return None if trade.source_id is None else digest_id(trade.source_id)


def table(trades: Sequence[Trade], *, as_text: bool) -> pa.Table:
    """Return trades as Arrow's, with ids that are text or integers."""
    ids = pa.array([t.id for t in trades], pa.int64())
    texts = pa.array([t.source_id for t in trades], pa.string())
    named = {"id": texts} if as_text else {"id": ids, "source_id": texts}
    return pa.table(
        {
            **named,
            "symbol": pa.array([t.symbol for t in trades], pa.string()),
            "exchange": pa.array([t.exchange for t in trades], pa.string()),
            "timestamp": pa.array([t.timestamp for t in trades], pa.timestamp("us", "UTC")),
            "price": pa.array([t.price for t in trades], pa.decimal128(24, 12)),
            "volume": pa.array([t.volume for t in trades], pa.decimal128(24, 12)),
            "side": pa.array([t.side for t in trades], pa.string()),
        }
    )


_HEADER = (
    *("exchange", "symbol", "timestamp_ns", "sequence"),
    *("trade_id", "price", "volume", "side"),
)


def write_file(path: Path, trades: Sequence[Trade], positions: bool = False) -> Path:
    """Write a file in our own layout; trades that are counted have no id, but may have a place."""
    places: Counter[tuple[str, str]] = Counter()
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(_HEADER)
        for t in trades:
            market, number = (t.symbol, t.exchange), t.source_id or t.id
            is_counted = market in ORDINAL
            place = places[market] if is_counted and positions else ""
            places[market] += 1
            out.writerow(
                [
                    *(t.exchange, t.symbol, nanoseconds(t.timestamp), place),
                    *("" if is_counted else number, f"{t.price:f}", f"{t.volume:f}", t.side),
                ]
            )
    return path


def staged(connection: Connection, trades: Sequence[Trade], unit: Unit, source: str) -> Result:
    """Write as a program in another language does."""

    def run_staged() -> Result:
        with connection.transaction():
            connection.execute("SELECT entasis.stage_trades()")
            connection.cursor().executemany(
                "INSERT INTO pg_temp.entasis_staged_trades (line, id, symbol, exchange, timestamp,"
                " price, volume, side, source_id) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
                [
                    (line, None if t.id == _digest(t) else t.id, *t[1:8])
                    for line, t in enumerate(trades, 1)
                ],
            )
            for market in sorted({(t.symbol, t.exchange) for t in trades}):
                told = units(unit)[market]
                connection.execute(
                    "SELECT entasis.record_id_space(%s, %s, %s, %s, %s)",
                    [*market, ID_SPACES[market], source, told],
                )
                connection.execute(
                    "INSERT INTO pg_temp.entasis_staged_units VALUES (%s, %s, %s)", [*market, told]
                )
            row = connection.execute(
                "SELECT inserted, already_there, quarantined, past_retention"
                " FROM entasis.insert_staged_trades(%s)",
                [source],
            ).fetchone()
            assert row is not None
            return tuple(row)

    idle = connection.info.transaction_status == TransactionStatus.IDLE
    return retrying(run_staged) if idle else run_staged()


def stream(connect: Connect, trades: Sequence[Trade], step: Step, source: str) -> Result:
    """Put rows into a writer, whose connection is of the same kind."""
    writer = TickWriter(
        "",
        source=source,
        id_space=ID_SPACES,
        time_unit=units(step["unit"]),
        batch_rows=step["batch"],
        max_age=timedelta(milliseconds=20),
    )

    def reached(_conninfo: str) -> Connection:
        return connect()

    with ExitStack() as stack:
        for module in (opening, live_writer):
            stack.enter_context(mock.patch.object(module, "connect", reached))
        stack.enter_context(writer)
        for trade in trades:
            writer.put(trade)
    return "ok"


def replace(connection: Connection, step: Step, source: str, folder: Path) -> Result:
    """Store a file's trades in the place of others."""
    path, back = write_file(folder / source, file_trades(step["rows"])), step.get("back")
    start, end = (None, None) if back is None else (months_ago(back), months_ago(back - 1))
    try:
        replace_trades(connection, path, from_time=start, to_time=end, time_unit="us")
    except LoadError:
        return "LoadError"  # another client's maintenance has raised the floor
    return "ok"


# ---------------------------------------------------------------------- statements


def condition(where: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """Return what stands after WHERE."""
    start = months_ago(where["back"]) + timedelta(microseconds=where["micro"])
    text = "symbol = %s AND exchange = %s AND timestamp >= %s AND timestamp < %s"
    parameters = [*MARKETS[where["market"]], start, start + timedelta(microseconds=where["span"])]
    return (
        (f"{text} AND id = %s", [*parameters, id_of(where["market"], where["id"])])
        if "id" in where
        else (text, parameters)
    )


def make_partitions(connection: Connection) -> None:
    """Make all months that a statement may need, above the floor."""
    connection.execute(
        "SELECT entasis.ensure_partitions('market_data', greatest(f.floor, %s), %s)"
        " FROM entasis.floors AS f WHERE f.relation = 'market_data'",
        [months_ago(8), months_ago(-2)],
    )


def statement(connection: Connection, step: Step) -> None:
    """Run one statement of plain SQL."""
    match step["do"]:
        case "insert":
            insert(connection, step)
        case "change":
            change(connection, step)
        case "merge":
            merge(connection, step)
        case other:
            raise ValueError(other)


def insert(connection: Connection, step: Step) -> None:
    """INSERT or COPY."""
    trades = [tuple(row.trade()) for row in rows_of(step["rows"])]
    if not trades:
        return
    if step["how"] == "copy":
        with connection.cursor().copy(
            f"COPY entasis.market_data ({TRADE_COLUMNS}) FROM STDIN"
        ) as copy:
            for trade in trades:
                copy.write_row(trade)
        return
    conflict = {
        "plain": "",
        "nothing": " ON CONFLICT DO NOTHING",
        "update": " ON CONFLICT (symbol, exchange, timestamp, id) DO UPDATE"
        " SET price = excluded.price, volume = excluded.volume",
    }[step["how"]]
    connection.execute(f"{INSERT} {values(trades)}{conflict}", flat(trades))  # type: ignore[arg-type]


def change(connection: Connection, step: Step) -> None:
    """UPDATE or DELETE."""
    where, parameters = condition(step["where"])
    to = step["to"]
    if not to:
        connection.execute(f"DELETE FROM entasis.market_data WHERE {where}", parameters)
        return
    sets: list[str] = []
    given: list[Any] = []
    columns = (("price", PRICES), ("volume", VOLUMES), ("side", SIDES), ("excluded", EXCLUDED))
    for column, among in columns:
        if column in to:
            sets.append(f"{column} = %s")
            given.append(among[to[column]])
    if "move" in to:
        sets.append("timestamp = timestamp + %s::interval")
        given.append(f"{MOVES[to['move']].total_seconds()} seconds")
    if "market" in to:
        sets.append("symbol = %s, exchange = %s")
        given += MARKETS[to["market"]]
    connection.execute(
        f"UPDATE entasis.market_data SET {', '.join(sets)} WHERE {where}", [*given, *parameters]
    )


def merge(connection: Connection, step: Step) -> None:
    """MERGE."""
    trades = [
        (*row.trade(), order)
        for row, order in zip(rows_of(step["rows"]), step["orders"], strict=True)
    ]
    # a statement has the actions that it was drawn with: which others a MERGE has changes what its
    # triggers see
    actions = [
        f" WHEN MATCHED AND s.what = '{name}' THEN {action}"
        for name, action in _ACTIONS.items()
        if name in step["orders"]
    ]
    if step.get("inserts", True):
        actions.append(
            f" WHEN NOT MATCHED THEN INSERT ({TRADE_COLUMNS})"
            f" VALUES (s.{', s.'.join(TRADE_COLUMNS.split(', '))})"
        )
    connection.execute(
        "MERGE INTO entasis.market_data AS t"
        f" USING ({values([t[:-1] for t in trades], 'text')}) AS s ({TRADE_COLUMNS}, what)"
        " ON (t.symbol, t.exchange, t.timestamp, t.id)"
        f" = (s.symbol, s.exchange, s.timestamp, s.id){''.join(actions)}",
        flat(trades),
    )


_ACTIONS = {
    "write": "UPDATE SET price = s.price, volume = s.volume",
    "delete": "DELETE",
    "side": "UPDATE SET side = s.side",
    **{
        name: "UPDATE SET price = s.price,"
        f" timestamp = s.timestamp + interval '{far.total_seconds()} seconds'"
        for name, far in MOVES.items()
    },
}


def transaction(
    connection: Connection, step: Step, source: str, folder: Path, connect: Connect
) -> Result:
    """Run statements, and loads, in one transaction, which may be rolled back in the end."""
    make_partitions(connection)
    connection.isolation_level = IsolationLevel[step["level"]] if step.get("level") else None
    try:
        with connection.transaction(force_rollback=not step.get("commit", True)):
            for part in step["steps"]:
                if part["do"] == "load":
                    load(connection, part, source, folder, connect)
                else:
                    with connection.transaction() if part.get("savepoint") else nullcontext():
                        statement(connection, part)
    except REFUSED as error:
        return type(error).__name__
    finally:
        if not connection.closed:
            connection.isolation_level = None
    return "ok"


# ---------------------------------------------------------------------- what has to come of them


def expect(model: Model, step: Step, source: str) -> Result:
    """Do to the model what the step does to the database."""
    match step["do"]:
        case "load":
            if step["path"] == "file" and step.get("compares", True):
                return model.load_file(step["rows"], step["unit"], source, step["batch"])
            parts = step["batch"] if step["path"] in ("arrow", "file", "stream") else None
            read = file_trades if step["path"] == "file" else trades_of
            counts = model.load(read(step["rows"]), step["unit"], source, parts)
            return "ok" if step["path"] == "stream" else counts
        case "replace":
            return model.replace(step["rows"], step.get("back"))
        case "quotes":
            return quotes.expect(model, step, source)
        case "publish":
            return published.expect(model, step, source)
        case "insert":
            return model.insert(step["rows"], "plain" if step["how"] == "copy" else step["how"])
        case "change":
            return model.change(step["where"], step["to"])
        case "merge":
            return model.merge(step["rows"], step["orders"], inserts=step.get("inserts", True))
        case "tx":
            tried = model.copy()
            for part in step["steps"]:
                result = expect(tried, part, source)
                if isinstance(result, str) and result != "ok":
                    return result
            if step.get("commit", True):
                model.__dict__.update(tried.__dict__)
            return "ok"
    raise ValueError(step["do"])


AGAIN = (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected)
__all__ = ["AGAIN", "CHECK", "UNIQUE", "condition", "expect", "load", "transaction"]
