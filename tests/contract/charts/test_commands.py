"""The commands that draw, on each server: what they write is what SQL says."""

import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from entasis_db import queries
from entasis_db.ingest import load_options
from tests.contract.cli.conftest import market, shared  # noqa: F401 - fixtures
from tests.contract.cli.support import entasis, fails, succeeds
from tests.db import one
from tests.engines import Database

pytestmark = [pytest.mark.copy, pytest.mark.newest_server, pytest.mark.native_speed]

DATA = re.compile(r'<script type="application/json">(.*?)</script>', re.DOTALL)
RANGE = ("from_time=2024-08-08", "to_time=2024-08-09")


def drawn(path: Path) -> list[dict[str, Any]]:
    return [json.loads(found) for found in DATA.findall(path.read_text(encoding="utf-8"))]


def test_candles_of_a_market_are_drawn(market: Database, tmp_path: Path) -> None:  # noqa: F811
    page, picture = tmp_path / "c.html", tmp_path / "c.svg"
    said = succeeds(
        market, "candles", "BTC", "--exchange", "x", "--interval", "1m",
        "--html", str(page), "--svg", str(picture),
    )  # fmt: skip
    assert said.splitlines() == [f"{page}: x BTC 1m", f"{picture}: x BTC 1m"]
    (found,) = drawn(page)
    with market.connect() as connection:
        start, end = datetime(2024, 8, 8, tzinfo=UTC), datetime(2024, 8, 9, tzinfo=UTC)
        candles = queries.candles("BTC", "x", "1m", start, end).fetch(connection)[-60:]
        assert [c[1:6] for c in found["candles"]] == [
            [f"{n:f}" for n in (c.open, c.high, c.low, c.close, c.volume)] for c in candles
        ]
        assert [c[0] for c in found["candles"]] == [int(c.bucket.timestamp()) for c in candles]
        bars = one(
            connection,
            "SELECT count(*) FROM entasis.tick_bars('BTC', 'x', 50, '2024-08-08Z', '2024-08-09Z')",
        )
    asked = ("chart", "--query", "tick_bars", "symbol=BTC", "exchange=x", "size=50", *RANGE)
    succeeds(market, *asked, "--html", str(page))
    assert len(drawn(page)[0]["candles"]) == bars == 8
    asked = ("chart", "--query", "returns", "symbol=BTC", "exchange=x", "interval=5m", *RANGE)
    said = succeeds(market, *asked, "--column", "log_return", "--html", str(page))
    (line,) = drawn(page)[0]["lines"]
    assert (line["name"], len(line["points"])) == ("log_return", 24)
    assert said == f"{page}: x BTC returns\n"


def test_what_cannot_be_drawn_is_one_line(market: Database, tmp_path: Path) -> None:  # noqa: F811
    page = str(tmp_path / "c.html")
    assert "there are " in fails(market, "chart", "--query", "none", "--html", page, code=2)
    assert "name a file" in fails(market, "chart", "--query", "markets", code=2)
    assert "lacks symbol" in fails(market, "chart", "--query", "vwap", "--html", page, code=2)
    asked = ("chart", "--query", "drawdown", "symbol=NONE", "exchange=x", "interval=1d", *RANGE)
    assert "no row to draw" in fails(market, *asked, "--html", page)
    assert "is no expiry" in fails(market, "smile", "ETH", "soon", code=2)
    assert "no implied volatility of ETH" in fails(market, "smile", "ETH", "2024-08-30")
    assert not (tmp_path / "c.html").exists()


def test_a_smile_is_drawn_and_listed(market: Database, tmp_path: Path) -> None:  # noqa: F811
    file, page = tmp_path / "q.csv", tmp_path / "s.html"
    head = "underlying,strike_price,expiry_date,option_type,timestamp_ns,iv\n"
    rows = [f"SPY,{300 + 5 * n},2021-01-29,put,1609718400000000000,0.5{n}" for n in range(4)]
    file.write_text(head + "\n".join(rows) + "\n")
    with market.connect() as connection:
        load_options(connection, file)
    asked = ("smile", "SPY", "2021-01-29", "--at", "2021-01-04T01:00")
    assert len(json.loads(succeeds(market, *asked, "--json"))) == 4
    succeeds(market, *asked, "--html", str(page))
    (found,) = drawn(page)
    (line,) = found["lines"]
    places = [Decimal(slot) * Decimal(str(found["axis"]["step"])) for slot, _ in line["points"]]
    assert places == [300, 305, 310, 315]
    assert [value for _, value in line["points"]] == ["0.50", "0.51", "0.52", "0.53"]
    assert entasis(market, *asked).stdout.count("\n") == 4
