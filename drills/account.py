"""Counting: what is there after a recovery, against what clients were told to be stored."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg

from drills.ledger import Acknowledged, Ledger, Told
from entasis_db.candles import check_candles
from tests import oracle
from tests.oracle import TradeKey


@dataclass(frozen=True)
class Account:
    """What a recovery brought back."""

    acknowledged: int
    """Trades of which a client was told that they are committed."""
    missing: dict[TradeKey, Acknowledged]
    """Those of them that are neither stored nor in the archive."""
    altered: list[TradeKey]
    """Those with another price, volume or side."""
    surplus: list[TradeKey]
    """Stored trades that nobody sent."""
    candles: int
    """Candles that were compared."""
    wrong_candles: list[oracle.Difference]
    """Those that are not what the trades make, of what is stored or archived."""
    reported: list[str]
    """What ``entasis.check_candles()`` says."""

    def lost_since(self, struck: datetime) -> float:
        """Return how long before the disaster the oldest lost trade was acknowledged; seconds."""
        return max(((struck - one.at).total_seconds() for one in self.missing.values()), default=0)


def take(
    connection: psycopg.Connection[Any],
    ledger: Ledger,
    archived: Mapping[TradeKey, Told] | None = None,
) -> Account:
    """Compare every trade and every candle with the ledger.

    ``connection`` is a superuser's. ``archived`` are trades that were dropped with an archive: they
    are not looked for in the table, and candles count them all the same.
    """
    gone = dict(archived or {})
    stored = _stored(connection)
    known = {**{key: one.told for key, one in ledger.acknowledged.items()}, **ledger.in_doubt}
    missing = {
        key: one
        for key, one in ledger.acknowledged.items()
        if key not in stored and key not in gone
    }
    counted = {key: (price, volume) for key, (price, volume, _) in {**gone, **stored}.items()}
    oracle.refresh(connection)
    wrong = oracle.differences(connection, counted)
    return Account(
        acknowledged=len(ledger.acknowledged),
        missing=missing,
        altered=sorted(key for key in stored.keys() & known.keys() if stored[key] != known[key]),
        surplus=sorted(stored.keys() - known.keys()),
        candles=sum(len(level) for level in oracle.stored_candles(connection).values()),
        wrong_candles=wrong,
        reported=[
            f"{one.relation} {one.exchange} {one.symbol} {one.bucket}: {one.problem}"
            for one in check_candles(connection)
        ],
    )


def _stored(connection: psycopg.Connection[Any]) -> dict[TradeKey, Told]:
    return {
        (symbol, exchange, time.astimezone(UTC), number): (price, volume, side)
        for symbol, exchange, time, number, price, volume, side in connection.execute(
            "SELECT symbol, exchange, timestamp, id, price, volume, side FROM entasis.market_data"
        )
    }


@dataclass(frozen=True)
class Loss:
    """What a scenario states that may be lost."""

    text: str
    """As the page says it."""
    seconds: float = 0
    """How long before the disaster a lost trade may have been acknowledged, at most."""


NOTHING = Loss("nothing")


def faults(account: Account, loss: Loss, struck: datetime, safe_lsn: int) -> list[str]:
    """Say in what a recovery falls short of what its scenario states; nothing, where it holds.

    ``safe_lsn`` is where the WAL ended that had reached the repositories when the disaster came:
    what was committed before it may never be lost.
    """
    found = []
    lost = account.missing
    seconds = account.lost_since(struck)
    if lost and not loss.seconds:
        found.append(f"{len(lost)} acknowledged trades are lost, and the page says {loss.text}")
    elif seconds > loss.seconds:
        found.append(
            f"a lost trade was acknowledged {seconds:.1f} s before the disaster, and the page says "
            f"{loss.text} ({loss.seconds:.0f} s)"
        )
    early = sum(one.lsn <= safe_lsn for one in lost.values())
    if early:
        found.append(f"{early} lost trades were committed in WAL that had been archived")
    found += [
        f"{len(some)} trades {what}, the first: {some[0]}"
        for what, some in (
            ("have other values than were acknowledged", account.altered),
            ("are stored that nobody sent", account.surplus),
        )
        if some
    ]
    if account.wrong_candles:
        found.append(
            f"{len(account.wrong_candles)} candles are not what their trades make, "
            f"the first: {account.wrong_candles[0]}"
        )
    if account.reported:
        found.append(
            f"check_candles() reports {len(account.reported)}, the first: {account.reported[0]}"
        )
    return found
