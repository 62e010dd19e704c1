"""What the archive's tests share: months of rows, and how to compare what is stored with them."""

import dataclasses
import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pyarrow.parquet as pq
import pytest
from hypothesis import strategies as st

from entasis_db.archive import Store, layout
from entasis_db.errors import StoreError
from entasis_db.ingest import ingest_options, ingest_trades
from entasis_db.model import OptionQuote, Trade
from entasis_db.store import PROBE
from tests import oracle
from tests.contract.retention.test_maintenance import TRADES_OF
from tests.db import Connection, KilledError, discard, later, one
from tests.make import months_ago
from tests.s3 import S3Server

several = pytest.mark.several_connections


RELATIONS = ("market_data", "option_data", "ohlcv_1m", "ohlcv_1h", "ohlcv_1d")

FIRST = datetime(2009, 1, 1, tzinfo=UTC)

NOW = datetime.now(UTC)

HUGE = Decimal("999999999999.123456789012")
# of a price or volume; its sum does not fit DECIMAL(38, 18), its square not DECIMAL(38, 24)
VAST = Decimal("99999999999999999999.123456789012345678")


def quote(time: datetime, number: int, **values: Decimal | None) -> OptionQuote:
    return OptionQuote(
        underlying="ETH",
        strike_price=Decimal("3000.50"),
        expiry_date=months_ago(0),
        option_type="put",
        timestamp=time,
        id=number,
        **values,
    )


def fill(connection: Connection) -> None:
    """Trades and quotes of several months, some of them past their keep period."""
    mark(connection, archived=False)
    trades = [
        Trade(
            symbol=symbol,
            exchange="x",
            timestamp=months_ago(back) + timedelta(days=day),
            id=day,
            price=Decimal(day + 1),
            volume=Decimal(back),
            side=(None, "buy", "sell")[day],
            source_id=(None, "0a1b-Ü,1")[day % 2],
        )
        for back in TRADES_OF
        for day in range(3)
        for symbol in ("BTC", "Ünï, \"c'ode")
    ]
    # a minute whose volume and quote volume no decimal of Parquet holds
    trades += [
        Trade(symbol="HUGE", exchange="x", timestamp=months_ago(14), id=n, price=VAST, volume=VAST)
        for n in range(3)
    ]
    ingest_trades(connection, trades, source="fill", id_space="ordinal")
    quotes = [
        quote(months_ago(5), 0, iv=Decimal("0.65"), gamma=Decimal("0.000000000000000001")),
        quote(months_ago(5), 1, delta=Decimal("-1.50"), theta=-HUGE, vega=Decimal(0)),
        quote(
            months_ago(5),
            2,
            bid_price=VAST,
            ask_price=Decimal("0.0705"),
            mark_price=Decimal("1E-18"),
            bid_iv=Decimal(0),
            ask_iv=Decimal("0.66"),
            underlying_price=Decimal("2003.61"),
            open_interest=Decimal("12685.0"),
            rho=Decimal("-3.80566"),
        ),
        quote(months_ago(1), 0),
    ]
    ingest_options(connection, quotes, source="fill")
    oracle.refresh(connection)


def mark(connection: Connection, archived: bool = True) -> None:
    discard(connection, not archived)


def prefix(store: Store) -> str:
    return store.location.rpartition("/")[2]


Rows = dict[str, list[tuple[Any, ...]]]


def live(connection: Connection, relation: str) -> list[tuple[Any, ...]]:
    columns = ", ".join(layout.LAYOUTS[relation].stored)
    return sorted(
        connection.execute(f"SELECT {columns} FROM entasis.{relation}").fetchall(), key=repr
    )


def everything(connection: Connection) -> Rows:
    return {relation: live(connection, relation) for relation in RELATIONS}


