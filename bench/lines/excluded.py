"""What ``excluded`` costs where candles are kept."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from itertools import islice

from bench.context import Bench
from bench.line import Sizes, Subject
from bench.loaders import Connection, lively_trades, thin_trades
from bench.measure import MeasurementError, Row, alternate, only_row, ratio
from bench.upkeep import put_batch, trigger_seconds

TITLE = "Candle triggers that know of excluded trades, against ones that do not"
HOW = (
    "Time of the candle trigger of one INSERT of a batch into an empty table, rolled back: without"
    " `excluded` (its function with one condition made true and the other false) over ours, where"
    " no trade is excluded and where every tenth is. Below 1, ours is slower. What the column"
    " itself costs stands in `trade-columns`."
)
SUBJECT = Subject.CANDLES
SIZES = Sizes.ONCE

_WITHOUT = "without excluded"
_TRIGGER = "candles_after_insert"
_FUNCTION = "entasis_internal.market_data_inserted"
_IS_COUNTED = "WHERE n.excluded IS NULL"
_IS_NOT = "WHERE n.excluded IS NOT NULL"


def run(bench: Bench) -> Iterator[Row]:
    """Measure lively markets, then thin ones."""
    with ExitStack() as stack:

        def connected(label: str) -> Connection:
            name = stack.enter_context(bench.database(bench.templates.migrated, label))
            return stack.enter_context(bench.server.connect(name))

        connections = {label: connected(label) for label in ("ours", "tenth", _WITHOUT)}
        _forget_excluded(connections[_WITHOUT])
        for which, trades in (("lively", lively_trades), ("thin", thin_trades)):
            batch = list(islice(trades(max(bench.size, bench.batch))(), bench.batch))
            bench.progress(f"the triggers of {len(batch):,} trades, {which} markets")
            for label, connection in connections.items():
                put_batch(connection, batch)
                if label == "tenth":
                    _exclude_tenth(connection)
            arms: dict[str, Callable[[], float]] = {
                label: partial(trigger_seconds, connection, _TRIGGER)
                for label, connection in connections.items()
            }
            samples = alternate(arms, bench.effort.short_rounds)
            what = f"a batch of {len(batch):,} trades, {which} markets"
            yield ratio(f"{what}: none is excluded", samples, _WITHOUT, "ours")
            yield ratio(f"{what}: every tenth is excluded", samples, _WITHOUT, "tenth")


def _forget_excluded(connection: Connection) -> None:
    """Take ``excluded`` out of the candle trigger, or fail if it reads otherwise than it did."""
    (body,) = only_row(connection, "SELECT pg_get_functiondef(%s::regproc)", _FUNCTION)
    changed = body.replace(_IS_COUNTED, "WHERE true").replace(_IS_NOT, "WHERE false")
    if body.count(_IS_COUNTED) != 1 or body.count(_IS_NOT) != 1:
        raise MeasurementError(f"{_FUNCTION} asks otherwise for what counts than this line knows")
    connection.execute(changed)


def _exclude_tenth(connection: Connection) -> None:
    connection.execute(
        """
        UPDATE pg_temp.batch AS b SET excluded = 'block'
        FROM (
            SELECT ctid AS place, row_number() OVER (ORDER BY symbol, timestamp, id) AS number
            FROM pg_temp.batch
        ) AS n
        WHERE b.ctid = n.place AND n.number % 10 = 0
        """
    )
