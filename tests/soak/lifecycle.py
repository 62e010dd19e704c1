"""The steps of a range's life: archived, dropped, restored, reopened and closed again."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from psycopg import errors

from entasis_db.archive import FolderStore, archive, restore
from entasis_db.errors import ArchiveError, StoreError
from entasis_db.maintenance import maintain
from entasis_db.reopening import reopen
from tests.contract.archive.support import Faulty
from tests.db import Connection
from tests.make import months_ago
from tests.soak.checks import BrokenError, holds, same
from tests.soak.model import Model, Result
from tests.soak.state import RELATIONS, Reader, State, as_candle, as_trade, read
from tests.soak.universe import MARKETS

Step = Mapping[str, Any]
LIFECYCLE = ("keep", "archive", "maintain", "restore", "release", "reopen", "rebuild")


def run(connection: Connection, step: Step, store: FolderStore) -> Result:
    """Take a step."""
    match step["do"]:
        case "keep":
            keep(connection, step["raw"], step["more"], step["archived"])
        case "archive":
            return run_archive(connection, step, store)
        case "maintain":
            if step["owner"]:
                maintain(connection)
            else:
                connection.execute("CALL entasis.maintain()")
        case "restore":
            return run_restore(connection, step, store)
        case "release":
            release(connection)
        case "reopen":
            return run_reopen(connection, step, store)
        case "rebuild":
            start = months_ago(step["back"])
            connection.execute(
                "CALL entasis.rebuild_candles(%s, %s)", [start, start + timedelta(days=32)]
            )
        case other:
            raise ValueError(other)
    return "ok"


def keep(connection: Connection, raw: int, more: int, archived: bool) -> None:
    """Keep trades for so many months, and candles some more."""
    with connection.transaction():
        connection.execute(
            "UPDATE entasis.keep_periods SET keep = NULL WHERE relation LIKE 'ohlcv%'"
        )
        connection.execute(
            "UPDATE entasis.keep_periods SET archived = %s, keep = make_interval(months => %s)"
            " WHERE relation IN ('market_data', 'option_data')",
            [archived, raw],
        )
        connection.execute(
            "UPDATE entasis.keep_periods SET keep = make_interval(months => %s)"
            " WHERE relation LIKE 'ohlcv%%'",
            [raw + more],
        )


def run_archive(connection: Connection, step: Step, store: FolderStore) -> Result:
    """Archive; the store may fail once."""
    if not step.get("fault"):
        archive(connection, store)
        return "ok"
    call, fault, at = step["fault"]
    try:
        archive(connection, Faulty(store, call, fault, at))  # type: ignore[arg-type]
    except (StoreError, ArchiveError):
        return "failed"
    return "ok"


def run_restore(connection: Connection, step: Step, store: FolderStore) -> Result:
    """Restore a month, beside its relation or into it."""
    start, end = months_ago(step["back"]), months_ago(step["back"] - step.get("months", 1))
    try:
        restored = restore(
            connection,
            store,
            step["relation"],
            start,
            end,
            attach=step["attach"],
            hold=timedelta(days=step["hold"]),
        )
    except (ArchiveError, errors.DuplicateTable) as error:
        return type(error).__name__
    return tuple((r.table, r.rows) for r in restored if not step["attach"])


def release(connection: Connection) -> None:
    """Let go of what was restored or reopened."""
    connection.execute("UPDATE entasis.restores SET held_until = now() WHERE held_until > now()")
    connection.execute("UPDATE entasis.reopened SET keep_until = now() WHERE keep_until > now()")
    connection.execute(
        "SELECT entasis.drop_restored(table_name) FROM entasis.restores"
        " WHERE attached_at IS NULL AND verified_at IS NOT NULL"
        " AND to_regclass(format('entasis.%I', table_name)) IS NOT NULL"
    )


def run_reopen(connection: Connection, step: Step, store: FolderStore) -> Result:
    """Reopen days for a market, or for all."""
    symbol, exchange = MARKETS[step["market"]] if step["market"] is not None else (None, None)
    start = months_ago(step["back"]) + timedelta(days=step["day"])
    try:
        reopen(
            connection,
            "market_data",
            start,
            min(start + timedelta(days=step["days"]), months_ago(0)),
            symbol=symbol,
            exchange=exchange,
            keep_for=timedelta(days=step["keep"]),
            discard_candles=step["discard"],
            store=store,
        )
    except (ArchiveError, errors.ObjectNotInPrerequisiteState) as error:
        return type(error).__name__
    return "ok"


# ---------------------------------------------------------------------- what may come of them


def check_beside(connection: Connection, step: Step, result: Result, model: Model) -> None:
    """What was restored beside its relation is what the archive was made of."""
    from tests import oracle
    from tests.soak.state import utc

    relation = step["relation"]
    for table, count in result if isinstance(result, tuple) else ():
        columns = "symbol, exchange, timestamp, id, price, volume, side, excluded"
        if relation != "market_data":
            columns = ", ".join(oracle.COLUMNS)
        rows = connection.execute(f"SELECT {columns} FROM entasis.{table}").fetchall()
        holds(len(rows) == count, f"{table} has {len(rows)} rows, not {count}")
        start, end = months_ago(step["back"]), months_ago(step["back"] - step.get("months", 1))
        for row in rows:
            time = utc(row[2])
            holds(start <= time < end, f"{table} has a row at {time}")
            if relation == "market_data" and not model.facts.is_live(time):
                key = (row[0], row[1], time, row[3])
                holds(model.trades.get(key) == row[4:], f"{table} has {row}")


def adopt(model: Model, before: State, now: State, step: Step, result: Result) -> None:
    """Take over where things are now, after looking at how they came there."""
    check_floors(before, now, step)
    check_open(before, now, step, result)
    take_losses(model, before, now, step)
    if step["do"] == "reopen" and result == "ok" and step["discard"]:
        forget_lost(model, step)
    take_facts(model, now)


def take_facts(model: Model, now: State) -> None:
    """Take over the floor, the partitions and what is open."""
    model.facts = type(model.facts)(
        now.floors["market_data"], now.partitions["market_data"], now.open
    )


def check_floors(before: State, now: State, step: Step) -> None:
    """A floor never falls; maintenance alone raises it, up to what is past its keep period."""
    for relation, floor in now.floors.items():
        if relation not in RELATIONS:
            continue
        holds(floor >= before.floors[relation], f"the floor of {relation} was lowered to {floor}")
        if floor == before.floors[relation]:
            continue
        holds(step["do"] == "maintain", f"the floor of {relation} rose to {floor}")
        limits = [now.keep_from[relation]]
        if relation == "market_data":
            limits += [now.keep_from[r] for r in now.keep_from]
        holds(
            any(limit is not None and floor <= limit for limit in limits),
            f"the floor of {relation} rose to {floor}, above what is past its keep period",
        )


def check_open(before: State, now: State, step: Step, result: Result) -> None:
    """What is open was asked for, for that market and no other; what was asked for is open."""
    opened = set(now.open)
    for piece in opened - before.open:
        market, start, end = piece
        parts = [p for p in before.open if p[0] == market and p[1] <= start and end <= p[2]]
        if parts and step["do"] == "maintain":
            continue  # what is left of one that was closed in part
        wanted = None if step.get("market") is None else MARKETS[step["market"]]
        holds(
            step["do"] == "reopen" and market == wanted and start >= _start(step),
            f"{piece} was opened for writers",
        )
    if step["do"] == "reopen" and result == "ok":
        wanted = None if step["market"] is None else MARKETS[step["market"]]
        end = min(_start(step) + timedelta(days=step["days"]), months_ago(0))
        end = min(end, now.floors["market_data"])
        holds((wanted, _start(step), end) in opened, f"[{_start(step)}, {end}) is not open")
    for market, start, end in before.open - opened:
        left = [p for p in opened if p[0] == market and p[1] < end and p[2] > start]
        gone = not all(
            any(s <= t < e for s, e in now.partitions["market_data"])
            for t in (start, end - timedelta(microseconds=1))
        )
        holds(step["do"] == "maintain" and (gone or left), f"{market} {start} was closed")


def _start(step: Step) -> Any:
    return months_ago(step["back"]) + timedelta(days=step["day"])


def take_losses(model: Model, before: State, now: State, step: Step) -> None:
    """Trades may go without an archive only where somebody has asked for it."""
    if step["do"] != "maintain" or before.archived["market_data"]:
        return
    kept = {a.range for a in now.archives if a.relation == "market_data" and a.dropped}
    for key in list(model.trades):
        time = key[2]
        was = [p for p in before.partitions["market_data"] if p[0] <= time < p[1]]
        if not was or now.is_live("market_data", time) or was[0] in kept:
            continue
        limit = now.keep_from["market_data"]
        holds(limit is not None and was[0][1] <= limit, f"{key} was discarded before its time")
        model.lost[key] = model.trades.pop(key)


def forget_lost(model: Model, step: Step) -> None:
    """Reopening with discard_candles throws away what candles know of lost trades."""
    start = _start(step)
    end = min(start + timedelta(days=step["days"]), months_ago(0), model.facts.floor)
    for key in list(model.lost):
        if start <= key[2] < end and step["market"] in (None, MARKETS.index(key[:2])):
            del model.lost[key]


def check_drops(before: State, now: State) -> None:
    """What was held stays; after an undisturbed run nothing is left that could have gone."""
    for relation, start, end in before.held:
        if relation not in RELATIONS:
            continue
        there = [p for p in before.partitions[relation] if p[0] < end and p[1] > start]
        for piece in there:
            holds(piece in now.partitions[relation], f"{relation} {piece} was held, and is gone")


def check_left(connection: Connection) -> None:
    """Maintenance leaves nothing that could go."""
    left = connection.execute(
        "SELECT relation, partition_name, reason FROM entasis.maintenance_plan() WHERE goes"
    ).fetchall()
    # candles of trades that this run dropped last may go in the next
    holds(not [row for row in left if row[0] == "market_data"], f"maintenance left {left}")


def check_attached(before: State, now: State, reader: Reader, step: Step) -> None:
    """What an attached restore brings back is what the archive holds."""
    relation = step["relation"]
    for kept in before.archives:
        if kept.relation != relation or not kept.dropped:
            continue
        start, end = kept.range
        if before.is_live(relation, start) or not now.is_live(relation, start):
            continue
        if relation == "market_data":
            found: Any = {k: v for k, v in now.trades.items() if start <= k[2] < end}
            same(found, dict(map(as_trade, reader.rows(kept))), f"restored {relation}")
        else:
            level = relation.removeprefix("ohlcv_")
            found = {k: v for k, v in now.candles[level].items() if start <= k[2] < end}
            wanted = dict(as_candle(relation, row) for row in reader.rows(kept))
            same(found, wanted, f"restored {relation}")


__all__ = ["BrokenError", "adopt", "check_drops", "read", "run"]
