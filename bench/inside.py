"""Where the server's time of a batch goes: its functions, and the statements inside them."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import psycopg

from bench.loaders import Connection
from bench.measure import LeftOut

_DURATION = re.compile(r"duration: ([\d.]+) ms  plan:\n(.*)", re.DOTALL)
_CALLER = re.compile(r"function entasis\w*\.(\w+)\(")
_FUNCTIONS = """
    SELECT funcid::bigint, funcname, total_time, self_time FROM pg_stat_user_functions
    WHERE schemaname IN ('entasis', 'entasis_internal')
"""
_TRIGGERS = """
    SELECT t.tgname, t.tgfoid::bigint FROM pg_trigger AS t
    WHERE t.tgrelid = 'entasis.market_data'::regclass AND NOT t.tgisinternal
        AND t.tgtype & 4 <> 0 -- of INSERT
    ORDER BY t.tgname
"""
_TRACE = """
    LOAD 'auto_explain';
    SET auto_explain.log_min_duration = 0;
    SET auto_explain.log_nested_statements = on;
    SET auto_explain.log_analyze = on;
    SET auto_explain.log_timing = off;
    SET auto_explain.log_format = json;
    SET auto_explain.log_level = notice;
"""


class Spent(NamedTuple):
    """What one function took, in seconds."""

    name: str
    whole: float
    """What it called included."""
    itself: float


def track(connection: Connection) -> None:
    """Have the server keep the time of each function that this session calls."""
    connection.execute("SET track_functions = 'all'")


def functions(connection: Connection) -> dict[int, Spent]:
    """Return what the functions of Entasis DB took so far, by oid."""
    connection.execute("SELECT pg_stat_force_next_flush()")
    rows = connection.execute(_FUNCTIONS).fetchall()
    return {oid: Spent(name, whole / 1000, itself / 1000) for oid, name, whole, itself in rows}


def between(before: Mapping[int, Spent], after: Mapping[int, Spent]) -> dict[int, Spent]:
    """Return what the functions took from one moment to another."""
    none = Spent("", 0, 0)
    return {
        oid: Spent(
            now.name, now.whole - before.get(oid, none).whole, now.itself - before.get(oid, none)[2]
        )
        for oid, now in after.items()
    }


def insert_triggers(connection: Connection) -> dict[str, int]:
    """Return the triggers of an insert into market_data, with the oid of each one's function."""
    return dict(connection.execute(_TRIGGERS).fetchall())


@contextmanager
def statements(connection: Connection) -> Iterator[dict[str, float]]:
    """Note the seconds of each kind of statement inside functions, with its triggers.

    LeftOut where the server has no auto_explain.
    """
    found: dict[str, float] = defaultdict(float)

    def hear(diagnostic: psycopg.errors.Diagnostic) -> None:
        heard = _DURATION.fullmatch((diagnostic.message_primary or "").strip())
        if heard is None:
            return
        if named := _name(json.loads(heard[2])["Plan"], diagnostic.context or ""):
            found[named] += float(heard[1]) / 1000

    try:
        connection.execute(_TRACE)
    except psycopg.errors.UndefinedFile as error:
        raise LeftOut("this server has no auto_explain") from error
    connection.add_notice_handler(hear)
    try:
        yield found
    finally:
        connection.remove_notice_handler(hear)


def _name(plan: dict[str, Any], context: str) -> str | None:
    """Name a statement by what it writes to, or by the function that it is in."""
    if written := list(dict.fromkeys(_written(plan))):
        return ", ".join(written)
    caller = _CALLER.search(context)
    # a Result calls another function, whose statements are told by themselves
    return None if caller is None or plan["Node Type"] == "Result" else f"SELECT in {caller[1]}()"


def _written(plan: dict[str, Any]) -> Iterator[str]:
    """Return what a statement writes to, in CTEs too."""
    if plan["Node Type"] == "ModifyTable":
        yield f"{plan['Operation'].upper()} {plan.get('Relation Name', '')}"
    for inner in plan.get("Plans", ()):
        yield from _written(inner)
