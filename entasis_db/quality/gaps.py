"""Which trades are not stored, and how much of each market is."""

from datetime import UTC, datetime
from types import MappingProxyType

from entasis_db.quality.rows import Coverage, Gap
from entasis_db.queries import Statement

_GAPS = """
SELECT
    g.symbol, g.exchange, g.kind, g.after_time, g.before_time, g.first_id, g.last_id, g.missing,
    g.usual
FROM entasis.gaps(
    %(symbol)s::pg_catalog.text, %(exchange)s::pg_catalog.text,
    %(from_time)s::pg_catalog.timestamptz, %(to_time)s::pg_catalog.timestamptz
) AS g
"""
_COVERAGE = """
SELECT
    c.symbol, c.exchange, c.kind, c.first_trade, c.last_trade, c.trades, c.gaps, c.missing,
    c.silent, c.covered
FROM entasis.coverage(
    %(symbol)s::pg_catalog.text, %(exchange)s::pg_catalog.text,
    %(from_time)s::pg_catalog.timestamptz, %(to_time)s::pg_catalog.timestamptz
) AS c
"""


def gaps(
    symbol: str | None = None,
    exchange: str | None = None,
    from_time: datetime | None = None,
    to_time: datetime | None = None,
) -> Statement[Gap]:
    """Name what markets lack in [from_time, to_time), by exchange, symbol and time.

    Where ids tell, the ids that are not stored; else, silences that are longer than usual in the
    market. A gap that meets the range is given whole, and one whose trades were loaded is gone.
    Raises ValueError for a time without a zone and for a range that holds nothing.
    """
    return Statement("gaps", _GAPS, market_range(symbol, exchange, from_time, to_time), Gap)


def coverage(
    symbol: str | None = None,
    exchange: str | None = None,
    from_time: datetime | None = None,
    to_time: datetime | None = None,
) -> Statement[Coverage]:
    """Say how much of each market is stored in [from_time, to_time), by exchange and symbol.

    Raises what ``gaps`` does.
    """
    return Statement(
        "coverage", _COVERAGE, market_range(symbol, exchange, from_time, to_time), Coverage
    )


def market_range(
    symbol: str | None,
    exchange: str | None,
    from_time: datetime | None,
    to_time: datetime | None,
) -> MappingProxyType[str, object]:
    """Check the arguments that every question takes, and name them."""
    for name, moment in (("from_time", from_time), ("to_time", to_time)):
        if moment is not None and moment.utcoffset() is None:
            raise ValueError(
                f"{name} is {moment.isoformat()}, without a time zone: give one, such as tzinfo=UTC"
            )
    if (
        from_time is not None
        and to_time is not None
        and not from_time.astimezone(UTC) < to_time.astimezone(UTC)
    ):
        raise ValueError(
            f"from_time is {from_time.isoformat()}, which is not before to_time,"
            f" {to_time.isoformat()}: give a range that holds something"
        )
    return MappingProxyType(
        {
            "symbol": symbol,
            "exchange": exchange,
            "from_time": from_time or "-infinity",
            "to_time": to_time or "infinity",
        }
    )
