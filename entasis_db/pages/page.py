"""The frame of a page: its style, its scripts, and what a browser may load, which is nothing."""

from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib.resources import files
from xml.etree.ElementTree import Element

from entasis_db import __version__
from entasis_db.pages.element import Child, element, written

_LIBRARY, _DRAWING = "lightweight-charts.js", "chart.js"


def page(title: str, *content: Child, charts: bool, made: str) -> str:
    """Return a document that needs nothing else, and runs no script but the package's.

    ``charts``: it holds figures of ``figure``, and the library that draws them. ``made`` is when
    and of what it was made.
    """
    scripts = [_asset(_LIBRARY), _asset(_DRAWING)] if charts else []
    hashes = " ".join(f"'sha256-{_digest(text)}'" for text in scripts) or "'none'"
    # the attributes of an element that a script sets are style, too
    policy = (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="generator", content=f"entasis-db {__version__}"),
        element("title", title),
        # nobody asks a folder for favicon.ico
        element("link", rel="icon", href="data:,"),
        element("style", _asset("page.css")),
    )
    body = element("body", element("main", *content), _footer(made, charts=charts))
    for text in scripts:
        body.append(element("script", text))
    return written(element("html", head, body, lang="en"))


def _footer(made: str, *, charts: bool) -> Element:
    credit = None
    if charts:
        # what the library's licence asks for
        credit = element(
            "span",
            " Charts by TradingView Lightweight Charts™, copyright TradingView, Inc., ",
            element("a", "tradingview.com", href="https://www.tradingview.com/", rel="noreferrer"),
            ".",
        )
    return element("footer", f"{made} Times are in UTC.", credit)


@cache
def _asset(name: str) -> str:
    return (files(__package__) / "assets" / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return b64encode(sha256(text.encode()).digest()).decode()
