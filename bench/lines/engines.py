"""The two engines side by side, on one server that can run both."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from functools import partial
from random import Random

from bench import data
from bench.context import Bench
from bench.line import Sizes, Subject
from bench.loaders import SOURCE, THIN_TRADES, Connection, in_batches
from bench.measure import LeftOut, Row, Samples, Target, alternate, only_row, ratio, timed
from entasis_db import queries
from entasis_db.ingest import ingest_trades
from tests.engines import pause_jobs

TITLE = "Engine timescaledb against engine postgresql, on one server"
HOW = (
    "Seconds of engine timescaledb divided by those of engine postgresql. What shows late data on"
    " timescaledb is a refresh, which is in its time."
)
SUBJECT = Subject.ENGINES
SIZES = Sizes.ONCE

_ENGINES = ("timescaledb", "postgresql")
_READS = 11
_LATE_FROM = 50
"""Late batches are drawn from so many batches' trades."""
_LATE_IDS = 10**13
_DAY = timedelta(days=1)
_BYTES = """
    SELECT sum(bytes)::float8 FROM entasis.partitions
    WHERE relation <> 'option_data' AND (NOT %s OR relation = 'market_data')
"""


def run(bench: Bench) -> Iterator[Row]:
    """Load both, then read, weigh, compress and rebuild."""
    if not bench.server.offers_timescaledb():
        raise LeftOut(
            "this server does not offer TimescaleDB's Community edition: set DATABASE_URL to a"
            " superuser's on one that does"
        )
    with ExitStack() as stack:
        empty = {engine: bench.server.migrated(engine) for engine in _ENGINES}
        for name in empty.values():
            stack.callback(bench.server.drop, name)
            bench.server.seal(name)
        loads = alternate(
            {engine: partial(_load, bench, empty[engine]) for engine in _ENGINES},
            bench.effort.rounds,
        )
        yield ratio(
            f"ingest, batches of {bench.batch:,}, until every candle shows it", loads, *_ENGINES
        )
        connections = {}
        for engine in _ENGINES:
            bench.progress(f"filling {engine}")
            loaded = stack.enter_context(bench.database(empty[engine], engine))
            connections[engine] = stack.enter_context(bench.server.connect(loaded))
            _quiet(connections[engine])
            _fill(connections[engine], bench)
            _show(connections[engine])
            connections[engine].execute("VACUUM (ANALYZE)")
        yield from _loaded(bench, connections)


def _loaded(bench: Bench, connections: dict[str, Connection]) -> Iterator[Row]:
    """Compare what two loaded databases do."""
    late = _late(bench, connections)
    yield ratio(f"late batch of {bench.batch:,}, until it shows", late, *_ENGINES, Target("<=", 5))
    yield ratio("read a day of minutes", _read(bench, connections), *_ENGINES)
    yield from _storage(bench, connections)
    compressed = _read(bench, connections)
    yield ratio("read a day of minutes, chunks compressed", compressed, *_ENGINES)
    yield ratio("rebuild the candles of a day", _rebuild(bench, connections), *_ENGINES)


def _quiet(connection: Connection) -> None:
    """Keep TimescaleDB's own jobs out of what is measured."""
    if connection.execute("SELECT engine FROM entasis.installation").fetchone() == ("timescaledb",):
        pause_jobs(connection)


def _show(connection: Connection) -> None:
    connection.execute("CALL entasis.refresh_candles('-infinity', 'infinity')")


def _fill(connection: Connection, bench: Bench) -> float:
    return bench.load(in_batches(bench.stored_trades, bench.batch)).through_helper(connection)


def _load(bench: Bench, template: str) -> float:
    bench.progress("loading")
    with bench.database(template) as name, bench.server.connect(name) as connection:
        _quiet(connection)
        bench.server.checkpoint()
        return _fill(connection, bench) + timed(lambda: _show(connection))


def _alternating(
    connections: dict[str, Connection], step: Callable[[Connection, int], object], rounds: int
) -> Samples:
    """Time a step on every engine, each time with the number of the round."""
    numbers = dict.fromkeys(connections, 0)

    def arm(engine: str) -> float:
        numbers[engine] += 1
        return timed(lambda: step(connections[engine], numbers[engine]))

    arms = {engine: partial(arm, engine) for engine in connections}
    return alternate(arms, rounds, warm_up=1)


def _late(bench: Bench, connections: dict[str, Connection]) -> Samples:
    """Trades of the whole range with ids of their own, some to nearly every hour."""
    bench.progress("late trades")
    every = list(data.trades(_LATE_FROM * bench.batch))

    def step(connection: Connection, number: int) -> None:
        chosen = Random(number).sample(every, bench.batch)
        batch = [t._replace(id=t.id + number * _LATE_IDS) for t in chosen]
        ingest_trades(connection, batch, source=SOURCE, id_space=data.ID_SPACE)
        _show(connection)

    return _alternating(connections, step, bench.effort.rounds)


def _busiest_day(connection: Connection) -> datetime:
    market = data.BUSY_MARKET
    (day,) = only_row(
        connection,
        "SELECT bucket FROM entasis.ohlcv_1d WHERE symbol = %s AND exchange = %s"
        " ORDER BY trades DESC, bucket LIMIT 1",
        *(market.symbol, market.exchange),
    )
    found: datetime = day
    return found


def _read(bench: Bench, connections: dict[str, Connection]) -> Samples:
    bench.progress("reading")
    market, minutes = data.BUSY_MARKET, {}
    for connection in connections.values():
        day = _busiest_day(connection)
        minutes[id(connection)] = queries.candles(
            market.symbol, market.exchange, "1m", day, day + _DAY
        )
    rounds = min(_READS, bench.effort.short_rounds)
    return _alternating(connections, lambda c, _: minutes[id(c)].fetch(c), rounds)


def _storage(bench: Bench, connections: dict[str, Connection]) -> Iterator[Row]:
    """Weigh a trade; chunks are compressed, and stay so."""
    for engine, connection in connections.items():
        yield _weight(f"{engine}, trades and candles", connection)
    bench.progress("compressing")
    connection = connections["timescaledb"]
    connection.execute(
        "SELECT public.compress_chunk(c.partition_oid::regclass)"
        " FROM entasis_internal.chunks_to_compress('0') AS c"
    )
    connection.execute("VACUUM (ANALYZE)")
    few, fewest = Target("<=", 16, THIN_TRADES), Target("<=", 8, THIN_TRADES)
    yield _weight("timescaledb, trades and candles, compressed", connection, few)
    yield _weight("timescaledb, trades, compressed", connection, fewest, trades_only=True)


def _weight(
    label: str, connection: Connection, target: Target | None = None, *, trades_only: bool = False
) -> Row:
    """Weigh a trade; those of the late batches are counted too."""
    (found,) = only_row(connection, _BYTES, trades_only)
    (trades,) = only_row(connection, "SELECT count(*) FROM entasis.market_data")
    return Row(f"a trade: {label}", found / trades, unit="bytes", target=target)


def _rebuild(bench: Bench, connections: dict[str, Connection]) -> Samples:
    """Rebuild the candles of the busiest day: computed anew from its trades on both engines."""
    bench.progress("rebuilding a day")
    day = _busiest_day(connections["postgresql"])

    def step(connection: Connection, _: int) -> None:
        connection.execute("CALL entasis.rebuild_candles(%s, %s)", [day, day + _DAY])

    return _alternating(connections, step, bench.effort.rounds)
