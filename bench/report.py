"""What a run found, for people and for programs."""

import os
import platform
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
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
    place = f", on {server['filesystem']}" if server["filesystem"] else ""
    paragraphs = [
        f"Entasis DB {known['entasis_db']}, PostgreSQL {server['version']}"
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


def _section(section: Section) -> str:
    width = max((len(row.label) for row in section.rows), default=0)
    return "\n".join(
        [
            f"{section.line.name}: {section.line.title}",
            *_wrapped(section.line.how),
            *(f"{_INDENT}{row.label:<{width}}  {_figure(row)}" for row in section.rows),
            *(_wrapped(f"Left out: {section.left_out}.") if section.left_out else ()),
            *(_wrapped(f"FAILED: {section.error}") if section.error else ()),
        ]
    )


def _wrapped(paragraph: str) -> list[str]:
    return wrap(paragraph, _WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT)


def _figure(row: Row) -> str:
    if row.unit != "ratio":
        figure = f"{row.value:,.1f}" if abs(row.value) < 1000 else f"{row.value:,.0f}"
        return f"{figure} {row.unit}" if row.unit != "rows" else figure
    parts = [f"{_number(row.value):>6}"]
    if row.rounds == 1:
        parts.append("(one round)")
    elif row.lowest is not None and row.highest is not None:
        parts.append(f"({_number(row.lowest)} to {_number(row.highest)}, {row.rounds} rounds)")
    if row.target is not None:
        parts.append(f"target {row.target} {'✓' if row.met else '✗'}")
    if row.remark:
        parts.append(row.remark)
    return "  ".join(parts)


def _number(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"
