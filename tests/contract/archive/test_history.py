"""Two years, of which three months are live, are one answer: what was ever current."""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

import psycopg
import pytest

from entasis_db import history, queries
from entasis_db.archive import Store, archive, open_store, restore
from entasis_db.ingest import ingest_options, ingest_trades
from entasis_db.maintenance import maintain
from entasis_db.model import OptionQuote, Trade
from entasis_db.reopening import reopen
from tests import oracle
from tests.conftest import Login
from tests.contract.archive.support import VAST, quote
from tests.contract.floors.test_reopen import end_the_keep
from tests.contract.retention.support import keep
from tests.db import Connection, discard
from tests.make import months_ago

pytestmark = [pytest.mark.copy, pytest.mark.newest_server, pytest.mark.native_speed]

MONTHS = 24
START, END = months_ago(MONTHS), months_ago(-1)  # a week may begin before its month
MARKETS = (("BTC", "spot"), ("XBT", "inverse"))
SIZE = Decimal("0.1")


def made() -> list[Trade]:
    """Some trades a month of each market, two of them of one moment, and some at a week's edge."""
    found = []
    for back in range(MONTHS):
        for market, (symbol, exchange) in enumerate(MARKETS):
            for number, day in enumerate((0, 9, 9, 18, 26)):
                time = months_ago(back) + timedelta(days=day, minutes=7 * back, microseconds=back)
                if time > datetime.now(UTC):
                    continue
                huge = (back, number, market) == (MONTHS - 2, 0, 0)
                found.append(
                    Trade(
                        id=number,
                        symbol=symbol,
                        exchange=exchange,
                        timestamp=time,
                        price=VAST if huge else Decimal(f"{60 + back}.{number + 1}"),
                        volume=VAST if huge else Decimal(number + 1) / 8,
                        side=(None, "buy", "sell")[number % 3],
                        source_id=(None, '0a1b-Ü,"1')[number % 2],
                        excluded=("adl", None)[number != 3],
                    )
                )
    return found


class World:
    """The database, its archive, and a model of what is current."""

    def __init__(self, connection: Connection, reader: Connection, store: Store) -> None:
        self.connection = connection
        self.reader = reader
        self.store = store
        self.trades = {(t.symbol, t.exchange, t.timestamp, t.id): t for t in made()}
        self.quotes = [
            quote(months_ago(back) + timedelta(days=3), n, gamma=Decimal(back) / 16)
            for back in reversed(range(MONTHS))
            for n in range(2)
            if months_ago(back) + timedelta(days=3) < datetime.now(UTC)
        ]

    def load(self) -> None:
        trades = [*self.trades.values()]
        ingest_trades(self.connection, trades, source="made", id_space="ordinal")
        ingest_options(self.connection, self.quotes, source="made")
        self.connection.execute(
            "UPDATE entasis.markets SET kind = 'spot', volume_unit = 'base' WHERE symbol = 'BTC'"
        )
        self.connection.execute(
            "UPDATE entasis.markets SET kind = 'inverse_perpetual', contract_size = %s,"
            " volume_unit = 'contracts' WHERE symbol = 'XBT'",
            [SIZE],
        )
        oracle.refresh(self.connection)

    def correct(self, time: datetime, price: Decimal) -> None:
        """Correct what was traded at a time, on every market."""
        changed = self.connection.execute(
            "UPDATE entasis.market_data SET price = %s WHERE timestamp = %s"
            " RETURNING symbol, exchange, id",
            [price, time],
        ).fetchall()
        assert changed
        for symbol, exchange, number in changed:
            key = (symbol, exchange, time, number)
            self.trades[key] = self.trades[key]._replace(price=price)

    def expected_candles(self, level: str, symbol: str) -> list[queries.Candle]:
        counted = {k: (t.price, t.volume) for k, t in self.trades.items() if t.excluded is None}
        relation = oracle.SOURCE.get(level, f"ohlcv_{level}")
        found = []
        with localcontext() as context:
            context.prec = 200
            for key, candle in sorted(oracle.candles(counted, level).items()):
                if key[0] == symbol and self.is_known(level, relation, key[2]):
                    turnover = candle.quote_volume if symbol == "BTC" else candle.volume * SIZE
                    found.append(queries.Candle(*key, *candle, turnover=turnover))
        return found

    def is_known(self, level: str, relation: str, start: datetime) -> bool:
        """Whether each day of a bucket is above the floor, or in some archive."""
        if level not in oracle.DERIVED:
            return True
        ends = {"1w": start + timedelta(days=7), "1mo": (start + timedelta(days=31)).replace(day=1)}
        end = ends.get(level, start + timedelta(minutes=5))
        (lost,) = self.connection.execute(
            "SELECT bool_or(d.day < f.floor AND NOT EXISTS (SELECT FROM entasis.archives AS a"
            " WHERE a.relation = f.relation AND a.from_time <= d.day AND a.to_time > d.day))"
            " FROM generate_series(%s, %s - interval '1 minute', interval '1 day') AS d (day)"
            " JOIN entasis.floors AS f ON f.relation = %s",
            [start, end, relation],
        ).fetchone() or (None,)
        return not lost

    def check(self, *levels: queries.Interval) -> None:
        for symbol, exchange in MARKETS:
            wanted = [t for _, t in sorted(self.trades.items()) if t.symbol == symbol]
            asked = history.trades(symbol, exchange, START, END)
            assert asked.fetch(self.reader, self.store) == wanted
            for level in levels or ("1m", "1h", "1d", "1w"):
                candles = history.candles(symbol, exchange, level, START, END)
                assert candles.fetch(self.reader, self.store) == self.expected_candles(
                    level, symbol
                ), level
        assert self.chain().fetch(self.reader, self.store) == self.quotes

    def chain(self) -> history.History[OptionQuote]:
        one = self.quotes[0]
        return history.option_history(
            one.underlying, one.expiry_date, one.strike_price, one.option_type, START, END
        )

    def sources(self, relation: str = "market_data") -> set[str]:
        asked = {
            "market_data": history.trades(*MARKETS[0], START, END),
            "option_data": self.chain(),
        }
        return {one.source for one in asked[relation].ranges(self.reader)}


