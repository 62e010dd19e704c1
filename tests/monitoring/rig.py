"""A real postgres_exporter and a real Prometheus: on loopback, stopped by their pids."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode
from urllib.request import urlopen

import yaml
from psycopg.conninfo import conninfo_to_dict

from entasis_db.embedded.process import free_port
from tests.engines import REPOSITORY

FOLDER = REPOSITORY / "monitoring"


@cache
def programs() -> dict[str, str] | None:
    """Find Prometheus, promtool and postgres_exporter, as Debian names them or as they do."""
    which = shutil.which
    found = {
        "prometheus": which("prometheus"),
        "promtool": which("promtool"),
        "exporter": which("prometheus-postgres-exporter") or which("postgres_exporter"),
    }
    there = {name: path for name, path in found.items() if path is not None}
    return there if len(there) == len(found) else None


def program(name: str) -> str:
    """Return the path of one of them."""
    found = programs()
    assert found is not None
    return found[name]


def promtool(*arguments: str, stdin: str = "") -> str:
    """Run promtool, which has to be content; return what it says."""
    done = subprocess.run(
        [program("promtool"), *arguments], input=stdin, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@contextmanager
def _running(command: list[str], log: Path, **environment: str) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, env={**os.environ, **environment}
        )
        try:
            yield
        finally:
            process.kill()
            process.wait()


@contextmanager
def exporter(dsn: str, login: tuple[str, str], folder: Path) -> Iterator[str]:
    """Lend the address of an exporter that asks a database as a login: name and password."""
    to = conninfo_to_dict(dsn)
    host = quote(str(to["host"]), safe="")
    address = f"127.0.0.1:{free_port()}"
    command = [
        *(program("exporter"), f"--web.listen-address={address}"),
        f"--extend.query-path={FOLDER / 'postgres_exporter' / 'queries.yaml'}",
        *("--disable-default-metrics", "--disable-settings-metrics"),
        *("--no-collector.database", "--no-collector.bgwriter"),
    ]
    with _running(
        command,
        folder / "exporter.log",
        DATA_SOURCE_URI=f"{host}:{to['port']}/{to['dbname']}?sslmode=disable",
        DATA_SOURCE_USER=login[0],
        DATA_SOURCE_PASS=login[1],
    ):
        yield address


@dataclass(frozen=True)
class Prometheus:
    """One that runs."""

    url: str

    def ask(self, path: str, **parameters: str) -> Any:
        """Return what it answers to a request of its API."""
        with urlopen(f"{self.url}/api/v1/{path}?{urlencode(parameters)}") as answer:
            found = json.load(answer)
        assert found["status"] == "success"
        return found["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the series of an expression, now; fails on one that it does not understand."""
        found: list[dict[str, Any]] = self.ask("query", query=expression)["result"]
        return found

    def alerts(self) -> list[dict[str, Any]]:
        """Return the alerts that fire."""
        return [a for a in self.ask("alerts")["alerts"] if a["state"] == "firing"]


@contextmanager
def prometheus(target: str, folder: Path) -> Iterator[Prometheus]:
    """Lend a Prometheus with the repository's files, quicker: each second, and without patience."""
    settings = yaml.safe_load((FOLDER / "prometheus" / "prometheus.yaml").read_text())
    settings["global"] = dict.fromkeys(settings["global"], "1s")
    settings["scrape_configs"][0]["static_configs"][0]["targets"] = [target]
    rules = yaml.safe_load((FOLDER / "prometheus" / "rules.yaml").read_text())
    for rule in rules["groups"][0]["rules"]:
        rule["for"] = "0s"
    (folder / "rules.yaml").write_text(yaml.safe_dump(rules))
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(settings))
    address = f"127.0.0.1:{free_port()}"
    command = [
        *(program("prometheus"), f"--web.listen-address={address}"),
        f"--config.file={folder / 'prometheus.yaml'}",
        f"--storage.tsdb.path={folder / 'data'}",
    ]
    with _running(command, folder / "prometheus.log"):
        yield Prometheus(f"http://{address}")


def until(holds: Callable[[], bool], folder: Path) -> None:
    """Wait until something holds, and show what the programs said if it never does."""
    end = time.monotonic() + 30
    while True:
        try:
            if holds():
                return
        except OSError:  # it does not listen yet
            pass
        if time.monotonic() > end:
            logs = [p.read_text()[-2000:] for p in sorted(folder.glob("*.log"))]
            raise AssertionError("\n".join(["it did not come to pass", *logs]))
        time.sleep(0.1)
