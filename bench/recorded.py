"""The ratios of an earlier run, and what has changed beyond its noise since then."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.run import Section

FILE = Path(__file__).parent / "recorded.json"
_KEPT = ("size", "label", "value", "unit", "lowest", "highest", "rounds", "target", "met")


@dataclass(frozen=True)
class Change:
    """A figure whose rounds do not overlap with those of the earlier run."""

    line: str
    label: str
    size: int | None
    before: float
    now: float
    better: bool | None
    """None: the line has no target that would tell which direction is the better one."""

    def __str__(self) -> str:
        size = f" at {self.size:,} trades" if self.size else ""
        word = {True: "better", False: "worse", None: "changed"}[self.better]
        return f"{word}: {self.line}, {self.label}{size}: {self.before:.3g} to {self.now:.3g}"


def record(found: dict[str, Any], file: Path = FILE) -> None:
    """Keep the ratios of this run, with its versions; lines that it did not take stay.

    Seconds are left out: they are a machine's, and of a moment.
    """
    before = _read(file) or {}
    lines = {line["name"]: line for line in before.get("lines", [])}
    about = {name: found[name] for name in ("entasis_db", "began", "client")} | {
        "server": {name: found["server"][name] for name in ("version", "timescaledb", "settings")},
        "machine": {name: found["machine"][name] for name in ("cores", "system")},
    }
    for line in found["lines"]:
        if line["rows"]:
            rows = [{name: row[name] for name in _KEPT} for row in line["rows"]]
            lines[line["name"]] = {"name": line["name"], **about, "rows": rows}
    kept = {"lines": [lines[name] for name in sorted(lines)]}
    file.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


def text(sections: Sequence[Section], known: dict[str, Any], file: Path = FILE) -> str:
    """Return what changed against the recorded run, or why nothing is compared; '' without one."""
    recorded = _read(file)
    if recorded is None:
        return ""
    lines = {line["name"]: line for line in recorded["lines"]}
    here = _place(known)
    taken = [section for section in sections if section.rows]
    same = [s for s in taken if s.line.name in lines and _place(lines[s.line.name]) == here]
    if not same:
        return "Compared with nothing: no run of these lines on such a machine is on record."
    changes = [
        change for section in same for change in _changes(section, lines[section.line.name]["rows"])
    ]
    head = f"Compared with what is on record ({len(same)} lines):"
    body = [f"   {change}" for change in changes] or ["   nothing changed beyond its noise"]
    return "\n".join([head, *body])


def _changes(section: Section, rows: Sequence[dict[str, Any]]) -> Iterator[Change]:
    before = {(row["label"], row["size"]): row for row in rows}
    for row in section.rows:
        then = before.get((row.label, row.size))
        if then is None:
            continue
        lowest, highest = _range(row.value, row.lowest, row.highest)
        was_lowest, was_highest = _range(then["value"], then["lowest"], then["highest"])
        if lowest <= was_highest and was_lowest <= highest:
            continue
        better = (
            None if row.target is None else (row.value > then["value"]) == (row.target.sign == ">=")
        )
        yield Change(section.line.name, row.label, row.size, then["value"], row.value, better)


def _range(value: float, lowest: float | None, highest: float | None) -> tuple[float, float]:
    return (value if lowest is None else lowest, value if highest is None else highest)


def _place(known: dict[str, Any]) -> tuple[object, ...]:
    """Return what must be equal for two runs to be compared; a minor release may differ."""
    machine, server = known["machine"], known["server"]
    return machine["cores"], machine["system"], server["settings"]


def _read(file: Path) -> dict[str, Any] | None:
    if not file.exists():
        return None
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found
