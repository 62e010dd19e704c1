"""Every named query: its file, its wrapper, any kind of connection, and mistaken arguments."""

import asyncio
import gc
import inspect
import pickle
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row
from psycopg.types.numeric import FloatLoader
from psycopg.types.string import TextLoader

from entasis_db import queries
from entasis_db.acting import acting_for
from entasis_db.errors import QueryError
from entasis_db.queries import (
    Statement,
)
from tests.conftest import Login
from tests.contract.queries.support import (
    DAY,
    HOUR,
    MARCH,
    MARKET,
    MINUTE,
    SECOND,
    USER,
    Session,
    example,
    insert_trades,
    prediction,
    quote,
    snapshot,
    trade,
)
from tests.engines import Database, Server
from tests.hostile import hostile, planted
from tests.make import insert, insert_quotes
from tests.plans import numbered

pytestmark = pytest.mark.newest_server

FOLDER = Path(inspect.getfile(queries)).parent

# one for each way in which a function runs a query of its own
EXAMPLES: tuple[Statement[Any], ...] = (
    queries.trades(*MARKET, MARCH, MARCH + DAY),
    queries.candles(*MARKET, "1m", MARCH, MARCH + DAY),
    queries.candles(*MARKET, "1h", MARCH, MARCH + DAY, fill_gaps=True),
    queries.latest_price(*MARKET),
    queries.latest_prices(),
    queries.markets(),
    queries.option_chain("BTC", MARCH + HOUR),
    queries.option_expiries("BTC", MARCH + HOUR),
    queries.option_history("BTC", MARCH + 28 * DAY, 60000, "call", MARCH, MARCH + DAY),
    queries.iv_smile("BTC", MARCH + 28 * DAY, MARCH + HOUR),
    queries.models(),
    queries.predictions("m", MARKET[0], MARCH, MARCH + DAY),
    queries.prediction_scores("m", *MARKET, MARCH, MARCH + DAY),
    queries.portfolio(USER),
    queries.pnl_history(USER, MARCH, MARCH + DAY),
)


# --- fixtures ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def seeded(server: Server) -> Iterator[Database]:
    """Rows that every one of EXAMPLES finds some of."""
    with server.database() as database:
        with database.connect() as connection:
            connection.execute("""
                SELECT entasis.ensure_partitions(r, '2024-03-01 00:00+00', '2024-04-01 00:00+00')
                FROM unnest(ARRAY['market_data', 'option_data']) AS r
            """)
            insert_trades(
                connection,
                [trade(MARCH + n * MINUTE, n % 3, Decimal(100 + n)) for n in range(1, 90, 7)],
            )
            connection.execute("SELECT entasis.set_market(%s, %s, '{}')", MARKET)
            insert_quotes(
                connection, *[quote(MARCH + n * MINUTE, strike=60000 + n) for n in range(2)]
            )
            insert(connection, "predictions", [prediction(1, MARCH + 2 * MINUTE, MARCH + HOUR)])
            insert(connection, "portfolio_status", [snapshot(1, USER, "BTC", MARCH)])
        yield database


# --- files and functions -------------------------------------------------------------------------


def test_every_file_has_one_function_and_every_function_a_file() -> None:
    files = sorted(path.stem for path in FOLDER.glob("*.sql"))
    assert sorted(statement.name for statement in EXAMPLES) == files
    functions = {
        name
        for name in queries.__all__
        if inspect.isfunction(getattr(queries, name))
        and "Statement" in str(inspect.signature(getattr(queries, name)).return_annotation)
    }
    # candles has a second file for its gaps
    assert functions == {*files} - {"candles_filled"}


@pytest.mark.native_speed
@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.sql")), ids=lambda p: p.stem)
def test_every_file_is_prepared_for_a_reader(path: Path, login: Login) -> None:
    text, names = numbered(path.read_text(encoding="utf-8"))
    assert text.startswith("-- ")
    reader = login("entasis_reader")
    reader.execute(f"PREPARE named AS {text}")
    row = reader.execute(
        "SELECT cardinality(parameter_types) FROM pg_prepared_statements WHERE name = 'named'"
    ).fetchone()
    assert row == (len(names),)


@pytest.mark.parametrize("statement", EXAMPLES, ids=lambda s: s.name)
def test_parameters_and_columns_are_those_of_the_function(
    seeded: Database, statement: Statement[Any]
) -> None:
    assert set(numbered(statement.sql)[1]) == set(statement.params)
    with seeded.connect() as connection:
        cursor = connection.execute(statement.sql.encode(), statement.params)
        assert cursor.description is not None
        names = [column.name for column in cursor.description]
        assert names == list(statement.row._fields)


# --- any connection ------------------------------------------------------------------------------


