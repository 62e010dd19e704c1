"""The report of a loaded and of an empty database, on both engines, against SQL."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner
from psycopg.conninfo import make_conninfo

from entasis_db import report
from entasis_db.cli import main
from entasis_db.report import reading
from entasis_db.report.glance import size
from entasis_db.report.sections import percent
from tests import oracle
from tests.browser import Page, browser
from tests.conftest import Login
from tests.contract.report.support import DRAWN, FAULTS, charts, rows, tile
from tests.db import Connection, ensure, one
from tests.engines import Database, Server

pytestmark = pytest.mark.native_speed_when_short

LOOKS = [(1280, "light"), (400, "dark"), (1280, "dark"), (400, "light")]
EVIL = "<img src=x onerror=alert(1)></script>"
REFUSED = 12_345


def plant(connection: Connection) -> None:
    """A market with a gap in its ids, one whose feed is silent, and many rows that were refused."""
    connection.execute("UPDATE entasis.keep_periods SET keep = NULL")
    now = datetime.now(UTC)
    ensure(connection, "market_data", now - timedelta(days=3), now)
    for symbol, lasts, missing in (("BTC", 0, 40), (EVIL, 20, 0)):
        connection.execute(
            "INSERT INTO entasis.market_data (symbol, exchange, timestamp, id, price, volume)"
            " SELECT %s, 'venue', date_trunc('minute', now()) - interval '30 hours' + n * interval"
            " '1 minute', n, 100 + n %% 17, 0.5 FROM generate_series(1, 1800 - %s * 60) AS n"
            " WHERE n NOT BETWEEN 500 AND 499 + %s",
            [symbol, lasts, missing],
        )
    connection.execute("SELECT entasis.set_market('BTC', 'venue', '{\"ids_dense\": true}')")
    connection.execute(
        "INSERT INTO entasis.quarantine (relation, source, line, code, reason, payload)"
        " SELECT 'market_data', 'feed', n, 'price', %s, '{}' FROM generate_series(1, %s) AS n",
        [EVIL, REFUSED],
    )
    # stands out, and was not refused
    connection.execute(
        "INSERT INTO entasis.anomalies (kind, relation, symbol, exchange, begins_at, row_key)"
        " VALUES ('price_spike', 'market_data', 'BTC', 'venue', now(), '{\"id\": 7}')"
    )
    oracle.refresh(connection)


@pytest.fixture(scope="module")
def loaded(server: Server) -> Iterator[Database]:
    with server.database(plant) as lent:
        yield lent


@pytest.fixture(scope="module")
def page(needs_chromium: None) -> Iterator[Page]:
    with browser() as started:
        yield started


def written(server: Server, database: Database, path: Path, *roles: str) -> Path:
    """Have a login with these roles write the report."""
    with server.login(*roles) as (name, password):
        dsn = make_conninfo(database.dsn, user=name, password=password)
        done = CliRunner().invoke(main, ["--database", dsn, "report", "--html", str(path)])
    assert done.exit_code == 0, done.output
    return path


@pytest.mark.long
@pytest.mark.newest_server
def test_a_loaded_database_is_shown(
    server: Server, loaded: Database, page: Page, tmp_path: Path
) -> None:
    path = tmp_path / "report.html"
    written(server, loaded, path, "entasis_reader", "entasis_monitor", "entasis_writer")
    for width, scheme in LOOKS:
        page.look(width, scheme)
        page.open(path)
        assert page.ask(FAULTS) == [], (width, scheme)
        assert all(points > 300 for points in page.ask(DRAWN)), (width, scheme)
        for name, state in (("gaps", "warning"), ("feeds", "critical"), ("quarantine", "critical")):
            found, _, bottom = tile(page, name)
            assert (found, bottom < 700) == (state, True), (name, width)
    assert page.complaints == []
    assert page.ask("document.images.length") == 0
    assert tile(page, "feeds")[1] == "1"
    assert tile(page, "quarantine")[1] == f"{REFUSED:,}"
    with loaded.connect() as connection:
        compare_markets(page, connection)
        compare_charts(page, connection)
        compare_rest(page, connection)


def compare_markets(page: Page, connection: Connection) -> None:
    wanted = connection.execute(
        "SELECT exchange, symbol, trades, gaps, missing, covered"
        " FROM entasis.coverage(to_time => %s) ORDER BY trades DESC",
        [page.ask("document.querySelector('time').dateTime")],
    ).fetchall()
    assert [
        (r["Market"], r["Trades"], r["Gaps"], r["Missing"], r["Covered"])
        for r in rows(page, "markets")
    ] == [
        (
            f"{exchange} {symbol}",
            f"{trades:,}",
            f"{gaps}",
            "" if missing is None else f"{missing:f}",
            percent(covered),
        )
        for exchange, symbol, trades, gaps, missing, covered in wanted
    ]
    assert tile(page, "markets")[1] == f"{sum(r[2] for r in wanted):,}"
    gaps = rows(page, "gaps")
    assert tile(page, "gaps")[1] == str(len(gaps)) == str(sum(r[3] for r in wanted))
    (ids,) = [gap for gap in gaps if gap["Told by"] == "ids"]
    assert (ids["Ids"], ids["Trades missing"]) == ("500 to 539", "40")
    assert f"venue {EVIL}" in {gap["Market"] for gap in gaps if gap["Before"] == "still silent"}


def compare_charts(page: Page, connection: Connection) -> None:
    drawn = charts(page)
    assert [chart["title"] for chart in drawn] == ["venue BTC 15m", f"venue {EVIL} 5m"]
    for chart, interval in zip(drawn, ("15m", "5m"), strict=True):
        symbol = chart["title"].removeprefix("venue ").removesuffix(f" {interval}")
        wanted = connection.execute(
            "SELECT extract(EPOCH FROM bucket)::int8, open, high, low, close, volume, trades"
            " FROM entasis.candles(%s, 'venue', %s, '-infinity', 'infinity') ORDER BY bucket",
            [symbol, interval],
        ).fetchall()
        assert chart["drawn"] == len(wanted) > 20
        assert [(c[0], *c[1:6], c[7]) for c in chart["candles"]] == [
            (bucket, *(f"{number:f}" for number in numbers), trades)
            for bucket, *numbers, trades in wanted
        ]


def compare_rest(page: Page, connection: Connection) -> None:
    sizes = connection.execute(
        "SELECT to_char(date_trunc('month', from_time, 'UTC'), 'YYYY-MM'), relation, sum(bytes)"
        " FROM entasis.partitions WHERE from_time <= now() GROUP BY 1, 2 ORDER BY 1 DESC, 2"
    ).fetchall()
    assert [(r["Month"], r["Relation"], r["Size"]) for r in rows(page, "storage")] == [
        (month, relation, size(int(total))) for month, relation, total in sizes
    ]
    kept = {r["Relation"]: r for r in rows(page, "retention")}
    assert set(kept) == {
        relation for (relation,) in connection.execute("SELECT relation FROM entasis.lifecycle")
    }
    total = one(connection, "SELECT sum(bytes)::int8 FROM entasis.lifecycle")
    assert tile(page, "size")[1] == size(total)
    (refused,) = rows(page, "quarantine")
    count = f"{one(connection, 'SELECT count(*) FROM entasis.quarantine'):,}"
    assert (refused["Reason"], refused["In quarantine"]) == ("price", count)
    assert refused["For example"] == EVIL
    assert len(rows(page, "runs")) == min(20, one(connection, "SELECT count(*) FROM entasis.runs"))
    checks = dict(connection.execute("SELECT check_name, severity FROM entasis.health").fetchall())
    assert {r["Check"]: r["State"] for r in rows(page, "health")} == {
        name: severity for name, severity in checks.items() if severity == "ok"
    }
    ill = sum(severity != "ok" for severity in checks.values())
    assert tile(page, "health")[1] == str(ill)
    advice = "see whether its feed is connected"
    assert advice in page.ask("document.querySelector('main').textContent.split('Markets')[1]")


@pytest.mark.long
@pytest.mark.newest_server
def test_an_empty_database_is_shown(
    server: Server, database: Database, page: Page, tmp_path: Path
) -> None:
    path = written(server, database, tmp_path / "empty.html", "entasis_reader", "entasis_monitor")
    for width, scheme in LOOKS[:2]:
        page.look(width, scheme)
        page.open(path)
        assert page.ask(FAULTS) == [], (width, scheme)
    assert page.complaints == []
    assert page.ask("document.querySelectorAll('figure').length") == 0
    for name in ("gaps", "feeds", "quarantine", "markets"):
        assert tile(page, name)[:2] == ("ok", "0"), name
    said = page.ask("[...document.querySelectorAll('section .note')].map((n) => n.textContent)")
    assert "No market is on record. entasis load trades FILE stores some." in said
    assert "No row was refused." in said


@pytest.mark.newest_server
@pytest.mark.native_speed
def test_what_a_login_may_not_see_is_said(database: Database, login: Login) -> None:
    with database.connect() as connection:
        connection.execute(
            "INSERT INTO entasis.quarantine (relation, source, line, code, reason, payload)"
            " VALUES ('market_data', 'feed', 1, 'price', 'none', '{}')"
        )
    with login("entasis_reader") as reader:
        found = report.read(reader)
        assert isinstance(found.checks, report.Unread)
        assert isinstance(found.refused, report.Unread)
        assert found.markets == []
        text = report.page(found)
        assert "GRANT it entasis_reader and entasis_monitor" in text
        assert 'class="tile unknown" id="glance-health"' in text
    with login("entasis_reader", "entasis_monitor") as monitor:
        found = report.read(monitor)
        assert not [name for name, value in vars(found).items() if isinstance(value, report.Unread)]
        assert found.refused == [report.Refused("market_data", "price", 1, None, None, None)]
        assert monitor.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        assert one(monitor, "SHOW statement_timeout") == "0"


@pytest.mark.newest_server
@pytest.mark.native_speed
@pytest.mark.several_connections
def test_it_is_one_snapshot_and_no_part_takes_too_long(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    busiest = reading._busiest
    with ExitStack() as stack:
        other, connection = (stack.enter_context(database.connect()) for _ in range(2))

        def meanwhile(asked: Connection) -> object:
            other.execute(
                "INSERT INTO entasis.quarantine (relation, source, line, code, reason, payload)"
                " VALUES ('market_data', 'feed', 1, 'price', 'none', '{}')"
            )
            return busiest(asked)

        monkeypatch.setattr(reading, "_busiest", meanwhile)
        monkeypatch.setattr(reading, "_MONTHS", "SELECT pg_catalog.pg_sleep(60)")
        found = report.read(connection, seconds=2)
        assert found.refused == []
        assert found.months == report.Unread(
            "It took longer than a part may: ask for less, or give it more seconds."
        )
        assert not isinstance(found.checks, report.Unread)
        monkeypatch.undo()
        assert isinstance(report.read(connection).refused, list)
        assert len(report.read(connection).refused) == 1  # type: ignore[arg-type]
