"""What a run found, for people and for programs."""

import os
import platform
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import groupby
from textwrap import wrap
from typing import Any

import psycopg

from bench import data
from bench.context import FULL, SMALLEST_BATCHES, Effort
from bench.measure import Row
from bench.run import Section
from bench.server import Server
from entasis_db import __version__

_WIDTH = 100
_PEERS = ("asyncpg", "duckdb", "polars", "pyarrow")
_MET, _MISSED, _UNASKED = "✓", "✗", "-"
_INDENT = "   "


def facts(server: Server, sizes: Sequence[int], effort: Effort = FULL) -> dict[str, Any]:
    """Describe what is measured, and on what."""
    return {
        "entasis_db": __version__,
        "began": datetime.now(UTC).isoformat(timespec="seconds"),
        "server": server.facts(),
        "client": {
            "python": platform.python_version(),
            "psycopg": psycopg.__version__,
            "psycopg_implementation": psycopg.pq.__impl__,
            **{name: version(name) for name in _PEERS},
        },
        "machine": {
            "cores": os.cpu_count(),
            "system": f"{platform.system()} {platform.machine()}",
            "load_before": round(os.getloadavg()[0], 2),
        },
        "sizes": list(sizes),
        "markets": len(data.MARKETS),
        "days": data.DAYS,
        "quick": effort is not FULL,
    }


def heading(known: dict[str, Any]) -> str:
    """Return what stands above the figures."""
    server, client, machine = known["server"], known["client"], known["machine"]
    settings = ", ".join(f"{name} {value}" for name, value in server["settings"].items())
    timescaledb = server["timescaledb"]
    with_it = f" with TimescaleDB {timescaledb}" if timescaledb else ""
    place = f", on {server['filesystem']}" if server["filesystem"] else ""
    paragraphs = [
        f"Entasis DB {known['entasis_db']}, PostgreSQL {server['version']}{with_it}"
        f" ({server['origin']}{place}), Python {client['python']},"
        f" psycopg {client['psycopg']} ({client['psycopg_implementation']}).",
        f"Settings: {settings}.",
        *_warnings(server),
        *_small(known),
        f"Machine: {machine['cores']} cores, {machine['system']}, server and client on the same"
        f" one unless DATABASE_URL says otherwise; load before the run {machine['load_before']}.",
        f"Trades: {', '.join(f'{size:,}' for size in known['sizes'])}, made up, the same in every"
        f" run: {known['markets']} markets over {known['days']} days.",
        "Ratios are medians of the rounds' ratios, with the lowest and the highest in brackets;"
        " arms alternate within the run. Absolute times say more about a machine than about a"
        " database, and stand in the JSON only.",
    ]
    return "\n".join(line for text in paragraphs for line in wrap(text, _WIDTH))


def _warnings(server: dict[str, Any]) -> list[str]:
    """Say what makes writing cheaper here than it is where data must last."""
    found = [
        f"{name} is off"
        for name in ("fsync", "full_page_writes", "synchronous_commit")
        if server["settings"].get(name) == "off"
    ]
    if server["filesystem"] == "tmpfs":
        found.append("the data lies in memory (set TMPDIR to a folder on a disk)")
    return [f"WARNING: this server is not durable: {', '.join(found)}."] if found else []


def _small(known: dict[str, Any]) -> list[str]:
    """Say when batches are not of the size that the lines name."""
    if known["quick"]:
        return ["WARNING: --quick takes few trades once; its figures mean nothing."]
    least = SMALLEST_BATCHES * FULL.batch
    if min(known["sizes"]) < least:
        return [
            f"Below {least:,} trades, a batch is 1/{SMALLEST_BATCHES} of them, not {FULL.batch:,}."
        ]
    return []


def text(sections: Iterable[Section]) -> str:
    """Return the figures, each line of the benchmark with how it was taken."""
    found = [s for s in sections if s.rows or s.left_out or s.error]
    parts = []
    for subject, group in groupby(found, key=lambda section: section.line.subject):
        parts += [f"## {subject.value}", *map(_section, group)]
    return "\n\n".join(parts)


def goals(sections: Iterable[Section]) -> str:
    """Return every figure that has a target, side by side with it; '' when none has."""
    rows = [
        (section.line.name, row.label, _value(row), str(row.target), _mark(row))
        for section in sections
        for row in section.rows
        if row.target is not None
    ]
    if not rows:
        return ""
    table = [("line", "figure", "value", "goal", "met"), *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    counts = Counter(mark for *_, mark in rows)
    head = f"## Goals: {counts[_MET]} met, {counts[_MISSED]} missed"
    if counts[_UNASKED]:
        head += f", {counts[_UNASKED]} that need more trades"
    body = (
        f"{_INDENT}{line:<{widths[0]}}  {label:<{widths[1]}}  {value:>{widths[2]}}"
        f"  {goal:<{widths[3]}}  {mark}"
        for line, label, value, goal, mark in table
    )
    return "\n".join([head, "", *body])


def _section(section: Section) -> str:
    return "\n".join(
        [
            f"{section.line.name}: {section.line.title}",
            *_wrapped(section.line.how),
            *_rows(section.rows),
            *(_wrapped(f"Left out: {section.left_out}.") if section.left_out else ()),
            *(_wrapped(f"FAILED: {section.error}") if section.error else ()),
        ]
    )


def _wrapped(paragraph: str) -> list[str]:
    return wrap(paragraph, _WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT)


def _rows(rows: Sequence[Row]) -> list[str]:
    shares = [row for row in rows if row.unit == "percent"]
    others = [row for row in rows if row.unit != "percent"]
    width = max((len(row.label) for row in others), default=0)
    return [
        *_shares(shares),
        *(f"{_INDENT}{row.label:<{width}}  {_figure(row)}" for row in others),
    ]


def _shares(rows: Sequence[Row]) -> list[str]:
    """Return shares as a table: what stands before ': ' in a label is the column."""
    columns: dict[str, dict[str, str]] = {}
    for row in rows:
        column, _, part = row.label.partition(": ")
        columns.setdefault(column, {})[part] = f"{row.value:.1f}"
    parts = list(dict.fromkeys(row.label.partition(": ")[2] for row in rows))
    head = "percent of the batch"
    width = max(map(len, [*parts, head]))
    table = [(head, list(columns))] if rows else []
    table += [(part, [found.get(part, "") for found in columns.values()]) for part in parts]
    return [
        f"{_INDENT}{part:<{width}}"
        + "".join(f"  {cell:>{len(name)}}" for cell, name in zip(cells, columns, strict=True))
        for part, cells in table
    ]


def _value(row: Row) -> str:
    """Return the bare figure."""
    if row.unit == "ratio":
        return _number(row.value)
    figure = f"{row.value:,.1f}" if abs(row.value) < 1000 else f"{row.value:,.0f}"
    return f"{figure} {row.unit}" if row.unit != "rows" else figure


def _mark(row: Row) -> str:
    return {True: _MET, False: _MISSED, None: _UNASKED}[row.met]


def _figure(row: Row) -> str:
    parts = [f"{_value(row):>6}" if row.unit == "ratio" else _value(row)]
    if row.rounds == 1:
        parts.append("(one round)")
    elif row.lowest is not None and row.highest is not None:
        parts.append(f"({_number(row.lowest)} to {_number(row.highest)}, {row.rounds} rounds)")
    if row.target is not None:
        parts.append(f"target {row.target} {_mark(row)}")
    if row.remark:
        parts.append(row.remark)
    return "  ".join(parts)


def _number(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"
