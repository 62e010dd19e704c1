"""A library that is missing is named, with the extra of entasis-db that brings it."""

import subprocess
import sys

import pytest

BLOCKED = """
import sys
from importlib.abc import MetaPathFinder

class Missing(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in sys.argv[1].split(","):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
import entasis_db.ingest, entasis_db.live, entasis_db.cli, entasis_db.live.cryptofeed
for command in entasis_db.cli.main.deferred:
    entasis_db.cli.main.get_command(None, command)
from entasis_db import queries
from entasis_db.errors import EntasisError
try:
    exec(sys.argv[2])
except EntasisError as error:
    print(error)
"""
ASKED = {
    "arrow": "queries.markets().arrow(None)",
    "arrow's batches": "queries.markets().record_batches(None)",
    "arrow's schema": "queries.markets().arrow_schema()",
    "polars": "queries.markets().polars(None)",
    "pandas": "queries.markets().pandas(None)",
    "ingest": "entasis_db.ingest.ingest_arrow(None, None, source='s', id_space='trade')",
    "quotes": "entasis_db.ingest.ingest_arrow_options(None, None, source='s')",
    "cache": "import entasis_db.cache",
    "replicas": "import entasis_db.replicas",
    "archive": "import entasis_db.archive",
    "image": (
        "from entasis_db.charts import Chart;"
        " from entasis_db.charts.image import image; image(Chart('c'), 'png')"
    ),
    "s3": "from entasis_db.store import open_store; open_store('s3://bucket')",
}


@pytest.mark.parametrize(
    ("missing", "asked", "extra"),
    [
        ("pyarrow", "arrow", "arrow"),
        ("pyarrow", "arrow's batches", "arrow"),
        ("pyarrow", "arrow's schema", "arrow"),
        ("pyarrow", "ingest", "arrow"),
        ("pyarrow", "quotes", "arrow"),
        ("polars", "polars", "polars"),
        ("pandas", "pandas", "pandas"),
        ("redis", "cache", "cache"),
        ("psycopg_pool", "cache", "cache"),
        ("psycopg_pool", "replicas", "replicas"),
        ("pyarrow", "archive", "archive"),
        ("boto3", "s3", "archive"),
        ("matplotlib", "image", "charts"),
    ],
)
def test_what_is_missing_is_named(missing: str, asked: str, extra: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED, missing, ASKED[asked]],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    assert missing in done.stdout
    assert f"pip install 'entasis-db[{extra}]'" in done.stdout
