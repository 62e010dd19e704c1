"""Tables that are lists on a narrow screen."""

from collections.abc import Sequence
from typing import NamedTuple
from xml.etree.ElementTree import Element

from entasis_db.pages.element import element

Cell = Element | str | None


class Column(NamedTuple):
    """A column of a table."""

    title: str
    """What stands above it, and before each value on a narrow screen."""
    number: bool = False
    """Whether it has numbers, which stand at the right."""
    bars: bool = False
    """Whether it has bars, which a narrow screen leaves out."""


def table(columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> Element:
    """Make a table; a cell without a value is empty, and left out on a narrow screen."""
    head = element(
        "tr",
        *(
            element("th", c.title, scope="col", class_="number" if c.number else None)
            for c in columns
        ),
    )
    body = element("tbody")
    for row in rows:
        line = element("tr")
        for column, cell in zip(columns, row, strict=True):
            kinds = [
                *(["number"] if column.number else []),
                *(["bars"] if column.bars else []),
                *(["none"] if cell is None else []),
            ]
            line.append(
                # one element, so that a narrow screen has two columns: title and value
                element(
                    "td",
                    element("span", cell) if isinstance(cell, str) else cell,
                    class_=" ".join(kinds) or None,
                    data_label=column.title,
                )
            )
        body.append(line)
    return element("table", element("thead", head), body, class_="rows")


def note(text: str) -> Element:
    """Make a paragraph that stands for what is not there."""
    return element("p", text, class_="note")
