"""The sections of a report."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from xml.etree.ElementTree import Element

from entasis_db.charts.figure import figure
from entasis_db.health import Check, Severity
from entasis_db.pages.element import element, moment, outside
from entasis_db.report.glance import size
from entasis_db.report.rows import CheckedMarket, Lag, Report, Unread
from entasis_db.report.tables import Cell, Column, note, table

_MOST_ROWS = 200
_ORDER: tuple[Severity, ...] = ("critical", "warning", "unknown", "ok")


def not_well(report: Report) -> list[Element]:
    """Say what is wrong, and what to do."""
    if isinstance(report.checks, Unread):
        return []
    found = [one for one in report.checks if one.severity != "ok"]
    if not found:
        return [note(f"All {len(report.checks)} checks are ok.")]
    found.sort(key=lambda one: _ORDER.index(one.severity))
    return [element("h2", "What is not well"), _checks(found)]


def health(report: Report) -> list[Element]:
    """List every check."""
    if isinstance(report.checks, Unread):
        return [note(report.checks.why)]
    well = [one for one in report.checks if one.severity == "ok"]
    ill = len(report.checks) - len(well)
    rest = f"{ill} are not, and stand at the top." if ill else "None is not."
    found = [element("p", f"{len(well)} of {len(report.checks)} checks are ok. {rest}")]
    if well:
        found.append(element("details", element("summary", "Those that are ok"), _checks(well)))
    return found


def _checks(found: Sequence[Check]) -> Element:
    columns = (
        Column("State"), Column("Check"), Column("Value", number=True),
        Column("Threshold", number=True), Column("Of"), Column("Since"), Column("What to do"),
    )  # fmt: skip
    return table(
        columns,
        [
            (
                mark(one.severity),
                element("b", one.check, class_="name"),
                "unknown" if one.value is None and one.severity == "unknown"
                else None if one.value is None
                else f"{_number(one.value)} {one.unit}",
                None if one.threshold is None else _number(one.threshold),
                _subject(one),
                moment(one.since),
                f"{one.measures}. To do: {one.advice}." if one.severity != "ok" else one.measures,
            )
            for one in found
        ],
    )  # fmt: skip


def _subject(one: Check) -> Cell:
    if one.subject is None:
        return None
    others = f", and {one.subjects - 1} more" if one.subjects > 1 else None
    return element("span", outside(one.subject), others, class_="subject")


def markets(report: Report) -> list[Element]:
    """List markets, with how much of their last days is stored."""
    if isinstance(report.markets, Unread):
        return [note(report.markets.why)]
    if not report.markets:
        return [note("No market is on record. entasis load trades FILE stores some.")]
    days = report.days // timedelta(days=1)
    said = (
        f"Coverage: of the {days} days before the newest trade of each of the "
        f"{report.most_markets} busiest, and up to the present."
    )
    columns = (
        Column("Market"), Column("Kind"), Column("First trade"), Column("Last trade"),
        Column("Trades", number=True), Column("Gaps", number=True),
        Column("Missing", number=True), Column("Silent", number=True),
        Column("Covered", number=True),
    )  # fmt: skip
    shown = report.markets[:_MOST_ROWS]
    return [
        element("p", said, class_="faint"),
        table(columns, [_market(one) for one in shown]),
        *_left(len(report.markets), len(shown), "entasis markets lists"),
    ]


def _market(one: CheckedMarket) -> tuple[Cell, ...]:
    market, coverage = one
    known: tuple[Cell, ...] = (
        element("span", outside(market.exchange), " ", element("b", outside(market.symbol))),
        market.kind,
        moment(market.first_trade),
        moment(market.last_trade),
        f"{market.trades:,}",
    )
    if coverage is None:
        return (*known, "not looked at" if market.trades else None, None, None, None)
    return (
        *known,
        element("span", f"{coverage.gaps:,}", class_="mark warning" if coverage.gaps else None),
        None if coverage.missing is None else f"{coverage.missing:,f}",
        None if coverage.silent is None else span(coverage.silent),
        None if coverage.covered is None else percent(coverage.covered),
    )


def gaps(report: Report) -> list[Element]:
    """List what is missing, the longest first."""
    if isinstance(report.gaps, Unread):
        return [note(report.gaps.why)]
    if not report.gaps:
        return [note("No gap was found.")]
    columns = (
        Column("Market"), Column("Told by"), Column("After"), Column("Before"),
        Column("Long", number=True), Column("Trades missing", number=True), Column("Ids"),
    )  # fmt: skip
    ordered = sorted(
        report.gaps,
        key=lambda gap: (gap.missing or 0, (gap.before_time or report.at) - gap.after_time),
        reverse=True,
    )
    shown = ordered[:_MOST_ROWS]
    rows = [
        (
            element("span", outside(gap.exchange), " ", element("b", outside(gap.symbol))),
            gap.kind,
            moment(gap.after_time, seconds=True),
            "still silent" if gap.before_time is None else moment(gap.before_time, seconds=True),
            span((gap.before_time or report.at) - gap.after_time),
            None if gap.missing is None else f"{gap.missing:,}",
            None if gap.first_id is None else f"{gap.first_id} to {gap.last_id}",
        )
        for gap in shown
    ]
    return [
        table(columns, rows),
        *_left(len(ordered), len(shown), "entasis gaps lists"),
    ]


def lags(report: Report) -> list[Element]:
    """List how late feeds, rows and candles are."""
    if isinstance(report.lags, Unread):
        return [note(report.lags.why)]
    units = {"feed_silent": "times its usual silence"}
    columns = (
        Column("State"), Column("Check"), Column("Of"), Column("Value", number=True),
        Column("Newest"),
    )  # fmt: skip
    return [
        element(
            "p",
            "Silence of feeds in multiples of their usual one; seconds from the newest trade to "
            "its row; seconds since candles were brought up to date.",
            class_="faint",
        ),
        table(
            columns,
            [
                (
                    mark(_state(lag)),
                    lag.check,
                    "the database" if lag.subject is None else outside(lag.subject),
                    None if lag.value is None
                    else f"{_number(lag.value)} {units.get(lag.check, 'seconds')}",
                    moment(lag.since, seconds=True),
                )
                for lag in report.lags
            ],
        ),
    ]  # fmt: skip


def _state(lag: Lag) -> Severity:
    if lag.value is None:
        return "unknown"
    if lag.critical is not None and lag.value >= lag.critical:
        return "critical"
    return "warning" if lag.warning is not None and lag.value >= lag.warning else "ok"


def candles(report: Report) -> list[Element]:
    """Draw the busiest markets."""
    if isinstance(report.drawn, Unread):
        return [note(report.drawn.why)]
    if not report.drawn:
        return [note("No market has a candle.")]
    figures = [figure(one.chart) for one in report.drawn]
    return [element("div", *figures, class_="charts")]


def storage(report: Report) -> list[Element]:
    """Show what each month of each relation takes."""
    if isinstance(report.months, Unread):
        return [note(report.months.why)]
    if not report.months:
        return [note("There is no partition.")]
    most = max(one.bytes for one in report.months) or 1
    columns = (
        Column("Month"), Column("Relation"), Column("Rows, about", number=True),
        Column("Size", number=True), Column("", bars=True),
    )  # fmt: skip
    past = [one for one in report.months if one.month <= report.at]
    ahead = [one for one in report.months if one.month > report.at]
    shown = past[:_MOST_ROWS]
    found = [
        table(
            columns,
            [
                (
                    f"{one.month:%Y-%m}",
                    one.relation,
                    f"{one.estimated_rows:,}",
                    size(one.bytes),
                    element("span", class_="bar", style=f"width:{100 * one.bytes / most:.1f}%"),
                )
                for one in shown
            ],
        ),
        *_left(len(past), len(shown), "entasis.partitions has"),
    ]
    if ahead:
        total = size(sum(one.bytes for one in ahead))
        last = max(one.month for one in ahead)
        text = f"Partitions of months to come are made up to {last:%Y-%m}, and take {total}."
        found.append(element("p", text, class_="faint"))
    return found


def retention(report: Report) -> list[Element]:
    """Show how long relations are kept, and what waits for the archive."""
    if isinstance(report.lifecycle, Unread):
        return [note(report.lifecycle.why)]
    columns = (
        Column("Relation"), Column("Size", number=True), Column("Grown in 30 days", number=True),
        Column("Kept for"), Column("Dropped up to"), Column("Archived up to"),
        Column("Past keep period", number=True), Column("Why it is still there"),
    )  # fmt: skip
    rows = []
    for one in report.lifecycle:
        why = list(one.kept_because)
        if one.stale:
            why.append(f"{one.stale} archives differ from their ranges")
        if one.gone:
            why.append(f"{one.gone} ranges are gone without an archive")
        rows.append(
            (
                element("b", one.relation),
                size(one.bytes),
                _grown(one.grown),
                one.keep or "ever",
                moment(one.floor),
                moment(one.verified_up_to) if one.archived else "needs no archive",
                f"{one.past_keep}, {one.waiting} wait for the archive" if one.past_keep else None,
                "; ".join(why) or None,
            )
        )  # fmt: skip
    return [table(columns, rows)]


def _grown(by: int | None) -> str | None:
    return None if by is None else ("-" if by < 0 else "+") + size(abs(by))


def quarantine(report: Report) -> list[Element]:
    """Show what was refused, by reason."""
    if isinstance(report.refused, Unread):
        return [note(report.refused.why)]
    if not report.refused:
        return [note("No row was refused.")]
    columns = (
        Column("Meant for"), Column("Reason"), Column("In 24 hours", number=True),
        Column("In quarantine", number=True), Column("For example"), Column("Newest"),
    )  # fmt: skip
    rows = [
        (
            outside(one.relation),
            element("b", outside(one.code)),
            f"{one.last_day:,}",
            None if one.rows is None else f"{one.rows:,}",
            None if one.example is None else outside(one.example[:300]),
            moment(one.newest),
        )
        for one in report.refused
    ]
    found = [table(columns, rows)]
    if any(one.rows is None for one in report.refused):
        found.append(note("The rows themselves are for members of entasis_writer."))
    elif sum(one.rows or 0 for one in report.refused) >= report.most_refused:
        found.append(note(f"Of the newest {report.most_refused:,} rows in quarantine."))
    return found


def runs(report: Report) -> list[Element]:
    """List the last runs."""
    if isinstance(report.runs, Unread):
        return [note(report.runs.why)]
    if not report.runs:
        return [note("Nothing has run yet.")]
    columns = (
        Column("Action"), Column("Started"), Column("Took", number=True), Column("Outcome"),
        Column("Detail"),
    )  # fmt: skip
    states: dict[str | None, Severity] = {"done": "ok", "failed": "critical", "died": "critical"}
    return [
        table(
            columns,
            [
                (
                    run.action,
                    moment(run.started_at, seconds=True),
                    None if run.ended_at is None else span(run.ended_at - run.started_at),
                    mark(states.get(run.outcome, "unknown"), run.outcome or "not ended"),
                    outside(
                        ", ".join(
                            f"{key}: {value}"
                            for key, value in run.detail.items()
                            if not isinstance(value, dict | list)
                        )[:300]
                    ),
                )
                for run in report.runs
            ],
        )
    ]


def mark(severity: Severity, text: str | None = None) -> Element:
    """Write a severity, in its colour too."""
    return element("span", text or severity, class_=f"mark {severity}")


_LENGTHS = (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1))


def span(of: timedelta) -> str:
    """Write how long something lasts, in its two largest units."""
    seconds = of.total_seconds()
    if seconds < 60:
        return f"{seconds:.3g} s"
    unit, length, part, of_part = next(each for each in _LENGTHS if seconds >= each[1])
    whole, rest = divmod(int(seconds), length)
    return f"{whole:,} {unit}" + (f" {rest // of_part} {part}" if rest // of_part else "")


def percent(of: Decimal) -> str:
    """Write a share, cut, so that 100 % is all there is."""
    return f"{(of * 100).normalize():f} %"


def _number(value: Decimal) -> str:
    return f"{value.normalize():,f}"


def _left(found: int, shown: int, who: str) -> list[Element]:
    return (
        [note(f"{who[0].upper()}{who[1:]} the other {found - shown:,}.")] if found > shown else []
    )
