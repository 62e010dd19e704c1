"""CONTRIBUTING.md names one place for each thing that people look for: it is there, and alone."""

import importlib
import re
from pathlib import Path
from typing import Any

import pytest

from entasis_db.cache import eviction
from entasis_db.resources import engines, schema_order
from tests.db import Connection
from tests.engines import REPOSITORY, Database

KEY = "What is the key of a trade?"
READER = "What may a reader see?"
KEEP = "How long are candles kept?"
CHECKSUM = "How is the archive's checksum made?"
EVICTED = "What does a cache evict?"


def places() -> dict[str, tuple[str, str]]:
    """Return the file and what stands there, by question."""
    text = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (What|How)( [^|]*\?) \| `([^`]*)` \| (.*) \|$", text, re.MULTILINE)
    return {first + rest: (file, there) for first, rest, file, there in rows}


def read(question: str, engine: str = "") -> str:
    file, _ = places()[question]
    path = REPOSITORY / file
    if engine:
        # an engine that is built on another has the other's file, where it has none of its own
        order = schema_order(engine)
        asked = file.replace("<engine>", "*")
        (path,) = (one for one in (*order.state, *order.stateless) if one.match(asked))
    return path.read_text(encoding="utf-8")


def schema_files() -> list[Path]:
    return sorted((REPOSITORY / "schema").rglob("*.sql"))


def test_there_is_one_place_for_each() -> None:
    assert set(places()) == {KEY, READER, KEEP, CHECKSUM, EVICTED}
    for question, (file, there) in places().items():
        names = re.findall(r"`([^`]*)`", there)
        assert names, question
        for engine in engines() if "<engine>" in file else [""]:
            text = read(question, engine)
            for name in names:
                assert name in text, f"{name} is not in {file}"


def test_the_key_of_a_trade(database: Database, connection: Connection) -> None:
    (columns,) = re.findall(
        r"CONSTRAINT idx_market_data_symbol_timestamp PRIMARY KEY \(([^)]*)\)",
        read(KEY, database.engine),
    )
    found = connection.execute(
        """
        SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE conrelid = 'entasis.market_data'::regclass AND contype IN ('p', 'u')
        """
    ).fetchall()
    assert [(name, text.replace('"', "")) for name, text in found] == [
        ("idx_market_data_symbol_timestamp", f"PRIMARY KEY ({' '.join(columns.split())})")
    ]


def test_what_a_reader_may_see(connection: Connection) -> None:
    granted = r"GRANT SELECT[^;]*?\bON\s([^;]*?)\sTO\s[^;]*\bentasis_reader\b"
    named = {
        relation.strip()
        for names in re.findall(granted, read(READER))
        for relation in names.split(",")
    }
    assert named
    found = connection.execute(
        """
        SELECT n.nspname || '.' || c.relname
        FROM pg_class AS c
        INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
        CROSS JOIN aclexplode(c.relacl) AS a
        WHERE a.grantee = 'entasis_reader'::regrole AND a.privilege_type = 'SELECT'
            AND n.nspname LIKE 'entasis%' AND NOT c.relispartition
        """
    ).fetchall()
    assert {name for (name,) in found} == named
    for file in schema_files():
        if file != REPOSITORY / places()[READER][0]:
            # a restored partition gets its rights by format(): there is no name in that file
            names = " ".join(re.findall(granted, file.read_text()))
            assert not re.search(r"entasis\.\w", names), file


def test_how_long_candles_are_kept(connection: Connection) -> None:
    rows = dict(re.findall(r"\('(ohlcv_\w+)', '([^']*)'", read(KEEP)))
    assert set(rows) == {"ohlcv_1m", "ohlcv_1h", "ohlcv_1d"}
    for relation, keep in rows.items():
        same = connection.execute(
            "SELECT keep = %s::interval FROM entasis.keep_periods WHERE relation = %s",
            [keep, relation],
        ).fetchone()
        assert same == (True,), relation


def test_how_the_archives_checksum_is_made(connection: Connection, database: Database) -> None:
    (body,) = connection.execute(
        "SELECT prosrc FROM pg_proc"
        " WHERE oid = 'entasis_internal.count_and_checksum'::regproc AND prosrc LIKE '%md5%'"
    ).fetchone() or ("",)
    assert body
    written = read(CHECKSUM)
    if database.engine == "citus":  # sum_on_nodes.sql makes it anew
        written = written.replace(" OFFSET ''0''", "")
    assert body in written
    made = "FUNCTION entasis_internal.count_and_checksum("
    assert [f.name for f in schema_files() if made in f.read_text()] == ["count_and_checksum.sql"]


@pytest.mark.parametrize(
    "message", [{"trades": [["BTC", "x", 0, 60]]}, {"options": ["BTC"]}, {"everything": True}]
)
def test_what_a_cache_evicts(message: dict[str, Any]) -> None:
    file, there = places()[EVICTED]
    name = there.strip("`")
    decides = getattr(importlib.import_module(file.removesuffix(".py").replace("/", ".")), name)
    assert getattr(eviction, name) is decides, "the caches ask somebody else"
    evicted = decides(message)
    assert evicted.keys or evicted.topics or evicted.everything
