"""What a line is given: the server, databases to measure in, a size, and how much to repeat."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

from psycopg import sql

from bench import data
from bench.loaders import Batches, Connection, Load, Trades, in_batches, stored_trades
from bench.measure import LeftOut, MeasurementError, only_row
from bench.progress import Progress
from bench.server import Server
from entasis_db.model import Trade

LARGE_SIZE = 2_000_000
"""More trades than this are loaded once per arm, and in fewer ways: each load takes minutes."""
_DOCUMENT = Path(__file__).with_name("document.sql")


@dataclass(frozen=True)
class Effort:
    """How many rows and rounds a run takes."""

    sizes: tuple[int, ...] = (1_000_000, 5_000_000)
    """Numbers of trades, where the command line names none."""
    batch: int = 10_000
    large_batch: int = 100_000
    service_trades: int = 200_000
    """Trades of the lines about writers and files, whatever the size is."""
    rounds: int = 3
    """Of what takes seconds or minutes."""
    short_rounds: int = 11
    """Of what takes a second or less."""
    reads: int = 15
    """Rounds of reads."""


FULL = Effort()
QUICK = Effort((2_000,), 200, 1_000, 1_000, 1, 1, 1)
"""Enough to see that a line runs; its figures mean nothing."""
SMALLEST_BATCHES = 5
"""A size has at least so many batches: with fewer, the one that comes after the stored trades would
reach back to the busy day."""


class Templates:
    """Databases that others are cloned from, each made when it is first asked for."""

    def __init__(self, server: Server, progress: Progress) -> None:
        self._server = server
        self._progress = progress

    @cached_property
    def migrated(self) -> str:
        """Empty, of engine postgresql, with the partitions of the made-up trades."""
        self._progress("migrating a database")
        return self._server.migrated()

    @cached_property
    def plain(self) -> str:
        """The same without triggers: the table with its indexes and CHECKs, and no candles."""
        name = self._server.clone(self.migrated, "plain")
        with self._server.connect(name) as connection:
            connection.execute("ALTER TABLE entasis.market_data DISABLE TRIGGER USER")
        return name

    @cached_property
    def document(self) -> str:
        """The source document's own ``market_data``, in schema public (see document.sql)."""
        name = self._server.clone("template0", "document")
        with self._server.connect(name) as connection:
            connection.execute(_DOCUMENT.read_bytes())
        return name


class Bench:
    """One size of one run."""

    def __init__(
        self,
        server: Server,
        progress: Progress,
        templates: Templates,
        size: int,
        effort: Effort = FULL,
    ) -> None:
        self.server = server
        self.progress = progress
        self.templates = templates
        self.size = size
        """The number of trades to measure with."""
        self.effort = effort
        self.batch = min(effort.batch, max(1, size // SMALLEST_BATCHES))
        """Trades in a batch."""
        self._loaded: str | None = None

    @property
    def load_rounds(self) -> int:
        """Rounds of a load of the whole size."""
        return self.effort.rounds if self.size <= LARGE_SIZE else 1

    def leave_out_large(self) -> None:
        """Raise LeftOut at a size whose loads take minutes each."""
        if self.size > LARGE_SIZE:
            raise LeftOut(
                f"not taken with {self.size:,} trades, whose loads take minutes: give a size of at"
                f" most {LARGE_SIZE:,}"
            )

    @contextmanager
    def database(self, template: str, label: str = "arm") -> Iterator[str]:
        """Lend a clone of a database that nobody is connected to."""
        name = self.server.clone(template, label)
        try:
            yield name
        finally:
            self.server.drop(name)

    @property
    def stored_trades(self) -> Trades:
        """The trades of this size, spread over all the days."""
        return stored_trades(self.size, self.batch)

    def next_batch(self) -> list[Trade]:
        """Return the batch that comes after the stored trades."""
        return list(islice(data.trades(self.size + self.batch), self.size, None))

    def load(self, batches: Batches, size: int | None = None) -> Load:
        """Return a load of ``size`` trades in these batches; by default of the bench's size."""
        return Load(size or self.size, batches, self.progress)

    def fresh(
        self, template: str, label: str, load: Callable[[Connection], float]
    ) -> Callable[[], float]:
        """Return an arm that loads into a database of its own, after a checkpoint."""

        def arm() -> float:
            self.progress(label)
            with self.database(template) as name:
                self.server.checkpoint()
                with self.server.connect(name) as connection:
                    return load(connection)

        return arm

    @property
    def loaded(self) -> str:
        """A database with ``size`` trades, vacuumed and analyzed; read-only, as lines share it.

        It is filled when the first line asks for it. A line that writes takes a clone of it.
        """
        if self._loaded is None:
            name = self.server.clone(self.templates.migrated, "loaded")
            self._fill(name)
            self._loaded = name
        return self._loaded

    def _fill(self, name: str) -> None:
        self.progress(f"filling a database with {self.size:,} trades")
        with self.server.connect(name) as connection:
            self.load(in_batches(self.stored_trades, self.effort.large_batch)).through_helper(
                connection
            )
            self.progress("vacuuming it")
            connection.execute("VACUUM (ANALYZE)")
            (counted,) = only_row(connection, "SELECT sum(trades) FROM entasis.ohlcv_1d")
            if counted != self.size:
                raise MeasurementError(f"the candles count {counted} of {self.size} trades")
            connection.execute(
                sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(
                    sql.Identifier(name)
                )
            )
        self.server.checkpoint()

    def close(self) -> None:
        """Drop the loaded database."""
        if self._loaded is not None:
            self.server.drop(self._loaded)
            self._loaded = None
