"""Whoever may create in a schema of the search path becomes nobody else by it."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path

import click
import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from entasis_db import (
    archive,
    candles,
    exchange_candles,
    ids,
    ingest,
    instruments,
    ledger,
    maintenance,
    manifest,
    queries,
    reopening,
)
from entasis_db.acting import acting_for
from entasis_db.cache import Cache
from entasis_db.cli import main
from entasis_db.live import TickWriter
from entasis_db.model import ExchangeCandle
from tests.conftest import Login
from tests.contract.cli.support import HEADER, entasis, lines
from tests.contract.portfolio.test_write import ADA, position
from tests.contract.predictions.test_write import prediction
from tests.contract.queries.test_queries import EXAMPLES
from tests.db import Connection, ensure
from tests.engines import Database, Server
from tests.hostile import PATH, hijack, hijacked, hostile, planted
from tests.make import NOON, insert_trades, quote, trade
from tests.unit.test_instrument_lists import SPOT

pytestmark = [pytest.mark.copy, pytest.mark.several_connections, pytest.mark.newest_server]

Act = Callable[..., Connection]

DAY, NEXT = "2024-08-08", "2024-08-09"
# commands that ask nothing of a database
WITHOUT = {"rollback", "url", "env", "psql", "start", "stop", "restore-backup", "demo"}
# commands that take a folder's path, and not its URL
ON_DISK = ("load", "backfill", "chart", "report", "dump", "restore-dump")
COMMANDS = {
    "migrate": [[]],
    "status": [[]],
    "load": [["trades", "{folder}/t.csv"], ["candles", "{folder}/c.csv"]],
    "backfill": [["--from-gaps", "--folder", "{folder}", "--dry-run"]],
    "markets": [["list"], ["set", "BTC", "x", "kind=spot"]],
    "candles": [["BTC", "--exchange", "x", "--interval", "1m"]],
    "smile": [["BTC", "2024-08-30", "--at", DAY]],
    "report": [["--html", "{folder}/report.html"]],
    "chart": [
        [
            *("--query", "tick_bars", "symbol=BTC", "exchange=x", "size=1"),
            *(f"from_time={DAY}", f"to_time={NEXT}", "--html", "{folder}/chart.html"),
        ]
    ],
    "gaps": [[], ["BTC", "--coverage"]],
    "anomalies": [["detect"], ["detect", "BTC"], ["list"], ["acknowledge", "1"]],
    "check": [[]],
    "rebuild": [[DAY, NEXT, "--yes"]],
    "archive": [["--to", "{folder}"], ["list"]],
    "maintain": [["--dry-run"], []],
    "backup": [["check", "--from", "{folder}"]],
    "runs": [[], ["--json"]],
    "doctor": [[], ["--json"]],
    "dump": [["--to", "{folder}/dump", "--portable"]],
    "restore-dump": [["--from", "{folder}/dump", "--compare"]],
    "history": [
        ["trades", "BTC", "--exchange", "x", DAY, NEXT, "--from", "{folder}"],
        [
            *("candles", "BTC", "--exchange", "x", "--interval", "1w", DAY, NEXT),
            *("--json", "--from", "{folder}"),
        ],
    ],
    "restore": [["market_data", DAY, NEXT, "--from", "{folder}"]],
    "reopen": [["market_data", DAY, NEXT, "--yes", "--from", "{folder}"]],
}


@contextmanager
def lent(server: Server) -> Iterator[Database]:
    """Lend a database in which a stranger has made the schema."""
    with server.database() as database, server.login() as (name, password):
        dsn = make_conninfo(database.dsn, user=name, password=password)
        with psycopg.connect(dsn, autocommit=True) as stranger, planted(database, stranger):
            yield database


@pytest.fixture(scope="module")
def database(server: Server) -> Iterator[Database]:
    """A database in which a stranger has made the schema."""
    with lent(server) as database:
        yield database


@pytest.fixture
def act(login: Login) -> Act:
    """Connect as a login of the given roles, with the schema first in its path."""
    return partial(login, options=f"-c search_path={PATH}")


def test_the_schema_stands_in_for_every_kind_of_name(database: Database) -> None:
    with psycopg.connect(hostile(database.dsn), autocommit=True) as connection:
        for query in (
            "SELECT 1 = 2",
            "SELECT 'a'::pg_catalog.varchar = 'a'::pg_catalog.text",
            "SELECT - 1::pg_catalog.int8",
            "SELECT 1 IN (1, 2)",
            "SELECT nullif('a', 'b')",
            "SELECT CASE 1 WHEN 1 THEN 1 END",
            "SELECT now()",
            "SELECT count(*)",
            "SELECT unnest('{1}'::pg_catalog.int4[])",
            "SELECT to_jsonb(1)",
            "SELECT 'a'::text",
            "SELECT FROM pg_class",
            "SELECT FROM market_data",
            "SELECT FROM hostile.market_data AS a INNER JOIN hostile.floors AS b USING (oid)",
        ):
            with hijack():
                connection.execute(query.encode())
    assert hijacked(database)
    with database.connect() as connection:
        connection.execute("ALTER SEQUENCE hostile.used RESTART")


def test_every_command_is_tried() -> None:
    assert isinstance(main, click.Group)
    assert set(main.deferred) == WITHOUT | set(COMMANDS)


@pytest.mark.any_datestyle
def test_no_helper_of_a_reader_is_hijacked(database: Database, act: Act) -> None:
    reader = act("entasis_reader")
    assert ledger.status(reader).drift == ()
    dsn = make_conninfo(hostile(database.dsn), user=reader.info.user, password=reader.info.password)
    with Cache(dsn) as cache:
        queries.latest_prices().fetch(cache)
        assert cache.metrics().listening
    reader.execute("SET datestyle = 'SQL, DMY'")
    for statement in EXAMPLES:
        if statement.name not in ("portfolio", "pnl_history"):  # the session acts for nobody
            statement.fetch(reader)
            statement.arrow(reader)
    assert not hijacked(database)


def test_no_helper_of_a_writer_is_hijacked(database: Database, act: Act, tmp_path: Path) -> None:
    with database.connect() as connection:
        ensure(connection, "market_data", NOON, NOON.replace(day=9))
    writer = act("entasis_writer", "entasis_service")
    # a clean batch; the same again; one that is judged row by row; ids stored with other values
    for trades in (
        [trade(1)],
        [trade(1)],
        [trade(1), trade(2, price=Decimal(0))],
        [trade(1, volume=Decimal(9))],
    ):
        ingest.ingest_trades(writer, trades, source="f", id_space="trade")
    ingest.ingest_options(writer, [quote(1), quote(2, iv=Decimal(-1))], source="f")
    ingest.ingest_options(writer, [quote(3)._replace(id=None)], source="f")
    assert ingest.quarantined(writer, "market_data", "f", limit=1)
    file = tmp_path / "t.csv"
    # a moment that is counted within itself is compared with what is stored
    file.write_text(HEADER + 2 * "y,BTC,1723118400000000000,,,1,1\n")
    for _ in range(2):
        ingest.load_trades(writer, file)
    ingest.replace_trades(writer, file, from_time=NOON, to_time=NOON + timedelta(hours=1))
    candle = ExchangeCandle("BTC", "x", "1m", NOON, *map(Decimal, (1, 1, 1, 1, 1)))
    exchange_candles.write_exchange_candles(writer, [candle], source="f")
    ingest.write_predictions(writer, [prediction()])
    with acting_for(writer, ADA):
        ingest.write_positions(writer, [position()])
        assert queries.portfolio(ADA).one(writer) is not None
        assert len(queries.portfolio(ADA).arrow(writer)) == 1
    listed = tmp_path / "list.json"
    listed.write_text(json.dumps({"timezone": "UTC", "symbols": [SPOT]}))
    assert instruments.import_instruments(writer, listed).recorded == 1
    dsn = make_conninfo(hostile(database.dsn), user=writer.info.user, password=writer.info.password)
    with TickWriter(dsn, source="g", id_space="trade") as ticks:
        ticks.put(trade(7))
    assert ticks.metrics().written == 1
    assert not hijacked(database)


def test_no_helper_of_an_admin_is_hijacked(database: Database, act: Act, tmp_path: Path) -> None:
    with database.connect() as connection:
        ensure(connection, "market_data", NOON, NOON.replace(day=9))
        insert_trades(connection, trade(1, symbol="ETH"))
    admin = act("entasis_admin")
    store = archive.open_store(tmp_path.as_uri())
    later = NOON + timedelta(days=1)
    assert candles.check_candles(admin) == []
    candles.refresh_candles(admin, NOON, later)
    candles.rebuild_candles(admin, NOON, later)
    exchange_candles.check_exchange_candles(admin)
    assert ids.check_ids(admin) == []
    instruments.set_market(admin, "BTC", "x", kind="spot")
    assert manifest.has_archived_relations(admin)
    assert maintenance.maintenance_plan(admin)
    assert maintenance.left_over(admin)
    archive.archive(admin, store)
    maintenance.maintain(admin)
    assert manifest.archived_ranges(admin)
    archive.restore(admin, store, "market_data", NOON, later)
    assert reopening.lost_candles(admin, NOON, later) == []
    day = NOON.replace(hour=0)
    reopening.reopen(admin, "market_data", day, day + timedelta(days=1), store=store)
    assert not hijacked(database)


def test_no_command_is_hijacked(server: Server, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(HEADER + lines(20))
    (tmp_path / "c.csv").write_text(
        "exchange,symbol,interval,bucket,open,high,low,close,volume,quote_volume,trades\n"
        "x,BTC,1m,2024-08-08T12:00:00Z,1,1,1,1,1,1,1\n"
    )
    with lent(server) as database:
        for name, forms in COMMANDS.items():
            for arguments in forms:
                filled = [
                    each.replace(
                        "{folder}", str(tmp_path) if name in ON_DISK else tmp_path.as_uri()
                    )
                    for each in arguments
                ]
                result = entasis(hostile(database.dsn), name, *filled)
                assert not hijacked(database), (name, result.output)
                # not refused before it has asked anything, and no error of a query
                # (the doctor finds the settings of a server that tests made to be quick)
                # (and there is no anomaly to acknowledge)
                # (and no option that was quoted)
                codes = (0, 1, 2) if name in ("doctor", "anomalies", "smile") else (0, 3, 6)
                codes += (7,)
                assert result.exit_code in codes, (name, result.output)
