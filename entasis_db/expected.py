"""What ``schema/`` makes of a database, read from its files: for comparing, and for adopting."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import NamedTuple

from entasis_db.resources import schema_order

_COMMENT = re.compile(r"--.*")
_MADE = re.compile(
    r"^CREATE (?:OR REPLACE |UNLOGGED )?"
    r"(TABLE|MATERIALIZED VIEW|VIEW|SEQUENCE|FUNCTION|PROCEDURE)"
    r" (?:IF NOT EXISTS )?(entasis\w*\.\w+)",
    re.MULTILINE,
)
_TYPE = re.compile(r"CREATE TYPE (entasis\w*\.\w+)")
_GRANT = re.compile(
    r"^GRANT ([A-Z, ]+?)(?: \(([a-z_, ]+)\))? ON\s+"
    r"(?:(FUNCTION|PROCEDURE|SEQUENCE|SCHEMA)\s+)?([^;()]+?)\s+TO ([a-z_, ]+);",
    re.MULTILINE,
)
_TRIGGER = re.compile(
    r"^ *CREATE (?:OR REPLACE )?TRIGGER (\w+)\s+(BEFORE|AFTER) ([A-Z ]+?)\s+ON (\S+)\s+(.*?)"
    r"\s*EXECUTE FUNCTION (?:entasis_internal\.)?(\w+)\(([^)]*)\)",
    re.MULTILINE | re.DOTALL,
)


class Trigger(NamedTuple):
    """What a trigger does, but for the text of its condition."""

    relation: str
    """Qualified, as are all names here."""
    name: str
    timing: str
    events: frozenset[str]
    scope: str
    """Transition tables, and whether it fires for rows or for statements."""
    conditional: bool
    function: str
    """Of schema entasis_internal; with its arguments."""


class Right(NamedTuple):
    """A right on something that a role was granted."""

    role: str
    """``public`` is everybody."""
    right: str
    kind: str
    """SCHEMA, TABLE (also of views), SEQUENCE, ROUTINE or COLUMN."""
    name: str


class Policy(NamedTuple):
    """A policy of row-level security, as PostgreSQL writes it."""

    name: str
    permissive: bool
    command: str
    roles: tuple[str, ...]
    using: str | None
    check: str | None


@dataclass(frozen=True)
class Expected:
    """The objects of one engine."""

    tables: frozenset[str]
    """With the views that a migration makes."""
    remade: frozenset[str]
    """What every run makes anew where it is missing."""
    types: frozenset[str]
    views: frozenset[str]
    sequences: frozenset[str]
    routines: frozenset[str]
    """None is overloaded."""
    triggers: frozenset[Trigger]
    rights: frozenset[Right]


SECURED = "entasis.portfolio_status"
"""The one table with row-level security."""

_OWN = "(user_id = ( SELECT entasis_internal.acting_user_or_error() AS acting_user_or_error))"
_ALL = "(( SELECT entasis.acting_user_id() AS acting_user_id) IS NULL)"
POLICIES = frozenset(
    {
        Policy("own_positions", True, "*", ("public",), _OWN, _OWN),
        Policy("all_positions", True, "*", ("entasis_admin",), _ALL, _ALL),
    }
)
"""Those of SECURED: schema/ has them in its own words."""

CANDLE_TRIGGERS = {
    "protect_candle_below_floor": 3,
    "start_row_notifications": 3,
    "zz_notify_candle_change": 3,
    "record_market_of_candle": 1,
}
"""On how many of TimescaleDB's tables for aggregates create_candle_triggers() makes which."""


@cache
def expected(engine: str) -> Expected:
    """Read what an engine's files make."""
    order = schema_order(engine)
    bootstrap = "\n".join(map(_text, order.bootstrap))
    state = "\n".join(map(_text, order.state))
    stateless = "\n".join(map(_text, order.stateless))
    made: dict[str, set[str]] = {}
    for kind, name in _MADE.findall(f"{bootstrap}\n{state}\n{stateless}"):
        made.setdefault(kind, set()).add(name)
    return Expected(
        tables=frozenset(made["TABLE"] | made.get("MATERIALIZED VIEW", set())),
        remade=frozenset(name for _, name in _MADE.findall(f"{bootstrap}\n{stateless}")),
        types=frozenset(_TYPE.findall(state)),
        views=frozenset(made["VIEW"]),
        sequences=frozenset(made["SEQUENCE"]),
        routines=frozenset(made["FUNCTION"] | made["PROCEDURE"]),
        triggers=frozenset(filter(None, map(trigger, _statements(stateless)))),
        rights=frozenset(_rights(stateless)),
    )


def tables_of(migration: Path) -> frozenset[str]:
    """Return the tables, aggregates and types that a migration makes."""
    text = _text(migration)
    kinds = ("TABLE", "MATERIALIZED VIEW")
    made = {name for kind, name in _MADE.findall(text) if kind in kinds}
    return frozenset(made | set(_TYPE.findall(text)))


def trigger(definition: str) -> Trigger | None:
    """Read the statement that makes a trigger, ours or the server's own; None: it is another."""
    found = _TRIGGER.match(definition)
    if found is None:
        return None
    name, timing, events, relation, rest, function, arguments = found.groups()
    scope, when, _ = rest.partition("WHEN ")
    return Trigger(
        relation,
        name,
        timing,
        frozenset(events.split(" OR ")),
        " ".join(scope.split()),
        bool(when),
        f"{function}({arguments})",
    )


def _text(file: Path) -> str:
    return _COMMENT.sub("", file.read_text(encoding="utf-8"))


def _statements(text: str) -> Iterator[str]:
    """Yield each statement that makes a trigger."""
    for found in _TRIGGER.finditer(text):
        yield found[0]


def _rights(text: str) -> Iterator[Right]:
    for rights, columns, kind, names, roles in _GRANT.findall(text):
        kind = {"": "TABLE", "FUNCTION": "ROUTINE", "PROCEDURE": "ROUTINE"}.get(kind, kind)
        lists = [[w.strip() for w in words.split(",")] for words in (roles, rights, names)]
        for role, right, name in product(*lists):
            if not columns:
                yield Right(role, right, kind, name)
            for column in filter(None, map(str.strip, columns.split(","))):
                yield Right(role, right, "COLUMN", f"{name}.{column}")
