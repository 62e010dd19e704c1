"""One trade once, however its time was told, and by whichever way it comes."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from entasis_db.ingest import IngestReport, ingest_arrow, ingest_trades, load_trades
from entasis_db.live import TickWriter
from entasis_db.model import TimeUnit, Trade
from tests import oracle
from tests.contract.trades.support import by_key, quarantined
from tests.db import Connection, wipe
from tests.engines import Database
from tests.make import NOON, D, trade

pytestmark = [
    pytest.mark.copy,
    pytest.mark.newest_server,
    pytest.mark.native_speed_when_short,
]

MARKET = ("BTCUSDT", "binance-spot")
SPANS: dict[TimeUnit, timedelta] = {
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
    "us": timedelta(microseconds=1),
}
EPOCH = NOON - timedelta(days=365)


def cut(moment: datetime, unit: TimeUnit) -> datetime:
    return moment - (moment - EPOCH) % SPANS[unit]


def of_market(number: int, moment: datetime, price: str = "96500", side: Any = "sell") -> Trade:
    return trade(
        number,
        symbol=MARKET[0],
        exchange=MARKET[1],
        timestamp=moment,
        price=D(price),
        volume=D("0.003"),
        side=side,
    )


# --- the ways in ---------------------------------------------------------------------------------


def by_rows(
    database: Database, connection: Connection, rows: list[Trade], unit: TimeUnit, _: Path
) -> tuple[int, int, int]:
    report = ingest_trades(connection, rows, source="rows", id_space="aggtrade", time_unit=unit)
    return report.inserted, report.already_there, report.quarantined


def by_file(
    database: Database, connection: Connection, rows: list[Trade], unit: TimeUnit, folder: Path
) -> tuple[int, int, int]:
    path = folder / f"{MARKET[0]}-aggTrades-2024-08-08.csv"
    epoch = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
    path.write_text(
        "".join(
            f"{t.id},{t.price},{t.volume},1,1,{(t.timestamp - epoch) // SPANS[unit]},"
            f"{t.side == 'sell'},True\n"
            for t in rows
        )
    )
    report = load_trades(connection, path, exchange=MARKET[1]).report
    return report.inserted, report.already_there, report.quarantined


def by_arrow(
    database: Database, connection: Connection, rows: list[Trade], unit: TimeUnit, _: Path
) -> tuple[int, int, int]:
    values = map(list, zip(*rows, strict=True))
    columns: dict[str, Any] = dict(zip(Trade._fields, values, strict=True))
    columns["timestamp"] = pa.array(columns["timestamp"], pa.timestamp(unit, "UTC"))
    report = ingest_arrow(connection, pa.table(columns), source="arrow", id_space="aggtrade")
    return report.inserted, report.already_there, report.quarantined


def by_writer(
    database: Database, connection: Connection, rows: list[Trade], unit: TimeUnit, _: Path
) -> tuple[int, int, int]:
    with TickWriter(
        database.dsn, source="live", id_space={MARKET: "aggtrade"}, time_unit={MARKET: unit}
    ) as writer:
        for row in rows:
            writer.put(row)
    metrics = writer.metrics()
    return metrics.written, metrics.already_there, metrics.quarantined


Way = Callable[[Database, Connection, list[Trade], TimeUnit, Path], tuple[int, int, int]]
WAYS: dict[str, Way] = {"rows": by_rows, "file": by_file, "arrow": by_arrow, "writer": by_writer}


@pytest.mark.parametrize("units", [("ms", "us"), ("us", "ms")], ids="-".join)
@pytest.mark.parametrize(
    ("first", "second"),
    [("writer", "file"), ("file", "writer"), ("rows", "arrow"), ("arrow", "rows")],
)
@pytest.mark.several_connections
def test_a_trade_told_live_and_by_the_archive_is_stored_once(
    emptied: Database,
    tmp_path: Path,
    units: tuple[TimeUnit, TimeUnit],
    first: str,
    second: str,
) -> None:
    moments = [NOON + timedelta(microseconds=n) for n in (123_456, 123_900, 125_001, 999_999)]
    with emptied.connect() as connection:
        for way, unit, counts in ((first, units[0], (4, 0, 0)), (second, units[1], (0, 4, 0))):
            told = [of_market(n, cut(m, unit)) for n, m in enumerate(moments, 3_310_000_001)]
            assert WAYS[way](emptied, connection, told, unit, tmp_path) == counts
        stored = [of_market(n, cut(m, units[0])) for n, m in enumerate(moments, 3_310_000_001)]
        oracle.assert_candles_are_right(connection, by_key(*stored))
        # what it tells beyond them is new
        more = [of_market(3_310_000_005, NOON + timedelta(seconds=2))]
        assert WAYS[second](emptied, connection, more, units[1], tmp_path) == (1, 0, 0)
        assert quarantined(connection) == []
        assert connection.execute(
            "SELECT time_units, ids_rise, ids_dense FROM entasis.markets"
        ).fetchall() == [(list(units), True, True)]


# --- conflicts -----------------------------------------------------------------------------------

CHANGES: dict[str, dict[str, Any]] = {
    "another price": {"price": D(7)},
    "another volume": {"volume": D(7)},
    "another side": {"side": "buy"},
    "ten days later": {"timestamp": NOON + timedelta(days=10)},
    "ten days before": {"timestamp": NOON - timedelta(days=10)},
    "the next millisecond": {"timestamp": NOON + timedelta(milliseconds=3)},
}


@pytest.mark.parametrize(
    ("change", "neighbours"),
    [*((change, True) for change in CHANGES), ("ten days later", False)],
)
def test_anything_else_with_the_same_id_is_a_conflict_that_names_both(
    connection: Connection, change: str, neighbours: bool
) -> None:
    told = of_market(50, NOON + timedelta(microseconds=2_345))
    others = [of_market(50 + n, NOON + timedelta(hours=n)) for n in range(-30, 30, 7)]
    stored = [*(others if neighbours else []), told]
    ingest_trades(connection, stored, source="a", id_space="trade", time_unit="us")
    other = told._replace(timestamp=cut(told.timestamp, "ms"))._replace(**CHANGES[change])
    report = ingest_trades(connection, [other], source="b", id_space="trade", time_unit="ms")
    assert report == IngestReport(0, 0, 1)
    oracle.assert_candles_are_right(connection, by_key(*stored))
    ((code, reason, payload),) = connection.execute(
        "SELECT code, reason, payload FROM entasis.quarantine"
    ).fetchall()
    assert code == "conflict"
    for row in (told, other):
        assert f"{row.timestamp:%Y-%m-%d %H:%M:%S}" in reason
        assert str(row.price) in reason
        assert str(row.volume) in reason
    assert set(payload) == set(Trade._fields)
    assert datetime.fromisoformat(payload["timestamp"]) == other.timestamp


REPUBLISHED = "SKYBTC-trades-2021-02-04.csv"


def test_a_file_that_is_published_again_with_other_times(
    connection: Connection, tmp_path: Path
) -> None:
    path = tmp_path / REPUBLISHED
    lines = ("500001,0.00002,100,0.002,{}000,true,true", "500002,0.00003,100,0.003,{}500,true,true")
    first, again = 1_612_386_000, 1_613_235_600
    for day, counts in ((first, (2, 0, 0)), (again, (0, 0, 2)), (first, (0, 2, 0))):
        path.write_text("\n".join(line.format(day) for line in lines) + "\n")
        report = load_trades(connection, path, exchange="binance-spot").report
        assert (report.inserted, report.already_there, report.quarantined) == counts
    assert quarantined(connection) == [(REPUBLISHED, n, "conflict") for n in (1, 2)]


def test_an_id_that_stands_twice_in_one_file(connection: Connection) -> None:
    rows = [
        of_market(1, NOON),
        of_market(2, NOON + timedelta(seconds=5)),
        of_market(1, NOON + timedelta(hours=5)),
        of_market(1, NOON),
    ]
    report = ingest_trades(connection, rows, source="a", id_space="trade")
    assert report == IngestReport(2, 1, 1)
    assert quarantined(connection) == [("a", 3, "conflict")]


def test_ordinals_and_digests_stay_unique_within_a_timestamp(
    connection: Connection,
) -> None:
    rows = [of_market(0, NOON + timedelta(milliseconds=n)) for n in range(3)]
    for id_space in ("ordinal", "digest"):
        wipe(connection)
        for row in rows:
            report = ingest_trades(connection, [row], source="a", id_space=id_space)
            assert report == IngestReport(1)


def test_ids_that_do_not_rise_are_found_out_and_stored(connection: Connection) -> None:
    rows = [of_market(n * 7 % 11, NOON + timedelta(seconds=n)) for n in range(1, 11)]
    rows = [row._replace(exchange="x") for row in rows]
    for batch in (rows[:5], rows[5:]):
        report = ingest_trades(connection, batch, source="a", id_space="trade")
        assert report == IngestReport(5)
    assert connection.execute("SELECT exchange, ids_rise FROM entasis.markets").fetchall() == [
        ("x", False)
    ]


def test_markets_of_one_batch_do_not_answer_for_each_other(connection: Connection) -> None:
    """All have the same ids, and nobody knows whether they rise; the two A differ in exchange."""

    def told(symbol: str, exchange: str, number: int, seconds: float, price: str = "7") -> Trade:
        moment = NOON + timedelta(seconds=seconds)
        row = of_market(number, moment, price)
        return row._replace(symbol=symbol, exchange=exchange)

    def load(batch: list[Trade], unit: TimeUnit) -> IngestReport:
        units = {("D", "x"): unit}
        return ingest_trades(connection, batch, source=unit, id_space="trade", time_unit=units)

    first = [told("A", "x", n, n) for n in (1, 2, 3)]
    first += [told("A", "y", 1, 1), told("C", "x", 1, 1), told("D", "x", 1, 0.001)]
    assert load(first, "ms") == IngestReport(6)
    connection.execute("UPDATE entasis.markets SET ids_rise = false WHERE symbol = 'D'")
    # one is stored, and the other one only of the other market
    assert load([first[3], told("A", "y", 3, 3)], "ms") == IngestReport(1, 1)
    batch = [
        told("A", "x", 1, 900_000, "8"),  # is stored long before, with another price
        told("A", "x", 4, 900_001),  # new
        told("A", "y", 2, 2.5),  # new, and stored of the other market, at another time
        told("A", "y", 4, 10),  # new
        told("C", "x", 0, 900_000),  # new, and a smaller id than before
        told("D", "x", 1, 0.0015),  # is stored, in milliseconds
        told("E", "x", 5, 1),  # new
        told("E", "x", 5, 2),  # is the line before, with another time
    ]
    assert load(batch, "us") == IngestReport(5, 1, 2)
    assert quarantined(connection) == [("us", 1, "conflict"), ("us", 8, "conflict")]
    new = [told("A", "y", 3, 3), *batch[1:5], batch[6]]
    oracle.assert_candles_are_right(connection, by_key(*first, *new))
    assert connection.execute(
        "SELECT symbol FROM entasis.markets WHERE ids_rise = false ORDER BY symbol"
    ).fetchall() == [("C",), ("D",)]


# --- against a model -----------------------------------------------------------------------------


class Told(NamedTuple):
    """How one of the true trades is told."""

    number: int
    shift: timedelta
    price: str
    side: str | None


tellings = st.builds(
    Told,
    number=st.integers(0, 7),
    shift=st.sampled_from([timedelta(0)] * 6 + [timedelta(milliseconds=2), timedelta(days=3)]),
    price=st.sampled_from(["10"] * 5 + ["11"]),
    side=st.sampled_from([None, "buy", "buy", "sell"]),
)
batches = st.lists(
    st.tuples(st.sampled_from(["s", "ms", "us"]), st.lists(tellings, min_size=1, max_size=6)),
    min_size=1,
    max_size=5,
)


class Model:
    """What is stored of a market, by id."""

    def __init__(self) -> None:
        self.stored: dict[int, Trade] = {}
        self.units: set[TimeUnit] = set()

    def is_same(self, stored: Trade, told: Trade, unit: TimeUnit) -> bool:
        a, b = stored.timestamp, told.timestamp
        moments = a == b or cut(a, unit) == b or any(cut(b, seen) == a for seen in self.units)
        values = (stored.price, stored.volume) == (told.price, told.volume)
        return moments and values and (None in (stored.side, told.side) or stored.side == told.side)

    def load(self, rows: list[Trade], unit: TimeUnit) -> tuple[int, int, int]:
        self.units.add(unit)
        inserted = there = refused = 0
        for row in rows:
            known = self.stored.setdefault(row.id, row)
            if known is row:
                inserted += 1
            elif self.is_same(known, row, unit):
                there += 1
                if known.side is None:
                    self.stored[row.id] = known._replace(side=row.side)
            else:
                refused += 1
        return inserted, there, refused


TRUE_TIMES = [
    NOON + timedelta(microseconds=n)
    for n in (0, 400, 800, 1_200, 700_003, 999_999, 1_000_000, 61_000_001)
]
"""When the trades were made: ids rise with time."""


@given(history=batches)
def test_one_id_is_one_trade(
    shared_connection: psycopg.Connection[Any], history: list[tuple[TimeUnit, list[Told]]]
) -> None:
    connection = shared_connection
    wipe(connection)
    model = Model()
    for unit, told in history:
        rows = []
        for t in told:
            # only what was told before is told at another time: what is stored keeps its order
            known = t.number in model.stored or any(row.id == t.number for row in rows)
            moment = TRUE_TIMES[t.number] + (t.shift if known else timedelta(0))
            rows.append(of_market(t.number, cut(moment, unit), t.price, t.side))
        report = ingest_trades(connection, rows, source="a", id_space="trade", time_unit=unit)
        counts = (report.inserted, report.already_there, report.quarantined)
        assert counts == model.load(rows, unit)
    trades = list(model.stored.values())
    oracle.assert_candles_are_right(connection, by_key(*trades))
    assert oracle.stored_sides(connection) == {
        (t.symbol, t.exchange, t.timestamp, t.id): t.side for t in trades
    }
