"""Finds the lines and profiles: every module of ``bench/lines/`` and ``bench/profiles/`` is one."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

import bench.lines
import bench.profiles
from bench.line import Line, Sizes, Subject

_NEEDED = ("TITLE", "HOW", "SUBJECT", "SIZES", "run")


class UnknownLineError(ValueError):
    """There is no line of that name."""


@cache
def lines() -> tuple[Line, ...]:
    """Return every line, sorted by subject and name."""
    return _found(bench.lines)


@cache
def profiles() -> dict[str, Line]:
    """Return every profile by name: a line that only those take who ask for it."""
    # in a record there may be a line of the same name
    return {
        line.name: replace(line, name=f"profile-{line.name}") for line in _found(bench.profiles)
    }


def _found(package: ModuleType) -> tuple[Line, ...]:
    found = [
        line_of(import_module(f"{package.__name__}.{module.name}"))
        for module in iter_modules(package.__path__)
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
    chosen = [_known(name, known, "line") for name in names]
    return tuple(line for line in lines() if not names or line in chosen)


def profile(name: str) -> Line:
    """Return the profile of this name."""
    return _known(name, profiles(), "profile")


def _known(name: str, among: Mapping[str, Line], kind: str) -> Line:
    if name not in among:
        close = get_close_matches(name, among, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise UnknownLineError(
            f"there is no {kind} {name!r}: {hint}`python -m bench --list` names all of them"
        )
    return among[name]
