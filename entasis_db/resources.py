"""Where the SQL is: beside the package in a wheel, at the root of a checkout."""

import re
from dataclasses import dataclass
from pathlib import Path

_SECTION = re.compile(r"^\[(\w+)\]")
_CORE = "core"
# an engine that is another one, but for the files that it has of its own
_BASES = {"citus": "postgresql"}


def sql_root() -> Path:
    """Return the folder that holds ``schema/`` and ``migrations/``."""
    package = Path(__file__).resolve().parent
    for folder in (package, package.parent):
        if (folder / "schema").is_dir() and (folder / "migrations").is_dir():
            return folder
    raise FileNotFoundError(
        "schema/ and migrations/ are missing from this installation of entasis-db; install it again"
    )


def sample(name: str) -> Path:
    """Return a file of real market data: in a wheel beside the package, in a checkout the tests'.

    ``README.md`` beside it names its source and licence.
    """
    package = Path(__file__).resolve().parent
    for folder in (package / "samples", package.parent / "tests" / "data"):
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(
        f"{name} is missing from this installation of entasis-db; install it again"
    )


def engines() -> list[str]:
    """Return the names of the engines that this release can install."""
    schema = sql_root() / "schema"
    return sorted(path.name for path in schema.iterdir() if path.is_dir() and path.name != _CORE)


@dataclass(frozen=True)
class SchemaOrder:
    """The files of ``schema/`` for one engine, each list in the order in which it is applied."""

    bootstrap: tuple[Path, ...]
    """Roles and schemas: idempotent, applied by the login itself."""
    state: tuple[Path, ...]
    """What holds rows: applied once, by a migration or to an empty database."""
    stateless: tuple[Path, ...]
    """Functions, views, triggers, policies, grants, comments: applied after every run."""


def schema_order(engine: str) -> SchemaOrder:
    """Read the lines of ``schema/order`` that concern one engine.

    A path that begins with ``core`` is every engine's, one with ``*`` stands for the engine's own
    file of that name, and one with an engine's name is that engine's alone. An engine that is built
    on another has the other's files too; its own stand in for those, and for those of every engine.
    """
    root = sql_root() / "schema"
    base = _BASES.get(engine, engine)
    sections: dict[str, list[Path]] = {}
    section: list[Path] = []
    for line in (root / "order").read_text(encoding="utf-8").splitlines():
        entry = line.partition("#")[0].strip()
        if match := _SECTION.match(entry):
            section = sections.setdefault(match[1], [])
        elif entry:
            owner, _, path = entry.partition("/")
            if owner not in (_CORE, engine, base, "*"):
                continue
            own = root / engine / path
            if base != engine and own.exists():
                section.append(own)
            else:
                section.append(root / (base if owner == "*" else owner) / path)
    return SchemaOrder(*(tuple(sections[name]) for name in ("bootstrap", "state", "stateless")))