def fetch_async(database: Database, statement: Statement[Any]) -> tuple[list[Any], Any]:
    async def run() -> tuple[list[Any], Any]:
        async with await psycopg.AsyncConnection.connect(
            database.dsn, autocommit=True
        ) as connection:
            return await statement.fetch_async(connection), await statement.one_async(connection)

    return asyncio.run(run())


@pytest.mark.parametrize("statement", EXAMPLES, ids=lambda s: s.name)
def test_every_kind_of_connection_gives_the_same(
    seeded: Database, statement: Statement[Any]
) -> None:
    with seeded.connect() as connection:
        rows = statement.fetch(connection)
        assert rows
        assert all(type(row) is statement.row for row in rows)
        assert pickle.loads(pickle.dumps(rows)) == rows
        assert statement.one(connection) == rows[0]
    assert fetch_async(seeded, statement) == (rows, rows[0])
    for options in (
        {"row_factory": dict_row},
        {"cursor_factory": psycopg.ClientCursor},
        {"cursor_factory": psycopg.RawCursor},
        {"autocommit": False},
        {"prepare_threshold": 0},
        {"options": "-c timezone=America/New_York -c datestyle=SQL,DMY"},
        {"options": "-c timezone=Asia/Kathmandu -c intervalstyle=sql_standard"},
    ):
        if "datestyle" in str(options) and not seeded.can("any_datestyle"):
            continue
        with seeded.connect(**options) as connection:
            assert statement.fetch(connection) == rows
    with seeded.connect() as connection, connection.pipeline():
        assert statement.fetch(connection) == rows


def test_the_connections_loaders_do_not_count(seeded: Database) -> None:
    statement = queries.candles(*MARKET, "1m", MARCH, MARCH + DAY)
    with seeded.connect() as connection:
        rows = statement.fetch(connection)
        connection.adapters.register_loader("numeric", FloatLoader)
        connection.adapters.register_loader("timestamptz", TextLoader)
        found = statement.fetch(connection)
        assert found == rows
        assert type(found[0].close) is Decimal
        kept = connection.execute("SELECT 1.5, now()").fetchone()
        assert kept is not None  # and the caller's still are the connection's
        assert [type(value) for value in kept] == [float, str]


@pytest.mark.parametrize("enabled", [True, False])
def test_the_garbage_collector_is_left_as_it_was(
    connection: psycopg.Connection[Any], enabled: bool
) -> None:
    broken = replace(queries.latest_prices(), sql="SELECT 'infinity'::timestamptz")
    try:
        gc.enable() if enabled else gc.disable()
        queries.latest_prices().fetch(connection)
        assert gc.isenabled() is enabled
        with pytest.raises(psycopg.DataError):
            broken.fetch(connection)
        assert gc.isenabled() is enabled
    finally:
        gc.enable()


def test_a_statement_joins_the_callers_transaction_and_leaves_the_session_alone(
    seeded: Database,
) -> None:
    statement = queries.trades(*MARKET, MARCH, MARCH + DAY)
    kathmandu = "-c timezone=Asia/Kathmandu"
    with seeded.connect(autocommit=False, options=kathmandu) as connection:
        settings = "SELECT name, setting FROM pg_settings ORDER BY 1"
        before = connection.execute(settings).fetchall()
        kept = statement.fetch(connection)
        assert connection.execute(settings).fetchall() == before
        insert_trades(connection, [trade(MARCH + HOUR, 77)])
        assert len(statement.fetch(connection)) == len(kept) + 1
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS
        connection.rollback()
        assert statement.fetch(connection) == kept
        connection.rollback()
        row = connection.execute("SELECT now()").fetchone()
        assert row is not None  # and what the caller reads still is in the caller's zone
        assert row[0].utcoffset() == 5 * HOUR + 45 * MINUTE


@pytest.mark.one_role
def test_times_are_in_utc_so_that_the_hour_that_comes_twice_equals_itself(
    months: Database,
) -> None:
    # 01:30 in New York on 3 November 2024, first in summer time and then in winter time
    twice = [datetime(2024, 11, 3, hour, 30, tzinfo=UTC) for hour in (5, 6)]
    with (
        months.connect(options="-c timezone=America/New_York") as connection,
        example(connection, Session("America/New_York")),
    ):
        insert_trades(connection, [trade(time, 1) for time in twice])
        rows = queries.trades(*MARKET, twice[0], twice[1] + SECOND).fetch(connection)
        assert [row.timestamp for row in rows] == twice
        assert all(row.timestamp.tzinfo is UTC for row in rows)
        hours = queries.candles(*MARKET, "1h", twice[0] - HOUR, twice[1]).fetch(connection)
        assert [row.bucket for row in hours] == [time.replace(minute=0) for time in twice]


