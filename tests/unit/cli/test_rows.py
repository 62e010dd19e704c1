"""What every command that prints rows has, the rule for values, and the page that tells of both."""

import os
import re
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import click
import pytest
from click.testing import CliRunner

from entasis_db.charts import ChartError
from entasis_db.cli import arguments, main
from entasis_db.cli.output.rows import Form, as_text, as_value, printed_by, rows_of, show
from entasis_db.cli.pictures.asking import ask
from tests.engines import REPOSITORY
from tests.unit.cli import rows

NO_ROWS = {
    *("migrate", "rollback", "url", "env", "psql", "start", "stop"),
    *("rebuild", "archive", "restore", "reopen"),
    *("backup", "restore-backup", "dump", "restore-dump"),
    *("chart", "report", "demo"),
    *("markets set", "markets import"),
    *("anomalies detect", "anomalies acknowledge", "anomalies confirm", "anomalies dismiss"),
}
"""Commands that do something and say how it went."""


def options(command: click.Command) -> set[str]:
    return {name for parameter in command.params for name in parameter.opts}


def test_every_command_that_prints_rows_has_both_forms() -> None:
    for name, command in rows.commands():
        printed = printed_by(command)
        assert (printed is None) == (name in NO_ROWS), name
        if printed is None:
            # or it prints rows, and by no rule
            assert not options(command) & {"--json", "--csv"}, name
            continue
        assert options(command) >= {"--json", "--csv"}, name
        assert ("--table" in options(command)) == any(s.as_table for s in printed.shapes), name
        for shape in printed.shapes:
            assert all(re.fullmatch("[a-z][a-z0-9_]*", field) for field in shape.names), name
            assert len(set(shape.names)) == len(shape.names), name
    assert {name for name, _ in rows.commands()} >= NO_ROWS


def test_the_page_has_the_table_of_all() -> None:
    assert rows.PAGE.read_text() == rows.page(), "write it anew: python -m tests.unit.cli.rows"


@pytest.mark.parametrize(
    ("value", "written", "text"),
    [
        (Decimal("0.00000100"), "0.00000100", "0.00000100"),
        (Decimal("1E+3"), "1000", "1000"),
        (
            datetime(2024, 8, 8, 14, 0, 0, 7, timezone(timedelta(hours=2))),
            "2024-08-08T12:00:00.000007+00:00",
            "2024-08-08T12:00:00.000007+00:00",
        ),
        (date(2024, 8, 8), "2024-08-08", "2024-08-08"),
        (timedelta(minutes=5), 300.0, "300.0"),
        (2**70, 2**70, str(2**70)),
        (True, True, "true"),
        (None, None, ""),
        (
            {"a": Decimal("0.10"), 1: [None]},
            {"a": "0.10", "1": [None]},
            '{"a": "0.10", "1": [null]}',
        ),
        (("é", 1), ["é", 1], '["é", 1]'),
        (UUID(int=1), str(UUID(int=1)), str(UUID(int=1))),
    ],
)
def test_one_rule_for_values(value: object, written: object, text: str) -> None:
    assert as_value(value) == written
    assert as_text(as_value(value)) == text


class Odd(tuple[Any, ...]):
    _fields = ("name", "price")
    name = 'tab\t, "quoted"\nand \\'
    price = None


def printed(form: Form, *found: Any, nothing: str | None = "nothing") -> Any:
    @click.command()
    def command() -> None:
        shape = rows_of(Odd)
        show(form, shape, found, lambda: click.echo("people"), nothing)

    return CliRunner().invoke(command)


def test_a_value_stays_in_its_line_and_column() -> None:
    assert printed(Form.PLAIN, Odd()).stdout == 'tab\\t, "quoted"\\nand \\\\\t\n'
    assert printed(Form.CSV, Odd()).stdout == 'name,price\n"tab\t, ""quoted""\nand \\",\n'
    assert printed(Form.JSON, Odd(), Odd()).stdout.count("\n") == 2
    assert printed(Form.PEOPLE, Odd()).stdout == "people\n"
    # no terminal reads it
    assert printed(Form.DEFAULT, Odd()).stdout.startswith("tab\\t")


def test_no_rows() -> None:
    assert printed(Form.JSON).stdout == "[]\n"
    assert printed(Form.CSV).stdout == "name,price\n"
    assert printed(Form.PEOPLE).stdout == "nothing\n"
    result = printed(Form.PLAIN)
    assert (result.stdout, result.stderr) == ("", "nothing\n")


def test_two_forms_are_refused() -> None:
    result = CliRunner().invoke(main, ["--database", "host=h", "runs", "--json", "--csv"])
    assert result.exit_code == 2
    assert result.stderr == "entasis: choose one of --json, --csv and --table\n"


# ------------------------------------------------------------------------------------- times


