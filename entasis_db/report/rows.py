"""What a report has read."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from entasis_db.charts import Chart
from entasis_db.health import Check
from entasis_db.quality import Coverage, Gap
from entasis_db.queries import Market
from entasis_db.runs import Run


class CheckedMarket(NamedTuple):
    """A market, and how much of its last days is stored."""

    market: Market
    """What is known of it."""
    coverage: Coverage | None
    """Of its last days, up to the present. None: it was not looked at, as it is none of the
    busiest, or has no trade."""


class Lag(NamedTuple):
    """How late something is."""

    check: str
    """feed_silent, ingest_lag or candle_lag."""
    subject: str | None
    """The market. None: the whole database."""
    value: Decimal | None
    """How late it is, in the unit of the check. None: unknown."""
    since: datetime | None
    """Moment of the newest trade, or that candles are right about."""
    warning: Decimal | None
    """From which value on it warns. None: never."""
    critical: Decimal | None
    """From which value on it is critical. None: never."""


class Drawn(NamedTuple):
    """The candles of one of the busiest markets."""

    market: Market
    """The market."""
    chart: Chart
    """Its newest candles, or bars of trades where it has traded for some minutes only."""


class Month(NamedTuple):
    """What the partitions of a relation that begin in a month take."""

    month: datetime
    """Its beginning; UTC."""
    relation: str
    """Relation of schema entasis."""
    partitions: int
    """How many begin in it."""
    bytes: int
    """Size on disk with indexes."""
    estimated_rows: int
    """Rows as of the last ANALYZE; what was never analysed counts as none."""


class Lifecycle(NamedTuple):
    """How long a relation is kept, and what is past that."""

    relation: str
    """Relation of schema entasis."""
    keep: str | None
    """Keep period. None: for ever."""
    archived: bool
    """Whether partitions are dropped only with a verified archive."""
    past_keep: int
    """How many partitions are past their keep period."""
    kept_because: list[str]
    """Why they are still there."""
    waiting: int
    """How many of them wait to be archived."""
    verified_up_to: datetime | None
    """End of the newest range with a verified archive. None: there is none."""
    stale: int
    """Archives that differ from their ranges."""
    gone: int
    """Ranges that are gone without an archive that allowed it."""
    floor: datetime | None
    """Up to where it was dropped. None: nothing was."""
    bytes: int
    """Size on disk with indexes."""
    grown: int | None
    """Growth in 30 days. None: not measured yet."""


class Refused(NamedTuple):
    """Rows in quarantine that were refused for one reason."""

    relation: str
    """Relation that they were meant for."""
    code: str
    """Kind of the fault."""
    last_day: int
    """How many came in the last 24 hours."""
    rows: int | None
    """How many there are among the newest. None: this login may not read them."""
    example: str | None
    """The reason of one of them in words. None: as above."""
    newest: datetime | None
    """When the newest was refused. None: as above."""


@dataclass(frozen=True)
class Unread:
    """A part that could not be read."""

    why: str
    """What is missing, and what to do."""


@dataclass(frozen=True)
class Report:
    """A database, as it was at one moment."""

    database: str
    """Its name."""
    server: str
    """Version of its server."""
    engine: str
    """Its engine; empty: not known to this login."""
    release: str
    """The release of Entasis DB that it is at; empty: not known to this login."""
    at: datetime
    """When the snapshot was taken; UTC."""
    days: timedelta
    """How far back gaps and candles reach, from the newest trade of each market."""
    most_markets: int
    """Of how many markets gaps were looked for, the busiest."""
    most_refused: int
    """How many rows of quarantine were counted, the newest."""
    markets: Sequence[CheckedMarket] | Unread
    gaps: Sequence[Gap] | Unread
    lags: Sequence[Lag] | Unread
    drawn: Sequence[Drawn] | Unread
    months: Sequence[Month] | Unread
    lifecycle: Sequence[Lifecycle] | Unread
    refused: Sequence[Refused] | Unread
    runs: Sequence[Run] | Unread
    checks: Sequence[Check] | Unread
