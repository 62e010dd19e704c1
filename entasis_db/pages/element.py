"""Elements of HTML, made as a tree: text is escaped where the tree is written, and nowhere else."""

import json
from datetime import datetime
from decimal import Decimal
from typing import Any
from xml.etree.ElementTree import Element, tostring

Child = str | int | Decimal | Element | None


def element(tag: str, *children: Child, **attributes: str | int | bool | None) -> Element:
    """Make an element; ``class_`` and ``data_label`` are the attributes class and data-label.

    Children that are None are left out; so are attributes that are None or False.
    """
    made = Element(tag)
    for name, value in attributes.items():
        if value is not None and value is not False:
            text = "" if value is True else str(value)
            made.set(name.rstrip("_").replace("_", "-"), _allowed(text))
    add(made, *children)
    return made


def add(parent: Element, *children: Child) -> Element:
    """Put children behind those that an element has; return the element."""
    for child in children:
        if isinstance(child, Element):
            parent.append(child)
        elif child is not None:
            text = _allowed(f"{child:f}" if isinstance(child, Decimal) else str(child))
            if len(parent):
                parent[-1].tail = (parent[-1].tail or "") + text
            else:
                parent.text = (parent.text or "") + text
    return parent


def outside(text: str | None) -> Element:
    """Show a name that comes from outside: whatever its script, it turns no text around it."""
    return element("bdi", text or "")


def data(value: Any) -> Element:
    """Embed a value for scripts. Decimals and times must be text already, as the page shows it."""
    # a script ends at </script and is cut up by <!--, wherever in it these stand
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    made = Element("script", {"type": "application/json"})
    made.text = text
    return made


def moment(at: datetime | None, *, seconds: bool = False) -> Element | None:
    """Show a moment in UTC; None: nothing."""
    if at is None:
        return None
    text = f"{at:%Y-%m-%d %H:%M:%S}" if seconds else f"{at:%Y-%m-%d %H:%M}"
    return element("time", text, datetime=at.isoformat())


def written(root: Element) -> str:
    """Write a document."""
    return "<!doctype html>\n" + tostring(root, encoding="unicode", method="html") + "\n"


def _allowed(text: str) -> str:
    """Replace what no document may hold: control characters, and halves of characters."""
    return "".join(
        letter
        if letter in "\t\n"
        or (
            ord(letter) >= 32
            and not 0x7F <= ord(letter) < 0xA0
            and not 0xD800 <= ord(letter) < 0xE000
        )
        else "\ufffd"
        for letter in text
    )
