"""What is wrong with backups, and what they are measured by."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be."""

    code: str
    """What kind of thing, in a word or two."""
    problem: str
    """What was found."""
    remedy: str
    """What to do next."""
    repository: int | None = None
    """Number of the repository that it is about. None: it is not about one."""

    def __str__(self) -> str:
        """Say it in one line."""
        return f"{self.what}. {self.remedy}"

    @property
    def what(self) -> str:
        """What was found, and where."""
        return f"{'' if self.repository is None else f'repo{self.repository}: '}{self.problem}"


@dataclass(frozen=True)
class Schedule:
    """How old the last of each kind may be. Each is a little more than the time between two."""

    full: timedelta | None = timedelta(days=8)
    """The last full backup that is no monthly one. None: there need be none."""
    any: timedelta | None = timedelta(hours=26)
    """The last backup of any kind that is no monthly one. None: there need be none."""
    monthly: timedelta | None = timedelta(days=33)
    """The last backup annotated with kind=monthly. None: there need be none."""
    waiting: timedelta = timedelta(minutes=15)
    """A segment of WAL that waits to be archived."""
    most_waiting: int = 64
    """How many segments of WAL may wait to be archived."""
