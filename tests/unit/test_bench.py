"""The benchmark: its registry, its arithmetic, its command line, and that every line runs."""

import json
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from itertools import pairwise
from math import isfinite
from pathlib import Path
from types import ModuleType
from typing import Any

import psycopg
import pytest

import bench.lines
from bench import __main__ as command
from bench import laps, loaders, recorded, registry, report
from bench.context import QUICK, Bench, Templates
from bench.line import Line, Sizes, Subject
from bench.measure import LeftOut, MeasurementError, Row, Target, alternate, ratio
from bench.profiles import ingest as profile
from bench.progress import Progress
from bench.run import Run, Section
from bench.server import VOLATILE, Server, running
from tests.engines import REPOSITORY

LINES = registry.lines()
ROW = {
    *("size", "label", "value", "unit", "lowest", "highest", "rounds"),
    *("target", "met", "remark", "samples"),
}
LINE = {"name", "subject", "title", "how", "left_out", "error", "rows"}
RUN = {
    *("entasis_db", "began", "server", "client", "machine", "sizes", "markets", "days"),
    *("quick", "complete", "lines"),
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running(None, VOLATILE) as lent:
        yield lent


@pytest.fixture(scope="module")
def shared(server: Server) -> Iterator[Bench]:
    """A bench of few trades: its templates and its loaded database are made once."""
    progress = Progress()
    made = Bench(server, progress, Templates(server, progress), QUICK.sizes[0], QUICK)
    yield made
    made.close()


# ------------------------------------------------------------------ the registry


def test_every_file_is_a_line_with_a_name_of_its_own() -> None:
    files = {p.stem for p in Path(bench.lines.__path__[0]).glob("*.py")} - {"__init__"}
    names = [line.name for line in LINES]
    assert len(names) == len(set(names))
    assert {name.replace("-", "_") for name in names} == files


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.name)
def test_a_line_says_what_it_is(line: Line) -> None:
    assert line.title
    assert "\n" not in line.title
    assert not line.title.endswith(".")
    assert line.how.endswith(".")


def test_lines_come_by_subject() -> None:
    places = [(list(Subject).index(line.subject), line.name) for line in LINES]
    assert all(one < other for one, other in pairwise(places))


def test_a_module_that_lacks_something_is_told_what() -> None:
    module = ModuleType("bench.lines.new")
    module.TITLE = "New"  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match=r"bench\.lines\.new .* HOW, SUBJECT, SIZES, run"):
        registry.line_of(module)


# ------------------------------------------------------------------ arithmetic


def test_a_ratio_is_the_median_of_its_rounds() -> None:
    # the medians' ratio would be 4 / 2, that of the sums 111 / 13, that of the means the same
    row = ratio("x", {"over": [4, 100, 1, 6], "under": [2, 10, 1, 2]}, "over", "under")
    assert (row.value, row.lowest, row.highest, row.rounds) == (2.5, 1, 10, 4)
    assert row.samples == {"over": [4, 100, 1, 6], "under": [2, 10, 1, 2]}
    assert row.met is None


def test_a_ratio_needs_both_arms_of_every_round() -> None:
    with pytest.raises(ValueError, match="zip"):
        ratio("x", {"over": [1, 2], "under": [1]}, "over", "under")


@pytest.mark.parametrize(
    ("target", "value", "met"),
    [
        (Target(">=", 0.7), 0.7, True),
        (Target(">=", 0.7), 0.69, False),
        (Target("<=", 1.3), 1.3, True),
        (Target("<=", 1.3), 1.31, False),
    ],
)
def test_a_target_is_met_at_its_bound(target: Target, value: float, met: bool) -> None:
    row = Row("x", value, target=target)
    assert row.met is met
    assert row.as_json()["target"] == str(target)


def test_a_target_waits_for_the_trades_it_is_meant_for() -> None:
    row = Row("x", 0.5, target=Target(">=", 0.7, 1_000))
    found = [replace(row, size=size).met for size in (999, 1_000)]
    assert found == [None, False]
    assert str(row.target) == ">= 0.7 with 1,000 trades"


def test_arms_alternate_and_the_first_rounds_are_dropped() -> None:
    ran: list[str] = []

    def arm(name: str) -> Callable[[], int]:
        return lambda: (ran.append(name), len(ran))[1]

    found = alternate({"a": arm("a"), "b": arm("b")}, 3, warm_up=1)
    assert "".join(ran) == "abbaabba"
    assert found == {"a": [4, 5, 8], "b": [3, 6, 7]}


