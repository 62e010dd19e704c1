"""Where exchanges and vendors publish trades: the names of their files, by market and day.

Each archive is described by what its publisher documents or lists; decision 0049 names the pages.
Nothing here asks them whether a file is there.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from pathlib import PurePath
from typing import Literal, Protocol

Kind = Literal["trades", "aggtrades", "candles"]
_DAY = timedelta(days=1)
_HONG_KONG = timezone(timedelta(hours=8))


@dataclass(frozen=True)
class PublicFile:
    """A file that a publisher has of a market."""

    url: str
    """Where it is, or was to be expected."""
    begin: datetime
    """The first moment of its range."""
    end: datetime
    """The end of its range, not included."""
    names: tuple[str, ...]
    """The names it may have, without what they end in, in small letters."""
    monthly: bool = False
    """Whether it is of a month, and else of a day."""
    own: str | None = None
    """The folder, in small letters, that tells it from files of the same name."""
    others: frozenset[str] = frozenset()
    """The folders of the files of the same name."""
    must_tell: bool = False
    """Whether nothing in the file tells it from those."""
    within: str | None = None
    """What its folder must end with, in small letters, because its name says too little."""

    def may_be(self, path: PurePath) -> bool | None:
        """Tell whether a file of one of its names is it by its folder; None: it does not say."""
        parts = [part.lower() for part in path.parts[:-1]]
        if self.within is not None and stem_of(path.name) == self.names[-1]:
            return "/".join(parts).endswith(self.within)
        if self.own is None:
            return True
        found = {self.own, *self.others} & set(parts)
        if found:
            return self.own in found
        return False if self.must_tell else None


_ENDINGS = re.compile(r"(?: ?\(\d+\)| copy(?: \d+)?| - copy)*(?:\.(?:csv|txt|gz|zip))*")


def stem_of(name: str) -> str:
    """Return the name of a file in small letters, without what browsers and packers add."""
    name = name.lower()
    ends = [match.start() for match in _ENDINGS.finditer(name) if match.end() == len(name)]
    return name[: min(ends, default=len(name))]


class Archive(Protocol):
    """What one publisher has."""

    late: timedelta
    """How long after its time a trade may stand in the file of a day."""

    def lacks(self, kind: Kind) -> str | None:
        """Say why it has no files of a kind."""

    def numbers(self, symbol: str, kind: Kind) -> frozenset[str]:
        """Return the id spaces that its trades of a symbol may have."""

    def day_of(self, moment: datetime) -> date:
        """Return the day in whose file a moment lies."""

    def daily(self, symbol: str, day: date, kind: Kind, interval: str | None) -> PublicFile | None:
        """Name the file of a day; None where there are only those of months."""

    def monthly(
        self, symbol: str, day: date, kind: Kind, interval: str | None
    ) -> PublicFile | None:
        """Name the file of the month of a day; None where there are none."""


def _bounds(day: date, zone: timezone, *, month: bool = False) -> tuple[datetime, datetime]:
    begin = datetime.combine(day.replace(day=1) if month else day, time(), zone).astimezone(UTC)
    if not month:
        return begin, begin + _DAY
    following = (day.replace(day=1) + 32 * _DAY).replace(day=1)
    return begin, datetime.combine(following, time(), zone).astimezone(UTC)


@dataclass(frozen=True)
class Binance:
    """data.binance.vision: trades, aggregated trades and klines, by day and by month."""

    market: str
    late = timedelta()

    def lacks(self, kind: Kind) -> str | None:  # noqa: ARG002
        """Say nothing: it has all kinds."""
        return None

    def numbers(self, symbol: str, kind: Kind) -> frozenset[str]:  # noqa: ARG002
        """Return the one that trades, or aggregated ones, are numbered in."""
        return frozenset({"aggtrade" if kind == "aggtrades" else "trade"})

    def day_of(self, moment: datetime) -> date:
        """Return the day in UTC."""
        return moment.astimezone(UTC).date()

    def daily(self, symbol: str, day: date, kind: Kind, interval: str | None) -> PublicFile | None:
        """Name the file of a day, but of candles that are longer than one."""
        if interval in {"3d", "1w", "1mo"}:
            return None
        return self._file(symbol, kind, interval, f"{day:%Y-%m-%d}", _bounds(day, UTC))

    def monthly(
        self, symbol: str, day: date, kind: Kind, interval: str | None
    ) -> PublicFile | None:
        """Name the file of a month."""
        bounds = _bounds(day, UTC, month=True)
        return self._file(symbol, kind, interval, f"{day:%Y-%m}", bounds)

    def _file(
        self,
        symbol: str,
        kind: Kind,
        interval: str | None,
        when: str,
        bounds: tuple[datetime, datetime],
    ) -> PublicFile:
        monthly = len(when) == 7
        folder = {"trades": "trades", "aggtrades": "aggTrades", "candles": "klines"}[kind]
        inner = f"{symbol}/{interval}" if interval else symbol
        name = f"{symbol}-{interval or folder}-{when}"
        own = self.market.rpartition("/")[2]
        return PublicFile(
            f"https://data.binance.vision/data/{self.market}/{'monthly' if monthly else 'daily'}/"
            f"{folder}/{inner}/{name}.zip",
            *bounds,
            (name.lower(),),
            monthly=monthly,
            own=own,
            others=frozenset({"spot", "um", "cm"} - {own}),
            must_tell=kind == "candles",
        )


class Bybit:
    """public.bybit.com: contracts by day; spot by day, and formerly by month."""

    late = timedelta()

    def lacks(self, kind: Kind) -> str | None:
        """Say that it has trades only."""
        return None if kind == "trades" else f"Bybit publishes no files of {kind} that are read"

    def numbers(self, symbol: str, kind: Kind) -> frozenset[str]:  # noqa: ARG002
        """Return what trades are numbered in: those of spot have no ids in files."""
        return frozenset({"ordinal" if symbol.endswith("-SPOT") else "digest"})

    def day_of(self, moment: datetime) -> date:
        """Return the day in UTC."""
        return moment.astimezone(UTC).date()

    def daily(self, symbol: str, day: date, kind: Kind, interval: str | None) -> PublicFile | None:  # noqa: ARG002
        """Name the file of a day."""
        when, plain = f"{day:%Y-%m-%d}", symbol.removesuffix("-SPOT")
        folder, name = ("trading", f"{plain}{when}")
        names = [name]
        if plain != symbol:
            folder, name = ("spot", f"{plain}_{when}")
            names = [name, f"{name}_spot"]
        return PublicFile(
            f"https://public.bybit.com/{folder}/{plain}/{name}.csv.gz",
            *_bounds(day, UTC),
            tuple(map(str.lower, names)),
        )

    def monthly(
        self,
        symbol: str,
        day: date,
        kind: Kind,  # noqa: ARG002
        interval: str | None,  # noqa: ARG002
    ) -> PublicFile | None:
        """Name the file of a month of spot."""
        plain = symbol.removesuffix("-SPOT")
        if plain == symbol:
            return None
        name = f"{plain}-{day:%Y-%m}"
        return PublicFile(
            f"https://public.bybit.com/spot/{plain}/{name}.csv.gz",
            *_bounds(day, UTC, month=True),
            (name.lower(),),
            monthly=True,
        )


class Okx:
    """The archive of OKX: by the days of Hong Kong."""

    late = timedelta()

    def lacks(self, kind: Kind) -> str | None:
        """Say that it has trades only."""
        return None if kind == "trades" else f"OKX publishes no files of {kind} that are read"

    def numbers(self, symbol: str, kind: Kind) -> frozenset[str]:  # noqa: ARG002
        """Return the exchange's own."""
        return frozenset({"trade"})

    def day_of(self, moment: datetime) -> date:
        """Return the day in Hong Kong."""
        return moment.astimezone(_HONG_KONG).date()

    def daily(self, symbol: str, day: date, kind: Kind, interval: str | None) -> PublicFile | None:  # noqa: ARG002
        """Name the file of a day."""
        name = f"{symbol}-trades-{day:%Y-%m-%d}"
        return PublicFile(
            f"https://www.okx.com/cdn/okex/traderecords/trades/daily/{day:%Y%m%d}/{name}.zip",
            *_bounds(day, _HONG_KONG),
            (name.lower(),),
        )

    def monthly(
        self,
        symbol: str,  # noqa: ARG002
        day: date,  # noqa: ARG002
        kind: Kind,  # noqa: ARG002
        interval: str | None,  # noqa: ARG002
    ) -> PublicFile | None:
        """Name none: those of months are of all instruments of a kind."""
        return None


