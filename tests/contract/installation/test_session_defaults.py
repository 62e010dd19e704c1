"""Whatever defaults a database gives its sessions, every answer is the same to the last digit."""

import asyncio
import re
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pyarrow as pa
import pytest
from click.testing import CliRunner
from psycopg import sql

from entasis_db import queries
from entasis_db.acting import acting_for
from entasis_db.cache import AsyncCache, Cache
from entasis_db.candles import check_candles
from entasis_db.cli import main
from entasis_db.cursors import Cursor
from entasis_db.exchange_candles import check_exchange_candles, write_exchange_candles
from entasis_db.ids import check_ids
from entasis_db.ingest import (
    ingest_arrow,
    ingest_options,
    ingest_trades,
    load_trades,
    replace_trades,
    write_positions,
    write_predictions,
)
from entasis_db.live import TickWriter, Unreadable
from entasis_db.migrate import migrate, status
from entasis_db.model import ExchangeCandle, PositionSnapshot, Prediction
from tests.db import Connection
from tests.engines import Database, Server
from tests.make import EXPIRY, D, quote, trade

pytestmark = [pytest.mark.copy, pytest.mark.several_connections, pytest.mark.newest_server]

# 8 July, which is 7 August in another order of day and month
NOON = datetime(2024, 7, 8, 12, 30, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
USER = UUID(int=7)
SYMBOL = "É"  # which each of these encodings has

DEFAULTS = {
    # IST is Jerusalem's too, and PST the Philippines'
    "SQL": {
        "DateStyle": "SQL, DMY",
        "IntervalStyle": "iso_8601",
        "client_encoding": "LATIN1",
        "extra_float_digits": "-15",
        "bytea_output": "escape",
        "timezone": "Asia/Kolkata",
        "quote_all_identifiers": "on",
        "standard_conforming_strings": "off",
        "transform_null_equals": "on",
    },
    "German": {
        "DateStyle": "German",
        "IntervalStyle": "sql_standard",
        "client_encoding": "SQL_ASCII",
        "extra_float_digits": "0",
        "timezone": "America/St_Johns",
        "jit": "off",
    },
    "Postgres": {
        "DateStyle": "Postgres, MDY",
        "IntervalStyle": "postgres_verbose",
        "client_encoding": "EUC_JIS_2004",
        "timezone": "Australia/Lord_Howe",
        "bytea_output": "escape",
        "default_transaction_deferrable": "on",
    },
}


def cli(database: Database, *arguments: str) -> str:
    result = CliRunner().invoke(main, ["--database", database.dsn, *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), arguments
    # what differs between runs anyway
    varying = r"\d+(\.\d+)? s\b|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC|[0-9a-f]{8}-[0-9a-f-]{27}"
    return f"{result.exit_code} {re.sub(varying, '', result.output)}"


def fill(database: Database, connection: Connection, tmp: Path) -> dict[str, Any]:
    """Store something by every path; return what each says."""
    said: dict[str, Any] = {}
    connection.execute(
        "UPDATE entasis.keep_periods SET keep = '10 years' WHERE relation IN ('ohlcv_1m')"
    )
    file = tmp / "trades.csv"
    header = "exchange,symbol,timestamp_ns,sequence,trade_id,price,volume\n"
    rows = [(NOON + n * 20 * timedelta(seconds=1), n, f"{100 + n % 7}.5") for n in range(90)]
    lines = [f"x,BTC,{int(t.timestamp()) * 10**9 + 7},{n},{n},{p},0.25\n" for t, n, p in rows]
    lines.insert(5, "x,BTC,1,5,5,-1,0\n")
    file.write_text(header + "".join(lines))
    said["load"] = load_trades(connection, file)
    said["load again"] = cli(database, "load", "trades", "--json", str(file))
    file.write_text(header + "".join(line for line in lines if ",-1," not in line))
    said["replace"] = replace_trades(connection, file)
    late = [trade(n, timestamp=NOON + n * HOUR, price=D("1e-18")) for n in range(200, 260)]
    for batch in (
        late,
        [late[0]._replace(symbol=SYMBOL)],
        [*late, trade(7, timestamp=NOON + HOUR, volume=D(-1))],
    ):
        said[f"ingest {len(batch)}"] = ingest_trades(
            connection, batch, source="é", id_space="trade"
        )
    quotes = [quote(n, timestamp=NOON + n * HOUR, vega=D(1) / 3) for n in range(5)]
    said["options"] = ingest_options(connection, [*quotes, quote(9, iv=D(-1))], source="o")
    table = pa.table(
        {
            "symbol": [SYMBOL],
            "exchange": ["y"],
            "timestamp": pa.array([1_720_000_000_123_456], pa.timestamp("us", "UTC")),
            "id": [7],
            "price": pa.array(["60000.5"]).cast(pa.decimal128(38, 12)),
            "volume": pa.array([1]),
        }
    )
    with TickWriter(database.dsn, source="w", id_space="trade") as writer:
        writer.put(trade(1, symbol=SYMBOL, exchange="w", timestamp=NOON))
        writer.put(quote(1, underlying="Ü", timestamp=NOON))
        writer.put(Unreadable("market_data", "message", "é", {"é": "\0币"}))
    counted = writer.metrics()
    said["writer"] = (counted.written, counted.quarantined)
    said["arrow"] = ingest_arrow(connection, table, source="a", id_space="trade")
    return said


def predict(connection: Connection, said: dict[str, Any]) -> None:
    kline = ExchangeCandle("BTC", "x", "1m", NOON, D(1), D(9), D(1), D("2.50"), D(3), None, 4)
    said["klines"] = write_exchange_candles(connection, [kline], source="k")
    made = Prediction(
        model_id="m",
        symbol="BTC",
        prediction_type="price",
        predicted_value=D(1) / 3,
        confidence=D("0.9"),
        timestamp=NOON,
        target_time=NOON + HOUR,
    )
    said["predictions"] = write_predictions(connection, [made, made._replace(timestamp=NOON - DAY)])
    said["conflict"] = write_predictions(connection, [made._replace(confidence=D("0.1"))])
    connection.execute(
        "SELECT entasis.write_prediction('d', 'BTC', 'price', %s::float8, 0.1::float8, %s, %s)",
        [0.1 + 0.2, NOON, NOON + HOUR],
    )
    with acting_for(connection, USER):
        held = PositionSnapshot(
            user_id=USER,
            asset_type="BTC",
            position_size=D("1.5"),
            entry_price=D(3),
            current_price=D(4),
            pnl=D(1) / 3,
            timestamp=NOON,
        )
        said["positions"] = write_positions(connection, [held, held._replace(timestamp=NOON + DAY)])
        said["position conflict"] = write_positions(connection, [held._replace(pnl=D(5))])


def asked() -> dict[str, queries.Statement[Any]]:
    whole = (NOON - DAY, NOON + 40 * DAY)
    return {
        "trades": queries.trades("BTC", "x", *whole),
        **{name: queries.candles("BTC", "x", name, *whole) for name in queries.INTERVALS},
        "filled": queries.candles("BTC", "x", "1h", NOON, NOON + 9 * HOUR, True),
        "latest": queries.latest_price("BTC", "x"),
        "prices": queries.latest_prices(),
        "markets": queries.markets("x"),
        "chain": queries.option_chain("ETH", NOON + DAY),
        "expiries": queries.option_expiries("ETH", NOON),
        "history": queries.option_history("ETH", EXPIRY, D(2800), "call", *whole),
        "models": queries.models(),
        "predictions": queries.predictions("m", "BTC", *whole),
        "scores": queries.prediction_scores("m", "BTC", "x", *whole),
    }


def read(database: Database, connection: Connection) -> dict[str, Any]:
    """Read everything in every way."""
    said: dict[str, Any] = {}
    for name, statement in asked().items():
        said[name] = statement.fetch(connection)
        said[f"{name} as Arrow"] = statement.arrow(connection).to_pylist()
    with acting_for(connection, USER):
        said["portfolio"] = queries.portfolio(USER).fetch(connection)
    cached = ("1m", "1d", "latest", "prices", "chain")
    with Cache(database.dsn) as cache:
        for _ in range(2):
            assert [asked()[name].fetch(cache) for name in cached] == [said[n] for n in cached]
        assert cache.metrics().listening
        assert cache.metrics().memory_hits == len(cached) - 1  # too many minutes are not kept

    async def asynchronously() -> None:
        async with AsyncCache(database.dsn) as cache:
            for name in cached:
                assert await asked()[name].fetch_async(cache) == said[name]
        async with await psycopg.AsyncConnection.connect(database.dsn) as direct:
            for name, statement in asked().items():
                if name != "prices":
                    assert await statement.fetch_async(direct) == said[name]

    asyncio.run(asynchronously())
    said["checked"] = (
        check_candles(connection),
        check_ids(connection),
        check_exchange_candles(connection, NOON - DAY, NOON + DAY),
        status(connection).drift,
    )
    with Cursor(connection) as cursor:
        said["quarantine"] = cursor.execute(
            "SELECT relation, line, code, md5(payload::text) FROM entasis.quarantine"
            " ORDER BY 1, 2, 3, 4"
        ).fetchall()
    return said


def maintain(database: Database, store: Path) -> dict[str, Any]:
    """Run what a DBA runs."""
    url = (store / "archive").as_uri()
    commands = [
        ["status"],
        ["markets", "--json"],
        ["markets", "set", "BTC", "x", "kind=spot", "usual_gap=01:30:00", "expiry=2030-07-08"],
        ["markets"],
        ["candles", "BTC", "--exchange", "x", "--interval", "4h", "--last", "5"],
        ["check"],
        ["rebuild", "2024-07-08", "2024-07-10", "--yes"],
        ["maintain", "--dry-run"],
        ["archive", "--to", url],
        ["archive", "list"],
        ["maintain"],
        ["restore", "market_data", "2024-07-01", "2024-08-01", "--from", url, "--attach"],
        ["check"],
        ["candles", "BTC", "--exchange", "x", "--interval", "1h", "--from", "2024-07-08"],
    ]
    said = {f"{n} {' '.join(c[:2])}": cli(database, *c) for n, c in enumerate(commands)}
    return {name: text.replace(str(store), "") for name, text in said.items()}


def history(server: Server, tmp: Path, defaults: dict[str, str]) -> dict[str, str]:
    with server.database() as database:
        with database.connect() as connection:
            for name, value in defaults.items():
                connection.execute(
                    sql.SQL("ALTER DATABASE {} SET {} TO {}").format(
                        sql.Identifier(connection.info.dbname),
                        sql.Identifier(name),
                        # a list, not a name with a comma in it
                        sql.SQL(value) if name == "DateStyle" else sql.Literal(value),
                    )
                )
        said: dict[str, Any] = {}
        with database.connect() as connection:
            said |= fill(database, connection, tmp)
            predict(connection, said)
            said |= read(database, connection)
        # a name as long as any other's: tables are as wide as what stands in them
        with tempfile.TemporaryDirectory() as store:
            said |= maintain(database, Path(store))
        said["migrate"] = migrate(database.dsn).drift
    return {name: _varying().sub("", repr(value)) for name, value in said.items()}


def _varying() -> re.Pattern[str]:
    """Return what is of the run itself: when something was recorded, and how long files are."""
    year = datetime.now(UTC).year
    return re.compile(
        rf"datetime\({year}, [^)]*\)|[\d,]+ bytes|│ +[\d,]+ │ +\d+ │ verified"
        # the line of an archive: its bytes, and when it was made
        rf"|(?<=\\t)\d+\\t\d+\\t{year}-[-0-9T:.+]+"
        rf"|(?<![0-9]){year}-[-0-9T:.+]+"
    )


@pytest.fixture(scope="module")
def usual(server: Server, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return history(server, tmp_path_factory.mktemp("usual"), {})


@pytest.mark.any_datestyle
@pytest.mark.parametrize("name", DEFAULTS)
def test_every_answer_is_the_same(
    server: Server, tmp_path: Path, usual: dict[str, str], name: str
) -> None:
    said = history(server, tmp_path, DEFAULTS[name])
    assert said.keys() == usual.keys()
    differing = {key: _beginning(usual[key], said[key]) for key in usual if said[key] != usual[key]}
    assert not differing


def _beginning(one: str, other: str) -> tuple[str, str]:
    """Return where two texts begin to differ."""
    same = next(n for n, (a, b) in enumerate(zip(one + "$", other + "^", strict=False)) if a != b)
    return one[max(0, same - 60) : same + 90], other[max(0, same - 60) : same + 90]
