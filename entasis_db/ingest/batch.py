"""Batches: what one transaction writes, as the text that COPY reads."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from decimal import InvalidOperation
from itertools import count
from typing import Any, Generic

from entasis_db.ingest.checks import check_row, storable, unstageable
from entasis_db.ingest.copy_text import fields_text
from entasis_db.ingest.id_spaces import Market
from entasis_db.ingest.quarantine import Refusal
from entasis_db.ingest.targets import Row, Target

_CHUNK = 2000  # rows of one call into the driver


class DoubtfulRowError(Exception):
    """A row may not be what the table takes; SQL shall judge it."""


class Batch(ABC):
    """Rows for one relation; they can be written out any number of times."""

    target: Target[Any]
    refusals: Sequence[Refusal]
    """Rows that were lost to the reader, and go to quarantine with the others' transaction."""

    @abstractmethod
    def __len__(self) -> int:
        """Return how many rows can be written."""

    @abstractmethod
    def markets(self) -> Collection[Market]:
        """Return the markets of the rows, each once."""

    @abstractmethod
    def line_of(self, market: Market) -> int:
        """Return the line of the first row of a market."""

    @abstractmethod
    def count_before(self, moment: datetime) -> int:
        """Return how many rows are older than a moment."""

    @abstractmethod
    def clean_text(self) -> Iterator[str | memoryview]:
        """Write all rows in the order of the key, in pieces.

        Raises DoubtfulRowError at a row that the table may refuse.
        """

    @abstractmethod
    def staged_text(self) -> tuple[list[str], list[Refusal]]:
        """Write all rows with their lines for the staging table, and what cannot stand even there.

        Raises TypeError and ValueError for what is a mistake in the caller's program.
        """


class RowBatch(Batch, Generic[Row]):
    """Rows as Python objects."""

    def __init__(
        self,
        target: Target[Row],
        rows: Sequence[Row],
        lines: Sequence[int] | None = None,
        refusals: Sequence[Refusal] = (),
    ) -> None:
        """Make a batch; without ``lines``, a row's line is its position, from 1."""
        if lines is not None and len(lines) != len(rows):
            raise ValueError(f"{len(lines)} lines are given for {len(rows)} rows")
        self.target: Target[Row] = target
        self.refusals = refusals
        self._rows: Sequence[Row] = rows
        self._lines = lines

    def __len__(self) -> int:
        return len(self._rows)

    def markets(self) -> Collection[Market]:
        """Return each (symbol, exchange) once."""
        rows: Sequence[Any] = self._rows
        return {(row.symbol, row.exchange) for row in rows}

    def line_of(self, market: Market) -> int:
        """Return the line of the first row of a market."""
        rows: Sequence[Any] = self._rows
        position = next(n for n, row in enumerate(rows) if (row.symbol, row.exchange) == market)
        return position + 1 if self._lines is None else self._lines[position]

    def count_before(self, moment: datetime) -> int:
        """Return how many rows are older than a moment."""
        return sum(row.timestamp < moment for row in self._rows)

    def clean_text(self) -> Iterator[str | memoryview]:
        """Write the rows in the order of the key; DoubtfulRowError at one that may be refused."""
        write = self.target.writer()
        lines = []
        for row in self._in_key_order():
            line = write(row)
            if line is None:
                raise DoubtfulRowError
            lines.append(line)
            if len(lines) == _CHUNK:
                yield "".join(lines)
                lines.clear()
        yield "".join(lines)

    def _in_key_order(self) -> Sequence[Row]:
        try:
            return sorted(self._rows, key=self.target.key)
        except (TypeError, InvalidOperation):
            # a time without a zone, or a strike that is NaN: whoever looks at that row says so
            return self._rows

    def staged_text(self) -> tuple[list[str], list[Refusal]]:
        """Write the rows with their lines, apart from those that no type can hold."""
        write = self.target.writer()
        chunks = []
        refusals = []
        lines = self._lines if self._lines is not None else count(1)
        for line, row in zip(lines, self._rows, strict=False):
            text = write(row)
            if text is None:
                check_row(row)
                if fault := unstageable(row):
                    payload = {
                        name: None if value is None else storable(value)
                        for name, value in row._asdict().items()
                    }
                    refusals.append(Refusal(line, *fault, payload))
                    continue
                text = fields_text(row)
            chunks.append(f"{line}\t{text}")
        # few large pieces: each one is a call into the driver
        return ["".join(chunks[n : n + _CHUNK]) for n in range(0, len(chunks), _CHUNK)], refusals
