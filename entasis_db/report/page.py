"""A report as a page."""

from collections.abc import Callable, Sequence
from xml.etree.ElementTree import Element

from entasis_db.pages.element import element, moment, outside
from entasis_db.pages.page import page as framed
from entasis_db.report import sections
from entasis_db.report.glance import glance
from entasis_db.report.rows import Report, Unread

_SECTIONS: tuple[tuple[str, str, Callable[[Report], Sequence[Element]]], ...] = (
    ("markets", "Markets", sections.markets),
    ("candles", "Candles of the busiest", sections.candles),
    ("gaps", "Gaps", sections.gaps),
    ("lags", "Lags", sections.lags),
    ("storage", "Storage by month", sections.storage),
    ("retention", "Retention and archive", sections.retention),
    ("quarantine", "Quarantine", sections.quarantine),
    ("runs", "Runs", sections.runs),
    ("health", "Health", sections.health),
)


def page(report: Report) -> str:
    """Return the page: one document that opens offline, in which what is not well comes first."""
    about = [f"PostgreSQL {report.server}"]
    if report.engine:
        about.append(f"engine {report.engine}")
    if report.release:
        about.append(f"release {report.release}")
    content: list[Element] = [
        element("h1", "Database ", outside(report.database)),
        element(
            "p", moment(report.at, seconds=True), f" UTC · {' · '.join(about)}", class_="faint"
        ),
        glance(report),
        element("nav", *(element("a", title, href=f"#{name}") for name, title, _ in _SECTIONS)),
        *sections.not_well(report),
    ]
    for name, title, make in _SECTIONS:
        content.append(element("section", element("h2", title), *make(report), id=name))
    charts = not isinstance(report.drawn, Unread) and bool(report.drawn)
    made = f"Made by entasis-db on {report.at:%Y-%m-%d %H:%M}, in one snapshot."
    return framed(f"{report.database}: report", *content, charts=charts, made=made)
