"""The changes that are planted are those of SQL's own words, and are taken back."""

from pathlib import Path

import pytest

from tests.mutants.changes import changes

SQL = """-- a < b AND c in a comment
CREATE OR REPLACE FUNCTION f(a integer DEFAULT -1) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN -- µ, and <
    RETURN a BETWEEN -1 AND 2 AND a <= 3 OR 'a < b' IS NOT NULL AND x ->> 'y' = '>';
END
$$;
SELECT least(%(from_time)s, 1) + 2 FROM t WHERE x OPERATOR(pg_catalog.>) 1
    AND y = 'µ'
    AND z BETWEEN 1
    AND 2;
COMMENT ON FUNCTION f IS 'a < b and c';
"""


def test_what_is_found(tmp_path: Path) -> None:
    path = Path("some.sql")
    (tmp_path / path).write_text(SQL, encoding="utf-8")
    found = list(changes(tmp_path, path))
    assert [(c.line, c.old, c.new) for c in found] == [
        (5, "AND", "OR"),
        (5, "<=", "<"),
        (5, "OR", "AND"),
        (5, "NOT", ""),
        (5, "AND", "OR"),
        (8, "least", "greatest"),
        (8, "+", "-"),
        (8, ">", ">="),
        (9, "AND", "OR"),
        (9, "AND y = 'µ'", ""),
        (10, "AND", "OR"),
    ]
    for change in found:
        change.apply(tmp_path)
        changed = (tmp_path / path).read_text(encoding="utf-8")
        assert len(changed.split("\n")) == len(SQL.split("\n"))
        assert changed != SQL
        (tmp_path / path).write_text(SQL, encoding="utf-8")
    (tmp_path / path).write_text(f" {SQL}", encoding="utf-8")
    with pytest.raises(ValueError, match=r"some\.sql is not what"):
        found[0].apply(tmp_path)
