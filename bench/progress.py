"""What is being done now, on standard error."""

from rich.console import Console
from rich.status import Status


class Progress:
    """A line that changes on a terminal; plain lines, one for each step, elsewhere."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._status: Status | None = None
        self._step = ""
        self.line = ""
        """The line of the benchmark that the steps belong to."""

    def __call__(self, step: str) -> None:
        """Begin a step."""
        self._step = f"{self.line}: {step}" if self.line else step
        if not self._console.is_terminal:
            self._console.print(f"bench: {self._step}", markup=False, soft_wrap=True)
        elif self._status is None:
            self._status = self._console.status(self._step)
            self._status.start()
        else:
            self._status.update(self._step)

    def part(self, done: int, whole: int) -> None:
        """Tell how far the step is."""
        if self._status is not None:
            self._status.update(f"{self._step}: {done * 100 // whole} %")

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._status is not None:
            self._status.stop()
            self._status = None

    def fail(self, message: str) -> None:
        """Say what went wrong."""
        self.close()
        where = f"{self.line}: " if self.line else ""
        self._console.print(f"bench: {where}{message}", style="red", markup=False, soft_wrap=True)
