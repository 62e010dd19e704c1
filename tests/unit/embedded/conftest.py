"""Clusters with real servers, in folders of their own."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from entasis_db.embedded import Cluster, binaries, service_user
from tests.unit.embedded.clusters import ROOT, SMALL, Make, reachable_folder


@pytest.fixture(scope="package", autouse=True)
def service_root() -> Iterator[Path]:
    """Keep root's servers and binaries out of /var/lib."""
    folder = reachable_folder()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(service_user, "SERVICE_ROOT", folder)
        yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="package")
def bindir(service_root: Path) -> Path:
    package, version = binaries.wheel_binaries()
    if ROOT:
        package = binaries.copy_binaries(package, version)
    return package / "pginstall" / "bin"


@pytest.fixture
def place() -> Iterator[Path]:
    folder = reachable_folder()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="package")
def template(bindir: Path) -> Iterator[Path]:
    """The home of a cluster that has been made and stopped: copying it is faster than initdb."""
    folder = reachable_folder()
    cluster = Cluster(bindir, folder / "home", SMALL)
    try:
        cluster.start()
        cluster.stop()
        (cluster.home / "port").unlink()
        (cluster.home / "log").unlink()
        yield cluster.home
    finally:
        cluster.destroy()
        shutil.rmtree(folder)


@pytest.fixture
def make(place: Path, bindir: Path, template: Path) -> Iterator[Make]:
    """Make clusters, of which nothing exists yet if ``fresh``, and destroy them after the test."""
    made: list[Cluster] = []

    def build(
        name: str = "home",
        settings: dict[str, str] | None = None,
        *,
        fresh: bool = False,
        binaries: Path = bindir,
    ) -> Cluster:
        cluster = Cluster(binaries, place / name, SMALL if settings is None else settings)
        made.append(cluster)
        if not fresh and not cluster.home.exists():
            subprocess.run(["cp", "-a", template, cluster.home], check=True)
        return cluster

    yield build
    for cluster in made:
        cluster.destroy()
