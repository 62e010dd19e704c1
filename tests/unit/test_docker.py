"""docker/ says what it should, as far as that can be told without a Docker daemon."""

import re
import shutil
import subprocess
from typing import Any

import pytest

from tests.engines import REPOSITORY
from tests.servers.container import compose


@pytest.fixture
def service() -> dict[str, Any]:
    found: dict[str, Any] = compose()["services"]["timescaledb"]
    return found


def settings(service: dict[str, Any]) -> dict[str, str]:
    program, *options = service["command"]
    assert program == "postgres"
    return dict(re.fullmatch(r"-c([\w.]+)=(.*)", option).groups() for option in options)  # type: ignore[union-attr, misc]


def test_every_image_is_pinned_to_a_release() -> None:
    for service in compose()["services"].values():
        assert re.search(r":\d+\.\d+\.\d+-pg\d+$", service["image"])


def test_nothing_listens_beyond_this_machine() -> None:
    for service in compose()["services"].values():
        for port in service["ports"]:
            assert port.startswith("127.0.0.1:")
        assert "network_mode" not in service


def test_there_is_no_password_to_find(service: dict[str, Any]) -> None:
    assert service["environment"]["POSTGRES_PASSWORD"].startswith("${POSTGRES_PASSWORD:?")
    assert "POSTGRES_HOST_AUTH_METHOD" not in service["environment"]
    example = (REPOSITORY / "docker" / ".env.example").read_text(encoding="utf-8")
    assert re.search("^POSTGRES_PASSWORD=$", example, re.MULTILINE)


def test_the_data_outlives_the_container(service: dict[str, Any]) -> None:
    ((volume, path),) = (mount.split(":") for mount in service["volumes"])
    assert volume in compose()["volumes"]
    assert path == "/var/lib/postgresql/data"
    assert service["restart"] == "unless-stopped"


def test_it_is_healthy_only_when_clients_can_come(service: dict[str, Any]) -> None:
    check = service["healthcheck"]
    assert "pg_isready" in check["test"]
    # the server that runs while the data directory is made has a socket and no port
    assert "--host 127.0.0.1" in check["test"]
    assert f"--dbname {service['environment']['POSTGRES_DB']}" in check["test"]
    assert "start_period" in check


def test_there_are_workers_for_what_may_run(service: dict[str, Any]) -> None:
    given = settings(service)
    assert given["shared_preload_libraries"] == "timescaledb"
    assert given["timescaledb.telemetry_level"] == "off"
    needed = int(given["timescaledb.max_background_workers"]) + int(given["max_parallel_workers"])
    assert int(given["max_worker_processes"]) >= needed + 3


def test_every_variable_has_its_default_in_the_example() -> None:
    files = sorted((REPOSITORY / "docker").glob("compose*.yaml"))
    text = "".join(path.read_text(encoding="utf-8") for path in files)
    example = (REPOSITORY / "docker" / ".env.example").read_text(encoding="utf-8")
    used = dict(re.findall(r"\$\{(\w+):-([^}]*)\}", text))
    assert used == dict(re.findall(r"^#(\w+)=(.*)$", example, re.MULTILINE))


def test_make_writes_a_password_of_its_own(tmp_path: Any) -> None:
    shutil.copytree(REPOSITORY / "docker", tmp_path / "docker", ignore=lambda *_: [".env"])
    shutil.copy(REPOSITORY / "Makefile", tmp_path)
    written = []
    for _ in range(2):
        subprocess.run(["make", "--silent", "docker/.env"], cwd=tmp_path, check=True)
        file = tmp_path / "docker" / ".env"
        assert file.stat().st_mode & 0o777 == 0o600
        written += re.findall("^POSTGRES_PASSWORD=([0-9a-f]{48})$", file.read_text(), re.MULTILINE)
        file.unlink()
    assert len(set(written)) == 2


def test_compose_reads_it() -> None:
    command = ["docker", "compose"]
    if (
        shutil.which("docker") is None
        or subprocess.run([*command, "version"], capture_output=True, check=False).returncode
    ):
        pytest.skip("there is no docker compose on this machine")
    command += ["--file", str(REPOSITORY / "docker" / "compose.yaml"), "config", "--quiet"]
    subprocess.run(command, env={"POSTGRES_PASSWORD": "x", "PATH": "/usr/bin:/bin"}, check=True)
