"""Panels of one market, which ask the database itself: candles, flow and gaps, by its functions."""

from typing import Any

from grafana_foundation_sdk.builders.candlestick import CandlestickFieldMap
from grafana_foundation_sdk.builders.candlestick import Panel as Candlestick
from grafana_foundation_sdk.builders.dashboard import (
    CustomVariable,
    DatasourceVariable,
    QueryVariable,
)
from grafana_foundation_sdk.builders.table import Panel as Table
from grafana_foundation_sdk.builders.timeseries import Panel as TimeSeries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.candlestick import VizDisplayMode
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    VariableOption,
    VariableRefresh,
)

__all__ = ["POSTGRESQL", "panels", "variables"]

POSTGRESQL = "grafana-postgresql-datasource"
"""What Grafana 11 calls its own data source of PostgreSQL."""

_SOURCE = DataSourceRef(type_val=POSTGRESQL, uid="$postgresql")
_INTERVALS = ("1m", "5m", "15m", "30m", "1h", "4h", "1d")
# Grafana quotes what it puts in for a variable, and doubles the quotes in it
_MARKET = "${symbol:sqlstring}, ${exchange:sqlstring}"
_RANGE = "$__timeFrom()::timestamptz, $__timeTo()::timestamptz"

_CANDLES = f"""\
SELECT c.bucket AS "time", c.open, c.high, c.low, c.close, c.volume,
    c.quote_volume / nullif(c.volume, 0) AS vwap
FROM entasis.candles({_MARKET}, ${{interval:sqlstring}}, {_RANGE}) AS c
ORDER BY c.bucket
LIMIT 5000"""  # noqa: S608 - constants of ours
_FLOW = f"""\
SELECT f.bucket AS "time", f.buy_volume AS "bought", -f.sell_volume AS "sold"
FROM entasis.order_flow_imbalance({_MARKET}, ${{interval:sqlstring}}, {_RANGE}) AS f
ORDER BY f.bucket
LIMIT 5000"""  # noqa: S608 - constants of ours
_GAPS = f"""\
SELECT g.after_time AS "after", g.before_time AS "before", g.kind, g.missing, g.first_id, g.last_id
FROM entasis.gaps({_MARKET}, {_RANGE}) AS g
ORDER BY g.after_time DESC
LIMIT 500"""  # noqa: S608 - constants of ours
_PRICES = """\
SELECT p.exchange, p.symbol, p.price, p.timestamp AS "traded at"
FROM entasis.latest_prices() AS p
ORDER BY p.timestamp DESC
LIMIT 500"""


class _Asked(Dataquery):
    """A query in SQL; the library of builders has none for this data source."""

    def __init__(self, sql: str, form: str) -> None:
        self.sql = sql
        self.form = form

    def to_json(self) -> dict[str, object]:
        """Return what Grafana stores."""
        return {
            "datasource": {"type": _SOURCE.type_val, "uid": _SOURCE.uid},
            "editorMode": "code",
            "format": self.form,
            "rawQuery": True,
            "rawSql": self.sql,
            "refId": "A",
        }


class _Sql(Builder[Dataquery]):
    def __init__(self, sql: str, form: str = "table") -> None:
        self._made = _Asked(sql, form)

    def build(self) -> Dataquery:
        """Return the query."""
        return self._made


def variables() -> list[Any]:
    """Return what a user chooses: the data source, a market, an interval."""
    return [
        DatasourceVariable("postgresql").label("PostgreSQL").type(POSTGRESQL),
        _chosen("exchange", "SELECT DISTINCT m.exchange FROM entasis.markets AS m ORDER BY 1"),
        _chosen(
            "symbol",
            "SELECT m.symbol FROM entasis.markets AS m"
            " WHERE m.exchange = ${exchange:sqlstring} ORDER BY 1 LIMIT 5000",
        ),
        CustomVariable("interval")
        .label("Interval")
        .values(",".join(_INTERVALS))
        .current(VariableOption(text="1m", value="1m", selected=True)),
    ]


def _chosen(name: str, sql: str) -> QueryVariable:
    return (
        QueryVariable(name)
        .label(name.capitalize())
        .datasource(_SOURCE)
        .query(sql)
        .refresh(VariableRefresh.ON_DASHBOARD_LOAD)
    )


def panels() -> list[Any]:
    """Return the panels."""
    fields = CandlestickFieldMap().open("open").high("high").low("low").close("close")
    return [
        Candlestick()
        .title("$exchange $symbol, candles of $interval")
        .datasource(_SOURCE)
        .span(24)
        .height(13)
        .mode(VizDisplayMode.CANDLES_VOLUME)
        .fields(fields.volume("volume"))
        .include_all_fields(True)  # the line of VWAP
        .with_target(_Sql(_CANDLES)),
        TimeSeries()
        .title("$exchange $symbol, volume by the side that took")
        .datasource(_SOURCE)
        .span(12)
        .height(8)
        .with_target(_Sql(_FLOW, "time_series")),
        Table()
        .title("$exchange $symbol, gaps")
        .datasource(_SOURCE)
        .span(12)
        .height(8)
        .with_target(_Sql(_GAPS)),
        Table()
        .title("Newest trades of all markets")
        .datasource(_SOURCE)
        .span(24)
        .height(8)
        .with_target(_Sql(_PRICES)),
    ]
