"""The dashboard for Grafana 11 and later, made with Grafana's own builders."""

from itertools import count
from typing import Any

from grafana_foundation_sdk.builders.common import (
    ReduceDataOptions,
    VizLegendOptions,
    VizTooltipOptions,
)
from grafana_foundation_sdk.builders.dashboard import (
    Dashboard,
    DatasourceVariable,
    QueryVariable,
    Row,
    ThresholdsConfig,
)
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.builders.stat import Panel as Stat
from grafana_foundation_sdk.builders.statetimeline import Panel as StateTimeline
from grafana_foundation_sdk.builders.table import Panel as Table
from grafana_foundation_sdk.builders.timeseries import Panel as TimeSeries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    TooltipDisplayMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    DataTransformerConfig,
    DynamicConfigValue,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMappingResult,
    VariableRefresh,
    VariableSort,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from monitoring import market

__all__ = ["dashboard"]

_SOURCE = DataSourceRef(type_val="prometheus", uid="$datasource")
_WIDTH = 24
_FOLDED = "Each check with its thresholds"
"""The row whose panels are asked for only when somebody opens it: there is one for each check."""
_HERE = 'database=~"$database"'

_STATES = ValueMap(
    options={
        "0": ValueMappingResult(text="ok", color="green", index=0),
        "1": ValueMappingResult(text="warning", color="orange", index=1),
        "2": ValueMappingResult(text="critical", color="red", index=2),
        "3": ValueMappingResult(text="unknown", color="purple", index=3),
    }
)
_COLOURS = (("warning", 1, "orange"), ("critical", 2, "red"), ("unknown", 3, "purple"))

_SUBJECTS = (
    ("feed_silent", "topk", "Silence of markets, in multiples of their usual one", "none"),
    ("ingest_lag", "topk", "From a trade to its row", "s"),
    ("ids_missing", "topk", "Trades missing by their ids", "short"),
    ("quarantined", "topk", "Rows refused in 24 hours", "short"),
    ("partitions_ahead", "bottomk", "Days for which there are partitions", "d"),
    ("replication_lag", "topk", "Replicas behind", "s"),
    ("slot_wal", "topk", "WAL that slots keep", "bytes"),
    ("dead_rows", "topk", "Dead rows of tables", "percent"),
)
"""A check, whether its most or its least is worst, a title and Grafana's name of its unit."""

_WHOLES = (
    ("Sessions", ("idle_in_transaction", "transaction_age", "blocked"), "s"),
    ("Connections and ids that are used", ("connections", "ids_used", "wraparound"), "percent"),
    ("WAL that waits to be archived", ("wal_ready",), "short"),
    ("Candles behind", ("candle_lag",), "s"),
    ("Hours since", ("maintain_overdue", "backup_check_overdue"), "h"),
    ("Size of the database", ("database_size",), "bytes"),
    ("Days until it is full", ("days_left",), "d"),
    ("Found in shared_buffers", ("cache_hits",), "percent"),
)  # fmt: skip
"""A title, the checks whose worst values are drawn, and Grafana's name of their unit."""


def dashboard() -> str:
    """Return the dashboard as JSON."""
    made = (
        Dashboard("Entasis DB")
        .uid("entasis-db")
        .description("What is wrong, since when, what to do; and the candles of a market")
        .tags(["entasis", "postgresql"])
        .time("now-6h", "now")
        .refresh("1m")
        .timezone("utc")
        .readonly()
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .with_variable(DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
        .with_variable(_variable("database", "label_values(entasis_health_severity, database)"))
        .with_variable(
            _variable("check", f"label_values(entasis_health_severity{{{_HERE}}}, check)")
        )
    )
    for variable in market.variables():
        made.with_variable(variable)
    numbers = count(1)
    for title, panels in _rows():
        row = Row(title).id(next(numbers))
        if title == _FOLDED:
            row.collapsed(True)
            for panel in panels:
                row.with_panel(panel.id(next(numbers)))
        made.with_row(row)
        if title != _FOLDED:
            for panel in panels:
                made.with_panel(panel.id(next(numbers)))
    return JSONEncoder(sort_keys=True, indent=2).encode(made.build()) + "\n"


def _rows() -> list[tuple[str, list[Any]]]:
    return [
        (
            "Now",
            [*(_number(*colour) for colour in _COLOURS), _answering(), _not_well(), _history()],
        ),
        ("A market", market.panels()),
        ("By market, relation, replica", [_subjects(*subject) for subject in _SUBJECTS]),
        ("The database", [_wholes(*whole) for whole in _WHOLES]),
        (_FOLDED, [_one_check()]),
    ]


def _variable(name: str, query: str) -> QueryVariable:
    return (
        QueryVariable(name)
        .label(name.capitalize())
        .datasource(_SOURCE)
        .query(query)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".+")
    )


def _query(expression: str, legend: str = "", ref: str = "A") -> Dataquery:
    return (
        Dataquery().datasource(_SOURCE).ref_id(ref).expr(expression).legend_format(legend).range()
    )


