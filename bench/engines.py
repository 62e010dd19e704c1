"""The two engines side by side, on one server that can run both."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from itertools import islice
from random import Random

from bench import data
from bench.lines import (
    BATCH,
    Bench,
    Connection,
    load_through_helper,
    stored_trades,
)
from bench.measure import Row, Samples, alternate, ratio, timed
from entasis_db import queries
from entasis_db.engine import choose_engine
from entasis_db.errors import MigrationError
from entasis_db.ingest import ingest_trades
from tests.engines import pause_jobs

_ENGINES = ("timescaledb", "postgresql")
_ROUNDS = 3
_READS = 11
_LATE_IDS = 10**13
_DAY = timedelta(days=1)
_SOURCE = "benchmark"


def side_by_side(bench: Bench, size: int, number: int) -> None:
    """Take the line at one size, where the server offers TimescaleDB's Community edition."""
    title = f"engines side by side: {size:,} trades"
    how = (
        "seconds of engine timescaledb divided by those of engine postgresql, on one server; "
        "what shows late data on timescaledb is a refresh, which is in its time"
    )
    if not _offered(bench):
        bench.progress("this server does not offer TimescaleDB: no engines to compare")
        return
    empty = {engine: bench.server.migrated(engine) for engine in _ENGINES}
    for name in empty.values():
        bench.server.seal(name)
    loads = alternate(
        {engine: partial(_load, bench, empty[engine], size) for engine in _ENGINES}, _ROUNDS
    )
    rows = [ratio("ingest, batches of 10,000, until every candle shows it", loads, *_ENGINES)]
    loaded = {engine: bench.server.clone(empty[engine], engine) for engine in _ENGINES}
    connections = {engine: bench.server.connect(loaded[engine]) for engine in _ENGINES}
    try:
        for engine, connection in connections.items():
            bench.progress(f"filling {engine}")
            _quiet(connection)
            _fill(connection, bench, size)
            _show(connection)
            connection.execute("VACUUM (ANALYZE)")
        rows.append(ratio("late batch of 10,000, until it shows", _late(connections), *_ENGINES))
        rows.append(ratio("read a day of minutes", _read(connections), *_ENGINES))
        rows += _storage(connections, size)
        compressed = _read(connections)
        rows.append(ratio("read a day of minutes, chunks compressed", compressed, *_ENGINES))
        rows.append(_day_of_minutes(connections))
    finally:
        for connection in connections.values():
            connection.close()
        for name in (*loaded.values(), *empty.values()):
            bench.server.drop(name)
    bench.add(number, title, how, *rows)


def _offered(bench: Bench) -> bool:
    with bench.server.connect(bench.server.clone("template0", "probe")) as connection:
        try:
            return choose_engine(connection, None, lambda _: None) == "timescaledb"
        except MigrationError:
            return False


def _quiet(connection: Connection) -> None:
    """Keep TimescaleDB's own jobs out of what is measured."""
    if connection.execute("SELECT engine FROM entasis.installation").fetchone() == ("timescaledb",):
        pause_jobs(connection)


def _show(connection: Connection) -> None:
    connection.execute("CALL entasis.refresh_candles('-infinity', 'infinity')")


def _fill(connection: Connection, bench: Bench, size: int) -> float:
    batches = partial(data.batches, stored_trades(size), BATCH)
    return load_through_helper(connection, bench, size, batches)


def _load(bench: Bench, template: str, size: int) -> float:
    bench.progress("loading")
    with bench.database(template, "arm") as name, bench.server.connect(name) as connection:
        _quiet(connection)
        bench.server.checkpoint()
        return _fill(connection, bench, size) + timed(lambda: _show(connection))


def _alternating(
    connections: dict[str, Connection], step: Callable[[Connection, int], object], rounds: int
) -> Samples:
    numbers = dict.fromkeys(connections, 0)

    def arm(engine: str) -> float:
        numbers[engine] += 1
        return timed(lambda: step(connections[engine], numbers[engine]))

    arms = {engine: partial(arm, engine) for engine in connections}
    return alternate(arms, rounds, warm_up=1)


def _late(connections: dict[str, Connection]) -> Samples:
    """Trades of the whole range with ids of their own, some to nearly every hour."""
    every = list(islice(data.trades(50 * BATCH), 50 * BATCH))

    def step(connection: Connection, number: int) -> None:
        chosen = Random(number).sample(every, BATCH)
        batch = [t._replace(id=t.id + number * _LATE_IDS) for t in chosen]
        ingest_trades(connection, batch, source=_SOURCE, id_space=data.ID_SPACE)
        _show(connection)

    return _alternating(connections, step, _ROUNDS)


def _day(connection: Connection) -> queries.Statement[queries.Candle]:
    market = data.BUSY_MARKET
    (day,) = connection.execute(
        "SELECT bucket FROM entasis.ohlcv_1d WHERE symbol = %s AND exchange = %s"
        " ORDER BY trades DESC, bucket LIMIT 1",
        [market.symbol, market.exchange],
    ).fetchone() or (data.START,)
    return queries.candles(market.symbol, market.exchange, "1m", day, day + _DAY)


def _read(connections: dict[str, Connection]) -> Samples:
    days = {id(c): _day(c) for c in connections.values()}
    return _alternating(connections, lambda c, _: days[id(c)].fetch(c), _READS)


def _storage(connections: dict[str, Connection], size: int) -> list[Row]:
    """Bytes of raw trades and of candles, per million trades; compressing is not undone."""
    rows = []
    for engine, connection in connections.items():
        rows.append(_bytes(f"{engine}, trades and candles", connection, size))
    connection = connections["timescaledb"]
    connection.execute(
        "SELECT public.compress_chunk(c.partition_oid::regclass)"
        " FROM entasis_internal.chunks_to_compress('0') AS c"
    )
    connection.execute("VACUUM (ANALYZE)")
    rows.append(_bytes("timescaledb, trades and candles, compressed", connection, size))
    return rows


def _bytes(label: str, connection: Connection, size: int) -> Row:
    (found,) = connection.execute(
        "SELECT sum(bytes) FROM entasis.partitions WHERE relation <> 'option_data'"
    ).fetchone() or (0,)
    return Row(f"per million trades: {label}", float(found) * 1e6 / size, unit="bytes")


def _day_of_minutes(connections: dict[str, Connection]) -> Row:
    """Rebuild the candles of the busiest day: computed anew from its trades on both engines."""
    day = _day(connections["postgresql"]).params["from_time"]

    def step(connection: Connection, _: int) -> None:
        connection.execute("CALL entasis.rebuild_candles(%s, %s)", [day, day + _DAY])

    samples = _alternating(connections, step, _ROUNDS)
    return ratio("rebuild the candles of a day", samples, *_ENGINES)
