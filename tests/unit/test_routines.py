"""What tests/routines.py finds, on routines that are written wrongly on purpose."""

from pathlib import Path

import pytest

from tests.routines import routines

CREATE = "CREATE FUNCTION entasis.f(relation text, low bigint) RETURNS bigint LANGUAGE "
COUNT = "SELECT count(*) FROM entasis.floors AS f WHERE "
PLPGSQL = "plpgsql AS $$\nDECLARE\n    a entasis.floors;\nBEGIN\n    "


@pytest.mark.parametrize(
    "body",
    [
        f"sql BEGIN ATOMIC {COUNT} f.relation = relation; END",
        f"sql BEGIN ATOMIC {COUNT} relation = relation; END",
        f"sql RETURN ({COUNT} EXISTS (SELECT 1 WHERE f.relation = relation))",
        f"sql AS $$ {COUNT} f.relation = relation $$",
        "sql BEGIN ATOMIC UPDATE entasis.floors SET floor = now() WHERE relation = 'x'; END",
        "sql BEGIN ATOMIC INSERT INTO entasis.floors VALUES (1) RETURNING relation; END",
        f"{PLPGSQL} RETURN ({COUNT} f.relation = relation);\nEND $$",
        f"{PLPGSQL} a.floor := ({COUNT} f.relation = relation);\nEND $$",
        f"{PLPGSQL} DELETE FROM entasis.floors WHERE relation = 'x';\nEND $$",
        f"{PLPGSQL} INSERT INTO entasis.floors VALUES (1) ON CONFLICT (relation) DO NOTHING;"
        "\nEND $$",
        f"{PLPGSQL} FOR a IN SELECT * FROM entasis.floors AS f WHERE f.relation = relation LOOP"
        " NULL; END LOOP;\nEND $$",
    ],
)
def test_an_unqualified_parameter_is_found(tmp_path: Path, body: str) -> None:
    file = tmp_path / "f.sql"
    file.write_text(CREATE + body)
    assert routines((file,))["entasis.f"].unqualified() == {"relation"}


@pytest.mark.parametrize(
    "body",
    [
        f"sql BEGIN ATOMIC {COUNT} f.relation = f.relation; END",
        "sql RETURN CASE WHEN relation = 'x' THEN low END",
        "sql BEGIN ATOMIC INSERT INTO entasis.floors (relation) VALUES (relation); END",
        f"{PLPGSQL} IF relation IS NULL THEN RAISE '%', relation; END IF;\nEND $$",
        f"{PLPGSQL} PERFORM entasis.g(relation);\nEND $$",
    ],
)
def test_what_can_mean_only_the_parameter_passes(tmp_path: Path, body: str) -> None:
    file = tmp_path / "f.sql"
    file.write_text(CREATE + body)
    assert routines((file,))["entasis.f"].unqualified() == set()
