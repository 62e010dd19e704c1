"""The files of monitoring/: made from one source, and right for their programs and a real login."""

import json
from typing import Any

import pytest
import yaml
from psycopg.rows import dict_row

from entasis_db.health import health
from monitoring.__main__ import FILES
from monitoring.metrics import QUERIES
from tests.conftest import Login
from tests.db import Connection
from tests.monitoring.rig import FOLDER, promtool

SEVERITIES = ["ok", "warning", "critical", "unknown"]


def read(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_what_its_definitions_say(name: str) -> None:
    written = (FOLDER / name).read_text(encoding="utf-8")
    assert written == FILES[name](), "run python -m monitoring"


def test_each_exporter_has_each_metric() -> None:
    wanted = {f"{query.name}_{gauge}" for query in QUERIES for gauge in query.gauges}
    assert not [name for name in wanted if name.endswith("_count")]
    custom = read("postgres_exporter/queries.yaml")
    assert wanted == {
        f"{name}_{column}"
        for name, query in custom.items()
        for metric in query["metrics"]
        for column, about in metric.items()
        if about["usage"] == "GAUGE"
    }
    collector = read("sql_exporter/entasis.collector.yml")
    assert wanted == {metric["metric_name"] for metric in collector["metrics"]}
    assert set(read("pgwatch/metrics.yaml")["metrics"]) == set(custom)


def test_rules_fire_and_clear_as_they_should(needs_prometheus: None) -> None:
    folder = FOLDER / "prometheus"
    promtool("check", "config", str(folder / "prometheus.yaml"))
    promtool("check", "rules", str(folder / "rules.yaml"))
    promtool("test", "rules", str(folder / "rules_test.yaml"))


def test_each_alert_has_a_page() -> None:
    rules = read("prometheus/rules.yaml")["groups"][0]["rules"]
    for rule in rules:
        file, _, heading = rule["annotations"]["runbook"].partition("#")
        assert rule["annotations"].keys() == {"summary", "description", "advice", "runbook"}
        lines = (FOLDER.parent / file).read_text(encoding="utf-8").splitlines()
        headings = {line.removeprefix("### ").lower() for line in lines if line.startswith("### ")}
        assert heading in headings | {"{{ $labels.check }}"}


def test_the_dashboard_has_a_name_for_each_panel() -> None:
    made = json.loads((FOLDER / "grafana" / "dashboard.json").read_text(encoding="utf-8"))
    panels = [inner for panel in made["panels"] for inner in (panel, *panel.get("panels", ()))]
    ids = [panel["id"] for panel in panels]
    assert sorted(ids) == sorted(set(ids))
    assert all(panel["title"] for panel in panels)


def rows(connection: Connection, query: str) -> list[dict[str, Any]]:
    """Run a query, whose rows must not share their labels."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query.encode()).fetchall()


def test_a_login_that_may_only_look_gets_all(connection: Connection, login: Login) -> None:
    connection.execute("SELECT entasis.end_run(entasis.begin_run('archive'), 'failed')")
    pgwatch = read("pgwatch/metrics.yaml")["metrics"]
    with login("entasis_monitor") as watcher:
        for query in QUERIES:
            found = rows(watcher, query.sql)
            assert found
            assert list(found[0]) == [*query.labels, *query.gauges]
            assert all(isinstance(row[name], str) for row in found for name in query.labels)
            assert all(isinstance(row[name], int | float) for row in found for name in query.gauges)
            kept = [tuple(row[name] for name in query.labels) for row in found]
            assert len(kept) == len(set(kept))
            (measured,) = pgwatch[query.name]["sqls"].values()
            same = rows(watcher, measured)
            columns = ["epoch_ns", *(f"tag_{name}" for name in query.labels), *query.gauges]
            assert list(same[0]) == columns
            assert len(same) == len(found)
        judged = {r["check"]: SEVERITIES[r["severity"]] for r in rows(watcher, QUERIES[0].sql)}
        assert judged == {found.check: found.severity for found in health(watcher)}
        assert judged["run_failed"] == "warning"


def test_two_of_one_name_are_one_series(connection: Connection, login: Login) -> None:
    """As replicas are that nobody named: an exporter that sees both refuses all metrics."""
    connection.execute("""
        CREATE OR REPLACE FUNCTION entasis_internal.health_quarantine() RETURNS TABLE (
            check_name text, subject text, value numeric, since timestamptz
        ) LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
            VALUES
                ('quarantined', 'a', 2::numeric, NULL::timestamptz), ('quarantined', 'a', 1, NULL),
                ('cache_hits', 'a', 2, NULL), ('cache_hits', 'a', 1, NULL)
        $$""")
    with login("entasis_monitor") as watcher:
        found = [r for r in rows(watcher, QUERIES[1].sql) if r["subject"] == "a"]
    assert {(r["check"], r["value"]) for r in found} == {("quarantined", 2), ("cache_hits", 1)}
    assert len(found) == 2


def test_as_many_series_as_anybody_has_use_for(connection: Connection, login: Login) -> None:
    """Of a check, the worst 50 are kept: the rest would be a burden without an end."""
    connection.execute(
        "INSERT INTO entasis.quarantine (relation, source, line, code, reason, payload)"
        " SELECT 'market_data', 'feed', n, 'code ' || least(n, 70), 'no price', '{}'"
        " FROM generate_series(1, 100) AS n"
    )
    with login("entasis_monitor") as watcher:
        found = [r for r in rows(watcher, QUERIES[1].sql) if r["check"] == "quarantined"]
    assert len(found) == 50
    assert max(found, key=lambda row: row["value"]) == {
        "database": found[0]["database"],
        "check": "quarantined",
        "subject": "market_data code 70",
        "value": 31,
    }
