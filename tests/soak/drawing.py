"""Histories drawn from a seed: the same seed draws the same, whatever the server does."""

from collections.abc import Callable
from random import Random
from typing import Any

from tests.contract.archive.support import FAULTS
from tests.soak.universe import (
    EXCLUDED,
    MARKETS,
    MONTHS,
    NUMBERED,
    NUMBERS,
    OFFSETS,
    ORDINAL,
    PRICES,
    SIDES,
    VOLUMES,
    Row,
    Unit,
    cut,
    moment_of,
)

Step = dict[str, Any]
_UNITS: tuple[Unit, ...] = ("s", "ms", "us")


class Drawing:
    """Draws the steps of one history for an engine."""

    def __init__(self, seed: int, *, merges: bool, moves: bool, own_cluster: bool) -> None:
        """``moves``: whether a row may go to another partition."""
        self._random = Random(seed)
        self._merges = merges
        self._moves = moves
        self._own_cluster = own_cluster
        # few moments a history, so that trades meet
        self._offsets = self._random.sample(OFFSETS, 4)
        self._months = self._random.sample(MONTHS, 3)
        self._drawn: list[Row] = []
        first = self._random.randrange(1, NUMBERS - 12)
        self._numbers = range(first, first + 12)

    def history(self, length: int) -> list[Step]:
        """Draw a whole history."""
        steps = [{"do": "keep", "raw": 6, "more": 1, "archived": True}]
        steps += [self._load() for _ in range(2)]
        while len(steps) < length:
            steps += self._life() if self._random.random() < 0.08 else [self._step()]
        return steps[:length]

    def _life(self) -> list[Step]:
        """Draw the life of months: archived, written to, dropped, reopened and written to again."""
        raw = self._random.randint(1, 4)
        old = [month for month in MONTHS if month > raw]
        often = self._months
        self._months = old
        load, change = self._load(), self._transaction()
        self._months = often
        reopening = {**self._reopen(), "back": self._random.choice(old), "keep": 30}
        market = reopening["market"]
        if market is not None and self._random.random() < 0.7:
            market = (market + 1) % len(MARKETS)
        later = {**self._load(), "path": self._random.choice(["rows", "stream", "staged"])}
        micro = self._random.choice(OFFSETS[:8])
        if market is not None and MARKETS[market] not in NUMBERED:
            later["rows"] = [Row(market, reopening["back"], micro, 3, 0, 1, 0), *later["rows"]]
        steps: list[Step] = [load, {"do": "release"}]
        steps.append({**self._keep(), "raw": raw})
        steps.append({"do": "archive", "fault": None})
        steps += [change] if self._random.random() < 0.7 else []
        steps.append({"do": "maintain", "owner": self._random.random() < 0.3})
        steps += [{"do": "archive", "fault": None}, self._maintain()]
        return [*steps, reopening, later]

    def _step(self) -> Step:
        step = self._plain()
        chance = self._random.random()
        if chance < 0.05:
            return {"do": "killed", "at": self._random.randint(1, 40), "of": self._killable()}
        if chance < 0.065 and self._own_cluster:
            return {
                "do": "crash",
                "how": self._random.choice(["immediate", "kill"]),
                "at": self._random.randint(1, 25),
                "of": self._killable(),
            }
        if chance < 0.30:
            return {
                "do": "both",
                "steps": [self._writer(), self._pick([(self._writer, 5), (self._lifecycle, 2)])],
                "order": [self._random.randrange(2) for _ in range(24)],
                "listen": self._random.random() < 0.2,
            }
        return step

    def _plain(self) -> Step:
        return self._pick([(self._writer, 6), (self._lifecycle, 4)])

    def _killable(self) -> Step:
        return self._pick([(self._writer, 2), (self._lifecycle, 3)])

    def _pick(self, among: list[tuple[Callable[[], Step], int]]) -> Step:
        makers, weights = zip(*among, strict=True)
        made: Step = self._random.choices(makers, weights)[0]()
        return made

    def _writer(self) -> Step:
        return self._pick([(self._load, 8), (self._transaction, 12), (self._replace, 1)])

    # ------------------------------------------------------------------ writers

    def _row(self, unit: Unit, markets: tuple[int, ...]) -> Row:
        market = self._random.choice(markets)
        if MARKETS[market] in NUMBERED:
            number = self._random.choice(self._numbers)
            back, micro = moment_of(number)
            micro = cut(micro, unit)
            if self._random.random() < 0.02:
                micro += self._random.choice([1_000_000, 1_000])  # a wrong time
            # a trade has one price: another is a conflict
            price = number % 3 if self._random.random() < 0.92 else self._random.randrange(3)
            side = (number % 3) * (self._random.random() < 0.7)
            return Row(market, back, micro, number, price, 0, int(side))
        row = Row(
            market,
            self._random.choice(self._months),
            self._random.choice(self._offsets),
            self._random.randrange(4),
            self._random.randrange(len(PRICES)),
            self._random.randrange(len(VOLUMES)),
            self._random.randrange(len(SIDES)),
        )
        self._drawn.append(row)
        return row

    def _again(self, row: Row) -> Row:
        """Give a row the key of one that was drawn lately and may be stored."""
        other = self._random.choice(self._drawn[-30:])
        return row._replace(market=other.market, back=other.back, micro=other.micro, id=other.id)

    def _rows(self, most: int, unit: Unit, markets: tuple[int, ...]) -> list[Row]:
        return [self._row(unit, markets) for _ in range(self._random.randint(1, most))]

    def _load(self) -> Step:
        unit = self._random.choice(_UNITS)
        path = self._random.choice(["rows", "rows", "arrow", "staged", "file", "stream"])
        every = tuple(range(len(MARKETS)))
        markets = tuple(map(MARKETS.index, NUMBERED)) if path == "file" else every
        # moments are compared by batch, and when a writer's batch ends depends on the clock
        batch = 1 if path == "stream" else self._random.choice([1, 3, 100])
        return {
            "do": "load",
            "path": path,
            "unit": unit,
            "batch": batch,
            "rows": self._rows(10, unit, markets),
        }

    def _replace(self) -> Step:
        rows = self._rows(6, "us", tuple(map(MARKETS.index, NUMBERED)))
        return {"do": "replace", "rows": list({(r.market, r.id): r for r in rows}.values())}

    def _transaction(self) -> Step:
        step: Step = {"do": "tx", "steps": [self._statement()]}
        while self._random.random() < 0.35:
            step["steps"].append(self._statement())
        if self._random.random() < 0.1:
            unit = self._random.choice(_UNITS)
            markets = tuple(map(MARKETS.index, ORDINAL))
            rows = self._rows(4, unit, markets)
            step["steps"].append(
                {"do": "load", "path": "rows", "unit": unit, "batch": 9, "rows": rows}
            )
        if self._random.random() < 0.2:
            step["level"] = self._random.choice(["REPEATABLE_READ", "SERIALIZABLE"])
        if self._random.random() < 0.1:
            step["commit"] = False
        return step

    def _statement(self) -> Step:
        among = [(self._insert, 4), (self._change, 4)]
        if self._merges:
            among.append((self._merge, 3))
        return self._pick(among)

    def _insert(self) -> Step:
        how = self._random.choice(["plain", "copy", "nothing", "update", "update"])
        markets = tuple(map(MARKETS.index, ORDINAL if self._random.random() < 0.8 else NUMBERED))
        rows = self._rows(4, "us", markets)
        distinct = {row[:4]: row for row in rows}
        return {"do": "insert", "how": how, "rows": list(distinct.values())}

    def _where(self, one: bool) -> Step:
        if not one and self._random.random() < 0.15:
            market = self._random.randrange(len(ORDINAL), len(MARKETS))
            number = self._random.choice(self._numbers)
            back, micro = moment_of(number)
            return {"market": market, "back": back, "micro": micro, "span": 1_000_000}
        where: Step = {
            "market": self._random.randrange(len(ORDINAL)),
            "back": self._random.choice(self._months),
            "micro": self._random.choice(self._offsets),
            "span": 1 if one else self._random.choice([1, 60_000_000, 86_400_000_000]),
        }
        if one or self._random.random() < 0.3:
            where["id"] = self._random.randrange(4)
        return where

    def _change(self) -> Step:
        kind = self._random.choice(
            ["price", "volume", "side", "excluded", "move", "market", "delete", "delete"]
        )
        if kind == "delete":
            return {"do": "change", "where": self._where(one=False), "to": {}}
        one = kind in ("move", "market")
        where = self._where(one=one)
        to: Step = {}
        if kind == "move":
            far = ["month", "back"] if self._moves else []
            to["move"] = self._random.choice(["minute", "hour", *far])
        if kind == "market":
            if not self._moves:
                to["price"] = 1
            else:
                to["market"] = self._random.randrange(len(ORDINAL))
        if kind == "price" or self._random.random() < 0.2:
            to["price"] = self._random.randrange(len(PRICES))
        if kind == "volume":
            to["volume"] = self._random.randrange(len(VOLUMES))
        if kind == "excluded":
            to["excluded"] = self._random.randrange(len(EXCLUDED))
        if kind == "side":
            to["side"] = self._random.randrange(len(SIDES))
        return {"do": "change", "where": where, "to": to}

    def _merge(self) -> Step:
        rows = self._rows(4, "us", tuple(map(MARKETS.index, ORDINAL)))
        # what is matched beside what is inserted, or there would be little to move
        rows = [self._again(row) if self._random.random() < 0.6 else row for row in rows]
        distinct = list({row[:4]: row for row in rows}.values())
        orders = ["write", "delete", "side", "minute", "hour", "month", "back"]
        return {
            "do": "merge",
            "rows": distinct,
            "orders": [self._random.choice(orders) for _ in distinct],
            "inserts": self._random.random() < 0.7,
        }

    # ------------------------------------------------------------------ lifecycle

    def _lifecycle(self) -> Step:
        return self._pick(
            [
                (self._keep, 2),
                (self._archive, 5),
                (self._maintain, 5),
                (self._restore, 3),
                (lambda: {"do": "release"}, 3),
                (self._reopen, 4),
                (lambda: {"do": "rebuild", "back": self._random.choice(MONTHS)}, 1),
            ]
        )

    def _keep(self) -> Step:
        return {
            "do": "keep",
            "raw": self._random.randint(1, 6),
            "more": self._random.choice([0, 0, 1, 3, 6]),
            "archived": self._random.random() < 0.88,
        }

    def _archive(self) -> Step:
        fault = None
        if self._random.random() < 0.15:
            kinds = [f for f in FAULTS if not f[1].startswith("kill")]
            fault = [*self._random.choice(kinds), self._random.randint(1, 3)]
        return {"do": "archive", "fault": fault}

    def _maintain(self) -> Step:
        return {"do": "maintain", "owner": self._random.random() < 0.5}

    def _restore(self) -> Step:
        return {
            "do": "restore",
            "relation": self._random.choice(
                ["market_data", "market_data", "ohlcv_1m", "ohlcv_1h", "ohlcv_1d"]
            ),
            "back": self._random.choice(MONTHS),
            "attach": self._random.random() < 0.7,
            "hold": self._random.choice([0, 7]),
        }

    def _reopen(self) -> Step:
        whole = self._random.random() < 0.6
        return {
            "do": "reopen",
            "market": None if self._random.random() < 0.4 else self._random.randrange(len(MARKETS)),
            "back": self._random.choice(MONTHS),
            "day": 0 if whole else self._random.choice([0, 1, 8]),
            "days": 28 if whole else self._random.choice([1, 2, 9]),
            "keep": self._random.choice([0, 0, 30]),
            "discard": self._random.random() < 0.3,
        }
