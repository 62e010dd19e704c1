"""The relations that batches go into, with the statements that each takes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Generic, TypeVar

from psycopg import sql

from entasis_db.ingest.computed import round_quotes
from entasis_db.ingest.copy_text import option_writer, trade_writer
from entasis_db.ingest.report import IngestReport
from entasis_db.model import OPTION_KEY, TRADE_KEY, OptionQuote, Trade

Row = TypeVar("Row", Trade, OptionQuote)


def _unchanged(rows: Sequence[Row]) -> tuple[Sequence[Row], IngestReport]:
    return rows, IngestReport()


@dataclass(frozen=True)
class Target(Generic[Row]):
    """How rows of one kind get into their relation."""

    relation: str
    copy: sql.SQL
    stage: sql.SQL
    copy_staged: sql.SQL
    insert_staged: sql.SQL
    unstage: sql.SQL
    """Drops the staging table, which a direct connection keeps for the next batch."""
    key: Callable[[Row], Any]
    """Writers that lock in one order do not deadlock."""
    writer: Callable[[], Callable[[Row], str | None]]
    """Makes what writes a row for COPY if the table will surely take it; None for any other."""
    prepare: Callable[[Sequence[Row]], tuple[Sequence[Row], IngestReport]] = _unchanged
    """Makes rows into what is stored, and counts what that changed."""


TRADES: Target[Trade] = Target(
    relation="market_data",
    copy=sql.SQL(
        "COPY entasis.market_data (id, symbol, exchange, timestamp, price, volume, side, source_id,"
        " excluded) FROM STDIN (ENCODING 'UTF8')"
    ),
    stage=sql.SQL("SELECT entasis.stage_trades()"),
    copy_staged=sql.SQL(
        "COPY pg_temp.entasis_staged_trades"
        " (line, id, symbol, exchange, timestamp, price, volume, side, source_id, excluded)"
        " FROM STDIN (ENCODING 'UTF8')"
    ),
    insert_staged=sql.SQL(
        "SELECT inserted, already_there, quarantined, past_retention, past_keep"
        " FROM entasis.insert_staged_trades(%s)"
    ),
    unstage=sql.SQL("DROP TABLE pg_temp.entasis_staged_trades, pg_temp.entasis_staged_units"),
    key=itemgetter(*map(Trade._fields.index, TRADE_KEY)),
    writer=trade_writer,
)

OPTIONS: Target[OptionQuote] = Target(
    relation="option_data",
    copy=sql.SQL(
        "COPY entasis.option_data (underlying, strike_price, expiry_date, option_type, timestamp,"
        " id, iv, delta, gamma, theta, vega, bid_price, ask_price, mark_price, bid_iv, ask_iv,"
        " underlying_price, open_interest, rho) FROM STDIN (ENCODING 'UTF8')"
    ),
    stage=sql.SQL("SELECT entasis.stage_options()"),
    copy_staged=sql.SQL(
        "COPY pg_temp.entasis_staged_options (line, underlying, strike_price, expiry_date,"
        " option_type, timestamp, id, iv, delta, gamma, theta, vega, bid_price, ask_price,"
        " mark_price, bid_iv, ask_iv, underlying_price, open_interest, rho)"
        " FROM STDIN (ENCODING 'UTF8')"
    ),
    insert_staged=sql.SQL(
        "SELECT inserted, already_there, quarantined, past_retention, past_keep, rounded, nulled"
        " FROM entasis.insert_staged_options(%s)"
    ),
    unstage=sql.SQL("DROP TABLE pg_temp.entasis_staged_options"),
    key=itemgetter(*map(OptionQuote._fields.index, OPTION_KEY)),
    writer=option_writer,
    prepare=round_quotes,
)
