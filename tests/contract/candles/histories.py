"""Random histories of one writer: inserts, copies, corrections, moves and deletions."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import event
from hypothesis import strategies as st
from psycopg import errors

from entasis_db.model import Trade
from tests.contract.candles.support import TRADE_COLUMNS, ZONES
from tests.db import Connection

# Every border that a bucket can have, and the moments at which zones change their clocks.
BORDERS = (
    datetime(2025, 1, 1, tzinfo=UTC),  # a year, in the middle of a week
    datetime(2025, 2, 1, tzinfo=UTC),  # a month, in the middle of a week
    datetime(2025, 2, 3, tzinfo=UTC),  # a week
    datetime(2025, 2, 3, 4, tzinfo=UTC),  # four hours
    datetime(2025, 2, 3, 5, tzinfo=UTC),  # an hour
    datetime(2025, 2, 3, 5, 30, tzinfo=UTC),  # half an hour
    datetime(2025, 2, 3, 5, 35, tzinfo=UTC),  # five minutes
    datetime(2025, 3, 9, 7, tzinfo=UTC),  # New York goes from 02:00 to 03:00
    datetime(2025, 3, 30, 1, tzinfo=UTC),  # Berlin does
    datetime(2025, 4, 5, 15, 30, tzinfo=UTC),  # Lord Howe Island goes back by half an hour
)

AROUND = tuple(
    timedelta(microseconds=n) for n in (0, -1, 1, 500, -60_000_000, 59_999_999, 60_000_000)
)

SYMBOLS = ("BTC", "ETH")

EXCHANGES = ("one", "two")

PRICES = tuple(
    Decimal(p) for p in ("10", "10.0", "9.5", "11", "0.000000000001", "123456.789012345678")
)

VOLUMES = tuple(Decimal(v) for v in ("1", "2.50", "0.000000000001", "1000000.000001"))

TRADE_TYPES = "int8, text, text, timestamptz, numeric, numeric, text, text, text"


@dataclass(frozen=True)
class Statement:
    """One statement; in a savepoint of its own, it may fail without taking the others along."""

    query: str
    parameters: tuple[Any, ...] = ()
    in_savepoint: bool = False
    undone: bool = False

    def run(self, connection: Connection) -> None:
        connection.execute(self.query, self.parameters)


@dataclass(frozen=True)
class Copy:
    """COPY FROM STDIN."""

    rows: tuple[Trade, ...]
    in_savepoint: bool = False
    undone: bool = False

    def run(self, connection: Connection) -> None:
        with (
            connection.cursor() as cursor,
            cursor.copy(f"COPY entasis.market_data ({TRADE_COLUMNS}) FROM STDIN") as copy,
        ):
            for row in self.rows:
                copy.write_row(row)


Step = Statement | Copy


@dataclass(frozen=True)
class Transaction:
    steps: tuple[Step, ...]
    zone: str = "UTC"
    committed: bool = True


def values(rows: Sequence[Trade], *more: str) -> str:
    """VALUES with one typed list of placeholders a row, and what else each row has."""
    casts = [f"%s::{t}" for t in [*TRADE_TYPES.split(", "), *more]]
    return "VALUES " + ", ".join([f"({', '.join(casts)})"] * len(rows))


def flat(rows: Sequence[Sequence[Any]]) -> tuple[Any, ...]:
    return tuple(value for row in rows for value in row)


Condition = tuple[str, tuple[Any, ...]]
"""What stands after WHERE, and its parameters."""

INSERT = f"INSERT INTO entasis.market_data ({TRADE_COLUMNS})"


def inserted(rows: tuple[Trade, ...]) -> Step:
    return Statement(f"{INSERT} {values(rows)}", flat(rows))


def inserted_if_new(rows: tuple[Trade, ...]) -> Step:
    return Statement(f"{INSERT} {values(rows)} ON CONFLICT DO NOTHING", flat(rows))


def upserted(rows: tuple[Trade, ...], how: str) -> Step:
    return Statement(
        f"{INSERT.replace(' (', ' AS t (', 1)} {values(rows)}"
        f" ON CONFLICT (symbol, exchange, timestamp, id) DO UPDATE SET {how}",
        flat(rows),
    )


def merged(rows: tuple[Trade, ...], orders: list[str]) -> Step:
    orders = orders[: len(rows)]
    rows = rows[: len(orders)]
    return Statement(
        "MERGE INTO entasis.market_data AS t"
        f" USING ({values(rows, 'text')}) AS s ({TRADE_COLUMNS}, what)"
        " ON (t.symbol, t.exchange, t.timestamp, t.id)"
        " = (s.symbol, s.exchange, s.timestamp, s.id)"
        " WHEN MATCHED AND s.what = 'delete' THEN DELETE"
        " WHEN MATCHED AND s.what = 'nothing' THEN DO NOTHING"
        " WHEN MATCHED AND s.what = 'move'"
        " THEN UPDATE SET timestamp = s.timestamp + interval '1 minute', price = s.price"
        " WHEN MATCHED AND s.what = 'rename' THEN UPDATE SET id = s.id + 4, volume = s.volume"
        " WHEN MATCHED AND s.what = 'side' THEN UPDATE SET side = s.side"
        " WHEN MATCHED THEN UPDATE SET price = s.price, volume = s.volume"
        " WHEN NOT MATCHED AND s.what <> 'nothing'"
        f" THEN INSERT ({TRADE_COLUMNS})"
        f" VALUES (s.{', s.'.join(TRADE_COLUMNS.split(', '))})",
        flat([(*row, order) for row, order in zip(rows, orders, strict=True)]),
    )


def updated(how: str, where: Condition) -> Step:
    return Statement(f"UPDATE entasis.market_data AS t SET {how} WHERE {where[0]}", where[1])


def deleted(where: Condition) -> Step:
    return Statement(f"DELETE FROM entasis.market_data AS t WHERE {where[0]}", where[1])


def moved_by_hand(where: Condition, step: str) -> Step:
    return Statement(
        f"WITH gone AS (DELETE FROM entasis.market_data AS t WHERE {where[0]} RETURNING t.*)"
        f" {INSERT} SELECT g.id, g.symbol, g.exchange, g.timestamp + interval '{step}',"
        " g.price + 1, g.volume, g.side, g.source_id, g.excluded FROM gone AS g",
        where[1],
    )


def inserted_twice(one: tuple[Trade, ...], other: tuple[Trade, ...]) -> Step:
    return Statement(
        f"WITH a AS ({INSERT} {values(one)} ON CONFLICT DO NOTHING)"
        f" {INSERT} {values(other)} ON CONFLICT DO NOTHING",
        flat(one) + flat(other),
    )


def all_at_once(
    rows: tuple[Trade, ...],
    how: str,
    where: Condition,
    other: Condition,
) -> Step:
    # What two parts do to one row is not defined, but the candles must follow whatever it is.
    return Statement(
        f"WITH d AS (DELETE FROM entasis.market_data AS t WHERE {where[0]}),"
        f" u AS (UPDATE entasis.market_data AS t SET {how} WHERE {other[0]})"
        f" {INSERT} {values(rows)} ON CONFLICT DO NOTHING",
        where[1] + other[1] + flat(rows),
    )


CHANGES = st.sampled_from(
    [
        "price = t.price + 1",
        "price = 10, volume = 1",
        "volume = t.volume * 2",
        "created_at = now()",
        "price = t.price",
        "side = 'buy'",
        "excluded = 'confirmed_bad'",
        "excluded = NULL",
        "excluded = CASE WHEN t.id < 3 THEN 'adl' END, price = 10",
        "side = CASE WHEN t.id < 3 THEN 'sell' END",
        "side = 'sell', volume = t.volume + 1",
        "timestamp = t.timestamp + interval '1 microsecond'",
        "timestamp = t.timestamp - interval '1 microsecond'",
        "timestamp = t.timestamp + interval '1 minute'",
        "timestamp = t.timestamp - interval '1 hour', price = t.price + 1",
        "timestamp = t.timestamp + interval '24 hours'",
        # to another partition and back
        "timestamp = t.timestamp + interval '744 hours' * "
        "CASE WHEN t.timestamp < '2025-02-01 00:00:00+00' THEN 1 ELSE -1 END",
        "symbol = CASE t.symbol WHEN 'BTC' THEN 'ETH' ELSE 'BTC' END",
        "exchange = CASE t.exchange WHEN 'one' THEN 'two' ELSE 'one' END, volume = 1",
        "id = t.id + 100",
        "id = 1000 - t.id",
    ]
)
UPSERTS = st.sampled_from(
    [
        "price = excluded.price, volume = excluded.volume",
        "volume = t.volume + excluded.volume",
        "price = excluded.price WHERE t.price <> excluded.price",
        "price = excluded.price WHERE false",
        "id = excluded.id + 10",
        "side = 'buy'",
        "price = excluded.price, excluded = excluded.excluded",
    ]
)


def conditions(time: st.SearchStrategy[datetime]) -> st.SearchStrategy[Condition]:
    """Which trades a statement is about: all, none, or those of an id, a time or a market."""
    markets = st.tuples(st.sampled_from(SYMBOLS), st.sampled_from(EXCHANGES))
    return st.one_of(
        st.just(("true", ())),
        st.just(("false", ())),
        st.tuples(st.just("t.id = %s"), st.tuples(st.integers(1, 4))),
        st.tuples(st.just("t.timestamp = %s"), st.tuples(time)),
        st.tuples(st.just("t.timestamp >= %s"), st.tuples(time)),
        st.tuples(
            st.just("t.timestamp >= %s AND t.timestamp < %s::timestamptz + interval '1 minute'"),
            time.map(lambda t: (t, t)),
        ),
        st.tuples(st.just("t.symbol = %s AND t.exchange = %s"), markets),
        st.tuples(
            st.just("t.symbol = %s AND t.exchange = %s AND t.id <= %s"),
            st.tuples(st.sampled_from(SYMBOLS), st.sampled_from(EXCHANGES), st.integers(1, 3)),
        ),
    )


def steps(
    trade: st.SearchStrategy[Trade],
    condition: st.SearchStrategy[Condition],
    *,
    copy: bool,
    merge_moves: bool,
    merges: bool,
) -> st.SearchStrategy[Step]:
    """Statements of every kind, in savepoints or not."""
    trades = st.lists(trade, min_size=1, max_size=8).map(tuple)
    # one row a key, where a statement may not touch a row twice
    distinct = st.lists(trade, min_size=1, max_size=8, unique_by=lambda t: t[:4]).map(tuple)
    kinds: list[st.SearchStrategy[Step]] = [
        st.builds(inserted, distinct),
        st.builds(inserted_if_new, trades),
        st.builds(upserted, distinct, UPSERTS),
        st.builds(updated, CHANGES, condition),
        st.builds(deleted, condition),
        st.builds(moved_by_hand, condition, st.sampled_from(["1 second", "1 minute", "1 hour"])),
        st.builds(inserted_twice, trades, trades),
    ]
    if merges:
        moves = ["move"] if merge_moves else []
        orders = st.sampled_from(["write", "delete", "rename", "side", "nothing", *moves])
        kinds += [
            st.builds(all_at_once, trades, CHANGES, condition, condition),
            st.builds(merged, distinct, st.lists(orders, min_size=1, max_size=8)),
        ]
    if copy:
        kinds.append(st.builds(Copy, distinct))
    return st.builds(
        lambda s, in_savepoint, undone: type(s)(
            **{**vars(s), "in_savepoint": in_savepoint or undone, "undone": undone}
        ),
        st.one_of(kinds),
        st.booleans(),
        st.sampled_from([False, False, False, True]),
    )


@st.composite
def histories(
    draw: st.DrawFn, *, copy: bool = False, merge_moves: bool = True, merges: bool = True
) -> list[Transaction]:
    """Transactions over few markets, times and ids, so that trades meet each other often.

    Without merges, there is only what both engines take, and what has one outcome.
    """
    times = draw(
        st.lists(
            st.builds(lambda b, a: b + a, st.sampled_from(BORDERS), st.sampled_from(AROUND)),
            min_size=1,
            max_size=6,
            unique=True,
        )
    )
    time = st.sampled_from(times)
    trade = st.builds(
        lambda i, m, t, p, v, s, e: (i, *m, t, p, v, s, None, e),
        st.integers(1, 4),
        st.tuples(st.sampled_from(SYMBOLS), st.sampled_from(EXCHANGES)),
        time,
        st.sampled_from(PRICES),
        st.sampled_from(VOLUMES),
        st.sampled_from([None, "buy", "sell"]),
        st.sampled_from([None, None, None, "adl"]),
    )
    step = steps(trade, conditions(time), copy=copy, merge_moves=merge_moves, merges=merges)
    first = st.builds(inserted_if_new, st.lists(trade, min_size=1, max_size=8).map(tuple))
    return draw(
        st.lists(
            st.builds(
                Transaction,
                # something to work on comes first, and is not in a savepoint
                st.tuples(first, st.lists(step, min_size=0, max_size=4)).map(
                    lambda s: (s[0], *s[1])
                ),
                st.sampled_from(ZONES),
                st.sampled_from([True, True, True, False]),
            ),
            min_size=1,
            max_size=5,
        )
    )


# Two rows of a statement may want the same key, and then PostgreSQL refuses the whole statement.
# A hypertable takes no MERGE that changes rows, and none of its rows goes to another chunk.
REFUSED = (
    errors.UniqueViolation,
    errors.CardinalityViolation,
    errors.FeatureNotSupported,
    errors.CheckViolation,
)


def run(connection: Connection, transaction: Transaction) -> None:
    """Run a transaction as a client would; what the server refuses leaves nothing behind."""
    try:
        with connection.transaction(force_rollback=not transaction.committed):
            connection.execute("SELECT set_config('TimeZone', %s, true)", [transaction.zone])
            for step in transaction.steps:
                if not step.in_savepoint:
                    step.run(connection)
                    continue
                try:
                    with connection.transaction(force_rollback=step.undone):
                        step.run(connection)
                except REFUSED:
                    event("a savepoint took the error")
    except REFUSED:
        event("the transaction failed")
