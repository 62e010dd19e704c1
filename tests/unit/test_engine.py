"""Which pairs of PostgreSQL and TimescaleDB are known to break jobs, and what mends them."""

import pytest

from entasis_db.engine import mending_version


@pytest.mark.parametrize(
    ("server", "timescaledb", "mended"),
    [
        (150020, "2.28.3", "2.28.4"),
        (150021, "2.21.0", "2.27.3"),
        (150020, "2.28.4", None),
        (150019, "2.28.3", None),
        (160016, "2.27.2", "2.27.3"),
        (160016, "2.27.3", None),
        (160015, "2.21.1", None),
        (170012, "2.28.0-dev", "2.28.4"),
        (170012, "2.29.2", "2.31.2"),
        (170012, "2.30", "2.31.2"),
        (180007, "2.31.1", "2.31.2"),
        (180007, "2.31.2", None),
        (180008, "2.32.0", "2.32.1"),
        (180008, "2.32.1", None),
        (180008, "2.33.0", None),
        (180006, "2.29.2", None),
        (190000, "2.40.0", None),
    ],
)
def test_a_pair_that_breaks_jobs_is_known(
    server: int, timescaledb: str, mended: str | None
) -> None:
    assert mending_version(server, timescaledb) == mended
