"""The primary is killed under its writers: what is lost, and who is believed afterwards."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import psycopg
import pytest

from drills import account
from drills.ledger import Ledger
from drills.writer import live, write
from entasis_db import queries
from entasis_db.errors import NoServerError, StaleReadError
from entasis_db.replicas import Position, Replicas
from tests.make import trade
from tests.replicas.rig import Servers, until
from tests.replicas.test_replicas import LAST, SOON, going, opened, reads

pytestmark = [pytest.mark.own_cluster, pytest.mark.standby, pytest.mark.newest_server_when_short]


@dataclass
class Clients:
    """One that writes trades, and one that reads them: what each was told."""

    replicas: Replicas
    ledger: Ledger = field(default_factory=Ledger)
    first_id: int = 1
    failures: list[BaseException] = field(default_factory=list)
    checked: int = 0
    token: Position | None = None
    _ended: threading.Event = field(default_factory=threading.Event)

    def write(self) -> None:
        trades = live([trade()], self.first_id)
        while not self._ended.is_set():
            batch = list(islice(trades, 5))
            while not self._ended.is_set():
                with suppress(psycopg.Error, NoServerError), self.replicas.primary() as connection:
                    write(connection, self.ledger, batch)
                    self.token = self.replicas.written(connection)
                    break
                self._ended.wait(0.01)

    def read(self, lost: set[Any]) -> None:
        """Read the last trade: none may be missing that was acknowledged a while before."""
        while not self._ended.wait(0.005):
            before = datetime.now(UTC) - SOON
            with suppress(psycopg.Error, NoServerError, StaleReadError):
                found = queries.latest_price("BTC", "x").one(self.replicas.reading(SOON))
                known = [
                    key
                    for key, one in list(self.ledger.acknowledged.items())
                    if one.at <= before and key not in lost
                ]
                if known:
                    assert found is not None
                    assert found.timestamp >= max(key[2] for key in known)
                    self.checked += 1


@contextmanager
def busy(trio: Servers, replicas: Replicas, lost: set[Any], first_id: int) -> Iterator[Clients]:
    clients = Clients(replicas, first_id=first_id)

    def told(run: Any, *arguments: Any) -> None:
        try:
            run(*arguments)
        except BaseException as error:  # noqa: BLE001 - whoever waits is told
            clients.failures.append(error)

    threads = [
        threading.Thread(target=told, args=[clients.write], daemon=True),
        threading.Thread(target=told, args=[clients.read, lost], daemon=True),
    ]
    for one in threads:
        one.start()
    try:
        yield clients
    finally:
        clients._ended.set()
        for one in threads:
            one.join(20)
    assert clients.failures == []


def settled(clients: Clients, more: int = 100) -> None:
    reached = len(clients.ledger.acknowledged) + more
    until(lambda: len(clients.ledger.acknowledged) >= reached or clients.failures)


def emptied(trio: Servers) -> None:
    trio.do(trio.primary, "DELETE FROM entasis.market_data")
    trio.do(trio.primary, "UPDATE entasis.keep_periods SET keep = NULL")
    trio.caught_up()


def furthest(trio: Servers) -> str:
    """The replica that has received most: the one to promote."""
    place = "SELECT pg_wal_lsn_diff(pg_last_wal_receive_lsn(), '0/0')"
    return max(trio.replicas, key=lambda name: trio.do(name, place))


def test_a_synchronous_set_up_loses_nothing(trio: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("entasis_db.breaker.FIRST_PAUSE", 0.1)
    emptied(trio)
    old = trio.primary
    trio.set(old, "synchronous_commit", "on")
    trio.set(old, "synchronous_standby_names", "ANY 1 (a, b, c)")
    with opened(trio) as replicas, busy(trio, replicas, set(), 1) as clients:
        settled(clients)
        trio[old].kill()
        trio.promote(furthest(trio))
        trio.set(trio.primary, "synchronous_standby_names", "")
        settled(clients)
        assert clients.checked > 5
    with trio.connect(trio.primary) as connection:
        taken = account.take(connection, clients.ledger)
    assert account.faults(taken, account.NOTHING, datetime.now(UTC), 0) == []
    # a hundred before the promotion, and a hundred after it
    assert taken.acknowledged >= 200


def test_an_asynchronous_one_loses_what_had_not_arrived_and_nothing_older_is_read(
    trio: Servers,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    """The replica that is not promoted has more of the old timeline than the new primary."""
    monkeypatch.setattr("entasis_db.breaker.FIRST_PAUSE", 0.1)
    emptied(trio)
    old, (chosen, other) = trio.primary, trio.replicas
    lost: set[Any] = set()
    with opened(trio) as replicas, busy(trio, replicas, lost, 10**9) as clients:
        settled(clients)
        trio.cut_off(chosen)
        cut = datetime.now(UTC)
        settled(clients)
        trio.caught_up(other)
        before = clients.token
        assert before is not None
        trio[old].kill()
        struck = datetime.now(UTC)
        # what the chosen one lacks is gone as soon as it is promoted
        lost.update(clients.ledger.acknowledged)
        trio.promote(chosen)
        settled(clients)
        # a place of the old timeline that the other one has, and that lies ahead of the new one's
        with going(trio, replicas) as went:
            for _ in range(10):
                queries.latest_price("BTC", "x").fetch(replicas.reading(after=clients.token))
                queries.latest_price("BTC", "x").fetch(replicas.reading(SOON))
        assert went[other] == 0
        assert went[chosen] >= 20
        found = queries.latest_price("BTC", "x").fetch(replicas.reading(after=before))
        assert found[0].timestamp > cut
    with trio.connect(chosen) as connection:
        taken = account.take(connection, clients.ledger)
    seconds = taken.lost_since(struck)
    record_property(
        "measured",
        f"asynchronous replica, cut off {(struck - cut).total_seconds():.2f} s before: "
        f"{len(taken.missing)} acknowledged trades lost, of the last {seconds:.2f} s",
    )
    assert taken.missing, "the replica was not behind: nothing was tried"
    bound = (struck - cut).total_seconds() + 0.5
    assert account.faults(taken, account.Loss("of the cut", bound), struck, 0) == []


def test_a_former_primary_that_comes_back_is_not_believed(trio: Servers) -> None:
    trio.do(trio.primary, "DROP TABLE IF EXISTS public.numbers")
    trio.do(trio.primary, "CREATE TABLE public.numbers (n int PRIMARY KEY)")
    trio.caught_up()
    old, (new, _) = trio.primary, trio.replicas
    with opened(trio) as replicas:
        with replicas.primary() as connection:
            connection.execute("INSERT INTO public.numbers VALUES (1)")
        trio.caught_up()
        trio[old].stop("immediate")
        trio.promote(new)
        trio[old].start()  # as a primary, which nobody has told
        with opened(trio) as another:
            for using in (replicas, another):
                with using.primary() as connection:
                    assert connection.info.port == trio[new].port
                for _ in range(4):
                    LAST.fetch(using)
                    LAST.fetch(using.reading(SOON))
                assert reads(trio, using)[old] == 0
                assert (
                    next(m for m in using.metrics() if trio.name_of(m.name) == new).role
                    == "primary"
                )
        trio.follow(old)
