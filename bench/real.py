"""Real trades, where they lie beside the checkout: a file of Binance's, of August 2024."""

from itertools import islice

from bench.measure import LeftOut
from entasis_db.model import Trade
from entasis_db.readers import Rejected, read_trades
from tests.engines import SAMPLES

FILE = "trades_binance_2024-08-08.csv.gz"


def trades(most: int) -> list[Trade]:
    """Return the first ones, in the order of the file; LeftOut where it is not there."""
    file = SAMPLES / FILE
    if not file.exists():
        raise LeftOut(f"there are no real trades here: {file} is missing")
    rows = (row for row in read_trades(file) if not isinstance(row, Rejected))
    return [row.trade for row in islice(rows, most)]
