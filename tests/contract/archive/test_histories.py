"""Random histories of writes, archive runs, drops and restores: no accepted row is lost."""

import contextlib
import secrets
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import errors

from entasis_db.archive import Store, archive, open_store, restore
from entasis_db.errors import ArchiveError, StoreError
from entasis_db.maintenance import maintain
from entasis_db.model import OptionQuote, Trade
from tests import make, oracle
from tests.contract.archive.support import (
    FAULTS,
    FIRST,
    MONTHS,
    NOW,
    RELATIONS,
    VAST,
    Faulty,
    Rows,
    all_rows,
    assert_no_orphans,
    everything,
    mortal,
    normal,
    quotes,
    several,
    trades,
    wait_for_the_dead,
)
from tests.db import Connection, KilledError, health
from tests.engines import Database, Server
from tests.make import months_ago
from tests.s3 import S3Server

pytestmark = [pytest.mark.copy, pytest.mark.newest_server]

faults = st.none() | st.tuples(
    st.sampled_from([*FAULTS, ("discard", "kill before"), ("discard", "kill after")]),
    st.integers(1, 3),
)

kills = st.none() | st.integers(1, 150)

steps = st.one_of(
    st.tuples(st.just("trades"), st.lists(trades, max_size=5)),
    st.tuples(st.just("quotes"), st.lists(quotes, max_size=3)),
    st.tuples(st.just("correct"), st.sampled_from(MONTHS)),
    st.tuples(st.just("delete"), st.sampled_from(MONTHS)),
    st.tuples(st.just("keep"), st.integers(1, 6), st.integers(0, 6)),
    st.tuples(st.just("archive"), faults, kills, st.lists(trades, max_size=2)),
    st.tuples(st.just("maintain"), st.booleans(), kills),
    st.tuples(st.just("restore"), st.sampled_from(RELATIONS), kills),
    st.tuples(st.just("release")),
)


class World:
    """A database with its archive, and what was ever accepted by it."""

    def __init__(self, database: Database, connection: Connection, store: Store, folder: Path):
        self.database = database
        self.connection = connection
        self.store = store
        self.folder = folder
        self.trades: dict[oracle.TradeKey, tuple[Decimal, Decimal]] = {}
        self.quotes: dict[tuple[datetime, int], Decimal | None] = {}

    def insert_trades(self, found: list[Trade]) -> None:
        for trade in found:
            with contextlib.suppress(errors.CheckViolation):  # below the floor
                with self.connection.transaction():
                    self.connection.execute(
                        "SELECT entasis.ensure_partitions('market_data', %s, %s)",
                        [trade.timestamp, trade.timestamp + timedelta(minutes=1)],
                    )
                    stored = self.connection.execute(
                        "INSERT INTO entasis.market_data (id, symbol, exchange, timestamp, price,"
                        " volume, side, source_id, excluded)"
                        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                        trade,
                    ).rowcount
                if stored:
                    key = trade.symbol, trade.exchange, trade.timestamp, trade.id
                    self.trades[key] = (trade.price, trade.volume)

    def insert_quotes(self, found: list[OptionQuote]) -> None:
        for q in found:
            with contextlib.suppress(errors.CheckViolation):
                with self.connection.transaction():
                    self.connection.execute(
                        "SELECT entasis.ensure_partitions('option_data', %s, %s)",
                        [q.timestamp, q.timestamp + timedelta(minutes=1)],
                    )
                    stored = self.connection.execute(
                        "INSERT INTO entasis.option_data (id, underlying, strike_price,"
                        " expiry_date, option_type, timestamp, gamma)"
                        " VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                        [
                            q.id,
                            q.underlying,
                            q.strike_price,
                            q.expiry_date,
                            q.option_type,
                            q.timestamp,
                            q.gamma,
                        ],
                    ).rowcount
                if stored:
                    self.quotes[q.timestamp, q.id] = q.gamma

    def change(self, back: int, statement: str) -> None:
        with contextlib.suppress(errors.CheckViolation):
            changed = self.connection.execute(
                f"{statement} WHERE timestamp >= %s AND timestamp < %s"
                " RETURNING symbol, exchange, timestamp, id, price, volume".encode(),
                [months_ago(back), months_ago(back - 1)],
            ).fetchall()
            for symbol, exchange, time, number, price, volume in changed:
                key = (symbol, exchange, time.astimezone(UTC), number)
                if statement.startswith("DELETE"):
                    del self.trades[key]
                else:
                    self.trades[key] = (price, volume)

    def run(self, kill_at: int | None, step: Any) -> None:
        """Run a step, in a process that may die."""
        kind = psycopg.Connection if kill_at is None else mortal(kill_at)
        connected = kind.connect(self.database.dsn, autocommit=True)
        try:
            with contextlib.suppress(KilledError, StoreError):
                step(connected)
        finally:
            connected.pgconn.finish()
        wait_for_the_dead(self.connection)

    def archive(self, fault: Any, kill_at: int | None, arriving: list[Trade]) -> None:
        store: Any = self.store
        if fault is not None:
            (call, kind), at = fault
            store = Faulty(self.store, call, kind, at)
        waiting = [arriving] if arriving else []

        def progress(event: Any) -> None:
            if waiting and "comparing" in event.step:
                self.insert_trades(waiting.pop())

        self.run(kill_at, lambda c: archive(c, store, progress))

    def maintain(self, as_owner: bool, kill_at: int | None) -> None:
        if as_owner:
            self.run(kill_at, maintain)
        else:
            self.run(kill_at, lambda c: c.execute("CALL entasis.maintain()"))

    def restore(self, relation: str, kill_at: int | None) -> None:
        def step(connection: Connection) -> None:
            with contextlib.suppress(ArchiveError):
                restore(connection, self.store, relation, FIRST, NOW, attach=True)

        self.run(kill_at, step)

    def expected(self) -> Rows:
        candle_rows = {
            f"ohlcv_{level}": [(*k, *c) for k, c in oracle.candles(self.trades, level).items()]
            for level in oracle.STORED
        }
        return normal(
            {
                "market_data": [(*key, *values) for key, values in self.trades.items()],
                "option_data": [
                    (
                        *("ETH", months_ago(0), Decimal("3000.50"), "put", *k),
                        *(None, None, g, None, None),
                        *[None] * 8,
                    )
                    for k, g in self.quotes.items()
                ],
                **candle_rows,
            }
        )

    def check(self, rows: Rows) -> None:
        # created_at is not known to the model
        rows = {**rows, "market_data": [row[:6] for row in rows["market_data"]]}
        assert normal(rows) == self.expected()


