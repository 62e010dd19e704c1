"""The wheel carries everything that a service without a checkout needs to migrate a database."""

import subprocess
import sys
import zipfile
from pathlib import Path

from tests.engines import REPOSITORY


def test_the_wheel_carries_the_sql(tmp_path: Path) -> None:
    subprocess.run(
        [
            sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check",
            "--no-deps", "--wheel-dir", str(tmp_path), str(REPOSITORY),
        ],
        check=True,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("entasis_db-*.whl")
    carried = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("schema", "migrations"):
        files = [p for p in (REPOSITORY / folder).rglob("*") if p.is_file()]
        assert files
        missing = {f"entasis_db/{p.relative_to(REPOSITORY)}" for p in files} - carried
        assert not missing
    assert {
        "entasis_db/py.typed",
        "entasis_db/queries/candles.sql",
        "entasis_db/cache/lookup.lua",
        "entasis_db/cache/store.lua",
        "entasis_db/samples/README.md",
        "entasis_db/samples/exchange_candles_sample.csv",
        "entasis_db/samples/trades_binance_sample.csv.gz",
        "entasis_db/pages/assets/chart.js",
        "entasis_db/pages/assets/page.css",
        "entasis_db/pages/assets/lightweight-charts.js",
        "entasis_db/pages/assets/lightweight-charts.LICENSE",
    } <= carried
    assert not [name for name in carried if name.startswith(("tests", "bench"))]