def test_a_time_that_python_cannot_hold_is_an_error_that_says_so(
    connection: psycopg.Connection[Any],
) -> None:
    connection.execute("""
        INSERT INTO entasis.predictions
            (model_id, symbol, prediction_type, predicted_value, confidence, timestamp, target_time)
        VALUES ('m', 'BTCUSDT', 'price', 1, 1, '2024-03-01 00:00+00', '12024-03-01 00:00+00')
    """)
    with pytest.raises(psycopg.DataError, match=r"too large \(after year 10K\)"):
        queries.predictions("m", MARKET[0], MARCH, MARCH + DAY).fetch(connection)


# --- arguments -----------------------------------------------------------------------------------


def test_a_mistaken_argument_is_refused_before_a_server_is_asked() -> None:
    naive = datetime(2024, 3, 1)  # noqa: DTZ001 - that is the mistake
    with pytest.raises(ValueError, match=r"from_time is 2024-03-01T00:00:00, without a time zone"):
        queries.trades(*MARKET, naive, MARCH)
    with pytest.raises(ValueError, match=r"to_time is .* without a time zone"):
        queries.candles(*MARKET, "1m", MARCH, naive)
    for to_time in (MARCH, MARCH - HOUR):
        with pytest.raises(ValueError, match="not before to_time"):
            queries.pnl_history(USER, MARCH, to_time)
    with pytest.raises(ValueError, match="limit is 0"):
        queries.trades(*MARKET, MARCH, MARCH + DAY, 0)
    with pytest.raises(QueryError, match=r"'2m'.*1m, 5m, 15m, 30m, 1h, 4h, 1d, 1w, 1mo"):
        queries.candles(*MARKET, "2m", MARCH, MARCH + DAY)  # type: ignore[arg-type]
    with pytest.raises(QueryError, match="give call or put"):
        queries.option_history("BTC", MARCH, 1, "CALL", MARCH, MARCH + DAY)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="give a Decimal or an int"):
        queries.option_history("BTC", MARCH, 0.1, "call", MARCH, MARCH + DAY)  # type: ignore[arg-type]
    for span in (timedelta(0), -DAY):
        with pytest.raises(ValueError, match="max_age"):
            queries.option_chain("BTC", MARCH, span)
        with pytest.raises(ValueError, match="max_age"):
            queries.option_expiries("BTC", MARCH, span)
        with pytest.raises(ValueError, match="max_age"):
            queries.iv_smile("BTC", MARCH, MARCH, span)
        with pytest.raises(ValueError, match="lookback"):
            queries.prediction_scores("m", *MARKET, MARCH, MARCH + DAY, span)


def test_a_range_is_compared_as_instants() -> None:
    new_york = ZoneInfo("America/New_York")
    first = datetime(2024, 11, 3, 1, 45, tzinfo=new_york)
    second = datetime(2024, 11, 3, 1, 15, tzinfo=new_york, fold=1)
    assert first > second  # by the clock
    queries.trades(*MARKET, first, second)
    with pytest.raises(ValueError, match="not before"):
        queries.trades(*MARKET, second, first)


# --- other schemas in the search path ------------------------------------------------------------


@pytest.mark.any_path
@pytest.mark.several_connections
def test_a_name_without_its_schema_would_be_found_in_the_callers_path(
    seeded: Database, server: Server
) -> None:
    # In a schema of nobody's business, which stands in for every name: nothing of it is meant as
    # long as each name says its schema, and any one that does not is found there.
    qualified = re.compile(r"OPERATOR\(pg_catalog\.(\S+)\)|pg_catalog\.(\w+)")
    roles: tuple[list[str], ...] = ([], ["entasis_reader", "entasis_service"])
    with ExitStack() as stack:
        stranger, reader = (
            stack.enter_context(
                psycopg.connect(
                    make_conninfo(hostile(seeded.dsn), user=name, password=password),
                    autocommit=True,
                )
            )
            for name, password in [stack.enter_context(server.login(*some)) for some in roles]
        )
        stack.enter_context(planted(seeded, stranger, runs=False))
        stack.enter_context(acting_for(reader, USER))
        # no condition is left out because of a parameter's value
        reader.execute("SET plan_cache_mode = force_generic_plan")
        tried = 0
        for statement in EXAMPLES:
            assert statement.fetch(reader)
            # each name once, where it stands last
            for bare, found in {f[1] or f[2]: f for f in qualified.finditer(statement.sql)}.items():
                wrong = statement.sql[: found.start()] + bare + statement.sql[found.end() :]
                tried += 1
                with pytest.raises(psycopg.Error), reader.transaction():
                    replace(statement, sql=wrong).fetch(reader)
        assert tried > 30