def set_keep(connection: Connection, raw: int, more: int) -> None:
    """Keep trades and quotes so many months, and candles some more."""
    connection.execute(
        "UPDATE entasis.keep_periods SET archived = true, keep = make_interval(months =>"
        " CASE WHEN relation LIKE 'ohlcv%%' THEN %s ELSE %s END)",
        [raw + more, raw],
    )


@pytest.mark.one_role
@several
@given(keep=st.integers(1, 6), played=st.lists(steps, min_size=3, max_size=12))
@pytest.mark.long
def test_every_row_that_was_accepted_is_there_exactly_once(
    server: Server,
    s3: S3Server,
    tmp_path_factory: pytest.TempPathFactory,
    keep: int,
    played: list[tuple[Any, ...]],
) -> None:
    with server.database() as lent, lent.connect() as connected:
        store = open_store(s3.url(secrets.token_hex(6)))
        world = World(lent, connected, store, tmp_path_factory.getbasetemp())

        set_keep(connected, keep, 1)
        huge = make.trade(0, symbol="A", timestamp=months_ago(7), price=VAST, volume=VAST)
        world.insert_trades([huge])
        for step, *values in played:
            match step:
                case "trades":
                    world.insert_trades(*values)
                case "quotes":
                    world.insert_quotes(*values)
                case "correct":
                    world.change(*values, "UPDATE entasis.market_data SET volume = 2")
                case "delete":
                    world.change(*values, "DELETE FROM entasis.market_data")
                case "keep":
                    set_keep(connected, *values)
                case "archive":
                    world.archive(*values)
                case "maintain":
                    world.maintain(*values)
                case "restore":
                    world.restore(*values)
                case "release":
                    connected.execute("UPDATE entasis.restores SET held_until = now()")
                    connected.execute("DELETE FROM entasis.restores WHERE attached_at IS NULL")
            if step in ("archive", "maintain", "restore"):
                oracle.refresh(connected)
                world.check(all_rows(connected, store, world.folder))

        oracle.refresh(connected)
        # undisturbed, everything that is past its keep period goes, and all of it comes back
        world.archive(None, None, [])
        connected.execute(
            "UPDATE entasis.restores SET held_until = now() WHERE attached_at < now()"
        )
        world.maintain(True, None)
        world.check(all_rows(connected, store, world.folder))
        assert_no_orphans(connected, s3, store)
        for relation in RELATIONS:
            assert health(connected, relation)["waiting_for_archive"] == 0
            assert health(connected, relation)["gone_without_archive"] == []
            world.restore(relation, None)
        world.check(everything(connected))
