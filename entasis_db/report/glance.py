"""What is seen first: checks that are not well, gaps, silent feeds, rows that were refused."""

from xml.etree.ElementTree import Element

from entasis_db.health import Severity
from entasis_db.pages.element import element
from entasis_db.report.rows import Report, Unread


def glance(report: Report) -> Element:
    """Return the tiles at the top."""
    return element(
        "div",
        _health(report),
        _gaps(report),
        _feeds(report),
        _quarantine(report),
        _markets(report),
        _size(report),
        class_="glance",
    )


def _tile(name: str, state: Severity, number: str, text: str) -> Element:
    # colour is not all that tells
    said = "" if state == "ok" else f"{state.upper()}: "
    return element(
        "div",
        element("b", number),
        element("span", f"{said}{text}"),
        class_=f"tile {state}",
        id=f"glance-{name}",
    )


def severity_of(report: Report, check: str) -> Severity:
    """Return how a check is; unknown where health could not be read."""
    if isinstance(report.checks, Unread):
        return "unknown"
    return next((one.severity for one in report.checks if one.check == check), "unknown")


def _health(report: Report) -> Element:
    if isinstance(report.checks, Unread):
        return _tile("health", "unknown", "?", "health was not read")
    found = {
        severity: sum(one.severity == severity for one in report.checks)
        for severity in ("critical", "warning", "unknown", "ok")
    }
    worst: Severity = next(
        (s for s in ("critical", "warning", "unknown") if found[s]),
        "ok",
    )
    number = sum(found[s] for s in ("critical", "warning", "unknown"))
    parts = ", ".join(f"{n} {severity}" for severity, n in found.items() if n)
    return _tile("health", worst, str(number), f"checks are not well ({parts})")


def _gaps(report: Report) -> Element:
    if isinstance(report.gaps, Unread):
        return _tile("gaps", "unknown", "?", "gaps were not looked for")
    markets = {(gap.exchange, gap.symbol) for gap in report.gaps}
    missing = sum(gap.missing or 0 for gap in report.gaps)
    text = f"gaps in {len(markets)} markets"
    if missing:
        text += f", {missing:,} trades missing"
    return _tile("gaps", "warning" if report.gaps else "ok", f"{len(report.gaps):,}", text)


def _feeds(report: Report) -> Element:
    if isinstance(report.lags, Unread):
        return _tile("feeds", "unknown", "?", "lags were not read")
    silent = [
        lag
        for lag in report.lags
        if lag.check == "feed_silent"
        and lag.value is not None
        and lag.warning is not None
        and lag.value >= lag.warning
    ]
    state = severity_of(report, "feed_silent")
    if silent and state in ("ok", "unknown"):
        state = "warning"
    return _tile("feeds", state, f"{len(silent):,}", "feeds are silent for unusually long")


def _quarantine(report: Report) -> Element:
    if isinstance(report.refused, Unread):
        return _tile("quarantine", "unknown", "?", "quarantine was not read")
    last_day = sum(one.last_day for one in report.refused)
    counted = [one.rows for one in report.refused if one.rows is not None]
    text = "rows refused in 24 hours"
    if counted:
        text += f", {sum(counted):,} in quarantine"
    return _tile("quarantine", severity_of(report, "quarantined"), f"{last_day:,}", text)


def _markets(report: Report) -> Element:
    if isinstance(report.markets, Unread):
        return _tile("markets", "unknown", "?", "markets were not read")
    trades = sum(one.market.trades for one in report.markets)
    return _tile("markets", "ok", f"{trades:,}", f"trades of {len(report.markets):,} markets")


def _size(report: Report) -> Element:
    if isinstance(report.lifecycle, Unread):
        return _tile("size", "unknown", "?", "sizes were not read")
    total = sum(one.bytes for one in report.lifecycle)
    return _tile("size", "ok", size(total), "on disk, with indexes")


def size(number: int) -> str:
    """Write a number of bytes to three digits, or in full below a thousand."""
    if number < 1000:
        return f"{number} B"
    amount = float(number)
    for unit in ("kB", "MB", "GB", "TB"):  # noqa: B007 - the last one is what is left
        amount /= 1000
        if amount < 999.5:
            break
    return f"{amount:.3g} {unit}" if amount < 999.5 else f"{amount:,.0f} {unit}"