def stored(connection: Connection, store: Store, folder: Path, where: str) -> Rows:
    """Read what the archives of the manifest hold, from the store."""
    found: Rows = {relation: [] for relation in RELATIONS}
    for relation, key in connection.execute(
        "SELECT a.relation, o.key FROM entasis.archives AS a"
        " JOIN entasis.archive_objects AS o ON a.id = o.archive_id"
        f" WHERE a.superseded_at IS NULL AND {where}"
    ).fetchall():
        file = folder / "object.parquet"
        store.get(key, file)
        for row in pq.read_table(file).to_pylist():
            for name in ("volume", "quote_volume"):
                if (exact := row.pop(f"{name}_text", None)) is not None:
                    row[name] = Decimal(exact)
            found[relation].append(tuple(row.values()))
    return found


def all_rows(connection: Connection, store: Store, folder: Path) -> Rows:
    """Read what is live, and what was archived and dropped and is not back."""
    gone = stored(
        connection,
        store,
        folder,
        "a.dropped_at IS NOT NULL AND NOT EXISTS (SELECT FROM entasis_internal.partitions_of("
        "a.relation) AS p LEFT JOIN pg_inherits AS i ON p.partition_oid = i.inhrelid"
        " WHERE p.from_time < a.to_time AND p.to_time > a.from_time"
        " AND i.inhdetachpending IS NOT TRUE)",
    )
    found = {r: rows + gone[r] for r, rows in everything(connection).items()}
    for relation, table in connection.execute(LEFT_DETACHED).fetchall():
        columns = ", ".join(layout.LAYOUTS[relation].stored)
        found[relation] += connection.execute(
            f"SELECT {columns} FROM entasis_internal.{table}"
        ).fetchall()
    return {relation: sorted(rows, key=repr) for relation, rows in found.items()}


# What a run that was killed detached and did not drop yet: the next one will, or attach it again.
# (Were its archive the record of an earlier drop, it would be counted there.)
LEFT_DETACHED = """
    SELECT s.relation, s.partition_name
    FROM entasis_internal.known_partitions AS s
    JOIN pg_class AS c
        ON c.relnamespace = 'entasis_internal'::regnamespace AND c.relname = s.partition_name
    LEFT JOIN pg_inherits AS i ON c.oid = i.inhrelid
    WHERE i.inhdetachpending IS NOT FALSE AND NOT EXISTS (
        SELECT FROM entasis.archives AS a
        WHERE a.relation = s.relation AND a.from_time = s.from_time AND a.to_time = s.to_time
            AND a.dropped_at IS NOT NULL
    )
"""


def normal(rows: Rows) -> Rows:
    """Numbers without trailing zeros and times in UTC, so that equal ones look equal."""

    def plain(value: Any) -> Any:
        match value:
            case Decimal():
                return f"{value.normalize(oracle_context):f}" if value else "0"
            case datetime():
                return value.astimezone(UTC)
        return value

    return {
        relation: sorted((tuple(map(plain, row)) for row in found), key=repr)
        for relation, found in rows.items()
    }


with oracle.localcontext() as oracle_context:
    oracle_context.prec = 200


def assert_no_orphans(connection: Connection, s3: S3Server, store: Store) -> None:
    keys = {row[0] for row in connection.execute("SELECT key FROM entasis.archive_objects")}
    assert s3.objects(prefix(store)).keys() == keys


CHANGES = {
    "inserted": (
        "INSERT INTO entasis.market_data (symbol, exchange, timestamp, id, price, volume)"
        " SELECT symbol, exchange, timestamp, 77, price, volume"
        " FROM entasis.market_data WHERE timestamp = %s LIMIT 1"
    ),
    "deleted": "DELETE FROM entasis.market_data WHERE timestamp = %s AND symbol = 'BTC'",
    "corrected": (
        "UPDATE entasis.market_data SET price = price + 0.000000000001"
        " WHERE timestamp = %s AND symbol = 'BTC'"
    ),
    "only its side": (
        "UPDATE entasis.market_data SET side = 'sell' WHERE timestamp = %s AND symbol = 'BTC'"
    ),
    "only when it was stored": (
        f"UPDATE entasis.market_data SET created_at = {later('created_at', '1 microsecond')}"
        " WHERE timestamp = %s AND symbol = 'BTC'"
    ),
}


