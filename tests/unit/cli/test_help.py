"""The command as a newcomer meets it: help, version, and how it is called."""

import subprocess
import sys
from importlib.metadata import version

import click
import pytest
from click.testing import CliRunner

import entasis_db
from entasis_db.cli import main
from entasis_db.cli.exit_codes import ExitCode


def commands(group: click.Group) -> dict[str, click.Command]:
    context = click.Context(group)
    found = {name: group.get_command(context, name) for name in group.list_commands(context)}
    return {name: command for name, command in found.items() if command is not None}


def groups() -> list[tuple[list[str], click.Group]]:
    found: list[tuple[list[str], click.Group]] = [([], main)]
    for name, command in commands(main).items():
        if isinstance(command, click.Group):
            found.append(([name], command))
    return found


def test_every_command_is_found_under_its_name() -> None:
    found = commands(main)
    assert found.keys() == main.deferred.keys()
    assert all(command.name == name for name, command in found.items())
    assert main.get_command(click.Context(main), "no-such") is None


@pytest.mark.parametrize(("path", "group"), groups(), ids=lambda value: str(value))
def test_no_summary_is_cut(path: list[str], group: click.Group) -> None:
    shown = CliRunner().invoke(main, [*path, "--help"], terminal_width=80)
    assert shown.exit_code == 0
    assert "..." not in shown.stdout.replace("[ARGS]...", "").replace("endpoint_url=...", "")
    assert max(map(len, shown.stdout.splitlines())) <= 80
    words = " ".join(shown.stdout.split())
    for name, command in commands(group).items():
        (summary, *_) = (command.help or "").splitlines()
        assert f" {name} {summary} " in f"{words} ", name


def test_every_command_has_help_and_every_option_says_what_it_is_for() -> None:
    found = [command for _, group in groups() for command in commands(group).values()]
    assert len(found) > 15
    for command in found:
        assert command.help
        for parameter in command.params:
            if isinstance(parameter, click.Option) and not parameter.help:
                assert isinstance(parameter.type, click.Choice), (command.name, parameter.name)


def test_the_exit_codes_that_are_used_are_in_the_help() -> None:
    shown = " ".join(CliRunner().invoke(main, ["-h"]).stdout.split())
    assert "Exit codes: 0 done, 1 failed" in shown
    assert {code.name: code.value for code in ExitCode} == {
        "DONE": 0,
        "FAILED": 1,
        "USAGE": 2,
        "LEFT_OVER": 3,
        "CANDLES_DIFFER": 4,
        "TRADES_MISSING": 5,
        "BACKUPS_FAULTY": 6,
        "FOUND": 7,
    }
    # click's own errors have the same code as ours
    assert CliRunner().invoke(main, ["no-such-command"]).exit_code == ExitCode.USAGE
    assert CliRunner().invoke(main, ["rollback"]).exit_code == ExitCode.FAILED


def test_errors_say_what_to_do() -> None:
    for url in ("postgresql://127.0.0.1:1/d", "host=no-such-host.invalid"):
        result = CliRunner().invoke(main, ["--database", url, "status"])
        assert result.exit_code == ExitCode.FAILED
        assert result.stderr.count("\n") == 1
        assert result.stderr.startswith("entasis: ")
        assert result.stderr.endswith(
            ". Is the server up, and is DATABASE_URL (or --database) right?\n"
        )


def test_one_version_everywhere() -> None:
    assert entasis_db.__version__ == version("entasis-db")
    shown = CliRunner().invoke(main, ["--version"]).stdout
    assert shown == f"entasis-db, version {entasis_db.__version__}\n"


def test_the_package_is_run_as_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "entasis_db", "rollback"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == CliRunner().invoke(main, ["rollback"]).stderr
    done = subprocess.run(
        [sys.executable, "-m", "entasis_db", "check", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("Usage: python -m entasis_db check ")