@pytest.mark.parametrize("size", [20_000, 50_000])
def test_thin_markets_are_as_thin_at_every_size(size: int) -> None:
    trades = list(loaders.thin_trades(size)())
    minutes = {(t.symbol, t.exchange, t.timestamp.replace(second=0, microsecond=0)) for t in trades}
    assert len(trades) == size
    assert 3.5 < size / len(minutes) < 5


# ------------------------------------------------------------------ the command line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--lines", "ingest,refersh"], "there is no line 'refersh': did you mean 'refresh'?"),
        (["--lines", "ingest", "7"], "there is no line '7': `python -m bench --list`"),
        (["--sizes", "many"], "'many' is no size; give a number of 500 or more"),
        (["--sizes", "20000,499"], "'499' is no size"),
        (["--profile", "ingset"], "there is no profile 'ingset': did you mean 'ingest'?"),
        (["--profile", "ingest", "--lines", "ingest"], "not allowed with argument --profile"),
        (["--json", "/nowhere/found.json"], "/nowhere is not a folder; make it first"),
    ],
)
def test_what_is_not_there_is_refused(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(arguments)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_the_list_names_every_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--list"]) == 0
    said = capsys.readouterr().out
    assert "\n\nProfiles\n  ingest " in said
    for line in (*LINES, *registry.profiles().values()):
        assert f"  {line.name.removeprefix('profile-')} " in said
        assert line.title in said


def test_names_are_taken_by_commas_and_spaces() -> None:
    given = command._parse(["--lines", "refresh,ingest", "archive", "--sizes", "20000,1000"])
    assert [line.name for line in given.lines] == ["ingest", "refresh", "archive"]
    assert given.sizes == (20_000, 1_000)


@pytest.fixture
def run_command(shared: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., int]]:
    """The command line, on the server that the tests have."""
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setattr(command, "running", lambda *_: nullcontext(shared.server))
    before = signal.getsignal(signal.SIGTERM)
    yield lambda *arguments: command.main([*arguments])
    signal.signal(signal.SIGTERM, before)


def test_the_json_has_the_fields_that_are_documented(
    run_command: Callable[..., int], tmp_path: Path
) -> None:
    file = tmp_path / "found.json"
    assert run_command("--quick", "--lines", "storage", "--json", str(file)) == 0
    found = json.loads(file.read_text())
    assert set(found) == RUN
    assert (found["quick"], found["complete"], found["sizes"]) == (True, True, list(QUICK.sizes))
    (line,) = found["lines"]
    assert set(line) == LINE
    assert line["rows"]
    for row in line["rows"]:
        assert set(row) == ROW
        assert row["size"] == QUICK.sizes[0]
    page = (REPOSITORY / "docs" / "bench.md").read_text(encoding="utf-8")
    for name in RUN | LINE | ROW:
        assert f"`{name}`" in page


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [(signal.SIGTERM, 143, "terminated"), (signal.SIGINT, 130, "interrupted")],
)
def test_a_run_that_is_cut_short_writes_what_it_found(
    run_command: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    number: signal.Signals,
    code: int,
    said: str,
) -> None:
    def cut(given: Bench) -> Iterator[Row]:
        yield Row("x", given.size)
        signal.raise_signal(number)

    line = Line("cut", Subject.LOADING, "cut", "cut", Sizes.EACH, cut)
    monkeypatch.setattr(registry, "choose", lambda _: (line,))
    file = tmp_path / "found.json"
    # a shell that starts the tests in the background has them ignore it
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert run_command("--quick", "--json", str(file)) == code
    finally:
        signal.signal(signal.SIGINT, before)
    found = json.loads(file.read_text())
    assert not found["complete"]
    assert [row["value"] for row in found["lines"][0]["rows"]] == list(QUICK.sizes)
    shown = capsys.readouterr()
    assert "cut: cut" in shown.out
    assert f"{said}; what was found so far" in shown.err


# ------------------------------------------------------------------ a run


def _line(name: str, sizes: Sizes, found: Callable[[Bench], Sequence[Row]]) -> Line:
    def run(given: Bench) -> Iterator[Row]:
        yield from found(given)

    return Line(name, Subject.LOADING, name, name, sizes, run)


def _fails(_: Bench) -> Sequence[Row]:
    raise MeasurementError("the arms differ")


def _is_left_out(_: Bench) -> Sequence[Row]:
    raise LeftOut("there is no such server here")


def _run(*lines: Line) -> Run:
    # these lines ask for no server
    nobody: Any = None
    return Run(nobody, Progress(), lines, (3_000, 1_000, 3_000), QUICK)


