"""Where a database differs from what a dump says of itself."""

from collections.abc import Iterator, Mapping

from entasis_db.copies.content import Content, Relation
from entasis_db.copies.tables import BROUGHT, CANDLES, DROPPED


def differences(dumped: Content, found: Content) -> list[str]:
    """Compare all that a dump by pg_dump brings; a line for each difference."""
    lines: list[str] = []
    for name in sorted(dumped.relations.keys() | found.relations.keys()):
        if " of what was dropped" not in name:
            lines += _of_relation(name, dumped.relations.get(name), found.relations.get(name))
    lines += _floors(dumped, found)
    lines += _of_mapping("the owner of {}", dumped.owners, found.owners)
    lines += _security(dumped, found)
    lines += _listed("right", dumped.rights, found.rights)
    lines += _listed("trigger", dumped.triggers, found.triggers)
    lines += _sequences(dumped, found)
    return lines + _drift(dumped, found)


def moved_differences(dumped: Content, found: Content, *, other_engine: bool) -> list[str]:
    """Compare what another engine, or a newly migrated database, takes over."""
    lines: list[str] = []
    levels = [name for name in sorted(dumped.relations) if name.startswith("entasis.ohlcv_")]
    for name in dict.fromkeys([*BROUGHT, *CANDLES, *levels]):
        as_dumped = f"{name} of what was dropped" if other_engine and name in DROPPED else name
        lines += _of_relation(name, dumped.relations.get(as_dumped), found.relations.get(name))
    lines += _floors(dumped, found)
    lines += _security(dumped, found)
    lines += _sequences(dumped, found)
    # what was changed by hand there is not made again here
    return lines + [f"changed by hand here: {line}" for line in found.drift]


def _of_relation(name: str, dumped: Relation | None, found: Relation | None) -> Iterator[str]:
    if dumped == found:
        return
    if dumped is None or found is None:
        yield f"{name} is {'not in the dump' if dumped is None else 'missing'}"
        return
    if dumped.rows != found.rows:
        yield f"{name} has {found.rows:,} rows, and {dumped.rows:,} in the dump"
    elif dumped.checksum != found.checksum:
        yield f"{name} has as many rows as in the dump ({found.rows:,}), and others"
    for month in sorted(dumped.months.keys() | found.months.keys()):
        there, here = dumped.months.get(month, (0, 0)), found.months.get(month, (0, 0))
        if there != here:
            yield f"{name} of {month}: {here[0]:,} rows, and {there[0]:,} in the dump" + (
                ", others" if there[0] == here[0] else ""
            )


def _floors(dumped: Content, found: Content) -> Iterator[str]:
    yield from _of_mapping("the floor of {}", dumped.floors, found.floors)


def _of_mapping(
    what: str, dumped: Mapping[str, object], found: Mapping[str, object]
) -> Iterator[str]:
    for name in sorted(dumped.keys() | found.keys()):
        there, here = dumped.get(name, "none"), found.get(name, "none")
        if there != here:
            yield f"{what.format(name)} is {here}, and {there} in the dump"


def _security(dumped: Content, found: Content) -> Iterator[str]:
    for name in sorted(dumped.security.keys() & found.security.keys()):
        if dumped.security[name] != found.security[name]:
            on, there = found.security[name][0], dumped.security[name][0]
            yield (
                f"row-level security of {name} is {'on' if on else 'off'}, and "
                f"{'on' if there else 'off'} in the dump"
                if on != there
                else f"row-level security of {name} binds its owner otherwise than in the dump"
            )
    yield from _listed("policy", dumped.policies, found.policies)


def _listed(what: str, dumped: list[str], found: list[str]) -> Iterator[str]:
    for name in sorted(set(dumped) - set(found)):
        yield f"{what} missing: {name}"
    for name in sorted(set(found) - set(dumped)):
        yield f"{what} not in the dump: {name}"


def _sequences(dumped: Content, found: Content) -> Iterator[str]:
    for name, there in sorted(dumped.sequences.items()):
        here = found.sequences.get(name)
        # what is given out while the dump is taken is not in its snapshot
        if there is not None and name in found.sequences and (here is None or here < there):
            yield f"{name} goes on after {here}, and after {there} in the dump"


def _drift(dumped: Content, found: Content) -> list[str]:
    return [f"changed by hand here: {line}" for line in found.drift if line not in dumped.drift]
