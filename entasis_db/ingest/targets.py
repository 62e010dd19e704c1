"""The relations that batches go into, with the statements that each takes."""

from collections.abc import Callable
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Generic, TypeVar

from psycopg import sql

from entasis_db.ingest.copy_text import option_writer, trade_writer
from entasis_db.model import OptionQuote, Trade

Row = TypeVar("Row", Trade, OptionQuote)


@dataclass(frozen=True)
class Target(Generic[Row]):
    """How rows of one kind get into their relation."""

    relation: str
    copy: sql.SQL
    stage: sql.SQL
    copy_staged: sql.SQL
    insert_staged: sql.SQL
    key: Callable[[Row], Any]
    """Writers that lock in one order do not deadlock."""
    writer: Callable[[], Callable[[Row], str | None]]
    """Makes what writes a row for COPY if the table will surely take it; None for any other."""


TRADES: Target[Trade] = Target(
    relation="market_data",
    copy=sql.SQL(
        "COPY entasis.market_data (symbol, exchange, timestamp, id, price, volume) FROM STDIN"
    ),
    stage=sql.SQL("SELECT entasis.stage_trades()"),
    copy_staged=sql.SQL(
        "COPY pg_temp.entasis_staged_trades"
        " (line, symbol, exchange, timestamp, id, price, volume) FROM STDIN"
    ),
    insert_staged=sql.SQL(
        "SELECT inserted, already_there, quarantined FROM entasis.insert_staged_trades(%s)"
    ),
    key=itemgetter(0, 1, 2, 3),
    writer=trade_writer,
)

OPTIONS: Target[OptionQuote] = Target(
    relation="option_data",
    copy=sql.SQL(
        "COPY entasis.option_data (underlying, strike_price, expiry_date, option_type, timestamp,"
        " id, iv, delta, gamma, theta, vega) FROM STDIN"
    ),
    stage=sql.SQL("SELECT entasis.stage_options()"),
    copy_staged=sql.SQL(
        "COPY pg_temp.entasis_staged_options (line, underlying, strike_price, expiry_date,"
        " option_type, timestamp, id, iv, delta, gamma, theta, vega) FROM STDIN"
    ),
    insert_staged=sql.SQL(
        "SELECT inserted, already_there, quarantined FROM entasis.insert_staged_options(%s)"
    ),
    # underlying, expiry_date, strike_price, option_type, timestamp, id
    key=itemgetter(0, 2, 1, 3, 4, 5),
    writer=option_writer,
)
