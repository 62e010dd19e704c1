"""How each market numbers its trades: recorded at its first load, and compared at every other."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from psycopg import errors, sql

from entasis_db.errors import IdSpaceError
from entasis_db.ingest.limits import is_name

Market = tuple[str, str]
"""Symbol and exchange."""

IdSpace = str | Mapping[Market, str]
"""How trades are numbered: one name for all markets, or one for each (symbol, exchange)."""

RECORD_ID_SPACES = sql.SQL(
    """
    SELECT m.symbol, m.exchange, m.id_space,
        entasis.record_id_space(m.symbol, m.exchange, m.id_space, %(source)s) AS recorded
    FROM unnest(%(symbols)s::text[], %(exchanges)s::text[], %(id_spaces)s::text[])
        AS m (symbol, exchange, id_space)
    """
)


def id_space_parameters(
    markets: Iterable[Market], id_space: IdSpace, source: str
) -> dict[str, str | list[str]]:
    """Return the parameters of RECORD_ID_SPACES.

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
    return {
        "source": source,
        "symbols": [symbol for symbol, _ in ordered],
        "exchanges": [exchange for _, exchange in ordered],
        "id_spaces": [
            id_space if isinstance(id_space, str) else id_space[market] for market in ordered
        ],
    }


def check_id_spaces(
    recorded: Iterable[Sequence[Any]], source: str, line_of: Callable[[Market], int]
) -> None:
    """Compare what RECORD_ID_SPACES answered with what was wanted.

    Raises IdSpaceError for a market with another id space, naming the first line of it.
    """
    for symbol, exchange, wanted, known in recorded:
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
