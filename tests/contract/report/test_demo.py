"""The demo: real candles on a page, from a scratch database that is the demo's own."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest
from click.testing import CliRunner

from entasis_db.cli import main
from entasis_db.cli.pictures import demo
from entasis_db.cli.target import Target
from tests.engines import Server


@pytest.mark.long
@pytest.mark.newest_server
@pytest.mark.native_speed
@pytest.mark.candle_tables
def test_real_candles_from_nothing(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On this server, as if it were the embedded one."""
    cluster = SimpleNamespace(dsn=server.dsn, url=lambda name: f"postgresql://here/{name}")
    monkeypatch.setattr(demo, "embedded_cluster", lambda: cluster)
    monkeypatch.setattr(Target, "dsn", lambda *_: server.dsn("postgres"))
    # a database of the user's own is no affair of the demo
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:1/nowhere")
    page = tmp_path / "demo.html"
    try:
        done = CliRunner().invoke(main, ["demo", "--html", str(page)])
        assert done.exit_code == 0, done.output
        assert str(page) in done.stdout
        assert f"export DATABASE_URL=postgresql://here/{demo.DATABASE}" in done.stdout
        text = page.read_text(encoding="utf-8")
        found = re.findall(r'<script type="application/json">(.*?)</script>', text, re.DOTALL)
        drawn = [json.loads(each)["candles"] for each in found]
        assert [len(candles) for candles in drawn] == [80, 80]
        with psycopg.connect(server.dsn(demo.DATABASE), autocommit=True) as connection:
            row = connection.execute("SELECT count(*) FROM entasis.market_data").fetchone()
            assert row == (sum(candle[7] for candles in drawn for candle in candles),)
            assert row == (32_192,)
        with server.admin() as connection:
            connection.execute(f"COMMENT ON DATABASE {demo.DATABASE} IS 'mine'".encode())
        done = CliRunner().invoke(main, ["demo", "--html", str(page)])
        assert done.exit_code == 1
        assert "was not made by entasis demo" in done.stderr
    finally:
        with server.admin() as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {demo.DATABASE} WITH (FORCE)".encode())
