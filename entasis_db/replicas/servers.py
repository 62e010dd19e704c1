"""What is known of the servers, whoever asks them."""

import logging
import random
import threading
from collections import deque
from collections.abc import Container, Sequence
from itertools import count

from entasis_db.breaker import Breaker
from entasis_db.replicas.metrics import Role, ServerMetrics
from entasis_db.replicas.positions import Position, State, now

_log = logging.getLogger("entasis_db.replicas")
_MOST_SAMPLES = 256
_CONFIRMED = 1.0  # s after which others are asked too whether they were promoted
_SURVEY = 0.25  # s between two looks for a primary that is not there
_ROLE_KEPT = 10.0  # s after which one that was the primary is asked again


class WrongServerError(Exception):
    """A server that answers, and whose answers do not count."""


class Server:
    """One server: what it said last, and how often it was asked."""

    def __init__(self, name: str, conninfo: str) -> None:
        self.name = name
        self.conninfo = conninfo
        self.breaker = Breaker(_log, f"{name} is left out", f"{name} answers again")
        self.role: Role = "unknown"
        self.seen_at = 0.0
        self.waits_for_it = True
        """Whether a read may wait for it: not after it was waited for in vain."""
        self.error = "it was not asked"
        self._failed_at = self._confirmed_at = float("-inf")
        self._counts = dict.fromkeys(("reads", "writes", "waits", "late", "failures"), 0)
        self._lock = threading.Lock()

    def count(self, what: str) -> None:
        """Count something of ServerMetrics."""
        with self._lock:
            self._counts[what] += 1

    def failed(self, error: BaseException) -> None:
        """Leave it out for a while."""
        self.count("failures")
        self.error = " ".join(str(error).split()) or type(error).__name__
        self._failed_at = now()
        self.lost()
        self.breaker.failed(error)

    def lost(self) -> None:
        """Note that a connection to it was lost: it may have been started anew."""
        self._confirmed_at = float("-inf")

    def confirm(self) -> None:
        """Note that no other server is the primary now."""
        self._confirmed_at = now()

    def is_confirmed(self) -> bool:
        """Say whether it may pass for the primary without asking the others."""
        return now() - self._confirmed_at < _CONFIRMED

    def failed_since(self, moment: float) -> bool:
        """Say whether it has failed since a moment."""
        return self._failed_at >= moment

    def metrics(self) -> ServerMetrics:
        """Return what was counted."""
        with self._lock:
            return ServerMetrics(
                self.name, self.role, left_out=not self.breaker.admits(), **self._counts
            )


class Servers:
    """All of them: which is the primary, and how far it was at which moment."""

    def __init__(self, servers: Sequence[Server]) -> None:
        self.all = tuple(servers)
        self.primary: Server | None = None
        self.system: int | None = None
        self._timeline = 0
        self._samples: deque[tuple[float, Position]] = deque(maxlen=_MOST_SAMPLES)
        self._surveyed_at = float("-inf")
        self._lock = threading.Lock()
        self._turns = count(random.randrange(max(1, len(servers))))  # noqa: S311 - a first turn

    def rotation(self, tried: Container[Server], *, left_out_too: bool = False) -> list[Server]:
        """Return who may answer a read, beginning with another one each time; not the primary."""
        moment = now()
        found = [
            server
            for server in self.all
            if server not in tried
            and (left_out_too or server.breaker.admits())
            and (server.role != "primary" or moment - server.seen_at > _ROLE_KEPT)
        ]
        turn = next(self._turns) % max(1, len(found))
        return found[turn:] + found[:turn]

    def note(self, server: Server, state: State) -> None:
        """Take note of what a server has said.

        Raises WrongServerError for one of another system, and for a former primary that goes on as
        one.
        """
        with self._lock:
            server.seen_at = now()
            server.role = "replica" if state.in_recovery else "primary"
            found = state.position
            if self.system is not None and found.system != self.system:
                raise WrongServerError("it is a server of another database system")
            if state.in_recovery:
                if self.primary is server:
                    self.primary = None
                return
            if found.timeline < self._timeline:
                raise WrongServerError(
                    f"it takes writes on timeline {found.timeline}, although another server was"
                    f" promoted to timeline {self._timeline}: stop it, and make it a replica"
                )
            if found.timeline > self._timeline or self.primary is not server:
                self._samples.clear()
            self.system, self._timeline, self.primary = found.system, found.timeline, server
            if not self._samples or state.asked_at > self._samples[-1][0]:
                self._samples.append((state.asked_at, found))

    def sample(self, since: float) -> Position | None:
        """Return where the primary was when it was first asked after ``since``."""
        with self._lock:
            return next((place for at, place in self._samples if at >= since), None)

    def last_sampled(self) -> float:
        """Return how long ago the primary said where it was, in seconds."""
        with self._lock:
            return now() - self._samples[-1][0] if self._samples else float("inf")

    def may_survey(self) -> bool:
        """Say whether all servers may be asked who is the primary: again only after a while."""
        with self._lock:
            if now() - self._surveyed_at < _SURVEY:
                return False
            self._surveyed_at = now()
            return True

    def said(self) -> str:
        """Say what is wrong with each server, in one line."""
        return "; ".join(f"{server.name}: {server.error}" for server in self.all)
