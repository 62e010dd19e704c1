"""One batch of ingest_trades() by part: the client's, the server's, direct and through staging."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from random import Random
from statistics import median

from bench import data, inside, laps
from bench.context import Bench
from bench.line import Sizes, Subject
from bench.loaders import Connection, Trades, lively_trades, thin_trades
from bench.measure import LeftOut, MeasurementError, Row
from entasis_db.ingest import IngestReport
from entasis_db.model import Trade
from tests.engines import pause_jobs

_LEAST = 0.5
"""Percent in some column, below which a function or a statement is left out."""

TITLE = "One batch through ingest_trades(), by part, in percent of the batch"
HOW = (
    "The client's clock between the steps of ingest_trades(): these parts add up to the batch; rows"
    " are built from texts, as a feed's collector does. What the client waits for is then told"
    " apart on the server, whose parts overlap with the client's: COPY of ready text with the"
    " triggers off (session_replication_role = replica), which leaves the table, its constraints"
    " and indexes; each trigger of an insert, and each function by itself, without those that it"
    " calls (track_functions); statements inside functions, by auto_explain in a"
    " database of their own, with their triggers, in percent of that one's batch. What is below"
    f" {_LEAST} in every column is left out. Batches follow one another, five before the first that"
    " counts; staged ones repeat one trade of the batch before. Medians of the batches. `ts` is"
    " engine timescaledb, where the server offers it: its candles are refreshed later, by jobs."
)
SUBJECT = Subject.LOADING
SIZES = Sizes.ONCE

COPY_ALONE = "server: COPY alone, with constraints and indexes"
_WARM_UP = 5
_GLOSSES = {
    "market_data_inserted": "grouping into minutes",
    "merge_candles": "upserts of minutes, hours, days",
    "roll_up": "minutes into hours, hours into days",
    "record_traded_markets": "markets on record?",
    "refuse_repeated_ids": "ids",
    "record_markets": "ids: do they rise?",
}


@dataclass(frozen=True)
class Situation:
    """What kind of batches are written, and how."""

    column: str
    trades: Trades
    staged: bool = False
    template: str | None = None
    """Of the databases; by default one of engine postgresql."""


@dataclass
class Arm:
    """What one way to look at batches came to."""

    whole: list[float] = field(default_factory=list)
    """The seconds of each batch."""
    parts: list[dict[str, float]] = field(default_factory=list)
    """Those of its parts."""

    def add(self, whole: float, parts: Mapping[str, float]) -> None:
        """Note one batch."""
        self.whole.append(whole)
        self.parts.append(dict(parts))


Arms = tuple[Arm, Arm, Arm]
"""By the client's clock, by the server's, and the statements that were traced."""


def run(bench: Bench) -> Iterator[Row]:
    """Take every situation; then lay the parts side by side."""
    taken = situations(bench)
    if bench.server.offers_timescaledb():
        bench.progress("migrating a database of engine timescaledb")
        template = bench.server.migrated("timescaledb")
        bench.server.seal(template)
        taken += [replace(one, column=f"ts {one.column}", template=template) for one in taken]
    yield from shares({one.column: take(bench, one) for one in taken})


def situations(bench: Bench) -> list[Situation]:
    """Return what is told apart: each is a column of the report."""
    number = (_warm_up(bench) + bench.effort.short_rounds) * bench.batch
    lively, thin = lively_trades(number), thin_trades(number)
    return [
        Situation("lively", lively),
        Situation("lively, staged", lively, staged=True),
        Situation("thin", thin),
        Situation("thin, staged", thin, staged=True),
    ]


def _warm_up(bench: Bench) -> int:
    """Return how many batches come before the first that counts."""
    return min(_WARM_UP, bench.effort.short_rounds)


def shares(found: dict[str, Arms]) -> Iterator[Row]:
    """Return the share of each part in each situation; small ones of the server are left out."""
    client, server, statements = (
        {column: arms[n] for column, arms in found.items()} for n in range(3)
    )
    yield from _rows(client, laps.PARTS)
    for arms in (server, statements):
        parts = dict.fromkeys(p for arm in arms.values() for parts in arm.parts for p in parts)
        yield from _rows(
            arms, [p for p in parts if any(_percent(a, p) >= _LEAST for a in arms.values())]
        )


def _rows(arms: dict[str, Arm], parts: Sequence[str]) -> Iterator[Row]:
    for part in parts:
        yield from (_share(column, part, arm) for column, arm in arms.items() if _has(arm, part))


def _has(arm: Arm, part: str) -> bool:
    return any(found.get(part) for found in arm.parts)


def _percent(arm: Arm, part: str) -> float:
    return _share("", part, arm).value if arm.whole else 0.0


def _share(column: str, part: str, arm: Arm) -> Row:
    seconds = [found.get(part, 0.0) for found in arm.parts]
    shares = [100 * a / b for a, b in zip(seconds, arm.whole, strict=True)]
    return Row(
        f"{column}: {part}",
        median(shares),
        min(shares),
        max(shares),
        len(shares),
        unit="percent",
        samples={"part": seconds, "batch": arm.whole},
    )


def take(bench: Bench, situation: Situation) -> Arms:
    """Write every batch into three databases: ours, one without triggers, one that is traced."""
    batches = list(data.batches(situation.trades(), bench.batch))
    draw = Random(len(batches)).choice
    arms = (Arm(), Arm(), Arm())
    with ExitStack() as stack:

        def connect(label: str) -> Connection:
            template = situation.template or bench.templates.migrated
            name = stack.enter_context(bench.database(template, label))
            connection = stack.enter_context(bench.server.connect(name))
            if situation.template is not None:
                pause_jobs(connection)
            return connection

        ours, bare, traced = (connect(label) for label in ("ours", "bare", "traced"))
        notes = _notes(stack, traced)
        inside.track(ours)
        bare.execute("SET session_replication_role = replica")
        bench.server.checkpoint()
        for number, batch in enumerate(batches):
            bench.progress(f"{situation.column}: batch {number + 1} of {len(batches)}")
            alone = bench.load(list, len(batch)).by_copy(bare, payloads=[data.payload(batch)].copy)
            staged = situation.staged and number > 0
            given = [*batch, draw(batches[number - 1])] if staged else batch
            written, functions = _ours(ours, given, staged=staged)
            if number >= _warm_up(bench):
                arms[0].add(written.whole, written.seconds)
                arms[1].add(written.whole, {COPY_ALONE: alone, **functions})
            if notes is not None:
                notes.clear()
                _, written = laps.write(traced, laps.texts(given))
                if number >= _warm_up(bench):
                    arms[2].add(written.whole, {f"statement: {n}": s for n, s in notes.items()})
    return arms


def _notes(stack: ExitStack, connection: Connection) -> dict[str, float] | None:
    """Return what will hold the seconds of each batch's statements; None without auto_explain."""
    try:
        return stack.enter_context(inside.statements(connection))
    except LeftOut:
        return None


def _ours(
    connection: Connection, batch: list[Trade], *, staged: bool
) -> tuple[laps.Laps, dict[str, float]]:
    """Write a batch; return the client's laps, and what each trigger and function took."""
    triggers = inside.insert_triggers(connection)
    before = inside.functions(connection)
    report, written = laps.write(connection, laps.texts(batch))
    spent = inside.between(before, inside.functions(connection))
    if report != IngestReport(inserted=len(batch) - staged, already_there=int(staged)):
        raise MeasurementError(f"a batch of {len(batch)} trades came to {report}")
    if staged != (laps.INSERTING in written.seconds):
        raise MeasurementError("a batch took the other way")
    none = inside.Spent("", 0, 0)
    parts = {
        f"server: trigger {trigger}": spent.get(oid, none).whole
        for trigger, oid in triggers.items()
    }
    for one in spent.values():
        gloss = f": {_GLOSSES[one.name]}" if one.name in _GLOSSES else ""
        parts[f"server: {one.name}() itself{gloss}"] = one.itself
    return written, parts
