"""What a line of the benchmark is."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum

from bench.context import Bench
from bench.measure import Row


class Subject(Enum):
    """What a line is about; the report has them in this order."""

    LOADING = "Loading"
    CANDLES = "Candles"
    READING = "Reading"
    RETENTION = "Retention and archive"
    SERVICES = "Live services"
    ENGINES = "Engines"


class Sizes(Enum):
    """At which of the run's sizes a line is taken."""

    EACH = "each"
    ONCE = "once"
    """At the smallest one: it takes long, or has a size of its own."""


@dataclass(frozen=True)
class Line:
    """One line, as the registry found it."""

    name: str
    """That of its file."""
    subject: Subject
    title: str
    """One sentence: what is compared with what."""
    how: str
    """How it is taken, and what its figures mean."""
    sizes: Sizes
    run: Callable[[Bench], Iterable[Row]]
    """Measure at the size of the given bench. Raises LeftOut where it cannot be taken."""