def mortal(kill_at: int) -> type[Connection]:
    """Make a connection that is lost right before its exchange of that number with the server."""
    count = 0

    class Mortal(psycopg.Connection[Any]):
        def wait(self, *args: Any, **kwargs: Any) -> Any:
            nonlocal count
            count += 1
            if count == kill_at and not self.closed:
                self.pgconn.finish()
            if count >= kill_at:
                raise KilledError
            return super().wait(*args, **kwargs)

    return Mortal


def wait_for_the_dead(connection: Connection) -> None:
    """Wait until the server has noticed that the other connection is gone."""
    for _ in range(1500):
        if not one(
            connection,
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
            # a node's, which stays for the next session
            " AND application_name NOT LIKE 'citus_internal%'",
        ):
            return
        threading.Event().wait(0.01)
    raise AssertionError("the server still has the dead connection")


@dataclasses.dataclass
class Faulty:
    """A real store that fails once, at its call of that number."""

    store: Store
    call: str
    fault: str
    at: int = 1
    calls: int = 0

    @property
    def location(self) -> str:
        return self.store.location

    def put(self, key: str, file: Path) -> None:
        if self._now("put", key):
            if self.fault == "refuse":
                raise StoreError("the store refused")
            if self.fault == "kill before":
                raise KilledError
            content = file.read_bytes()
            if self.fault == "truncate":
                file.write_bytes(content[: len(content) // 2])
            if self.fault == "corrupt":
                middle = len(content) // 2
                flipped = bytes([content[middle] ^ 1])
                file.write_bytes(content[:middle] + flipped + content[middle + 1 :])
            self.store.put(key, file)
            if self.fault == "kill after":
                raise KilledError
            return
        self.store.put(key, file)

    def get(self, key: str, file: Path) -> None:
        if self._now("get", key):
            if self.fault.startswith("kill"):
                raise KilledError
            raise StoreError("the store refused")
        self.store.get(key, file)

    def discard(self, prefix: str) -> None:
        if self._now("discard", prefix):
            if self.fault == "kill after":
                self.store.discard(prefix)
            if self.fault.startswith("kill"):
                raise KilledError
            raise StoreError("the store refused")
        self.store.discard(prefix)

    def part(self, key: str, offset: int, length: int) -> bytes:
        return self.store.part(key, offset, length)

    def sizes(self, prefix: str = "") -> dict[str, int]:
        return self.store.sizes(prefix)

    def _now(self, call: str, key: str) -> bool:
        if key.startswith(PROBE):
            return False
        self.calls += call == self.call
        return call == self.call and self.calls == self.at


FAULTS = [
    *(("put", fault) for fault in ("refuse", "truncate", "corrupt", "kill before", "kill after")),
    *(("get", fault) for fault in ("refuse", "kill before")),
]

MONTHS = tuple(range(1, 8))

times = st.builds(
    lambda back, minute: months_ago(back) + timedelta(minutes=minute),
    st.sampled_from(MONTHS),
    st.integers(0, 3),
)

numbers = st.decimals(
    min_value=Decimal("0.000000000001"), max_value=Decimal("999999999999"), places=12
) | st.sampled_from([Decimal(1), Decimal("1.50"), HUGE])

# of trades
sizes = numbers | st.sampled_from([VAST, Decimal("0.000000000000000001")])

trades = st.builds(
    Trade,
    id=st.integers(0, 3),
    symbol=st.sampled_from(["A", "B"]),
    exchange=st.just("x"),
    timestamp=times,
    price=sizes,
    volume=sizes,
    source_id=st.none(),
    excluded=st.none(),
)

greeks = st.none() | st.decimals(
    min_value=Decimal("-999999999999"), max_value=Decimal("999999999999"), places=18
)

quotes = st.builds(
    lambda time, number, greek: quote(time, number, gamma=greek), times, st.integers(0, 1), greeks
)
