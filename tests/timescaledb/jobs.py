"""The background jobs of a database."""

from typing import Any


def job(connection: Any, procedure: str) -> int:
    """Return the id of the job that runs a procedure of schema entasis_internal."""
    row = connection.execute(
        "SELECT job_id FROM timescaledb_information.jobs"
        " WHERE proc_schema = 'entasis_internal' AND proc_name = %s",
        [procedure],
    ).fetchone()
    assert row is not None, f"no job runs {procedure}"
    return int(row[0])
