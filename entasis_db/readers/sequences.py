"""Whether a column ``sequence`` is the exchange's own, or only counts the rows of a file."""

from typing import Literal

from entasis_db.readers.columns import Translate
from entasis_db.readers.files import Source
from entasis_db.readers.rows import RowError

Kind = Literal["exchange", "position"]
Market = tuple[str, str]
"""Exchange and symbol, as the file has them."""


class Sequences:
    """Tells of each market of a file what its sequence is, unless ``kind`` says it of all.

    It is a position if it counts the market's rows from 0 to the end of the file. A pipe cannot be
    read to its end beforehand: there, a sequence that begins with 0 is taken for a position.
    """

    def __init__(
        self,
        source: Source,
        columns: tuple[int, int, int],
        kind: Kind | None,
        translate: Translate | None = None,
    ) -> None:
        """Make it for a file; ``columns`` are the places of exchange, symbol and sequence."""
        self._source = source
        self._translate = translate
        self._columns = columns
        self._kind = kind
        self._positions: set[Market] | None = None

    def is_position(self, market: Market, first: str) -> bool:
        """Answer for a market, the first sequence of which is given."""
        if self._kind is not None:
            return self._kind == "position"
        if not first.isdecimal() or int(first) > 0 or not self._source.rereadable:
            return first.isdecimal() and int(first) == 0
        if self._positions is None:
            self._positions = _positions(self._source.again(), self._columns, self._translate)
        return market in self._positions


def _positions(
    source: Source, columns: tuple[int, int, int], translate: Translate | None
) -> set[Market]:
    """Return the markets whose sequence counts their rows, from 0.

    A line that cannot be read belongs to some market that is not known: it may be the one that is
    missing from the count.
    """
    exchange, symbol, sequence = columns
    rows: dict[Market, int] = {}
    otherwise: set[Market] = set()
    width, unreadable = 0, 0
    for block in source.blocks():
        if not block.ended:
            break
        for line in block.lines:
            fields = line.split(",")
            if not line.strip() or line.startswith("#"):
                continue
            if not width:
                width = len(fields)
                if fields[sequence] == "sequence" or translate is not None:
                    continue  # the header
            try:
                if len(fields) == width and translate is not None:
                    fields = translate(fields)
                is_number = len(fields) >= width and fields[sequence].isdecimal()
            except RowError:
                is_number = False
            if not is_number:
                unreadable += 1
                continue
            market, text = (fields[exchange], fields[symbol]), fields[sequence]
            count = rows.get(market, 0)
            rows[market] = count + 1
            if not 0 <= int(text) - count <= unreadable:
                otherwise.add(market)
    return rows.keys() - otherwise
