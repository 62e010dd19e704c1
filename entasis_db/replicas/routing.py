"""Which server answers, decided without doing any I/O.

A search is a generator: it yields what is to be done (borrow a connection, ask it again, wait) and
is sent what came of it. Replicas and AsyncReplicas differ only in how they do that.
"""

from collections.abc import Collection, Generator
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

from entasis_db.errors import NoServerError, StaleReadError
from entasis_db.replicas.positions import Position, State, now
from entasis_db.replicas.servers import Server, Servers

_SHORTEST = 0.01  # s between two looks at the primary
_FIRST_POLL, _LONGEST_POLL = 0.001, 0.02  # s between two looks at a replica that is waited for


class Missing(Enum):
    """Why there is no connection."""

    AWAY = "the server failed"
    BUSY = "all of its connections are in use"


class Taken(NamedTuple):
    """A borrowed connection, and what its server has just said."""

    server: Server
    connection: Any
    state: State


class Take(NamedTuple):
    """Borrow a connection and ask its server; sent a Taken, or why there is none."""

    server: Server


class Ask(NamedTuple):
    """Ask a borrowed connection's server again; sent a State, or None when it has failed."""

    taken: Taken


class Give(NamedTuple):
    """Give a connection back."""

    taken: Taken


class Sleep(NamedTuple):
    """Wait for so many seconds."""

    seconds: float


Step = Take | Ask | Give | Sleep
Search = Generator[Step, Any, Taken]
_Part = Generator[Step, Any, Any]


@dataclass(frozen=True, slots=True)
class Demand:
    """How current a read has to be."""

    max_lag: float | None = None
    """Seconds."""
    after: Position | None = None

    @property
    def bounded(self) -> bool:
        """Whether not every replica will do."""
        return self.max_lag is not None or self.after is not None


def _count_late(late: list[tuple[Position, Server]], answering: Server | None) -> None:
    for _, server in late:
        if server is not answering:
            server.error = "it has not replayed what was asked for"
            server.count("late")


