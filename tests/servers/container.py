"""TimescaleDB in a container, of the image that `make up` runs, where Docker answers."""

import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import yaml
from psycopg.conninfo import make_conninfo

from tests.engines import REPOSITORY, Server, Source
from tests.servers.cluster import SETTINGS


def found() -> list[Source]:
    """Name the container that can be started, where Docker answers."""
    if not docker_answers():
        return []
    image = compose()["services"]["timescaledb"]["image"]
    origin = f"a container of {image}"
    lacks = {"own_cluster": "its programs are in the container"}
    run = partial(_start, image=image)
    return [Source("timescaledb-docker", "timescaledb", origin, run, lacks=lacks)]


def _start(source: Source, image: str) -> Server:
    stack = ExitStack()
    return Server(source, stack.enter_context(in_container(image)), stack=stack)


def compose() -> dict[str, Any]:
    """Read the file that `make up` runs."""
    text = (REPOSITORY / "docker" / "compose.yaml").read_text(encoding="utf-8")
    read: dict[str, Any] = yaml.safe_load(text)
    return read


def docker_answers() -> bool:
    """Tell whether there is a Docker daemon to run containers."""
    if (docker := shutil.which("docker")) is None:
        return False
    done = subprocess.run([docker, "info"], capture_output=True, check=False)
    return done.returncode == 0


@contextmanager
def in_container(image: str, **more: str) -> Iterator[str]:
    """Lend a server in a container: its superuser's DSN. ``more`` are settings of its own."""
    # only where Docker answers: importing it looks for a daemon
    from testcontainers.community.postgres import PostgresContainer

    settings = {"max_connections": SETTINGS["max_connections"], "fsync": "off", **more}
    command = ["postgres", *(word for s in settings.items() for word in ("-c", "=".join(s)))]
    password = secrets.token_urlsafe(12)
    container = PostgresContainer(image, username="postgres", password=password, driver=None)
    with container.with_command(command) as started:
        yield make_conninfo(started.get_connection_url(), dbname="postgres")
