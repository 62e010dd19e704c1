"""Readers turn files of market data into rows, one line at a time.

``read_trades`` and ``read_options`` recognise a file's layout and give an iterable of rows: each
line becomes a trade (an option quote) with its line number, or a ``Rejected`` that says why the
line cannot be read. Whether a row that can be read is also *admissible* (its bounds, its decimals,
its age) is judged later, in SQL, so that one set of rules holds for every writer.

Numbers never pass through a binary float: what the file says is what the row holds.
"""

from entasis_db.readers.edges import Edge
from entasis_db.readers.options import OptionReader, read_options
from entasis_db.readers.rows import REJECTIONS, OptionRow, Rejected, TradeRow
from entasis_db.readers.trades import TradeReader, read_trades

__all__ = [
    "REJECTIONS",
    "Edge",
    "OptionReader",
    "OptionRow",
    "Rejected",
    "TradeReader",
    "TradeRow",
    "read_options",
    "read_trades",
]
