"""Sizes whose sign says which side took: below zero, the seller did, as Bitfinex states them."""

from contextlib import suppress
from decimal import Decimal

from entasis_db.errors import LoadError
from entasis_db.model import Side
from entasis_db.readers.columns import Translate
from entasis_db.readers.files import Source
from entasis_db.readers.rows import RowError, decimal_of

Market = tuple[str, str]
"""Exchange and symbol, as the file has them."""


class Signs:
    """Tells sizes and sides of a file apart.

    A market with one size below zero states all its sides so: there, a size without a sign was
    bought. Of a pipe, which cannot be read beforehand, those before the first sign have no side.
    """

    def __init__(
        self,
        source: Source,
        columns: tuple[int, int, int],
        translate: Translate | None = None,
    ) -> None:
        """Make it for a file; ``columns`` are the places of exchange, symbol and size."""
        self._source = source
        self._translate = translate
        self._columns = columns
        self._markets: set[Market] | None = None

    def read(self, market: Market, size: Decimal, side: Side | None) -> tuple[Decimal, Side | None]:
        """Return size and side of a row, for which the file may state a side.

        Raises RowError when the one contradicts the other.
        """
        if _is_below_zero(size):
            if side == "buy":
                raise RowError("side", f"the size is {size}, which was sold, and the side buy")
            self._signed().add(market)
            # unlike abs(), without the caller's decimal context
            return size.copy_abs(), side or "sell"
        if side is None and market in self._signed():
            return size, "buy"
        return size, side

    def _signed(self) -> set[Market]:
        if self._markets is None:
            again = self._source.again() if self._source.rereadable else None
            self._markets = (
                set() if again is None else _signed(again, self._columns, self._translate)
            )
        return self._markets


def _signed(
    source: Source, columns: tuple[int, int, int], translate: Translate | None
) -> set[Market]:
    """Return the markets that have a size below zero."""
    exchange, symbol, size = columns
    found: set[Market] = set()
    try:
        for block in source.blocks():
            for line in block.lines if block.ended else ():
                # nearly no line has one, and splitting them all would take as long as reading
                if ",-" in line or ", -" in line or line.startswith("-"):
                    fields = line.split(",")
                    with suppress(RowError, IndexError):
                        if translate is not None:
                            fields = translate(fields)
                        if len(fields) > size and _is_below_zero(decimal_of(fields[size])):
                            found.add((fields[exchange], fields[symbol]))
    except LoadError:
        pass  # whoever reads the rows says so
    return found


def _is_below_zero(size: Decimal) -> bool:
    return size.is_signed() and size.is_finite() and bool(size)