@dataclass(frozen=True, slots=True)
class Routing:
    """The searches over some servers."""

    servers: Servers
    patience: float
    """Seconds that a read waits for a replica."""
    timeout: float
    """Seconds that anybody waits for a connection of a server whose connections are in use."""

    def reading(self, demand: Demand, tried: Collection[Server]) -> Search:
        """Find a server that is current enough: a replica, else the primary.

        Raises NoServerError and StaleReadError.
        """
        if self.servers.system is None:
            # a server of another system must not be the first that is asked
            yield from self._survey(tried)
        taken: Taken | None = yield from self._replica(demand, tried)
        if taken is not None:
            return taken
        taken = yield from self._primary(tried)
        if taken is None:
            # whoever has failed a moment ago may be back
            taken = yield from self._replica(demand, tried, left_out_too=True)
            if taken is not None:
                return taken
            raise self._nobody(demand)
        after = demand.after
        if after is not None and after.system != taken.state.position.system:
            yield Give(taken)
            raise StaleReadError("what is to be read was written in another database system")
        return taken

    def writing(self) -> Search:
        """Find the primary. Raises NoServerError."""
        taken: Taken | None = yield from self._primary((), writable=True)
        if taken is None:
            raise NoServerError(f"no server takes writes: {self.servers.said()}")
        return taken

    def _nobody(self, demand: Demand) -> Exception:
        if demand.bounded and any(s.role == "replica" for s in self.servers.all):
            return StaleReadError(
                "no replica is known to be as current as was asked, and no primary answers: "
                f"{self.servers.said()}. Ask again, or without max_lag and after"
            )
        return NoServerError(f"no server answers: {self.servers.said()}")

    # -------------------------------------------------------------- replicas

    def _replica(
        self, demand: Demand, tried: Collection[Server], *, left_out_too: bool = False
    ) -> _Part:
        """Return a replica that is current enough, or None."""
        late: list[tuple[Position, Server]] = []
        # what a read sees is bounded by when it began
        since = now() - (demand.max_lag or 0)
        until = now() + self.timeout
        busy = True
        while busy and not late and now() < until:
            busy = False
            for server in self.servers.rotation(tried, left_out_too=left_out_too):
                taken = yield Take(server)
                if isinstance(taken, Missing):
                    busy = busy or taken is Missing.BUSY
                elif not taken.state.in_recovery:
                    yield Give(taken)
                elif (yield from self._is_current(taken.state, demand, since, tried)):
                    server.waits_for_it = True
                    _count_late(late, server)
                    return taken
                else:
                    late.append((taken.state.position, server))
                    yield Give(taken)
        waited_for = yield from self._wait(late, demand, since, tried)
        _count_late(late, waited_for and waited_for.server)
        return waited_for

    def _is_current(
        self, state: State, demand: Demand, since: float, tried: Collection[Server]
    ) -> _Part:
        if demand.after is not None and not state.position.covers(demand.after):
            return False
        if demand.max_lag is None:
            return True
        wanted = self.servers.sample(since)
        if wanted is None or self.servers.last_sampled() > max(demand.max_lag / 4, _SHORTEST):
            yield from self._survey(tried)
            wanted = self.servers.sample(since)
        return wanted is not None and state.position.covers(wanted)

    def _wait(
        self,
        late: list[tuple[Position, Server]],
        demand: Demand,
        since: float,
        tried: Collection[Server],
    ) -> _Part:
        """Wait for the replica that is nearest, not long; return it, or None."""
        hopeful = [one for one in late if one[1].waits_for_it]
        if not hopeful:
            return None
        _, server = max(hopeful, key=lambda one: (one[0].timeline, one[0].lsn))
        taken = yield Take(server)
        if isinstance(taken, Missing):
            return None
        server.count("waits")
        until, pause = now() + self.patience, _FIRST_POLL
        while not (yield from self._is_current(taken.state, demand, since, tried)):
            if now() >= until:
                server.waits_for_it = False
                yield Give(taken)
                return None
            yield Sleep(pause)
            pause = min(1.5 * pause, _LONGEST_POLL)
            state = yield Ask(taken)
            if state is None:
                yield Give(taken)
                return None
            taken = taken._replace(state=state)
        return taken

    # -------------------------------------------------------------- the primary

    def _primary(self, tried: Collection[Server], *, writable: bool = False) -> _Part:
        """Return the primary, or None; of several, the one that was promoted last.

        The one that is known is believed for a while, unless a connection to it was lost: it may
        have been replaced, and come back without having been told.
        """
        known = self.servers.primary
        taken: Taken | None = None
        if known is not None and known not in tried:
            taken = yield from self._serving(known, writable)
            if taken is not None and known.is_confirmed():
                return taken
        others = [s for s in self.servers.all if s is not known and s not in tried]
        left_out = [server for server in others if not server.breaker.admits()]
        best = yield from self._last_promoted([s for s in others if s not in left_out], writable)
        if best is None and taken is None:
            best = yield from self._last_promoted(left_out, writable)
        if best is not None and taken is not None:
            last = max(best, taken, key=lambda one: one.state.position.timeline)
            yield Give(taken if last is best else best)
            best = last
        best = best or taken
        if best is not None:
            best.server.confirm()
        return best

    def _survey(self, tried: Collection[Server]) -> _Part:
        """Ask the primary where it is, if there is one: not one that has failed a moment ago."""
        known = self.servers.primary
        if known is not None and known not in tried and known.breaker.admits():
            taken = yield from self._primary(tried)
        elif self.servers.may_survey():
            others = [s for s in self.servers.all if s.breaker.admits() and s not in tried]
            taken = yield from self._last_promoted(others, writable=False)
        else:
            taken = None
        if taken is not None:
            yield Give(taken)

    def _last_promoted(self, servers: list[Server], writable: bool) -> _Part:
        best: Taken | None = None
        for server in servers:
            taken = yield from self._serving(server, writable)
            if taken is None:
                continue
            if best is None or best.state.position.timeline < taken.state.position.timeline:
                best, taken = taken, best
            if taken is not None:
                yield Give(taken)
        return best

    def _serving(self, server: Server, writable: bool) -> _Part:
        """Return a connection to a server that is no replica, or None."""
        until = now() + self.timeout
        while (taken := (yield Take(server))) is Missing.BUSY:
            if now() >= until:
                server.error = Missing.BUSY.value
                return None
        if isinstance(taken, Missing):
            return None
        if taken.state.in_recovery or (writable and taken.state.read_only):
            server.error = "it takes no writes"
            yield Give(taken)
            return None
        return taken
