"""Every name in the package's SQL says its schema: it runs on sessions of any search path."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from entasis_db.archive.layout import LAYOUTS
from entasis_db.queries.arrow import Csv
from entasis_db.queries.rows import Candle
from entasis_db.resources import schema_order
from tests.engines import REPOSITORY
from tests.routines import routines
from tests.sql_names import unqualified, unqualified_in

_SQL = re.compile(r"\s*(--.*\n\s*)*(SELECT|WITH|INSERT|UPDATE|DELETE|MERGE|COPY|CALL)[\s(]")
# texts that only begin like statements
_PROSE = "SELECT * FROM entasis.quarantine"


def statements() -> Iterator[tuple[str, str]]:
    """Yield every statement of the package with where it stands."""
    for file in sorted((REPOSITORY / "entasis_db").rglob("*.sql")):
        yield file.name, file.read_text(encoding="utf-8")
    for file in sorted((REPOSITORY / "entasis_db").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = node.value
                if _SQL.match(text) and _PROSE not in text:
                    yield f"{file.name}:{node.lineno}", text


def test_no_schema_can_stand_in_for_a_name_of_the_package() -> None:
    found = {place: names for place, text in statements() if (names := unqualified_in(text))}
    assert found == {}


def test_statements_that_are_put_together_are_qualified() -> None:
    for form in LAYOUTS.values():
        assert unqualified_in(f"SELECT {form.expressions()} FROM entasis.x AS r") == []
    copy = Csv(Candle, False, b"SQL, DMY").copy("SELECT * FROM entasis.ohlcv_1m;").as_string()
    assert "extract" in copy
    assert unqualified_in(copy) == []


@pytest.mark.parametrize("engine", ["postgresql", "timescaledb"])
def test_routines_without_a_path_of_their_own_name_schemas(engine: str) -> None:
    order = schema_order(engine)
    free = {
        name: routine
        for name, routine in routines((*order.state, *order.stateless)).items()
        if not routine.pinned
    }
    # those that commit
    assert "entasis.maintain" in free
    found = {name: names for name, one in free.items() if (names := unqualified(one.body))}
    assert found == {}
    assert {name: one.bare_types for name, one in free.items() if one.bare_types} == {}


def test_a_declared_type_without_a_schema_is_found(tmp_path: Path) -> None:
    file = tmp_path / "f.sql"
    file.write_text(
        "CREATE PROCEDURE entasis.f() LANGUAGE plpgsql AS $$\nDECLARE\n    a record;\n"
        "    b CONSTANT pg_catalog.text := 1;\n    c text := 1;\n    d integer;\nBEGIN\n"
        "    COMMIT;\nEND $$"
    )
    (routine,) = routines((file,)).values()
    assert not routine.pinned
    assert routine.bare_types == {"record", "text"}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("SELECT 1 = 2", "operator ="),
        ("SELECT -1 * %s", "operator *"),
        ("SELECT (1, 2) < (3, 4)", "operator <"),
        ("SELECT 1 = ANY ('{1}'::int[])", "operator ="),
        ("SELECT 1 IN (1, 2)", "operator of IN"),
        ("SELECT 1 IN (SELECT 2)", "operator of IN"),
        ("SELECT 1 < ALL (SELECT 2)", "operator <"),
        ("SELECT 1 BETWEEN 1 AND 2", "operator of BETWEEN"),
        ("SELECT 'a' LIKE 'b'", "operator of LIKE"),
        ("SELECT nullif(1, 2)", "operator of NULLIF"),
        ("SELECT 1 IS DISTINCT FROM 2", "operator of DISTINCT"),
        ("SELECT CASE 1 WHEN 2 THEN 3 END", "operator of CASE"),
        ("SELECT FROM a.x INNER JOIN a.y USING (z)", "operator of USING"),
        ("SELECT FROM a.x NATURAL JOIN a.y", "operator of USING"),
        ("SELECT now()", "function now"),
        ("SELECT count(*)", "function count"),
        ("SELECT %(a)s::text", "type text"),
        ("SELECT %s::timestamptz[]", "type timestamptz"),
        ("SELECT 'a' COLLATE \"C\"", "collation C"),
        ("SELECT FROM pg_class", "relation pg_class"),
        ("WITH a AS (SELECT 1) SELECT FROM a, b", "relation b"),
        ("COPY (SELECT {} FROM entasis.{} AS r WHERE r.{x} > 1) TO STDOUT", "operator >"),
    ],
)
def test_a_name_without_a_schema_is_found(text: str, name: str) -> None:
    assert unqualified_in(text) == [name]


@pytest.mark.parametrize(
    "text",
    [
        "SELECT a.x OPERATOR(pg_catalog.=) ANY (a.y) FROM a.a ORDER BY 1",
        "WITH a AS (SELECT 1) SELECT DISTINCT coalesce(1, 2), greatest(1, 2) FROM a GROUP BY 1",
        "SELECT extract(epoch FROM a.x AT TIME ZONE 'UTC')::bigint, a.x::interval FROM s.a",
        "SELECT current_user, EXISTS (SELECT FROM s.a)",
    ],
)
def test_what_names_nothing_passes(text: str) -> None:
    assert unqualified_in(text) == []
