"""The steps of a range's life: archived, dropped, restored, reopened and closed again."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from psycopg import errors

from entasis_db.archive import FolderStore, archive, layout, restore
from entasis_db.errors import ArchiveError, StoreError
from entasis_db.maintenance import maintain
from entasis_db.reopening import reopen
from tests.contract.archive.support import Faulty
from tests.db import Connection
from tests.make import months_ago
from tests.soak.checks import BrokenError, holds, same
from tests.soak.model import Facts, Model, Result
from tests.soak.quotes import UNDERLYINGS
from tests.soak.state import CANDLES, KEYS, Reader, State, as_row, read, time_of, utc
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
            " WHERE relation IN ('market_data', 'option_data', 'exchange_candles')",
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
    relation, market = step.get("relation", "market_data"), _market(step)
    symbol, exchange = (market, None) if market is None or isinstance(market, str) else market
    start = months_ago(step["back"]) + timedelta(days=step["day"])
    try:
        reopen(
            connection,
            relation,
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
    relation = step["relation"]
    for table, count in result if isinstance(result, tuple) else ():
        columns = ", ".join(layout.LAYOUTS[relation].stored)
        rows = connection.execute(f"SELECT {columns} FROM entasis.{table}").fetchall()
        holds(len(rows) == count, f"{table} has {len(rows)} rows, not {count}")
        accepted = model.books()[relation].rows if relation in KEYS else model.trades
        facts = model.books()[relation].facts if relation in KEYS else model.facts
        start, end = months_ago(step["back"]), months_ago(step["back"] - step.get("months", 1))
        for row in rows:
            key, values = as_row(relation, tuple(map(utc, row)))
            time = time_of(relation, key)
            holds(start <= time < end, f"{table} has a row at {time}")
            if relation not in CANDLES and not facts.is_live(time):
                holds(accepted.get(key) == values, f"{table} has {row}")


def adopt(model: Model, before: State, now: State, step: Step, result: Result) -> None:
    """Take over where things are now, after looking at how they came there."""
    check_floors(before, now, step)
    check_open(before, now, step, result)
    take_losses(model, before, now, step)
    opens = step["do"] == "reopen" and step.get("relation", "market_data") == "market_data"
    if opens and result == "ok" and step["discard"]:
        forget_lost(model, step)
    take_facts(model, now)


def take_facts(model: Model, now: State) -> None:
    """Take over the floors, the partitions and what is open."""

    def facts(relation: str) -> Facts:
        floor, partitions = now.floors[relation], now.partitions[relation]
        return Facts(floor, partitions, now.openings(relation))

    model.facts = facts("market_data")
    for relation, book in model.books().items():
        book.facts = facts(relation)


def check_floors(before: State, now: State, step: Step) -> None:
    """A floor never falls; maintenance alone raises it, up to what is past its keep period."""
    for relation, floor in now.floors.items():
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
    for relation in ("market_data", "option_data"):
        reopens = step["do"] == "reopen" and step.get("relation", "market_data") == relation
        wanted = _market(step) if reopens else None
        opened, open_before = now.openings(relation), before.openings(relation)
        for piece in opened - open_before:
            market, start, end = piece
            parts = [p for p in open_before if p[0] == market and p[1] <= start and end <= p[2]]
            if parts and step["do"] == "maintain":
                continue  # what is left of one that was closed in part
            holds(
                reopens and market == wanted and start >= _start(step),
                f"{piece} of {relation} was opened for writers",
            )
        if reopens and result == "ok":
            end = min(_start(step) + timedelta(days=step["days"]), months_ago(0))
            end = min(end, now.floors[relation])
            holds((wanted, _start(step), end) in opened, f"[{_start(step)}, {end}) is not open")
        for market, start, end in open_before - opened:
            left = [p for p in opened if p[0] == market and p[1] < end and p[2] > start]
            gone = not all(
                now.is_live(relation, t) for t in (start, end - timedelta(microseconds=1))
            )
            holds(step["do"] == "maintain" and (gone or left), f"{market} {start} was closed")


def _market(step: Step) -> Any:
    """Return what is reopened: a market, an underlying of quotes, or None for all."""
    if step["market"] is None:
        return None
    names = UNDERLYINGS if step.get("relation") == "option_data" else MARKETS
    return names[step["market"]]


def _start(step: Step) -> Any:
    return months_ago(step["back"]) + timedelta(days=step["day"])


def take_losses(model: Model, before: State, now: State, step: Step) -> None:
    """Rows may go without an archive only where somebody has asked for it."""
    stores: list[tuple[str, Any, Any]] = [("market_data", model.trades, model.lost)]
    stores += [(relation, book.rows, book.lost) for relation, book in model.books().items()]
    for relation, rows, lost in stores:
        if step["do"] != "maintain" or before.archived[relation]:
            continue
        kept = {a.range for a in now.archives if a.relation == relation and a.dropped}
        for key in list(rows):
            time = time_of(relation, key)
            was = [p for p in before.partitions[relation] if p[0] <= time < p[1]]
            if not was or now.is_live(relation, time) or was[0] in kept:
                continue
            limit = now.keep_from[relation]
            holds(limit is not None and was[0][1] <= limit, f"{key} was discarded before its time")
            lost[key] = rows.pop(key)


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
        there = [p for p in before.partitions[relation] if p[0] < end and p[1] > start]
        for piece in there:
            holds(piece in now.partitions[relation], f"{relation} {piece} was held, and is gone")


def check_left(connection: Connection) -> None:
    """Maintenance leaves nothing that could go."""
    left = connection.execute(
        "SELECT relation, partition_name, reason FROM entasis.maintenance_plan() WHERE goes"
    ).fetchall()
    # candles of trades that this run dropped last may go in the next
    holds(not [row for row in left if row[0] not in CANDLES], f"maintenance left {left}")


def check_attached(before: State, now: State, reader: Reader, step: Step) -> None:
    """What an attached restore brings back is what the archive holds."""
    relation = step["relation"]
    for kept in before.archives:
        if kept.relation != relation or not kept.dropped:
            continue
        start, end = kept.range
        if before.is_live(relation, start) or not now.is_live(relation, start):
            continue
        rows = now.rows(relation)
        found = {k: v for k, v in rows.items() if start <= time_of(relation, k) < end}
        wanted = dict(as_row(relation, row) for row in reader.rows(kept))
        same(found, wanted, f"restored {relation}")


__all__ = ["BrokenError", "adopt", "check_drops", "read", "run"]