def test_a_line_that_fails_leaves_the_others_alone(capsys: pytest.CaptureFixture[str]) -> None:
    run = _run(
        _line("broken", Sizes.EACH, _fails),
        _line("sound", Sizes.EACH, lambda given: [Row("x", given.size)]),
    )
    run.take()
    broken, sound = run.sections
    assert broken.error == "the arms differ"
    assert [(row.value, row.size) for row in sound.rows] == [(3_000, 3_000), (1_000, 1_000)]
    assert not run.complete
    said = " ".join(capsys.readouterr().err.split())
    assert "python -m bench --lines broken --sizes 3000" in said


def test_a_line_that_is_left_out_is_no_failure() -> None:
    run = _run(_line("absent", Sizes.EACH, _is_left_out))
    run.take()
    assert run.sections[0].left_out == "there is no such server here"
    assert run.complete


def test_a_line_may_be_taken_once_at_the_smallest_size() -> None:
    run = _run(_line("once", Sizes.ONCE, lambda given: [Row("x", given.size)]))
    run.take()
    assert [row.value for row in run.sections[0].rows] == [1_000]


# ------------------------------------------------------------------ the report


def _section(*rows: Row) -> Section:
    return Section(_line("one", Sizes.EACH, lambda _: rows), list(rows))


def test_goals_stand_beside_the_figures() -> None:
    section = _section(
        Row("fast", 2.5, target=Target(">=", 2), size=100),
        Row("heavy", 301, unit="bytes", target=Target("<=", 300), size=100),
        Row("huge", 9, target=Target(">=", 100, 1_000), size=100),
        Row("no goal", 1),
    )
    head, _, names, *rows = report.goals([section]).splitlines()
    assert head == "## Goals: 1 met, 1 missed, 1 that need more trades"
    assert names.split() == ["line", "figure", "value", "goal", "met"]
    assert [row.split() for row in rows] == [
        ["one", "fast", "2.50", ">=", "2", "✓"],
        ["one", "heavy", "301.0", "bytes", "<=", "300", "✗"],
        ["one", "huge", "9.00", ">=", "100", "with", "1,000", "trades", "-"],
    ]
    assert report.goals([_section(Row("no goal", 1))]) == ""


def test_shares_are_a_table() -> None:
    section = _section(
        Row("lively: client", 60.04, unit="percent"),
        Row("lively: server", 39.96, unit="percent"),
        Row("thin: server", 71, unit="percent"),
    )
    lines = report.text([section]).splitlines()[-3:]
    assert [line.split() for line in lines] == [
        ["percent", "of", "the", "batch", "lively", "thin"],
        ["client", "60.0"],
        ["server", "40.0", "71.0"],
    ]
    assert lines[1].index("60.0") == lines[2].index("40.0")


# ------------------------------------------------------------------ every line, with few trades


def _check(rows: Sequence[Row]) -> None:
    labels = [row.label for row in rows]
    assert labels
    assert len(labels) == len(set(labels))
    for row in rows:
        assert isfinite(row.value)
        assert row.value > 0
        assert (row.unit in ("ratio", "percent")) == (row.rounds is not None)


# these start processes and servers of their own, or take seconds for a few trades
SLOW = {"archive", "backup", "growth", "notifications"}
SLOW |= {"clients", "document", "parts", "planning", "readers", "staging", "upkeep", "writer"}


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.name)
@pytest.mark.long
def test_it_runs(shared: Bench, line: Line, short: bool) -> None:
    if short and line.name in SLOW:
        pytest.skip("it takes longest, and belongs to the long form alone")
    try:
        rows = list(line.run(shared))
    except LeftOut as reason:
        if line.name not in ("cache", "engines", "psyscale", "real"):
            raise
        pytest.skip(str(reason))
    _check(rows)


def test_a_profile_takes_a_batch_apart(shared: Bench) -> None:
    thin, staged = profile.situations(shared)[-2:]
    found = {one.column: profile.take(shared, one) for one in (thin, staged)}
    for client, _, traced in found.values():
        assert len(client.whole) == QUICK.short_rounds
        for whole, parts in zip(client.whole, client.parts, strict=True):
            assert parts.keys() <= set(laps.PARTS)
            assert sum(parts.values()) == pytest.approx(whole)
        assert any("INSERT ohlcv_1m" in name for name in traced.parts[-1])
    direct, through_staging = (client.parts[-1] for client, _, _ in found.values())
    assert {laps.ENCODING, laps.COPYING} <= direct.keys()
    assert laps.INSERTING not in direct
    assert laps.INSERTING in through_staging
    rows = list(profile.shares(found))
    _check(rows)
    server = {row.label: row.value for row in rows}
    upkeep = server["thin: server: trigger candles_after_insert"]
    inside = [v for label, v in server.items() if label.startswith("thin: server: m")]
    assert all(share <= upkeep for share in inside)


