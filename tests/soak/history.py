"""Runs a history: each step is taken, and then everything is compared with the model."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import psycopg

from entasis_db.archive import FolderStore
from entasis_db.embedded import Cluster
from entasis_db.errors import EmbeddedServerError, NotWrittenError, StoreError
from tests import oracle
from tests.db import Connection, KilledError
from tests.engines import Database
from tests.soak import lifecycle, published, quotes, writers
from tests.soak.checks import (
    BrokenError,
    check,
    check_archives,
    check_queries,
    everywhere,
    holds,
    same,
)
from tests.soak.clients import OWN, Turn, dying, take_turns, time_limit, wait_for_the_dead
from tests.soak.model import Model, Result
from tests.soak.probe import Probe
from tests.soak.state import RELATIONS, Reader, State, read
from tests.soak.universe import ID_SPACES, SIGNED

Step = dict[str, Any]
_LOST = (KilledError, psycopg.OperationalError, psycopg.InterfaceError, StoreError, NotWrittenError)
"""How a step ends whose client or server was killed; the writer hands its rows back."""


STEP_SECONDS = 120.0
"""A step that lasts longer hangs; with all that is compared after it, one takes half a second."""


class History:
    """A database, its archive and the model, from step to step."""

    def __init__(self, database: Database, folder: Path, cluster: Cluster | None = None) -> None:
        self._database = database
        self._cluster = cluster
        self._folder = folder
        self._store = FolderStore(folder / "archive")
        self._reader = Reader(self._store, folder)
        self._observer: Connection = database.connect(application_name=OWN)
        self._probe: Probe | None = None
        self._listens = database.can("candle_tables")
        self._number = 0
        self.last: Step = {}
        self.model = Model()
        for (symbol, exchange), id_space in ID_SPACES.items():
            self._observer.execute(
                "SELECT entasis.record_id_space(%s, %s, %s, 'soak')", [symbol, exchange, id_space]
            )
        self._observer.execute(
            "SELECT entasis.set_market(%s, %s, %s)", [*SIGNED, '{"kind": "combo"}']
        )
        self._listen()
        self._state = self._read()
        lifecycle.take_facts(self.model, self._state)

    def close(self) -> None:
        """End."""
        self._quiet()
        self._observer.close()

    def take(self, step: Step) -> None:
        """Take a step and see whether everything holds."""
        self._number += 1
        self.last = step
        with time_limit(self._database.dsn, STEP_SECONDS):
            self._take(step)

    def _take(self, step: Step) -> None:
        if step["do"] == "both":
            self._both(step)
        elif step["do"] in ("killed", "crash"):
            self._killed(step)
        else:
            self._alone(step, self._source())
        self._check()

    def finish(self) -> None:
        """Undisturbed, what is past its keep period goes, and all of it comes back."""
        steps: list[Step] = [{"do": "release"}, {"do": "archive"}]
        steps += [{"do": "maintain", "owner": True}, {"do": "archive"}]
        steps += [{"do": "maintain", "owner": False}]
        for step in steps:
            self.take(step)
        if all(self._state.archived.values()):
            for relation in RELATIONS:
                limit = self._state.keep_from[relation]
                late = [p for p in self._state.partitions[relation] if limit and p[1] <= limit]
                holds(not late, f"{relation} still has {late}, past its keep period")
        for relation in RELATIONS:
            everything: Step = {
                "do": "restore", "relation": relation, "back": 200, "months": 200,
                "attach": True, "hold": 7,
            }  # fmt: skip
            self.take(everything)
        stored = dict(self._state.trades)
        same(stored, self.model.trades, "trades after everything was restored")
        for relation, book in self.model.books().items():
            same(self._state.books[relation], book.rows, f"{relation} after it was restored")

    # ------------------------------------------------------------------ one client

    def _source(self, suffix: str = "") -> str:
        return f"step{self._number}{suffix}"

    def _run(self, connection: Connection, step: Step, source: str, connect: Any) -> Result:
        """Take a step on a connection."""
        if step["do"] in lifecycle.LIFECYCLE:
            return lifecycle.run(connection, step, self._store)
        if step["do"] == "replace":
            return writers.replace(connection, step, source, self._folder)
        if step["do"] == "quotes":
            return quotes.load(connection, step, source, self._folder)
        if step["do"] == "publish":
            return published.load(connection, step, source, self._folder)
        if step["do"] == "load":
            return writers.load(connection, step, source, self._folder, connect)
        return writers.transaction(connection, step, source, self._folder, connect)

    def _alone(self, step: Step, source: str) -> None:
        writes = step["do"] not in lifecycle.LIFECYCLE
        expected: Result = "ok"
        if writes:
            expected = writers.expect(self.model, step, source)
            if expected == "ambiguous":
                return
        with self._database.connect() as connection:
            result = self._run(connection, step, source, self._database.connect)
        if writes:
            holds(result == expected, f"the step answered {result}, ought to answer {expected}")
            return
        self._adopt(step, result)
        if step["do"] == "restore":
            lifecycle.check_beside(self._observer, step, result, self.model)

    def _adopt(self, step: Step, result: Result, *, alone: bool = True) -> None:
        """Take over where ranges are after a step of their life."""
        before, now = self._state, self._read()
        lifecycle.adopt(self.model, before, now, step, result)
        if step["do"] == "maintain":
            lifecycle.check_drops(before, now)
            if alone:
                lifecycle.check_left(self._observer)
        if step["do"] == "archive" and result == "ok" and alone:
            check_archives(now, self._reader)
        if step["do"] == "restore" and step["attach"]:
            lifecycle.check_attached(before, now, self._reader, step)

    # ------------------------------------------------------------------ kills

    def _killed(self, step: Step) -> None:
        """Take a step in a client that dies, or on a server that does, and then once more."""
        of, source = step["of"], self._source()
        tried = self.model.copy()
        kill: Callable[[], None] | None = None
        if step["do"] == "crash":
            if self._cluster is None:
                return
            self._quiet()
            kill = self._crash(step["how"])
        elif of.get("path") == "stream":
            return  # a writer goes on by itself
        writes = of["do"] not in lifecycle.LIFECYCLE
        if writes and writers.expect(tried, of, source) == "ambiguous":
            return
        kind = dying(step["at"], kill)
        connected = kind.connect(self._database.dsn, autocommit=True)
        result: Result = "lost"
        try:
            with contextlib.suppress(*_LOST):
                result = self._run(
                    connected, of, source, lambda: kind.connect(self._database.dsn, autocommit=True)
                )
        finally:
            if not connected.closed:
                connected.pgconn.finish()
        self._revive()
        wait_for_the_dead(self._observer)
        self._listen()
        if writes:
            self._settle([self.model.copy(), tried])
        else:
            self._adopt(of, result, alone=False)
        self._check()
        self._alone(of, source + "again")

    def _crash(self, how: str) -> Callable[[], None]:
        """Return what brings the server down, and up again."""
        cluster = self._cluster
        assert cluster is not None

        def kill() -> None:
            pid = cluster.status().pid
            assert pid is not None
            os.kill(pid, signal.SIGQUIT if how == "immediate" else signal.SIGKILL)
            while alive(pid):
                threading.Event().wait(0.01)
            for _ in range(100):
                with contextlib.suppress(EmbeddedServerError):  # its children still end
                    cluster.start()
                    return
                threading.Event().wait(0.1)
            cluster.start()

        return kill

    def _revive(self) -> None:
        """Look on again, if the server was brought down."""
        if self._observer_is_dead():
            self._observer.close()
            self._observer = self._database.connect(application_name=OWN)

    def _observer_is_dead(self) -> bool:
        try:
            self._observer.execute("SELECT")
        except psycopg.OperationalError:
            return True
        return False

    # ------------------------------------------------------------------ two clients

    def _both(self, step: Step) -> None:
        """Two clients take a step each, one exchange at a time in turn."""
        parts = step["steps"]
        sources = [self._source("a"), self._source("b")]
        if any(
            part["do"] not in lifecycle.LIFECYCLE
            and writers.expect(self.model.copy(), part, source) == "ambiguous"
            for part, source in zip(parts, sources, strict=True)
        ):
            return
        if not self._state.archived["market_data"] and "maintain" in (p["do"] for p in parts):
            return  # whether a trade was refused or discarded, only its candle would say
        if step.get("listen"):
            self._quiet()
        turns = [self._turn(part, source) for part, source in zip(parts, sources, strict=True)]
        late = Probe(self._database.dsn) if step.get("listen") and self._listens else None
        take_turns(turns, step["order"], self._observer, late and late.start_late)
        if late is not None:
            self._probe = late
        results: list[Result] = []
        for turn in turns:
            if isinstance(turn.error, writers.AGAIN):
                results.append("again")
            elif turn.error is not None:
                raise turn.error
            else:
                results.append(turn.result)
        self._take_both(parts, sources, results)
        for part, source, result in zip(parts, sources, results, strict=True):
            if result == "again":
                self._check()
                self._alone(part, source + "again")

    def _turn(self, part: Step, source: str) -> Turn:
        def run(turn: Turn) -> Result:
            kind = turn.kind()

            def connect() -> Connection:
                return kind.connect(self._database.dsn, autocommit=True)

            with connect() as connection:
                return self._run(connection, part, source, connect)

        return Turn(run)

    def _take_both(self, parts: list[Step], sources: list[str], results: list[Result]) -> None:
        """Take over what two steps made of the database, if some order of them explains it."""
        before, now = self._state, self._read()
        after = self.model.copy()
        for part, result in zip(parts, results, strict=True):
            if part["do"] in lifecycle.LIFECYCLE:
                lifecycle.adopt(after, before, now, part, result)
        self.model.lost = after.lost
        refused = any(isinstance(r, str) and r != "ok" for r in results)
        orders: list[tuple[int, ...]] = [(0, 1), (1, 0)]
        orders += [(0,), (1,), ()] if refused else []
        allowed: list[Model] = []
        # a file's moments are compared before its rows are written, in another transaction
        for state, compares, order in product((self.model, after), (True, False), orders):
            tried = self.model.copy()
            take_facts(tried, state)
            for n in order:
                if parts[n]["do"] not in lifecycle.LIFECYCLE and results[n] != "again":
                    writers.expect(tried, {**parts[n], "compares": compares}, sources[n])
            allowed.append(tried)
        self._settle(allowed, now)
        lifecycle.take_facts(self.model, now)

    def _settle(self, allowed: Sequence[Model], now: State | None = None) -> None:
        """Take over what is stored, where one of the models allows it."""
        now = now or self._read()
        whole = self._settled(now, "market_data", [m.trades for m in allowed])
        for relation, book in self.model.books().items():
            may_hold = [m.books()[relation].rows for m in allowed]
            book.rows = self._settled(now, relation, may_hold)
        sources = {*now.quarantined, *(s for m in allowed for s in m.quarantined)}
        for source in sources:
            may_be = [m.quarantined[source] for m in allowed]
            found = now.quarantined[source]
            holds(min(may_be) <= found <= max(may_be), f"{found} of {source} are in quarantine")
        for counted in {*now.past, *(s for m in allowed for s in m.past)}:
            may_be = [m.past[counted] for m in allowed]
            found = now.past[counted]
            holds(min(may_be) <= found <= max(may_be), f"{found} of {counted} are past retention")
        self.model.trades = whole
        self.model.quarantined, self.model.past = now.quarantined, now.past
        for model in allowed:
            for market, units in model.units.items():
                self.model.units.setdefault(market, set()).update(units)

    def _settled(self, now: State, relation: str, allowed: Sequence[Any]) -> dict[Any, Any]:
        """Return the rows of a relation, each of which some model allows."""
        whole = {key: values for _, key, values in everywhere(now, self._reader, relation)}
        for key in {*whole, *(k for rows in allowed for k in rows)}:
            may = [rows.get(key) for rows in allowed]
            holds(whole.get(key) in may, f"{key} is {whole.get(key)}, ought to be one of {may}")
        return whole

    # ------------------------------------------------------------------ looking

    def _read(self, health: bool = False) -> State:
        oracle.refresh(self._observer)
        state = read(self._observer, health)
        state.computes = not self._listens  # continuous aggregates, which are no tables
        return state

    def _check(self) -> None:
        # it is slow, and writers hardly change it
        writes = self.last["do"] not in lifecycle.LIFECYCLE and self._number % 5
        self._state = self._read(health=not writes)
        check(self.model, self._state, self._reader)
        check_queries(self._observer)
        if self._probe is not None:
            holds(self._probe.settle(), "the listener has lost its connection")
            self._probe.check(self._state)

    def _listen(self) -> None:
        if self._listens and self._probe is None:
            self._probe = Probe(self._database.dsn)
            self._probe.start()

    def _quiet(self) -> None:
        if self._probe is not None:
            self._probe.stop()
            self._probe = None


def take_facts(model: Model, of: Model) -> None:
    """Take over where ranges are in another model."""
    model.facts = of.facts
    for relation, book in model.books().items():
        book.facts = of.books()[relation].facts


def alive(pid: int) -> bool:
    """Whether a process is there, and not only a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def run(
    database: Database,
    folder: Path,
    steps: Sequence[Step],
    cluster: Cluster | None = None,
    tell: Callable[[int, Step], None] = lambda _number, _step: None,
) -> tuple[int, BaseException] | None:
    """Run a history; answer the number of the step that broke something, and what it broke."""
    folder.mkdir(parents=True, exist_ok=True)
    history = History(database, folder, cluster)
    number = 0
    try:
        for number, step in enumerate(steps, 1):
            tell(number, step)
            history.take(step)
        number = len(steps) + 1
        history.finish()
    except Exception as error:  # noqa: BLE001 - whatever it was, it is what the soak looks for
        if number > len(steps):
            error.add_note(f"in the end, at {history.last}")
        return number, error
    finally:
        with contextlib.suppress(psycopg.Error):
            history.close()
    return None


__all__ = ["BrokenError", "History", "run"]
