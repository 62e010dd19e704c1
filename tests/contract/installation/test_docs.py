"""The SQL and Python that the documents show are run, and their links lead somewhere."""

import importlib
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from entasis_db import queries
from tests import reference
from tests.engines import REPOSITORY, Database

pytestmark = pytest.mark.newest_server

DOCUMENTS = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md")])
# an opening fence with what it says, the block, the closing fence
BLOCK = re.compile(r"^```(\w*) ?(.*?)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

HEADING = re.compile(r"(?:on (\w+) ?)?(?:error: (.+))?")
# what a block of commands needs that a test does not have; it is not run
NEEDS = re.compile(r"needs .+")


def blocks(document: Path, language: str) -> list[tuple[str, str]]:
    found = BLOCK.findall(document.read_text(encoding="utf-8"))
    return [(note, text) for name, note, text in found if name == language]


def named(documents: list[Path]) -> list[str]:
    return [str(d.relative_to(REPOSITORY)) for d in documents]


# blocks headed sh and sql on one page are a recovery, which tests/drills runs on a broken server
WITH_SQL = [d for d in DOCUMENTS if blocks(d, "sql") and not blocks(d, "sh")]
WITH_PYTHON = [d for d in DOCUMENTS if blocks(d, "python")]
WITH_PSQL = [d for d in DOCUMENTS if blocks(d, "psql")]
WITH_COMMANDS = [
    d for d in DOCUMENTS if any(not NEEDS.fullmatch(note) for note, _ in blocks(d, "console"))
]


@pytest.mark.parametrize(
    "document",
    [
        # a slow server runs the pages of its own engine
        page if page.stem == "timescaledb" else pytest.param(page, marks=pytest.mark.native_speed)
        for page in WITH_SQL
    ],
    ids=named(WITH_SQL),
)
def test_sql_does_what_the_document_says(database: Database, document: Path) -> None:
    """A block headed ``sql error: TEXT`` must fail with that text; any other must not fail.

    One headed ``sql on ENGINE``, or ``sql on ENGINE error: TEXT``, tells of that engine alone.
    """
    with database.connect() as connection:
        for note, text in blocks(document, "sql"):
            heading = HEADING.fullmatch(note)
            assert heading, note
            engine, expected = heading.groups()
            if engine not in (None, database.engine):
                continue
            for statement in filter(str.strip, text.split(";\n")):
                if expected is None:
                    connection.execute(statement.encode())
                else:
                    with pytest.raises(psycopg.Error, match=re.escape(expected)):
                        connection.execute(statement.encode())


@pytest.mark.native_speed  # queries and the archive have tests of their own on every server
@pytest.mark.parametrize("document", WITH_PYTHON, ids=named(WITH_PYTHON))
def test_python_does_what_the_document_says(
    database: Database, document: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database.dsn)
    for _, text in blocks(document, "python"):
        exec(compile(text, str(document), "exec"), {"__name__": "__main__"})


@pytest.mark.copy
@pytest.mark.several_connections
@pytest.mark.parametrize("document", WITH_COMMANDS, ids=named(WITH_COMMANDS))
@pytest.mark.long
def test_commands_do_what_the_document_says(
    database: Database, document: Path, tmp_path: Path
) -> None:
    """The lines of a page after ``$``, in one shell, in the checkout; the first that fails, fails.

    A block headed ``console needs SOMETHING`` is not run.
    """
    commands = [
        line[2:]
        for note, text in blocks(document, "console")
        if not NEEDS.fullmatch(note)
        for line in text.splitlines()
        if line.startswith("$ ") and not line.startswith("$ . .venv/")
    ]
    environment = {
        **os.environ,
        "DATABASE_URL": database.dsn,
        "ENTASIS_ARCHIVE_URL": tmp_path.as_uri(),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    done = subprocess.run(
        ["/bin/bash", "-e", "-x", "-c", "\n".join(commands)],
        cwd=REPOSITORY,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.copy
@pytest.mark.several_connections
@pytest.mark.parametrize("document", WITH_PSQL, ids=named(WITH_PSQL))
def test_psql_does_what_the_document_says(
    database: Database, document: Path, tmp_path: Path
) -> None:
    """A block ``psql`` is a script; the page's blocks headed ``csv NAME`` are its files."""
    for name, text in blocks(document, "csv"):
        (tmp_path / name).write_text(text)
    for _, text in blocks(document, "psql"):
        done = subprocess.run(
            ["psql", "--no-psqlrc", "--csv", "--set", "ON_ERROR_STOP=1", database.dsn],
            cwd=tmp_path,
            input=text,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
    if document.name == "trades.md":
        assert "2,0,1,0" in done.stdout.splitlines()
        with database.connect() as connection:
            assert connection.execute(
                "SELECT line, code FROM entasis.quarantine WHERE source = 'trades.csv'"
            ).fetchall() == [(3, "price")]


@pytest.mark.parametrize("document", DOCUMENTS, ids=named(DOCUMENTS))
def test_links_lead_somewhere(document: Path) -> None:
    text = BLOCK.sub("", document.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (document.parent / target).exists(), target


def test_every_decision_is_listed() -> None:
    folder = REPOSITORY / "docs" / "decisions"
    listed = re.findall(r"\]\((\d{4}-[^)]+\.md)\)", (folder / "README.md").read_text())
    assert listed == sorted(p.name for p in folder.glob("0*.md"))


def test_every_query_is_in_its_reference() -> None:
    reference = (REPOSITORY / "docs" / "queries.md").read_text()
    functions = [n for n in queries.__all__ if inspect.isfunction(getattr(queries, n))]
    assert functions
    for name in functions:
        parameters = inspect.signature(getattr(queries, name)).parameters
        shown = re.search(rf"^\| `{name}\((.*)\)`", reference, re.MULTILINE)
        assert shown, name
        assert [p.partition("=")[0] for p in shown[1].split(", ") if p] == list(parameters), name


def test_the_reference_is_what_the_code_says() -> None:
    assert reference.PAGE.read_text(encoding="utf-8") == reference.page(), (
        "write it anew: python -m tests.reference"
    )


def test_every_public_function_is_described_and_typed() -> None:
    """And every module of the package is either in the reference or not for callers."""
    for name in reference.MODULES:
        for value_name, value in reference.public(importlib.import_module(name)):
            assert inspect.getdoc(value), value_name
            functions = [value] if inspect.isfunction(value) else []
            if inspect.isclass(value):
                functions += [function for _, function in reference.methods(value)]
            for function in functions:
                hints = set(function.__annotations__)
                parameters = set(inspect.signature(function).parameters) - {"self"}
                assert parameters | {"return"} <= hints, f"{value_name}.{function.__name__}"
                assert inspect.getdoc(function), f"{value_name}.{function.__name__}"
    internal = {
        "__main__",
        "adoption",
        "breaker",
        "catalog",
        "citus",
        "cli",
        "cursors",
        "direct",
        "drift",
        "expected",
        "extras",
        "ledger",
        "libpq",
        "own_session",
        "pages",
        "resources",
        "wire",
        "readers",
        "search_path",
        "store",
    }
    package = REPOSITORY / "entasis_db"
    there = {path.stem for path in package.glob("*.py")} | {
        path.parent.name for path in package.glob("*/__init__.py")
    }
    listed = {name.split(".")[1] for name in reference.MODULES}
    assert there - {"__init__"} == listed | internal
