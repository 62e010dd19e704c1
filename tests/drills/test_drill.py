"""Every scenario is recovered by its page, with no more lost than it states."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from drills import __main__ as command
from drills import report, run
from drills.rig import programs
from drills.scenarios import SCENARIOS, Scenario
from drills.site import Site, site
from tests.engines import REPOSITORY


@pytest.fixture(scope="module")
def played() -> Iterator[Site]:
    if programs() is None:
        pytest.skip("PostgreSQL 15 and pgBackRest are not both on this machine")
    with site() as found:
        yield found


@pytest.mark.long
@pytest.mark.parametrize("name", SCENARIOS)
def test_the_page_recovers_what_it_states(played: Site, name: str, short: bool) -> None:
    if short and not SCENARIOS[name].brief:
        pytest.skip("it belongs to the long form alone")
    result = run.play(SCENARIOS[name], played)
    assert result.faults == [], result.output
    (told,) = json.loads(report.as_json(played, [result]))["scenarios"]
    assert told["held"] is True
    assert told["acknowledged"] > 3000
    assert told["candles"] > 50
    assert (told["lost"] > 0) <= (SCENARIOS[name].loss.seconds > 0)
    if name == "primary-lost-asynchronous":
        assert told["lost"] > 0, "the replica was not behind: nothing was tried"


@pytest.mark.long
def test_what_the_page_leaves_out_is_counted(played: Site, short: bool) -> None:
    """An operator who names too few rows brings too few back."""
    if short:
        pytest.skip("test_account.py plants the like without a server")
    scenario = SCENARIOS["rows-deleted"]

    def strike(on: Site) -> dict[str, str]:
        known = scenario.strike(on)
        return {**known, "ROWS": f"{known['ROWS']} AND id % 10 <> 0"}

    result = run.play(replace(scenario, strike=strike), played)
    assert [fault for fault in result.faults if "acknowledged trades are lost" in fault]


@pytest.mark.long
def test_a_moment_without_a_commit_after_it_is_no_target(played: Site, short: bool) -> None:
    """The server starts, and stops again: `pg_ctl --wait` has said that it runs."""
    if short:
        pytest.skip("test_pages.py asks it of a psql of its own")
    scenario = SCENARIOS["rows-deleted"]

    def strike(on: Site) -> dict[str, str]:
        return {**scenario.strike(on), "TARGET": str(datetime.now(UTC) + timedelta(hours=1))}

    (fault,) = run.play(replace(scenario, strike=strike), played).faults
    assert "rows-deleted.md: the block of line" in fault
    assert "it has stopped: the end of its log says why" in fault
    assert "recovery ended before configured recovery target was reached" in played.side.said()


@pytest.mark.parametrize(("faults", "code"), [([], 0), (["2 acknowledged trades are lost"], 1)])
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_the_exit_code_says_whether_it_held(
    monkeypatch: pytest.MonkeyPatch, faults: list[str], code: int, options: list[str]
) -> None:
    def play(scenario: Scenario, _: Site) -> run.Result:
        return run.Result(scenario, faults)

    @contextmanager
    def nowhere(*_: object) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(server_version="15", database_bytes=0, source="made up")

    monkeypatch.setattr(run, "play", play)
    monkeypatch.setattr(command, "site", nowhere)
    monkeypatch.setattr(command, "programs", lambda: Path("/bin"))
    done = CliRunner().invoke(command.main, ["disk-lost", *options])
    assert done.exit_code == code
    assert all(fault in done.stdout for fault in faults)
    if options:
        (told,) = json.loads(done.stdout)["scenarios"]
        assert (told["scenario"], told["held"]) == ("disk-lost", not faults)


def test_the_scenarios_are_listed() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "drills", "--list"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == list(SCENARIOS)


def test_a_machine_without_the_programs_is_told(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "drills"],
        cwd=REPOSITORY,
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr == (
        "Error: PostgreSQL 15 and pgBackRest are not both here. "
        "On Debian 12: apt install postgresql-15 pgbackrest\n"
    )
