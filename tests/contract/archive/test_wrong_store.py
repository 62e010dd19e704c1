"""A wrong store is told before a row of the manifest is made; the list shows where archives are."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from entasis_db.archive import archive, open_store
from entasis_db.cli import main
from entasis_db.errors import StoreError
from entasis_db.manifest import archived_ranges
from tests.contract.archive.support import CHANGES, Faulty, mark
from tests.db import Connection
from tests.engines import Database
from tests.make import months_ago

pytestmark = [pytest.mark.copy, pytest.mark.newest_server, pytest.mark.native_speed]


class Forgetful(Faulty):
    """A store that takes files and loses a byte of each, or lists nothing."""

    def get(self, key: str, file: Path) -> None:
        self.store.get(key, file)
        if self.fault == "get":
            file.write_bytes(file.read_bytes()[:-1])

    def sizes(self, prefix: str = "") -> dict[str, int]:
        return {} if self.fault == "sizes" else self.store.sizes(prefix)


def test_a_wrong_store_is_told_and_nothing_recorded(filled: Connection, tmp_path: Path) -> None:
    mark(filled)
    first, other = (open_store((tmp_path / name).as_uri()) for name in ("first", "other"))
    for fault in ("get", "sizes"):
        with pytest.raises(StoreError, match="gives back other bytes"):
            archive(filled, Forgetful(first, "", fault))
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="could not be written"):
        archive(filled, open_store((tmp_path / "file" / "within").as_uri()))
    assert archived_ranges(filled) == []
    archive(filled, first)
    before = archived_ranges(filled)
    assert {one.location for one in before} == {first.location}
    assert not first.sizes("entasis-probe-")

    # nothing is to be archived: the store is not asked
    archive(filled, other)
    filled.execute(CHANGES["corrected"].encode(), [months_ago(5)])
    with pytest.raises(StoreError, match=f"is in {first.location}, not in {other.location}"):
        archive(filled, other)
    # as a folder that is not mounted
    (tmp_path / "first").rename(tmp_path / "away")
    with pytest.raises(StoreError, match=r"lacks .*parquet.*mounted"):
        archive(filled, first)
    assert [(a.from_time, a.rows) for a in archived_ranges(filled)] == [
        (a.from_time, a.rows) for a in before
    ]
    (again,) = archive(filled, other, new_store=True)
    assert again.relation == "market_data"
    assert {one.location for one in archived_ranges(filled)} == {first.location, other.location}


def test_the_list_shows_where_and_what_is_not_verified(
    filled: Connection, database: Database, tmp_path: Path
) -> None:
    mark(filled)
    store = open_store((tmp_path / "store").as_uri())
    with pytest.raises(StoreError):
        archive(filled, Faulty(store, "get", "refuse", at=2))
    said = (
        CliRunner().invoke(main, ["--database", database.dsn, "archive", "list", "--table"]).output
    )
    assert said.count(store.location) == 2
    assert said.count("not verified; the next run begins it anew") == 1
    assert "1 not verified: a run was cut short" in said