def test_the_line_of_the_documentation_runs(shared: Bench) -> None:
    page = (REPOSITORY / "docs" / "bench.md").read_text(encoding="utf-8")
    text = page.partition("```python\n")[2].partition("```")[0]
    module = ModuleType("bench.lines.counting_trades")
    exec(compile(text, "docs/bench.md", "exec"), module.__dict__)
    line = registry.line_of(module)
    assert line.name == "counting-trades"
    _check(list(line.run(shared)))


def test_the_loaded_database_is_shared_and_stays_as_it_is(shared: Bench) -> None:
    assert shared.loaded == shared.loaded
    with (
        shared.server.connect(shared.loaded) as connection,
        pytest.raises(psycopg.errors.ReadOnlySqlTransaction),
    ):
        connection.execute("DELETE FROM entasis.market_data")
    with shared.database(shared.loaded) as name, shared.server.connect(name) as connection:
        assert connection.execute("DELETE FROM entasis.market_data").rowcount == shared.size


def test_the_document_has_a_key_two_indexes_and_nothing_else(shared: Bench) -> None:
    with shared.server.connect(shared.templates.document) as connection:
        indexes = connection.execute(
            """
            SELECT pg_get_indexdef(indexrelid) FROM pg_index
            WHERE indrelid = 'public.market_data'::regclass ORDER BY NOT indisprimary, 1
            """
        ).fetchall()
        extras = connection.execute(
            """
            SELECT
                (SELECT count(*) FROM pg_trigger),
                (SELECT count(*) FROM pg_constraint
                 WHERE contype = 'c' AND connamespace = 'public'::regnamespace),
                (SELECT count(*) FROM pg_inherits WHERE inhparent = 'public.market_data'::regclass)
            """
        ).fetchone()
    columns = [definition.partition("btree ")[2] for (definition,) in indexes]
    assert columns == [
        '(symbol, exchange, "timestamp", id)',
        '(exchange, "timestamp" DESC)',
        '(symbol, "timestamp" DESC)',
    ]
    assert extras == (0, 0, 2)


# ------------------------------------------------------------------ against an earlier run


def a_run(value: float, lowest: float, highest: float, cores: int = 2) -> dict[str, Any]:
    row = Row("a", value, lowest, highest, 3, Target(">=", 1), size=1000, samples={"x": [1.0]})
    found = Run(server=None, progress=None, lines=[LINES[0]], sizes=[1000], effort=QUICK)  # type: ignore[arg-type]
    found.sections[0].rows.append(row)
    known = {
        **dict.fromkeys(("entasis_db", "began", "client"), "1"),
        "server": {
            "version": "18",
            "timescaledb": None,
            "settings": {"fsync": "on"},
            "origin": "here",
        },
        "machine": {"cores": cores, "system": "Linux", "load_before": 0.1},
    }
    return {"sections": found.sections, "known": known, "json": {**known, **found.as_json()}}


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ((1.0, 0.9, 1.1), "nothing changed"),
        ((0.8, 0.7, 0.9), "nothing changed"),  # it meets what is on record at 0.9
        ((0.8, 0.7, 0.89), "worse: {name}, a at 1,000 trades: 1 to 0.8"),
        ((1.3, 1.11, 1.4), "better: {name}, a at 1,000 trades: 1 to 1.3"),
    ],
)
def test_a_run_is_compared_with_the_one_on_record(
    tmp_path: Path, now: tuple[float, float, float], said: str
) -> None:
    file = tmp_path / "recorded.json"
    before = a_run(1.0, 0.9, 1.1)
    assert recorded.text(before["sections"], before["known"], file) == ""
    recorded.record(before["json"], file)
    kept = file.read_text()
    assert "samples" not in kept
    assert "origin" not in kept
    later = a_run(*now)
    text = recorded.text(later["sections"], later["known"], file)
    assert said.format(name=LINES[0].name) in text
    assert text.startswith("Compared with what is on record (1 lines):")


def test_a_run_elsewhere_is_not_compared(tmp_path: Path) -> None:
    file = tmp_path / "recorded.json"
    recorded.record(a_run(1.0, 0.9, 1.1)["json"], file)
    elsewhere = a_run(5.0, 4.0, 6.0, cores=8)
    text = recorded.text(elsewhere["sections"], elsewhere["known"], file)
    assert text.startswith("Compared with nothing")


def test_recording_one_line_leaves_the_others(tmp_path: Path) -> None:
    file = tmp_path / "recorded.json"
    first = a_run(1.0, 0.9, 1.1)["json"]
    recorded.record({**first, "lines": [{**first["lines"][0], "name": "other"}]}, file)
    recorded.record(first, file)
    assert [line["name"] for line in json.loads(file.read_text())["lines"]] == sorted(
        ["other", LINES[0].name]
    )
