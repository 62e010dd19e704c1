"""A real exporter and a real Prometheus watch a database: it breaks, an alert fires, and clears."""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from psycopg import sql

from entasis_db.health import health
from tests import oracle
from tests.contract.health.attempts import OF_PG_MONITOR
from tests.db import Connection, ensure, one
from tests.engines import Server
from tests.make import insert_trades, trade
from tests.monitoring.rig import FOLDER, Prometheus, exporter, prometheus, promtool, until

pytestmark = [
    pytest.mark.long,
    pytest.mark.newest_server,
    pytest.mark.several_connections,
    pytest.mark.native_speed,
]


@dataclass(frozen=True)
class Watched:
    """A database with trades, as its superuser, and what watches it."""

    connection: Connection
    login: str
    exporter: str
    prometheus: Prometheus
    folder: Path

    def over(self) -> dict[str, dict[str, Any]]:
        """Return the alerts that fire by name and check, but for a test server's settings."""
        found = {
            " ".join((a["labels"]["alertname"], a["labels"].get("check", ""))).strip(): a
            for a in self.prometheus.alerts()
        }
        return {name: alert for name, alert in found.items() if " setting_" not in name}

    def until_only(self, *names: str) -> dict[str, dict[str, Any]]:
        """Wait until these alerts fire, and no other."""
        until(lambda: set(self.over()) == set(names), self.folder)
        return self.over()


@pytest.fixture(scope="module")
def watched(
    server: Server, needs_prometheus: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("monitoring")
    with ExitStack() as stack:
        database = stack.enter_context(server.database())
        login = stack.enter_context(server.login("entasis_monitor"))
        connection = stack.enter_context(database.connect())
        now = one(connection, "SELECT date_trunc('second', now())")
        times = [now - timedelta(minutes=n, seconds=30) for n in range(300)]
        ensure(connection, "market_data", times[-1], now)
        insert_trades(connection, *(trade(n, timestamp=t) for n, t in enumerate(times)))
        oracle.refresh(connection)
        connection.execute("CALL entasis.maintain()")
        connection.execute("SELECT entasis.end_run(entasis.begin_run('backup check'), 'done')")
        address = stack.enter_context(exporter(database.dsn, login, folder))
        asked = stack.enter_context(prometheus(address, folder))
        until(lambda: bool(asked.query("entasis_health_severity")), folder)
        yield Watched(connection, login[0], address, asked, folder)


def test_metrics_are_what_the_database_says(watched: Watched) -> None:
    with urlopen(f"http://{watched.exporter}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    ours = "\n".join(line for line in lines if re.match(r"(# \w+ )?entasis_", line)) + "\n"
    assert promtool("check", "metrics", stdin=ours) == ""
    number = {"ok": 0, "warning": 1, "critical": 2, "unknown": 3}
    found = {
        series["metric"]["check"]: float(series["value"][1])
        for series in watched.prometheus.query("entasis_health_severity")
    }
    assert found == {check.check: number[check.severity] for check in health(watched.connection)}
    assert watched.prometheus.query('entasis_health_subject_value{subject="x BTC"}')


def test_an_alert_fires_and_clears(watched: Watched) -> None:
    run = watched.connection.execute
    watched.until_only()
    run("SELECT entasis.end_run(entasis.begin_run('archive'), 'failed', '{\"error\": \"no\"}')")
    run("ALTER TABLE entasis.markets DISABLE TRIGGER USER")
    try:
        _fires(watched)
    finally:
        run("ALTER TABLE entasis.markets ENABLE TRIGGER USER")
        run("SELECT entasis.end_run(entasis.begin_run('archive'), 'done')")
    watched.until_only()


def _fires(watched: Watched) -> None:
    disabled = "EntasisCritical trigger_disabled"

    def description() -> str:
        found = watched.over().get(disabled)
        return "" if found is None else str(found["annotations"]["description"])

    fired = watched.until_only("EntasisWarning run_failed", disabled)
    assert fired["EntasisWarning run_failed"]["labels"]["severity"] == "warning"
    told = fired[disabled]["annotations"]
    assert told["advice"] == "run entasis migrate, then entasis check"
    assert told["runbook"] == "docs/operations/on-call.md#trigger_disabled"
    assert "tables that are disabled, gone or changed: " in told["description"]
    assert "(threshold 1)" in told["description"]
    # subjects are a query of their own, which may have been asked before the trigger was disabled
    until(lambda: "; entasis.markets: " in description(), watched.folder)
    assert "NaN" not in description()  # nothing tells since when
    every_expression_has_an_answer(watched.prometheus)

    # a threshold is a row, and the alert follows it
    watched.connection.execute(
        "UPDATE entasis.thresholds SET critical = 1 WHERE check_name = 'run_failed'"
    )
    watched.until_only("EntasisCritical run_failed", disabled)


def test_what_may_not_be_seen_is_an_alert(watched: Watched) -> None:
    watched.connection.execute("REVOKE pg_monitor FROM entasis_monitor")
    try:
        names = [f"EntasisUnknown {check}" for check in OF_PG_MONITOR]
        told = watched.until_only(*names)[names[0]]["annotations"]
        assert "GRANT pg_monitor TO entasis_monitor" in told["advice"]
    finally:
        watched.connection.execute("GRANT pg_monitor TO entasis_monitor")
    watched.until_only()


def test_a_database_that_tells_nothing_is_an_alert(watched: Watched) -> None:
    def change(statement: str) -> None:
        watched.connection.execute(sql.SQL(statement).format(sql.Identifier(watched.login)))

    change("REVOKE entasis_monitor FROM {}")
    fired = watched.until_only("EntasisNoMetrics")["EntasisNoMetrics"]
    assert fired["annotations"]["description"].startswith("The exporter answers")
    change("GRANT entasis_monitor TO {}")
    watched.until_only()


WITHOUT_SERIES = {
    "ids_missing", "quarantined", "partitions_ahead", "replication_lag", "slot_wal", "dead_rows",
}  # fmt: skip
"""Checks that need not have a subject: no replica, nothing refused."""


def every_expression_has_an_answer(asked: Prometheus) -> None:
    """Run what the dashboard asks, with its variables as Grafana fills them in."""
    made = json.loads((FOLDER / "grafana" / "dashboard.json").read_text(encoding="utf-8"))
    panels = [inner for panel in made["panels"] for inner in (panel, *panel.get("panels", ()))]
    expressions = [
        query["expr"] for panel in panels for query in panel.get("targets", ()) if "expr" in query
    ]
    assert len(expressions) > 20
    for variable in made["templating"]["list"]:
        if variable["type"] == "query" and variable["datasource"]["type"] == "prometheus":
            series, label = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]).groups()  # type: ignore[union-attr]
            expressions.append(f"count by ({label}) ({series})")
    for expression in expressions:
        filled = expression
        for name, value in (("database", ".+"), ("check", ".+"), ("__range", "6h")):
            filled = filled.replace(f"${name}", value)
        assert "$" not in filled
        found = asked.query(filled)
        if not any(f'"{check}"' in expression for check in WITHOUT_SERIES):
            assert found, expression
