"""Where the SQL is: beside the package in a wheel, at the root of a checkout."""

import re
from dataclasses import dataclass
from pathlib import Path

_SECTION = re.compile(r"^\[(\w+)\]")


def sql_root() -> Path:
    """Return the folder that holds ``schema/`` and ``migrations/``."""
    package = Path(__file__).resolve().parent
    for folder in (package, package.parent):
        if (folder / "schema").is_dir() and (folder / "migrations").is_dir():
            return folder
    raise FileNotFoundError(
        "schema/ and migrations/ are missing from this installation of entasis-db; install it again"
    )


def engines() -> list[str]:
    """Return the names of the engines that this release can install."""
    return sorted(path.stem for path in (sql_root() / "schema").glob("*.order"))


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
    """Read ``schema/<engine>.order``."""
    root = sql_root() / "schema"
    sections: dict[str, list[Path]] = {}
    section: list[Path] = []
    for line in (root / f"{engine}.order").read_text(encoding="utf-8").splitlines():
        entry = line.partition("#")[0].strip()
        if match := _SECTION.match(entry):
            section = sections.setdefault(match[1], [])
        elif entry:
            section.append(root / entry)
    return SchemaOrder(*(tuple(sections[name]) for name in ("bootstrap", "state", "stateless")))
