"""Finds the lines: every module of ``bench/lines/`` is one."""

from collections.abc import Sequence
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

import bench.lines
from bench.line import Line, Sizes, Subject

_NEEDED = ("TITLE", "HOW", "SUBJECT", "SIZES", "run")


class UnknownLineError(ValueError):
    """There is no line of that name."""


@cache
def lines() -> tuple[Line, ...]:
    """Return every line, sorted by subject and name."""
    found = [
        line_of(import_module(f"{bench.lines.__name__}.{module.name}"))
        for module in iter_modules(bench.lines.__path__)
    ]
    subjects = list(Subject)
    return tuple(sorted(found, key=lambda line: (subjects.index(line.subject), line.name)))


def line_of(module: ModuleType) -> Line:
    """Make a line of its module; TypeError names what the module lacks."""
    if missing := [name for name in _NEEDED if not hasattr(module, name)]:
        raise TypeError(
            f"{module.__name__} is no line yet: define {', '.join(missing)}; docs/bench.md says how"
        )
    subject: Subject = module.SUBJECT
    sizes: Sizes = module.SIZES
    name = module.__name__.rpartition(".")[2].replace("_", "-")
    return Line(name, subject, module.TITLE, module.HOW, sizes, module.run)


def choose(names: Sequence[str]) -> tuple[Line, ...]:
    """Return the lines of these names, in the report's order; all of them when there are none."""
    known = {line.name: line for line in lines()}
    for name in names:
        if name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise UnknownLineError(
                f"there is no line {name!r}: {hint}`python -m bench --list` names all of them"
            )
    return tuple(line for line in lines() if not names or line.name in names)
