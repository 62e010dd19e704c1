"""The pairs of versions that the doctor knows are those that migrations warn of."""

from itertools import product

import pytest

from entasis_db.engine import mending_version
from tests.db import Connection
from tests.engines import REPOSITORY

pytestmark = pytest.mark.newest_server

TEXT = (REPOSITORY / "schema/core/health/checks/health_versions.sql").read_text(encoding="utf-8")


def test_the_same_pairs_are_broken(shared_connection: Connection) -> None:
    pairs = "FROM (VALUES (15, 20)" + TEXT.partition("FROM (VALUES (15, 20)")[2].partition(";")[0]
    servers = list(product((15, 16, 17, 18), (9, 11, 12, 16, 20)))
    # 2.28 is the last line for PostgreSQL 15
    lines = {major: range(26, 29 if major == 15 else 34) for major, _ in servers}
    asked = [
        (major, minor, [2, line, patch])
        for major, minor in servers
        for line in lines[major]
        for patch in range(6)
    ]
    # the file's own expression, whose variables are columns here
    found = shared_connection.execute(
        f"SELECT server_major, server_minor, timescaledb, EXISTS (SELECT {pairs}) FROM (".encode()
        + b" SELECT server_major, server_minor, translate(text, '[]', '{}')::int[] AS timescaledb"
        b" FROM unnest(%s::int[], %s::int[], %s::text[]) AS u (server_major, server_minor, text)"
        b") AS t",
        [[a for a, _, _ in asked], [b for _, b, _ in asked], [str(c) for _, _, c in asked]],
    ).fetchall()
    assert len(found) == len(asked)
    for major, minor, numbers, is_broken in found:
        version = ".".join(map(str, numbers))
        mended = mending_version(major * 10000 + minor, version)
        assert is_broken is (mended is not None), (major, minor, version)
    assert {broken for *_, broken in found} == {True, False}
