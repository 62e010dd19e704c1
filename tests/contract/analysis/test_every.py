"""Every analysis query: its file, its wrapper, its SQL function, its rows and Arrow."""

import inspect
from collections.abc import Iterator
from datetime import time
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from entasis_db import analysis
from entasis_db.acting import acting_for
from entasis_db.queries import Statement
from tests.contract.queries.support import (
    DAY,
    HOUR,
    MARCH,
    MARKET,
    MINUTE,
    USER,
    insert_trades,
    prediction,
    quote,
    snapshot,
    trade,
)
from tests.contract.queries.test_arrow import check
from tests.engines import Database, Server
from tests.make import D, insert, insert_quotes
from tests.plans import numbered

pytestmark = [pytest.mark.newest_server, pytest.mark.native_speed]

FOLDER = Path(inspect.getfile(analysis)).parent
FILES = sorted(FOLDER.glob("*/*.sql"))

EXAMPLES: tuple[Statement[Any], ...] = (
    analysis.prices_asof(*MARKET, [MARCH + 2 * MINUTE, None, MARCH + HOUR]),
    analysis.candles_of_width(*MARKET, "7m", MARCH, MARCH + DAY),
    analysis.session_candles(*MARKET, time(0, 5), time(16), MARCH, MARCH + DAY, width="30m"),
    analysis.tick_bars(*MARKET, 3, MARCH, MARCH + DAY),
    analysis.volume_bars(*MARKET, 3, MARCH, MARCH + DAY),
    analysis.quote_volume_bars(*MARKET, 300, MARCH, MARCH + DAY),
    analysis.trade_markouts(*MARKET, [MINUTE, HOUR], MARCH, MARCH + DAY),
    analysis.prediction_markouts("m", *MARKET, [MINUTE, HOUR], MARCH, MARCH + DAY),
    analysis.basis_asof(*MARKET, *MARKET, [MARCH + 2 * MINUTE, None, MARCH + HOUR]),
    analysis.basis(*MARKET, *MARKET, "1m", MARCH, MARCH + DAY),
    analysis.returns(*MARKET, "1m", MARCH, MARCH + DAY),
    analysis.realized_volatility(*MARKET, "1m", MARCH, MARCH + DAY),
    analysis.return_correlation(*MARKET, *MARKET, "1m", MARCH, MARCH + DAY),
    analysis.drawdown(*MARKET, "1m", MARCH, MARCH + DAY),
    analysis.vwap(*MARKET, MARCH, MARCH + DAY),
    analysis.twap(*MARKET, MARCH, MARCH + DAY),
    analysis.volume_profile(*MARKET, 7, MARCH, MARCH + DAY),
    analysis.order_flow_imbalance(*MARKET, "5m", MARCH, MARCH + DAY),
    analysis.iv_term_structure("BTC", MARCH + HOUR),
    analysis.risk_reversals("BTC", MARCH + HOUR),
    analysis.put_call_open_interest("BTC", MARCH + HOUR),
    analysis.iv_history("BTC", MARCH, MARCH + DAY),
    analysis.iv_rank("BTC", MARCH + HOUR, 2 * DAY),
    analysis.prediction_accuracy("m", *MARKET, MARCH, MARCH + DAY),
    analysis.prediction_calibration("m", *MARKET, MARCH, MARCH + DAY),
    analysis.portfolio_exposure(USER, MARCH + HOUR),
    analysis.portfolio_pnl(USER, MARCH, MARCH + DAY),
    analysis.portfolio_drawdown(USER, MARCH, MARCH + DAY),
)


@pytest.fixture(scope="module")
def seeded(server: Server) -> Iterator[Database]:
    """Rows that every one of EXAMPLES finds some of."""
    with server.database() as database:
        with database.connect() as connection:
            connection.execute(
                "SELECT entasis.ensure_partitions(r, %s, %s)"
                " FROM unnest(ARRAY['market_data', 'option_data']) AS r",
                [MARCH, MARCH + HOUR],
            )
            insert_trades(
                connection,
                [trade(MARCH + n * MINUTE, n % 3, D(100 + n % 11)) for n in range(1, 90, 7)],
            )
            some = [quote(MARCH, strike=n, underlying_price=D(3)) for n in (2, 4)]
            insert_quotes(connection, *(q._replace(open_interest=D(5)) for q in some))
            insert(connection, "predictions", [prediction(1, MARCH + 2 * MINUTE, MARCH + HOUR)])
            insert(connection, "portfolio_status", [snapshot(1, USER, "BTC", MARCH)])
        yield database


def test_every_file_has_one_function_and_every_function_a_file() -> None:
    functions = {name for name in analysis.__all__ if inspect.isfunction(getattr(analysis, name))}
    assert functions == {path.stem for path in FILES}
    assert functions == {statement.name for statement in EXAMPLES}
    assert len(FILES) == len(functions)


def test_every_function_is_one_in_sql_too(seeded: Database) -> None:
    with seeded.connect() as connection:
        found = connection.execute(
            """
            SELECT p.proname::text, p.proconfig IS NULL, p.provolatile::text, p.proparallel::text,
                l.lanname::text
            FROM pg_proc AS p INNER JOIN pg_language AS l ON l.oid = p.prolang
            WHERE p.pronamespace = 'entasis'::regnamespace AND p.proname = ANY (%s)
            """,
            [[path.stem for path in FILES]],
        ).fetchall()
    names = sorted(path.stem for path in FILES)
    assert sorted((name, volatile, parallel) for name, _, volatile, parallel, _ in found) == [
        (name, "s", "s") for name in names
    ]
    if seeded.can("one_server"):  # a cluster plans statements, not bodies
        # without settings, so that it is inlined or planned with its parameters
        assert {(bare, language) for _, bare, _, _, language in found} == {(True, "sql")}


def test_every_file_runs_as_a_reader_on_any_search_path(seeded: Database, server: Server) -> None:
    with server.login("entasis_reader", "entasis_service") as (name, password):
        dsn = make_conninfo(seeded.dsn, user=name, password=password)
        with psycopg.connect(dsn, autocommit=True) as connection, acting_for(connection, USER):
            connection.execute("SET search_path = ''")
            for statement in EXAMPLES:
                assert statement.sql.startswith("-- ")
                assert statement.fetch(connection), statement.name


@pytest.mark.parametrize("statement", EXAMPLES, ids=lambda s: s.name)
def test_parameters_columns_and_arrow_are_those_of_the_function(
    seeded: Database, statement: Statement[Any]
) -> None:
    assert set(numbered(statement.sql)[1]) == set(statement.params)
    with seeded.connect() as connection:
        cursor = connection.execute(statement.sql.encode(), statement.params)
        assert cursor.description is not None
        names = [column.name for column in cursor.description]
        assert names == list(statement.row._fields)
        check(connection, statement)
        check(connection, statement, floats=True)
