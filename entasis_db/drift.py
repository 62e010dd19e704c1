"""What was changed by hand in a database, of what ``migrate`` asserts: owners, switches, rights."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import psycopg

from entasis_db import catalog
from entasis_db.cursors import execute
from entasis_db.expected import CANDLE_TRIGGERS, POLICIES, SECURED, Expected, Right, expected

_AS_WRITTEN = """
    SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true),
        pg_catalog.set_config('quote_all_identifiers', 'off', true)
"""
_MIGRATE = "entasis migrate"
_NAMED = 3  # objects that a line names, before it only counts
_MEMBERS = [("entasis_writer", "entasis_reader"), ("entasis_admin", "entasis_writer")]


def drift(connection: psycopg.Connection[Any], engine: str) -> tuple[str, ...]:
    """Return what differs from what ``migrate`` would assert, a line each, with what mends it.

    Changes nothing. ``connection`` may be anybody's. Raises psycopg.Error when the server refuses.
    """
    # PostgreSQL writes a name of the search path without its schema; the end takes both back
    with connection.transaction(force_rollback=True):
        execute(connection, _AS_WRITTEN)
        return _drift(connection, engine)


def _drift(connection: psycopg.Connection[Any], engine: str) -> tuple[str, ...]:
    wanted = expected(engine)
    found = catalog.objects(connection)
    has_jobs = engine == "timescaledb"
    roles = catalog.roles(connection, [*catalog.ROLES, *(["entasis_jobs"] if has_jobs else [])])
    strangers = {each.qualified for each, ours in strays(found, wanted) if not ours}
    there = {each.qualified for each in found} - strangers
    lines = [
        *_roles(roles, has_jobs=has_jobs, owner_logs_in=engine == "citus"),
        *_missing(wanted, there),
        *(_line(said, mend) for said, mend in overloads(found, wanted)),
        *_owners(found, wanted),
        *_security(connection),
        *_policies(connection),
        *_triggers(connection, wanted, there, has_jobs=has_jobs),
        *_rights(catalog.rights(connection), wanted.rights, roles, there),
    ]
    if "entasis_owner" in roles and catalog.new_routines_are_public(connection):
        lines.append(_line("everybody may execute what entasis_owner makes", _MIGRATE))
    return tuple(lines)


def strays(found: list[catalog.Object], wanted: Expected) -> Iterator[tuple[catalog.Object, bool]]:
    """Yield what belongs to others, each with whether it is one of ours, by its name."""
    alike = Counter((each.kind, each.qualified) for each in found)
    for each in found:
        if each.owner not in ("entasis_owner", "entasis_jobs"):
            yield each, is_ours(each, wanted, alike[each.kind, each.qualified])


def overloads(found: list[catalog.Object], wanted: Expected) -> Iterator[tuple[str, str]]:
    """Yield the routines of ours beside which there is another of their name, and what mends it."""
    alike: dict[str, list[catalog.Object]] = {}
    for each in found:
        if each.kind == "ROUTINE" and each.qualified in wanted.routines:
            alike.setdefault(each.qualified, []).append(each)
    for name, several in sorted(alike.items()):
        if len(several) > 1:
            shown = " and ".join(f"{each.identity} of {each.owner}" for each in several)
            yield (
                f"there is more than one routine {name}, and Entasis DB makes one: {shown}",
                "drop the other (DROP ROUTINE, with its arguments)",
            )


def is_ours(each: catalog.Object, wanted: Expected, alike: int) -> bool:
    """Say whether Entasis DB, or yoyo for it, made an object, by its name.

    ``alike`` is how many have its name. Partitions are known by their table, those that are not
    attached by their name, which begins with the table's.
    """
    name = each.qualified
    match each.kind:
        case "SCHEMA":
            return True
        case "ROUTINE":
            # none of ours is overloaded, so it cannot be told which of two is ours
            return name in wanted.routines and alike == 1
        case "VIEW":
            return name in wanted.views or name in wanted.tables
        case "SEQUENCE":
            return name in wanted.sequences
        case "TYPE":
            return name in wanted.types
    if each.schema == "entasis_migrations":
        return name in wanted.tables or each.name.removeprefix("_").startswith("yoyo_")
    # a partition lies in entasis_internal, and its table in entasis
    public = name.replace("entasis_internal.", "entasis.", 1)
    return each.parent in wanted.tables or any(
        name == table or name.startswith(f"{table}_") or public.startswith(f"{table}_")
        for table in wanted.tables
    )


def _line(what: str, mend: str) -> str:
    return f"{what}. Mend: {mend}"


def listed(names: Iterable[str]) -> str:
    """Name some, and say how many others there are."""
    ordered = sorted(names)
    if len(ordered) <= _NAMED + 1:
        return ", ".join(ordered)
    return f"{', '.join(ordered[:_NAMED])} and {len(ordered) - _NAMED} others"


def _roles(found: dict[str, catalog.Role], *, has_jobs: bool, owner_logs_in: bool) -> Iterator[str]:
    log_in = {"entasis_jobs": has_jobs, "entasis_owner": owner_logs_in}
    pairs = [*_MEMBERS, *([("entasis_jobs", "entasis_owner")] if has_jobs else [])]
    for name in [*catalog.ROLES, *(["entasis_jobs"] if has_jobs else [])]:
        role = found.get(name)
        if role is None:
            yield _line(f"the role {name} is missing, with all its rights", _MIGRATE)
            continue
        if owner_logs_in and name == "entasis_owner" and "login" not in role.attributes:
            yield _line(f"the role {name} cannot log in, as nodes of a cluster do", _MIGRATE)
        allowed = "login" if log_in.get(name) else ""
        if role.attributes not in ("", allowed):
            without = " ".join(f"NO{word.strip()}" for word in role.attributes.split(","))
            yield _line(
                f"the role {name} has {role.attributes}", f"ALTER ROLE {name} {without.upper()}"
            )
        for member, of in pairs:
            if member == name and of in found and of not in role.member_of:
                yield _line(f"{member} is no member of {of}", _MIGRATE)


def _missing(wanted: Expected, there: set[str]) -> Iterator[str]:
    if gone := (wanted.tables | wanted.types) - wanted.remade - there:
        yield _line(
            f"{listed(gone)} is missing" if len(gone) == 1 else f"{listed(gone)} are missing",
            "restore a backup",
        )
    if gone := wanted.remade - there:
        yield _line(
            f"{listed(gone)} is missing" if len(gone) == 1 else f"{listed(gone)} are missing",
            _MIGRATE,
        )


def _owners(found: list[catalog.Object], wanted: Expected) -> Iterator[str]:
    grouped: dict[tuple[str, bool], list[str]] = {}
    for each, ours in strays(found, wanted):
        grouped.setdefault((each.owner, ours), []).append(each.identity)
    for (owner, ours), identities in sorted(grouped.items()):
        verb = "belongs" if len(identities) == 1 else "belong"
        said = f"{listed(identities)} {verb} to {owner}"
        if ours:
            yield _line(said, _MIGRATE)
        else:
            what = "is none" if len(identities) == 1 else "are none"
            yield _line(
                f"{said} and {what} of Entasis DB's",
                "drop it, or move it to another schema (ALTER … SET SCHEMA)",
            )


def _security(connection: psycopg.Connection[Any]) -> Iterator[str]:
    for table, (on, forced) in sorted(catalog.security(connection).items()):
        if table == SECURED:
            if not on:
                yield _line(f"row-level security of {table} is off", _MIGRATE)
            if forced:
                yield _line(f"row-level security of {table} is forced on its owner", _MIGRATE)
        elif on:
            yield _line(
                f"row-level security of {table} is on, which hides rows from Entasis DB's roles",
                f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY",
            )


def _policies(connection: psycopg.Connection[Any]) -> Iterator[str]:
    found = catalog.policies(connection)
    wanted = {policy.name for policy in POLICIES}
    for name in sorted(wanted - {policy.name for policy in found}):
        yield _line(f"the policy {name} on {SECURED} is missing", _MIGRATE)
    for policy in sorted(found - POLICIES):
        if policy.name in wanted:
            yield _line(f"the policy {policy.name} on {SECURED} is another", _MIGRATE)
        else:
            yield _line(f"there is a policy {policy.name} on {SECURED}", _MIGRATE)


def _triggers(
    connection: psycopg.Connection[Any], wanted: Expected, there: set[str], *, has_jobs: bool
) -> Iterator[str]:
    found = catalog.triggers(connection)
    for each in found:
        if not each.enabled:
            # those of foreign keys are the server's
            mend = f"ALTER TABLE {each.relation} ENABLE TRIGGER ALL, as a superuser"
            yield _line(
                f"trigger {each.name} of {each.relation} is disabled",
                f"{_MIGRATE}, or {mend}" if each.internal else _MIGRATE,
            )
    made = {(each.relation, each.name): each.trigger for each in found if each.trigger}
    for trigger in sorted(wanted.triggers):
        if trigger.relation not in there:
            continue
        stands = made.get((trigger.relation, trigger.name))
        if stands is None:
            yield _line(f"trigger {trigger.name} of {trigger.relation} is missing", _MIGRATE)
        elif stands != trigger:
            yield _line(f"trigger {trigger.name} of {trigger.relation} is another", _MIGRATE)
    if has_jobs:
        names = Counter(each.name for each in found if each.of_aggregate)
        for name, number in CANDLE_TRIGGERS.items():
            if names[name] < number:
                yield _line(f"trigger {name} of an aggregate of candles is missing", _MIGRATE)


def _rights(
    found: set[Right], wanted: frozenset[Right], roles: dict[str, catalog.Role], there: set[str]
) -> Iterator[str]:
    """Compare what our roles and everybody have on what is ours; others may have what they like."""
    holders = {"public", *roles} - {"entasis_owner", "entasis_jobs"}
    # of what is missing itself, and of a role that is, it was said
    lost = {r for r in wanted - found if r.role in roles and _object_of(r) in there}
    more = {r for r in found - wanted if r.role in holders and _object_of(r) in there}
    for rights, said in (
        (lost, "{} has lost {} on {}"),
        (more, "{} has {} on {}, which migrate does not grant"),
    ):
        grouped: dict[tuple[str, str], list[str]] = {}
        for right in rights:
            role = "everybody" if right.role == "public" else right.role
            grouped.setdefault((role, right.right), []).append(right.name)
        for (role, name), objects in sorted(grouped.items()):
            yield _line(said.format(role, name, listed(objects)), _MIGRATE)


def _object_of(right: Right) -> str:
    return right.name.rpartition(".")[0] if right.kind == "COLUMN" else right.name
