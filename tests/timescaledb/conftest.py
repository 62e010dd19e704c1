"""What only engine timescaledb has; these tests run on its servers alone."""

from typing import Any

import pytest

from tests.engines import Server


@pytest.fixture(autouse=True)
def _on_timescaledb(request: pytest.FixtureRequest) -> None:
    if "server" not in request.fixturenames:
        return
    server: Server = request.getfixturevalue("server")
    if server.source.engine != "timescaledb":
        pytest.skip("engine timescaledb alone has hypertables and jobs")


def job(connection: Any, procedure: str) -> int:
    """Return the id of the job that runs a procedure of schema entasis_internal."""
    row = connection.execute(
        "SELECT job_id FROM timescaledb_information.jobs"
        " WHERE proc_schema = 'entasis_internal' AND proc_name = %s",
        [procedure],
    ).fetchone()
    assert row is not None, f"no job runs {procedure}"
    return int(row[0])
