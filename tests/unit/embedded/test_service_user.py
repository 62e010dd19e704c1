"""The user who runs the server when root calls."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from entasis_db.embedded import process, run_as, service_user
from entasis_db.errors import EmbeddedServerError
from tests.unit.embedded.clusters import Make, needs_wheel, only_root

pytestmark = needs_wheel


@only_root
def test_a_folder_closed_to_the_service_user_is_named(make: Make, place: Path) -> None:
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(EmbeddedServerError, match=rf"cannot enter {closed}\."):
        make("closed/home", fresh=True).start()
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    shutil.rmtree(closed / "home")


@only_root
def test_the_service_user(monkeypatch: pytest.MonkeyPatch) -> None:
    user = run_as()
    assert user is not None
    assert user[1] != 0
    monkeypatch.setattr(service_user, "SERVICE_USERS", ("no-such-user", "daemon"))
    found = run_as()
    assert found is not None
    assert found[0] == "daemon"
    # neither a second name for root nor nobody will do
    monkeypatch.setattr(service_user, "SERVICE_USERS", ("root", "no-such-user"))
    asked: list[str] = []

    def refuse(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        asked.extend(command)
        return subprocess.CompletedProcess(command, 1, "", "cannot lock /etc/passwd")

    monkeypatch.setattr(process, "run", refuse)
    with pytest.raises(EmbeddedServerError, match="cannot lock /etc/passwd"):
        run_as()
    assert asked[1:] == [
        "--system",
        "--no-create-home",
        "--shell",
        "/usr/sbin/nologin",
        "no-such-user",
    ]
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(EmbeddedServerError, match="no useradd here"):
        run_as()


def test_an_ordinary_user_is_himself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1234)
    assert run_as() is None
