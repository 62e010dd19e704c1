"""docker/compose.monitoring.yaml, as far as can be told without Docker."""

import json
import os
import re
import subprocess
from typing import Any

import psycopg
import pytest
import yaml
from psycopg.conninfo import make_conninfo

from tests.db import one
from tests.engines import REPOSITORY, Database, Server

DOCKER = REPOSITORY / "docker"
LOGINS = ("entasis_docker_metrics", "entasis_docker_dashboard")


def read(name: str) -> Any:
    return yaml.safe_load((DOCKER / name).read_text(encoding="utf-8"))


def services() -> dict[str, Any]:
    found: dict[str, Any] = read("compose.monitoring.yaml")["services"]
    return found


def test_images_are_pinned_and_nothing_listens_beyond_this_machine() -> None:
    assert set(services()) == {"logins", "exporter", "prometheus", "grafana"}
    for name, service in services().items():
        assert re.search(r":v?\d+\.\d+\.\d+(-pg\d+)?$", service["image"]), name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), name
        assert service.get("network_mode", "service:exporter") == "service:exporter", name
    assert services()["logins"]["image"] == read("compose.yaml")["services"]["timescaledb"]["image"]


def test_every_file_is_there_and_every_volume_named() -> None:
    named = read("compose.monitoring.yaml")["volumes"]
    for name, service in services().items():
        for volume in service.get("volumes", ()):
            where, _, rest = volume.partition(":")
            if where.startswith("."):
                assert (DOCKER / where).is_file(), (name, where)
                assert rest.endswith(":ro"), (name, where)
            else:
                assert where in named, (name, where)


def test_every_password_is_made_and_none_is_known() -> None:
    text = (DOCKER / "compose.monitoring.yaml").read_text(encoding="utf-8")
    needed = set(re.findall(r"\$\{(\w+PASSWORD):\?", text))
    example = (DOCKER / ".env.example").read_text(encoding="utf-8")
    assert needed == set(re.findall(r"^(\w+PASSWORD)=$", example, re.MULTILINE))
    for line in text.splitlines():
        if "PASS" in line and ":" in line and not line.strip().startswith("#"):
            assert "${" in line, line


def test_grafana_is_given_what_the_dashboard_asks_for() -> None:
    made = json.loads((REPOSITORY / "monitoring" / "grafana" / "dashboard.json").read_text())
    wanted = {v["query"] for v in made["templating"]["list"] if v["type"] == "datasource"}
    sources = read("monitoring/datasources.yaml")["datasources"]
    assert {source["type"] for source in sources} == wanted
    by_type = {source["type"]: source for source in sources}
    assert by_type["prometheus"]["url"] == "http://exporter:9090"
    asked = by_type["grafana-postgresql-datasource"]
    assert asked["user"] == LOGINS[1]
    assert asked["secureJsonData"]["password"].lstrip("$") in services()["grafana"]["environment"]
    assert services()["exporter"]["environment"]["DATA_SOURCE_USER"] == LOGINS[0]
    (provider,) = read("monitoring/dashboards.yaml")["providers"]
    mounts = services()["grafana"]["volumes"]
    assert any(m.split(":")[1] == f"{provider['options']['path']}/dashboard.json" for m in mounts)


@pytest.mark.newest_server
@pytest.mark.native_speed
@pytest.mark.own_cluster
def test_the_logins_are_made_and_may_do_what_they_need(server: Server, database: Database) -> None:
    assert server.source.bindir is not None
    passwords = ("o'ne", "two\\")
    command = [
        str(server.source.bindir / "psql"),
        "-qX",
        "-f",
        str(DOCKER / "monitoring/logins.sql"),
    ]
    environment = {
        **os.environ,
        "METRICS_PASSWORD": passwords[0],
        "DASHBOARD_PASSWORD": passwords[1],
    }
    try:
        for _ in range(2):
            subprocess.run([*command, database.dsn], env=environment, check=True)
        for login, password, query in (
            (LOGINS[0], passwords[0], "SELECT count(*) > 40 FROM entasis.health"),
            (LOGINS[1], passwords[1], "SELECT count(*) = 0 FROM entasis.latest_prices()"),
        ):
            dsn = make_conninfo(database.dsn, user=login, password=password)
            with psycopg.connect(dsn, autocommit=True) as connection:
                assert one(connection, query)
                with pytest.raises(psycopg.Error):
                    connection.execute("DELETE FROM entasis.market_data")
    finally:
        with server.admin() as connection:
            for login in LOGINS:
                connection.execute(f"DROP ROLE IF EXISTS {login}".encode())
