"""Which public files would fill what is missing, and which of them lie in a folder."""

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path

from entasis_db.backfill.archives import ARCHIVES, Archive, Kind, PublicFile, days, stem_of
from entasis_db.backfill.spans import Span
from entasis_db.errors import LoadError
from entasis_db.ingest.exchanges import near
from entasis_db.readers import read_trades

MANY_DAYS = 16
"""So many missing days of a month take its file as a whole, where there is one."""
_MONTHS_COME = timedelta(days=7)
"""How long after its end the file of a month is there: on its first Monday."""

Market = tuple[str, str]
"""Symbol and exchange."""


@dataclass(frozen=True)
class Needed:
    """A public file that holds something of what is missing."""

    symbol: str
    """Instrument."""
    exchange: str
    """Venue."""
    kind: Kind
    """What it is of."""
    interval: str | None
    """How long its candles are. None: it is of trades."""
    url: str
    """Where it is published."""
    begin: datetime
    """The first moment of its range; UTC."""
    end: datetime
    """The end of its range, not included; UTC."""
    path: Path | None
    """Where it lies. None: it is missing."""


@dataclass(frozen=True)
class Unfillable:
    """Something that is missing and that no public file has."""

    symbol: str
    """Instrument."""
    exchange: str
    """Venue."""
    begin: datetime
    """The first moment of it; UTC."""
    end: datetime | None
    """The last moment of it; UTC. None: it goes on."""
    reason: str
    """Why there is none."""


@dataclass(frozen=True)
class Plan:
    """What would be loaded, and what cannot be."""

    files: list[Needed] = field(default_factory=list)
    """In the order of markets and days."""
    unfillable: list[Unfillable] = field(default_factory=list)
    """In the order in which it was asked for."""

    @property
    def there(self) -> list[Needed]:
        """The files that lie in the folder."""
        return [one for one in self.files if one.path is not None]

    @property
    def missing(self) -> list[Needed]:
        """The files that do not."""
        return [one for one in self.files if one.path is None]


class Folder:
    """The files of a folder and of those in it, by their names.

    Raises LoadError for what is no folder, or cannot be looked through.
    """

    def __init__(self, path: Path | str | None) -> None:
        self._found: dict[str, list[Path]] = defaultdict(list)
        self._root = Path() if path is None else Path(path)
        if path is None:
            return
        if not self._root.is_dir():
            raise LoadError(f"{path}: there is no such folder")
        for folder, inner, names in os.walk(self._root, onerror=_refuse):
            inner.sort()
            for name in sorted(names):
                self._found[stem_of(name)].append(Path(folder, name))

    def find(self, wanted: PublicFile, exchange: str) -> Path | None:
        """Return where a public file lies; None if it does not.

        Where neither its name nor its folder tells the venue, its columns must.
        """
        for name in wanted.names:
            for path in self._found.get(name, ()):
                it_is = wanted.may_be(path.relative_to(self._root))
                if it_is is None:
                    it_is = _is_of(path, exchange)
                if it_is:
                    return path
        return None


def _refuse(error: OSError) -> None:
    raise LoadError(f"{error.filename}: cannot be looked through: {error.strerror}") from error


def _is_of(path: Path, exchange: str) -> bool:
    """Tell by its columns whether a file is of an exchange; one that is damaged may be."""
    try:
        read_trades(path, exchange=exchange)
    except LoadError as error:
        return "write --exchange" not in str(error)
    return True


def plan(
    spans: Iterable[Span],
    folder: Path | str | None,
    *,
    now: datetime,
    kind: Kind = "trades",
    interval: str | None = None,
    id_spaces: Mapping[Market, str] | None = None,
) -> Plan:
    """Name the public files that hold what is missing, and find them in a folder.

    ``kind`` is ``candles``, with their ``interval``, or what markets without an id space are to be
    filled with; ``id_spaces`` are those of markets that have one. The files of days are preferred
    to those of months, which count where they lie there. Raises LoadError for what is no folder.
    """
    found, lying = Plan(), Folder(folder)
    wanted: dict[Market, list[Span]] = defaultdict(list)
    for span in spans:
        wanted[span.symbol, span.exchange].append(span)
    for market, asked in sorted(wanted.items(), key=lambda item: item[0][::-1]):
        of = (id_spaces or {}).get(market)
        what: Kind = "aggtrades" if kind == "trades" and of == "aggtrade" else kind
        archive = ARCHIVES.get(market[1])
        reason = _why_not(archive, market, what, of)
        if archive is None or reason is not None:
            found.unfillable.extend(
                Unfillable(*market, s.first, s.last, reason or "") for s in asked
            )
            continue
        needed = _days(archive, asked, now, found)
        found.files.extend(_files(archive, market, (what, interval), needed, lying, now))
    return found


def _why_not(
    archive: Archive | None, market: Market, kind: Kind, id_space: str | None
) -> str | None:
    """Say why the files of an archive cannot fill a market."""
    if archive is None:
        meant = near(market[1], ARCHIVES)
        hint = f"; is it {' or '.join(meant)}?" if meant else ""
        return f"no public files of {market[1]} are known{hint}"
    if why := archive.lacks(kind):
        return why
    spaces = archive.numbers(market[0], kind)
    if kind != "candles" and id_space is not None and id_space not in spaces:
        return (
            f"its ids are of the kind {id_space}, and those of public files "
            f"{' or '.join(sorted(spaces))}: both together would count trades twice"
        )
    return None


def _days(archive: Archive, asked: list[Span], now: datetime, found: Plan) -> list[date]:
    """Return the days that are over; what is not is noted."""
    needed: set[date] = set()
    for span in asked:
        last = now if span.last is None else span.last
        today = archive.day_of(now)
        for day in days(archive, span.first, max(last, span.first)):
            if day >= today:
                reason = "its day is not over: the file of a day is published after it"
                found.unfillable.append(
                    Unfillable(span.symbol, span.exchange, span.first, span.last, reason)
                )
                break
            needed.add(day)
    return sorted(needed)


def _files(
    archive: Archive,
    market: Market,
    what: tuple[Kind, str | None],
    needed: list[date],
    lying: Folder,
    now: datetime,
) -> list[Needed]:
    """Choose between the files of days and of months, by month."""
    symbol, exchange = market
    months: dict[date, list[date]] = defaultdict(list)
    for day in needed:
        months[day.replace(day=1)].append(day)
    chosen: list[tuple[PublicFile, Path | None]] = []
    for month, of_month in months.items():
        whole = archive.monthly(symbol, month, *what)
        daily = [archive.daily(symbol, day, *what) for day in of_month]
        found = [(one, lying.find(one, exchange)) for one in daily if one is not None]
        lacking = len(of_month) - sum(path is not None for _, path in found)
        if whole is not None and lacking:
            path = lying.find(whole, exchange)
            is_out = whole.end + _MONTHS_COME <= now
            if path is not None or not found or (lacking >= MANY_DAYS and is_out):
                found = [pair for pair in found if pair[1] is not None]
                found = [(whole, path)] if path is not None else [*found, (whole, None)]
        chosen.extend(found)
    return [
        Needed(symbol, exchange, *what, one.url, one.begin, one.end, path) for one, path in chosen
    ]
