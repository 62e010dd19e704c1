"""Every scenario is recovered by its page, with no more lost than it states."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from drills import report, run
from drills.rig import programs
from drills.scenarios import SCENARIOS
from drills.site import Site, site
from tests.engines import REPOSITORY

ALWAYS = [name for name, one in SCENARIOS.items() if not one.played_by]


@pytest.fixture(scope="module")
def played() -> Iterator[Site]:
    if programs() is None:
        pytest.skip("PostgreSQL 15 and pgBackRest are not both on this machine")
    with site() as found:
        yield found


@pytest.mark.long
@pytest.mark.parametrize("name", SCENARIOS)
def test_the_page_recovers_what_it_states(played: Site, name: str, short: bool) -> None:
    if short and name not in ALWAYS:
        pytest.skip("its page is played once in the short form")
    result = run.play(SCENARIOS[name], played)
    assert result.faults == [], result.output
    (told,) = json.loads(report.as_json(played, [result]))["scenarios"]
    assert told["held"] is True
    assert told["acknowledged"] > 5000
    assert told["candles"] > 50
    assert (told["lost"] > 0) <= (SCENARIOS[name].loss.seconds > 0)


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
