"""How each market numbers its trades and states times: recorded, and compared at every load."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from psycopg import errors, sql

from entasis_db.errors import IdSpaceError
from entasis_db.ingest.limits import is_name
from entasis_db.model import TimeUnit

Market = tuple[str, str]
"""Symbol and exchange."""

IdSpace = str | Mapping[Market, str]
"""How trades are numbered: one name for all markets, or one for each (symbol, exchange)."""

TimeUnits = TimeUnit | Mapping[Market, TimeUnit]
"""The unit in which a source states times: one for all markets, or one for each."""


class MarketBatch(NamedTuple):
    """The trades of one market in a batch."""

    first_time: datetime | None
    last_time: datetime | None
    first_id: int | None
    """The smallest."""
    last_id: int | None
    rising: bool
    """Whether each id is larger than the one before it, in the order of (timestamp, id)."""
    trades: int
    """How many there are; 0: SQL shall judge them."""


RECORD_MARKETS = sql.SQL(
    """
    SELECT m.symbol, m.exchange, m.id_space, m.recorded, m.may_repeat
    FROM entasis.record_markets(
        %(source)s, %(symbols)s::pg_catalog.text[], %(exchanges)s::pg_catalog.text[],
        %(id_spaces)s::pg_catalog.text[], %(time_units)s::pg_catalog.text[],
        %(first_times)s::pg_catalog.timestamptz[], %(last_times)s::pg_catalog.timestamptz[],
        %(first_ids)s::bigint[], %(last_ids)s::bigint[], %(rising)s::boolean[]
    ) AS m
    """
)


STAGE_UNITS = sql.SQL(
    """
    INSERT INTO pg_temp.entasis_staged_units (symbol, exchange, time_unit)
    SELECT u.symbol, u.exchange, u.time_unit
    FROM ROWS FROM (
        pg_catalog.unnest(%(symbols)s::pg_catalog.text[]),
        pg_catalog.unnest(%(exchanges)s::pg_catalog.text[]),
        pg_catalog.unnest(%(time_units)s::pg_catalog.text[])
    )
        AS u (symbol, exchange, time_unit)
    WHERE u.time_unit IS NOT NULL
    """
)


def record_markets_parameters(
    markets: Mapping[Market, MarketBatch],
    id_space: IdSpace,
    source: str,
    time_unit: TimeUnits | None,
) -> dict[str, object]:
    """Return the parameters of RECORD_MARKETS.

    Raises ValueError for a market that ``id_space`` does not name.
    """
    # in one order, so that two loaders of the same new markets cannot wait for each other; a name
    # that no market can have is judged later, with the rest of its row
    ordered = sorted(
        (symbol, exchange) for symbol, exchange in markets if is_name(symbol) and is_name(exchange)
    )
    if not isinstance(id_space, str):
        for market in ordered:
            if market not in id_space:
                raise ValueError(f"id_space does not say how trades of {market} are numbered")
    columns = list(zip(*(markets[market] for market in ordered), strict=True)) or [()] * 6
    first_times, last_times, first_ids, last_ids, rising, _ = map(list, columns)
    return {
        "source": source,
        "symbols": [symbol for symbol, _ in ordered],
        "exchanges": [exchange for _, exchange in ordered],
        "id_spaces": [
            id_space if isinstance(id_space, str) else id_space[market] for market in ordered
        ],
        "time_units": [
            time_unit if time_unit is None or isinstance(time_unit, str) else time_unit.get(market)
            for market in ordered
        ],
        "first_times": first_times,
        "last_times": last_times,
        "first_ids": first_ids,
        "last_ids": last_ids,
        "rising": rising,
    }


def check_id_spaces(
    recorded: Iterable[Sequence[Any]], source: str, line_of: Callable[[Market], int]
) -> bool | None:
    """Compare what RECORD_MARKETS answered with what was wanted.

    Return whether some market may repeat ids that are stored; None where the database leaves that
    to staging, whatever the batch. Raises IdSpaceError for a market with
    another id space, naming the first line of it.
    """
    doubtful: bool | None = False
    for symbol, exchange, wanted, known, may_repeat in recorded:
        if known is None:
            raise errors.SerializationFailure(
                "another session is recording the id space of this market; repeat the transaction"
            )
        if known != wanted:
            raise IdSpaceError(
                f"{source}, line {line_of((symbol, exchange))}: {exchange} {symbol} has trades "
                f"numbered by {known!r}, and these are numbered by {wanted!r}. Loading both would "
                "count every trade twice, so nothing of this batch was loaded. Load the file that "
                "has the same kind of ids as the first one; entasis.markets says which that was"
            )
        doubtful = None if may_repeat is None or doubtful is None else doubtful or may_repeat
    return doubtful
