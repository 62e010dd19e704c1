"""The page with Mermaid in it, and the text that Graphviz draws."""

from collections.abc import Iterable
from hashlib import sha256
from html import escape

from tests.engines import REPOSITORY
from tests.erd.catalog import Edge, Relation

FOLDER = REPOSITORY / "docs" / "erd"
PAGE = FOLDER / "README.md"

_HEAD = """# The schema as diagrams

Every table and view of schema `entasis` on engine `postgresql`, by the rooms of `schema/`; on
engine `timescaledb` candles are continuous aggregates of the same columns. `make erd` writes this
page and its pictures from the catalog of a new database, and a test compares them.
[The schema](../schema.md) says what each relation is for.

Foreign keys are few by design: trades outlive what is known of their market, and partitions are
dropped by the month. So three kinds of lines are told apart:

| line | is |
|---|---|
| solid, `foreign key` | the server refuses what breaks it |
| dashed, `computed` | a view reads the other relation |
| dotted, `shared key` | the same columns in both, and no constraint: a row there may be missing |

Columns of the primary key are marked PK. A relation of another room is shown without its columns.
"""
_LINES = {"foreign key": "}o--||", "computed": "}o..||", "shared key": "}o..o|"}
_STYLES = {"foreign key": "solid", "computed": "dashed", "shared key": "dotted"}


def rooms(found: Iterable[Relation]) -> dict[str, list[Relation]]:
    """The relations of each subject."""
    by_room: dict[str, list[Relation]] = {}
    for one in found:
        by_room.setdefault(one.subject, []).append(one)
    return dict(sorted(by_room.items()))


def page(found: list[Relation], edges: list[Edge]) -> str:
    """Write the page."""
    parts = [_HEAD]
    for room, inside in rooms(found).items():
        parts.append(f"\n## {room.capitalize()}\n\n![{room}]({room}.svg)\n\n")
        parts.append("| relation | is |\n|---|---|\n")
        for one in inside:
            kind = "view: " if one.is_view else ""
            parts.append(f"| `{one.name}` | {kind}{one.meaning} |\n")
        parts.append(f"\n```mermaid\n{mermaid(inside, edges)}```\n")
    return "".join(parts)


def mermaid(inside: list[Relation], edges: list[Edge]) -> str:
    """Write the diagram of a room."""
    lines = ["erDiagram\n"]
    for one in inside:
        lines.append(f"    {one.name} {{\n")
        for column in one.columns:
            key = " PK" if column.key else ""
            null = ' "may be NULL"' if column.nullable and not one.is_view else ""
            lines.append(f"        {column.kind} {column.name}{key}{null}\n")
        lines.append("    }\n")
    lines += [
        f'    {edge.of} {_LINES[edge.kind]} {edge.to} : "{_label(edge)}"\n'
        for edge in _of(inside, edges)
    ]
    return "".join(lines)


def dot(inside: list[Relation], edges: list[Edge]) -> str:
    """Write what Graphviz draws of a room."""
    mine = {one.name for one in inside}
    shown = _of(inside, edges)
    lines = [
        'digraph { rankdir=LR; bgcolor="white"; ranksep=0.9; nodesep=0.25;\n',
        # as wide in every viewer, whichever of these letters it has
        'node [shape=plain fontname="Courier" fontsize=11];\n',
        'edge [fontname="Courier" fontsize=9 color="#555555" fontcolor="#555555"];\n',
    ]
    lines += [f'"{one.name}" [label=<{_box(one)}>];\n' for one in inside]
    for other in sorted({edge.to for edge in shown} | {edge.of for edge in shown}):
        if other not in mine:
            style = 'shape=box style="rounded,dashed" color="#999999" fontcolor="#555555"'
            lines.append(f'"{other}" [{style}];\n')
    for edge in shown:
        head = "none" if edge.kind == "shared key" else "vee"
        look = f"style={_STYLES[edge.kind]} arrowhead={head}"
        lines.append(f'"{edge.of}" -> "{edge.to}" [{look} label="{_label(edge)}"];\n')
    return "".join([*lines, "}\n"])


def mark(text: str) -> str:
    """What a picture says of the text that it was made of."""
    return f"<!-- of {sha256(text.encode()).hexdigest()} -->"


def _box(one: Relation) -> str:
    fill = "#eef3ee" if one.is_view else "#dfe8f5"
    rows = [f'<tr><td bgcolor="{fill}" colspan="2"><b>{escape(one.name)}</b></td></tr>']
    for column in one.columns:
        name = f"<b>{escape(column.name)}</b>" if column.key else escape(column.name)
        kind = f'<font color="#666666">{escape(column.kind)}</font>'
        rows.append(f'<tr><td align="left">{name}</td><td align="left">{kind}</td></tr>')
    body = "".join(rows)
    return f'<table border="1" cellborder="0" cellspacing="0" cellpadding="2">{body}</table>'


def _of(inside: list[Relation], edges: list[Edge]) -> list[Edge]:
    """The edges that begin in a room, and those of foreign keys and views that end in it."""
    mine = {one.name for one in inside}
    return [
        edge for edge in edges if edge.of in mine or (edge.to in mine and edge.kind != "shared key")
    ]


def _label(edge: Edge) -> str:
    return f"{edge.kind}: {', '.join(edge.columns)}" if edge.columns else edge.kind
