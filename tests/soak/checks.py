"""What must hold after each step, whatever the steps were."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from tests import oracle
from tests.db import Connection
from tests.oracle import DERIVED, STORED, Candle
from tests.soak.model import BEGINNING, Model, Values
from tests.soak.state import (
    CANDLES,
    KEYS,
    RELATIONS,
    Reader,
    State,
    as_row,
    time_of,
)
from tests.soak.universe import Market


class BrokenError(AssertionError):
    """Something does not hold."""


def holds(condition: object, message: str) -> None:
    """Fail with a message unless the condition is true."""
    if not condition:
        raise BrokenError(message)


def same(found: Mapping[Any, Any], expected: Mapping[Any, Any], what: str) -> None:
    """Fail and name the first differences unless two mappings are equal."""
    if dict(found) == dict(expected):
        return
    keys = [k for k in [*expected, *found] if found.get(k) != expected.get(k)]
    shown = [
        f"{_short(k)}: is {_short(found.get(k))}, ought to be {_short(expected.get(k))}"
        for k in dict.fromkeys(keys)
    ]
    raise BrokenError(f"{what}: {len(shown)} differ\n    " + "\n    ".join(shown[:4]))


def _short(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple):
        names = getattr(value, "_fields", None)
        parts = [f"{n}={_short(v)}" for n, v in zip(names, value, strict=True)] if names else None
        return f"({', '.join(parts or map(_short, value))})"
    return str(value)


def check(model: Model, state: State, reader: Reader) -> None:
    """Compare what is stored and archived with the model."""
    check_floors(state)
    check_trades(model, state, reader)
    for relation in KEYS:
        check_book(model, state, reader, relation)
    check_quarantine(model, state)
    for level in STORED:
        check_stored_candles(model, state, reader, level)
    for level in DERIVED:
        check_derived_candles(model, state, level)
    if state.health:
        check_health(state)


def check_floors(state: State) -> None:
    """The floor of trades is at least that of their candles."""
    for relation in CANDLES:
        holds(
            state.floors["market_data"] >= state.floors[relation],
            f"the floor of {relation} is above that of its trades",
        )


def check_trades(model: Model, state: State, reader: Reader) -> None:
    """Every accepted trade is stored exactly once: in the database or in the archive."""
    found: dict[Any, Values] = {}
    for where, key, values in everywhere(state, reader, "market_data"):
        holds(key not in found, f"the trade {_short(key)} is there twice, the second time {where}")
        found[key] = values
        below = key[2] < state.floors["market_data"]
        holds(
            where == "live" or below,
            f"trades of {key[2]} are {where}, but the floor is {state.floors['market_data']}",
        )
        holds(
            where != "live" or not below or _is_back(state, "market_data", key[2]),
            f"{_short(key)} is stored below the floor, where nothing was restored or reopened",
        )
    same(found, model.trades, "trades")
    for key in model.lost:
        holds(key[2] < state.floors["market_data"], f"{_short(key)} is lost above the floor")


def check_book(model: Model, state: State, reader: Reader, relation: str) -> None:
    """Every accepted quote, and candle of an exchange, is stored exactly once."""
    found: dict[Any, Any] = {}
    floor = state.floors[relation]
    rows = everywhere(state, reader, relation)
    for where, key, values in rows:
        time = time_of(relation, key)
        holds(key not in found, f"{_short(key)} of {relation} is there twice, last {where}")
        found[key] = values
        holds(
            where == "live" or time < floor,
            f"{relation} of {time} is {where}, but the floor is {floor}",
        )
        holds(
            where != "live" or time >= floor or _is_back(state, relation, time),
            f"{_short(key)} of {relation} is stored below the floor",
        )
    same(found, model.books()[relation].rows, f"rows of {relation}")


def _is_back(state: State, relation: str, time: datetime) -> bool:
    back = [*state.attached, *state.leaving]
    return any(r == relation and start <= time < end for r, start, end in back) or any(
        start <= time < end for _, start, end in state.openings(relation)
    )


def everywhere(state: State, reader: Reader, relation: str) -> Iterator[tuple[str, Any, Any]]:
    """Return all rows of a relation, and where each is."""
    for key, values in state.rows(relation).items():
        yield "live", key, values
    for row in state.detached.get(relation, []):
        yield ("detached", *as_row(relation, row))
    for archive in state.archives:
        if archive.relation != relation or not archive.dropped:
            continue
        start, end = archive.range
        if any(s < end and e > start for s, e in state.partitions[relation]):
            continue
        rows = reader.rows(archive)
        holds(len(rows) == archive.rows, f"{archive} has {len(rows)} rows")
        for row in rows:
            yield ("archived", *as_row(relation, row))


def check_quarantine(model: Model, state: State) -> None:
    """Rows that were not stored are in quarantine, or counted as past retention."""
    same(state.quarantined, +model.quarantined, "rows in quarantine by source")
    same(state.past, +model.past, "rows below the floor by source and market")


def check_stored_candles(model: Model, state: State, reader: Reader, level: str) -> None:
    """Every candle of minutes, hours and days is there exactly once, and right."""
    relation = f"ohlcv_{level}"
    found: dict[Any, Candle] = {}
    rows = everywhere(state, reader, relation)
    computed: dict[Any, Candle] = {}
    for where, key, candle in rows:
        below = key[2] < state.floors[relation] and not _is_back(state, relation, key[2])
        if where == "live" and below and state.computes and _is_back(state, "market_data", key[2]):
            computed[key] = candle
            continue
        holds(key not in found, f"the candle {_short(key)} of {relation} is there twice")
        found[key] = candle
        holds(
            where == "live" or key[2] < state.floors[relation],
            f"candles of {relation} at {key[2]} are {where}, above the floor",
        )
        holds(
            where != "live"
            or key[2] >= state.floors[relation]
            or _is_back(state, relation, key[2]),
            f"{_short(key)} of {relation} is there below the floor",
        )
    expected = oracle.candles(model.counted(), level)
    same(found, expected, f"candles of {relation}")
    same(computed, {k: expected[k] for k in computed}, f"candles of {relation} that were computed")


def is_known(state: State, market: Market, level: str, start: datetime) -> bool:
    """Whether every part of a derived candle is known: restored or open, where below the floor."""
    source = oracle.SOURCE[level]
    floor = state.floors[source]
    if floor == BEGINNING:
        return True
    end = min(oracle._end(level, start), floor)
    known = [
        (s, e) for relation, s, e in state.attached if relation == source and s < end and e > start
    ]
    known += [(s, e) for of, s, e in state.open if of in (None, market)]
    for s, e in sorted(known):
        if s <= start:
            start = max(start, e)
    return start >= end


def check_derived_candles(model: Model, state: State, level: str) -> None:
    """A candle that is computed when it is read is right, or known in part only and absent."""
    expected = {
        key: candle
        for key, candle in oracle.candles(model.counted(), level).items()
        if is_known(state, key[:2], level, key[2])
    }
    same(state.candles[level], expected, f"candles of ohlcv_{level}")


def check_archives(state: State, reader: Reader) -> None:
    """After a run of the archive, what is past its keep period and still stored is archived so."""
    for archive in state.archives:
        if not state.archived[archive.relation]:
            continue
        start, end = archive.range
        limit = state.keep_from[archive.relation]
        if archive.range not in state.partitions[archive.relation] or not limit or end > limit:
            continue
        if any(r == archive.relation and s < end and e > start for r, s, e in state.held):
            continue  # it is archived again when nobody holds it any more
        holds(not archive.stale, f"{archive} is stale after it was archived")
        rows = dict(as_row(archive.relation, row) for row in reader.rows(archive))
        live = state.rows(archive.relation)
        found = {k: v for k, v in live.items() if start <= time_of(archive.relation, k) < end}
        same(found, rows, f"{archive.relation} from {start}, which was archived just now")


def check_health(state: State) -> None:
    """What health counts is what the catalogs say."""
    for relation in RELATIONS:
        limit = state.keep_from[relation]
        expired = [p for p in state.partitions[relation] if limit is not None and p[1] <= limit]
        current = {a.range: a for a in state.archives if a.relation == relation}
        waiting = [p for p in expired if p not in current or current[p].stale]
        health = state.health[relation]
        expected = {
            "past_keep": len(expired),
            "waiting": len(waiting) if state.archived[relation] else 0,
            "stale": sum(a.stale for a in current.values()),
            "gone": [],
        }
        same({k: health[k] for k in expected}, expected, f"health of {relation}")


def check_queries(connection: Connection) -> None:
    """The database's own checks are content."""
    reported = connection.execute("SELECT * FROM entasis.check_candles()").fetchall()
    holds(not reported, f"check_candles() reports {len(reported)}, the first: {reported[:1]}")
    repeated = connection.execute("SELECT * FROM entasis.check_ids()").fetchall()
    holds(not repeated, f"check_ids() reports {len(repeated)}, the first: {repeated[:1]}")