@dataclass(frozen=True)
class Tardis:
    """datasets.tardis.dev: by the day in which a message arrived; most of it for subscribers."""

    exchange: str
    late = timedelta(seconds=10)

    def lacks(self, kind: Kind) -> str | None:
        """Say that it has trades only."""
        return None if kind == "trades" else f"Tardis publishes no files of {kind} that are read"

    def numbers(self, symbol: str, kind: Kind) -> frozenset[str]:  # noqa: ARG002
        """Return the exchange's own, which may be numbers or text."""
        return frozenset({"trade", "digest"})

    def day_of(self, moment: datetime) -> date:
        """Return the day in UTC."""
        return moment.astimezone(UTC).date()

    def daily(self, symbol: str, day: date, kind: Kind, interval: str | None) -> PublicFile | None:  # noqa: ARG002
        """Name the file of a day."""
        plain = re.sub("[/:]", "-", symbol).upper()
        folder = f"{self.exchange}/trades/{day:%Y/%m/%d}"
        return PublicFile(
            f"https://datasets.tardis.dev/v1/{folder}/{plain}.csv.gz",
            *_bounds(day, UTC),
            (f"{self.exchange}_trades_{day:%Y-%m-%d}_{plain}".lower(), plain.lower()),
            within=folder,
        )

    def monthly(
        self,
        symbol: str,  # noqa: ARG002
        day: date,  # noqa: ARG002
        kind: Kind,  # noqa: ARG002
        interval: str | None,  # noqa: ARG002
    ) -> PublicFile | None:
        """Name none."""
        return None


ARCHIVES: Mapping[str, Archive] = {
    "binance-spot": Binance("spot"),
    "binance-usdm": Binance("futures/um"),
    "binance-cm": Binance("futures/cm"),
    "bybit": Bybit(),
    "okx": Okx(),
    **{
        name: Tardis(name)
        for name in ("bitfinex", "bitmex", "bitstamp", "coinbase", "deribit", "gemini")
    },
}
"""What is published of each exchange, as far as it is known."""


def days(archive: Archive, first: datetime, last: datetime) -> Iterator[date]:
    """Yield the days in whose files a span lies, both ends of it included."""
    day, end = archive.day_of(first), archive.day_of(last + archive.late)
    while day <= end:
        yield day
        day += _DAY
