"""docs/reference.md, from the code: ``python -m tests.reference`` writes it, a test compares it."""

import ast
import dataclasses
import enum
import importlib
import inspect
import re
import textwrap
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from tests.engines import REPOSITORY

PAGE = REPOSITORY / "docs" / "reference.md"
MODULES = (
    "entasis_db.model",
    "entasis_db.queries",
    "entasis_db.analysis",
    "entasis_db.ingest",
    "entasis_db.acting",
    "entasis_db.live",
    "entasis_db.live.cryptofeed",
    "entasis_db.cache",
    "entasis_db.replicas",
    "entasis_db.archive",
    "entasis_db.history",
    "entasis_db.engine",
    "entasis_db.migrate",
    "entasis_db.maintenance",
    "entasis_db.reopening",
    "entasis_db.runs",
    "entasis_db.health",
    "entasis_db.settings",
    "entasis_db.candles",
    "entasis_db.exchange_candles",
    "entasis_db.ids",
    "entasis_db.instruments",
    "entasis_db.quality",
    "entasis_db.charts",
    "entasis_db.backfill",
    "entasis_db.report",
    "entasis_db.manifest",
    "entasis_db.backups",
    "entasis_db.backups.base",
    "entasis_db.copies",
    "entasis_db.embedded",
    "entasis_db.errors",
)


def public(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """Yield the functions and classes that a module gives to callers, by name."""
    named = getattr(module, "__all__", None)
    for name, value in sorted(vars(module).items()):
        if named is not None:
            if name not in named:
                continue
        elif name.startswith("_") or getattr(value, "__module__", None) != module.__name__:
            continue
        if inspect.isfunction(value) or inspect.isclass(value):
            yield name, value


def methods(kind: type) -> Iterator[tuple[str, Any]]:
    """Yield what a class adds for callers."""
    for base in reversed(kind.__mro__[:-1]):
        if base.__module__.startswith("entasis_db"):
            for name, value in vars(base).items():
                if inspect.isfunction(value) and not name.startswith("_"):
                    yield name, getattr(kind, name)
                elif isinstance(value, property) and not name.startswith("_"):
                    yield name, value.fget


def fields(kind: type) -> dict[str, str]:
    """Return the documentation of a class's attributes: the string below each."""
    found = {}
    for of in reversed(kind.__mro__):
        if of.__module__.startswith("entasis_db"):
            found |= own_fields(of)
    return found


def own_fields(kind: type) -> dict[str, str]:
    """Return the documentation of the attributes that stand in the class itself."""
    try:
        (body,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    except (OSError, TypeError):
        return {}
    assert isinstance(body, ast.ClassDef)
    found = {}
    for here, below in zip(body.body, body.body[1:], strict=False):
        if isinstance(here, ast.AnnAssign) and isinstance(here.target, ast.Name):
            text = getattr(getattr(below, "value", None), "value", None)
            found[here.target.id] = text if isinstance(text, str) else ""
    return found


def signature(value: Any) -> str:
    """Write a signature with its types, and without the names of their modules."""
    text = str(inspect.signature(value))
    text = re.sub(r"<function (?:\w+\.)*<lambda> at 0x\w+>|<factory>", "...", text)
    return re.sub(r"\b(?:\w+\.)+(?=[A-Z]\w)", "", text).replace("~", "")


def entry(name: str, value: Any, level: str) -> Iterator[str]:
    """Write one function."""
    yield f"{level} `{name}{signature(value)}`\n"
    yield inspect.getdoc(value) or ""
    yield ""


def page() -> str:
    """Write the page."""
    lines = [
        "# Reference\n",
        "Every public function and class, from the code. The named queries stand in"
        " [queries.md](queries.md) with their SQL.\n",
    ]
    for module_name in MODULES:
        module = importlib.import_module(module_name)
        assert module.__doc__
        lines.append(f"## {module_name}\n")
        lines.append(module.__doc__.partition("\n")[0] + "\n")
        for name, value in public(module):
            if inspect.isfunction(value):
                lines += entry(name, value, "###")
                continue
            lines.append(f"### class `{name}`\n")
            lines.append((inspect.getdoc(value) or "") + "\n")
            is_record = dataclasses.is_dataclass(value) or hasattr(value, "_fields")
            if is_record and not issubclass(value, enum.Enum):
                for field, text in fields(value).items():
                    if not field.startswith("_"):
                        lines.append(f"- `{field}`: {' '.join(text.split())}")
                lines.append("")
            elif value.__init__.__doc__ and value.__init__ is not object.__init__:
                lines += entry(name, value.__init__, "####")
            for method, function in methods(value):
                lines += entry(f"{name}.{method}", function, "####")
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