def _at_once(expression: str, ref: str = "A") -> Dataquery:
    made = Dataquery().datasource(_SOURCE).ref_id(ref).expr(expression)
    return made.format(PromQueryFormat.TABLE).instant()


def _steps(*steps: tuple[float | None, str]) -> ThresholdsConfig:
    return (
        ThresholdsConfig()
        .mode(ThresholdsMode.ABSOLUTE)
        .steps([Threshold(value, colour) for value, colour in steps])
    )


def _figure(title: str, legend: str, expression: str, *steps: tuple[float | None, str]) -> Stat:
    return (
        Stat()
        .title(title)
        .datasource(_SOURCE)
        .span(6)
        .height(4)
        .color_mode(BigValueColorMode.BACKGROUND)
        .graph_mode(BigValueGraphMode.NONE)
        .reduce_options(ReduceDataOptions().calcs(["lastNotNull"]))
        .thresholds(_steps(*steps))
        .with_target(_query(f"{expression} or vector(0)", legend))
    )


def _number(name: str, number: int, colour: str) -> Stat:
    expression = f"count(entasis_health_severity{{{_HERE}}} == {number})"
    return _figure(f"Checks {name}", name, expression, (None, "green"), (1, colour))


def _answering() -> Stat:
    each = f"count by (instance, database) (entasis_health_severity{{{_HERE}}})"
    title = "Databases that answer"
    return _figure(title, "databases", f"count({each})", (None, "red"), (1, "green"))


def _not_well() -> Table:
    """Join what each metric says of the checks that are over."""
    which = "instance, database, check"
    over = f"and on ({which}) entasis_health_severity{{{_HERE}}} > 0"
    columns = {
        "severity": "Severity",
        "value": "Value",
        "warning_threshold": "Warning",
        "critical_threshold": "Critical",
        "since_timestamp_seconds": "Since",
        "check_info": "Info",
    }
    refs = dict(zip(columns, "ABCDEF", strict=True))
    made = Table().title("What is not well").datasource(_SOURCE).span(_WIDTH).height(9)
    for name, ref in refs.items():
        labels = f"{which}, unit, measures, advice" if name == "check_info" else which
        factor = " * 1000" if name == "since_timestamp_seconds" else ""
        # by labels, which drops the name: rows are merged where all that they share is equal
        metric = f"max by ({labels}) (entasis_health_{name}{{{_HERE}}}{factor})"
        made.with_target(_at_once(f"{metric} {over}", ref))
    names = {f"Value #{ref}": columns[name] for name, ref in refs.items()}
    made.with_transformation(DataTransformerConfig(id_val="merge", options={}))
    made.with_transformation(
        DataTransformerConfig(
            id_val="organize",
            options={
                "excludeByName": {"Time": True, f"Value #{refs['check_info']}": True},
                "renameByName": names,
            },
        )
    )
    made.override_by_name(
        "Severity",
        [
            DynamicConfigValue(id_val="mappings", value=[_STATES]),
            DynamicConfigValue(
                id_val="custom.cellOptions", value={"type": "color-background", "mode": "basic"}
            ),
        ],
    )
    return made.override_by_name(
        "Since", [DynamicConfigValue(id_val="unit", value="dateTimeFromNow")]
    )


def _history() -> StateTimeline:
    return (
        StateTimeline()
        .title("Checks that were not well")
        .datasource(_SOURCE)
        .span(_WIDTH)
        .height(12)
        .mappings([_STATES])
        .show_value(VisibilityMode.NEVER)
        .with_target(
            _query(
                f"entasis_health_severity{{{_HERE}}}"
                " and on (instance, database, check)"
                f" max_over_time(entasis_health_severity{{{_HERE}}}[$__range]) > 0",
                "{{check}} {{database}}",
            )
        )
    )


def _lines(title: str, unit: str) -> TimeSeries:
    return (
        TimeSeries()
        .title(title)
        .datasource(_SOURCE)
        .span(12)
        .height(8)
        .unit(unit)
        .fill_opacity(0)
        .show_points(VisibilityMode.NEVER)
        .legend(
            VizLegendOptions()
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
    )


def _subjects(check: str, worst: str, title: str, unit: str) -> TimeSeries:
    return _lines(title, unit).with_target(
        _query(
            f'{worst}(10, entasis_health_subject_value{{check="{check}", {_HERE}}})', "{{subject}}"
        )
    )


def _wholes(title: str, checks: tuple[str, ...], unit: str) -> TimeSeries:
    return _lines(title, unit).with_target(
        _query(
            f'entasis_health_value{{check=~"{"|".join(checks)}", {_HERE}}}',
            "{{check}} {{database}}",
        )
    )


def _one_check() -> TimeSeries:
    made = _lines("$check", "none").repeat("check").repeat_direction("h").max_per_row(4)
    for ref, name in zip("ABC", ("value", "warning_threshold", "critical_threshold"), strict=True):
        made.with_target(
            _query(
                f'entasis_health_{name}{{check=~"$check", {_HERE}}}',
                f"{name.removesuffix('_threshold')} {{{{database}}}}",
                ref,
            )
        )
    return made
