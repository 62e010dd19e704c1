"""The sizes that keep a room easy to survey, and imports that go one way."""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.engines import REPOSITORY

_ROUTINE = re.compile(
    r"CREATE (?:OR REPLACE )?(?:FUNCTION|PROCEDURE) ([\w.]+)"
    r".*?(?:\$(\w*)\$(?P<quoted>.*?)\$\2\$|BEGIN ATOMIC(?P<parsed>.*?)\nEND;|\bRETURN\b[^;]*;)",
    re.DOTALL | re.IGNORECASE,
)


def _files(*folders: str, suffix: str = ".py") -> Iterator[tuple[str, str]]:
    """Each file's path in the repository, and its text."""
    for folder in folders:
        for path in sorted((REPOSITORY / folder).rglob(f"*{suffix}")):
            if "node_modules" not in path.parts:
                yield path.relative_to(REPOSITORY).as_posix(), path.read_text(encoding="utf-8")


def _longer(folders: tuple[str, ...], most: int) -> set[str]:
    return {name for name, text in _files(*folders) if len(text.splitlines()) > most}


def _package_files() -> set[str]:
    return _longer(("entasis_db", "bench", "drills", "monitoring"), 450)


def _test_files() -> set[str]:
    return _longer(("tests",), 700)


def _functions() -> set[str]:
    return {
        f"{name}: {node.name}"
        for name, text in _files("entasis_db", "bench", "drills", "monitoring", "tests")
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > 60
    }


def _schema_folders() -> set[str]:
    return {
        folder.relative_to(REPOSITORY).as_posix()
        for folder in (REPOSITORY / "schema").rglob("*/")
        if sum(path.is_file() for path in folder.iterdir()) > 20
    }


def bodies(text: str) -> dict[str, int]:
    """The lines of each routine's body."""
    return {
        found[1]: (found["quoted"] or found["parsed"] or "").strip("\n").count("\n") + 1
        for found in _ROUTINE.finditer(text)
    }


def _sql_routines() -> set[str]:
    return {
        f"{name}: {routine}"
        for name, text in _files("schema", "migrations", suffix=".sql")
        for routine, lines in bodies(text).items()
        if lines > 200
    }


def _compiled_plans() -> set[str]:
    """Routines that forbid nested loops, and leave JIT compilation on.

    Before PostgreSQL 18 a forbidden join costs 10^10 where no other is possible: more than enough
    to have the plan compiled, which takes a second.
    """
    return {
        name
        for name, text in _files("schema", suffix=".sql")
        if text.count("\nSET enable_nestloop = off") > text.count("\nSET jit = off")
    }


def _imported(tree: ast.Module, modules: set[str]) -> set[str]:
    """The modules that a module imports as soon as it is imported itself."""
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, "imports name their module in full"
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                found.add(submodule if submodule in modules else node.module)
    return found & modules


def circles(sources: dict[str, str]) -> set[str]:
    """The modules that import themselves by way of others."""
    edges = {name: _imported(ast.parse(text), set(sources)) for name, text in sources.items()}
    found = set()
    for name in edges:
        reached: set[str] = set()
        ahead = list(edges[name])
        while ahead:
            if (module := ahead.pop()) not in reached:
                reached.add(module)
                ahead.extend(edges[module])
        if name in reached:
            found.add(name)
    return found


def _imports() -> set[str]:
    return circles(
        {
            name.removesuffix(".py").removesuffix("/__init__").replace("/", "."): text
            for name, text in _files("entasis_db", "bench", "drills", "monitoring")
        }
    )


_HAVE_SESSIONS = re.compile(
    r"entasis_db/(archive|embedded|cache/listener|cursors|engine|ledger|maintenance|migrate"
    r"|search_path)\b"
)
_MAY_PREPARE = re.compile(r"psycopg\.(Async)?Cursor\(|\.executemany\(|connection\.execute\(")


def _preparing() -> set[str]:
    """Statements that psycopg may prepare in a session that a pooler hands on."""
    return {
        f"{name}: {line.strip()}"
        for name, text in _files("entasis_db")
        if not _HAVE_SESSIONS.match(name)
        for line in text.splitlines()
        if _MAY_PREPARE.search(line)
    }


RULES: dict[str, Callable[[], set[str]]] = {
    "package files of 450 lines": _package_files,
    "test files of 700 lines": _test_files,
    "functions of 60 lines": _functions,
    "schema folders of 20 files": _schema_folders,
    "SQL routines of 200 lines": _sql_routines,
    "imports that go one way": _imports,
    "cursors that prepare nothing": _preparing,
    "plans that are not compiled": _compiled_plans,
}


@pytest.mark.parametrize("rule", RULES)
def test_nothing_is_too_large_to_survey(rule: str) -> None:
    assert RULES[rule]() == set()


def test_every_routine_of_the_schema_is_measured() -> None:
    """What the pattern does not find would pass however long it is."""
    made = re.compile(r"^CREATE (?:OR REPLACE )?(?:FUNCTION|PROCEDURE) ", re.MULTILINE)
    for name, text in _files("schema", suffix=".sql"):
        assert len(bodies(text)) == len(made.findall(text)), name
    assert bodies("CREATE FUNCTION a.b() AS $x$\n1\n2\n3\n$x$;") == {"a.b": 3}
    assert bodies("CREATE PROCEDURE b()\nBEGIN ATOMIC\n1;\n2;\nEND;\n") == {"b": 2}


def test_a_circle_is_found_at_any_length() -> None:
    apart = {"a": "import b", "b": "from c import x", "c": "def f():\n    import a"}
    assert circles(apart) == set()
    assert circles({**apart, "c": "from a import y"}) == {"a", "b", "c"}
    package = {"p": "from p.one import x", "p.one": "from p import two", "p.two": ""}
    assert circles(package) == set()
    assert circles({**package, "p.two": "from p import anything"}) == {"p", "p.one", "p.two"}


def test_the_paths_are_there() -> None:
    assert Path(REPOSITORY / "schema" / "order").is_file()
    assert len(dict(_files("entasis_db", "bench", "tests"))) > 100