def asked(text: str) -> datetime | None:
    context = click.Context(main)
    context.meta[arguments._NOW] = datetime(2026, 3, 1, 10, 30, 5, 7, UTC)
    return arguments.moment(context, main.params[0], text)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("now", "2026-03-01T10:30:05.000007"),
        ("today", "2026-03-01"),
        ("yesterday", "2026-02-28"),
        ("-24h", "2026-02-28T10:30:05.000007"),
        ("-7d", "2026-02-22T10:30:05.000007"),
        ("-90m", "2026-03-01T09:00:05.000007"),
        ("-30s", "2026-03-01T10:29:35.000007"),
        ("-2w", "2026-02-15T10:30:05.000007"),
        ("today-7d", "2026-02-22"),
        ("now-1h", "2026-03-01T09:30:05.000007"),
        ("2024-08-08", "2024-08-08"),
        ("2024-08-08T02:00+02:00", "2024-08-08"),
    ],
)
def test_times(text: str, meant: str) -> None:
    assert asked(text) == datetime.fromisoformat(meant).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["", "tomorrow", "-", "-7", "-7x", "-7 d", "7d", "+7d", "now-", "-1.5h", "-9999999w"]
)
def test_what_is_no_time_is_said(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        asked(text)
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(f"entasis: {text!r} is no time; write 2024-08-08, ")
    assert said.count("\n") == 1
    assert all(form in said for form in ("now", "today", "yesterday", "-24h", "-7d"))


def test_every_time_of_a_command_is_read_so() -> None:
    found = 0
    for name, command in rows.commands():
        for parameter in command.params:
            if parameter.name in ("from_time", "to_time", "expiry"):
                assert parameter.callback is arguments.moment, name
                if isinstance(parameter, click.Argument):
                    assert isinstance(parameter, arguments._Moment), name
                found += 1
    assert found > 20


def test_arguments_of_a_query_are_read_so() -> None:
    asks = ["symbol=B", "exchange=x", "interval=1h"]
    with click.Context(main) as context:
        context.meta[arguments._NOW] = datetime(2026, 3, 1, 10, 30, tzinfo=UTC)
        asked = ask("candles", [*asks, "from_time=-24h", "to_time=today"]).params
        assert (asked["from_time"], asked["to_time"]) == (
            datetime(2026, 2, 28, 10, 30, tzinfo=UTC),
            datetime(2026, 3, 1, tzinfo=UTC),
        )
        with pytest.raises(ChartError, match=r"'to_time=soon' cannot be read: a time is written"):
            ask("candles", [*asks, "from_time=-24h", "to_time=soon"])


def test_a_time_may_begin_like_an_option() -> None:
    nowhere = ["--database", "postgresql://127.0.0.1:1/d"]
    for command in (["check", "-24h"], ["check", "-24h", "-1h"], ["gaps", "--from", "-24h"]):
        result = CliRunner().invoke(main, [*nowhere, *command])
        assert "port 1" in result.stderr, result.output
    result = CliRunner().invoke(main, [*nowhere, "check", "-24h", "-2d"])
    assert (result.exit_code, "is not after" in result.stderr) == (2, True)
    result = CliRunner().invoke(main, [*nowhere, "check", "-24x"])
    assert (result.exit_code, "-24x' is no time" in result.stderr) == (2, True)


# ------------------------------------------------------------------------- colours, completion


def test_colours() -> None:
    asks = """
import importlib, os
from entasis_db.cli import output
output.complain("red")
os.environ["NO_COLOR"] = "1"
importlib.reload(output).complain("plain")
"""
    done = subprocess.run(
        [sys.executable, "-c", asks],
        env={
            **{k: v for k, v in os.environ.items() if k != "NO_COLOR"},
            "FORCE_COLOR": "1",
            "TERM": "xterm",
            "PYTHONPATH": str(REPOSITORY),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    red, plain = done.stderr.splitlines()
    assert "\x1b[31m" in red
    assert plain == "entasis: plain"


def test_bash_completes_commands_and_options(tmp_path: Path) -> None:
    program = tmp_path / "entasis"
    asks = "from entasis_db.cli import main; main(prog_name='entasis')"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{asks}" "$@"\n')
    program.chmod(0o755)
    script = """
    eval "$(_ENTASIS_COMPLETE=bash_source entasis)"
    complete -p entasis
    # what bash does at the key
    for line in "entasis markets i" "entasis runs --j"; do
        COMP_WORDS=($line) COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMPREPLY=()
        _entasis_completion entasis
        echo "${COMPREPLY[*]}"
    done
    """
    done = subprocess.run(
        ["bash", "-c", script],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    registered, *completed = done.stdout.splitlines()
    assert registered.endswith("-F _entasis_completion entasis"), done.stderr
    assert completed == ["import", "--json"]
