"""The page on scaling says what was measured, and what it reckons is reckoned right."""

import json
import re
from typing import Any

from tests.engines import REPOSITORY

PAGE = (REPOSITORY / "docs" / "operations" / "scaling.md").read_text(encoding="utf-8")
RECORDED = json.loads((REPOSITORY / "bench" / "recorded.json").read_text(encoding="utf-8"))
ROWS: dict[tuple[str, str], dict[str, Any]] = {
    (line["name"], row["label"]): row for line in RECORDED["lines"] for row in line["rows"]
}
THIN_WAL = ("wal", "thin markets, batches of 10,000")
INDEXES = ("storage", "of 1,000,000 trades: indexes")
STORED = ("storage", "of 1,000,000 trades: all of these")


def cells(pattern: str) -> list[tuple[str, ...]]:
    return [
        tuple(cell.strip() for cell in line.strip("|").split("|"))
        for line in PAGE.splitlines()
        if re.match(pattern, line)
    ]


def test_what_was_measured_is_on_record() -> None:
    shown = [row for row in cells(r"\| `") if len(row) == 4]
    assert len(shown) > 10
    for line, label, median, spread in shown:
        row = ROWS[line.strip("`"), label]
        if row["unit"] == "bytes":
            assert (median, spread) == (f"{row['value']:.0f} bytes", "")
        else:
            assert median == f"{row['value']:.2f}", label
            assert spread == f"{row['lowest']:.2f} to {row['highest']:.2f}", label


def test_what_its_words_say_of_the_figures() -> None:
    """A later run that changes them changes the words."""

    def value(line: str, label: str) -> float:
        return float(ROWS[line, label]["value"])

    writers = [value("growth", f"200,000 trades: {n} writers against 1 writer") for n in (2, 4)]
    assert 1.4 <= writers[0] <= 1.6  # half again as fast
    assert writers[0] < writers[1] < 2  # not twice as fast
    assert value("growth", "200,000 trades: 1,000 markets against 10 markets") < 0.5
    assert 1.8 <= value("planning", "markets") <= 2.2  # doubles
    others = [
        v["value"] for (line, name), v in ROWS.items() if line == "planning" and name != "markets"
    ]
    assert max(others) < 1.2  # hardly anything
    lines = {line["name"]: line for line in RECORDED["lines"]}
    for name in ("growth", "planning", "storage", "wal"):
        assert lines[name]["machine"]["cores"] == 2
        assert f"PostgreSQL {lines[name]['server']['version']} on two cores" in PAGE


def test_what_is_reckoned() -> None:
    memory = cells(r"\| \d+ GB")
    assert len(memory) == 3
    for size, month, day in memory:
        trades = int(size.split()[0]) * 0.5e9 / ROWS[INDEXES]["value"]
        assert month == f"{trades / 1e6:.0f} million"
        assert day == f"{trades / 30 / 1e6:.1f} million"
    rates = cells(r"\| [\d,]+ \|")
    assert len(rates) == 3
    for rate, wal, network, disk in rates:
        trades = int(rate.replace(",", ""))
        bytes_a_second = trades * ROWS[THIN_WAL]["value"]
        assert wal == f"{bytes_a_second / 1e6:.1f} MB"
        assert network == f"{bytes_a_second * 8 / 1e6:.0f} Mbit"
        assert disk == f"{trades * 86400 * 90 * ROWS[STORED]['value'] / 1e12:.1f} TB"


def test_no_other_figure_stands_in_its_words() -> None:
    words = "\n".join(line for line in PAGE.splitlines() if not line.startswith("|"))
    assert re.findall(r"\d+\.\d+", words) == [
        line["server"]["version"] for line in RECORDED["lines"] if line["name"] == "growth"
    ]
