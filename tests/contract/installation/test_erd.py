"""The diagrams in docs/erd are what the catalog of a new database says."""

from typing import Any

import psycopg
import pytest

from tests.erd.catalog import Edge, Relation, edges, relations
from tests.erd.page import FOLDER, PAGE, dot, mark, mermaid, page, rooms

# of engine postgresql: no other has partitions that are detached
pytestmark = [pytest.mark.detach, pytest.mark.newest_server]

ANEW = "write it anew: make erd"
Read = tuple[list[Relation], list[Edge]]


@pytest.fixture
def read(shared_connection: psycopg.Connection[Any]) -> Read:
    found = relations(shared_connection)
    return found, edges(shared_connection, found)


def test_the_page_is_what_the_catalog_says(read: Read) -> None:
    assert PAGE.read_text(encoding="utf-8") == page(*read), ANEW


def test_each_picture_was_made_of_what_the_catalog_says(read: Read) -> None:
    found, joined = read
    wanted = {f"{room}.svg": mark(dot(inside, joined)) for room, inside in rooms(found).items()}
    there = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.svg")}
    assert {name: text.partition("\n")[0] for name, text in there.items()} == wanted, ANEW
    for room, inside in rooms(found).items():
        text = there[f"{room}.svg"]
        assert text.endswith("</svg>\n")
        for one in inside:
            assert f">{one.name}</text>" in text


def test_lines_are_what_they_are_called(read: Read) -> None:
    found, joined = read
    assert Edge("foreign key", "archive_objects", "archives", ("archive_id",)) in joined
    assert Edge("computed", "ohlcv_1w", "ohlcv_1d") in joined
    assert Edge("shared key", "market_data", "markets", ("symbol", "exchange")) in joined
    # one that the server keeps is not called shared as well
    pairs = [(edge.of, edge.to) for edge in joined if edge.kind != "computed"]
    assert len(pairs) == len(set(pairs))
    names = {one.name for one in found}
    assert all({edge.of, edge.to} <= names for edge in joined)
    (trades,) = (inside for room, inside in rooms(found).items() if room == "trades")
    assert '    market_data }o..o| markets : "shared key: symbol, exchange"\n' in mermaid(
        trades, joined
    )


def test_every_relation_is_in_one_diagram(
    shared_connection: psycopg.Connection[Any], read: Read
) -> None:
    rows = shared_connection.execute(
        "SELECT c.relname::text FROM pg_class AS c WHERE c.relkind IN ('r', 'p', 'v')"
        " AND c.relnamespace = 'entasis'::regnamespace"
    ).fetchall()
    drawn = [one.name for inside in rooms(read[0]).values() for one in inside]
    assert sorted(drawn) == sorted(name for (name,) in rows)
    assert all(one.meaning and one.columns for one in read[0])
