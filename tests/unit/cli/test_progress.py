"""The bar that shows how much of a file has been read."""

import io
import threading

import pytest
from rich.console import Console

from entasis_db.cli.progress import Told, loading
from entasis_db.exchange_candles import CandleReport
from entasis_db.ingest import Loaded

MB = 1_000_000


@pytest.mark.parametrize(
    ("size", "told", "shown"),
    [
        (2 * MB, Loaded("a", "entasis", bytes_read=MB, total_bytes=2 * MB), ("0.0/2.0", "1.0/2.0")),
        (2 * MB, CandleReport(bytes_read=MB), ("0.0/2.0", "1.0/2.0")),
        # a compressed pipe, whose size is known once it was read
        (None, Loaded("-", "entasis", bytes_read=MB, total_bytes=4 * MB), ("0/?", "1.0/4.0")),
    ],
)
def test_the_bar_knows_its_total(
    monkeypatch: pytest.MonkeyPatch, size: int | None, told: Told, shown: tuple[str, str]
) -> None:
    terminal = Console(file=io.StringIO(), force_terminal=True, width=120)
    monkeypatch.setattr("entasis_db.cli.progress.err", terminal)
    assert isinstance(terminal.file, io.StringIO)
    with loading("a", size) as show:
        terminal.print("begun")
        assert shown[0] in terminal.file.getvalue()
        show(told)
        threading.Event().wait(0.6)  # what is shown is not made anew more often
        assert f"{shown[1]} MB" in terminal.file.getvalue()