@pytest.fixture
def world(connection: Connection, login: Login, tmp_path: Path) -> World:
    reader = login("entasis_reader")
    world = World(connection, reader, open_store((tmp_path / "store").as_uri()))
    discard(connection, False)
    keep(
        connection,
        market_data="2 months",
        option_data="18 months",
        ohlcv_1m="2 months",
        ohlcv_1h="20 months",
        ohlcv_1d="14 months",
    )
    return world


def test_two_years_of_which_three_months_are_live(world: World) -> None:
    connection, store = world.connection, world.store
    world.load()
    world.check()
    archive(connection, store)
    world.check()
    assert world.sources() == {"relation"}

    # corrected after it was archived: neither dropped nor read from there
    late = months_ago(7) + timedelta(days=9, minutes=49, microseconds=7)
    world.correct(late, Decimal(7))
    oracle.refresh(connection)
    maintain(connection)
    world.check()
    archive(connection, store)
    maintain(connection)
    assert world.sources() == world.sources("option_data") == {"unknown", "archive", "relation"}
    assert connection.execute("SELECT count(*) FROM entasis.market_data").fetchone() < (40,)
    world.check(*queries.INTERVALS)

    back_and_gone_again(world)
    check_arrow(world)


def back_and_gone_again(world: World) -> None:
    """Restore, reopen, write, archive and drop again."""
    connection, store = world.connection, world.store
    # restored beside the relation, and into it
    (beside,) = restore(connection, store, "market_data", *archived(world, "market_data"))
    minutes = archived(world, "ohlcv_1m")
    assert restore(connection, store, "ohlcv_1m", *minutes, attach=True)
    world.check("1m", "5m")
    connection.execute("SELECT entasis.drop_restored(%s)", [beside.table])

    opened = months_ago(7)
    write_into_reopened(world, opened)
    world.check("1m", "1h", "1d", "1mo")

    # archived again, and dropped again
    end_the_keep(connection)
    again = archive(connection, store)
    assert "market_data" in {one.relation for one in again}
    world.check()
    maintain(connection)
    world.check("1m", "15m", "4h", "1d", "1mo")
    with closing(connection.cursor()) as cursor:
        cursor.execute(
            "SELECT FROM entasis.market_data WHERE timestamp >= %s AND timestamp < %s",
            [opened, opened + timedelta(days=1)],
        )
        assert cursor.rowcount == 0


def archived(world: World, relation: str) -> tuple[datetime, datetime]:
    """The bounds of an archived range in the middle."""
    found = world.connection.execute(
        "SELECT from_time, to_time FROM entasis.archives WHERE relation = %s AND from_time > %s"
        " ORDER BY from_time LIMIT 1",
        [relation, months_ago(10)],
    ).fetchone()
    assert found is not None
    return found[0], found[1]


def write_into_reopened(world: World, opened: datetime) -> None:
    """Open a day for one market: what is written there counts, and nothing twice."""
    connection, store = world.connection, world.store
    reopen(
        connection,
        "market_data",
        opened,
        opened + timedelta(days=1),
        symbol=MARKETS[0][0],
        exchange=MARKETS[0][1],
        store=store,
    )
    world.check()
    time = opened + timedelta(hours=3)
    added = Trade(9, *MARKETS[0], time, Decimal("61.5"), Decimal(2))
    ingest_trades(connection, [added], source="late", id_space="ordinal")
    world.trades[added.symbol, added.exchange, added.timestamp, added.id] = added
    gone = connection.execute(
        "DELETE FROM entasis.market_data WHERE timestamp >= %s AND timestamp < %s AND symbol = %s"
        " AND id = 0 RETURNING symbol, exchange, timestamp, id",
        [opened, opened + timedelta(days=1), MARKETS[0][0]],
    ).fetchall()
    assert len(gone) == 1
    for symbol, exchange, when, number in gone:
        del world.trades[symbol, exchange, when.astimezone(UTC), number]
    oracle.refresh(connection)


def check_arrow(world: World) -> None:
    """Columns are what rows are, and the schema is that of the named query."""
    for asked in (
        history.trades(*MARKETS[0], START, END),
        world.chain(),
        history.candles(*MARKETS[1], "1d", START, END),
        history.candles(*MARKETS[0], "30m", START, END),
    ):
        rows: list[Any] = asked.fetch(world.reader, world.store)
        table = asked.arrow(world.reader, world.store)
        assert table.schema.equals(asked.arrow_schema())
        names = [name for name in table.column_names if not name.endswith("_text")]
        found = [
            tuple(
                Decimal(one[f"{name}_text"]) if one.get(f"{name}_text") else one[name]
                for name in names
            )
            for one in table.to_pylist()
        ]
        assert found == [tuple(getattr(row, name) for name in names) for row in rows]
        floats = asked.arrow(world.reader, world.store, floats=True)
        assert floats.schema.equals(asked.arrow_schema(floats=True))
        for name in floats.column_names:
            if str(floats.schema.field(name).type) == "double":
                wanted = [getattr(row, name) for row in rows]
                assert floats.column(name).to_pylist() == [
                    None if value is None else float(value) for value in wanted
                ]
    assert world.reader.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
