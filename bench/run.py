"""Takes the chosen lines at every size, and keeps what they found."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg

from bench.context import FULL, Bench, Effort, Templates
from bench.line import Line, Sizes
from bench.measure import LeftOut, MeasurementError, Row
from bench.progress import Progress
from bench.server import Server
from entasis_db.errors import EntasisError


@dataclass
class Section:
    """What one line found."""

    line: Line
    rows: list[Row] = field(default_factory=list)
    left_out: str | None = None
    """Why it was not taken, at one size at least."""
    error: str | None = None
    """Why it ended early."""

    def as_json(self) -> dict[str, Any]:
        """Return it in JSON's types; docs/bench.md lists the fields."""
        return {
            "name": self.line.name,
            "subject": self.line.subject.value,
            "title": self.line.title,
            "how": self.line.how,
            "left_out": self.left_out,
            "error": self.error,
            "rows": [row.as_json() for row in self.rows],
        }


class Run:
    """One run. Its sections hold what was found so far, also when it is interrupted."""

    def __init__(
        self,
        server: Server,
        progress: Progress,
        lines: Sequence[Line],
        sizes: Sequence[int],
        effort: Effort,
    ) -> None:
        self._server = server
        self._progress = progress
        self._sizes = tuple(dict.fromkeys(sizes))
        self._effort = effort
        self.sections = [Section(line) for line in lines]
        self.complete = False
        """Whether every line came to its end, or was left out for a reason."""

    def take(self) -> None:
        """Take every line. One that fails does not keep the others from being taken."""
        templates = Templates(self._server, self._progress)
        for size in self._sizes:
            bench = Bench(self._server, self._progress, templates, size, self._effort)
            try:
                for section in self.sections:
                    if section.line.sizes is Sizes.EACH or size == min(self._sizes):
                        self._take(section, bench)
            finally:
                bench.close()
        self.complete = not any(section.error for section in self.sections)

    def as_json(self) -> dict[str, Any]:
        """Return what was found in JSON's types; docs/bench.md lists the fields."""
        return {
            "complete": self.complete,
            "lines": [section.as_json() for section in self.sections],
        }

    def _take(self, section: Section, bench: Bench) -> None:
        self._progress.line = section.line.name
        try:
            for row in section.line.run(bench):
                target = row.target if bench.effort is FULL else None
                section.rows.append(replace(row, size=bench.size, target=target))
        except LeftOut as reason:
            section.left_out = str(reason)
        except (EntasisError, MeasurementError, OSError, psycopg.Error) as error:
            section.error = str(error).strip() or type(error).__name__
            self._progress.fail(
                f"{section.error}\nThe other lines are taken all the same. To take this one alone:"
                f" python -m bench --lines {section.line.name} --sizes {bench.size}"
            )
