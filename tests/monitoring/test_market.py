"""The dashboard's panels of a market: their SQL, as Grafana fills it in, against a database."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql
from psycopg.rows import dict_row

from entasis_db import queries
from monitoring.market import POSTGRESQL
from tests import oracle
from tests.conftest import Login
from tests.db import Connection, ensure
from tests.engines import REPOSITORY
from tests.make import NOON

pytestmark = [pytest.mark.newest_server, pytest.mark.native_speed]

SYMBOL, EXCHANGE = "B'TC \\ x", "ve''nue"
START, END = NOON, NOON + timedelta(hours=1)
DASHBOARD = REPOSITORY / "monitoring" / "grafana" / "dashboard.json"


def made(path: Path = DASHBOARD) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def asked() -> dict[str, str]:
    """The SQL of each panel, by its title."""
    return {
        panel["title"]: target["rawSql"]
        for panel in made()["panels"]
        for target in panel.get("targets", ())
        if "rawSql" in target
    }


def filled(text: str) -> str:
    """Fill in what Grafana does: macros of the range, and variables as strings of SQL."""
    values = {"symbol": SYMBOL, "exchange": EXCHANGE, "interval": "5m"}
    text = text.replace("$__timeFrom()", f"'{START.isoformat()}'")
    text = text.replace("$__timeTo()", f"'{END.isoformat()}'")
    text = re.sub(
        r"\$\{(\w+):sqlstring\}", lambda m: "'" + values[m[1]].replace("'", "''") + "'", text
    )
    assert "$" not in text
    return text


def rows(connection: Connection, text: str) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(filled(text).encode()).fetchall()


@pytest.fixture
def traded(connection: Connection) -> Connection:
    connection.execute("UPDATE entasis.keep_periods SET keep = NULL")
    ensure(connection, "market_data", NOON, NOON + timedelta(days=1))
    connection.execute(
        sql.SQL(
            "INSERT INTO entasis.market_data (symbol, exchange, timestamp, id, price, volume, side)"
            " SELECT {}, {}, {} + n * interval '20 seconds', n, 100 + n % 7, 0.25,"
            " CASE n % 2 WHEN 0 THEN 'buy' ELSE 'sell' END"
            " FROM generate_series(0, 170) AS n WHERE n NOT BETWEEN 60 AND 89"
        ).format(SYMBOL, EXCHANGE, NOON)
    )
    oracle.refresh(connection)
    return connection


def test_each_panel_shows_what_the_functions_say(traded: Connection, login: Login) -> None:
    by_title = asked()
    assert len(by_title) == 4
    with login("entasis_reader") as reader:
        reader.execute("SET default_transaction_read_only = on")
        wanted = queries.candles(SYMBOL, EXCHANGE, "5m", START, END).fetch(reader)
        assert len(wanted) == 10
        found = rows(reader, by_title["$exchange $symbol, candles of $interval"])
        assert [
            (r["time"].astimezone(UTC), r["open"], r["high"], r["low"], r["close"], r["volume"])
            for r in found
        ] == [(c.bucket, c.open, c.high, c.low, c.close, c.volume) for c in wanted]
        assert [round(r["vwap"], 9) for r in found] == [round(c.vwap or 0, 9) for c in wanted]
        flow = rows(reader, by_title["$exchange $symbol, volume by the side that took"])
        assert sum(r["bought"] - r["sold"] for r in flow) == sum(c.volume for c in wanted)
        assert all(r["sold"] < 0 < r["bought"] for r in flow)
        gaps = rows(reader, by_title["$exchange $symbol, gaps"])
        assert datetime(2024, 8, 8, 12, 19, 40, tzinfo=UTC) in [g["after"] for g in gaps]
        (newest,) = rows(reader, by_title["Newest trades of all markets"])
        assert (newest["symbol"], newest["traded at"]) == (SYMBOL, NOON + timedelta(seconds=3400))
        chosen = [v for v in made()["templating"]["list"] if v["type"] == "query"]
        lists = [v["query"] for v in chosen if v["datasource"]["type"] == POSTGRESQL]
        assert [[*r.values()] for text in lists for r in rows(reader, text)] == [
            [EXCHANGE],
            [SYMBOL],
        ]


def test_a_candle_is_drawn_of_what_the_query_names() -> None:
    (panel,) = [p for p in made()["panels"] if p["type"] == "candlestick"]
    fields = panel["options"]["fields"]
    (target,) = panel["targets"]
    for name in ("open", "high", "low", "close", "volume"):
        assert fields[name] == name
        assert f"c.{name}" in target["rawSql"]
    assert target["datasource"] == {"type": POSTGRESQL, "uid": "$postgresql"}
