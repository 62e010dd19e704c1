"""What happens often is said at once, and then counted."""

import logging
from datetime import timedelta

import pytest

from entasis_db.live import notices
from entasis_db.live.notices import Notices


def test_the_first_at_once_and_then_a_count(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = 100.0
    monkeypatch.setattr(notices, "monotonic", lambda: now)
    said = Notices(logging.getLogger("entasis_db.live"), timedelta(seconds=60))
    for kind in ("a", "a", "b", "a"):
        said.note(kind, 2, lambda kind=kind: f"first {kind} of 100%", f"%d more {kind} in %d s")
    now += 60
    said.note("a", 1, lambda: "never", "%d more a in %d s")
    said.note("a", 5, lambda: "never", "%d more a in %d s")
    now += 1
    for kind in ("a", "a", "b", "c"):
        said.rest(kind, f"%d more {kind} in %d s")
    assert [record.getMessage() for record in caplog.records] == [
        "first a of 100%",
        "first b of 100%",
        "5 more a in 60 s",
        "5 more a in 1 s",
    ]
