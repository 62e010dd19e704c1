"""Which commands start the embedded server and which make it: no command that only reads."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import click
import pytest
from click.testing import CliRunner, Result

from entasis_db.cli import main, target
from tests.contract.installation.test_search_path import COMMANDS, ON_DISK, WITHOUT

OTHERS = {"rollback": [[]], "url": [[]], "env": [[]], "psql": [[]]}
"""Commands that test_search_path does not try, but for those on the server itself."""

STARTED_BY = {
    *("load trades", "load candles", "markets set", "rebuild", "reopen"),
    *("anomalies detect", "anomalies acknowledge"),
    *("archive", "restore", "maintain", "backup check"),
}
MADE_BY = {"migrate"}
DRY = {"--dry-run", "--compare"}
"""With these, a command that writes only reads."""
WITHOUT_DATABASE = {"rollback"}


def forms(folder: Path) -> list[tuple[str, list[str]]]:
    """Every command with arguments, by its full name."""
    (folder / "dump").mkdir(exist_ok=True)
    found = []
    context = click.Context(main)
    for name, each in {**COMMANDS, **OTHERS}.items():
        command = main.get_command(context, name)
        for arguments in each:
            subs = command.commands if isinstance(command, click.Group) else {}
            is_sub = bool(arguments) and arguments[0] in subs
            place = str(folder) if name in ON_DISK else folder.as_uri()
            filled = [one.replace("{folder}", place) for one in arguments]
            words = [name, *(arguments[:1] if is_sub else []), *DRY.intersection(arguments)]
            found.append((" ".join(words), [name, *filled]))
    return found


def asked(*arguments: str) -> Result:
    return CliRunner(env={"DATABASE_URL": None}).invoke(main, [*arguments])


def test_every_command_is_in_one_of_the_lists(tmp_path: Path) -> None:
    assert set(main.deferred) == {*COMMANDS, *WITHOUT}
    # these work on the embedded server itself, and have tests of their own
    assert {*OTHERS, "start", "stop", "restore-backup", "demo"} == WITHOUT
    assert {name for name, _ in forms(tmp_path)} >= STARTED_BY | MADE_BY | WITHOUT_DATABASE


@pytest.mark.parametrize("made", [False, True], ids=["none", "stopped"])
def test_only_these_start_a_server_and_only_that_makes_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: bool
) -> None:
    home = tmp_path / "home"
    started: list[str] = []

    class StartedError(Exception):
        pass

    def start() -> None:
        started.append("started")
        raise StartedError

    def embedded_cluster() -> SimpleNamespace:
        # what makes the folder of the cluster
        started.append("made")
        return SimpleNamespace(home=home, is_running=lambda: False, start=start)

    monkeypatch.setattr(target, "embedded_cluster", embedded_cluster)
    monkeypatch.setattr(target, "embedded_home", lambda: home)
    monkeypatch.setattr(target, "has_cluster", lambda _: made)
    for name, arguments in forms(tmp_path):
        started.clear()
        result = asked(*arguments)
        if name in MADE_BY or (made and name in STARTED_BY):
            assert started == ["made", "started"], name
            assert f"starting the embedded PostgreSQL in {home}" in result.output, name
            continue
        assert "started" not in started, name
        assert made or started == [], name
        assert result.exit_code != 0, name
        if name in WITHOUT_DATABASE:
            continue
        (line,) = result.stderr.splitlines()
        assert str(home) in line, name
        assert ("entasis start starts it" if made else "entasis migrate makes one") in line, name
    assert not home.exists()


def test_start_and_stop_make_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("ENTASIS_EMBEDDED_HOME", str(home))
    result = asked("start")
    assert result.exit_code == 1
    assert f"no embedded server in {home} yet: entasis migrate makes one" in result.stderr
    assert asked("stop").stdout == f"there is no embedded server in {home}\n"
    assert list(tmp_path.iterdir()) == []


def test_a_server_of_an_earlier_draft_is_told_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, old = tmp_path / "home", tmp_path / "it's old"
    url = f"postgresql://u@h:1/d?passfile={home}"
    running = SimpleNamespace(home=home, is_running=lambda: True, url=lambda _: url)
    monkeypatch.setattr(target, "embedded_cluster", lambda: running)
    monkeypatch.setattr(target, "embedded_home", lambda: home)
    monkeypatch.setattr(target, "former_home", lambda: old)
    hint = f"ENTASIS_EMBEDDED_HOME='{tmp_path}/it'\"'\"'s old'"
    for made in (False, True):
        monkeypatch.setattr(target, "has_cluster", lambda _, made=made: made)
        for command in ("url", "env"):
            result = asked(command)
            assert result.exit_code == (0 if made else 1)
            (line,) = result.stderr.splitlines()
            assert str(home) in line
            assert f"{old}: to use that one, export {hint}" in line
