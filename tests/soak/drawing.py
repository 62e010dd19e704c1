"""Histories drawn from a seed: the same seed draws the same, whatever the server does."""

from collections.abc import Callable
from random import Random
from typing import Any

from tests.contract.archive.support import FAULTS
from tests.soak.published import CANDLES, INTERVALS, CandleRow
from tests.soak.quotes import CONTRACTS, QUOTES, UNDERLYINGS, QuoteRow, is_numbered
from tests.soak.universe import (
    ABOVE_ZERO,
    DIGEST,
    EXCLUDED,
    MARKETS,
    MONTHS,
    NUMBERED,
    NUMBERS,
    OFFSETS,
    ORDINAL,
    PRICES,
    SIDES,
    SIGNED,
    TEXTLESS,
    TEXTS,
    VOLUMES,
    Row,
    Unit,
    cut,
    moment_of,
)

Step = dict[str, Any]
_UNITS: tuple[Unit, ...] = ("s", "ms", "us")
_ORDINAL, _NUMBERED, _DIGEST = (
    tuple(map(MARKETS.index, markets)) for markets in (ORDINAL, NUMBERED, DIGEST)
)


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
        others = [self._quotes(), self._publish()]
        self._months = often
        reopening = {**self._reopen("market_data"), "back": self._random.choice(old), "keep": 30}
        market = reopening["market"]
        if market is not None and self._random.random() < 0.7:
            market = (market + 1) % len(MARKETS)
        later = {**self._load(), "path": self._random.choice(["rows", "stream", "staged"])}
        micro = self._random.choice(OFFSETS[:8])
        if market in _ORDINAL:
            later["rows"] = [Row(market, reopening["back"], micro, 3, 0, 1, 0), *later["rows"]]
        steps: list[Step] = [load, *others, {"do": "release"}]
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
        return self._pick(
            [
                (self._load, 9),
                (self._transaction, 16),
                (self._replace, 2),
                (self._quotes, 3),
                (self._publish, 2),
            ]
        )

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
            self._price(market),
            self._random.randrange(len(VOLUMES)),
            self._random.randrange(len(SIDES)),
        )
        self._drawn.append(row)
        return row

    def _price(self, market: int | None = None) -> int:
        """Draw a price, now and then one at or below zero where there is none."""
        may = market is None or MARKETS[market] == SIGNED or self._random.random() < 0.04
        return self._random.randrange(len(PRICES) if may else ABOVE_ZERO)

    def _again(self, row: Row) -> Row:
        """Give a row the key of one that was drawn lately and may be stored."""
        other = self._random.choice(self._drawn[-30:])
        return row._replace(market=other.market, back=other.back, micro=other.micro, id=other.id)

    def _rows(self, most: int, unit: Unit, markets: tuple[int, ...]) -> list[Row]:
        return [self._row(unit, markets) for _ in range(self._random.randint(1, most))]

    def _load(self) -> Step:
        unit = self._random.choice(_UNITS)
        path = self._random.choice(["rows", "rows", "arrow", "staged", "file", "file", "stream"])
        markets: tuple[int, ...] = tuple(range(len(MARKETS)))
        if path == "file":
            markets = self._random.choice([_ORDINAL, (*_NUMBERED, *_DIGEST)])
        if path == "arrow":
            markets = self._random.choice([markets, markets, _DIGEST])
        # moments are compared by batch, and when a writer's batch ends depends on the clock
        batch = 1 if path == "stream" else self._random.choice([1, 3, 100])
        rows = self._rows(10, unit, markets)
        if path == "file" and markets == _ORDINAL and batch < 100:
            # a moment whose trades do not stand together is cut where a batch ends
            rows.sort(key=Row.time)
        elif path != "file":
            rows = [self._colliding(row) for row in rows]
        return {
            "do": "load",
            "path": path,
            "unit": unit,
            "batch": batch,
            "positions": self._random.random() < 0.5,
            "rows": rows,
        }

    def _colliding(self, row: Row) -> Row:
        """Give some ids that are text another text of the same digest, or none."""
        if row.market not in _DIGEST or self._random.random() < 0.7:
            return row
        return row._replace(id=self._random.randint(len(TEXTS), TEXTLESS))

    def _replace(self) -> Step:
        if self._random.random() < 0.4:
            rows = self._rows(6, "us", _NUMBERED)
            return {"do": "replace", "rows": list({(r.market, r.id): r for r in rows}.values())}
        back = self._random.choice(self._months)
        market = self._random.choice([*_ORDINAL, *_DIGEST])
        rows = [row._replace(back=back) for row in self._rows(6, "us", (market,))]
        if market in _DIGEST:
            rows = _distinct(rows)
        return {"do": "replace", "back": back, "rows": rows}

    def _quotes(self) -> Step:
        path = self._random.choice(["rows", "arrow", "file", "staged"])
        rows = [
            QuoteRow(
                self._random.randrange(len(CONTRACTS)),
                self._random.choice(self._months),
                self._random.choice(self._offsets),
                self._random.randrange(3),
                self._random.randrange(len(QUOTES)),
            )
            for _ in range(self._random.randint(1, 8))
        ]
        # in which batch a quote without an id comes says which number it gets
        batch = self._random.choice([1, 3]) if all(map(is_numbered, rows)) else 100
        return {"do": "quotes", "path": path, "batch": batch, "rows": rows}

    def _publish(self) -> Step:
        rows = [
            CandleRow(
                self._random.randrange(len(INTERVALS)),
                self._random.choice(self._months),
                self._random.choice(self._offsets) // 60_000_000,
                self._random.randrange(len(CANDLES)),
            )
            for _ in range(self._random.randint(1, 8))
        ]
        return {
            "do": "publish",
            "path": self._random.choice(["rows", "file"]),
            "replace": self._random.random() < 0.4,
            "rows": rows,
        }

    def _transaction(self) -> Step:
        step: Step = {"do": "tx", "steps": [self._statement()]}
        while self._random.random() < 0.35:
            step["steps"].append(self._statement())
        if self._random.random() < 0.1:
            unit = self._random.choice(_UNITS)
            rows = self._rows(4, unit, (*_ORDINAL, *_DIGEST))
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
        markets = self._random.choice([*[_ORDINAL] * 4, _NUMBERED, (*_ORDINAL, *_DIGEST)])
        rows = [self._colliding(row) for row in self._rows(4, "us", markets)]
        return {"do": "insert", "how": how, "rows": _distinct(rows)}

    def _where(self, one: bool) -> Step:
        if not one and self._random.random() < 0.15:
            market = self._random.choice(_NUMBERED)
            number = self._random.choice(self._numbers)
            back, micro = moment_of(number)
            return {"market": market, "back": back, "micro": micro, "span": 1_000_000}
        where: Step = {
            "market": self._random.choice([*_ORDINAL, *_DIGEST]),
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
                to["market"] = self._random.choice(_ORDINAL)
        if kind == "price" or self._random.random() < 0.2:
            to["price"] = self._price(where["market"])
        if kind == "volume":
            to["volume"] = self._random.randrange(len(VOLUMES))
        if kind == "excluded":
            to["excluded"] = self._random.randrange(len(EXCLUDED))
        if kind == "side":
            to["side"] = self._random.randrange(len(SIDES))
        return {"do": "change", "where": where, "to": to}

    def _merge(self) -> Step:
        rows = self._rows(4, "us", _ORDINAL)
        # what is matched beside what is inserted, or there would be little to move
        rows = [self._again(row) if self._random.random() < 0.6 else row for row in rows]
        if self._random.random() < 0.5:
            # of one minute, so that one candle counts what goes and what comes
            where = {"market": rows[0].market, "back": rows[0].back, "micro": rows[0].micro}
            rows = [row._replace(**where) for row in rows]
        distinct = _distinct(rows)
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
                [
                    *("market_data", "market_data", "ohlcv_1m", "ohlcv_1h", "ohlcv_1d"),
                    *("option_data", "exchange_candles"),
                ]
            ),
            "back": self._random.choice(MONTHS),
            "attach": self._random.random() < 0.7,
            "hold": self._random.choice([0, 7]),
        }

    def _reopen(self, relation: str | None = None) -> Step:
        whole = self._random.random() < 0.6
        relation = relation or self._random.choice([*["market_data"] * 4, "option_data"])
        among = len(MARKETS if relation == "market_data" else UNDERLYINGS)
        return {
            "do": "reopen",
            "relation": relation,
            "market": None if self._random.random() < 0.4 else self._random.randrange(among),
            "back": self._random.choice(MONTHS),
            "day": 0 if whole else self._random.choice([0, 1, 8]),
            "days": 28 if whole else self._random.choice([1, 2, 9]),
            "keep": self._random.choice([0, 0, 30]),
            "discard": self._random.random() < 0.3,
        }


def _distinct(rows: list[Row]) -> list[Row]:
    """Leave out rows whose key another one has."""
    return list({row.key(): row for row in rows}.values())
