"""What clients were told to be stored, and when: what a recovery is measured against."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from threading import Lock

from entasis_db.model import Side, Trade
from tests.oracle import TradeKey

Told = tuple[Decimal, Decimal, Side | None]
"""Price, volume and side of a trade."""


@dataclass(frozen=True)
class Acknowledged:
    """A trade of which a client was told that it is committed."""

    told: Told
    at: datetime
    """When the client knew; UTC."""
    lsn: int
    """Where the server's WAL ended just after, in bytes: the commit lies before it."""


def key_of(trade: Trade) -> TradeKey:
    """Return what identifies a trade, with its time in UTC."""
    return (trade.symbol, trade.exchange, trade.timestamp.astimezone(UTC), trade.id)


@dataclass
class Ledger:
    """What was acknowledged, and what was sent and may be there or not."""

    acknowledged: dict[TradeKey, Acknowledged] = field(default_factory=dict)
    in_doubt: dict[TradeKey, Told] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def send(self, trades: Sequence[Trade]) -> None:
        """Record trades that are about to be sent: nobody knows what becomes of them."""
        with self._lock:
            self.in_doubt.update((key_of(t), (t.price, t.volume, t.side)) for t in trades)

    def acknowledge(self, trades: Sequence[Trade], lsn: int) -> None:
        """Record that their transaction has committed."""
        at = datetime.now(UTC)
        with self._lock:
            for trade in trades:
                told = (trade.price, trade.volume, trade.side)
                self.acknowledged[key_of(trade)] = Acknowledged(told, at, lsn)
                self.in_doubt.pop(key_of(trade), None)

    def copy(self) -> "Ledger":
        """Return a ledger that goes on by itself."""
        with self._lock:
            return Ledger(dict(self.acknowledged), dict(self.in_doubt))

    def since(self, at: datetime) -> int:
        """Count what was acknowledged from a time on."""
        with self._lock:
            return sum(one.at >= at for one in self.acknowledged.values())

    def without(self, keys: Iterable[TradeKey]) -> "Ledger":
        """Return a ledger that has never heard of some trades."""
        gone = set(keys)
        copied = self.copy()
        for told in (copied.acknowledged, copied.in_doubt):
            for key in gone & told.keys():
                del told[key]
        return copied
