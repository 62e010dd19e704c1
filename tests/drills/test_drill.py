"""Every scenario is recovered by its page, with no more lost than it states."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from drills import __main__ as command
from drills import pages, report, run
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


# of a page, what it says, what it says instead, and what the drill has to say of that
PLANTS = [
    ("server-lost", '" restore', '" --type=immediate --target-action=promote restore', "archived"),
    ("disk-lost", "cp -a", ": cp", "acknowledged trades are lost"),
    ("rows-deleted", "WHERE $ROWS", "WHERE $ROWS AND id % 10 <> 0", "acknowledged trades are lost"),
    ("rows-deleted", " --archive-mode=off", "", "the copy has archived its own WAL"),
    # the server starts, and stops: there is no commit after that moment
    ("rows-deleted", '"$TARGET"', "IN AN HOUR", "it has stopped: the end of its log says why"),
    ("partition-dropped", "FROM 'part", "FROM PROGRAM 'head -99 part", "trades are missing"),
    ("partition-dropped", "OWNER TO entasis_owner", "OWNER TO postgres", "has another owner"),
    ("bad-migration", '--type=name --target="$POINT" --target-action=promote ', "", "other values"),
    ("corrupted-page", "--delta restore", "info", "invalid page in block 2"),
    ("primary-lost", "CHECKPOINT;", "", "does not follow the new one"),
    ("region-lost", '" stanza-create --no-online', '" info', "archive.info"),
    ("archive-store-lost", "AND $time <", "AND id % 10 <> 0 AND $time <", "COPY 900"),
    ("archive-store-lost", "entasis archive\n", "", "is not whole"),
]


@pytest.mark.long
@pytest.mark.parametrize(("name", "said", "instead", "found"), PLANTS)
def test_a_page_that_is_wrong_does_not_pass(
    played: Site,
    short: bool,
    name: str,
    said: str,
    instead: str,
    found: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if short:
        pytest.skip("test_account.py plants the like without a server")
    real = pages.blocks
    instead = instead.replace("IN AN HOUR", f"'{datetime.now(UTC) + timedelta(hours=1)}'")

    def wrong(page: str) -> list[pages.Block]:
        return real(page.replace(said, instead) if page.startswith(title) else page)

    text = (pages.FOLDER / f"{name}.md").read_text(encoding="utf-8")
    title = text.splitlines()[0]
    assert said in text
    monkeypatch.setattr(pages, "blocks", wrong)
    assert found in "\n".join(run.play(SCENARIOS[name], played).faults)


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
