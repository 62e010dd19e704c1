"""The archive in an Iceberg catalog: one table a relation, which follows the manifest."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from click.testing import CliRunner

from entasis_db.archive import Store, archive, layout, open_store, publish
from entasis_db.cli import main
from entasis_db.maintenance import maintain
from entasis_db.reopening import reopen
from tests import oracle
from tests.contract.archive.support import live, normal
from tests.contract.floors.test_reopen import FEBRUARY, MARCH, end_the_keep
from tests.contract.retention.support import keep_from
from tests.db import Connection, discard
from tests.engines import Database
from tests.make import month

pytest.importorskip("pyiceberg", reason="the extra entasis-db[iceberg] is not installed")

pytestmark = [pytest.mark.copy, pytest.mark.newest_server, pytest.mark.native_speed]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store((tmp_path / "the store").as_uri())


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A catalog in a file, which PyIceberg knows by the name of ours."""
    from pyiceberg.catalog import load_catalog
    from pyiceberg.utils.config import Config

    monkeypatch.setenv("PYICEBERG_CATALOG__OURS__URI", f"sqlite:///{tmp_path}/catalog.db")
    monkeypatch.setenv("PYICEBERG_CATALOG__OURS__TYPE", "sql")
    monkeypatch.setattr("pyiceberg.catalog._ENV_CONFIG", Config())  # which it reads once
    return load_catalog("ours")


def rows(lake: Any, relation: str) -> list[tuple[Any, ...]]:
    """What a reader of the catalog sees, through DuckDB."""
    table = lake.load_table(f"entasis.{relation}")
    names = layout.LAYOUTS[relation].stored
    with duckdb.connect() as reader:
        seen = table.scan().to_arrow()
        reader.register("seen", seen)
        counted = reader.execute("SELECT count(*) FROM seen").fetchone()
    assert counted == (seen.num_rows,)
    return [tuple(row[name] for name in names) for row in seen.to_pylist()]


def test_a_catalog_follows_the_manifest(
    old: Connection, store: Store, lake: Any, database: Database, tmp_path: Path
) -> None:
    discard(old, False)
    oracle.refresh(old)
    before = {r: live(old, r) for r in ("market_data", "option_data")}

    def said() -> str:
        words = ["--database", database.dsn, "archive", "publish", "--catalog", "ours"]
        result = CliRunner().invoke(main, words)
        assert result.exit_code == 0, result.output
        return result.output

    keep_from(old, month(2020, 4), "market_data", "option_data")
    archive(old, store)
    assert said() == "nothing is in the archive alone\n"  # it is in the database too
    maintain(old)
    assert "entasis.market_data: 3 objects, 15 rows (3 added, 0 removed)\n" in said()
    files = {file: file.read_bytes() for file in (tmp_path / "the store").rglob("*_data_*.parquet")}
    for relation, everything in before.items():
        both = {relation: [*rows(lake, relation), *live(old, relation)]}
        assert normal(both) == normal({relation: everything})
    metadata = lake.load_table("entasis.market_data").metadata_location
    assert "entasis.market_data: 3 objects, 15 rows (0 added, 0 removed)\n" in said()
    assert lake.load_table("entasis.market_data").metadata_location == metadata

    # a month that is reopened is in the database, and corrected there
    reopen(old, "market_data", FEBRUARY, MARCH, store=store)
    old.execute(
        "UPDATE entasis.market_data SET price = 99 WHERE timestamp = %s",
        [FEBRUARY + timedelta(minutes=1)],
    )
    corrected = [*rows(lake, "market_data")]
    assert "entasis.market_data: 2 objects, 10 rows (0 added, 1 removed)\n" in said()
    now = normal({"market_data": [*rows(lake, "market_data"), *live(old, "market_data")]})
    assert now != normal({"market_data": corrected})
    # archived anew, its new version takes the place; its old object is gone
    oracle.refresh(old)
    end_the_keep(old)
    archive(old, store)
    maintain(old)
    assert "entasis.market_data: 3 objects, 15 rows (1 added, 0 removed)\n" in said()
    assert normal({"market_data": [*rows(lake, "market_data"), *live(old, "market_data")]}) == now
    assert len(lake.load_table("entasis.market_data").snapshots()) == 1
    # nothing was rewritten, and nobody who tidies up deletes an object
    kept = [file for file in files if file.exists()]
    assert len(kept) == len(files) - 1
    assert all(file.read_bytes() == files[file] for file in kept)
    assert lake.load_table("entasis.market_data").properties["gc.enabled"] == "false"
    (one,) = [p for p in publish(old, lake) if p.table == "entasis.option_data"]
    assert (one.added, one.removed, one.rows) == (0, 0, 15)
